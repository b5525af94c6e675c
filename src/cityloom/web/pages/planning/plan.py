"""The workspace of the plan: its four phases with their gates, and all that is written down in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.planning.masterplan.gates import PURPOSES, TITLES, Passage, PlanPhase, Requirement, unmet
from cityloom.planning.masterplan.kinds import BASIS, MANAGEMENT, STRATEGY
from cityloom.planning.masterplan.phases import LONGEST_REASON, Position
from cityloom.planning.records.kinds import RecordKind
from cityloom.web.forms import Form, WrongForm
from cityloom.web.languages import noted as n
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

EDIT, ADOPT = "plan:edit", "plan:adopt"
_Gates = Mapping[PlanPhase, Sequence[Requirement]]
#: Pages of a phase beside its records: address and title.
_TOOLS: dict[PlanPhase, tuple[tuple[str, str], ...]] = {
    PlanPhase.BASIS: (
        ("/plan/assessments", n("Assessments")),
        ("/library", n("Library")),
        ("/consultations", n("What everybody is asked")),
        ("/plan/baselines", n("Baselines")),
        ("/plan/dependencies", n("What depends on what")),
        ("/plan/state-of-infrastructure", n("Infrastructure by category")),
    ),
    PlanPhase.STRATEGY: (
        ("/plan/goal-tree", n("Tree of goals")),
        ("/plan/versions", n("Adopted versions")),
    ),
    PlanPhase.ACTION: (
        ("/plan/action", n("Action plan")),
        ("/initiatives", n("Initiatives")),
        ("/plan/action/timeline", n("Timeline")),
        ("/plan/action/budget", n("Budget")),
        ("/plan/action/ranking", n("Quick wins")),
    ),
    PlanPhase.MANAGEMENT: (
        ("/plan/monitoring", n("Monitoring")),
        ("/plan/contracts", n("Contracts")),
    ),
}


def add(pages: Pages) -> None:
    pages.get("/plan", show)
    pages.get("/plan/phases/{phase}", show_phase)
    pages.post("/plan/phases/{phase}", move)


async def show(visit: Visit) -> Response:
    """The four phases, what the open one still asks for, and all that is written down."""
    gates, position = await visit.rooms.plan.gates(visit.actor), visit.rooms.plan.phases.position(visit.actor)
    data = {
        "phase": int(position.phase),
        "phases": [phase_row(visit, one, gates, position) for one in PlanPhase],
    }
    return visit.render(
        "plan.html",
        data,
        groups=[(one, *_group(visit, one)) for one in PlanPhase],
        asked=[requirement_row(visit, one) for one in gates[position.phase]],
        may_edit=visit.actor.may(EDIT),
        may_see_drafts=_sees_drafts(visit),
    )


def phase_row(visit: Visit, phase: PlanPhase, gates: _Gates, position: Position) -> dict[str, Any]:
    """A phase as it is listed."""
    asked = gates[phase]
    state = "open" if phase == position.phase else ("passed" if phase < position.phase else "coming")
    return {
        "number": int(phase),
        "href": f"/plan/phases/{int(phase)}",
        "title": visit.language.say(TITLES[phase]),
        "purpose": visit.language.say(PURPOSES[phase]),
        "state": state,
        "asked": len(asked),
        "met": len(asked) - len(unmet(asked)),
    }


def requirement_row(visit: Visit, one: Requirement) -> dict[str, Any]:
    """One thing that a gate asks for."""
    return {
        "name": one.name,
        "title": visit.language.say(one.title),
        "met": one.met,
        "why": visit.language.say(one.why),
        "href": one.href,
    }


def _group(visit: Visit, phase: PlanPhase) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """The kinds of records of a phase with how many there are, and its other pages."""
    kinds = [
        {
            "href": f"/plan/{kind.path}",
            "title": visit.language.say(kind.plural),
            "about": visit.language.say(kind.about),
            "count": len(visit.rooms.records.list(visit.actor, kind.type)),
        }
        for kind in visit.rooms.records.kinds.values()
        if phase_of(kind) is phase
    ]
    return kinds, [(path, visit.gettext(title)) for path, title in _TOOLS[phase]]


def phase_of(kind: RecordKind) -> PlanPhase:
    """The phase in which records of a kind are written."""
    for phase, own in (
        (PlanPhase.BASIS, BASIS),
        (PlanPhase.STRATEGY, STRATEGY),
        (PlanPhase.MANAGEMENT, MANAGEMENT),
    ):
        if kind in own:
            return phase
    if kind.permission.startswith("stakeholders:"):
        return PlanPhase.BASIS
    return PlanPhase.MANAGEMENT if kind.permission.startswith("contracts:") else PlanPhase.ACTION


def _sees_drafts(visit: Visit) -> bool:
    return visit.actor.may(EDIT) or visit.actor.may(ADOPT)


async def show_phase(visit: Visit) -> Response:
    """A phase: what its gate asks for, where each is mended, and how the plan came here."""
    return await _page(visit, _phase(visit), Form(visit.language))


def _phase(visit: Visit) -> PlanPhase:
    said = visit.part("phase").removesuffix(".json")
    if said not in ("1", "2", "3", "4"):
        raise NotFound("The plan has four phases", hint="See the plan.")
    return PlanPhase(int(said))


async def _page(visit: Visit, phase: PlanPhase, form: Form, *, status: int = 200) -> Response:
    gates, position = await visit.rooms.plan.gates(visit.actor), visit.rooms.plan.phases.position(visit.actor)
    kinds, tools = _group(visit, phase)
    data = {
        **phase_row(visit, phase, gates, position),
        "requirements": [requirement_row(visit, one) for one in gates[phase]],
        "records": kinds,
    }
    return visit.render(
        "plan-phase.html",
        data,
        status=status,
        form=form,
        tools=tools,
        may_edit=visit.actor.may(EDIT),
        version=position.version,
        moves=_moves(visit, phase, position),
        passages=_passages(visit, position.passages),
    )


def _moves(visit: Visit, phase: PlanPhase, position: Position) -> Sequence[tuple[int, str]]:
    """Where the plan may go from here: the next phase from the open one, or back to an earlier one."""
    if not visit.actor.may(EDIT):
        return []
    if phase < position.phase:
        words = visit.gettext("Go back to this phase")
        return [(int(phase), words)]
    if phase is position.phase and phase is not PlanPhase.MANAGEMENT:
        following = PlanPhase(phase + 1)
        title = visit.language.say(TITLES[following])
        return [(int(following), visit.gettext("Open the next phase: %(title)s", title=title))]
    if phase is position.phase:
        return [(int(PlanPhase.BASIS), visit.gettext("Begin the next round with the basis"))]
    return []


def _passages(visit: Visit, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    return [
        {
            "at": one.at,
            "by": visit.person(one.by) if visit.actor.sees(InformationClass.INTERNAL) else "",
            "before": visit.language.say(TITLES[PlanPhase(one.before)]),
            "after": visit.language.say(TITLES[PlanPhase(one.after)]),
            "missing": len(one.missing),
            "reason": one.reason,
        }
        for one in reversed(passages)
        if one.before in set(PlanPhase) and one.after in set(PlanPhase)
    ]


async def move(visit: Visit) -> Response:
    """Open the next phase, or go back to an earlier one."""
    form = await visit.form()
    visit.require(EDIT)
    shown = _phase(visit)
    said = form.choice("to", ["1", "2", "3", "4"], required=visit.gettext("Choose what to do."))
    reason = form.text("reason", longest=LONGEST_REASON)
    try:
        form.raise_if_wrong()
        position = await visit.rooms.plan.open(
            visit.actor, PlanPhase(int(said)), reason=reason, version=form.value("version")
        )
    except WrongForm:
        return await _page(visit, shown, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "reason")
        return await _page(visit, shown, form, status=400)
    title = visit.language.say(TITLES[position.phase])
    return visit.redirect(
        f"/plan/phases/{int(position.phase)}",
        visit.gettext("The plan is now in the phase “%(title)s”. Nothing of it was lost.", title=title),
    )
