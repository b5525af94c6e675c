"""What a service really costs, line by line, and what each tariff covers of it. Pure, exact to the coin."""

from __future__ import annotations

from decimal import Decimal, localcontext

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.outcome import Bars, Column, Figure, Outcome, Series, Table, Unit
from cityloom.planning.finance.sums import PRECISION, rounded, rounded_together


class CostLine(msgspec.Struct, frozen=True, kw_only=True):
    """A cost: `amount` a year, or capital to be spread over `life` years; `part` of it is this service's."""

    name: str
    amount: Decimal
    #: 0.3: the service has 30 % of what is shared with others.
    part: Decimal = Decimal(1)
    #: Years over which capital is spread; 0 for what is a cost of the year.
    life: int = 0


class Tariff(msgspec.Struct, frozen=True, kw_only=True):
    """What a group of customers pays for a unit, and how many units it takes a year."""

    name: str
    price: Decimal
    units: Decimal


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """A service with its costs and tariffs. `unit` is what is sold: a trip, a cubic metre."""

    currency: str
    unit: str
    costs: tuple[CostLine, ...]
    tariffs: tuple[Tariff, ...]
    #: On capital, a year: 0.03 is 3 %.
    interest: Decimal = Decimal()


def yearly_cost(line: CostLine, interest: Decimal) -> Decimal:
    """The service's part of a year, unrounded; capital as an annuity paid at each year's end."""
    with localcontext() as context:
        context.prec = PRECISION
        own = line.amount * line.part
        if not line.life:
            return own
        if not interest:
            return own / line.life
        return own * interest / (1 - (1 + interest) ** -line.life)


def tariff_build_up(priced: Priced) -> Outcome:
    """The cost of a unit, line by line, and what each tariff covers."""
    _check(priced)
    exact = [yearly_cost(one, priced.interest) for one in priced.costs]
    costs = rounded_together(exact, priced.currency)
    whole = sum(costs, Decimal())
    units = sum((one.units for one in priced.tariffs), Decimal())
    income = sum((_income(priced, one) for one in priced.tariffs), Decimal())
    return Outcome(
        currency=priced.currency,
        figures=(
            Figure("cost", Worded("Cost a year"), whole),
            Figure("income", Worded("Income a year"), income),
            Figure("unit_cost", Worded("Cost of a unit"), _per(whole, units), Unit.NUMBER),
            Figure("coverage", Worded("Covered by tariffs"), _per(income, whole), Unit.SHARE),
            Figure("gap", Worded("Paid by others a year"), whole - income),
        ),
        tables=(_costs_table(priced, costs, units), _tariffs_table(priced, whole, units)),
        drawings=(
            Bars(
                title=Worded("What the price of a unit is made of"),
                table="costs",
                categories=tuple(one.name for one in priced.costs),
                series=(Series(Worded("Cost of a unit"), tuple(_per(one, units) or 0.0 for one in costs)),),
            ),
        ),
        notes=(
            Worded(
                "Capital is spread as an annuity: the same amount each year over its life, with %(rate)s %% "
                "interest.",
                rate=f"{float(priced.interest) * 100:g}",
            ),
            Worded("A unit is: %(unit)s. Yearly costs are rounded so that they add up.", unit=priced.unit),
        ),
        warnings=tuple(_warnings(priced, whole, units, income)),
    )


def _costs_table(priced: Priced, costs: tuple[Decimal, ...], units: Decimal) -> Table:
    columns = (
        Column("line", Worded("Cost")),
        Column("part", Worded("Part of this service"), Unit.SHARE),
        Column("year", Worded("A year"), Unit.MONEY),
        Column("unit", Worded("A unit"), Unit.NUMBER),
        Column("share", Worded("Share"), Unit.SHARE),
    )
    whole = sum(costs, Decimal())
    rows = tuple(
        (line.name, float(line.part), cost, _per(cost, units), _per(cost, whole))
        for line, cost in zip(priced.costs, costs, strict=True)
    )
    foot = (Worded("Sum"), None, whole, _per(whole, units), 1.0 if whole else None)
    return Table("costs", Worded("What a unit costs"), columns, rows, foot)


def _tariffs_table(priced: Priced, whole: Decimal, units: Decimal) -> Table:
    columns = (
        Column("tariff", Worded("Tariff")),
        Column("price", Worded("Price of a unit"), Unit.NUMBER),
        Column("units", Worded("Units a year"), Unit.NUMBER),
        Column("income", Worded("Income"), Unit.MONEY),
        Column("covers", Worded("Covers of its cost"), Unit.SHARE),
        Column("gap", Worded("Paid by others, a unit"), Unit.NUMBER),
    )
    unit_cost = _per(whole, units)
    rows = tuple(
        (
            one.name,
            float(one.price),
            float(one.units),
            _income(priced, one),
            round(float(one.price) / unit_cost, 6) if unit_cost else None,
            None if unit_cost is None else round(unit_cost - float(one.price), 6),
        )
        for one in priced.tariffs
    )
    income = sum((_income(priced, one) for one in priced.tariffs), Decimal())
    foot = (Worded("Sum"), None, float(units), income, _per(income, whole), None)
    return Table("tariffs", Worded("What each tariff covers"), columns, rows, foot)


def _warnings(priced: Priced, whole: Decimal, units: Decimal, income: Decimal) -> list[str]:
    said: list[str] = []
    if not units:
        said.append(Worded("Nothing is sold, so a unit has no cost."))
    if income > whole:
        said.append(Worded("Customers pay more than the service costs."))
    unit_cost = _per(whole, units)
    said += [
        Worded("%(name)s pays more than its cost, for others.", name=one.name)
        for one in priced.tariffs
        if unit_cost and float(one.price) > unit_cost and income < whole
    ]
    return said


def _income(priced: Priced, tariff: Tariff) -> Decimal:
    return rounded(tariff.price * tariff.units, priced.currency)


def _per(part: Decimal, whole: Decimal) -> float | None:
    return round(float(part / whole), 6) if whole else None


def _check(priced: Priced) -> None:
    if not priced.costs:
        hint = Worded("Write down at least one cost.")
        raise BadInput(Worded("There are no costs"), hint=hint, where="costs")
    if any(one.amount < 0 or not 0 <= one.part <= 1 or not 0 <= one.life <= 200 for one in priced.costs):
        hint = Worded("An amount is 0 or more, a part between 0 and 100 %%, a life at most 200 years.")
        raise BadInput(Worded("This is no cost"), hint=hint, where="costs")
    if any(one.price < 0 or one.units < 0 for one in priced.tariffs):
        hint = Worded("Enter 0 or more.")
        raise BadInput(Worded("This is below 0"), hint=hint, where="tariffs")
