"""A cost-benefit analysis from its record. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from cityloom.planning.finance.cash_flows import Analysis, Item, Kind, Shape, Spread, check_analysis
from cityloom.planning.finance.definition import Line, amounts_of
from cityloom.planning.finance.discounting import Basis
from cityloom.planning.finance.recorded import (
    Values,
    amount,
    convention_of,
    currency_of,
    number,
    rows,
    share,
)

#: Runs and swing where a record says none.
_RUNS, _SWING = 10_000, 10.0


def analysis_of(values: Values) -> Analysis:
    """The analysis that a record says. Raises BadInput naming the field."""
    currency, base_year, until = currency_of(values), int(values["baseYear"]), int(values["until"])
    spreads = {one["item"]: _spread(one) for one in rows(values, "uncertainty", needed=False)}
    span = Span(base_year, until, currency)
    items = [*_items(values, span), *_benefits(values, span)]
    return check_analysis(
        Analysis(
            name=str(next(iter(values["name"].values()), "")),
            currency=currency,
            base_year=base_year,
            until=until,
            items=tuple(msgspec.structs.replace(one, spread=spreads.get(one.name)) for one in _merged(items)),
            convention=convention_of(values),
            prices=Basis(values.get("prices", Basis.REAL)),
            inflation=share(values, "inflation") if "inflation" in values else None,
            runs=int(values.get("runs", _RUNS)),
            seed=int(values.get("seed", 0)),
            swing=share(values, "swing", _SWING),
        )
    )


class Span(msgspec.Struct, frozen=True):
    """The years of an analysis, and its currency."""

    base_year: int
    until: int
    currency: str


def _items(values: Values, span: Span) -> Iterable[Item]:
    for place, row in enumerate(rows(values, "items", needed="benefits" not in values)):
        line = Line(
            code=row["item"],
            kind=Kind(row["kind"]),
            group=row["group"],
            amount=amount(row, "amount"),
            since=_year(row, "since"),
            until=_year(row, "until"),
            growth=share(row, "growth"),
        )
        yield _item(line, row["item"], span, f"items.{place}")


def _benefits(values: Values, span: Span) -> Iterable[Item]:
    for place, row in enumerate(rows(values, "benefits", needed=False)):
        line = Line(
            code=f"benefit {place + 1}",
            kind=Kind.BENEFIT,
            group=row["group"],
            since=_year(row, "since"),
            until=_year(row, "until"),
            growth=share(row, "growth"),
            indicator=row.get("indicator", ""),
            unit_value=amount(row, "unitValue"),
            change=number(row, "change"),
            baseline=number(row, "baseline") if "baseline" in row else None,
        )
        yield _item(line, row["item"], span, f"benefits.{place}")


def _item(line: Line, name: str, span: Span, where: str) -> Item:
    return Item(
        code=line.code,
        name=name,
        kind=line.kind,
        group=line.group,
        amounts=amounts_of(line, span.base_year, span.until, span.currency, where),
        indicator=line.indicator,
        unit_value=line.unit_value,
        change=None if line.change is None else float(line.change),
        baseline=None if line.baseline is None else float(line.baseline),
    )


def _merged(items: Iterable[Item]) -> Iterable[Item]:
    """Rows of one name, kind and group as one item; benefits with an indicator stay apart."""
    found: dict[tuple[str, ...], Item] = {}
    for one in items:
        apart = one.code if one.unit_value is not None else ""
        key = (one.name, one.kind, one.group, apart)
        before: Mapping[int, Decimal] = found[key].amounts if key in found else {}
        years = sorted({*before, *one.amounts})
        amounts = {year: before.get(year, Decimal()) + one.amounts.get(year, Decimal()) for year in years}
        found[key] = msgspec.structs.replace(
            one, code=f"{len(found)}" if key not in found else found[key].code, amounts=amounts
        )
    return found.values()


def _spread(row: Values) -> Spread:
    def part(name: str) -> float | None:
        return row[name] / 100 if name in row else None

    return Spread(
        shape=Shape(row["shape"]),
        low=part("low"),
        likely=part("likely") or 1.0,
        high=part("high"),
        deviation=part("deviation"),
    )


def _year(row: Values, name: str) -> int | None:
    return int(row[name]) if name in row else None
