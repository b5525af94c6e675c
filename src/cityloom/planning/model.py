"""An Initiative: what the city promises, what it costs, and by which indicators it is to be judged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec
import orjson

from cityloom.context.editing import version_of
from cityloom.context.reading import geometry, instant, items, texts, word
from cityloom.ngsild.model import Document, value_of
from cityloom.planning import money
from cityloom.planning.action.model import ATTRIBUTES as ACTION_ATTRIBUTES
from cityloom.planning.action.model import Action
from cityloom.planning.action.reading import action_of
from cityloom.planning.money import Money

TYPE = "Initiative"

#: What a decision is made on; one made on another state of these is refused.
DECIDED_ON = (
    "name",
    "description",
    "phase",
    "owner",
    "budget",
    "spent",
    "startsAt",
    "endsAt",
    "milestones",
    "targets",
    "location",
    *ACTION_ATTRIBUTES,
)


class Phase(StrEnum):
    """How far an initiative is."""

    IDEA = "idea"
    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"


#: Where each phase may lead: forward step by step, and one step back.
TRANSITIONS: Mapping[Phase, tuple[Phase, ...]] = {
    Phase.IDEA: (Phase.PLANNED,),
    Phase.PLANNED: (Phase.RUNNING, Phase.IDEA),
    Phase.RUNNING: (Phase.DONE, Phase.PLANNED),
    Phase.DONE: (Phase.RUNNING,),
}


class Milestone(msgspec.Struct, frozen=True, gc=False):
    """A step that is to be reached on a day, and the day it was."""

    name: str
    due: date
    done: date | None = None
    #: The name in other languages.
    names: Mapping[str, str] = {}


class Target(msgspec.Struct, frozen=True, gc=False):
    """What an indicator is to become: from a baseline to a value by a day. In the indicator's unit."""

    indicator: str
    baseline: float
    target: float
    due: date


class Plan(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is written down of an initiative. Texts are by language."""

    name: Mapping[str, str]
    description: Mapping[str, str]
    #: Who answers for it: an office, a person's function.
    owner: str = ""
    budget: Money | None = None
    #: Spent so far, in the budget's currency.
    spent: Money | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    milestones: tuple[Milestone, ...] = ()
    targets: tuple[Target, ...] = ()
    #: A GeoJSON geometry in WGS 84.
    location: Mapping[str, Any] | None = None
    #: What makes an action of it.
    action: Action = Action()


class Step(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One thing that happened. Kept on the Entity as one item of `history`; `by` is an actor's id."""

    at: str
    by: str
    #: drafted, adopted, edited, undone, or the name of a phase.
    did: str
    note: str = ""


class Revision(msgspec.Struct, frozen=True, gc=False):
    """What stood before an edit: contents by attribute name, None for what was not there."""

    at: str
    by: str
    was: dict[str, Any]


class Initiative(msgspec.Struct, frozen=True, gc=False):
    """An initiative read from its Entity."""

    id: str
    phase: str
    is_draft: bool
    plan: Plan
    adopted_at: datetime | None
    history: tuple[Step, ...]
    revisions: tuple[Revision, ...]
    version: str
    #: Its Entity, as JSON: thousands are held, of which one at a time is read whole.
    text: bytes
    #: Where it comes from: "entered", or what a demo says.
    origin: str = ""

    @property
    def document(self) -> Document:
        """Its Entity."""
        document: Document = orjson.loads(self.text)
        return document

    @property
    def share_spent(self) -> Decimal | None:
        """Spent over budget, from 0; None when either is not said."""
        budget, spent = self.plan.budget, self.plan.spent
        if budget is None or spent is None or budget.amount == 0:
            return None
        return spent.amount / budget.amount

    def overdue(self, today: date) -> tuple[Milestone, ...]:
        """Milestones that were to be reached before today and were not."""
        return tuple(one for one in self.plan.milestones if one.done is None and one.due < today)


def initiative_of(document: Document) -> Initiative:
    """The Initiative that an Entity of the type Initiative is."""
    return Initiative(
        id=document["id"],
        phase=word(document, "phase"),
        is_draft=word(document, "status") == "draft",
        plan=Plan(
            name=texts(document, "name"),
            description=texts(document, "description"),
            owner=word(document, "owner"),
            budget=money.read(value_of(document, "budget")),
            spent=money.read(value_of(document, "spent")),
            starts_at=instant(document, "startsAt"),
            ends_at=instant(document, "endsAt"),
            milestones=items(document, "milestones", Milestone),
            targets=items(document, "targets", Target),
            location=geometry(document, "location"),
            action=action_of(document),
        ),
        adopted_at=instant(document, "dateIssued"),
        history=items(document, "history", Step),
        revisions=items(document, "revisions", Revision),
        version=version_of(document, DECIDED_ON),
        text=orjson.dumps(document),
        origin=word(document, "dataOrigin"),
    )
