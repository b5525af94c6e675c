"""The steps of an initiative's form beyond its basis: each writes its own part of the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.planning.action.approval import Gap, needed
from cityloom.planning.model import Initiative, Phase, Plan
from cityloom.web.addresses import address
from cityloom.web.forms import Form, WrongForm
from cityloom.web.languages import noted as n
from cityloom.web.pages.action import checks_step, costs_step, course_step, funding_step
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

EDIT = "initiatives:edit"
#: The steps in their order; the first is the form's basis, at `/edit` itself.
STEPS = {
    "basis": n("What and when"),
    "course": n("Why and how"),
    "costs": n("Costs"),
    "funding": n("Where the money comes from"),
    "checks": n("Checks and targets"),
}


class Step(msgspec.Struct, frozen=True):
    """How a step is filled in from what is there, what it offers, and what of the plan it writes."""

    filled: Callable[[Visit, Initiative], Mapping[str, object]]
    offered: Callable[[Visit, Initiative, Form], Mapping[str, Any]]
    taken: Callable[[Visit, Form, Initiative], Plan]
    #: Fields and groups of the form that a refusal may be shown at.
    fields: tuple[str, ...]


_STEPS = {
    "course": Step(course_step.filled, course_step.offered, course_step.taken, course_step.FIELDS),
    "costs": Step(costs_step.filled, costs_step.offered, costs_step.taken, costs_step.FIELDS),
    "funding": Step(funding_step.filled, funding_step.offered, funding_step.taken, funding_step.FIELDS),
    "checks": Step(checks_step.filled, checks_step.offered, checks_step.taken, checks_step.FIELDS),
}


def add(pages: Pages) -> None:
    pages.get("/initiatives/{id:path}/edit/{step}", show, json=False)
    pages.post("/initiatives/{id:path}/edit/{step}", write)


def following(step: str) -> str:
    """The step after one; "" after the last."""
    names = list(STEPS)
    place = names.index(step) + 1
    return names[place] if place < len(names) else ""


def step_path(initiative_id: str, step: str) -> str:
    """Where a step of an initiative is."""
    here = address("initiatives", initiative_id) + "/edit"
    return here if step == "basis" else f"{here}/{step}"


def gap_path(initiative_id: str, gap: Gap) -> str:
    """Where something that is missing is said: the step of the form, at its field."""
    return f"{step_path(initiative_id, gap.step)}#{field_id(gap)}"


def field_id(gap: Gap) -> str:
    """The field or group of the form at which something that is missing is said."""
    group, _, name = gap.field.rpartition(".")
    return f"field-{_FIELDS.get(gap.field) or _PREFIXES.get(group, '') + name}"


#: What is said in a field of another name than that of what is missing.
_FIELDS = {
    "targets": "target_0_indicator",
    "costs.capital": "capital_0",
    "costs.operating": "operating_0",
    "reporting.to": "reportTo",
}
_PREFIXES = {"checks": "by_", "portfolio": "portfolio_", "targetGroups": "target_"}


def checklist(initiative: Initiative | None) -> Mapping[str, Any]:
    """What approval asks for, for the pages of the form; nothing of what was approved already."""
    waits = initiative is None or initiative.is_draft or initiative.phase == Phase.IDEA
    plan = initiative.plan if initiative else Plan(name={}, description={})
    return {"needed": needed(plan) if waits else (), "gap_path": gap_path, "field_id": field_id}


def _step(visit: Visit) -> tuple[str, Step]:
    name = visit.part("step")
    if name not in _STEPS:
        raise NotFound("There is no such step", hint="Begin with the initiative.")
    return name, _STEPS[name]


async def show(visit: Visit) -> Response:
    """A step of the form."""
    visit.require(EDIT)
    name, step = _step(visit)
    initiative = visit.rooms.initiatives.get(visit.actor, visit.part("id"))
    values = {**step.filled(visit, initiative), "version": initiative.version}
    return _page(visit, name, step, initiative, Form.filled(visit.language, values))


def _page(
    visit: Visit, name: str, step: Step, initiative: Initiative, form: Form, *, status: int = 200
) -> Response:
    return visit.render(
        "initiative-step.html",
        status=status,
        form=form,
        initiative=initiative,
        step=name,
        steps=STEPS,
        step_path=step_path,
        **checklist(initiative),
        **step.offered(visit, initiative, form),
    )


async def write(visit: Visit) -> Response:
    """Write what a step says, and go on to the next or back to the initiative."""
    form = await visit.form()
    visit.require(EDIT)
    name, step = _step(visit)
    initiatives = visit.rooms.initiatives
    before = initiatives.get(visit.actor, visit.part("id"))
    try:
        plan = step.taken(visit, form, before)
        form.raise_if_wrong()
        changed = await initiatives.edit(visit.actor, before.id, plan, version=form.value("version"))
    except WrongForm:
        return _page(visit, name, step, before, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, *step.fields)
        return _page(visit, name, step, before, form, status=400)
    undo = (address("initiatives", changed.id), {"act": "undo", "version": changed.version})
    return visit.redirect(next_path(form, changed.id, name), visit.gettext("Saved."), undo=undo)


def next_path(form: Form, initiative_id: str, step: str) -> str:
    """Where it goes on after a step: to the next one where that was wanted."""
    further = following(step)
    if form.value("go") == "on" and further:
        return step_path(initiative_id, further)
    return address("initiatives", initiative_id)
