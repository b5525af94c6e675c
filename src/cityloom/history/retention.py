"""How long readings are kept one by one, by type and class; then hourly roll-ups of them are. Pure.

A roll-up has the count, mean, minimum, maximum and last number of an hour, and in how many of its minutes
there were readings. Whole months go, when their last day is older than is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec
import numpy as np

from cityloom.history.model import Integers, Series, Window
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.time import month_of, to_millis


class Rule(msgspec.Struct, frozen=True):
    """For which series it is, and how long their readings are kept. Of several rules the first that fits."""

    #: Entity types; empty for all.
    types: tuple[str, ...]
    #: Classes; empty for all.
    classes: tuple[InformationClass, ...]
    #: None: for ever.
    days: int | None
    #: Whether readings are written to the archive before they go.
    archive: bool = True

    def fits(self, one: Series) -> bool:
        """Whether it speaks of a series."""
        of_type = not self.types or not set(self.types).isdisjoint(one.types)
        return of_type and (not self.classes or one.information_class in self.classes)


class Due(NamedTuple):
    """Series of one type and class of which the readings of before an instant (ms) are to go."""

    type: str
    information_class: InformationClass
    series: Integers
    before: int
    archive: bool


class Outgoing(msgspec.Struct, frozen=True):
    """What goes, or would: the readings of a type, a class and a month."""

    type: str
    information_class: InformationClass
    #: "2024-03"; months are those of UTC.
    month: str
    readings: int
    #: Where they are in the archive, from the city's folder; "" for nowhere.
    file: str = ""


class Archived(msgspec.Struct, frozen=True):
    """A file of the archive."""

    #: From the archive's folder.
    file: str
    sha256: str
    readings: int


@runtime_checkable
class RetainingStore(Protocol):
    """A HistoryStore that makes roll-ups and keeps an archive. Blocking."""

    def tenants(self) -> list[str]:
        """Of whom there is a history."""
        ...

    def rolled(self, window: Window) -> tuple[int, int] | None:
        """From the first to the last hour, which ends before the second, that are known by roll-ups alone."""
        ...

    def outgoing(self, due: Sequence[Due]) -> list[Outgoing]:
        """What `retire` would do, without doing it."""
        ...

    def retire(self, due: Sequence[Due]) -> Outgoing | None:
        """Archive, roll up and remove one month of one of these, all of it or nothing; None: all is done."""
        ...

    def archived(self) -> list[Archived]:
        """The files of the archive. They are checked with `sha256sum -c SHA256SUMS` in its folder, too."""
        ...


def due_of(series: Iterable[Series], rules: Sequence[Rule], now: datetime) -> list[Due]:
    """What is to go by some rules, by type and class."""
    found: dict[tuple[str, InformationClass, Rule], list[int]] = {}
    for one in series:
        rule = next((rule for rule in rules if rule.fits(one)), None)
        if rule is not None and rule.days is not None:
            name = next((name for name in one.types if name in rule.types), one.types[0])
            found.setdefault((name, one.information_class, rule), []).append(one.id)
    return [
        Due(
            name,
            secrecy,
            np.array(numbers, np.int64),
            to_millis(month_of(now - timedelta(days=rule.days or 0))),
            rule.archive,
        )
        for (name, secrecy, rule), numbers in sorted(found.items(), key=lambda item: item[0][:2])
    ]
