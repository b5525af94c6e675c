"""What it takes to have technologies adopted: investment by service sector, what comes back, what it sets in
motion; with and without policy levers, side by side. Pure. Totals are exact to the coin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.adoption import Curve, check_curve
from cityloom.planning.finance.appraisal import payback
from cityloom.planning.finance.discounting import Convention, discounted, factors
from cityloom.planning.finance.input_output import Effect, Multipliers, effect
from cityloom.planning.finance.internal_rates import internal_rates
from cityloom.planning.finance.sums import PRECISION, rounded

MOST_YEARS = 60
#: The scenario that has no lever.
AS_IT_IS = "as it is"


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """A technology in a service sector: how it spreads, and what an adopter costs and brings."""

    code: str
    name: str
    sector: str
    curve: Curve
    #: The year at whose beginning it is launched: time 0 of the curve.
    launch: int
    #: Once, at the launch.
    fixed: Decimal = Decimal()
    #: For each adopter: once, and each year.
    capital: Decimal = Decimal()
    operating: Decimal = Decimal()
    gain: Decimal = Decimal()
    #: Of the investment, what the city pays: 0.4 is 40 %.
    public_share: Decimal = Decimal(1)


class Lever(msgspec.Struct, frozen=True, kw_only=True):
    """A policy: what it does to an option (all of them for ""), and what it costs the city a year."""

    scenario: str
    name: str
    option: str = ""
    #: By what it multiplies each of these.
    potential: float = 1.0
    innovation: float = 1.0
    imitation: float = 1.0
    capital: Decimal = Decimal(1)
    cost: Decimal = Decimal()
    since: int | None = None
    until: int | None = None


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """All that is assumed. `shares` say to which industries a sector's investment goes; a rest may be left,
    which is imported."""

    currency: str
    base_year: int
    until: int
    options: tuple[Option, ...]
    levers: tuple[Lever, ...] = ()
    convention: Convention
    multipliers: Multipliers | None = None
    shares: Mapping[tuple[str, str], float] = {}
    #: How much money of the table is 1 of the currency: 0.000001 where the table is in millions.
    table_unit: float = 1e-6

    @property
    def years(self) -> range:
        return range(self.base_year, self.until + 1)

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Without levers first."""
        return (AS_IT_IS, *dict.fromkeys(one.scenario for one in self.levers))


class OptionYear(msgspec.Struct, frozen=True):
    """An option in a year: whole adopters, and money in coins."""

    year: int
    adopters: int
    joined: int
    investment: Decimal
    operating: Decimal
    gains: Decimal
    #: What the city pays of the investment.
    public: Decimal


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of all options under the levers of one scenario."""

    name: str
    #: By option's code.
    options: Mapping[str, tuple[OptionYear, ...]]
    #: Cost of the levers by year.
    levers: tuple[Decimal, ...]
    npv: Decimal
    #: The one internal rate; None where there is none or are several.
    rate: float | None
    #: Years until the discounted flows have paid back.
    break_even: float | None
    #: What the investment of all years sets in motion; None without a table.
    effect: Effect | None

    @property
    def public(self) -> tuple[Decimal, ...]:
        """What the city's budget needs by year: its part of the investment, and the levers."""
        return tuple(
            lever + sum((years[place].public for years in self.options.values()), Decimal())
            for place, lever in enumerate(self.levers)
        )


def scenario(market: Market, name: str) -> Scenario:
    """One of the market's scenarios."""
    levers = [one for one in market.levers if one.scenario == name]
    years = {one.code: _option_years(market, one, levers) for one in market.options}
    lever_costs = tuple(
        sum((_cost_in(market, one, year) for one in levers), Decimal()) for year in market.years
    )
    flows = [
        sum(
            (one[place].gains - one[place].operating - one[place].investment for one in years.values()),
            Decimal(),
        )
        - lever_costs[place]
        for place in range(len(market.years))
    ]
    by = factors(market.convention, len(flows))
    with localcontext() as context:
        context.prec = PRECISION
        present = [flow * factor for flow, factor in zip(flows, by, strict=True)]
    rate = internal_rates(flows).one
    even = payback(present, market.convention.timing).years
    return Scenario(
        name=name,
        options=years,
        levers=lever_costs,
        npv=rounded(discounted(flows, by), market.currency),
        rate=None if rate is None else float(rate),
        break_even=None if even is None else round(float(even), 2),
        effect=_effect(market, years),
    )


def moved(option: Option, levers: Sequence[Lever]) -> Option:
    """The option under levers."""
    curve, capital = option.curve, option.capital
    for one in levers:
        if one.option in ("", option.code):
            curve = msgspec.structs.replace(
                curve,
                potential=curve.potential * one.potential,
                innovation=curve.innovation * one.innovation,
                imitation=curve.imitation * one.imitation,
                growth=curve.growth * one.imitation,
                # Steeper from the same beginning, so half is reached sooner.
                middle=curve.middle / one.imitation if one.imitation else curve.middle,
            )
            capital *= one.capital
    return msgspec.structs.replace(option, curve=curve, capital=capital)


def _option_years(market: Market, option: Option, levers: Sequence[Lever]) -> tuple[OptionYear, ...]:
    """At each year's end so many have adopted; they cost and bring something for the whole year.

    Who adopted before the base year is counted, and costs and brings nothing more: that is spent and gained
    whatever is decided now.
    """
    here = moved(option, levers)
    found = []
    before = start = round(option.curve.adopters(market.base_year - option.launch))
    for year in market.years:
        adopters = max(before, round(here.curve.adopters(year + 1 - here.launch)))
        investment = here.capital * (adopters - before) + (here.fixed if year == here.launch else 0)
        found.append(
            OptionYear(
                year,
                adopters,
                adopters - before,
                rounded(investment, market.currency),
                rounded(here.operating * (adopters - start), market.currency),
                rounded(here.gain * (adopters - start), market.currency),
                rounded(investment * here.public_share, market.currency),
            )
        )
        before = adopters
    return tuple(found)


def _cost_in(market: Market, lever: Lever, year: int) -> Decimal:
    since = market.base_year if lever.since is None else lever.since
    until = market.until if lever.until is None else lever.until
    return rounded(lever.cost, market.currency) if since <= year <= until else Decimal()


def _effect(market: Market, years: Mapping[str, tuple[OptionYear, ...]]) -> Effect | None:
    if market.multipliers is None:
        return None
    spending: dict[str, float] = {}
    for option in market.options:
        invested = float(sum((one.investment for one in years[option.code]), Decimal())) * market.table_unit
        left = 1.0
        for (sector, industry), share in market.shares.items():
            if sector == option.sector:
                spending[industry] = spending.get(industry, 0.0) + invested * share
                left -= share
        spending[""] = spending.get("", 0.0) + invested * left
    return effect(market.multipliers, spending)


def check_market(market: Market) -> None:
    """Raises BadInput naming what cannot be."""
    if not 0 <= market.until - market.base_year < MOST_YEARS:
        hint = Worded("The last year is the base year or later, by less than %(most)s.", most=MOST_YEARS)
        raise BadInput(Worded("These years cannot be looked at"), hint=hint, where="until")
    if not market.options:
        hint = Worded("Write down at least one technology.")
        raise BadInput(Worded("There are no options"), hint=hint, where="options")
    codes = [one.code for one in market.options]
    for place, one in enumerate(market.options):
        check_curve(one.curve, f"options.{place}")
        if codes.count(one.code) > 1 or not 0 <= one.public_share <= 1:
            raise BadInput(
                Worded("This option cannot be"),
                hint=Worded("Give it a code of its own, and the city a share between 0 and 100 %%."),
                where=f"options.{place}",
            )
    for place, lever in enumerate(market.levers):
        by = (lever.potential, lever.innovation, lever.imitation, float(lever.capital))
        if lever.option not in ("", *codes) or not all(0 <= one <= 100 for one in by) or lever.cost < 0:
            raise BadInput(
                Worded("This lever moves nothing"),
                hint=Worded("Name an option by its code, and multiply by 0 to 100."),
                where=f"levers.{place}",
            )
    for sector in {one.sector for one in market.options}:
        if sum(share for (of, _), share in market.shares.items() if of == sector) > 1 + 1e-9:
            raise BadInput(
                Worded("More than all of %(sector)s's investment is shared out", sector=sector),
                hint=Worded("The shares of a sector add up to 100 %% at most."),
                where="spending",
            )
