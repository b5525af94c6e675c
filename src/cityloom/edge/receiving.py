"""The centre's side: takes what an edge brings, once, and says how far it has come.

How far an edge has come is an Entity (EdgeNode), and stands in the same commit as what the edge brought. So
a batch that comes twice, late, or while the process is killed is taken once: what is durable says so itself.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import msgspec
import orjson

from cityloom.access.authority import require
from cityloom.access.ownership import OWNED_TYPES, as_the_room_of
from cityloom.context.broker import Broker
from cityloom.context.provision import PastWrite, Provision, Request
from cityloom.context.revision import Revision
from cityloom.edge.merging import Clash, Graves, Incoming, Outcome, merged, written_at
from cityloom.edge.model import (
    CONFLICT,
    GRAVE,
    LONGEST_REASON,
    MOST_TOLD,
    NODE,
    PERMISSION,
    UNTOLD,
    Batch,
    Brought,
    Grant,
    NotTaken,
    Received,
    Standing,
    node_id,
    node_of,
    standing_of,
)
from cityloom.edge.packing import incoming_of
from cityloom.edge.remembered import PastAlone, Remembered
from cityloom.history.past import Past, encode_past
from cityloom.kernel.actor import AS_A_ROOM, AS_THE_PLATFORM, CITY, Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT, ChangeKind
from cityloom.kernel.errors import BadInput, CityError, NotAllowed, NotReady, json_fault_of
from cityloom.kernel.time import FUTURE_TOLERANCE, Clock, format_instant, from_millis, to_millis
from cityloom.ngsild.model import Document, Instance
from cityloom.sensing.model import Message
from cityloom.sensing.parked import ParkedReadings

#: For how long a deletion is remembered: an edge that was away for longer may bring back what it had.
GRAVES_KEPT = timedelta(days=90)
#: Milliseconds between two notes of a contact that brought nothing.
_CONTACT_EVERY = 30_000
_NOT_GRANTED = "The centre does not let this edge bring it: its operator sees why, among the parked messages."
_Put = Callable[[Revision], None]


class Receiving:
    """All edges of one centre. `grants` say what each may bring, by the name of its account."""

    def __init__(
        self,
        broker: Broker,
        parked: ParkedReadings,
        grants: Mapping[str, Grant],
        clock: Clock,
        *,
        name_of: Callable[[str], str],
        past: PastAlone,
    ) -> None:
        """`clock` is the machine's, also in a city that replays the past; `name_of` tells the name of the
        account behind an `Actor.id`; `past` what history has of Entities that are gone."""
        self._name_of = name_of
        self._past = past
        self._broker = broker
        self._parked = parked
        self._grants = dict(grants)
        self._clock = clock
        self._turns: dict[str, asyncio.Lock] = {}

    def standings(self) -> list[Standing]:
        """How each edge stands: those that may bring something, and those that ever did."""
        found = self._broker.of_type(CITY, NODE)
        known = {one["id"]: one for one in found}
        names = {one["attrs"]["name"][0]["value"] for one in found} | self._grants.keys()
        return [standing_of(known.get(node_id(name)), name) for name in sorted(names)]

    def conflicts(self, actor: Actor) -> list[Document]:
        """What two sides said differently, as far as the actor may see it: the newest first."""
        found = self._broker.of_type(actor, CONFLICT)
        return sorted(found, key=lambda one: str(one["modifiedAt"]), reverse=True)

    async def receive(self, actor: Actor, batch: Batch, *, token_ends: int = 0) -> Received:
        """Take a batch, and return once it is durable. Raises NotAllowed, NotReady; then nothing was taken.

        What of it cannot be taken is parked with the reason, and does not keep the rest. `token_ends`: when
        what the edge has shown counts no more, milliseconds since 1970; 0 where that is not known.
        """
        name, grant = self.granted(actor)
        self._check_clock(batch)
        async with self._turns.setdefault(name, asyncio.Lock()):
            answer = await self._receive(_Edge(name, actor, grant), batch, token_ends)
        return msgspec.structs.replace(answer, token_ends=token_ends)

    def granted(self, actor: Actor) -> tuple[str, Grant]:
        """The name of the edge that somebody is, and what it may bring. Raises NotAllowed."""
        require(actor, PERMISSION)
        name = self._name_of(actor.id)
        grant = self._grants.get(name)
        if grant is None:
            raise NotAllowed(
                f"Nothing is granted to an edge of the name {name}",
                hint=f"Write [edges.{name}] into the centre's city.toml.",
            )
        return name, grant

    def _check_clock(self, batch: Batch) -> None:
        """What was written in the future would be the newest for ever: it waits at the edge until then."""
        latest = to_millis(self._clock.now() + FUTURE_TOLERANCE)
        if any(change.at > latest for change in batch.changes):
            raise NotReady(
                "The edge's clock is ahead: what it brings was written in the future",
                hint="Set the edge's clock; what waits there is sent when its time has come.",
            )

    async def _receive(self, edge: _Edge, batch: Batch, token_ends: int) -> Received:
        before = standing_of(self._broker.find(CITY, node_id(edge.name)), edge.name)
        before = msgspec.structs.replace(before, token_ends=token_ends or before.token_ends)
        has = before.received if before.life == batch.life else 0
        if batch.after > has and not batch.lost:
            # Something is missing between: the edge goes on from where this stands.
            await self._note_contact(before, batch)
            return _answer(before, batch.life, has)
        if batch.lost:
            has = max(has, batch.after)
        fresh = [one for one in batch.changes if batch.whole or one.sequence > has]
        # Reading sixteen megabytes of JSON takes a while, in which others are answered.
        taken, wrong = await asyncio.to_thread(_taken, edge, fresh, whole=batch.whole)
        await self._park(edge, wrong)
        work = _Work(self._broker, edge, batch, await self._past_alone(taken))
        if not fresh and batch.life == before.life and batch.through <= has:
            await self._note_contact(before, batch)
            return _answer(before, batch.life, has)
        after = self._after(before, batch, max(has, batch.through))

        def draw(provision: Provision, put: _Put) -> None:
            for change, incoming in taken:
                work.take(provision, put, change, incoming)
            work.note(provision, put, _counted(after, wrong, work))

        await self._broker.together(draw)
        await self._park(edge, work.wrong)
        answer = _answer(_counted(after, wrong, work), batch.life, after.received)
        return msgspec.structs.replace(answer, not_taken=_told([*wrong, *work.wrong]))

    async def _past_alone(self, taken: Sequence[tuple[Brought, Incoming | None]]) -> Mapping[str, Remembered]:
        """Of what does not stand here, and of which the past alone may be written, what is remembered."""
        gone = sorted({change.id for change, _ in taken if self._is_past_alone(change)})
        return await self._past.of(gone) if gone else {}

    def _is_past_alone(self, change: Brought) -> bool:
        if self._broker.find(CITY, change.id) is not None:
            return False
        if change.kind in (ChangeKind.PAST, ChangeKind.DELETED):
            return True
        # What was deleted here after it was written there goes into the past.
        return self._broker.find(CITY, _grave_id(change.id)) is not None

    def _after(self, before: Standing, batch: Batch, received: int) -> Standing:
        now = to_millis(self._clock.now())
        return msgspec.structs.replace(
            before,
            life=batch.life,
            received=received,
            received_at=batch.through_at if received == batch.through else before.received_at,
            last_contact=now,
            waiting=batch.waiting,
            oldest=batch.oldest,
            given_up=batch.given_up,
            clock_ahead=batch.at - now,
        )

    async def _note_contact(self, before: Standing, batch: Batch) -> None:
        """An edge was heard of. Of one that says nothing new it is noted now and then."""
        after = self._after(before, batch, before.received)
        after = msgspec.structs.replace(after, life=before.life, received_at=before.received_at)
        if after.last_contact - before.last_contact < _CONTACT_EVERY and after.waiting == before.waiting:
            return
        work = _Work(self._broker, _Edge(before.name, CITY, Grant()), batch, {})
        await self._broker.together(lambda provision, put: work.note(provision, put, after))

    async def _park(self, edge: _Edge, wrong: Sequence[tuple[Brought, CityError]]) -> None:
        if not wrong:
            return
        await self._parked.park([(self._message(edge, change), error) for change, error in wrong])

    def _message(self, edge: _Edge, change: Brought) -> Message:
        """A change as it is parked. What is more secret than its types are here is not told with it."""
        message = Message(
            connector=f"edge:{edge.name}",
            address=change.id[:500],
            body=msgspec.json.encode(change),
            received_at=self._clock.now(),
            entity_types=change.types[:20],
        )
        if change.information_class <= self._parked.class_of(message):
            return message
        head = msgspec.structs.replace(change, document=UNTOLD, before=UNTOLD)
        return msgspec.structs.replace(message, body=msgspec.json.encode(head))


class _Edge:
    """An edge that brings something, as the Actor that writes it."""

    def __init__(self, name: str, actor: Actor, grant: Grant) -> None:
        self.name = name
        self.grant = grant
        # Its services estimate, and say so: where things come from stays as the edge has it. Types that
        # belong to a room it writes only where they are granted by name.
        rooms = {permission for name in grant.types for permission in OWNED_TYPES.get(name, ())}
        rooms |= {as_the_room_of(name) for name in grant.types}
        permissions = frozenset({"entities:write", AS_THE_PLATFORM, *rooms})
        self.actor = Actor(actor.id, actor.name, actor.roles, permissions, grant.classes & actor.clearance)

    def request(self, change: Brought) -> Request:
        return Request(self.actor, DEFAULT_TENANT, f"edge:{self.name}:{change.sequence} {change.by}"[:200])


def _answer(before: Standing, life: str, received: int) -> Received:
    return Received(life, received, before.received_at, before.parked, before.conflicts)


def _counted(after: Standing, wrong: Sequence[tuple[Brought, CityError]], work: _Work) -> Standing:
    """How an edge stands with what this batch adds."""
    return msgspec.structs.replace(
        after,
        parked=after.parked + len(wrong) + len(work.wrong),
        conflicts=after.conflicts + work.conflicts,
    )


def _told(wrong: Sequence[tuple[Brought, CityError]]) -> tuple[NotTaken, ...]:
    """What the edge is told of what was parked. Of what stands here it learns nothing."""
    return tuple(
        NotTaken(
            change.sequence,
            change.id[:500],
            _NOT_GRANTED if isinstance(error, NotAllowed) else str(error)[:LONGEST_REASON],
        )
        for change, error in wrong[:MOST_TOLD]
    )


def _taken(
    edge: _Edge, changes: Sequence[Brought], *, whole: bool
) -> tuple[list[tuple[Brought, Incoming | None]], list[tuple[Brought, CityError]]]:
    """What can be taken, and what cannot with the reason. None: there is no document to take."""
    taken: list[tuple[Brought, Incoming | None]] = []
    wrong: list[tuple[Brought, CityError]] = []
    for change in changes:
        try:
            if not edge.grant.covers(change.id, change.types):
                raise NotAllowed(
                    f"{change.id[:200]} is not among what is granted to the edge {edge.name}",
                    hint=f"[edges.{edge.name}] in city.toml says what it may bring.",
                    where="types",
                )
            plain = change.kind != ChangeKind.PAST and bytes(change.document) != bytes(UNTOLD)
            taken.append((change, incoming_of(change, whole=whole) if plain else None))
        except CityError as error:
            wrong.append((change, error))
    return taken, wrong


class _Work:
    """One batch on its way into one commit. Synchronous: nothing else writes meanwhile."""

    def __init__(
        self, broker: Broker, edge: _Edge, batch: Batch, past_alone: Mapping[str, Remembered]
    ) -> None:
        self._broker = broker
        self._edge = edge
        self._batch = batch
        #: By Entity: what only history knows of.
        self._past_alone = past_alone
        self.conflicts = 0
        self.wrong: list[tuple[Brought, CityError]] = []

    def take(self, provision: Provision, put: _Put, change: Brought, incoming: Incoming | None) -> None:
        """One change: written, or noted as wrong."""
        try:
            self._check_granted(provision, change)
            if incoming is not None:
                self._merge(provision, put, change, incoming)
            elif change.kind == ChangeKind.PAST:
                self._write_past(provision, put, change, _past_of(change, self._edge.grant))
            elif provision.standing(DEFAULT_TENANT, change.id) is not None:
                put(provision.raise_class(self._edge.request(change), change.id, change.information_class))
        except CityError as error:
            self.wrong.append((change, error))

    def note(self, provision: Provision, put: _Put, standing: Standing) -> None:
        """How the edge stands, in the same commit."""
        now = written_at(self._batch.at if not standing.last_contact else standing.last_contact)
        self._write_own(provision, put, node_of(standing, now), InformationClass.INTERNAL)

    def _check_granted(self, provision: Provision, change: Brought) -> None:
        """What stands here is changed by who may bring it, whatever a change says of its types."""
        standing = provision.standing(DEFAULT_TENANT, change.id)
        found = (
            self._past_alone.get(change.id)
            if standing is None
            else Remembered(standing.types, standing.information_class)
        )
        if found is None:
            return
        if not self._edge.actor.sees(found.information_class):
            raise NotAllowed(
                f"{change.id[:200]} is {found.information_class.label} here",
                hint="An edge does not change what it is not cleared for.",
                where="class",
            )
        if not self._edge.grant.covers(change.id, found.types):
            raise NotAllowed(
                f"{change.id[:200]} is here of types that are not granted to the edge {self._edge.name}",
                hint=f"[edges.{self._edge.name}] in city.toml says what it may bring.",
                where="types",
            )

    def _merge(self, provision: Provision, put: _Put, change: Brought, incoming: Incoming) -> None:
        found = provision.standing(DEFAULT_TENANT, change.id)
        secrecy = max(change.information_class, found.information_class if found else InformationClass.OPEN)
        document = None if found is None else orjson.loads(found.document)
        outcome = merged(document, incoming, self._graves(provision, change.id))
        self._put_state(provision, put, change, document, outcome)
        if outcome.past:
            self._write_past(provision, put, change, Past(dict(outcome.past)))
        for clash in outcome.clashes:
            self.conflicts += 1
            self._write_own(provision, put, _conflict(self._edge.name, change, clash), secrecy)
        if outcome.graves:
            self._bury(provision, put, change.id, outcome.graves, secrecy)

    def _put_state(
        self, provision: Provision, put: _Put, change: Brought, old: Document | None, outcome: Outcome
    ) -> None:
        request = self._edge.request(change)
        if outcome.document is None:
            if old is not None:
                put(provision.delete(request, change.id))
        elif outcome.names or old is None:
            put(provision.bring(request, outcome.document, outcome.names, change.information_class))

    def _write_past(self, provision: Provision, put: _Put, change: Brought, past: Past) -> None:
        present = self._past_alone.get(change.id, Remembered())
        # What is remembered keeps its types, as with any write to the past (5.6.12), and its class.
        types = tuple(dict.fromkeys((*present.types, *change.types)))
        before = {"id": change.id, "type": list(present.types), "attrs": {}} if present.types else None
        secrecy = max(present.information_class, change.information_class)
        written = PastWrite(
            types=types,
            told=encode_past(past),
            attributes=tuple(past.attrs) or tuple({one.attribute for one in past.erase if one.attribute}),
            before=before,
            after={"id": change.id, "type": list(types), "attrs": past.attrs},
            information_class=provision.secrecy_of(types, secrecy),
        )
        put(provision.write_past(self._edge.request(change), change.id, written))

    def _graves(self, provision: Provision, entity_id: str) -> Graves:
        found = provision.standing(DEFAULT_TENANT, _grave_id(entity_id))
        if found is None:
            return {}
        kept = orjson.loads(found.document)["attrs"]["deletions"][0]["json"]
        return {(name, dataset): at for name, dataset, at in kept}

    def _bury(
        self, provision: Provision, put: _Put, entity_id: str, graves: Graves, secrecy: InformationClass
    ) -> None:
        kept = {**self._graves(provision, entity_id), **graves}
        now = from_millis(self._batch.at)
        said: list[Instance] = [
            {"type": "JsonProperty", "json": [[*place, at] for place, at in sorted(kept.items())]}
        ]
        about: list[Instance] = [{"type": "Property", "value": entity_id}]
        document = _own(
            _grave_id(entity_id), GRAVE, {"deletions": said, "entity": about}, format_instant(now)
        )
        document["expiresAt"] = format_instant(now + GRAVES_KEPT)
        self._write_own(provision, put, document, secrecy)

    def _write_own(
        self, provision: Provision, put: _Put, document: Document, secrecy: InformationClass
    ) -> None:
        """Something that the centre says itself of what came."""
        actor = Actor(
            self._edge.actor.id,
            self._edge.name,
            permissions=frozenset({"entities:write", AS_A_ROOM, AS_THE_PLATFORM}),
            clearance=frozenset(InformationClass),
        )
        standing = provision.standing(DEFAULT_TENANT, document["id"])
        if standing is not None:
            document["createdAt"] = orjson.loads(standing.document)["createdAt"]
        request = Request(actor, DEFAULT_TENANT, f"edge:{self._edge.name}:{self._batch.through}")
        put(provision.bring(request, document, tuple(document["attrs"]), secrecy))


def _past_of(change: Brought, grant: Grant) -> Past:
    """What a change of the kind PAST tells, within the classes that are granted. Raises BadInput."""
    try:
        past = msgspec.json.decode(bytes(change.document), type=Past)
    except (msgspec.DecodeError, RecursionError) as error:
        fault, place = json_fault_of(error)
        raise BadInput(
            f"This is no write to the past: {fault}", hint="", where=f"document.{place}".rstrip(".")
        ) from None
    if any(one.at is not None for one in past.erase):
        raise BadInput(
            "One reading was erased at the edge, or replaced",
            hint="Erase it here too: its number here is another one.",
            where="erase",
        )
    granted = {int(one) for one in grant.classes}
    return Past(
        past.attrs,
        tuple(
            msgspec.structs.replace(one, classes=tuple(granted.intersection(one.classes)))
            for one in past.erase
        ),
    )


def _conflict(edge: str, change: Brought, clash: Clash) -> Document:
    """What two sides said differently of one attribute; of each the newest."""
    name, dataset = clash.place
    key = hashlib.sha256("\n".join((edge, change.id, name, dataset)).encode()).hexdigest()[:24]
    now = written_at(change.at)

    def text(value: str) -> list[Instance]:
        return [{"type": "Property", "value": value}]

    attributes: dict[str, list[Instance]] = {
        "edge": text(edge),
        "entity": [{"type": "Relationship", "object": change.id}],
        "kept": [{"type": "JsonProperty", "json": clash.kept or ("deleted" if name else "written")}],
        "givenUp": [{"type": "JsonProperty", "json": clash.given_up or "deleted"}],
    }
    if name:
        attributes["attribute"] = text(name)
    if dataset:
        attributes["dataset"] = text(dataset)
    return _own(f"urn:ngsi-ld:EdgeConflict:{key}", CONFLICT, attributes, now)


def _own(entity_id: str, kind: str, attributes: dict[str, list[Instance]], now: str) -> Document:
    times = {"createdAt": now, "modifiedAt": now}
    return {
        "id": entity_id,
        "type": [kind],
        **times,
        "attrs": {name: [{**one, **times} for one in items] for name, items in attributes.items()},
    }


def _grave_id(entity_id: str) -> str:
    return f"urn:ngsi-ld:EdgeDeletion:{hashlib.sha256(entity_id.encode()).hexdigest()[:32]}"
