"""What a demo city looks like: a folder `cities/<id>/` whose `source.py` has a function `open_city`.

A demo city brings a source of observations to replay or to simulate, a past to load in bulk, Entities to
begin with, and a `city.toml`. It knows nothing of stores, clocks or pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.ngsild.model import Document
from cityloom.sensing.contract import ReplaySource


class ColumnBatch(msgspec.Struct, frozen=True):
    """Readings of one attribute of one Entity, in columns of equal length, ascending in time.

    `times` are milliseconds since 1970; `values` never hold NaN: what is missing is not there. `whole`
    says that every value is an integer.
    """

    entity_id: str
    entity_type: str
    attribute: str
    unit: str | None
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    whole: bool = False


class CitySource(ReplaySource, Protocol):
    """A ReplaySource that can also tell its past at once."""

    def backfill(self, until: datetime) -> Iterator[ColumnBatch]:
        """The numbers known before `until`, each series whole in one column, in any order of columns.

        A series may begin later than `start`. The last reading of each before `until` is left out: the
        Entities to begin with carry it, so that loading both keeps nothing twice.
        """
        ...


class Progress(Protocol):
    """Shows how far a long piece of work is."""

    def __call__(self, label: str, done: int, total: int) -> None:
        """`done` of `total` bytes; the same `label` throughout one piece of work.

        With a total of 0 the end is not known, and `done` is a number of things.
        """
        ...


#: Accounts of simulated people begin so: whoever confirmed is seen to be nobody.
SIMULATED_ACCOUNT = "simulated:"
#: After how long a recipient (its id) confirms a warning sent at an instant; None: never.
ConfirmsAfter = Callable[[str, datetime], timedelta | None]


class DemoCity(msgspec.Struct, frozen=True):
    """A demo city, ready to run."""

    id: str
    name: str
    source: CitySource
    #: The city's time at which it opens.
    begins: datetime
    #: Seconds of the city's time in one second.
    speed: float
    #: Whole Entities as they are known at an instant, last readings included.
    seeds: Callable[[datetime], list[Document]]
    #: The text of its city.toml.
    settings: str
    #: What every page says about the data, by language.
    badge: dict[str, str]
    #: When its simulated people confirm warnings: those whose account is a SIMULATED_ACCOUNT.
    confirms_after: ConfirmsAfter | None = None
    #: Example "contracts", "answers" and acts of the "plan", which go through the rooms that work them out
    #: once the city runs: see `app.demo_agreements` and `app.demo_plan`. Plain data.
    agreements: Mapping[str, Any] = {}


class OpenCity(Protocol):
    """The function `open_city` of a demo city's `source.py`."""

    def __call__(
        self, folder: Path | None, progress: Progress, *, begins: datetime | None = None, season: str = ""
    ) -> DemoCity:
        """Open the city.

        `folder` holds its data where it needs any. Raises NotReady when they cannot be had, BadInput when
        they are damaged, or when `begins` or `season` is not one the city has.
        """
        ...
