"""What is remembered: a Series is one attribute of one Entity in one unit; a reading is one instant of it."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import ChangeKind

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class ValueKind(IntEnum):
    """How a reading's value is kept: numbers (and booleans as 0 and 1) as number, the rest as text."""

    NUMBER = 0
    INTEGER = 1
    BOOLEAN = 2
    TEXT = 3
    JSON = 4


class SeriesKey(NamedTuple):
    """What makes two readings comparable. A changed unit begins a new series."""

    tenant: str
    entity_id: str
    attribute: str
    #: datasetId, "" for the default instance (4.5.5).
    dataset: str
    #: Property, Relationship or GeoProperty.
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


class Window(msgspec.Struct, frozen=True):
    """Which readings of which series: the half-open interval since <= time < until, in milliseconds.

    `by_recorded` reads the time from the change (modifiedAt) instead of observedAt. `last_n` keeps the
    newest n of each series. `corrected` brings the superseded readings too, `observed` only those that came
    with an observedAt. The answer is ordered by series and
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
    )
