"""What each phase's gate asks for, computed from what is there. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

import msgspec

from cityloom.context.publishing import public_id
from cityloom.kernel.worded import Worded
from cityloom.planning.action.approval import missing
from cityloom.planning.action.model import CHECKS
from cityloom.planning.masterplan import infrastructure, processes
from cityloom.planning.masterplan.dimensions import DIMENSIONS
from cityloom.planning.masterplan.gates import PlanPhase, Requirement
from cityloom.planning.masterplan.serving import goals_of, unexamined
from cityloom.planning.model import Initiative
from cityloom.planning.records.model import Record

#: Names that are told where several things lack something.
_NAMED = 3
#: An evaluation of the whole older than this asks for the next, in days.
_YEAR = 366


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is there of the plan, as far as somebody may see it."""

    #: By type, without those that were thrown away.
    records: Mapping[str, Sequence[Record]]
    initiatives: Sequence[Initiative]
    today: date
    baselines: int = 0
    versions: int = 0
    #: Records whose working copy says something that nobody outside sees.
    unpublished: int = 0

    def of(self, type_name: str) -> Sequence[Record]:
        """The records of a type."""
        return self.records.get(type_name, ())


def requirements(phase: PlanPhase, facts: Facts) -> list[Requirement]:
    """What the gate behind a phase asks for; of the last phase, what keeps it alive."""
    return [one(facts) for one in _GATES[phase]]


def dependencies(records: Iterable[Record]) -> dict[str, list[str]]:
    """What each service or item depends on, by id."""
    return {one.id: [public_id(other) for other in one.get("dependsOn", ())] for one in records}


# Phase 1


def _vision(facts: Facts) -> Requirement:
    visions = facts.of("CityVision")
    met = any(one.get("purposes") for one in visions)
    why = (
        Worded("Nobody has said what the plan is for.")
        if not visions
        else Worded("The vision names no purpose.")
    )
    href = _first(visions, "vision")
    return _said("vision", Worded("A vision with its purposes"), met, why, href)


def _stage(facts: Facts) -> Requirement:
    why = Worded("It is not told yet at which stage the city stands.")
    return _said(
        "stage", Worded("The stage of the city"), bool(facts.of("CityStage")), why, "/plan/stage/new"
    )


def _baseline(facts: Facts) -> Requirement:
    why = Worded("Without a baseline nobody can tell later what has changed.")
    return _said("baseline", Worded("A frozen baseline"), facts.baselines > 0, why, "/plan/baselines")


def _strengths(facts: Facts) -> Requirement:
    found = facts.of("StrengthOrWeakness")
    kinds = {one.get("kind") for one in found if one.get("indicators")}
    met = {"strength", "weakness"} <= kinds
    why = Worded("There should be a strength and a weakness at least, each shown by an indicator.")
    return _said(
        "strengths", Worded("Strengths and weaknesses, shown by indicators"), met, why, "/plan/strengths"
    )


def _services(facts: Facts) -> Requirement:
    found = facts.of("ServiceProcess")
    bare = [one for one in found if not one.get("steps")]
    why = (
        Worded("No service is described.")
        if not found
        else Worded("No steps are described of: %(names)s.", names=_names(bare))
    )
    return _said(
        "services",
        Worded("A catalogue of services with their steps"),
        bool(found) and not bare,
        why,
        "/plan/processes",
    )


def _circles(facts: Facts) -> Requirement:
    records = [*facts.of("ServiceProcess"), *facts.of("InfrastructureItem")]
    by_id = {one.id: one for one in records}
    circles = processes.circles(dependencies(records))
    why: str = ""
    if circles:
        names = _names([by_id[one] for one in circles[0] if one in by_id])
        why = Worded("They depend on each other, and none could start again alone: %(names)s.", names=names)
    return _said(
        "circles", Worded("No services that wait for each other"), not circles, why, "/plan/dependencies"
    )


def _infrastructure(facts: Facts) -> Requirement:
    items = [infrastructure.Item(category=one.get("category", "")) for one in facts.of("InfrastructureItem")]
    states = infrastructure.states(items, facts.today)
    there = {state.group for state in states if state.items}
    lacking = [state.category for state in states if not state.items]
    why = Worded("Nothing is said of %(count)s of %(all)s categories.", count=len(lacking), all=len(states))
    met = there == set(infrastructure.GROUPS)
    return _said(
        "infrastructure",
        Worded("The state of the infrastructure in all three groups"),
        met,
        why,
        "/plan/state-of-infrastructure",
    )


def _stakeholders(facts: Facts) -> Requirement:
    why = Worded("Nobody is named who takes part in the plan or is affected by it.")
    return _said(
        "stakeholders", Worded("Stakeholders"), bool(facts.of("Stakeholder")), why, "/plan/stakeholders"
    )


# Phase 2


def _goals(facts: Facts) -> Requirement:
    why = Worded("There is no goal yet.")
    return _said("goals", Worded("A tree of goals"), bool(facts.of("Goal")), why, "/plan/goal-tree")


def _tied(facts: Facts) -> Requirement:
    loose = [one for one in facts.of("Goal") if not (one.get("sdgTargets") and one.get("dimensions"))]
    return _each(
        facts, "Goal", "tied", Worded("Goals tied to SDG targets and dimensions"), loose, "goals", edit=True
    )


def _in_urban_plan(facts: Facts) -> Requirement:
    top = [one for one in facts.of("Goal") if not one.get("parent")]
    loose = [one for one in top if not _any_below(facts, one, "urbanPlan")]
    return _each(
        facts,
        "Goal",
        "urbanPlan",
        Worded("Every main goal serves an item of the urban plan"),
        loose,
        "goals",
        edit=True,
    )


def _measured(facts: Facts) -> Requirement:
    parents = {public_id(one.get("parent", "")) for one in facts.of("Goal")}
    leaves = [one for one in facts.of("Goal") if one.id not in parents]
    loose = [one for one in leaves if not one.get("indicators")]
    return _each(
        facts,
        "Goal",
        "measured",
        Worded("Every goal that has no parts has an indicator"),
        loose,
        "goals",
        edit=True,
    )


def _dimensions(facts: Facts) -> Requirement:
    covered = {one for goal in facts.of("Goal") for one in goal.get("dimensions", ())}
    lacking = [key for key in DIMENSIONS if key not in covered]
    why = Worded("No goal is about %(count)s of the four dimensions.", count=len(lacking))
    return _said("dimensions", Worded("Goals in all four dimensions"), not lacking, why, "/plan/goal-tree")


def _leadership(facts: Facts) -> Requirement:
    bodies = facts.of("PlanBody")
    leads = any(one.get("leads") for one in bodies)
    joins = any(one.get("kind") == "crossSector" and one.get("members") for one in bodies)
    why = (
        Worded("No body leads the plan.")
        if not leads
        else Worded("There is no cross-sectorial body with members.")
    )
    return _said(
        "leadership", Worded("Leadership and a cross-sectorial body"), leads and joins, why, "/plan/bodies"
    )


def _published(facts: Facts) -> Requirement:
    why = Worded(
        "%(count)s records say something that the council and the public cannot see.", count=facts.unpublished
    )
    met = facts.unpublished == 0 and any(facts.records.values())
    return _said("published", Worded("All of it published"), met, why, "/plan/unpublished")


def _adopted(facts: Facts) -> Requirement:
    why = Worded("The council has not adopted a version of the plan.")
    return _said("adopted", Worded("Adoption by the council"), facts.versions > 0, why, "/plan/versions")


# Phase 3


def _initiatives(facts: Facts) -> Requirement:
    why = Worded("No initiative is adopted.")
    return _said(
        "initiatives", Worded("Adopted initiatives"), bool(_adopted_ones(facts)), why, "/initiatives"
    )


def _served(facts: Facts) -> Requirement:
    served = {goal for one in _adopted_ones(facts) for goal in goals_of(one)}
    loose = [goal for goal in facts.of("Goal") if not served & {goal.id, *_below(facts, goal.id)}]
    return _each(facts, "Goal", "served", Worded("Every goal is served by an initiative"), loose, "goals")


def _said_all(facts: Facts) -> Requirement:
    loose = [one for one in _adopted_ones(facts) if missing(one.plan)]
    return _of_initiatives(
        facts, "actions", Worded("Timing, cost, responsible, indicators and reporting of each"), loose
    )


def _checked(name: str) -> Callable[[Facts], Requirement]:
    titles = {
        "emf": Worded("Electromagnetic fields examined"),
        "security": Worded("Information security examined"),
        "privacy": Worded("Privacy examined"),
    }

    def check(facts: Facts) -> Requirement:
        loose = [one for one in _adopted_ones(facts) if name in unexamined(one)]
        return _of_initiatives(facts, name, titles[name], loose)

    return check


def _committee(facts: Facts) -> Requirement:
    bodies = [one for one in facts.of("PlanBody") if one.get("budgetControl")]
    worked = any(member.get("worked") for one in bodies for member in one.get("members", ()))
    why = (
        Worded("No body has control over budgets.")
        if not bodies
        else Worded("No member of it is known to have worked on the plan.")
    )
    return _said(
        "committee",
        Worded("A governance committee that controls budgets"),
        bool(bodies) and worked,
        why,
        "/plan/bodies",
    )


# Phase 4


def _evaluated(facts: Facts) -> Requirement:
    wholes = [one for one in facts.of("PlanEvaluation") if one.get("level") == "whole"]
    fresh = any((facts.today - one.values["until"]).days <= _YEAR for one in wholes if "until" in one.values)
    why = Worded("The plan as a whole was not evaluated within a year.")
    return _said("evaluated", Worded("A yearly evaluation of the whole"), fresh, why, "/plan/evaluations")


def _watched(facts: Facts) -> Requirement:
    found = facts.of("OutsideFactor")
    why = Worded("Nothing outside the plan is watched.")
    return _said("watched", Worded("A watch list of outside factors"), bool(found), why, "/plan/watch-list")


def _told(facts: Facts) -> Requirement:
    coming = [
        one for one in facts.of("PlanCommunication") if one.values.get("on", facts.today) >= facts.today
    ]
    why = Worded("Nothing is planned to be told from today on.")
    return _said("told", Worded("Something to be told"), bool(coming), why, "/plan/communication")


def _answered(facts: Facts) -> Requirement:
    waiting = [one for one in facts.of("PlanChange") if one.get("state", "proposed") == "proposed"]
    why = Worded("Proposed changes wait for an answer: %(names)s.", names=_names(waiting))
    return _said("answered", Worded("Every proposed change answered"), not waiting, why, "/plan/changes")


_GATES: Mapping[PlanPhase, tuple[Callable[[Facts], Requirement], ...]] = {
    PlanPhase.BASIS: (
        _vision,
        _stage,
        _baseline,
        _strengths,
        _services,
        _circles,
        _infrastructure,
        _stakeholders,
    ),
    PlanPhase.STRATEGY: (
        _goals,
        _tied,
        _in_urban_plan,
        _measured,
        _dimensions,
        _leadership,
        _published,
        _adopted,
    ),
    PlanPhase.ACTION: (_initiatives, _served, _said_all, *(_checked(name) for name in CHECKS), _committee),
    PlanPhase.MANAGEMENT: (_evaluated, _watched, _told, _answered),
}


def _said(name: str, title: str, met: bool, why: str, href: str) -> Requirement:
    return Requirement(name, title, met, "" if met else why, href)


def _each(
    facts: Facts,
    type_name: str,
    name: str,
    title: str,
    loose: Sequence[Record],
    path: str,
    *,
    edit: bool = False,
) -> Requirement:
    """Met where there are some, and none of them lacks it; leads to the first that does."""
    there = facts.of(type_name)
    why = (
        Worded("It is missing for: %(names)s.", names=_names(loose))
        if there
        else Worded("There is no goal yet.")
    )
    href = f"/plan/{path}" if not loose else f"/plan/{path}/{loose[0].id}" + ("/edit" if edit else "")
    return _said(name, title, bool(there) and not loose, why, href)


def _of_initiatives(facts: Facts, name: str, title: str, loose: Sequence[Initiative]) -> Requirement:
    adopted = _adopted_ones(facts)
    names = ", ".join(_plain(one.plan.name, one.id) for one in loose[:_NAMED]) + _more(len(loose))
    why = (
        Worded("It is missing for: %(names)s.", names=names)
        if adopted
        else Worded("No initiative is adopted.")
    )
    href = f"/initiatives/{loose[0].id}" if loose else "/initiatives"
    return _said(name, title, bool(adopted) and not loose, why, href)


def _adopted_ones(facts: Facts) -> list[Initiative]:
    return [one for one in facts.initiatives if not one.is_draft]


def _any_below(facts: Facts, goal: Record, name: str) -> bool:
    wanted = {goal.id, *_below(facts, goal.id)}
    return any(one.get(name) for one in facts.of("Goal") if one.id in wanted)


def _below(facts: Facts, goal_id: str) -> set[str]:
    """The goals that are part of a goal, over any number of steps."""
    found: set[str] = set()
    at = [goal_id]
    while at:
        here = at.pop()
        for one in facts.of("Goal"):
            if public_id(one.get("parent", "")) == here and one.id not in found:
                found.add(one.id)
                at.append(one.id)
    return found


def _first(records: Sequence[Record], path: str) -> str:
    return f"/plan/{path}/{records[0].id}/edit" if records else f"/plan/{path}/new"


def _names(records: Sequence[Record]) -> str:
    return ", ".join(_plain(one.name, one.id) for one in records[:_NAMED]) + _more(len(records))


def _plain(name: Mapping[str, str], otherwise: str) -> str:
    return next(iter(name.values()), otherwise)


def _more(count: int) -> str:
    return f" (+{count - _NAMED})" if count > _NAMED else ""
