"""An indicator's course before and after an initiative began. Pure.

What is shown is a comparison and no proof: whatever else changed at that time is in it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from statistics import fmean, stdev

import msgspec

from cityloom.history.model import Reading
from cityloom.kernel.errors import BadInput
from cityloom.kernel.numbers import is_number
from cityloom.kernel.units import convert
from cityloom.planning.model import Target

#: Fewer values than this on one side of the start tell nothing.
FEWEST = 3


class Verdict(StrEnum):
    """Whether the course can be told."""

    TOLD = "told"
    NOT_STARTED = "notStarted"
    TOO_FEW_BEFORE = "tooFewBefore"
    TOO_FEW_AFTER = "tooFewAfter"
    NOTHING_KNOWN = "nothingKnown"


class Point(msgspec.Struct, frozen=True):
    """One value of the indicator."""

    at: datetime
    value: float


class Span(msgspec.Struct, frozen=True):
    """The values on one side of the start: each counts once."""

    count: int
    mean: float
    #: Standard deviation of the sample; None for a single value.
    deviation: float | None
    first: datetime
    last: datetime


class Course(msgspec.Struct, frozen=True):
    """An indicator under one target, in the unit of its newest value."""

    target: Target
    unit_code: str
    points: tuple[Point, ...]
    before: Span | None
    after: Span | None
    verdict: Verdict
    #: Mean after less mean before; None while it cannot be told.
    difference: float | None
    #: How much of the way from baseline to target the newest value since the start has gone: 0 to 1 and
    #: beyond, negative for the wrong way. None before the start and without a value since.
    progress: float | None
    #: Readings that are no number, or in a unit that cannot be compared.
    left_out: int


def course_of(target: Target, readings: Sequence[Reading], starts_at: datetime | None) -> Course:
    """The course of an indicator. `readings` in any order."""
    points, unit_code, left_out = comparable(readings)
    earlier = [point for point in points if starts_at is None or point.at < starts_at]
    later = [point for point in points if starts_at is not None and point.at >= starts_at]
    before, after = _span(earlier), _span(later)
    verdict = _verdict(len(earlier), len(later), starts_at)
    difference = None
    if verdict is Verdict.TOLD and before is not None and after is not None:
        difference = after.mean - before.mean
    return Course(
        target=target,
        unit_code=unit_code,
        points=points,
        before=before,
        after=after,
        verdict=verdict,
        difference=difference,
        progress=_progress(target, later),
        left_out=left_out,
    )


def comparable(readings: Sequence[Reading]) -> tuple[tuple[Point, ...], str, int]:
    """Numbers in the unit of the newest one, by time; that unit; how many readings were left out."""
    numbers = sorted((one for one in readings if is_number(one.value)), key=lambda one: one.at)
    unit_code = numbers[-1].unit_code if numbers else ""
    points = tuple(_converted(numbers, unit_code))
    return points, unit_code, len(readings) - len(points)


def _converted(numbers: Iterable[Reading], unit_code: str) -> Iterable[Point]:
    for one in numbers:
        try:
            yield Point(one.at, convert(float(one.value), one.unit_code, unit_code))
        except BadInput:
            continue


def _span(points: Sequence[Point]) -> Span | None:
    if not points:
        return None
    values = [point.value for point in points]
    return Span(
        count=len(values),
        mean=fmean(values),
        deviation=stdev(values) if len(values) > 1 else None,
        first=points[0].at,
        last=points[-1].at,
    )


def _verdict(before: int, after: int, starts_at: datetime | None) -> Verdict:
    if before + after == 0:
        return Verdict.NOTHING_KNOWN
    if starts_at is None:
        return Verdict.NOT_STARTED
    if before < FEWEST:
        return Verdict.TOO_FEW_BEFORE
    return Verdict.TOO_FEW_AFTER if after < FEWEST else Verdict.TOLD


def _progress(target: Target, later: Sequence[Point]) -> float | None:
    way = target.target - target.baseline
    if not later or way == 0:
        return None
    return (later[-1].value - target.baseline) / way
