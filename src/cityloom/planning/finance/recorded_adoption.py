"""Scenarios of adoption from their record: curves fitted where there are counts, assumed otherwise. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.adoption import FEWEST, Curve, Fit, Form, fit
from cityloom.planning.finance.adoption_outcome import adoption
from cityloom.planning.finance.adoption_scenarios import Lever, Market, Option
from cityloom.planning.finance.input_output import Industry, Multipliers, multipliers
from cityloom.planning.finance.outcome import Outcome
from cityloom.planning.finance.recorded import (
    Values,
    amount,
    convention_of,
    currency_of,
    number,
    rows,
    share,
)


def adoption_of(values: Values) -> Outcome:
    """What follows from a record of adoption. Raises BadInput naming the field."""
    counted = _counted(values)
    fits = {
        row["code"]: _fitted(row, counted[row["code"]])
        for row in rows(values, "options")
        if len(counted.get(row["code"], {})) >= FEWEST
    }
    market = Market(
        currency=currency_of(values),
        base_year=int(values["baseYear"]),
        until=int(values["until"]),
        options=tuple(_option(row, fits.get(row["code"])) for row in rows(values, "options")),
        levers=tuple(_lever(row) for row in rows(values, "levers", needed=False)),
        convention=convention_of(values),
        multipliers=_multipliers(values),
        shares=_shares(values),
        table_unit=1 / float(values.get("tableUnit", 1e6)),
    )
    return adoption(market, fits, {code: counted[code] for code in fits})


def _counted(values: Values) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for row in rows(values, "counts", needed=False):
        found.setdefault(row.get("option", ""), {})[int(row["year"])] = row["adopters"]
    return found


def _fitted(row: Values, counted: Mapping[int, float]) -> Fit:
    """Of counts at the end of years; the launch is at the beginning of its year."""
    years = sorted(counted)
    times = [year + 1 - row["launch"] for year in years]
    return fit(Form(row["form"]), times, [counted[year] for year in years])


def _option(row: Values, fitted: Fit | None) -> Option:
    return Option(
        code=row["code"],
        name=row["title"],
        sector=row["sector"],
        curve=fitted.curve if fitted is not None else _assumed(row),
        launch=int(row["launch"]),
        fixed=amount(row, "fixed"),
        capital=amount(row, "capital"),
        operating=amount(row, "operating"),
        gain=amount(row, "gain"),
        public_share=share(row, "publicShare", 100.0),
    )


def _assumed(row: Values) -> Curve:
    form = Form(row["form"])
    needed = (
        ("potential", "innovation", "imitation") if form is Form.BASS else ("potential", "growth", "middle")
    )
    missing = [name for name in needed if name not in row]
    if missing:
        raise BadInput(
            Worded(
                "The curve of %(option)s lacks %(fields)s", option=row["title"], fields=", ".join(missing)
            ),
            hint=Worded("Enter what is assumed, or five counts or more."),
            where="options",
        )
    return Curve(form=form, **{name: float(row[name]) for name in needed})


def _lever(row: Values) -> Lever:
    return Lever(
        scenario=row["scenario"],
        name=row["lever"],
        option=row.get("option", ""),
        potential=row.get("potential", 1.0),
        innovation=row.get("innovation", 1.0),
        imitation=row.get("imitation", 1.0),
        capital=number(row, "capital", 1.0),
        cost=amount(row, "cost"),
        since=int(row["since"]) if "since" in row else None,
        until=int(row["until"]) if "until" in row else None,
    )


def _multipliers(values: Values) -> Multipliers | None:
    industries = [
        Industry(
            name=row["industry"],
            output=row["output"],
            value_added=row.get("valueAdded", 0.0),
            jobs=row.get("jobs", 0.0),
        )
        for row in rows(values, "industries", needed=False)
    ]
    if not industries:
        return None
    sales: dict[tuple[str, str], float] = {}
    for row in rows(values, "sales", needed=False):
        pair = (row["seller"], row["buyer"])
        sales[pair] = sales.get(pair, 0.0) + row["amount"]
    return multipliers(industries, sales)


def _shares(values: Values) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], Decimal] = {}
    for row in rows(values, "spending", needed=False):
        pair = (row["sector"], row["industry"])
        found[pair] = found.get(pair, Decimal()) + share(row, "share")
    return {pair: float(one) for pair, one in found.items()}
