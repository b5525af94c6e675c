"""Gates between the phases of the plan: what must be there before the next one opens. Pure.

A gate never stops anybody: it says what is missing, and where that is mended. Who opens the next phase all
the same writes down why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

import msgspec

from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.worded import Worded


class PlanPhase(IntEnum):
    """The four phases of a city's master plan."""

    BASIS = 1
    STRATEGY = 2
    ACTION = 3
    MANAGEMENT = 4


#: What each phase is called, and what comes out of it.
TITLES: Mapping[PlanPhase, str] = {
    PlanPhase.BASIS: Worded("Basis"),
    PlanPhase.STRATEGY: Worded("Strategy"),
    PlanPhase.ACTION: Worded("Action plan"),
    PlanPhase.MANAGEMENT: Worded("Management"),
}
PURPOSES: Mapping[PlanPhase, str] = {
    PlanPhase.BASIS: Worded("Where the city stands, what it wants to be, and who is part of it."),
    PlanPhase.STRATEGY: Worded("Which goals it sets itself, who leads, and what the council adopts."),
    PlanPhase.ACTION: Worded("What is done for the goals, by whom, by when, with which money."),
    PlanPhase.MANAGEMENT: Worded("How it goes, what is decided, told and learned, and what then changes."),
}


class Requirement(msgspec.Struct, frozen=True):
    """One thing that a gate asks for."""

    #: What it is known by in records of a gate: "baseline".
    name: str
    #: What is asked for, in words for people; a text of the catalogs.
    title: str
    met: bool
    #: What is there, or what is missing.
    why: str = ""
    #: The page on which it is mended.
    href: str = ""


class Passage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A recorded act: the plan went from one phase to another. `by` is an actor's id, `at` an instant."""

    at: str
    by: str
    before: int
    after: int
    #: Names of the requirements that were not met when the gate was passed.
    missing: tuple[str, ...] = ()
    #: Why it was passed all the same, or why it went back.
    reason: str = ""


def unmet(requirements: Sequence[Requirement]) -> list[Requirement]:
    """What is still missing."""
    return [one for one in requirements if not one.met]


def passage(
    present: PlanPhase,
    wanted: PlanPhase,
    requirements: Sequence[Requirement],
    *,
    at: str,
    by: str,
    reason: str,
) -> Passage:
    """The act of opening the next phase, or of going back to an earlier one.

    `requirements` are those of the present phase's gate. Raises Conflict for a phase that does not follow,
    BadInput naming `reason` where one is due.
    """
    if wanted == present or wanted > present + 1:
        raise Conflict(
            Worded("The plan is in phase %(present)s", present=present.value),
            hint=Worded("Open the phase after it, or go back to an earlier one."),
            where="phase",
        )
    missing = tuple(one.name for one in unmet(requirements)) if wanted > present else ()
    if not reason and (missing or wanted < present):
        message = (
            Worded("Not everything that this phase asks for is there")
            if missing
            else Worded("The plan goes back to an earlier phase")
        )
        raise BadInput(message, hint=Worded("Write down why it is done all the same."), where="reason")
    return Passage(at, by, present.value, wanted.value, missing, reason)
