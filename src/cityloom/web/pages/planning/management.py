"""Pages of the fourth phase: how the plan goes, the calendar of what is told, answers to proposed changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from heapq import nsmallest
from typing import Any

from starlette.responses import Response

from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.media_types import CALENDAR
from cityloom.planning.calendar import Occasion, as_calendar
from cityloom.planning.masterplan.monitoring import Course, GoalState, Measured, Task
from cityloom.planning.masterplan.progress import LEVELS, WORDS, Verdict
from cityloom.planning.masterplan.watching import WORDS as WATCHED
from cityloom.planning.masterplan.watching import Watched
from cityloom.planning.model import Initiative, Milestone
from cityloom.planning.records.model import Record
from cityloom.web.addresses import address, entity_path
from cityloom.web.pages.initiatives import indicator_path
from cityloom.web.pages.planning.contracts import contracts_seen, file_row, public_row
from cityloom.web.pages.planning.factors import measured_now, state_of
from cityloom.web.pages.planning.links import record_href
from cityloom.web.pages.planning.plan import EDIT
from cityloom.web.pages.planning.space import Space
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_file, file_to_keep
from cityloom.web.visit import Visit

#: Goals and initiatives on the page, initiatives of one goal, milestones that are overdue, contracts.
MOST_SHOWN, MOST_OF_A_GOAL, MOST_OVERDUE, MOST_CONTRACTS = 120, 8, 20, 20
_WORST_FIRST = (
    Verdict.MISSED,
    Verdict.WRONG_WAY,
    Verdict.BEHIND,
    Verdict.UNKNOWN,
    Verdict.ON_THE_WAY,
    Verdict.REACHED,
)
_LEVEL_OF_WATCHED = {
    Watched.WITHIN: "good",
    Watched.NEAR: "fair",
    Watched.OUTSIDE: "bad",
    Watched.UNKNOWN: "none",
}


def add(pages: Pages) -> None:
    pages.data("/plan/monitoring.csv", table)
    pages.get("/plan/monitoring", show)
    pages.data("/plan/communication.ics", calendar)
    pages.post("/plan/changes/{id:path}/answer", answer)


async def show(visit: Visit) -> Response:
    """How the plan goes: for everybody and for the staff from the same data, as far as each may see them."""
    course = await visit.rooms.plan.course(visit.actor)
    space, turns = Space(None if visit.as_json else MOST_SHOWN), visit.desk.turns
    overdue, contracts = _overdue(visit, course), _contracts(visit)
    data = {
        "goals": await turns.all(_goal(visit, one, space) for one in course.goals if space.is_left()),
        "loose": await turns.all(_task(visit, one) for one in _shown(course.loose, space)),
        "looseCount": len(course.loose),
        "tally": {verdict.value: count for verdict, count in course.tally.items()},
        "money": [
            {"currency": one.currency, "budget": one.budget, "spent": one.spent, "share": one.share}
            for one in course.money
        ],
        "overdue": overdue,
        "overdueCount": len(course.overdue),
        "watched": [_factor(visit, one) for one in visit.rooms.records.list(visit.actor, "OutsideFactor")],
        "contracts": contracts if visit.as_json else contracts[:MOST_CONTRACTS],
        "contractCount": len(contracts),
        "proposed": len(visit.rooms.plan.learning.waiting(visit.actor)),
    }
    return visit.render(
        "plan-monitoring.html",
        data,
        verdicts=[(one.value, LEVELS[one], visit.language.say(words)) for one, words in WORDS.items()],  # type: ignore[attr-defined]  # the keys are Verdicts
        may_edit=visit.actor.may(EDIT),
        is_whole=space.is_left(),
    )


def _shown(tasks: Sequence[Task], space: Space) -> Sequence[Task]:
    """The initiatives to show, those that go worst first."""
    if space.left is None:
        return tasks
    most = min(MOST_OF_A_GOAL, max(space.left, 0))
    shown = nsmallest(most, tasks, key=lambda one: _WORST_FIRST.index(one.verdict))
    space.take(len(shown))
    return shown


def _goal(visit: Visit, state: GoalState, space: Space) -> dict[str, Any]:
    space.take()
    return {
        "id": state.goal.id,
        "href": record_href(state.goal),
        "name": visit.wording.said(state.goal.name),
        "verdict": state.verdict.value,
        "initiatives": [_task(visit, one) for one in _shown(state.tasks, space)],
        "initiativeCount": len(state.tasks),
        "indicators": [_measured(visit, one) for one in state.indicators],
        "parts": [_goal(visit, one, space) for one in state.parts if space.is_left()],
    }


def _task(visit: Visit, task: Task) -> dict[str, Any]:
    one = task.initiative
    share = one.share_spent
    return {
        "id": one.id,
        "href": address("initiatives", one.id),
        "name": visit.wording.said(one.plan.name),
        "phase": one.phase,
        "isDraft": one.is_draft,
        "verdict": task.verdict.value,
        "budget": one.plan.budget,
        "spent": one.plan.spent,
        "shareSpent": float(share) if share is not None else None,
        "overdue": len(task.overdue),
        "indicators": [_measured(visit, target) for target in task.targets],
    }


def _measured(visit: Visit, one: Measured) -> dict[str, Any]:
    document = visit.rooms.broker.find(visit.actor, one.indicator)
    return {
        "indicator": one.indicator,
        "href": indicator_path(document) if document else entity_path(one.indicator),
        "name": visit.wording.said(one.name) or one.indicator,
        "unit": one.unit,
        "baseline": one.baseline,
        "now": one.now,
        "target": one.target,
        "due": one.due,
        "share": one.share,
        "verdict": one.verdict.value,
    }


def _overdue(visit: Visit, course: Course) -> list[dict[str, Any]]:
    return [
        {
            "initiative": visit.wording.said(one.plan.name),
            "href": address("initiatives", one.id),
            "milestone": step.names.get(visit.language.code) or step.name,
            "due": step.due,
        }
        for one, step in _soonest(course.overdue, None if visit.as_json else MOST_OVERDUE)
    ]


def _soonest(
    overdue: Sequence[tuple[Initiative, Milestone]], most: int | None
) -> list[tuple[Initiative, Milestone]]:
    """Those that were due first; `most` of them at the most."""
    return nsmallest(len(overdue) if most is None else most, overdue, key=lambda pair: pair[1].due)


def _factor(visit: Visit, record: Record) -> dict[str, Any]:
    value, unit = measured_now(visit, record)
    state = state_of(record, value)
    return {
        "id": record.id,
        "href": record_href(record),
        "name": visit.wording.said(record.name),
        "value": value,
        "unit": unit,
        "low": record.get("low"),
        "high": record.get("high"),
        "state": state.value,
        "level": _LEVEL_OF_WATCHED[state],
        "words": visit.language.say(WATCHED[state]),
    }


def _contracts(visit: Visit) -> list[dict[str, Any]]:
    """Contracts that are paid on indicators, as far as the reader may see them."""
    files, public = contracts_seen(visit)
    rows = [*(file_row(visit, one) for one in files), *(public_row(visit, one) for one in public)]
    found = [
        {"id": one["id"], "href": one["href"], "name": one["name"], "state": one["status"]} for one in rows
    ]
    return sorted(found, key=lambda one: str(one["name"]))


async def table(visit: Visit) -> Response:
    """The same as CSV: a row for each indicator of each initiative or goal."""
    course = await visit.rooms.plan.course(visit.actor)
    head = "goal,initiative,phase,indicator,unit,baseline,now,target,due,share,verdict,budget,spent,currency"

    def rows() -> Iterator[list[str]]:
        yield head.split(",")
        for goal in course.goals:
            yield from _rows(visit, goal)
        for task in course.loose:
            yield from _task_rows(visit, "", task)

    return await asyncio.to_thread(lambda: csv_file(visit, "monitoring", rows()))


def _rows(visit: Visit, state: GoalState) -> Iterator[list[str]]:
    name = visit.wording.said(state.goal.name)
    for task in state.tasks:
        yield from _task_rows(visit, name, task)
    for one in state.indicators:
        yield [name, "", "", *_cells(one), "", "", ""]
    for part in state.parts:
        yield from _rows(visit, part)


def _task_rows(visit: Visit, goal: str, task: Task) -> Iterator[list[str]]:
    plan = task.initiative.plan
    money = [
        str(plan.budget.amount) if plan.budget else "",
        str(plan.spent.amount) if plan.spent else "",
        plan.budget.currency if plan.budget else "",
    ]
    before = [goal, visit.wording.said(plan.name), task.initiative.phase]
    for one in task.targets:
        yield [*before, *_cells(one), *money]
    if not task.targets:
        yield [*before, *([""] * 7), task.verdict.value, *money]


def _cells(one: Measured) -> list[str]:
    said = (one.baseline, one.now, one.target, one.due, one.share)
    cells = ["" if value is None else str(value) for value in said]
    return [one.indicator, one.unit, *cells, one.verdict.value]


async def calendar(visit: Visit) -> Response:
    """What is told when, for any calendar."""
    records = [one for one in visit.rooms.records.list(visit.actor, "PlanCommunication") if one.get("on")]
    occasions = [
        Occasion(
            uid=f"{one.id}@{visit.request.url.hostname or 'city'}",
            first=one.values["on"],
            last=one.get("until"),
            title=visit.wording.said(one.name),
            text="\n".join(part for part in (one.get("means"), one.get("message")) if part),
            categories=tuple(one.get("audience", ())),
        )
        for one in records
    ]
    title = visit.gettext("The plan of %(city)s", city=visit.city.name)
    raw = as_calendar(title, occasions, now=visit.rooms.clock.now())
    return file_to_keep(visit, "communication", "ics", raw, CALENDAR)


async def answer(visit: Visit) -> Response:
    """Accept a proposed change, which applies it, or refuse it with a reason."""
    form = await visit.form()
    visit.require(EDIT)
    change = visit.rooms.records.get(visit.actor, visit.part("id"))
    here = record_href(change)
    learning = visit.rooms.plan.learning
    act = form.choice("act", ["accept", "refuse"], required=visit.gettext("Choose what to do."))
    said = {"answer": form.value("answer"), "version": form.value("version")}
    if form.errors:
        return visit.redirect(here, next(iter(form.errors.values())))
    try:
        if act == "accept":
            await learning.accept(visit.actor, change.id, **said)
            return visit.redirect(here, visit.gettext("Accepted, and applied to the plan."))
        await learning.refuse(visit.actor, change.id, **said)
    except (BadInput, Conflict) as error:
        unchanged = visit.gettext("Nothing was changed.")
        return visit.redirect(here, f"{form.words_of(error)} {unchanged}")
    return visit.redirect(here, visit.gettext("Refused, with the reason."))
