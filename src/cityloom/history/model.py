"""What is remembered: a Series is one attribute of one Entity in one unit; a reading is one instant of it."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import ChangeKind
from cityloom.ngsild.names import NULL

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class ValueKind(IntEnum):
    """How a reading's value is kept: numbers (and booleans as 0 and 1) as number, the rest as text.

    NOTHING marks that the attribute instance was deleted (ETSI GS CIM 009, 4.5.7).
    """

    NUMBER = 0
    INTEGER = 1
    BOOLEAN = 2
    TEXT = 3
    JSON = 4
    NOTHING = 5


class Origin(IntEnum):
    """Where a value comes from: what `dataOrigin` says of it, or of its Entity. Unsaid is measured."""

    MEASURED = 0
    REPLAYED = 1
    SIMULATED = 2
    ESTIMATED = 3
    ENTERED = 4


#: Origins by what `dataOrigin` says.
ORIGINS = {one.name.lower(): one for one in Origin}

#: The attribute under which the scopes of an Entity are remembered; no other can have the name (4.5.6).
SCOPE = "scope"


class SeriesKey(NamedTuple):
    """What makes two readings comparable. A changed unit begins a new series."""

    tenant: str
    entity_id: str
    attribute: str
    #: datasetId, "" for the default instance (4.5.5).
    dataset: str
    #: A type of attribute: a key of `ngsild.model.CONTENT_MEMBER`.
    attribute_type: str
    unit_code: str


class Series(msgspec.Struct, frozen=True, gc=False):
    """One remembered series. `retired` means that its Entity was deleted."""

    id: int
    key: SeriesKey
    types: tuple[str, ...]
    information_class: InformationClass
    retired: bool = False


class NewReading(msgspec.Struct, frozen=True, gc=False):
    """One attribute instance as a change brought it."""

    attribute: str
    dataset: str
    attribute_type: str
    unit_code: str
    #: observedAt, or the change's own instant where there is none; milliseconds since 1970.
    at: int
    kind: ValueKind
    number: float | None
    text: str | None
    #: Whether `at` is an observedAt.
    observed: bool = True
    origin: Origin = Origin.MEASURED
    #: What else the instance has as JSON, its attributes above all; None where it has nothing else.
    details: str | None = None
    #: Its instanceId where that is not made of its key and its instant.
    instance: str | None = None
    #: When it was created (or, NOTHING, deleted) where that was not with the change; milliseconds.
    created_at: int | None = None


class Erasure(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What is to be removed from the past of an Entity: everything, an attribute, one instance."""

    #: Classes of the series that may go: what whoever erases is cleared for.
    classes: tuple[int, ...]
    attribute: str | None = None
    #: datasetId, "" for the default one; None for all.
    dataset: str | None = None
    #: Of one instance: its type, unit, instant (milliseconds) and the change that brought it.
    attribute_type: str = ""
    unit_code: str = ""
    at: int | None = None
    sequence: int = 0


class EntityNews(msgspec.Struct, frozen=True, gc=False):
    """What one change of the feed means to history."""

    sequence: int
    tenant: str
    entity_id: str
    types: tuple[str, ...]
    kind: ChangeKind
    information_class: InformationClass
    #: When the change was accepted; milliseconds since 1970 by the machine's clock.
    recorded_at: int
    readings: tuple[NewReading, ...] = ()
    #: The datasets that each attribute it names has now: what is not among them was deleted.
    standing: dict[str, tuple[str, ...]] = {}
    erasures: tuple[Erasure, ...] = ()


#: News in the feed's order.
ReadingBatch = list[EntityNews]


class PastColumn(NamedTuple):
    """The past of one series as a whole: columns of equal length, ascending in time, without NaN."""

    key: SeriesKey
    types: tuple[str, ...]
    information_class: InformationClass
    #: Milliseconds since 1970.
    at: Integers
    number: Floats
    #: NUMBER or INTEGER, of all readings.
    kind: ValueKind
    origin: Origin = Origin.MEASURED


Marks = Literal["none", "with", "only"]


class Window(msgspec.Struct, frozen=True):
    """Which readings of which series: the half-open interval since <= time < until, in milliseconds.

    `by_recorded` reads the time from the change (modifiedAt) instead of observedAt, `by_created` that of the
    instance's creation (createdAt, of a mark deletedAt). `marks` says whether deletions are told. `last_n`
    keeps the newest n of each series. `corrected` brings the superseded readings too, `observed` only those
    that came with an observedAt. The answer is ordered by series and
    time, or `by_time` over all series; `limit` cuts it.
    """

    series: Integers
    since: int | None = None
    until: int | None = None
    by_recorded: bool = False
    last_n: int | None = None
    limit: int | None = None
    corrected: bool = False
    observed: bool = False
    by_time: bool = False
    by_created: bool = False
    marks: Marks = "none"
    #: Newest first, where it is `by_time`.
    backwards: bool = False
    #: Only those that were given this identifier.
    instance: str | None = None


class Readings(NamedTuple):
    """Readings in columns of equal length.

    `number` is NaN where the value is text, `text` is None where it is a number.
    """

    series: Integers
    at: Integers
    kind: NDArray[np.uint8]
    number: Floats
    text: NDArray[np.object_]
    sequence: Integers
    recorded_at: Integers
    observed: NDArray[np.bool_]
    #: As of a NewReading; `created_at` is `recorded_at` where nothing else was said.
    details: NDArray[np.object_]
    instance: NDArray[np.object_]
    created_at: Integers

    def taken(self, rows: Integers) -> Readings:
        """Some rows, in this order."""
        columns: list[Any] = [column[rows] for column in self]
        return Readings(*columns)

    def value(self, row: int) -> Any:
        """The value of a row as JSON has it."""
        return stored_value(int(self.kind[row]), float(self.number[row]), self.text[row])


class Statistics(msgspec.Struct, frozen=True):
    """How much of one series is kept: how many readings, the first and the last (milliseconds).

    `observed` of them came with an observedAt.
    """

    series: int
    count: int
    observed: int
    first: int
    last: int


class Reading(msgspec.Struct, frozen=True):
    """One remembered value with all that is needed to understand it."""

    entity_id: str
    attribute: str
    at: datetime
    value: Any
    unit_code: str = ""
    dataset: str = ""
    attribute_type: str = "Property"
    recorded_at: datetime | None = None
    #: The change of the feed that brought it.
    sequence: int = 0


def stored_value(kind: int, number: float, text: str | None) -> Any:
    """A value from its stored form."""
    if kind == ValueKind.NUMBER:
        return number
    if kind == ValueKind.INTEGER:
        return int(number)
    if kind == ValueKind.BOOLEAN:
        return number != 0
    if kind == ValueKind.JSON:
        return msgspec.json.decode(text or "null")
    if kind == ValueKind.NOTHING:
        return NULL
    return text


def no_readings() -> Readings:
    """An empty answer."""
    return Readings(
        series=np.empty(0, np.int64),
        at=np.empty(0, np.int64),
        kind=np.empty(0, np.uint8),
        number=np.empty(0, np.float64),
        text=np.empty(0, object),
        sequence=np.empty(0, np.int64),
        recorded_at=np.empty(0, np.int64),
        observed=np.empty(0, np.bool_),
        details=np.empty(0, object),
        instance=np.empty(0, object),
        created_at=np.empty(0, np.int64),
    )
