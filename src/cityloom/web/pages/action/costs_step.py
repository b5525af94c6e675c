"""The step of the form that says what it costs: capital and operating, by year and department."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from cityloom.planning.action.model import Action, Cost
from cityloom.planning.model import Initiative, Plan
from cityloom.planning.money import CURRENCIES, Money
from cityloom.web.forms import Form
from cityloom.web.pages.action.choosing import decisions
from cityloom.web.visit import Visit

FIELDS = ("costs", "budgetDecision", "spent")
#: Rows there are at the least, and at the most.
ROWS, MOST_ROWS = 6, 40


def filled(visit: Visit, initiative: Initiative) -> Mapping[str, object]:
    """A row for each year and department; lines of one kind in it are added up."""
    plan = initiative.plan
    cells: dict[tuple[int, str], dict[str, Decimal]] = {}
    for line in plan.action.costs:
        by_kind = cells.setdefault((line.year, line.department), {})
        by_kind[line.kind] = by_kind.get(line.kind, Decimal(0)) + line.amount.amount
    currency = plan.action.costs[0].amount.currency if plan.action.costs else ""
    budget = plan.budget.currency if plan.budget else visit.city.currency
    values: dict[str, object] = {"currency": currency or budget}
    for row, ((year, department), by_kind) in enumerate(sorted(cells.items())):
        values |= {
            f"year_{row}": year,
            f"department_{row}": department,
            f"capital_{row}": by_kind.get("capital", ""),
            f"operating_{row}": by_kind.get("operating", ""),
        }
    return values


def offered(visit: Visit, initiative: Initiative, form: Form) -> Mapping[str, Any]:
    """What can be chosen."""
    return {
        "currencies": [(one, one) for one in sorted(CURRENCIES)],
        "rows": min(MOST_ROWS, max(ROWS, _typed(form) + 2)),
        "decisions": [] if initiative.is_draft else decisions(visit),
        "departments": sorted(
            {
                name
                for one in visit.rooms.initiatives.list(visit.actor)
                for name in (one.plan.action.department, one.plan.owner)
                if name
            }
        )[:200],
    }


def _typed(form: Form) -> int:
    return max((row + 1 for row in range(MOST_ROWS) if form.value(f"year_{row}")), default=0)


def taken(visit: Visit, form: Form, initiative: Initiative) -> Plan:
    """The plan with what was typed; the lines make the budget."""
    currency = form.choice("currency", sorted(CURRENCIES), required=visit.gettext("Choose a currency."))
    costs: list[Cost] = []
    for row in range(MOST_ROWS):
        costs += _lines(visit, form, row, currency)
    action = msgspec.structs.replace(with_decision(form, initiative.plan.action), costs=tuple(costs))
    had = initiative.plan.action.costs
    budget = None if costs or had else initiative.plan.budget
    return msgspec.structs.replace(initiative.plan, action=action, budget=budget)


def with_decision(form: Form, action: Action) -> Action:
    """The action with the decision that was chosen for this change."""
    chosen = form.value("budgetDecision")
    decided = tuple(dict.fromkeys((*action.decisions, chosen))) if chosen else action.decisions
    return msgspec.structs.replace(action, decisions=decided)


def _lines(visit: Visit, form: Form, row: int, currency: str) -> list[Cost]:
    """The capital and the operating line of a row."""
    amounts = {kind: form.decimal(f"{kind}_{row}") for kind in ("capital", "operating")}
    said = {kind: amount for kind, amount in amounts.items() if amount is not None}
    if not said:
        return []
    year = form.value(f"year_{row}").strip()
    if not (year.isdecimal() and len(year) == 4):
        form.wrong(f"year_{row}", visit.gettext("Enter the year of these costs, such as 2027."))
        return []
    department = form.text(f"department_{row}")
    return [Cost(int(year), kind, Money(amount, currency), department) for kind, amount in said.items()]
