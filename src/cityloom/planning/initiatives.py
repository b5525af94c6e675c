"""Initiatives: drafted inside, adopted in the open, moved from phase to phase, judged by their indicators.

A draft and what is adopted of it are two Entities: figures that were struck out of a draft stay internal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from cityloom.access.authority import may_write, require
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, Edits, check_version
from cityloom.context.publishing import Publishing, new_working_id, public_id
from cityloom.context.summaries import Derived, Summaries
from cityloom.history.model import Reading
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.kernel.texts import check_text
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document, entity, json_value, prop
from cityloom.planning.action.admission import (
    check_approval,
    check_budget_change,
    check_decisions,
    check_examined,
    check_links,
    check_no_circle,
    check_stays_approved,
    check_stays_examined,
)
from cityloom.planning.course import Course, course_of
from cityloom.planning.effects import Effects
from cityloom.planning.model import (
    DECIDED_ON,
    TRANSITIONS,
    TYPE,
    Initiative,
    Phase,
    Plan,
    Step,
    Target,
    initiative_of,
)
from cityloom.planning.writing import attributes_of, carried_over, revised, stepped, undone, with_edits

#: The attribute of a KeyPerformanceIndicator that is its value.
INDICATOR_VALUE = "kpiValue"
LONGEST_NOTE = 2000

_PERMISSION = "initiatives:edit"


class Past(Protocol):
    """The part of history that planning needs."""

    def raw(
        self,
        actor: Actor,
        entity_id: str,
        attributes: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        dataset: str | None = None,
    ) -> list[Reading]:
        """Readings of an Entity that the actor may see; dataset "" is the default instance.

        Blocking. Raises NotFound.
        """
        ...


class Initiatives:
    """Writes, adopts, moves and judges initiatives. `clock` is the city's."""

    def __init__(self, broker: Broker, clock: Clock, history: Past) -> None:
        self._broker = broker
        self._clock = clock
        self._history = history
        self._editing = Editing(broker)
        self._publishing = Publishing(broker, self._editing, "planning")
        self._initiatives = Summaries(broker, TYPE, initiative_of)
        self._lists = Derived(broker, (TYPE,), lambda actor: _by_phase(_shown(self._initiatives.all(actor))))
        #: What initiatives, and other changes, did to indicators.
        self.effects = Effects(broker, self._past)

    # -- writing: each needs initiatives:edit and raises Conflict when `version` is not what is there --------

    async def draft(self, actor: Actor, plan: Plan) -> Initiative:
        """A new draft, an idea; internal. Raises BadInput naming the field."""
        require(actor, _PERMISSION)
        self._check_indicators(actor, plan.targets)
        check_links(self._broker, actor, plan)
        attributes = {name: item for name, item in attributes_of(plan).items() if item is not None}
        attributes |= {
            "phase": prop(Phase.IDEA.value),
            "status": prop("draft"),
            "dataOrigin": prop("entered"),
            "history": json_value(msgspec.to_builtins([Step(self._now(), actor.id, "drafted")])),
        }
        document = entity(TYPE, new_working_id(TYPE), attributes)
        await self._publishing.draft(actor, document)
        return self.get(actor, document["id"])

    async def edit(self, actor: Actor, initiative_id: str, plan: Plan, *, version: str = "") -> Initiative:
        """Write the plan anew; what stood there can be brought back."""
        attributes = attributes_of(plan)
        at = self._now()

        def edits(initiative: Initiative) -> Edits:
            self._check_change(actor, initiative, plan)
            return attributes | {
                "revisions": revised(initiative, at, actor.id),
                "history": stepped(initiative, Step(at, actor.id, "edited")),
            }

        return await self._change(actor, initiative_id, version, "edit", edits)

    async def undo(self, actor: Actor, initiative_id: str, *, version: str = "") -> Initiative:
        """Bring back what stood there before the last edit; again, what stood before that.

        What comes back must be allowed as an edit would be: a budget changes by a decision, both ways.
        """
        at = self._now()

        def edits(initiative: Initiative) -> Edits:
            brought_back = undone(initiative)
            self._check_change(actor, initiative, with_edits(initiative, brought_back))
            step = Step(at, actor.id, "undone")
            return brought_back | {"history": stepped(initiative, step)}

        return await self._change(actor, initiative_id, version, "undo", edits)

    async def move(
        self, actor: Actor, initiative_id: str, phase: str, *, note: str = "", version: str = ""
    ) -> Initiative:
        """Into the next phase, or (with a note that says why) one back.

        An idea is planned once it says all that an action must; what is planned begins once it is examined.
        """
        at = self._now()
        wanted = _check_phase(phase)
        why = check_text(note, where="note", longest=LONGEST_NOTE, optional=True)

        def edits(initiative: Initiative) -> Edits:
            _check_transition(initiative, wanted, why)
            _check_gate(initiative, wanted)
            step = Step(at, actor.id, wanted.value, why)
            return {"phase": prop(wanted.value), "history": stepped(initiative, step)}

        return await self._change(actor, initiative_id, version, "move", edits)

    async def adopt(self, actor: Actor, initiative_id: str, *, version: str = "") -> Initiative:
        """Make a draft the city's own and open to everybody. It gets an id of its own; the draft goes.

        Raises BadInput naming each field that an action must have.
        """
        require(actor, _PERMISSION)
        async with self._editing.turn(initiative_id):
            drafted = self._broker.retrieve(actor, self._draft_id(actor, initiative_id))
            check_version(version, drafted, DECIDED_ON)
            plan = initiative_of(drafted).plan
            if self._broker.find(actor, public_id(drafted["id"])) is None:
                check_approval(plan)
            self._check_indicators(actor, plan.targets, none_secret=True)
            check_links(self._broker, actor, plan, none_secret=True)
            at = self._now()
            attributes = carried_over(drafted) | {
                "status": [prop("adopted")],
                "dateIssued": [prop(at)],
                "dataOrigin": [prop("entered")],
                "history": [json_value(msgspec.to_builtins([Step(at, actor.id, "adopted")]))],
            }
            adopted = entity(TYPE, public_id(drafted["id"]), attributes)
            await self._publishing.move(actor, drafted["id"], adopted, "adopt")
        return self.get(actor, adopted["id"])

    async def discard(self, actor: Actor, initiative_id: str) -> None:
        """Throw a draft away."""
        require(actor, _PERMISSION)
        draft = self._draft_id(actor, initiative_id)
        await self._broker.delete(may_write(actor), draft, trace="planning:discard")

    # -- asking: what the actor is cleared for ---------------------------------------------------------------

    def get(self, actor: Actor, initiative_id: str) -> Initiative:
        """One initiative; the id of a draft leads to what was adopted of it. Raises ResourceNotFound."""
        found = self._initiatives.find(actor, initiative_id)
        if found is None:
            found = self._initiatives.find(actor, public_id(initiative_id))
        if found is None:
            raise _no_initiative(initiative_id)
        return found

    def list(self, actor: Actor, *, phase: str = "") -> Sequence[Initiative]:
        """The initiatives the actor may see: the running ones first, then by name in the city's order."""
        return self._lists.of(actor).get(phase, [])

    async def read(self) -> None:
        """Read what lists need and was not read yet, in turns with others."""
        await self._initiatives.read()

    def aiming_at(self, actor: Actor, indicator_id: str) -> Sequence[Initiative]:
        """The initiatives that are to move an indicator."""
        found = self._pointing_at(actor, indicator_id)
        return [one for one in found if any(t.indicator == indicator_id for t in one.plan.targets)]

    def answering(self, actor: Actor, entity_id: str) -> Sequence[Initiative]:
        """The initiatives that answer what somebody said: a report, a contribution."""
        found = self._pointing_at(actor, entity_id)
        return [one for one in found if entity_id in one.plan.action.answers_to]

    async def course(self, actor: Actor, initiative_id: str) -> Sequence[Course]:
        """For each target its indicator's course before and after the start."""
        initiative = self.get(actor, initiative_id)
        return [
            course_of(target, await self._readings(actor, target.indicator), initiative.plan.starts_at)
            for target in initiative.plan.targets
        ]

    # -- inside ----------------------------------------------------------------------------------------------

    def _pointing_at(self, actor: Actor, entity_id: str) -> Sequence[Initiative]:
        found = (self._initiatives.find(actor, one) for one in self._broker.referrers(actor, entity_id))
        return _shown([one for one in found if one is not None])

    async def _readings(self, actor: Actor, indicator_id: str) -> Sequence[Reading]:
        try:
            return await asyncio.to_thread(self._past, actor, indicator_id)
        except NotFound:
            # The indicator is gone, or not for this actor: then nothing is known of it here.
            return []

    def _past(self, actor: Actor, indicator_id: str) -> Sequence[Reading]:
        return self._history.raw(actor, indicator_id, [INDICATOR_VALUE], dataset="")

    async def _change(
        self,
        actor: Actor,
        initiative_id: str,
        version: str,
        did: str,
        decide: Callable[[Initiative], Edits],
    ) -> Initiative:
        require(actor, _PERMISSION)
        found = self.get(actor, initiative_id)

        def edits(document: Document) -> Edits:
            check_version(version, document, DECIDED_ON)
            return decide(initiative_of(document))

        trace = f"planning:{did}"
        return initiative_of(await self._editing.edit(may_write(actor), found.id, edits, trace=trace))

    def _draft_id(self, actor: Actor, initiative_id: str) -> str:
        found = self.get(actor, initiative_id)
        if not found.is_draft:
            raise Conflict(
                Worded("It is no draft any longer"), hint=Worded("Look at it again."), where="status"
            )
        return found.id

    def _check_change(self, actor: Actor, initiative: Initiative, plan: Plan) -> None:
        """Whether the initiative may become what the plan says."""
        before = initiative.plan
        none_secret = not initiative.is_draft
        self._check_indicators(actor, plan.targets, but=before.targets, none_secret=none_secret)
        check_links(self._broker, actor, plan, but=before, none_secret=none_secret)
        if plan.action.depends_on != before.action.depends_on:
            check_no_circle(initiative.id, plan, self.list(actor))
        check_budget_change(initiative, plan)
        check_stays_approved(initiative, plan)
        check_stays_examined(initiative, plan)
        check_decisions(self._broker, actor, initiative, plan)

    def _check_indicators(
        self,
        actor: Actor,
        targets: Iterable[Target],
        *,
        but: Iterable[Target] = (),
        none_secret: bool = False,
    ) -> None:
        """Each indicator is there for the actor. In the open none of the security class is pointed at."""
        known = {target.indicator for target in but}
        for index, target in enumerate(targets):
            if target.indicator in known:
                continue
            where = f"targets.{index}.indicator"
            if self._broker.find(actor, target.indicator) is None:
                raise BadInput(
                    Worded("There is no such indicator"), hint=Worded("Choose one of the list."), where=where
                )
            secret = self._broker.class_of(actor, target.indicator) is InformationClass.SECURITY
            if secret and none_secret:
                raise BadInput(
                    Worded("The indicator is of the security class"),
                    hint=Worded("Take the target out."),
                    where=where,
                )

    def _now(self) -> str:
        return format_instant(self._clock.now())


def _by_phase(shown: Sequence[Initiative]) -> Mapping[str, Sequence[Initiative]]:
    """Those of each phase, and all of them under ""."""
    found: dict[str, list[Initiative]] = {"": list(shown)}
    for one in shown:
        if one.phase:
            found.setdefault(one.phase, []).append(one)
    return found


def _shown(chosen: Sequence[Initiative]) -> Sequence[Initiative]:
    """In the order of lists; without a draft that a crash left behind beside what was adopted of it."""
    ids = {one.id for one in chosen}
    found = [one for one in chosen if (other := public_id(one.id)) == one.id or other not in ids]
    return sorted(found, key=lambda one: (_ORDER.get(one.phase, len(_ORDER)), _name(one)))


_ORDER = {phase.value: place for place, phase in enumerate((Phase.RUNNING, Phase.PLANNED, Phase.IDEA))}


def _name(initiative: Initiative) -> str:
    return next(iter(initiative.plan.name.values()), "").casefold()


def _check_phase(phase: str) -> Phase:
    try:
        return Phase(phase)
    except ValueError:
        hint = f"Phases are: {', '.join(Phase)}."
        raise BadInput(f"{phase[:40]!r} is not a phase", hint=hint, where="phase") from None


def _check_transition(initiative: Initiative, wanted: Phase, why: str) -> None:
    try:
        present = Phase(initiative.phase)
    except ValueError:
        return  # Somebody wrote a phase that is none: any phase is better.
    if wanted not in TRANSITIONS[present]:
        hint = f"From {present} it goes to {' or '.join(TRANSITIONS[present])}."
        raise Conflict(f"It does not go from {present} to {wanted}", hint=hint, where="phase")
    steps = list(Phase)
    if steps.index(wanted) < steps.index(present) and not why:
        raise BadInput(Worded("It goes a step back"), hint=Worded("Say why."), where="note")


def _check_gate(initiative: Initiative, wanted: Phase) -> None:
    """What must be said before it goes on. Going back, and on from a phase that is none, asks for nothing."""
    if initiative.phase == Phase.IDEA and wanted is Phase.PLANNED:
        check_approval(initiative.plan)
    if initiative.phase == Phase.PLANNED and wanted is Phase.RUNNING:
        check_examined(initiative.plan)


def _no_initiative(initiative_id: str) -> ResourceNotFound:
    hint = Worded("List the initiatives.")
    return ResourceNotFound(Worded("There is no initiative %(id)s", id=initiative_id), hint=hint, where="id")
