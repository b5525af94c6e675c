"""Initiatives: what the city promises, what it costs, and how its indicators move."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from cityloom.indicators.model import VALUE
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.kernel.numbers import is_number
from cityloom.kernel.time import to_millis
from cityloom.ngsild.model import Document, value_of
from cityloom.planning.action.areas import AREAS, DOMAINS
from cityloom.planning.action.model import INITIATION_MODELS, ORIGINS, Action
from cityloom.planning.course import Course
from cityloom.planning.effects import Told
from cityloom.planning.model import TRANSITIONS, Initiative, Phase
from cityloom.web.addresses import address, entity_path
from cityloom.web.drawing.chart import Chart, draw_chart
from cityloom.web.forms import Form, WrongForm
from cityloom.web.languages import noted as n
from cityloom.web.looks import name_of
from cityloom.web.pages.action.shown import action_data, action_words, refusal_of
from cityloom.web.pages.action.steps import gap_path, next_path
from cityloom.web.pages.effects import effect_row, of_initiative
from cityloom.web.pages.initiative_form import filled, form_page, plan_of
from cityloom.web.pages.planning.voices import shown_voices, voices_of
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

EDIT = "initiatives:edit"
#: Initiatives on one page.
PAGE = 60


class _Side(msgspec.Struct, frozen=True):
    """Something by which the portfolio is grouped: its choices, and which of them an action has."""

    label: str
    choices: Mapping[str, str]
    of: Callable[[Action], Collection[str]]


_SIDES: Mapping[str, _Side] = {
    "initiation": _Side(n("Who began it"), INITIATION_MODELS, lambda one: (one.initiation,)),
    "origin": _Side(n("Where the idea comes from"), ORIGINS, lambda one: (one.origin,)),
    "area": _Side(n("Area of adoption"), AREAS, lambda one: one.areas),
    "domain": _Side(n("Domain of its services"), DOMAINS, lambda one: (one.domain,)),
}


def add(pages: Pages) -> None:
    pages.get("/initiatives", browse)
    pages.get("/initiatives/new", show_new, json=False)
    pages.post("/initiatives/new", write_new)
    pages.get("/initiatives/{id:path}/edit", show_edit, json=False)
    pages.post("/initiatives/{id:path}/edit", edit)
    pages.get("/initiatives/{id:path}", show, pdf=True)
    pages.post("/initiatives/{id:path}", handle)


async def browse(visit: Visit) -> Response:
    """What is running first."""
    phase = visit.query("phase")
    found = visit.rooms.initiatives.list(visit.actor, phase=phase if phase in list(Phase) else "")
    words = visit.query("q").strip().casefold()
    if words:
        found = [one for one in found if any(words in name.casefold() for name in one.plan.name.values())]
    chosen = {name: visit.query(name) for name in _SIDES}
    found = [
        one
        for one in found
        if all(value in _SIDES[side].of(one.plan.action) for side, value in chosen.items() if value)
    ]
    offset = visit.whole("offset", 0)
    data = {
        "initiatives": [initiative_row(visit, one) for one in found[offset : offset + PAGE]],
        "total": len(found),
        "phase": phase,
    }
    return visit.render(
        "initiatives.html",
        data,
        phases=[one.value for one in Phase],
        offset=offset,
        limit=PAGE,
        asked=visit.query("q"),
        sides=[_side(visit, name, value) for name, value in chosen.items()],
        query=urlencode({"phase": phase, "q": visit.query("q"), **chosen}) + "&",
    )


def _side(visit: Visit, name: str, chosen: str) -> dict[str, Any]:
    side = _SIDES[name]
    choices = [(value, visit.gettext(words)) for value, words in side.choices.items()]
    return {"name": name, "label": visit.gettext(side.label), "choices": choices, "chosen": chosen}


def initiative_row(visit: Visit, initiative: Initiative) -> dict[str, Any]:
    """An initiative as it is listed."""
    plan, today = initiative.plan, visit.rooms.clock.now().astimezone(visit.city.zone).date()
    reached = sum(one.done is not None for one in plan.milestones)
    return {
        "id": initiative.id,
        "href": address("initiatives", initiative.id),
        "name": visit.wording.said(plan.name),
        "description": visit.wording.said(plan.description),
        "phase": initiative.phase,
        "isDraft": initiative.is_draft,
        "owner": plan.owner,
        "origin": visit.origin(initiative.origin),
        "budget": plan.budget,
        "spent": plan.spent,
        "shareSpent": float(share) if (share := initiative.share_spent) is not None else None,
        "milestones": plan.milestones,
        "reached": reached,
        "overdue": [one.name for one in initiative.overdue(today)],
        "startsAt": plan.starts_at,
        "endsAt": plan.ends_at,
        "targets": plan.targets,
    }


async def show(visit: Visit) -> Response:
    """One initiative, with the course of its indicators before and after its start."""
    initiative = visit.rooms.initiatives.get(visit.actor, visit.part("id"))
    return await _page(visit, initiative, Form(visit.language))


async def _page(visit: Visit, initiative: Initiative, form: Form, *, status: int = 200) -> Response:
    courses = await visit.rooms.initiatives.course(visit.actor, initiative.id)
    effects = [await of_initiative(visit, one.target.indicator, initiative) for one in courses]
    may_edit = visit.actor.may(EDIT)
    data = {
        **initiative_row(visit, initiative),
        "adoptedAt": initiative.adopted_at,
        "courses": [_course(visit, one) for one in courses],
        "effects": [effect_row(visit, told) for told in effects],
        "voices": voices_of(visit, initiative.id),
        "informationClass": visit.rooms.broker.class_of(visit.actor, initiative.id).label,
        **(acted := await action_data(visit, initiative)),
    }
    return visit.render(
        "initiative.html",
        data,
        status=status,
        initiative=initiative,
        form=form,
        drawn=[_draw(visit, initiative, one) for one in courses],
        effect_rows=[(_where(visit, told, initiative), effect_row(visit, told)) for told in effects],
        may_edit=may_edit,
        steps=_steps(initiative),
        today=visit.rooms.clock.now().astimezone(visit.city.zone).date(),
        history=[(one, visit.person(one.by)) for one in reversed(initiative.history)] if may_edit else [],
        gap_path=gap_path,
        shown_voices=shown_voices(visit, initiative.id),
        **action_words(visit, initiative, acted["schedule"]),
    )


def _where(visit: Visit, told: Told, initiative: Initiative) -> str:
    """The page on which an effect is told at length; "" where the indicator is of no framework here."""
    document = visit.rooms.broker.find(visit.actor, told.indicator)
    path = framework_path(document, "effect") if document else ""
    query = urlencode({"point": told.indicator, "initiative": initiative.id})
    return f"{path}?{query}" if path else ""


def framework_path(document: Document, *more: str) -> str:
    """The page of an indicator in its framework; "" where it is of none here."""
    framework, code = value_of(document, "framework"), value_of(document, "code")
    if not isinstance(framework, str) or not isinstance(code, str):
        return ""
    return address("indicators", framework, code, *more)


def indicator_path(document: Document) -> str:
    """Where an indicator is told with what it belongs to: its page in its framework, else its own."""
    path: str = document["id"]
    return framework_path(document) or entity_path(path)


def _steps(initiative: Initiative) -> Sequence[str]:
    try:
        return [one.value for one in TRANSITIONS[Phase(initiative.phase)]]
    except ValueError:
        return [one.value for one in Phase]


def _course(visit: Visit, course: Course) -> dict[str, Any]:
    document = visit.rooms.broker.find(visit.actor, course.target.indicator)
    return {
        "indicator": course.target.indicator,
        "name": name_of(document, visit.wording) if document else course.target.indicator,
        "known": document is not None,
        "href": indicator_path(document) if document else "",
        "unit": course.unit_code,
        "baseline": course.target.baseline,
        "target": course.target.target,
        "due": course.target.due,
        "before": course.before,
        "after": course.after,
        "verdict": course.verdict.value,
        "difference": course.difference,
        "progress": course.progress,
        "leftOut": course.left_out,
    }


def _draw(visit: Visit, initiative: Initiative, course: Course) -> Any:
    """The indicator's values over time, the beginning and the target marked."""
    if len(course.points) < 2:
        return None
    starts = initiative.plan.starts_at
    first, last = course.points[0].at, course.points[-1].at
    since = min(first, starts) if starts else first
    until = max(last, starts or last, visit.rooms.clock.now())
    document = visit.rooms.broker.find(visit.actor, course.target.indicator)
    chart = Chart(
        title=name_of(document, visit.wording) if document else course.target.indicator,
        unit=visit.wording.unit(course.unit_code),
        since=since - timedelta(seconds=1),
        until=until,
        times=[to_millis(one.at) for one in course.points],
        values=[one.value for one in course.points],
        target=course.target.target,
        target_words=visit.gettext("target"),
        marks=[(starts, visit.gettext("beginning"))] if starts else [],
    )
    return draw_chart(chart, visit.wording)


async def show_new(visit: Visit) -> Response:
    """The form for a new initiative."""
    visit.require(EDIT)
    indicator = visit.query("indicator")
    document = visit.rooms.broker.find(visit.actor, indicator) if indicator else None
    now = value_of(document, VALUE) if document else None
    values = {
        "currency": visit.city.currency,
        "target_0_indicator": indicator,
        # It begins where the indicator stands.
        "target_0_baseline": f"{now:.6g}" if is_number(now) else "",
    }
    return form_page(visit, Form.filled(visit.language, values))


async def write_new(visit: Visit) -> Response:
    """Write a new initiative."""
    form = await visit.form()
    visit.require(EDIT)
    try:
        initiative = await visit.rooms.initiatives.draft(visit.actor, plan_of(visit, form))
    except WrongForm:
        return form_page(visit, form, status=400)
    except BadInput as error:
        form.take(error)
        return form_page(visit, form, status=400)
    told = visit.gettext("The draft is saved. It is internal until it is adopted.")
    return visit.redirect(next_path(form, initiative.id, "basis"), told)


async def show_edit(visit: Visit) -> Response:
    """The form to change an initiative."""
    visit.require(EDIT)
    initiative = visit.rooms.initiatives.get(visit.actor, visit.part("id"))
    return form_page(visit, filled(visit, initiative), initiative)


async def edit(visit: Visit) -> Response:
    """Change an initiative."""
    form = await visit.form()
    visit.require(EDIT)
    initiatives = visit.rooms.initiatives
    before = initiatives.get(visit.actor, visit.part("id"))
    try:
        changed = await initiatives.edit(
            visit.actor, before.id, plan_of(visit, form, before), version=form.value("version")
        )
    except WrongForm:
        return form_page(visit, form, before, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "budgetDecision")
        return form_page(visit, form, before, status=400)
    undo = (address("initiatives", changed.id), {"act": "undo", "version": changed.version})
    return visit.redirect(next_path(form, changed.id, "basis"), visit.gettext("Saved."), undo=undo)


async def handle(visit: Visit) -> Response:
    """Adopt, move to another phase, mark a milestone, take back, throw away."""
    form = await visit.form()
    visit.require(EDIT)
    initiative = visit.rooms.initiatives.get(visit.actor, visit.part("id"))
    acts = ["adopt", "move", "undo", "discard", "reached"]
    act = form.choice("act", acts, required=visit.gettext("Choose what to do."))
    try:
        form.raise_if_wrong()
        return await _do(visit, act, initiative, form)
    except WrongForm:
        return await _page(visit, initiative, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(refusal_of(visit, initiative, act, error), "note", "phase")
        initiative = visit.rooms.initiatives.get(visit.actor, initiative.id)
        return await _page(visit, initiative, form, status=400)


async def _do(visit: Visit, act: str, initiative: Initiative, form: Form) -> Response:
    initiatives, actor, version = visit.rooms.initiatives, visit.actor, form.value("version")
    if act == "discard":
        await initiatives.discard(actor, initiative.id)
        return visit.redirect("/initiatives", visit.gettext("The draft is thrown away."))
    undo = None
    if act == "adopt":
        initiative = await initiatives.adopt(actor, initiative.id, version=version)
        told = visit.gettext("Adopted: everybody sees it now.")
    elif act == "move":
        note = form.text("note", longest=2000)
        initiative = await initiatives.move(
            actor, initiative.id, form.value("phase"), note=note, version=version
        )
        told = visit.gettext("The phase is now: %(phase)s.", phase=visit.wording.choice(initiative.phase))
    elif act == "reached":
        initiative = await _reached(visit, initiative, form)
        told = visit.gettext("The milestone is reached.")
        undo = (address("initiatives", initiative.id), {"act": "undo", "version": initiative.version})
    else:
        initiative = await initiatives.undo(actor, initiative.id, version=version)
        told = visit.gettext("Taken back.")
    return visit.redirect(address("initiatives", initiative.id), told, undo=undo)


async def _reached(visit: Visit, initiative: Initiative, form: Form) -> Initiative:
    """Today is the day a milestone was reached."""
    place = form.value("milestone")
    milestones = list(initiative.plan.milestones)
    if not place.isdecimal() or len(place) > 3 or int(place) >= len(milestones):
        raise NotFound("There is no such milestone", hint="Look at the initiative again.")
    today: date = visit.rooms.clock.now().astimezone(visit.city.zone).date()
    milestones[int(place)] = msgspec.structs.replace(milestones[int(place)], done=today)
    plan = msgspec.structs.replace(initiative.plan, milestones=tuple(milestones))
    return await visit.rooms.initiatives.edit(visit.actor, initiative.id, plan, version=form.value("version"))
