"""In which of its four phases the plan is, and how it came there: each step a recorded act."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cityloom.access.authority import may_write, require
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, Edits, check_version, version_of
from cityloom.context.reading import items
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.texts import check_text
from cityloom.kernel.time import Clock, format_instant
from cityloom.ngsild.errors import AlreadyExists
from cityloom.ngsild.model import Document, entity, json_value, prop, text, value_of
from cityloom.planning.masterplan.gates import Passage, PlanPhase, Requirement, passage

TYPE = "MasterPlan"
PLAN = f"urn:ngsi-ld:{TYPE}:city"
#: Steps that are kept.
MOST_PASSAGES = 200
LONGEST_REASON = 2000
_PERMISSION = "plan:edit"
_DECIDED_ON = ("planPhase",)


class Position(msgspec.Struct, frozen=True):
    """Where the plan is."""

    phase: PlanPhase
    passages: tuple[Passage, ...] = ()
    #: A tag for `version=`; "" before the first step.
    version: str = ""


class Phases:
    """Reads and moves the plan's phase. One plan a city; going back takes nothing away."""

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._editing = Editing(broker)

    def position(self, actor: Actor) -> Position:
        """Where the plan is; in its first phase while nobody has moved it."""
        document = self._broker.find(actor, PLAN)
        return Position(PlanPhase.BASIS) if document is None else _position(document)

    async def move(
        self,
        actor: Actor,
        wanted: PlanPhase,
        requirements: Sequence[Requirement],
        *,
        reason: str = "",
        version: str = "",
    ) -> Position:
        """Open the next phase, or go back. `requirements` are those of the present phase's gate.

        Needs plan:edit. Raises what `gates.passage` raises, Conflict when `version` is not what is there.
        """
        require(actor, _PERMISSION)
        why = check_text(reason, where="reason", longest=LONGEST_REASON, optional=True)
        await self._make(actor)

        def edits(document: Document) -> Edits:
            if version:
                check_version(version, document, _DECIDED_ON)
            before = _position(document)
            step = passage(
                before.phase,
                wanted,
                requirements,
                at=format_instant(self._clock.now()),
                by=actor.id,
                reason=why,
            )
            kept = [*before.passages, step][-MOST_PASSAGES:]
            return {
                "planPhase": prop(int(wanted)),
                "passages": json_value(msgspec.to_builtins(kept)),
            }

        return _position(await self._editing.edit(may_write(actor), PLAN, edits, trace="planning:phase"))

    async def _make(self, actor: Actor) -> None:
        if self._broker.find(actor, PLAN) is not None:
            return
        attributes = {
            "name": text(en="Master plan", da="Masterplan"),
            "planPhase": prop(int(PlanPhase.BASIS)),
            "dataOrigin": prop("entered"),
        }
        try:
            await self._broker.create(
                may_write(actor, classify=True),
                entity(TYPE, PLAN, attributes),
                information_class=InformationClass.OPEN,
                trace="planning:phase",
            )
        except AlreadyExists:
            return  # somebody else moved it for the first time just now


def _position(document: Document) -> Position:
    said = value_of(document, "planPhase")
    phase = PlanPhase(said) if said in set(PlanPhase) else PlanPhase.BASIS
    return Position(phase, items(document, "passages", Passage), version_of(document, _DECIDED_ON))
