"""What must or should hold among the values of a framework. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise

import msgspec

from cityloom.indicators.framework import Framework
from cityloom.indicators.model import Check, Indicator

#: Values by code and point.
Values = Mapping[tuple[str, str], float | bool]
#: Days in a mean month, and how many a period may differ from its months.
_DAYS_A_MONTH, _DAYS_OFF = 30.4375, 5.0


class Basis(msgspec.Struct, frozen=True):
    """What a value was worked out with."""

    denominator: float | None = None
    since: datetime | None = None
    until: datetime | None = None


class Finding(msgspec.Struct, frozen=True):
    """A check that does not hold, and the data points it speaks of."""

    check: Check
    points: tuple[tuple[str, str], ...]


def findings(
    framework: Framework, values: Values, bases: Mapping[tuple[str, str], Basis] | None = None
) -> list[Finding]:
    """All checks that do not hold. What is not reported breaks none."""
    seen = _Seen(
        indicators={indicator.code: indicator for indicator in framework.indicators},
        numbers={key: float(value) for key, value in values.items() if not isinstance(value, bool)},
        bases=bases or {},
    )
    return [
        Finding(check, points)
        for check in framework.manifest.checks
        for points in _CHECKS[check.kind](check, seen)
    ]


_Keys = tuple[tuple[str, str], ...]


class _Seen(msgspec.Struct, frozen=True):
    indicators: Mapping[str, Indicator]
    numbers: Mapping[tuple[str, str], float]
    bases: Mapping[tuple[str, str], Basis]

    def points(self, code: str) -> _Keys:
        return tuple((code, point.key) for point in self.indicators[code].points)

    def divided_by(self, text: str) -> dict[tuple[str, str], float]:
        """The denominators of the values that are divided by what `text` says."""
        return {
            key: basis.denominator
            for key, basis in self.bases.items()
            if key in self.numbers
            and basis.denominator is not None
            and self.indicators[key[0]].denominator == text
        }


def _within(check: Check, seen: _Seen) -> Iterator[_Keys]:
    for key, value in seen.numbers.items():
        units = {point.key: point.unit for point in seen.indicators[key[0]].points}
        meant = key[0] == check.code if check.code else units[key[1]] == check.unit
        if meant and key[0] not in check.except_codes and not check.low <= value <= check.high:
            yield (key,)


def _sum_about(check: Check, seen: _Seen) -> Iterator[_Keys]:
    keys = seen.points(check.code)
    if all(key in seen.numbers for key in keys):
        total = sum(seen.numbers[key] for key in keys)
        if abs(total - check.total) > check.tolerance:
            yield keys


def _falling(check: Check, seen: _Seen) -> Iterator[_Keys]:
    keys = [key for key in seen.points(check.code) if key in seen.numbers]
    for former, latter in pairwise(keys):
        if seen.numbers[latter] > seen.numbers[former]:
            yield (former, latter)


def _not_above(check: Check, seen: _Seen) -> Iterator[_Keys]:
    lower, upper = (check.code, ""), (check.other, "")
    if lower in seen.numbers and upper in seen.numbers and seen.numbers[lower] > seen.numbers[upper]:
        yield (lower, upper)


def _complete(check: Check, seen: _Seen) -> Iterator[_Keys]:
    keys = seen.points(check.code)
    there = sum(key in seen.numbers for key in keys)
    if 0 < there < len(keys):
        yield keys


def _same_denominator(check: Check, seen: _Seen) -> Iterator[_Keys]:
    divided = seen.divided_by(check.denominator)
    if len(set(divided.values())) > 1:
        yield tuple(divided)


def _own_denominator(check: Check, seen: _Seen) -> Iterator[_Keys]:
    others = set(seen.divided_by(check.other_denominator).values())
    for key, denominator in seen.divided_by(check.denominator).items():
        if denominator in others:
            yield (key,)


def _has_denominator(check: Check, seen: _Seen) -> Iterator[_Keys]:
    for key in seen.points(check.code):
        if key in seen.numbers and seen.bases.get(key, Basis()).denominator is None:
            yield (key,)


def _months(check: Check, seen: _Seen) -> Iterator[_Keys]:
    for key in seen.points(check.code):
        basis = seen.bases.get(key, Basis())
        if key not in seen.numbers or basis.since is None or basis.until is None:
            continue
        days = (basis.until - basis.since).total_seconds() / 86_400
        if abs(days - check.months * _DAYS_A_MONTH) > _DAYS_OFF:
            yield (key,)


_CHECKS = {
    "within": _within,
    "sum_about": _sum_about,
    "falling": _falling,
    "not_above": _not_above,
    "complete": _complete,
    "same_denominator": _same_denominator,
    "own_denominator": _own_denominator,
    "has_denominator": _has_denominator,
    "months": _months,
}
