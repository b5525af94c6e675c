"""The plan in time: bars, dependencies, the critical path; and as a table, a calendar, a workbook."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from cityloom.context.publishing import public_id
from cityloom.indicators.exchange.spreadsheet import Cell
from cityloom.kernel.media_types import CALENDAR
from cityloom.planning.action.laid_out import LaidOut
from cityloom.planning.action.reporting_days import reporting_days
from cityloom.planning.action.schedule import Placed, Schedule
from cityloom.planning.calendar import Occasion, as_calendar
from cityloom.planning.model import Initiative, Phase
from cityloom.web.addresses import address
from cityloom.web.drawing.gantt import Bar, draw_gantt
from cityloom.web.pages.action.files import table_to_keep
from cityloom.web.pages.action.shown import today
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import file_to_keep
from cityloom.web.visit import Visit

#: Initiatives drawn on one page.
PAGE = 40
#: The calendar holds what falls into so many days before and after today.
_CALENDAR = (365, 1095)


def add(pages: Pages) -> None:
    pages.get("/plan/action/timeline", show, pdf=True)
    pages.data("/plan/action/timeline.csv", table)
    pages.data("/plan/action/timeline.xlsx", table)
    pages.data("/plan/action/calendar.ics", calendar)


async def _asked(visit: Visit) -> tuple[list[Initiative], LaidOut]:
    """What is asked for, in its order, and where everything lies."""
    base = await visit.rooms.plan.laid_out(visit.actor)
    delays = _delays(visit, base.by_id)
    found = await visit.rooms.plan.laid_out(visit.actor, delays) if delays else base
    phase, only = visit.query("phase"), visit.query("show")
    if not phase and only not in ("critical", "late"):
        return list(found.ordered), found
    placed = found.schedule.placed
    chosen = [
        one
        for one in found.ordered
        if (not phase or one.phase == phase)
        and (only != "critical" or placed[public_id(one.id)].is_critical)
        and (only != "late" or placed[public_id(one.id)].late)
    ]
    return chosen, found


def _delays(visit: Visit, by_id: Mapping[str, Initiative]) -> dict[str, int]:
    """What if: one initiative would begin so many days later than it could."""
    late, days = public_id(visit.query("late")), visit.whole("days", 0, most=3650)
    return {late: days} if late in by_id and days else {}


async def show(visit: Visit) -> Response:
    """The plan in time, a page of it."""
    chosen, laid_out = await _asked(visit)
    found, by_id, undated = laid_out.schedule, laid_out.by_id, laid_out.undated
    offset = visit.whole("offset", 0)
    here = chosen[offset : offset + PAGE]
    rows = [row(visit, one, found.placed[public_id(one.id)], by_id) for one in here]
    data = {
        "total": len(chosen),
        "rows": rows,
        "circle": [_name(visit, by_id, one) for one in found.circle],
        "undated": len(undated),
        "today": today(visit),
    }
    kept = {name: visit.query(name) for name in ("phase", "show", "late", "days")}
    bars = [
        _bar(one, found.placed[public_id(one.id)], found_row)
        for one, found_row in zip(here, rows, strict=True)
    ]
    title = visit.gettext("%(count)s initiatives in time", count=len(bars))
    return visit.render(
        "plan-timeline.html",
        data,
        drawn=draw_gantt(bars, today(visit), title, visit.wording) if bars else None,
        undated_rows=[
            (address("initiatives", one.id), visit.wording.said(one.plan.name)) for one in undated[:20]
        ],
        phases=[one.value for one in Phase],
        asked=kept,
        offset=offset,
        limit=PAGE,
        query=urlencode({name: said for name, said in kept.items() if said}) + "&",
        late_names=[(one["id"], one["name"]) for one in rows],
    )


def row(visit: Visit, one: Initiative, placed: Placed, by_id: Mapping[str, Initiative]) -> dict[str, Any]:
    """An initiative in time, as data."""
    return {
        "id": public_id(one.id),
        "href": address("initiatives", one.id),
        "name": visit.wording.said(one.plan.name),
        "phase": one.phase,
        "plannedStart": placed.planned_start,
        "plannedEnd": placed.planned_end,
        "earliestStart": placed.earliest_start,
        "earliestEnd": placed.earliest_end,
        "latestStart": placed.latest_start,
        "latestEnd": placed.latest_end,
        "slack": placed.slack,
        "isCritical": placed.is_critical,
        "late": placed.late,
        "becauseOf": _name(visit, by_id, placed.because_of) if placed.because_of else "",
        "after": [_name(visit, by_id, public_id(other)) for other in one.plan.action.depends_on],
    }


def _name(visit: Visit, by_id: Mapping[str, Initiative], entity_id: str) -> str:
    one = by_id.get(entity_id)
    return visit.wording.said(one.plan.name) if one else entity_id


def _bar(one: Initiative, placed: Placed, said: Mapping[str, Any]) -> Bar:
    return Bar(
        id=placed.id,
        name=said["name"],
        href=said["href"],
        phase=one.phase if one.phase in list(Phase) else "idea",
        start=placed.earliest_start,
        end=placed.earliest_end,
        planned_start=placed.planned_start,
        planned_end=placed.planned_end,
        latest_end=placed.latest_end,
        is_critical=placed.is_critical,
        after=tuple(public_id(other) for other in one.plan.action.depends_on),
        milestones=tuple((step.due, step.name, step.done is not None) for step in one.plan.milestones),
    )


async def table(visit: Visit) -> Response:
    """All that is asked for as a table."""
    chosen, found = await _asked(visit)

    def made() -> Response:
        return table_to_keep(visit, "timeline", _rows(visit, chosen, found.schedule, found.by_id))

    return await asyncio.to_thread(made)


def _rows(
    visit: Visit, chosen: Sequence[Initiative], found: Schedule, by_id: Mapping[str, Initiative]
) -> list[Sequence[Cell]]:
    names = ("name", "phase", "plannedStart", "plannedEnd", "earliestStart", "earliestEnd", "latestStart")
    columns = ("id", *names, "latestEnd", "slack", "isCritical", "late", "becauseOf", "after")
    rows: list[Sequence[Cell]] = [columns]
    for one in chosen:
        said = row(visit, one, found.placed[public_id(one.id)], by_id)
        rows.append([_cell(said[column]) for column in columns])
    return rows


def _cell(said: Any) -> Cell:
    if isinstance(said, bool):
        return "yes" if said else "no"
    if isinstance(said, int | str):
        return said
    return "; ".join(said) if isinstance(said, list) else str(said)


async def calendar(visit: Visit) -> Response:
    """Milestones and days of report, from a year ago to three years ahead."""
    found = visit.rooms.initiatives.list(visit.actor)
    here = today(visit)
    since, until = here - timedelta(days=_CALENDAR[0]), here + timedelta(days=_CALENDAR[1])
    name, now = f"{visit.city.name}: {visit.gettext('Action plan')}", visit.rooms.clock.now()

    def made() -> bytes:
        shown = (one for one in _occasions(visit, found) if since <= one.first <= until)
        return as_calendar(name, shown, now=now)

    content = await asyncio.to_thread(made)
    return file_to_keep(visit, "action-plan", "ics", content, CALENDAR)


def _occasions(visit: Visit, found: Sequence[Initiative]) -> Iterator[Occasion]:
    code = visit.language.code
    for one in found:
        title, plan = visit.wording.said(one.plan.name), one.plan
        for place, step in enumerate(plan.milestones):
            words = step.names.get(code) or step.name
            uid = _uid(visit, one, f"milestone {place}")
            yield Occasion(uid=uid, first=step.due, title=f"{title}: {words}")
        if plan.starts_at and plan.ends_at:
            zone, reporting = visit.city.zone, plan.action.reporting
            days = reporting_days(
                reporting.rhythm, plan.starts_at.astimezone(zone).date(), plan.ends_at.astimezone(zone).date()
            )
            for day in days:
                told = visit.gettext("Report: %(what)s", what=title)
                uid = _uid(visit, one, f"report {day}")
                yield Occasion(uid=uid, first=day, title=told, text=reporting.to)


def _uid(visit: Visit, one: Initiative, what: str) -> str:
    key = sha256(f"{public_id(one.id)} {what}".encode()).hexdigest()[:32]
    return f"{key}@{visit.request.url.hostname or 'city'}"
