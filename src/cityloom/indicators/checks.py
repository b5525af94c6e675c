"""What must or should hold among the values of a framework. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import msgspec

from cityloom.indicators.framework import Framework
from cityloom.indicators.model import Check, Indicator

#: Values by code and point.
Values = Mapping[tuple[str, str], float | bool]


class Finding(msgspec.Struct, frozen=True):
    """A check that does not hold, and the data points it speaks of."""

    check: Check
    points: tuple[tuple[str, str], ...]


def findings(framework: Framework, values: Values) -> list[Finding]:
    """All checks that do not hold. What is not reported breaks none."""
    indicators = {indicator.code: indicator for indicator in framework.indicators}
    numbers = {key: float(value) for key, value in values.items() if not isinstance(value, bool)}
    return [
        Finding(check, points)
        for check in framework.manifest.checks
        for points in _CHECKS[check.kind](check, indicators, numbers)
    ]


_Keys = tuple[tuple[str, str], ...]
_Numbers = Mapping[tuple[str, str], float]


def _within(check: Check, indicators: Mapping[str, Indicator], numbers: _Numbers) -> Iterator[_Keys]:
    for key, value in numbers.items():
        units = {point.key: point.unit for point in indicators[key[0]].points}
        meant = key[0] == check.code if check.code else units[key[1]] == check.unit
        if meant and key[0] not in check.except_codes and not check.low <= value <= check.high:
            yield (key,)


def _sum_about(check: Check, indicators: Mapping[str, Indicator], numbers: _Numbers) -> Iterator[_Keys]:
    keys = _points(check.code, indicators)
    if all(key in numbers for key in keys):
        total = sum(numbers[key] for key in keys)
        if abs(total - check.total) > check.tolerance:
            yield keys


def _falling(check: Check, indicators: Mapping[str, Indicator], numbers: _Numbers) -> Iterator[_Keys]:
    keys = [key for key in _points(check.code, indicators) if key in numbers]
    for former, latter in pairwise(keys):
        if numbers[latter] > numbers[former]:
            yield (former, latter)


def _not_above(check: Check, _: Mapping[str, Indicator], numbers: _Numbers) -> Iterator[_Keys]:
    lower, upper = (check.code, ""), (check.other, "")
    if lower in numbers and upper in numbers and numbers[lower] > numbers[upper]:
        yield (lower, upper)


def _points(code: str, indicators: Mapping[str, Indicator]) -> _Keys:
    return tuple((code, point.key) for point in indicators[code].points)


_CHECKS = {"within": _within, "sum_about": _sum_about, "falling": _falling, "not_above": _not_above}
