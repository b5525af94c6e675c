"""What an initiative says of itself as an action, as far as the plan as a whole asks. Pure.

Reads the Entity: an initiative that says nothing of it reads as one that has not said it yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cityloom.context.reading import ids
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import value_of
from cityloom.planning.model import Initiative
from cityloom.planning.records.model import public_id

#: What has to be examined before the work begins.
CHECKS: Mapping[str, str] = {
    "emf": Worded("electromagnetic fields"),
    "security": Worded("information security"),
    "privacy": Worded("privacy"),
}
_LETS_BEGIN = ("passed", "conditions", "notApplicable")


def goals_of(initiative: Initiative) -> tuple[str, ...]:
    """The goals that an initiative serves."""
    return tuple(public_id(one) for one in ids(initiative.document, "servesGoal"))


def unexamined(initiative: Initiative) -> list[str]:
    """Which of CHECKS are not done, or failed."""
    done = {one.get("of") for one in _listed(initiative, "checks") if one.get("result") in _LETS_BEGIN}
    return [name for name in CHECKS if name not in done]


def unsaid(initiative: Initiative) -> list[str]:
    """What of timing, cost, responsible, indicators and reporting is missing; texts of the catalogs."""
    plan, reporting = initiative.plan, value_of(initiative.document, "reporting")
    costs = plan.budget is not None or bool(_listed(initiative, "costs"))
    said = {
        Worded("timing"): plan.starts_at is not None and plan.ends_at is not None,
        Worded("cost"): costs,
        Worded("who answers for it"): bool(plan.owner),
        Worded("indicators with targets"): bool(plan.targets),
        Worded("reporting"): isinstance(reporting, dict) and bool(reporting.get("rhythm")),
    }
    return [words for words, is_said in said.items() if not is_said]


def _listed(initiative: Initiative, name: str) -> Sequence[Mapping[str, object]]:
    said = value_of(initiative.document, name)
    return [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []
