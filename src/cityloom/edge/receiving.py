"""The centre's side: takes what an edge brings, once, and says how far it has come.

How far an edge has come is an Entity (EdgeNode), and stands in the same commit as what the edge brought. So
a batch that comes twice, late, or while the process is killed is taken once: what is durable says so itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from cityloom.access.authority import require
from cityloom.context.broker import Broker
from cityloom.context.provision import Provision
from cityloom.edge.merging import Incoming
from cityloom.edge.model import (
    CONFLICT,
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
    standing_of,
)
from cityloom.edge.packing import incoming_of
from cityloom.edge.remembered import PastAlone, Remembered
from cityloom.edge.taking_in import Edge, Put, Work, grave_id
from cityloom.kernel.actor import CITY, Actor
from cityloom.kernel.change import ChangeKind
from cityloom.kernel.errors import CityError, NotAllowed, NotReady
from cityloom.kernel.time import FUTURE_TOLERANCE, Clock, to_millis
from cityloom.ngsild.model import Document
from cityloom.sensing.model import Message
from cityloom.sensing.parked import ParkedReadings

#: Milliseconds between two notes of a contact that brought nothing.
_CONTACT_EVERY = 30_000
_NOT_GRANTED = "The centre does not let this edge bring it: its operator sees why, among the parked messages."


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
            answer = await self._receive(Edge(name, actor, grant), batch, token_ends)
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

    async def _receive(self, edge: Edge, batch: Batch, token_ends: int) -> Received:
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
        work = Work(self._broker, edge, batch, await self._past_alone(taken))
        if not fresh and batch.life == before.life and batch.through <= has:
            await self._note_contact(before, batch)
            return _answer(before, batch.life, has)
        after = self._after(before, batch, max(has, batch.through))

        def draw(provision: Provision, put: Put) -> None:
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
        return self._broker.find(CITY, grave_id(change.id)) is not None

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
        work = Work(self._broker, Edge(before.name, CITY, Grant()), batch, {})
        await self._broker.together(lambda provision, put: work.note(provision, put, after))

    async def _park(self, edge: Edge, wrong: Sequence[tuple[Brought, CityError]]) -> None:
        if not wrong:
            return
        await self._parked.park([(self._message(edge, change), error) for change, error in wrong])

    def _message(self, edge: Edge, change: Brought) -> Message:
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


def _answer(before: Standing, life: str, received: int) -> Received:
    return Received(life, received, before.received_at, before.parked, before.conflicts)


def _counted(after: Standing, wrong: Sequence[tuple[Brought, CityError]], work: Work) -> Standing:
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
    edge: Edge, changes: Sequence[Brought], *, whole: bool
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
