"""Phase 4: what keeps the plan alive. Pure."""

from __future__ import annotations

from cityloom.kernel.worded import Worded
from cityloom.planning.masterplan.gates import Requirement
from cityloom.planning.masterplan.requirements.facts import (
    Facts,
    names_of,
    said,
)

#: An evaluation of the whole older than this asks for the next, in days.
_YEAR = 366


def _evaluated(facts: Facts) -> Requirement:
    wholes = [one for one in facts.of("PlanEvaluation") if one.get("level") == "whole"]
    fresh = any((facts.today - one.values["until"]).days <= _YEAR for one in wholes if "until" in one.values)
    why = Worded("The plan as a whole was not evaluated within a year.")
    return said("evaluated", Worded("A yearly evaluation of the whole"), fresh, why, "/plan/evaluations")


def _watched(facts: Facts) -> Requirement:
    found = facts.of("OutsideFactor")
    why = Worded("Nothing outside the plan is watched.")
    return said("watched", Worded("A watch list of outside factors"), bool(found), why, "/plan/watch-list")


def _told(facts: Facts) -> Requirement:
    coming = [
        one for one in facts.of("PlanCommunication") if one.values.get("on", facts.today) >= facts.today
    ]
    why = Worded("Nothing is planned to be told from today on.")
    return said("told", Worded("Something to be told"), bool(coming), why, "/plan/communication")


def _answered(facts: Facts) -> Requirement:
    waiting = [one for one in facts.of("PlanChange") if one.get("state", "proposed") == "proposed"]
    why = Worded("Proposed changes wait for an answer: %(names)s.", names=names_of(waiting))
    return said("answered", Worded("Every proposed change answered"), not waiting, why, "/plan/changes")


#: In the order in which they are shown.
ASKED = (_evaluated, _watched, _told, _answered)
