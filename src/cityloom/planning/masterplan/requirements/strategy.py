"""Phase 2: what goals must be before the council's plan is carried out. Pure."""

from __future__ import annotations

from cityloom.context.publishing import public_id
from cityloom.kernel.worded import Worded
from cityloom.planning.masterplan.dimensions import DIMENSIONS
from cityloom.planning.masterplan.gates import Requirement
from cityloom.planning.masterplan.requirements.facts import (
    Facts,
    any_below,
    of_goals,
    said,
)


def _goals(facts: Facts) -> Requirement:
    why = Worded("There is no goal yet.")
    return said("goals", Worded("A tree of goals"), bool(facts.of("Goal")), why, "/plan/goal-tree")


def _tied(facts: Facts) -> Requirement:
    loose = [one for one in facts.of("Goal") if not (one.get("sdgTargets") and one.get("dimensions"))]
    return of_goals(
        facts, "tied", Worded("Goals tied to SDG targets and dimensions"), loose, "goals", edit=True
    )


def _in_urban_plan(facts: Facts) -> Requirement:
    top = [one for one in facts.of("Goal") if not one.get("parent")]
    loose = [one for one in top if not any_below(facts, one, "urbanPlan")]
    return of_goals(
        facts,
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
    return of_goals(
        facts,
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
    return said("dimensions", Worded("Goals in all four dimensions"), not lacking, why, "/plan/goal-tree")


def _leadership(facts: Facts) -> Requirement:
    bodies = facts.of("PlanBody")
    leads = any(one.get("leads") for one in bodies)
    joins = any(one.get("kind") == "crossSector" and one.get("members") for one in bodies)
    why = (
        Worded("No body leads the plan.")
        if not leads
        else Worded("There is no cross-sectorial body with members.")
    )
    return said(
        "leadership", Worded("Leadership and a cross-sectorial body"), leads and joins, why, "/plan/bodies"
    )


def _published(facts: Facts) -> Requirement:
    why = Worded(
        "%(count)s records say something that the council and the public cannot see.", count=facts.unpublished
    )
    met = facts.unpublished == 0 and any(facts.records.values())
    return said("published", Worded("All of it published"), met, why, "/plan/unpublished")


def _adopted(facts: Facts) -> Requirement:
    why = Worded("The council has not adopted a version of the plan.")
    return said("adopted", Worded("Adoption by the council"), facts.versions > 0, why, "/plan/versions")


#: In the order in which they are shown.
ASKED = (
    _goals,
    _tied,
    _in_urban_plan,
    _measured,
    _dimensions,
    _leadership,
    _published,
    _adopted,
)
