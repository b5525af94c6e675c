"""From the readings of a period to one value, and what it rests on: coverage, gaps, a digest. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from math import fsum

import msgspec

from cityloom.history.model import Reading
from cityloom.history.periods import edges_of, parse_step
from cityloom.kernel.change import Because
from cityloom.kernel.errors import BadInput
from cityloom.kernel.numbers import is_number
from cityloom.kernel.time import format_instant, from_millis, to_millis
from cityloom.kernel.units import convert
from cityloom.kernel.worded import Worded
from cityloom.planning.contracts.terms import Line, Method

#: Gaps that are named; more are only counted.
MOST_GAPS = 50
#: Slots in which readings of one line are expected in one period.
MOST_SLOTS = 200_000


class Exclusion(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Time that does not count, such as of a storm, and who decided so. Instants are RFC 3339.

    What is not said is left out of the seal of a statement: one from before it was known keeps its seal.
    """

    since: str
    until: str
    reason: str
    #: Where it was decided: minutes, a letter, an Entity.
    decision: str
    #: Who wrote it down, and when.
    by: str = ""
    at: str = ""
    #: The second person, and when they agreed; "" while it waits for one.
    confirmed_by: str = ""
    confirmed_at: str = ""

    @property
    def is_confirmed(self) -> bool:
        return bool(self.confirmed_by)

    def touches(self, since: str, until: str) -> bool:
        """Whether some of it is from `since` until before `until`: instants as they are written here."""
        return self.since < until and since < self.until


class Day(msgspec.Struct, frozen=True, gc=False):
    """What was read of one day (UTC): how much, and a digest by which a later change of it is seen."""

    day: str
    count: int
    digest: str


class Evidence(msgspec.Struct, frozen=True, gc=False, kw_only=True, rename="camel"):
    """What one line of a statement rests on. Intervals are half-open, instants RFC 3339."""

    about: str
    attribute: str
    since: str
    until: str
    #: None where nothing was read.
    value: float | None
    unit_code: str
    #: Readings that went in.
    count: int
    #: Slots in which a reading was expected, and those without one.
    expected: int
    missing: int
    #: Share of the expected that was there, percent; None where nothing was expected.
    coverage: Decimal | None
    gaps: tuple[tuple[str, str], ...]
    gap_count: int
    #: Readings that are no number or in a unit that cannot be compared, and those in excluded time.
    left_out: int
    excluded: int
    #: Of all that went in: SHA-256.
    digest: str
    days: tuple[Day, ...]
    because: tuple[Because, ...]
    #: Of the table of all that was read, which is kept with a settled line: SHA-256. See `kept_readings`.
    kept: str | msgspec.UnsetType = msgspec.UNSET


class _Point(msgspec.Struct, frozen=True, gc=False):
    at: int
    value: float
    sequence: int


def gather(
    line: Line,
    readings: Sequence[Reading],
    since: datetime,
    until: datetime,
    exclusions: Sequence[Exclusion] = (),
    *,
    zone: tzinfo,
) -> Evidence:
    """What is known of a line from `since` until before `until`; `readings` in any order, also others'."""
    spans = _spans(exclusions)
    points, left_out, excluded = _points(line, readings, to_millis(since), to_millis(until), spans)
    slots = _slots(line, since, until, spans, zone)
    filled = _filled(slots, points)
    empty = [slot for slot, full in zip(slots, filled, strict=True) if not full]
    gaps = _joined(empty)
    coverage = None
    if slots:
        coverage = (Decimal(len(slots) - len(empty)) * 100 / len(slots)).quantize(Decimal("0.01"))
    value = _value(line.method, points)
    missing = len(empty)
    return Evidence(
        about=line.about,
        attribute=line.attribute,
        since=format_instant(since),
        until=format_instant(until),
        value=value,
        unit_code=line.unit_code,
        count=len(points),
        expected=len(slots),
        missing=missing,
        coverage=coverage,
        gaps=tuple((_said(begin), _said(end)) for begin, end in gaps[:MOST_GAPS]),
        gap_count=len(gaps),
        left_out=left_out,
        excluded=excluded,
        digest=_digest(points),
        days=_days(points),
        because=(
            Because(
                about=line.about,
                attribute=line.attribute,
                since=format_instant(since),
                until=format_instant(until),
                value=value,
                unit_code=line.unit_code,
                count=len(points),
                missing=missing,
            ),
        ),
    )


def window(line: Line, since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """From when until before when readings are to be asked for."""
    shift = timedelta(milliseconds=1) if line.stamped_at_its_end else timedelta(0)
    return since + shift, until + shift


def _spans(exclusions: Sequence[Exclusion]) -> list[tuple[int, int]]:
    return [
        (to_millis(datetime.fromisoformat(one.since)), to_millis(datetime.fromisoformat(one.until)))
        for one in exclusions
    ]


def _points(
    line: Line, readings: Iterable[Reading], since: int, until: int, spans: Sequence[tuple[int, int]]
) -> tuple[list[_Point], int, int]:
    """Numbers in the line's unit by time; how many were left out, and how many excluded."""
    points, left_out, excluded = [], 0, 0
    for one in readings:
        at = to_millis(one.at) - (1 if line.stamped_at_its_end else 0)
        if not since <= at < until:
            continue
        value = _number(line, one)
        if value is None:
            left_out += 1
        elif any(begin <= at < end for begin, end in spans):
            excluded += 1
        else:
            points.append(_Point(at, value, one.sequence))
    return sorted(points, key=lambda one: (one.at, one.sequence)), left_out, excluded


def _number(line: Line, reading: Reading) -> float | None:
    if not is_number(reading.value):
        return None
    try:
        return convert(float(reading.value), reading.unit_code, line.unit_code)
    except BadInput:
        return None


def _slots(
    line: Line, since: datetime, until: datetime, spans: Sequence[tuple[int, int]], zone: tzinfo
) -> list[tuple[int, int]]:
    """When a reading is expected: whole steps within the time, without those that are touched by excluded."""
    edges = [int(edge) for edge in edges_of(since, until, parse_step(line.every, where="every"), zone)]
    if len(edges) > MOST_SLOTS:
        hint = Worded("Expect a reading less often, or settle more often.")
        raise BadInput(Worded("There are too many readings to be expected"), hint=hint, where="every")
    end = to_millis(until)
    return [
        (begin, min(finish, end))
        for begin, finish in pairwise(edges)
        if begin < end and not any(first < finish and begin < last for first, last in spans)
    ]


def _filled(slots: Sequence[tuple[int, int]], points: Sequence[_Point]) -> list[bool]:
    filled, place = [], 0
    for begin, end in slots:
        while place < len(points) and points[place].at < begin:
            place += 1
        filled.append(place < len(points) and points[place].at < end)
    return filled


def _joined(empty: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Empty slots that follow each other make one gap."""
    gaps: list[tuple[int, int]] = []
    for begin, end in empty:
        if gaps and gaps[-1][1] == begin:
            gaps[-1] = (gaps[-1][0], end)
        else:
            gaps.append((begin, end))
    return gaps


def _value(method: Method, points: Sequence[_Point]) -> float | None:
    values = [one.value for one in points]
    if not values:
        return None
    if method is Method.MEAN:
        return fsum(values) / len(values)
    if method is Method.TOTAL:
        return fsum(values)
    if method is Method.LAST:
        return values[-1]
    return min(values) if method is Method.LEAST else max(values)


def _days(points: Sequence[_Point]) -> tuple[Day, ...]:
    by_day: dict[str, list[_Point]] = {}
    for one in points:
        by_day.setdefault(_said(one.at)[:10], []).append(one)
    return tuple(Day(day, len(of_day), _digest(of_day)[:16]) for day, of_day in sorted(by_day.items()))


def _digest(points: Iterable[_Point]) -> str:
    # By time and value, not by the number of the change: a reading that is brought twice is the same reading.
    said = "\n".join(sorted(f"{one.at}|{one.value!r}" for one in points))
    return sha256(said.encode()).hexdigest()


def _said(millis: int) -> str:
    return format_instant(from_millis(millis))
