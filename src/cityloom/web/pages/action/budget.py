"""The capital and the operating budget of the plan, by year and department, per currency."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from heapq import nlargest
from typing import Any

from starlette.responses import Response

from cityloom.indicators.exchange.spreadsheet import Cell
from cityloom.planning.action.budgets import Budget, Joint, budgets_of, joint
from cityloom.planning.action.model import COST_KINDS
from cityloom.planning.model import Initiative, Phase
from cityloom.web.addresses import address
from cityloom.web.drawing.stacks import Stack, draw_stacks
from cityloom.web.pages.action.files import table_to_keep
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

#: Departments shown on a page; the files have them all.
MOST_ROWS = 60
MOST_UNSPLIT = 20


def add(pages: Pages) -> None:
    pages.get("/plan/action/budget", show, pdf=True)
    pages.data("/plan/action/budget.csv", table)
    pages.data("/plan/action/budget.xlsx", table)


def _initiatives(visit: Visit) -> Sequence[Initiative]:
    phase = visit.query("phase")
    return visit.rooms.initiatives.list(visit.actor, phase=phase if phase in list(Phase) else "")


async def show(visit: Visit) -> Response:
    """The two budgets by year and department."""
    initiatives = _initiatives(visit)
    budgets, together = await asyncio.to_thread(lambda: (budgets_of(initiatives), joint(initiatives)))
    return visit.render(
        "plan-budget.html",
        {
            "budgets": [_row(one) for one in budgets],
            "joint": [_joint(visit, one) for one in (together if visit.as_json else together[:MOST_ROWS])],
            "phase": visit.query("phase"),
        },
        more_joint=max(len(together) - MOST_ROWS, 0),
        tables=[_table(visit, one, initiatives) for one in budgets],
        kinds=COST_KINDS,
        phases=[one.value for one in Phase],
        most_rows=MOST_ROWS,
        query=f"phase={visit.query('phase')}" if visit.query("phase") in list(Phase) else "",
    )


def _row(one: Budget) -> dict[str, Any]:
    return {
        "currency": one.currency,
        "years": one.years,
        "rows": [
            {"department": row.department, "kind": row.kind, "years": row.years, "total": row.total}
            for row in one.rows
        ],
        "byYear": {
            year: {kind: one.of_year(year, kind) for kind in COST_KINDS} | {"total": one.of_year(year)}
            for year in one.years
        },
        "capital": one.of_kind("capital"),
        "operating": one.of_kind("operating"),
        "withoutLines": one.unsplit,
        "total": one.total,
    }


def _joint(visit: Visit, one: Joint) -> dict[str, Any]:
    """What several departments carry, with each one's part."""
    return {
        "id": one.initiative.id,
        "href": address("initiatives", one.initiative.id),
        "name": visit.wording.said(one.initiative.plan.name),
        "currency": one.currency,
        "parts": [
            {"department": name, "amount": amount, "share": amount / one.total if one.total else None}
            for name, amount in one.parts.items()
        ],
        "withoutLines": one.without,
        "total": one.total,
    }


def _table(visit: Visit, one: Budget, initiatives: Sequence[Initiative]) -> dict[str, Any]:
    """A budget as it is shown: with its drawing, and what stands in no year by name."""
    stacks = [
        Stack(str(year), one.of_year(year, "capital"), one.of_year(year, "operating")) for year in one.years
    ]
    title = visit.gettext("Capital and operating costs by year in %(currency)s", currency=one.currency)
    find = visit.rooms.initiatives
    unsplit = [
        (address("initiatives", name), visit.wording.said(find.get(visit.actor, name).plan.name), amount)
        for name, amount in list(one.unsplit.items())[:MOST_UNSPLIT]
    ]
    return {
        "budget": one,
        "drawn": draw_stacks(stacks, title, one.currency, visit.wording) if stacks else None,
        "unsplit": unsplit,
        "dearest": _dearest(visit, one.currency, initiatives),
    }


def _dearest(
    visit: Visit, currency: str, initiatives: Sequence[Initiative]
) -> list[tuple[str, str, Decimal]]:
    """What the money of a currency is for, the most first: address, name and budget."""
    told = [(one, one.plan.budget) for one in initiatives]
    costs = [(one, money.amount) for one, money in told if money is not None and money.currency == currency]
    return [
        (address("initiatives", one.id), visit.wording.said(one.plan.name), amount)
        for one, amount in nlargest(MOST_UNSPLIT, costs, key=lambda pair: pair[1])
    ]


async def table(visit: Visit) -> Response:
    """All lines and sums as a table."""
    initiatives = _initiatives(visit)
    return await asyncio.to_thread(lambda: table_to_keep(visit, "budget", _lines(budgets_of(initiatives))))


def _lines(budgets: Sequence[Budget]) -> list[Sequence[Cell]]:
    rows: list[Sequence[Cell]] = [("currency", "department", "kind", "year", "amount")]
    for one in budgets:
        rows += [
            (one.currency, row.department, row.kind, year, amount)
            for row in one.rows
            for year, amount in sorted(row.years.items())
        ]
        rows += [(one.currency, name, "without lines", None, amount) for name, amount in one.unsplit.items()]
        rows.append((one.currency, "total", None, None, one.total))
    return rows
