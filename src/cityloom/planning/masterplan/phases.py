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
#: What everybody sees; and, for the staff, who opened which phase.
PLAN = f"urn:ngsi-ld:{TYPE}:city"
INSIDE = f"urn:ngsi-ld:{TYPE}:draft-city"
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
        """Where the plan is; in its first phase while nobody has moved it. Who moved it, the staff sees."""
        document = self._broker.find(actor, PLAN)
        if document is None:
            return Position(PlanPhase.BASIS)
        found = _position(document)
        inside = self._broker.find(actor, INSIDE)
        return found if inside is None else msgspec.structs.replace(found, passages=_passages(inside))

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
        await self._make(actor, PLAN, InformationClass.OPEN)
        async with self._editing.turn("phases"):
            if version:
                check_version(version, self._broker.retrieve(actor, PLAN), _DECIDED_ON)
            before = self.position(actor)
            step = passage(
                before.phase,
                wanted,
                requirements,
                at=format_instant(self._clock.now()),
                by=actor.id,
                reason=why,
            )
            kept = [*before.passages, step][-MOST_PASSAGES:]
            await self._make(actor, INSIDE, InformationClass.INTERNAL)
            await self._write(actor, INSIDE, wanted, kept)
            await self._write(actor, PLAN, wanted, [msgspec.structs.replace(one, by="") for one in kept])
        return self.position(actor)

    async def _write(
        self, actor: Actor, entity_id: str, phase: PlanPhase, passages: Sequence[Passage]
    ) -> None:
        said: Edits = {
            "planPhase": prop(int(phase)),
            "passages": json_value(msgspec.to_builtins(list(passages))),
        }
        await self._editing.edit(may_write(actor), entity_id, lambda _: said, trace="planning:phase")

    async def _make(self, actor: Actor, entity_id: str, information_class: InformationClass) -> None:
        if self._broker.find(actor, entity_id) is not None:
            return
        attributes = {
            "name": text(en="Master plan", da="Masterplan"),
            "planPhase": prop(int(PlanPhase.BASIS)),
            "dataOrigin": prop("entered"),
        }
        try:
            await self._broker.create(
                may_write(actor, classify=True),
                entity(TYPE, entity_id, attributes),
                information_class=information_class,
                trace="planning:phase",
            )
        except AlreadyExists:
            return  # somebody else moved it for the first time just now


def _passages(document: Document) -> tuple[Passage, ...]:
    return items(document, "passages", Passage)


def _position(document: Document) -> Position:
    said = value_of(document, "planPhase")
    phase = PlanPhase(said) if said in set(PlanPhase) else PlanPhase.BASIS
    return Position(phase, _passages(document), version_of(document, _DECIDED_ON))
