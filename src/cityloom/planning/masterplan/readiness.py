"""What each phase's gate asks for, computed from what is there. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cityloom.planning.masterplan.gates import PlanPhase, Requirement
from cityloom.planning.masterplan.requirements import action, basis, management, strategy
from cityloom.planning.masterplan.requirements.facts import Facts

_GATES: Mapping[PlanPhase, Sequence[Callable[[Facts], Requirement]]] = {
    PlanPhase.BASIS: basis.ASKED,
    PlanPhase.STRATEGY: strategy.ASKED,
    PlanPhase.ACTION: action.ASKED,
    PlanPhase.MANAGEMENT: management.ASKED,
}


def requirements(phase: PlanPhase, facts: Facts) -> list[Requirement]:
    """What the gate behind a phase asks for; of the last phase, what keeps it alive."""
    return [one(facts) for one in _GATES[phase]]
