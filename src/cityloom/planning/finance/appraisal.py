"""Whether a plan is worth its money: present value, rate of return, payback, ratio, and for whom. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from itertools import accumulate

import msgspec

from cityloom.planning.finance.cash_flows import Analysis, Item, Kind
from cityloom.planning.finance.discounting import Timing, discounted, factors, in_prices
from cityloom.planning.finance.internal_rates import InternalRates, internal_rates
from cityloom.planning.finance.sums import PRECISION, rounded_together


class Worth(msgspec.Struct, frozen=True):
    """An item's present value, of 0 or more, in whole coins."""

    item: Item
    amount: Decimal

    @property
    def signed(self) -> Decimal:
        return self.item.sign * self.amount


class YearLine(msgspec.Struct, frozen=True):
    """One year: what is paid and gained, and what the difference is worth in the base year."""

    year: int
    capital: Decimal
    operating: Decimal
    gains: Decimal
    net: Decimal
    factor: Decimal
    present: Decimal
    #: Sums up to and with this year.
    cumulated: Decimal
    cumulated_present: Decimal


class GroupLine(msgspec.Struct, frozen=True):
    """What one group bears and gains, as present values."""

    group: str
    costs: Decimal
    gains: Decimal

    @property
    def net(self) -> Decimal:
        return self.gains - self.costs


class Payback(msgspec.Struct, frozen=True):
    """After how many years the plan has paid for itself; None: never. Within a year the flow counts as even.

    Where the base year counts in full it is the moment from which years are counted; else its beginning is.
    `lost_again`: later flows bring the sum below 0 once more.
    """

    years: Decimal | None
    lost_again: bool = False


class Appraisal(msgspec.Struct, frozen=True):
    """What an analysis comes to. All amounts are in its currency; the tables add up to `npv` to the coin."""

    analysis: Analysis
    npv: Decimal
    #: Present values of costs and of gains.
    costs: Decimal
    gains: Decimal
    #: Gains over costs; None without costs.
    ratio: Decimal | None
    #: Present value of the net flow other than capital, over that of capital; None without capital.
    per_capital: Decimal | None
    rates: InternalRates
    payback: Payback
    discounted_payback: Payback
    years: tuple[YearLine, ...]
    groups: tuple[GroupLine, ...]
    items: tuple[Worth, ...]

    def kind(self, kind: Kind) -> Decimal:
        """The present value of all items of a kind."""
        return sum((one.amount for one in self.items if one.item.kind is kind), Decimal())


def discount_factors(analysis: Analysis) -> tuple[Decimal, ...]:
    """A factor for each year. Raises BadInput where real and nominal meet and no inflation is said."""
    convention = in_prices(analysis.convention, analysis.prices, analysis.inflation)
    return factors(convention, len(analysis.years))


def present_values(analysis: Analysis) -> tuple[Decimal, ...]:
    """The present value of each item, unrounded, 0 or more."""
    by = discount_factors(analysis)
    return tuple(discounted(analysis.flow(one), by) for one in analysis.items)


def appraise(analysis: Analysis) -> Appraisal:
    """All of it. The exact present value is rounded once; what adds up to it is rounded with it."""
    by = discount_factors(analysis)
    signed = [one.sign * value for one, value in zip(analysis.items, present_values(analysis), strict=True)]
    worths = tuple(
        Worth(item, abs(amount))
        for item, amount in zip(analysis.items, rounded_together(signed, analysis.currency), strict=True)
    )
    costs = _total(worths, lambda one: one.kind.is_cost)
    gains = _total(worths, lambda one: not one.kind.is_cost)
    capital = _total(worths, lambda one: one.kind is Kind.CAPITAL)
    years = _years(analysis, by)
    return Appraisal(
        analysis=analysis,
        npv=gains - costs,
        costs=costs,
        gains=gains,
        ratio=_over(gains, costs),
        per_capital=_over(gains - (costs - capital), capital),
        rates=internal_rates(analysis.net()),
        payback=payback([one.net for one in years], analysis.convention.timing),
        discounted_payback=payback([one.present for one in years], analysis.convention.timing),
        years=years,
        groups=tuple(_group(worths, group) for group in analysis.groups),
        items=worths,
    )


def payback(flows: Sequence[Decimal], timing: Timing = Timing.YEAR_ZERO) -> Payback:
    """When flows of a year each have paid for what was spent before. 0 where nothing is ever owed."""
    sums = list(accumulate(flows))
    if not any(one < 0 for one in sums):
        return Payback(Decimal(0) if sums else None)
    first_debt = next(place for place, one in enumerate(sums) if one < 0)
    for place in range(first_debt + 1, len(sums)):
        if sums[place] >= 0:
            owed = -sums[place - 1]
            with localcontext() as context:
                context.prec = PRECISION
                part = owed / flows[place]
            passed = place - 1 if timing is Timing.YEAR_ZERO else place
            return Payback(passed + part, any(one < 0 for one in sums[place + 1 :]))
    return Payback(None)


def _years(analysis: Analysis, by: Sequence[Decimal]) -> tuple[YearLine, ...]:
    net = analysis.net()
    with localcontext() as context:
        context.prec = PRECISION
        present = rounded_together(
            [one * factor for one, factor in zip(net, by, strict=True)], analysis.currency
        )
    sums, present_sums = accumulate(net), accumulate(present)
    return tuple(
        YearLine(
            year,
            _in_year(analysis, year, lambda one: one.kind is Kind.CAPITAL),
            _in_year(analysis, year, lambda one: one.kind is Kind.OPERATING),
            _in_year(analysis, year, lambda one: not one.kind.is_cost),
            net[place],
            by[place],
            present[place],
            next(sums),
            next(present_sums),
        )
        for place, year in enumerate(analysis.years)
    )


def _in_year(analysis: Analysis, year: int, wanted: Callable[[Item], bool]) -> Decimal:
    return sum((one.amounts.get(year, Decimal()) for one in analysis.items if wanted(one)), Decimal())


def _total(worths: Sequence[Worth], wanted: Callable[[Item], bool]) -> Decimal:
    return sum((one.amount for one in worths if wanted(one.item)), Decimal())


def _group(worths: Sequence[Worth], group: str) -> GroupLine:
    own = [one for one in worths if one.item.group == group]
    return GroupLine(
        group, _total(own, lambda one: one.kind.is_cost), _total(own, lambda one: not one.kind.is_cost)
    )


def _over(part: Decimal, whole: Decimal) -> Decimal | None:
    with localcontext() as context:
        context.prec = PRECISION
        return part / whole if whole else None
