"""Phase 1: what must be known before goals are set. Pure."""

from __future__ import annotations

from cityloom.kernel.worded import Worded
from cityloom.planning.masterplan import infrastructure, processes
from cityloom.planning.masterplan.gates import Requirement
from cityloom.planning.masterplan.requirements.facts import (
    Facts,
    dependencies,
    first_or_new,
    names_of,
    said,
)


def _vision(facts: Facts) -> Requirement:
    visions = facts.of("CityVision")
    met = any(one.get("purposes") for one in visions)
    why = (
        Worded("Nobody has said what the plan is for.")
        if not visions
        else Worded("The vision names no purpose.")
    )
    href = first_or_new(visions, "vision")
    return said("vision", Worded("A vision with its purposes"), met, why, href)


def _stage(facts: Facts) -> Requirement:
    why = Worded("It is not told yet at which stage the city stands.")
    return said("stage", Worded("The stage of the city"), bool(facts.of("CityStage")), why, "/plan/stage/new")


def _baseline(facts: Facts) -> Requirement:
    why = Worded("Without a baseline nobody can tell later what has changed.")
    return said("baseline", Worded("A frozen baseline"), facts.baselines > 0, why, "/plan/baselines")


def _strengths(facts: Facts) -> Requirement:
    found = facts.of("StrengthOrWeakness")
    kinds = {one.get("kind") for one in found if one.get("indicators")}
    met = {"strength", "weakness"} <= kinds
    why = Worded("There should be a strength and a weakness at least, each shown by an indicator.")
    return said(
        "strengths", Worded("Strengths and weaknesses, shown by indicators"), met, why, "/plan/strengths"
    )


def _services(facts: Facts) -> Requirement:
    found = facts.of("ServiceProcess")
    bare = [one for one in found if not one.get("steps")]
    why = (
        Worded("No service is described.")
        if not found
        else Worded("No steps are described of: %(names)s.", names=names_of(bare))
    )
    return said(
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
        names = names_of([by_id[one] for one in circles[0] if one in by_id])
        why = Worded("They depend on each other, and none could start again alone: %(names)s.", names=names)
    return said(
        "circles", Worded("No services that wait for each other"), not circles, why, "/plan/dependencies"
    )


def _infrastructure(facts: Facts) -> Requirement:
    items = [infrastructure.Item(category=one.get("category", "")) for one in facts.of("InfrastructureItem")]
    states = infrastructure.states(items, facts.today)
    there = {state.group for state in states if state.items}
    lacking = [state.category for state in states if not state.items]
    why = Worded("Nothing is said of %(count)s of %(all)s categories.", count=len(lacking), all=len(states))
    met = there == set(infrastructure.GROUPS)
    return said(
        "infrastructure",
        Worded("The state of the infrastructure in all three groups"),
        met,
        why,
        "/plan/state-of-infrastructure",
    )


def _stakeholders(facts: Facts) -> Requirement:
    why = Worded("Nobody is named who takes part in the plan or is affected by it.")
    return said(
        "stakeholders", Worded("Stakeholders"), bool(facts.of("Stakeholder")), why, "/plan/stakeholders"
    )


#: In the order in which they are shown.
ASKED = (
    _vision,
    _stage,
    _baseline,
    _strengths,
    _services,
    _circles,
    _infrastructure,
    _stakeholders,
)
