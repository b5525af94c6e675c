"""What an action must say before it is approved, before its work begins, and what is merely flagged. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from cityloom.kernel.findings import noted as n
from cityloom.planning.action.model import CHECKS, LETS_BEGIN, PORTFOLIO, TARGET_GROUPS
from cityloom.planning.model import Plan


class Gap(msgspec.Struct, frozen=True):
    """Something that is not said: the field, its words, and the step of the form on which it is said."""

    field: str
    label: str
    step: str


#: What makes an action one (ITU's master plan, 3.3): when, for how much, by whom, by what it is told how far
#: it is, and how often whom.
_NEEDED: tuple[tuple[Gap, Callable[[Plan], bool]], ...] = (
    (Gap("startsAt", n("when it begins"), "basis"), lambda plan: plan.starts_at is not None),
    (Gap("endsAt", n("when it ends"), "basis"), lambda plan: plan.ends_at is not None),
    (Gap("owner", n("who answers for it"), "basis"), lambda plan: bool(plan.owner)),
    (Gap("targets", n("an indicator with its target"), "basis"), lambda plan: bool(plan.targets)),
    (
        Gap("costs.capital", n("what it costs to build (capital; 0 if nothing)"), "costs"),
        lambda plan: plan.action.cost("capital") is not None,
    ),
    (
        Gap("costs.operating", n("what it costs to run (operating; 0 if nothing)"), "costs"),
        lambda plan: plan.action.cost("operating") is not None,
    ),
    (
        Gap("reporting.rhythm", n("how often it is reported on"), "course"),
        lambda plan: bool(plan.action.reporting.rhythm),
    ),
    (Gap("reporting.to", n("to whom it is reported"), "course"), lambda plan: bool(plan.action.reporting.to)),
)
_PILOT: tuple[tuple[Gap, Callable[[Plan], bool]], ...] = (
    (
        Gap("pilot.hypothesis", n("the pilot's hypothesis"), "course"),
        lambda p: bool(p.action.pilot.hypothesis),
    ),
    (Gap("pilot.measure", n("the pilot's measure"), "course"), lambda p: bool(p.action.pilot.measure)),
    (Gap("pilot.stopRule", n("the pilot's stop rule"), "course"), lambda p: bool(p.action.pilot.stop_rule)),
)


def needed(plan: Plan) -> tuple[tuple[Gap, bool], ...]:
    """All that approval asks for, in the order of the form, and whether it is said."""
    asked = (*_NEEDED, *_PILOT) if plan.action.kind == "pilot" else _NEEDED
    return tuple((gap, said(plan)) for gap, said in asked)


def missing(plan: Plan) -> tuple[Gap, ...]:
    """Without these it is not approved."""
    return tuple(gap for gap, said in needed(plan) if not said)


def unchecked(plan: Plan) -> tuple[Gap, ...]:
    """Examinations without which the work does not begin: not done, or failed."""
    return tuple(
        Gap(f"checks.{subject}", label, "checks")
        for subject, label in CHECKS.items()
        if (done := plan.action.check_of(subject)) is None or done.result not in LETS_BEGIN
    )


def elements_missing(plan: Plan) -> tuple[Gap, ...]:
    """Elements of the portfolio of which nothing is said: flagged before approval, where it is seen."""
    return tuple(
        Gap(f"portfolio.{name}", label, "checks")
        for name, label in PORTFOLIO.items()
        if not plan.action.portfolio.get(name)
    )


def flagged(plan: Plan) -> tuple[Gap, ...]:
    """What a whole action says besides; its lack is shown and forbids nothing."""
    action = plan.action
    groups = {one.group for one in action.target_groups if one.is_complete}
    gaps = [*elements_missing(plan)]
    gaps += [
        Gap(f"targetGroups.{name}", label, "checks")
        for name, label in TARGET_GROUPS.items()
        if name not in groups
    ]
    if not action.funding:
        gaps.append(Gap("funding", n("where the money comes from"), "funding"))
    if not action.goals:
        gaps.append(Gap("servesGoal", n("the goal that it serves"), "course"))
    if not action.sdg_targets:
        gaps.append(Gap("sdgTargets", n("targets of the Sustainable Development Goals"), "course"))
    return tuple(gaps)


def named(gaps: Sequence[Gap]) -> str:
    """The gaps in one line, for an error."""
    return ", ".join(gap.label for gap in gaps)
