"""What was promised, held against what was measured: benefits by indicator, costs by budget. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from statistics import fmean

import msgspec

from cityloom.planning.course import Point
from cityloom.planning.finance.appraisal import discount_factors
from cityloom.planning.finance.cash_flows import Analysis, Item, Kind
from cityloom.planning.finance.discounting import discounted
from cityloom.planning.finance.sums import rounded
from cityloom.planning.money import Money


class Kept(msgspec.Struct, frozen=True):
    """One benefit in one year that was measured. A change is one towards what was promised, or below 0."""

    item: Item
    year: int
    promised_change: float
    measured_change: float
    #: How many values the year's mean is of.
    values: int
    promised: Decimal
    #: Below 0 where the indicator went the other way.
    measured: Decimal
    #: Whether the year is over.
    whole: bool

    @property
    def share(self) -> float:
        """Of what was promised, how much came: 1 is all."""
        return self.measured_change / self.promised_change


class Untold(msgspec.Struct, frozen=True):
    """A benefit that cannot be held against anything, and why: a key of `REASONS`."""

    item: Item
    reason: str


class Balance(msgspec.Struct, frozen=True):
    """What was promised and measured so far, and what the whole plan is worth if the rest goes so or so."""

    kept: tuple[Kept, ...]
    untold: tuple[Untold, ...]
    #: Present values of the years measured.
    promised: Decimal
    measured: Decimal
    #: Of the whole plan: with what was measured, then as promised.
    npv_as_promised: Decimal
    #: Of the whole plan: with what was measured, then as in the newest year that is over (or the newest).
    npv_as_measured: Decimal


#: Why a benefit cannot be told.
NO_INDICATOR, NO_BASELINE, NOTHING_MEASURED = "no-indicator", "no-baseline", "nothing-measured"


def balance(analysis: Analysis, courses: Mapping[str, Sequence[Point]], this_year: int) -> Balance:
    """Each benefit with an indicator, by year. `courses` are the indicators' values in their unit."""
    kept: list[Kept] = []
    untold: list[Untold] = []
    for item in analysis.items:
        if item.kind is not Kind.BENEFIT:
            continue
        if reason := _reason(item):
            untold.append(Untold(item, reason))
            continue
        found = list(_years(analysis, item, courses.get(item.indicator, ()), this_year))
        kept += found
        if not found:
            untold.append(Untold(item, NOTHING_MEASURED))
    return _weighed(analysis, tuple(kept), tuple(untold))


def _reason(item: Item) -> str:
    if not item.indicator:
        return NO_INDICATOR
    return NO_BASELINE if item.baseline is None or not item.change else ""


def _years(analysis: Analysis, item: Item, points: Iterable[Point], this_year: int) -> Iterable[Kept]:
    by_year: dict[int, list[float]] = defaultdict(list)
    for point in points:
        by_year[point.at.year].append(point.value)
    assert item.change is not None and item.baseline is not None
    towards = 1 if item.change > 0 else -1
    for year, promised in sorted(item.amounts.items()):
        if year in by_year and year <= this_year:
            change = (fmean(by_year[year]) - item.baseline) * towards
            share = Decimal(repr(change)) / Decimal(repr(abs(item.change)))
            yield Kept(
                item,
                year,
                abs(item.change),
                change,
                len(by_year[year]),
                promised,
                rounded(promised * share, analysis.currency),
                year < this_year,
            )


def _weighed(analysis: Analysis, kept: tuple[Kept, ...], untold: tuple[Untold, ...]) -> Balance:
    factors = dict(zip(analysis.years, discount_factors(analysis), strict=True))
    promised = sum((one.promised * factors[one.year] for one in kept), Decimal())
    measured = sum((one.measured * factors[one.year] for one in kept), Decimal())
    npv = discounted(analysis.net(), tuple(factors.values()))
    rest = Decimal()
    for item in {one.item.code: one.item for one in kept}.values():
        own = [one for one in kept if one.item.code == item.code]
        newest = [one for one in own if one.whole][-1:] or own[-1:]
        share = Decimal(repr(newest[0].share))
        seen = {one.year for one in own}
        later = [(year, amount) for year, amount in item.amounts.items() if year not in seen]
        rest += sum((amount * (share - 1) * factors[year] for year, amount in later), Decimal())
    currency = analysis.currency
    return Balance(
        kept,
        untold,
        rounded(promised, currency),
        rounded(measured, currency),
        rounded(npv - promised + measured, currency),
        rounded(npv - promised + measured + rest, currency),
    )


class BudgetLine(msgspec.Struct, frozen=True):
    """The analysis' costs for whoever carries the initiative, held against its budget. Undiscounted."""

    budget: Money
    spent: Money | None
    capital: Decimal
    operating: Decimal
    #: Budget less capital and operating costs: below 0 is not covered.
    left: Decimal


def against_budget(
    analysis: Analysis, budget: Money, spent: Money | None, group: str = ""
) -> BudgetLine | None:
    """None where the currencies differ: nothing here converts. `group`: whose costs; "" for everybody's."""
    if budget.currency != analysis.currency:
        return None

    def total(kind: Kind) -> Decimal:
        return sum(
            (
                sum(one.amounts.values(), Decimal())
                for one in analysis.items
                if one.kind is kind and group in ("", one.group)
            ),
            Decimal(),
        )

    capital, operating = total(Kind.CAPITAL), total(Kind.OPERATING)
    known = spent if spent is not None and spent.currency == analysis.currency else None
    return BudgetLine(budget, known, capital, operating, budget.amount - capital - operating)
