"""What History answers with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from cityloom.history.model import Floats, Integers, Series
from cityloom.kernel.time import from_millis


class Aggregated(msgspec.Struct, frozen=True):
    """Aggregates of several series: `values[method]` has shape (len(series), len(edges) - 1), or one row
    when they were pooled."""

    series: tuple[Series, ...]
    #: Milliseconds since 1970.
    edges: Integers
    values: dict[str, Floats]
    #: Between these instants (milliseconds) some is known by hourly roll-ups alone, each counted where its
    #: hour begins; None where everything was read one by one.
    rolled: tuple[int, int] | None = None

    @property
    def starts(self) -> list[datetime]:
        """Where each period begins."""
        return [from_millis(edge) for edge in self.edges[:-1].tolist()]


class Matrix(NamedTuple):
    """A table for analytics: rows are Entities, columns are periods, NaN is a gap."""

    entity_ids: list[str]
    #: The beginning of each period, milliseconds since 1970, shape (t,).
    times: Integers
    #: Means of the readings in each period, shape (n, t).
    values: Floats
    unit_code: str


class Gap(msgspec.Struct, frozen=True):
    """A stretch of time in which a series that was to be read was not."""

    entity_id: str
    since: datetime
    until: datetime
    missing: int


class Coverage(msgspec.Struct, frozen=True):
    """How complete the readings of an interval are, counted in slots of the expected step."""

    since: datetime
    until: datetime
    expected_step: timedelta
    entities: int
    #: Readings found.
    count: int
    #: Slots in which a reading was to be expected, and those of them without one.
    expected: int
    missing: int
    #: The longest gaps, longest first.
    gaps: tuple[Gap, ...]

    @property
    def share(self) -> float:
        """The share of slots with a reading, 0 to 1; NaN when nothing was to be expected."""
        return (self.expected - self.missing) / self.expected if self.expected else float("nan")
