"""Phase 3: what initiatives must say, and who controls them. Pure."""

from __future__ import annotations

from collections.abc import Callable

from cityloom.kernel.worded import Worded
from cityloom.planning.action.approval import missing
from cityloom.planning.action.model import CHECKS
from cityloom.planning.masterplan.gates import Requirement
from cityloom.planning.masterplan.requirements.facts import (
    Facts,
    adopted_ones,
    below,
    of_goals,
    of_initiatives,
    said,
)
from cityloom.planning.masterplan.serving import goals_of, unexamined


def _initiatives(facts: Facts) -> Requirement:
    why = Worded("No initiative is adopted.")
    return said("initiatives", Worded("Adopted initiatives"), bool(adopted_ones(facts)), why, "/initiatives")


def _served(facts: Facts) -> Requirement:
    served = {goal for one in adopted_ones(facts) for goal in goals_of(one)}
    loose = [goal for goal in facts.of("Goal") if not served & {goal.id, *below(facts, goal.id)}]
    return of_goals(facts, "served", Worded("Every goal is served by an initiative"), loose, "goals")


def _said_all(facts: Facts) -> Requirement:
    loose = [one for one in adopted_ones(facts) if missing(one.plan)]
    return of_initiatives(
        facts, "actions", Worded("Timing, cost, responsible, indicators and reporting of each"), loose
    )


def _checked(name: str) -> Callable[[Facts], Requirement]:
    titles = {
        "emf": Worded("Electromagnetic fields examined"),
        "security": Worded("Information security examined"),
        "privacy": Worded("Privacy examined"),
    }

    def check(facts: Facts) -> Requirement:
        loose = [one for one in adopted_ones(facts) if name in unexamined(one)]
        return of_initiatives(facts, name, titles[name], loose)

    return check


def _committee(facts: Facts) -> Requirement:
    bodies = [one for one in facts.of("PlanBody") if one.get("budgetControl")]
    worked = any(member.get("worked") for one in bodies for member in one.get("members", ()))
    why = (
        Worded("No body has control over budgets.")
        if not bodies
        else Worded("No member of it is known to have worked on the plan.")
    )
    return said(
        "committee",
        Worded("A governance committee that controls budgets"),
        bool(bodies) and worked,
        why,
        "/plan/bodies",
    )


#: In the order in which they are shown.
ASKED = (_initiatives, _served, _said_all, *(_checked(name) for name in CHECKS), _committee)
