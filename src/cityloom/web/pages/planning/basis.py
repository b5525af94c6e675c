"""Pages of the first phase: frozen baselines, what depends on what, infrastructure by category."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from cityloom.context.publishing import public_id
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.media_types import JSON
from cityloom.planning.masterplan import infrastructure, processes
from cityloom.planning.masterplan.baselines import Compared, compared
from cityloom.planning.masterplan.frozen import Frozen
from cityloom.planning.masterplan.requirements.facts import dependencies
from cityloom.planning.records.model import Record
from cityloom.web.addresses import address, entity_path
from cityloom.web.drawing.layers import draw_layers
from cityloom.web.forms import Form, WrongForm
from cityloom.web.pages.planning.links import record_href
from cityloom.web.pages.planning.plan import EDIT
from cityloom.web.pages.planning.touched import resting_on
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_file, file_to_keep
from cityloom.web.visit import Visit

#: Values on one page of a baseline.
PAGE = 200


def add(pages: Pages) -> None:
    pages.get("/plan/baselines", browse_baselines)
    pages.post("/plan/baselines", freeze)
    pages.data("/plan/baselines/{id}/file", baseline_file)
    pages.data("/plan/baselines/{id}.csv", baseline_table)
    pages.get("/plan/baselines/{id}", show_baseline)
    pages.get("/plan/dependencies", show_dependencies)
    pages.data("/plan/state-of-infrastructure.csv", infrastructure_table)
    pages.get("/plan/state-of-infrastructure", show_infrastructure)


# Baselines


async def browse_baselines(visit: Visit) -> Response:
    """The baselines, the newest first."""
    return _baselines(visit, Form(visit.language))


def _baselines(visit: Visit, form: Form, *, status: int = 200) -> Response:
    plan = visit.rooms.plan
    data = {"baselines": [frozen_row(visit, one, "baselines") for one in plan.baselines.list(visit.actor)]}
    may = visit.actor.may(EDIT)
    return visit.render(
        "plan-baselines.html",
        data,
        status=status,
        form=form,
        may_edit=may,
        standing=len(plan.baselines.standing()) if may and not visit.as_json else 0,
    )


def frozen_row(visit: Visit, one: Frozen, path: str) -> dict[str, Any]:
    """A frozen document as it is listed."""
    return {
        "id": one.id,
        "href": address("plan", path, one.id),
        "name": visit.wording.said(one.name),
        "number": one.number,
        "sha256": one.digest,
        "frozenAt": one.frozen_at,
        "origin": visit.origin(one.origin),
    }


async def freeze(visit: Visit) -> Response:
    """Freeze what all indicators say now."""
    form = await visit.form()
    visit.require(EDIT)
    name = form.text("name", required=visit.gettext("Give it a name."), longest=200)
    try:
        form.raise_if_wrong()
        made = await visit.rooms.plan.baselines.freeze(visit.actor, {visit.language.code: name})
    except WrongForm:
        return _baselines(visit, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "name")
        return _baselines(visit, form, status=400)
    return visit.redirect(
        address("plan", "baselines", made.id),
        visit.gettext("The baseline is frozen. It never changes again."),
    )


def _baseline(visit: Visit) -> Frozen:
    return visit.rooms.plan.baselines.get(visit.actor, visit.part("id").removesuffix(".json"))


async def _compared(visit: Visit, baseline: Frozen) -> list[Compared] | None:
    values = await visit.rooms.plan.baselines.values(baseline)
    if values is None:
        return None
    now = visit.rooms.plan.now(visit.actor)
    return compared(values, {name: one.value for name, one in now.items() if one.value is not None})


async def show_baseline(visit: Visit) -> Response:
    """What was frozen, held against what stands there now."""
    baseline = _baseline(visit)
    found = await _compared(visit, baseline)
    offset = visit.whole("offset", 0)
    shown = (found or [])[offset : offset + PAGE] if not visit.as_json else found or []
    data = {
        **frozen_row(visit, baseline, "baselines"),
        "intact": found is not None,
        "total": len(found or ()),
        "values": [_value_row(visit, one) for one in shown],
    }
    return visit.render(
        "plan-baseline.html",
        data,
        baseline=baseline,
        by=visit.person(baseline.by) if visit.actor.sees(InformationClass.INTERNAL) else "",
        offset=offset,
        limit=PAGE,
    )


def _value_row(visit: Visit, one: Compared) -> dict[str, Any]:
    before = one.before
    return {
        "indicator": before.id,
        "href": entity_path(before.id),
        "framework": before.framework,
        "code": before.code,
        "name": visit.wording.said(before.name),
        "value": before.value,
        "now": one.now,
        "change": one.change,
        "unit": before.unit,
        "since": before.since,
        "until": before.until,
        "source": before.source,
        "origin": visit.origin(before.origin),
        "verified": before.verified,
        "readings": sum(part.count for part in before.because),
        "because": before.because,
    }


async def baseline_table(visit: Visit) -> Response:
    """A baseline as CSV, with what stands there now."""
    baseline = visit.rooms.plan.baselines.get(visit.actor, visit.part("id"))
    names = (
        "indicator",
        "framework",
        "code",
        "name",
        "value",
        "unit",
        "since",
        "until",
        "source",
        "now",
        "change",
    )
    found = await _compared(visit, baseline) or []
    rows = [_value_row(visit, one) for one in found]
    cells = [[_cell(row[name]) for name in names] for row in rows]
    return csv_file(visit, f"baseline-{baseline.number}", [list(names), *cells])


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


async def baseline_file(visit: Visit) -> Response:
    """The frozen text itself: its SHA-256 is the baseline's digest."""
    baseline = visit.rooms.plan.baselines.get(visit.actor, visit.part("id"))
    text = await visit.rooms.plan.baselines.text(baseline)
    if text is None:
        raise Conflict(
            visit.gettext("What was frozen is gone, or is not what it was"),
            hint=visit.gettext("Bring it back from a backup."),
        )
    return file_to_keep(visit, f"baseline-{baseline.number}", "json", text, JSON)


# What depends on what


def _depending(visit: Visit) -> list[Record]:
    records = visit.rooms.records
    return [*records.list(visit.actor, "ServiceProcess"), *records.list(visit.actor, "InfrastructureItem")]


async def show_dependencies(visit: Visit) -> Response:
    """The graph of services, their circles, and what stops when a chosen one stops."""
    records = _depending(visit)
    by_id = {one.id: one for one in records}
    depends = {
        one: [other for other in needs if other in by_id] for one, needs in dependencies(records).items()
    }
    asked = public_id(visit.query("stops"))
    stopped = processes.cascade(depends, asked) if asked in by_id else []
    failed = visit.query("fails")
    rests = resting_on(visit, failed) if failed else []
    circles = processes.circles(depends)
    data = {
        "services": [_node(visit, one, depends) for one in records],
        "circles": [[_named(visit, by_id[one]) for one in circle] for circle in circles],
        "stops": asked if asked in by_id else "",
        "fails": failed,
        "rests": rests,
        "stopped": [
            {
                **_named(visit, by_id[one.id]),
                "steps": one.steps,
                "critical": bool(by_id[one.id].get("critical")),
                "way": [visit.wording.said(by_id[step].name) for step in one.way],
            }
            for one in stopped
        ],
    }
    marked = {asked, *(one.id for one in stopped)} if asked in by_id else set()
    marked |= {row["id"] for row in rests}
    drawn = None
    if records and not visit.as_json:
        names = {one.id: visit.wording.said(one.name) for one in records}
        drawn = draw_layers(
            processes.layers(depends), depends, names, marked, visit.gettext("What depends on what")
        ).svg
    return visit.render("plan-dependencies.html", data, drawn=drawn, may_edit=visit.actor.may(EDIT))


def _named(visit: Visit, record: Record) -> dict[str, Any]:
    return {"id": record.id, "href": record_href(record), "name": visit.wording.said(record.name)}


def _node(visit: Visit, record: Record, depends: dict[str, list[str]]) -> dict[str, Any]:
    needed_by = [one for one, needs in depends.items() if record.id in needs]
    return {
        **_named(visit, record),
        "kind": visit.language.say(record.kind.singular),
        "dependsOn": depends[record.id],
        "neededBy": needed_by,
        "stops": len(processes.cascade(depends, record.id)),
        "critical": bool(record.get("critical")),
    }


# Infrastructure


def _states(visit: Visit) -> list[infrastructure.State]:
    items = [
        infrastructure.Item(
            category=one.get("category", ""),
            count=one.get("count"),
            owner=one.get("owner", ""),
            since=one.get("since"),
            lifetime=one.get("lifetime"),
            condition=one.get("condition", ""),
        )
        for one in visit.rooms.records.list(visit.actor, "InfrastructureItem")
    ]
    return infrastructure.states(items, visit.rooms.plan.today())


def _state_row(visit: Visit, one: infrastructure.State) -> dict[str, Any]:
    say = visit.language.say
    return {
        "group": say(infrastructure.GROUPS[one.group]),
        "category": one.category,
        "title": say(one.title),
        "items": one.items,
        "count": one.count,
        "uncounted": one.uncounted,
        "owners": one.owners,
        "age": one.age,
        "overdue": one.overdue,
    }


async def show_infrastructure(visit: Visit) -> Response:
    """How much there is in each of ITU's categories, whose it is, how old."""
    rows = [_state_row(visit, one) for one in _states(visit)]
    return visit.render("plan-infrastructure.html", {"categories": rows}, may_edit=visit.actor.may(EDIT))


async def infrastructure_table(visit: Visit) -> Response:
    """The same as CSV."""
    names = ("group", "category", "title", "items", "count", "uncounted", "owners", "age", "overdue")
    rows = [_state_row(visit, one) for one in _states(visit)]
    cells = [
        [", ".join(row[name]) if name == "owners" else _cell(row[name]) for name in names] for row in rows
    ]
    return csv_file(visit, "infrastructure-by-category", [list(names), *cells])
