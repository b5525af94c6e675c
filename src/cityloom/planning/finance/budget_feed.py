"""What a scenario of adoption needs of the city's budget: held against an initiative, taken into it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.action.model import Cost
from cityloom.planning.finance.outcome import Column, Outcome, Table, Unit
from cityloom.planning.model import Plan
from cityloom.planning.money import Money

#: The kind of cost lines that investment becomes.
CAPITAL = "capital"
#: The table of an outcome of adoption: years, then a column for each scenario.
_NEEDS = "budget"
_NONE = Decimal()


class Needs(msgspec.Struct, frozen=True):
    """What the city's budget needs by year."""

    currency: str
    years: Mapping[int, Decimal]


def needs_of(outcome: Outcome, scenario: str) -> Needs:
    """What a scenario needs; "" for the one without levers. Raises BadInput for one that there is not."""
    table = outcome.table(_NEEDS)
    if table is None:
        raise BadInput(Worded("Nothing is needed"), hint=Worded("Describe a technology."), where="options")
    titles = ["", *(one.label for one in table.columns[2:])]
    if scenario not in titles:
        hint = Worded("Scenarios are: %(names)s.", names=", ".join(titles[1:]) or "–")
        raise BadInput(Worded("There is no such scenario"), hint=hint, where="scenario")
    place = 1 + titles.index(scenario)
    years = {int(row[0]): row[place] for row in table.rows if isinstance(row[0], int)}
    return Needs(outcome.currency, {year: one for year, one in years.items() if isinstance(one, Decimal)})


def fed(plan: Plan, needs: Needs) -> Plan:
    """The plan with what is needed as the capital costs of its own department; its other lines stay.

    The lines make the budget. Raises BadInput where the initiative is in another currency.
    """
    others = [one for one in plan.action.costs if one.kind != CAPITAL or one.department]
    if any(one.amount.currency != needs.currency for one in others):
        raise BadInput(
            Worded("The initiative's costs are in another currency"),
            hint=Worded("Write all of them in one currency: nothing here converts."),
            where="costs",
        )
    new = [
        Cost(year, CAPITAL, Money(amount, needs.currency)) for year, amount in needs.years.items() if amount
    ]
    costs = tuple(sorted([*others, *new], key=lambda one: one.year))
    return msgspec.structs.replace(
        plan, action=msgspec.structs.replace(plan.action, costs=costs), budget=None
    )


def against_lines(plan: Plan, needs: Needs) -> Table:
    """Year by year what is needed, and what stands in the initiative's cost lines of its currency."""
    planned: dict[int, Decimal] = {}
    for one in plan.action.costs:
        if one.amount.currency == needs.currency:
            planned[one.year] = planned.get(one.year, _NONE) + one.amount.amount
    years = sorted({*needs.years, *planned})
    rows = tuple(
        (
            year,
            needs.years.get(year, _NONE),
            planned.get(year, _NONE),
            planned.get(year, _NONE) - needs.years.get(year, _NONE),
        )
        for year in years
    )
    columns = (
        Column("year", Worded("Year"), Unit.YEAR),
        Column("needed", Worded("Needed"), Unit.MONEY),
        Column("planned", Worded("In the initiative's budget"), Unit.MONEY),
        Column("left", Worded("Left"), Unit.MONEY),
    )
    foot = (Worded("Sum"), *(sum((row[place] for row in rows), _NONE) for place in (1, 2, 3)))
    return Table("lines", Worded("Held against the initiative's budget"), columns, rows, foot)
