"""What follows from a record and from what is known since: its initiative's budget, its indicators."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Protocol

import msgspec

from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import NotFound
from cityloom.kernel.worded import Worded
from cityloom.planning.course import Point, course_of
from cityloom.planning.finance.budget_feed import against_lines, needs_of
from cityloom.planning.finance.cash_flows import Analysis
from cityloom.planning.finance.kinds.analyses import ADOPTION, COST_BENEFIT
from cityloom.planning.finance.outcome import Bars, Column, Figure, Outcome, Series, Table, Unit
from cityloom.planning.finance.promised import (
    NO_BASELINE,
    NO_INDICATOR,
    NOTHING_MEASURED,
    Balance,
    BudgetLine,
    against_budget,
    balance,
)
from cityloom.planning.finance.reckoning import reckon
from cityloom.planning.finance.recorded_analysis import analysis_of
from cityloom.planning.initiatives import INDICATOR_VALUE, Past
from cityloom.planning.model import Initiative, Target
from cityloom.planning.records.model import Record

REASONS = {
    NO_INDICATOR: Worded("no indicator is named"),
    NO_BASELINE: Worded("the value before is not said"),
    NOTHING_MEASURED: Worded("nothing was measured in its years yet"),
}


class KnownInitiatives(Protocol):
    """The part of the initiatives that is needed."""

    def get(self, actor: Actor, initiative_id: str) -> Initiative:
        """Raises NotFound for what the actor may not see."""
        ...


async def followed(
    actor: Actor, record: Record, initiatives: KnownInitiatives, history: Past, year: int
) -> Outcome:
    """Reckoned beside the event loop, as far as the actor may see. `year` is the city's. Raises BadInput."""
    outcome = await asyncio.to_thread(reckon, record.kind.type, record.values)
    if record.kind.type == ADOPTION.type:
        return _with_lines(actor, record, outcome, initiatives)
    if record.kind.type != COST_BENEFIT.type:
        return outcome
    analysis = analysis_of(record.values)
    line = _budget(actor, record, analysis, initiatives)
    courses = await asyncio.to_thread(_courses, actor, analysis, history)
    return _joined(outcome, balance(analysis, courses, year), line, named=bool(record.get("initiative")))


def _with_lines(actor: Actor, record: Record, outcome: Outcome, initiatives: KnownInitiatives) -> Outcome:
    """Adoption, held against the budget of its initiative."""
    if not record.get("initiative"):
        return outcome
    try:
        plan = initiatives.get(actor, record.get("initiative")).plan
    except NotFound:
        return outcome
    lines = against_lines(plan, needs_of(outcome, record.get("scenario", "")))
    warnings = list(outcome.warnings)
    if any(isinstance(left, Decimal) and left < 0 for *_, left in lines.rows):
        warnings.append(Worded("In some years the initiative's budget has less than is needed."))
    return msgspec.structs.replace(outcome, tables=(*outcome.tables, lines), warnings=tuple(warnings))


def _budget(
    actor: Actor, record: Record, analysis: Analysis, initiatives: KnownInitiatives
) -> BudgetLine | None:
    if not record.get("initiative"):
        return None
    try:
        plan = initiatives.get(actor, record.get("initiative")).plan
    except NotFound:
        return None
    if plan.budget is None:
        return None
    return against_budget(analysis, plan.budget, plan.spent, record.get("carrier", ""))


def _courses(actor: Actor, analysis: Analysis, history: Past) -> Mapping[str, Sequence[Point]]:
    found: dict[str, Sequence[Point]] = {}
    for item in analysis.items:
        if item.indicator and item.indicator not in found:
            try:
                readings = history.raw(actor, item.indicator, [INDICATOR_VALUE], dataset="")
            except NotFound:
                continue
            # Only its values in one unit are wanted: the target says nothing here.
            found[item.indicator] = course_of(Target(item.indicator, 0, 0, date.max), readings, None).points
    return found


def _joined(outcome: Outcome, found: Balance, line: BudgetLine | None, *, named: bool) -> Outcome:
    tables, figures, drawings = list(outcome.tables), list(outcome.figures), list(outcome.drawings)
    warnings = list(outcome.warnings)
    if line is not None:
        tables.append(_budget_table(line))
        if line.left < 0:
            warnings.append(Worded("The costs are higher than the initiative's budget."))
    elif named:
        warnings.append(
            Worded("The initiative has no budget in this currency that you may see: costs are not compared.")
        )
    if found.kept:
        tables.append(_kept_table(found))
        drawings.append(_kept_drawing(found))
        figures += _kept_figures(found)
    if found.untold and (found.kept or any(one.item.indicator for one in found.untold)):
        tables.append(_untold_table(found))
    return msgspec.structs.replace(
        outcome,
        tables=tuple(tables),
        figures=tuple(figures),
        drawings=tuple(drawings),
        warnings=tuple(warnings),
    )


def _budget_table(line: BudgetLine) -> Table:
    columns = (Column("what", Worded("What")), Column("amount", Worded("Amount"), Unit.MONEY))
    rows = (
        (Worded("Budget of the initiative"), line.budget.amount),
        (Worded("Capital in this analysis"), line.capital),
        (Worded("Operation in this analysis"), line.operating),
        (Worded("Left of the budget"), line.left),
        (Worded("Spent so far"), line.spent.amount if line.spent is not None else None),
    )
    return Table("budget", Worded("Costs against the initiative's budget, undiscounted"), columns, rows)


def _kept_table(found: Balance) -> Table:
    columns = (
        Column("item", Worded("Item")),
        Column("year", Worded("Year"), Unit.YEAR),
        Column("promised_change", Worded("Change promised"), Unit.NUMBER),
        Column("measured_change", Worded("Change measured"), Unit.NUMBER),
        Column("values", Worded("Values"), Unit.NUMBER),
        Column("promised", Worded("Promised"), Unit.MONEY),
        Column("measured", Worded("Measured"), Unit.MONEY),
        Column("kept", Worded("Of what was promised"), Unit.SHARE),
        Column("whole", Worded("The year")),
    )
    rows = tuple(
        (
            one.item.name,
            one.year,
            one.promised_change,
            round(one.measured_change, 6),
            one.values,
            one.promised,
            one.measured,
            round(one.share, 4),
            Worded("is over") if one.whole else Worded("is not over"),
        )
        for one in found.kept
    )
    foot = (
        Worded("Sum"),
        None,
        None,
        None,
        None,
        sum((one.promised for one in found.kept), Decimal()),
        sum((one.measured for one in found.kept), Decimal()),
        None,
        None,
    )
    return Table("kept", Worded("What was promised and what was measured"), columns, rows, foot)


def _kept_drawing(found: Balance) -> Bars:
    return Bars(
        title=Worded("What was promised and what was measured"),
        table="kept",
        categories=tuple(f"{one.item.name} {one.year}" for one in found.kept),
        series=(
            Series(Worded("Promised"), tuple(float(one.promised) for one in found.kept)),
            Series(Worded("Measured"), tuple(float(one.measured) for one in found.kept)),
        ),
    )


def _kept_figures(found: Balance) -> list[Figure]:
    return [
        Figure("promised_so_far", Worded("Promised so far, as present value"), found.promised),
        Figure("measured_so_far", Worded("Measured so far, as present value"), found.measured),
        Figure("npv_as_promised", Worded("Net present value, the rest as promised"), found.npv_as_promised),
        Figure(
            "npv_as_measured",
            Worded("Net present value, the rest as measured"),
            found.npv_as_measured,
            note=Worded("Later years as the newest one that is over, or the newest."),
        ),
    ]


def _untold_table(found: Balance) -> Table:
    columns = (Column("item", Worded("Benefit")), Column("reason", Worded("Why it cannot be told")))
    rows = tuple((one.item.name, REASONS[one.reason]) for one in found.untold)
    return Table("untold", Worded("Benefits that are not held against anything"), columns, rows)
