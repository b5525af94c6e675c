"""An indicator over the districts: what they say together, and what speaks against comparing them. Pure.

Districts stand by their names and are not ranked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from cityloom.indicators.districts.values import DistrictValue
from cityloom.indicators.summaries import IndicatorSummary

#: With fewer Entities than these a mean tells more about where they stand than about the district.
FEWEST_ENTITIES = 3
#: Shares of coverage by which two districts may differ before it is said.
_COVERAGE_APART = 0.2
#: Days by which the ends of periods may lie apart.
_DAYS_APART = 31.0
#: By how much the districts together may differ from the city's value before it is said.
_AGREE_WITHIN = 0.02
_DAY_S = 86_400.0


class DistrictDoubt(StrEnum):
    """What speaks against comparing districts."""

    MISSING = "missing"
    PERIODS = "periods"
    FEW = "few"
    COVERAGE = "coverage"
    METHODS = "methods"
    NOT_VERIFIED = "notVerified"
    TOTALS = "totals"
    NOT_THE_CITY = "notTheCity"


class ByDistrict(msgspec.Struct, frozen=True):
    """An indicator in all districts."""

    values: tuple[DistrictValue, ...]
    #: The sum of the numerators over the sum of the denominators; None where a district lacks one.
    together: float | None
    doubts: tuple[DistrictDoubt, ...]

    @property
    def reported(self) -> tuple[DistrictValue, ...]:
        """Those with a value."""
        return tuple(one for one in self.values if one.is_reported)


def by_district(city: IndicatorSummary, values: Sequence[DistrictValue]) -> ByDistrict:
    """The indicator in all districts, by their names."""
    together = _together(city, [one for one in values if one.is_reported])
    return ByDistrict(tuple(values), together, tuple(_doubts(city, values, together)))


def _together(city: IndicatorSummary, values: Sequence[DistrictValue]) -> float | None:
    """Only where the value is a quotient of sums: numerators and denominators that add up."""
    parts = [(one.numerator, one.denominator, one.value) for one in values]
    if len(parts) < 2 or city.is_yes_or_no:
        return None
    above = below = 0.0
    for numerator, denominator, value in parts:
        if numerator is None or not denominator or value is None:
            return None
        if abs(numerator / denominator * city.multiplier - value) > 1e-6 * max(1.0, abs(value)):
            return None
        above, below = above + numerator, below + denominator
    return above / below * city.multiplier


def _doubts(
    city: IndicatorSummary, values: Sequence[DistrictValue], together: float | None
) -> Iterable[DistrictDoubt]:
    there = [one for one in values if one.is_reported]
    if len(there) < 2:
        return
    if len(there) < len(values):
        yield DistrictDoubt.MISSING
    ends = [one.until for one in there if one.until is not None]
    lengths = [(one.until - one.since).total_seconds() for one in there if one.until and one.since]
    if _apart(ends) > _DAYS_APART or (lengths and max(lengths) > 1.5 * max(min(lengths), 1.0)):
        yield DistrictDoubt.PERIODS
    if any(one.entities is not None and one.entities < FEWEST_ENTITIES for one in there):
        yield DistrictDoubt.FEW
    coverage = [one.coverage for one in there if one.coverage is not None]
    if coverage and max(coverage) - min(coverage) > _COVERAGE_APART:
        yield DistrictDoubt.COVERAGE
    if len({one.method for one in there}) > 1:
        yield DistrictDoubt.METHODS
    if any(not one.verified for one in there if one.method == "manual"):
        yield DistrictDoubt.NOT_VERIFIED
    if _is_total(city):
        yield DistrictDoubt.TOTALS
    if together is not None and _differs(city, together):
        yield DistrictDoubt.NOT_THE_CITY


def _is_total(city: IndicatorSummary) -> bool:
    shared = city.denominator_text or "%" in city.unit or "per " in city.unit
    return not shared and not city.is_yes_or_no


def _apart(ends: Sequence[datetime]) -> float:
    moments = [one.timestamp() for one in ends]
    return (max(moments) - min(moments)) / _DAY_S if moments else 0.0


def _differs(city: IndicatorSummary, together: float) -> bool:
    if city.value is None or isinstance(city.value, bool):
        return False
    return abs(together - city.value) > _AGREE_WITHIN * max(abs(city.value), 1e-9)
