"""Records: drafted, edited, taken back, published, thrown away. For whatever is written down in planning.

A record is two Entities at most: the working copy, which is internal, and what was published of it, which
is open. So nobody outside sees an edit until it is published, and figures that were struck out stay inside.
Others point at the published one, whether it is there or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from functools import partial
from typing import Any, TypeVar

import msgspec

from cityloom.access.authority import may_write, require
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, Edits, check_version
from cityloom.context.publishing import Publishing, new_working_id, public_id, working_id
from cityloom.context.summaries import Derived, Summaries
from cityloom.kernel.actor import CITY, Actor
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.texts import check_text
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document, entity, json_value, prop
from cityloom.planning.records.fields import Field, Link, Links, Rows
from cityloom.planning.records.kinds import RecordKind
from cityloom.planning.records.model import (
    Record,
    State,
    Step,
    joined,
    record_of,
    said_in,
)
from cityloom.planning.records.sealing import Sealing, eyes
from cityloom.planning.records.writing import (
    checked,
    edited,
    instances,
    public_values,
    stepped,
    undone,
    with_acts,
)

_Made = TypeVar("_Made")
LONGEST_NOTE = 2000


class Records:
    """Writes and reads records of all kinds. `clock` is the city's, and so is `zone`, whose days count."""

    def __init__(
        self, broker: Broker, clock: Clock, kinds: Iterable[RecordKind], *, zone: tzinfo = UTC
    ) -> None:
        self.kinds: Mapping[str, RecordKind] = {kind.type: kind for kind in kinds}
        self._broker = broker
        self._clock = clock
        self._editing = Editing(broker)
        self._publishing = Publishing(broker, self._editing, "planning")
        self.sealing = Sealing(broker, clock, zone, self.kinds.values(), partial(self.find, CITY))
        self._summaries = {
            kind.type: Summaries(broker, kind.type, _reader(kind)) for kind in self.kinds.values()
        }
        self._lists = {name: Derived(broker, (name,), partial(self._listed, name)) for name in self.kinds}

    # -- writing: each needs the kind's permission; Conflict when `version` is not what is there -------------

    def check(
        self,
        actor: Actor,
        type_name: str,
        values: Mapping[str, Any],
        *,
        but: Mapping[str, Any] = {},
        by_room: bool = False,
    ) -> dict[str, Any]:
        """The values in their normal form, as a record would be written. Raises BadInput naming the field.

        `but`: values that stood there already, whose links are not looked at again. `by_room`: an act of the
        room writes them, and may write what belongs to such acts.
        """
        kind = self.kind(type_name)
        normal = checked(kind, values if by_room else with_acts(kind, values, but))
        self._check_links(actor, kind, normal, but)
        return normal

    async def draft(
        self,
        actor: Actor,
        type_name: str,
        values: Mapping[str, Any],
        *,
        note: str = "",
        origin: str = "entered",
    ) -> Record:
        """A new record, for the staff. Raises BadInput naming the field."""
        kind = self.kind(type_name)
        require(actor, kind.permission)
        normal = self.check(actor, type_name, values)
        attributes = {name: item for name, item in instances(kind, normal).items() if item is not None}
        attributes |= {
            "status": prop(State.DRAFT.value),
            "dataOrigin": prop(origin),
            "history": json_value(msgspec.to_builtins([self._step(actor, "drafted", note)])),
        }
        document = entity(kind.type, new_working_id(kind.type), attributes)
        await self._publishing.draft(eyes(actor, kind), document, secrecy=kind.secrecy)
        return self.get(actor, document["id"])

    async def edit(
        self, actor: Actor, record_id: str, values: Mapping[str, Any], *, version: str = "", note: str = ""
    ) -> Record:
        """Write all values anew; what stood there can be brought back."""

        def edits(record: Record) -> Edits:
            normal = self.check(actor, record.kind.type, values, but=record.values)
            return edited(record, normal, self._step(actor, "edited", note))

        return await self._change(actor, record_id, version, "edit", edits)

    async def change(
        self,
        actor: Actor,
        record_id: str,
        values: Mapping[str, Any],
        *,
        version: str = "",
        note: str = "",
        by_room: bool = False,
    ) -> Record:
        """Write some values anew; None takes one away. `by_room` as in `check`."""

        def edits(record: Record) -> Edits:
            merged = {**record.values, **values}
            normal = self.check(actor, record.kind.type, merged, but=record.values, by_room=by_room)
            return edited(record, normal, self._step(actor, "edited", note))

        return await self._change(actor, record_id, version, "edit", edits)

    async def undo(self, actor: Actor, record_id: str, *, version: str = "") -> Record:
        """Bring back what stood there before the last edit; again, what stood before that."""

        def edits(record: Record) -> Edits:
            return undone(record, self._step(actor, "undone"))

        return await self._change(actor, record_id, version, "undo", edits)

    async def discard(self, actor: Actor, record_id: str, *, version: str = "", note: str = "") -> Record:
        """Throw it away, out of the open too. It can be restored."""

        def edits(record: Record) -> Edits:
            if record.state is State.DISCARDED:
                return {}
            return {
                "status": prop(State.DISCARDED.value),
                "history": stepped(record, self._step(actor, "discarded", note)),
            }

        async with self._publishing.turn(record_id):
            discarded = await self._change(actor, record_id, version, "discard", edits)
            await self._publishing.hide(actor, discarded.id, "discard")
        return self.get(actor, discarded.id)

    async def restore(self, actor: Actor, record_id: str, *, version: str = "") -> Record:
        """Take back that it was thrown away; for the staff, until it is published again."""

        def edits(record: Record) -> Edits:
            if record.state is not State.DISCARDED:
                return {}
            return {
                "status": prop(State.DRAFT.value),
                "history": stepped(record, self._step(actor, "restored")),
            }

        return await self._change(actor, record_id, version, "restore", edits)

    async def publish(self, actor: Actor, record_id: str, *, version: str = "", note: str = "") -> Record:
        """Let everybody see what stands there now. What is edited later stays inside until the next time."""
        record = self.get(actor, record_id)
        if not record.kind.publishable:
            raise Conflict(
                Worded("Records of this kind stay inside"), hint=Worded("Leave it as it is."), where="status"
            )

        def edits(found: Record) -> Edits:
            if found.state is State.DISCARDED:
                raise Conflict(
                    Worded("It has been thrown away"), hint=Worded("Restore it first."), where="status"
                )
            return {"history": stepped(found, self._step(actor, "published", note))}

        async with self._publishing.turn(record_id):
            working = await self._change(actor, record_id, version, "publish", edits)
            await self._show(actor, working)
        return self.get(actor, working.id)

    async def withdraw(self, actor: Actor, record_id: str, *, note: str = "") -> Record:
        """Take it out of the open."""

        def edits(record: Record) -> Edits:
            return {"history": stepped(record, self._step(actor, "withdrawn", note))}

        async with self._publishing.turn(record_id):
            working = await self._change(actor, record_id, "", "withdraw", edits)
            await self._publishing.hide(actor, working.id)
        return self.get(actor, working.id)

    # -- asking: what the actor is cleared for ---------------------------------------------------------------

    def kind(self, type_name: str) -> RecordKind:
        """A kind by the type of its Entities. Raises BadInput."""
        try:
            return self.kinds[type_name]
        except KeyError:
            hint = Worded("Kinds are: %(names)s.", names=", ".join(self.kinds))
            raise BadInput(
                Worded("There are no records %(type_name)s", type_name=repr(type_name[:40])),
                hint=hint,
                where="type",
            ) from None

    def get(self, actor: Actor, record_id: str) -> Record:
        """One record, thrown away or not: the working copy for the staff, for others what was published.

        Raises ResourceNotFound.
        """
        found = joined(self._read(actor, working_id(record_id)), self._read(actor, public_id(record_id)))
        if found is None:
            raise ResourceNotFound(
                Worded("There is no record %(id)s", id=record_id[:200]),
                hint=Worded("See the list of them."),
                where="id",
            )
        return found

    def find(self, actor: Actor, record_id: str) -> Record | None:
        """One record, or None."""
        try:
            return self.get(actor, record_id)
        except ResourceNotFound:
            return None

    def list(self, actor: Actor, type_name: str, *, discarded: bool = False) -> Sequence[Record]:
        """The records of a kind, by name. `discarded`: those that were thrown away instead."""
        kind = self.kind(type_name)
        there, thrown_away = self._lists[kind.type].of(eyes(actor, kind))
        found = thrown_away if discarded else there
        if kind.sealed_through is None:
            return found
        return [one for one in found if not self.sealing.hides(actor, one)]

    def derived(self, types: Sequence[str], make: Callable[[Actor], _Made]) -> Derived[_Made]:
        """What is made of the records of some kinds, kept until one of them changes."""
        return Derived(self._broker, types, make)

    async def read(self) -> None:
        """Read what lists need and was not read yet, in turns with others."""
        for summaries in self._summaries.values():
            await summaries.read()

    def pointing_at(self, actor: Actor, entity_id: str, *, most: int | None = None) -> Sequence[Record]:
        """The records of all kinds that point at an Entity; `most` of them at the most."""
        found: dict[str, Record] = {}
        for name in dict.fromkeys((public_id(entity_id), working_id(entity_id), entity_id)):
            for referrer in self._broker.referrers(actor, name):
                record = self._record(actor, referrer)
                if record is not None and record.state is not State.DISCARDED:
                    found[record.id] = record
                if len(found) == most:
                    break
        return sorted(found.values(), key=lambda one: (one.kind.type, next(iter(one.name.values()), "")))

    def target(self, actor: Actor, entity_id: str) -> Document | None:
        """What a link points at, published or not, as far as the actor may see it."""
        return self._broker.find(actor, working_id(entity_id)) or self._broker.find(actor, entity_id)

    # -- inside ----------------------------------------------------------------------------------------------

    def _listed(self, type_name: str, actor: Actor) -> tuple[Sequence[Record], Sequence[Record]]:
        """The records that are there, and those that were thrown away, by name."""
        pairs: dict[str, list[Record | None]] = {}
        for record in self._summaries[type_name].all(actor):
            pairs.setdefault(record.id, [None, None])[not record.is_working] = record
        found = [one for pair in pairs.values() if (one := joined(*pair)) is not None]
        found.sort(key=lambda one: next(iter(one.name.values()), "").casefold())
        return (
            [one for one in found if one.state is not State.DISCARDED],
            [one for one in found if one.state is State.DISCARDED],
        )

    def _record(self, actor: Actor, entity_id: str) -> Record | None:
        return self.find(actor, entity_id) if self._read(actor, entity_id) is not None else None

    def _read(self, actor: Actor, entity_id: str) -> Record | None:
        lying = self._broker.kept(CITY, entity_id)
        found = self._summaries.get(lying.types[0]) if lying is not None else None
        if lying is None or found is None:
            return None
        record = found.find(eyes(actor, self.kinds[lying.types[0]]), entity_id)
        return None if record is None or self.sealing.hides(actor, record) else record

    async def _change(
        self, actor: Actor, record_id: str, version: str, did: str, decide: Callable[[Record], Edits]
    ) -> Record:
        found = self.get(actor, record_id)
        require(actor, found.kind.permission)
        if not found.is_working:
            raise _no_working_copy()

        def edits(document: Document) -> Edits:
            check_version(version, document, said_in(found.kind))
            record = record_of(found.kind, document)
            decided = decide(record)
            self.sealing.check(record, decided)
            return decided

        writer = may_write(eyes(actor, found.kind))
        await self._editing.edit(writer, working_id(found.id), edits, trace=f"planning:{did}")
        return self.get(actor, found.id)

    async def _show(self, actor: Actor, working: Record) -> None:
        values = self._without_secrets(working.kind, public_values(working.kind, working.values))
        attributes = instances(working.kind, values) | {
            "status": prop(State.PUBLISHED.value),
            "dateIssued": prop(self._now()),
        }
        await self._publishing.show(actor, working.kind.type, working.id, attributes, origin=working.origin)

    def _without_secrets(self, kind: RecordKind, values: Mapping[str, Any]) -> dict[str, Any]:
        """Without links to what not everybody may see: an id says that something is there."""
        return self._open_alone(kind.fields, values)

    def _open_alone(self, fields: Sequence[Field], values: Mapping[str, Any]) -> dict[str, Any]:
        shown = dict(values)
        for field in fields:
            if field.name not in shown:
                continue
            said = shown[field.name]
            if isinstance(field, Rows):
                shown[field.name] = tuple(self._open_alone(field.columns, row) for row in said)
            elif isinstance(field, Link | Links):
                left = tuple(filter(self._publishing.is_open, _ids(said)))
                shown[field.name] = left if isinstance(field, Links) else "".join(left)
        return {name: value for name, value in shown.items() if value not in ((), "")}

    def _check_links(
        self, actor: Actor, kind: RecordKind, values: Mapping[str, Any], but: Mapping[str, Any]
    ) -> None:
        """Each link leads to something that is there for the actor, of a type that may stand there."""
        for field in kind.fields:
            if isinstance(field, Link | Links):
                known = set(_ids(but.get(field.name)))
                for one in _ids(values.get(field.name)):
                    if one not in known:
                        self._check_link(actor, field, one)

    def _check_link(self, actor: Actor, field: Link | Links, entity_id: str) -> None:
        document = self.target(actor, entity_id)
        if document is None or not set(field.to) & set(document["type"]):
            raise BadInput(
                Worded("There is nothing of the kind: %(id)s", id=entity_id[:200]),
                hint=Worded("Choose one of the list."),
                where=field.name,
            )

    def _step(self, actor: Actor, did: str, note: str = "") -> Step:
        why = check_text(note, where="note", longest=LONGEST_NOTE, optional=True)
        return Step(self._now(), actor.id, did, why)

    def _now(self) -> str:
        return format_instant(self._clock.now())


def _reader(kind: RecordKind) -> Callable[[Document], Record]:
    return lambda document: record_of(kind, document)


def _ids(said: Any) -> tuple[str, ...]:
    if said is None:
        return ()
    return (said,) if isinstance(said, str) else tuple(said)


def _no_working_copy() -> Conflict:
    return Conflict(
        Worded("It has no working copy"), hint=Worded("It can be read, not changed."), where="status"
    )
