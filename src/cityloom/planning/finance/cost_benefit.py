"""A cost-benefit analysis as it is shown: its figures, tables, drawings, and how they were reckoned. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from cityloom.kernel.worded import Worded
from cityloom.planning.finance.appraisal import Appraisal, Payback, appraise
from cityloom.planning.finance.cash_flows import Analysis, Kind
from cityloom.planning.finance.discounting import Basis, Timing
from cityloom.planning.finance.outcome import (
    Bars,
    Column,
    Curves,
    Drawing,
    Figure,
    Outcome,
    Reach,
    Series,
    Table,
    Tornado,
    Unit,
)
from cityloom.planning.finance.sensitivity import DISCOUNT_RATE, Swing, tornado
from cityloom.planning.finance.simulation import Simulation, simulate

KINDS = {
    Kind.CAPITAL: Worded("Capital"),
    Kind.OPERATING: Worded("Operation"),
    Kind.BENEFIT: Worded("Benefit"),
    Kind.REVENUE: Worded("Revenue"),
    Kind.RESIDUAL: Worded("Residual value"),
}
TIMINGS = {
    Timing.YEAR_ZERO: Worded(
        "The base year counts in full; a later year is discounted by its distance to it."
    ),
    Timing.MID_YEAR: Worded(
        "Flows lie in the middle of their year, seen from the beginning of the base year."
    ),
    Timing.YEAR_END: Worded("Flows lie at the end of their year, seen from the beginning of the base year."),
}
#: Inputs that the drawing of the tornado shows.
_DRAWN = 12


def cost_benefit(analysis: Analysis) -> Outcome:
    """All that follows from an analysis alone."""
    found = appraise(analysis)
    swings = tornado(analysis)
    spread = simulate(analysis)
    tables = [_by_year(found), _by_item(found), _by_group(found), _tornado(analysis, swings)]
    drawings: list[Drawing] = [*_flows(found), _drawn_tornado(found, analysis, swings)]
    if spread is not None:
        tables += [_percentiles(spread), _histogram(spread), _drivers(analysis, spread)]
        drawings.append(_drawn_histogram(spread))
    return Outcome(
        currency=analysis.currency,
        figures=(*_figures(found), *_spread_figures(spread)),
        tables=tuple(tables),
        drawings=tuple(drawings),
        notes=tuple(_notes(analysis, spread)),
        warnings=tuple(_warnings(found, spread)),
    )


def _figures(found: Appraisal) -> Iterator[Figure]:
    yield Figure("npv", Worded("Net present value"), found.npv)
    yield Figure("costs", Worded("Present value of costs"), found.costs)
    yield Figure("gains", Worded("Present value of gains"), found.gains)
    yield Figure("benefit_cost_ratio", Worded("Benefit-cost ratio"), _number(found.ratio), Unit.NUMBER)
    yield Figure(
        "npv_per_capital",
        Worded("Return per unit of capital"),
        _number(found.per_capital),
        Unit.NUMBER,
        Worded("Present value of everything but capital, over that of capital."),
    )
    yield _rate_figure(found)
    yield _payback_figure("payback", Worded("Payback"), found.payback)
    yield _payback_figure("discounted_payback", Worded("Discounted payback"), found.discounted_payback)


def _rate_figure(found: Appraisal) -> Figure:
    label, rates = Worded("Internal rate of return"), found.rates
    if rates.one is not None:
        note = ""
        if rates.sign_changes > 1:
            note = Worded(
                "The flows change sign %(count)s times; this is the only rate.", count=rates.sign_changes
            )
        return Figure("irr", label, _number(rates.one), Unit.SHARE, note)
    if not rates.rates:
        why = Worded("There is none: at no rate are the flows worth nothing.")
        if not rates.sign_changes:
            why = Worded("There is none: the flows never change sign.")
        return Figure("irr", label, None, Unit.SHARE, why)
    every = ", ".join(f"{float(one) * 100:.4g} %" for one in rates.rates)
    why = Worded(
        "There are several (%(rates)s), since the flows change sign %(count)s times: none of them judges the "
        "plan. Go by the net present value.",
        rates=every,
        count=rates.sign_changes,
    )
    return Figure("irr", label, None, Unit.SHARE, why)


def _payback_figure(key: str, label: str, found: Payback) -> Figure:
    note = ""
    if found.years is None:
        note = Worded("Not within the years that are looked at.")
    elif found.lost_again:
        note = Worded("Later flows bring the sum below 0 again.")
    return Figure(key, label, _number(found.years), Unit.YEARS, note)


def _spread_figures(spread: Simulation | None) -> Iterator[Figure]:
    if spread is None:
        return
    yield Figure(
        "probability_below_zero",
        Worded("Probability that it is worth less than nothing"),
        spread.below_zero,
        Unit.SHARE,
        Worded("Of %(runs)s runs with the seed %(seed)s.", runs=f"{spread.runs:,}", seed=spread.seed),
    )


def _by_year(found: Appraisal) -> Table:
    columns = (
        Column("year", Worded("Year"), Unit.YEAR),
        Column("capital", Worded("Capital"), Unit.MONEY),
        Column("operating", Worded("Operation"), Unit.MONEY),
        Column("gains", Worded("Gains"), Unit.MONEY),
        Column("net", Worded("Net"), Unit.MONEY),
        Column("factor", Worded("Factor"), Unit.FACTOR),
        Column("present", Worded("Present value"), Unit.MONEY),
        Column("cumulated", Worded("Sum of present values"), Unit.MONEY),
    )
    rows = tuple(
        (
            one.year,
            one.capital,
            one.operating,
            one.gains,
            one.net,
            round(float(one.factor), 6),
            one.present,
            one.cumulated_present,
        )
        for one in found.years
    )
    foot = (
        Worded("Sum"),
        sum((one.capital for one in found.years), Decimal()),
        sum((one.operating for one in found.years), Decimal()),
        sum((one.gains for one in found.years), Decimal()),
        sum((one.net for one in found.years), Decimal()),
        None,
        found.npv,
        None,
    )
    return Table("years", Worded("Flows by year"), columns, rows, foot)


def _by_item(found: Appraisal) -> Table:
    columns = (
        Column("item", Worded("Item")),
        Column("kind", Worded("Kind")),
        Column("group", Worded("Group")),
        Column("undiscounted", Worded("Undiscounted"), Unit.MONEY),
        Column("present", Worded("Present value"), Unit.MONEY),
    )
    rows = tuple(
        (
            one.item.name,
            KINDS[one.item.kind],
            one.item.group,
            one.item.sign * sum(one.item.amounts.values(), Decimal()),
            one.signed,
        )
        for one in found.items
    )
    total = sum((row[3] for row in rows), Decimal())
    return Table(
        "items", Worded("Costs and gains"), columns, rows, (Worded("Sum"), None, None, total, found.npv)
    )


def _by_group(found: Appraisal) -> Table:
    columns = (
        Column("group", Worded("Group")),
        Column("costs", Worded("Bears"), Unit.MONEY),
        Column("gains", Worded("Gains"), Unit.MONEY),
        Column("net", Worded("Net"), Unit.MONEY),
        Column("share_costs", Worded("Share of the costs"), Unit.SHARE),
        Column("share_gains", Worded("Share of the gains"), Unit.SHARE),
    )
    rows = tuple(
        (
            one.group,
            one.costs,
            one.gains,
            one.net,
            _share(one.costs, found.costs),
            _share(one.gains, found.gains),
        )
        for one in found.groups
    )
    foot = (Worded("Sum"), found.costs, found.gains, found.npv, None, None)
    return Table("groups", Worded("Who bears and who gains, as present values"), columns, rows, foot)


def _tornado(analysis: Analysis, swings: tuple[Swing, ...]) -> Table:
    percent = f"{float(analysis.swing) * 100:g}"
    columns = (
        Column("input", Worded("Input")),
        Column(
            "low", Worded("Net present value with %(percent)s %% less of it", percent=percent), Unit.MONEY
        ),
        Column(
            "high", Worded("Net present value with %(percent)s %% more of it", percent=percent), Unit.MONEY
        ),
        Column("switching", Worded("Worth nothing when multiplied by"), Unit.NUMBER),
        Column("away", Worded("Change that takes it there"), Unit.SHARE),
    )
    rows = tuple(
        (
            _input(analysis, one.code),
            one.low,
            one.high,
            _number(one.switching),
            None if one.switching is None else _number(one.switching - 1),
        )
        for one in swings
    )
    return Table("tornado", Worded("What the result hangs on"), columns, rows)


def _percentiles(spread: Simulation) -> Table:
    columns = (
        Column("percentile", Worded("Share of the runs below it"), Unit.SHARE),
        Column("npv", Worded("Net present value"), Unit.NUMBER),
    )
    rows = tuple((share / 100, round(value, 2)) for share, value in spread.percentiles.items())
    return Table("percentiles", Worded("Intervals of the net present value"), columns, rows)


def _histogram(spread: Simulation) -> Table:
    columns = (
        Column("from", Worded("From"), Unit.NUMBER),
        Column("to", Worded("To"), Unit.NUMBER),
        Column("runs", Worded("Runs"), Unit.NUMBER),
    )
    rows = tuple(
        (round(low, 2), round(high, 2), count)
        for low, high, count in zip(spread.edges, spread.edges[1:], spread.counts, strict=False)
    )
    return Table("histogram", Worded("Net present values of all runs"), columns, rows)


def _drivers(analysis: Analysis, spread: Simulation) -> Table:
    columns = (
        Column("input", Worded("Input")),
        Column("correlation", Worded("Rank correlation with the result"), Unit.NUMBER),
    )
    rows = tuple((_input(analysis, code), round(value, 3)) for code, value in spread.drivers)
    return Table("drivers", Worded("Where the uncertainty comes from"), columns, rows)


def _flows(found: Appraisal) -> Iterator[Drawing]:
    categories = tuple(str(one.year) for one in found.years)
    yield Bars(
        title=Worded("Flows by year and the sum of their present values"),
        table="years",
        categories=categories,
        series=(
            Series(Worded("Capital"), tuple(-float(one.capital) for one in found.years)),
            Series(Worded("Operation"), tuple(-float(one.operating) for one in found.years)),
            Series(Worded("Gains"), tuple(float(one.gains) for one in found.years)),
        ),
        stacked=True,
        line=Series(
            Worded("Sum of present values"), tuple(float(one.cumulated_present) for one in found.years)
        ),
    )
    yield Bars(
        title=Worded("Who bears and who gains, as present values"),
        table="groups",
        categories=tuple(one.group for one in found.groups),
        series=(
            Series(Worded("Bears"), tuple(-float(one.costs) for one in found.groups)),
            Series(Worded("Gains"), tuple(float(one.gains) for one in found.groups)),
        ),
        stacked=True,
    )


def _drawn_tornado(found: Appraisal, analysis: Analysis, swings: tuple[Swing, ...]) -> Tornado:
    return Tornado(
        title=Worded(
            "Net present value when one input moves by %(percent)s %%",
            percent=f"{float(analysis.swing) * 100:g}",
        ),
        table="tornado",
        middle=float(found.npv),
        rows=tuple(
            Reach(_input(analysis, one.code), float(one.low), float(one.high)) for one in swings[:_DRAWN]
        ),
    )


def _drawn_histogram(spread: Simulation) -> Curves:
    middles = tuple((low + high) / 2 for low, high in zip(spread.edges, spread.edges[1:], strict=False))
    return Curves(
        title=Worded("Net present values of all runs"),
        table="histogram",
        across=middles,
        series=(Series(Worded("Runs"), tuple(float(one) for one in spread.counts)),),
        across_label=Worded("Net present value"),
        up_label=Worded("Runs"),
    )


def _notes(analysis: Analysis, spread: Simulation | None) -> Iterator[str]:
    convention = analysis.convention
    yield Worded("Discounted by: %(title)s.", title=convention.title)
    if convention.source:
        yield Worded("Source: %(source)s.", source=convention.source)
    yield Worded(
        "Rates a year: %(rates)s.",
        rates=", ".join(f"{float(one.rate) * 100:g} % ({one.since}+)" for one in convention.rates),
    )
    yield TIMINGS[convention.timing]
    yield _prices(analysis)
    yield Worded(
        "The exact net present value is rounded once; the tables are rounded so that they add up to it."
    )
    yield Worded("Residual value counts as a gain, so it stands above the line of the benefit-cost ratio.")
    if spread is not None:
        yield Worded(
            "The runs draw each uncertain input by itself, independent of the others. The same seed gives "
            "the same runs."
        )


def _prices(analysis: Analysis) -> str:
    inflation = analysis.inflation
    if analysis.prices is Basis.REAL and analysis.convention.basis is Basis.REAL:
        return Worded("Amounts are in the prices of %(year)s, and rates are real.", year=analysis.base_year)
    if analysis.prices is analysis.convention.basis or inflation is None:
        return Worded("Amounts are in the prices of each year, and rates are nominal.")
    percent = f"{float(inflation) * 100:g}"
    if analysis.prices is Basis.NOMINAL:
        return Worded(
            "Amounts are in the prices of each year; real rates were made nominal with an inflation of "
            "%(percent)s %% a year.",
            percent=percent,
        )
    return Worded(
        "Amounts are in the prices of %(year)s; nominal rates were made real with an inflation of "
        "%(percent)s %% a year.",
        year=analysis.base_year,
        percent=percent,
    )


def _warnings(found: Appraisal, spread: Simulation | None) -> Iterator[str]:
    if not found.gains:
        yield Worded("There are no gains: only costs are compared.")
    if not found.costs:
        yield Worded("There are no costs.")
    losers = [one.group for one in found.groups if one.net < 0]
    if found.npv > 0 and losers:
        yield Worded(
            "It is worth while as a whole, and these groups lose: %(groups)s.", groups=", ".join(losers)
        )
    if spread is None:
        yield Worded("No input is said to be uncertain, so nothing is known of the risk.")


def _input(analysis: Analysis, code: str) -> str:
    if code == DISCOUNT_RATE:
        return Worded("Discount rate")
    return next(one.name for one in analysis.items if one.code == code)


def _number(value: Any) -> float | None:
    return None if value is None else round(float(value), 6)


def _share(part: Decimal, whole: Decimal) -> float | None:
    return round(float(part / whole), 6) if whole else None
