"""The four principles that hold before a consultation opens (ITU-T Y Suppl. 34, clause 4.2). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum

import msgspec

from cityloom.kernel.worded import Worded


class Principle(StrEnum):
    """What must hold first, in the order of the source."""

    DIVERSITY = "diversity"
    INFORMATION = "information"
    CONSENSUS = "consensus"
    GRIEVANCE = "grievance"


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """How much of each it takes; each city sets its own."""

    least_categories: int = 4
    #: Days from when everybody could read what it is about until it opens.
    least_days: int = 14


class Invited(msgspec.Struct, frozen=True):
    """A stakeholder that is asked to take part."""

    category: str
    #: local, supralocal or both.
    scale: str


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What a consultation has been prepared with."""

    opens: date | None = None
    closes: date | None = None
    #: The first day on which everybody could read what it is about.
    public_since: date | None = None
    documents: int = 0
    questions: int = 0
    invited: Sequence[Invited] = ()
    #: How it is decided what comes out, and what is done where no agreement is found. Texts are by language.
    rule: Mapping[str, str] = {}
    #: How a grievance is raised, who looks at it, and since when that is in place.
    grievance: Mapping[str, str] = {}
    arbiter: Mapping[str, str] = {}
    grievance_since: date | None = None
    #: Who answers for the consultation.
    responsible: Mapping[str, str] = {}


class Check(msgspec.Struct, frozen=True):
    """Whether a principle holds; what is to be done where it does not."""

    principle: Principle
    missing: tuple[Worded, ...] = ()

    @property
    def holds(self) -> bool:
        return not self.missing


class Stage(StrEnum):
    """Where a consultation is."""

    #: Not public, or without its days.
    PREPARED = "prepared"
    #: Public; it opens on its day if the principles hold then.
    ANNOUNCED = "announced"
    #: Its day has come, and a principle does not hold.
    HELD_UP = "held_up"
    OPEN = "open"
    CLOSED = "closed"


def check(prepared: Prepared, required: Requirements) -> tuple[Check, ...]:
    """Each principle, with what is missing."""
    return (
        Check(Principle.DIVERSITY, tuple(_diversity(prepared, required))),
        Check(Principle.INFORMATION, tuple(_information(prepared, required))),
        Check(Principle.CONSENSUS, tuple(_consensus(prepared))),
        Check(Principle.GRIEVANCE, tuple(_grievance(prepared))),
    )


def stage(prepared: Prepared, required: Requirements, today: date) -> Stage:
    """Where a consultation is today. It is open only while all four principles hold."""
    if prepared.public_since is None or prepared.opens is None or prepared.closes is None:
        return Stage.PREPARED
    if today > prepared.closes:
        return Stage.CLOSED
    if today < prepared.opens:
        return Stage.ANNOUNCED
    return Stage.OPEN if all(one.holds for one in check(prepared, required)) else Stage.HELD_UP


def _diversity(prepared: Prepared, required: Requirements) -> list[Worded]:
    missing = []
    categories = {one.category for one in prepared.invited}
    scales = {one.scale for one in prepared.invited}
    if len(categories) < required.least_categories:
        missing.append(
            Worded(
                "Invite stakeholders of %(least)s categories at least; there are %(count)s.",
                least=required.least_categories,
                count=len(categories),
            )
        )
    if not scales & {"local", "both"}:
        missing.append(Worded("Invite somebody who works locally."))
    if not scales & {"supralocal", "both"}:
        missing.append(Worded("Invite somebody of the region, the country or beyond."))
    return missing


def _information(prepared: Prepared, required: Requirements) -> list[Worded]:
    missing = []
    if not prepared.documents:
        missing.append(Worded("Name at least one document that tells what it is about."))
    if not prepared.questions:
        missing.append(Worded("Ask at least one question."))
    if prepared.opens is None or prepared.closes is None:
        missing.append(Worded("Say from which day to which day it is open."))
    elif prepared.closes < prepared.opens:
        missing.append(Worded("Let it close after it opens."))
    if prepared.public_since is None:
        missing.append(Worded("Publish it, so that everybody can read it beforehand."))
    elif prepared.opens is not None:
        days = (prepared.opens - prepared.public_since).days
        if days < required.least_days:
            missing.append(
                Worded(
                    "Let it open %(least)s days after it was published at the earliest; it is %(days)s.",
                    least=required.least_days,
                    days=days,
                )
            )
    return missing


def _consensus(prepared: Prepared) -> list[Worded]:
    if prepared.rule:
        return []
    return [Worded("Write down how agreement is sought, and what is done where there is none.")]


def _grievance(prepared: Prepared) -> list[Worded]:
    missing = []
    if not prepared.grievance:
        missing.append(Worded("Write down how somebody raises a grievance."))
    if not prepared.arbiter:
        missing.append(Worded("Name who looks at grievances."))
    elif _offices(prepared.arbiter) & _offices(prepared.responsible):
        missing.append(Worded("Let somebody else look at grievances than who answers for the consultation."))
    if prepared.grievance_since is None:
        missing.append(Worded("Say since when grievances can be raised."))
    elif prepared.opens is not None and prepared.grievance_since >= prepared.opens:
        missing.append(Worded("Have the way to raise grievances in place before it opens."))
    return missing


def _offices(called: Mapping[str, str]) -> set[str]:
    """What an office is called, in whichever language."""
    return {text.strip().casefold() for text in called.values()}
