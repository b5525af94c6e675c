"""What an initiative says of itself as an action, as far as the plan as a whole asks. Pure."""

from __future__ import annotations

from cityloom.context.publishing import public_id
from cityloom.planning.action.approval import unchecked
from cityloom.planning.model import Initiative

_CHECKS = "checks."


def goals_of(initiative: Initiative) -> tuple[str, ...]:
    """The goals that an initiative serves."""
    return tuple(public_id(one) for one in initiative.plan.action.goals)


def unexamined(initiative: Initiative) -> list[str]:
    """Which examinations are not done, or failed: keys of the action's CHECKS."""
    return [gap.field.removeprefix(_CHECKS) for gap in unchecked(initiative.plan)]
