"""Scenarios of a technology's adoption as they are shown: curves, investment by sector, budget. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from cityloom.kernel.worded import Worded
from cityloom.planning.finance.adoption import Fit, Form
from cityloom.planning.finance.adoption_scenarios import AS_IT_IS, Market, Scenario, check_market, scenario
from cityloom.planning.finance.outcome import (
    Bars,
    Cell,
    Column,
    Curves,
    Figure,
    Outcome,
    Series,
    Table,
    Unit,
)


def adoption(
    market: Market,
    fits: Mapping[str, Fit] | None = None,
    counted: Mapping[str, Mapping[int, float]] | None = None,
) -> Outcome:
    """All scenarios side by side. `fits` and `counted` (by year's end) are by option's code, where fitted."""
    check_market(market)
    every = [scenario(market, name) for name in market.scenarios]
    first = every[0]
    fits = fits or {}
    tables = [
        _scenarios_table(every),
        _sectors_table(market, every),
        _adopters_table(market, every),
        _budget_table(market, every),
    ]
    if fits:
        tables.append(_fits_table(market, fits))
    if market.multipliers is not None:
        tables.append(_effects_table(every))
    return Outcome(
        currency=market.currency,
        figures=tuple(_figures(first)),
        tables=tuple(tables),
        drawings=(*_curves(market, every, counted or {}), _budget(market, every), _sectors(market, every)),
        notes=tuple(_notes(market)),
        warnings=tuple(_warnings(market, every, fits)),
    )


def _title(name: str) -> str:
    return Worded("Without levers") if name == AS_IT_IS else name


def _figures(first: Scenario) -> Iterator[Figure]:
    invested = _invested(first)
    yield Figure("invested", Worded("Investment without levers"), invested)
    yield Figure("budget", Worded("Of it from the city's budget"), sum(first.public, Decimal()))
    yield Figure("npv", Worded("Net present value"), first.npv)
    yield Figure(
        "break_even",
        Worded("Break-even"),
        first.break_even,
        Unit.YEARS,
        "" if first.break_even is not None else Worded("Not within the years that are looked at."),
    )


def _invested(found: Scenario) -> Decimal:
    return sum((one.investment for years in found.options.values() for one in years), Decimal())


def _scenarios_table(every: Sequence[Scenario]) -> Table:
    columns = (
        Column("scenario", Worded("Scenario")),
        Column("adopters", Worded("Adopters at the end"), Unit.NUMBER),
        Column("invested", Worded("Investment"), Unit.MONEY),
        Column("budget", Worded("From the city's budget"), Unit.MONEY),
        Column("npv", Worded("Net present value"), Unit.MONEY),
        Column("rate", Worded("Internal rate of return"), Unit.SHARE),
        Column("break_even", Worded("Break-even"), Unit.YEARS),
        Column("viable", Worded("Viable")),
    )
    rows = tuple(
        (
            _title(one.name),
            sum(years[-1].adopters for years in one.options.values()),
            _invested(one),
            sum(one.public, Decimal()),
            one.npv,
            one.rate,
            one.break_even,
            Worded("yes") if one.npv >= 0 else Worded("no"),
        )
        for one in every
    )
    return Table("scenarios", Worded("Scenarios side by side"), columns, rows)


def _sector_rows(market: Market, found: Scenario) -> Iterator[tuple[str, Decimal, Decimal, Decimal]]:
    for sector in dict.fromkeys(one.sector for one in market.options):
        years = [line for one in market.options if one.sector == sector for line in found.options[one.code]]
        yield (
            sector,
            sum((one.investment for one in years), Decimal()),
            sum((one.public for one in years), Decimal()),
            sum((one.gains - one.operating - one.investment for one in years), Decimal()),
        )


def _sectors_table(market: Market, every: Sequence[Scenario]) -> Table:
    columns = (
        Column("scenario", Worded("Scenario")),
        Column("sector", Worded("Service sector")),
        Column("invested", Worded("Investment"), Unit.MONEY),
        Column("budget", Worded("From the city's budget"), Unit.MONEY),
        Column("net", Worded("Net over all years"), Unit.MONEY),
    )
    rows = tuple((_title(one.name), *row) for one in every for row in _sector_rows(market, one))
    return Table("sectors", Worded("Investment by service sector"), columns, rows)


def _adopters_table(market: Market, every: Sequence[Scenario]) -> Table:
    columns = (
        Column("year", Worded("Year"), Unit.YEAR),
        *(
            Column(f"{place}_{option.code}", _series_name(market, one.name, option.name), Unit.NUMBER)
            for place, one in enumerate(every)
            for option in market.options
        ),
    )
    rows = tuple(
        (year, *(one.options[option.code][at].adopters for one in every for option in market.options))
        for at, year in enumerate(market.years)
    )
    return Table("adopters", Worded("Adopters at each year's end"), columns, rows)


def _series_name(market: Market, scenario_name: str, option: str) -> str:
    if len(market.scenarios) == 1:
        return option
    if scenario_name == AS_IT_IS:
        return Worded("%(option)s, without levers", option=option)
    return f"{option}, {scenario_name}"


def _budget_table(market: Market, every: Sequence[Scenario]) -> Table:
    columns = (
        Column("year", Worded("Year"), Unit.YEAR),
        *(Column(f"scenario_{place}", _title(one.name), Unit.MONEY) for place, one in enumerate(every)),
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (year, *(one.public[at] for one in every)) for at, year in enumerate(market.years)
    )
    foot: tuple[Cell, ...] = (Worded("Sum"), *(sum(one.public, Decimal()) for one in every))
    return Table("budget", Worded("What the city's budget needs: investment and levers"), columns, rows, foot)


def _fits_table(market: Market, fits: Mapping[str, Fit]) -> Table:
    columns = (
        Column("option", Worded("Option")),
        Column("parameter", Worded("Parameter")),
        Column("value", Worded("Value"), Unit.NUMBER),
        Column("error", Worded("Standard error"), Unit.NUMBER),
        Column("explained", Worded("Variance explained"), Unit.SHARE),
        Column("counts", Worded("Counts"), Unit.NUMBER),
    )
    names = {one.code: one.name for one in market.options}
    rows = tuple(
        (
            names[code],
            _PARAMETERS[parameter],
            float(f"{getattr(one.curve, parameter):.6g}"),
            float(f"{error:.3g}"),
            round(one.explained, 4),
            one.counts,
        )
        for code, one in fits.items()
        for parameter, error in one.errors.items()
    )
    return Table("fits", Worded("Curves fitted to what was counted"), columns, rows)


_PARAMETERS = {
    "potential": Worded("potential"),
    "innovation": Worded("innovation p"),
    "imitation": Worded("imitation q"),
    "growth": Worded("growth a year"),
    "middle": Worded("years until half"),
}


def _effects_table(every: Sequence[Scenario]) -> Table:
    columns = (
        Column("scenario", Worded("Scenario")),
        Column("output", Worded("Output set in motion"), Unit.NUMBER),
        Column("value_added", Worded("Value added"), Unit.NUMBER),
        Column("jobs", Worded("Person-years of work"), Unit.NUMBER),
        Column("leaked", Worded("Spent outside the table"), Unit.NUMBER),
    )
    rows = tuple(
        (
            _title(one.name),
            round(one.effect.output, 3),
            round(one.effect.value_added, 3),
            round(one.effect.jobs, 1),
            round(one.effect.leaked, 3),
        )
        for one in every
        if one.effect is not None
    )
    return Table(
        "effects", Worded("What the investment sets in motion, in money of the table"), columns, rows
    )


def _curves(
    market: Market, every: Sequence[Scenario], counted: Mapping[str, Mapping[int, float]]
) -> Iterator[Curves]:
    for option in market.options:
        observed = counted.get(option.code)
        years = sorted({*market.years, *(observed or ())})
        yield Curves(
            title=Worded("Adopters of %(option)s", option=option.name),
            table="adopters",
            across=tuple(map(float, years)),
            series=tuple(
                Series(_title(one.name), tuple(_levels(one, option.code).get(year) for year in years))
                for one in every
            ),
            across_label=Worded("Year"),
            up_label=Worded("Adopters"),
            observed=Series(Worded("Counted"), tuple(observed.get(year) for year in years))
            if observed
            else None,
        )


def _levels(found: Scenario, code: str) -> dict[int, float]:
    return {one.year: float(one.adopters) for one in found.options[code]}


def _budget(market: Market, every: Sequence[Scenario]) -> Bars:
    return Bars(
        title=Worded("What the city's budget needs by year"),
        table="budget",
        categories=tuple(map(str, market.years)),
        series=tuple(Series(_title(one.name), tuple(map(float, one.public))) for one in every),
    )


def _sectors(market: Market, every: Sequence[Scenario]) -> Bars:
    sectors = [row[0] for row in _sector_rows(market, every[0])]
    return Bars(
        title=Worded("Investment by service sector"),
        table="sectors",
        categories=tuple(sectors),
        series=tuple(
            Series(_title(one.name), tuple(float(row[1]) for row in _sector_rows(market, one)))
            for one in every
        ),
    )


def _notes(market: Market) -> Iterator[str]:
    if any(one.curve.form is Form.BASS for one in market.options):
        yield Worded(
            "Bass: of those who have not adopted, a share of p and q times the share of those who have "
            "adopts at any time."
        )
    if any(one.curve.form is Form.LOGISTIC for one in market.options):
        yield Worded("Logistic: growth is proportional to those who have adopted and those who still may.")
    yield Worded("Who adopted before the base year is counted, and neither costs nor brings anything here.")
    yield Worded("Adopters are whole; who adopts in a year costs and brings something for the whole of it.")
    yield Worded("Discounted at %(rate)s %% a year.", rate=f"{float(market.convention.rate_of(1)) * 100:g}")
    if market.multipliers is not None:
        yield Worded(
            "Set in motion: Leontief's inverse of the city's table times the investment by industry. It "
            "counts what suppliers buy, and no wages spent again."
        )


def _warnings(market: Market, every: Sequence[Scenario], fits: Mapping[str, Fit]) -> Iterator[str]:
    names = {one.code: one.name for one in market.options}
    for code, one in fits.items():
        if not one.peak_was_seen:
            yield Worded(
                "%(option)s: the counts end before most adopt, so that the fitted potential is a guess.",
                option=names[code],
            )
    if all(one.npv < 0 for one in every):
        yield Worded("No scenario is viable.")
    best = max(every, key=lambda one: one.npv)
    if len(every) > 1 and best.name == AS_IT_IS:
        yield Worded("No set of levers is worth more than none.")
