"""The stream of changes to browsers: server-sent events, each reader seeing what they are cleared for.

The hub hears of every change and only notes whose Entity changed. Each reader gathers the ids that concern
them and, a few times a second, is told how those Entities are now: a reader on a slow line gets fewer and
larger steps and never a backlog.

Nothing in a stream depends on what its reader may not see. Event ids count the changes within the reader's
own clearance, and so does the memory from which a reader who was cut off for a moment is brought up to date.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

import msgspec
from starlette.responses import Response, StreamingResponse

from cityloom.context.broker import Broker
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT, Change, ChangeKind
from cityloom.kernel.errors import NotReady
from cityloom.ngsild.model import Document
from cityloom.web.looks import Item

STAGE = "live"
#: Seconds between two tellings to one reader, and tellings a second to all of them: with few readers each is
#: told sooner, and many cost no more than they did.
SHORTEST_STEP = 0.2
LONGEST_STEP = 0.5
TELLINGS = 200
#: Seconds after which a silent stream says that it is still there, and what the city's time is.
HEARTBEAT = 5.0
#: Seconds after which it is asked whether the reader still has the rights that the stream was opened with.
ASKED_EVERY = 5.0
#: Entities that wait for one reader at most; one that has more is told to fetch everything again.
MOST_WAITING = 5_000
#: Changes of each information class that are remembered for readers that were cut off.
REMEMBERED = 2_000
#: Entities whose information class is remembered; of the longest unchanged ones a move is not told.
KNOWN_CLASSES = 100_000
#: Readers at once.
MOST_READERS = 500
#: Seconds a reader may take to accept one telling before the stream is cut.
PATIENCE = 20.0


StillThere = Callable[[], Awaitable[bool]]


async def _always() -> bool:
    return True


class Note(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of a change: which Entity, and whether its place may be new."""

    order: int
    entity_id: str
    types: tuple[str, ...]
    placed: bool


class Wanted(msgspec.Struct, frozen=True):
    """What a reader asks to hear of; empty sets mean everything."""

    ids: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    def concerns(self, entity_id: str, types: Iterable[str]) -> bool:
        if self.ids and entity_id not in self.ids:
            return False
        return not self.types or not self.types.isdisjoint(types)


class Reader:
    """One open stream."""

    def __init__(self, actor: Actor, wanted: Wanted) -> None:
        self.actor = actor
        self.wanted = wanted
        #: Ids that changed, with whether the place may be new.
        self.waiting: dict[str, bool] = {}
        self.missed = False
        self.wake = asyncio.Event()

    def hear(self, entity_id: str, types: Iterable[str], *, placed: bool) -> None:
        if not self.wanted.concerns(entity_id, types):
            return
        if len(self.waiting) >= MOST_WAITING and entity_id not in self.waiting:
            self.waiting.clear()
            self.missed = True
        self.waiting[entity_id] = placed or self.waiting.get(entity_id, False)
        self.wake.set()

    def take(self) -> tuple[dict[str, bool], bool]:
        waiting, missed = self.waiting, self.missed
        self.waiting, self.missed = {}, False
        self.wake.clear()
        return waiting, missed


class Live:
    """The hub. One in a city; everything happens on the event loop."""

    def __init__(self, broker: Broker, clock_face: Callable[[], dict[str, Any]]) -> None:
        """`clock_face` tells the city's time, its speed and whether it is paused."""
        self._broker = broker
        self._clock_face = clock_face
        self._readers: set[Reader] = set()
        self._order = 0
        self._counts = dict.fromkeys(InformationClass, 0)
        self._remembered = {found: deque[Note](maxlen=REMEMBERED) for found in InformationClass}
        #: Where each changed Entity was last seen, to tell of one that moved out of a reader's sight.
        self._classes: dict[str, InformationClass] = {}
        self._closed = asyncio.Event()

    def start(self) -> None:
        """Begin to hear."""
        self._broker.follow(STAGE, self.hear, durable=False)

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closed.set()
        for reader in self._readers:
            reader.wake.set()

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return len(self._readers)

    async def hear(self, changes: list[Change]) -> None:
        """Note the changes of the city's own tenant."""
        for change in changes:
            if change.tenant == DEFAULT_TENANT:
                self._note(change)

    def _note(self, change: Change) -> None:
        self._order += 1
        found = change.information_class
        placed = change.kind is not ChangeKind.UPDATED or "location" in change.attributes
        note = Note(self._order, change.entity_id, change.types, placed)
        self._counts[found] += 1
        self._remembered[found].append(note)
        before = self._classes.pop(change.entity_id, found)
        if before is not found:
            # Those who saw it where it was are told that it went.
            self._counts[before] += 1
            self._remembered[before].append(note)
        self._classes[change.entity_id] = found
        if len(self._classes) > KNOWN_CLASSES:
            del self._classes[next(iter(self._classes))]
        for reader in self._readers:
            clearance = reader.actor.clearance
            if found in clearance or before in clearance:
                reader.hear(change.entity_id, change.types, placed=placed or before is not found)

    @property
    def step(self) -> float:
        """Seconds between two tellings to one reader, now."""
        return min(LONGEST_STEP, max(SHORTEST_STEP, len(self._readers) / TELLINGS))

    def position(self, clearance: Iterable[InformationClass]) -> str:
        """How many changes somebody with this clearance could have heard of, as an event id."""
        return str(sum(self._counts[found] for found in clearance))

    def open(self, actor: Actor, wanted: Wanted, last_event: str = "") -> Reader:
        """A new reader, brought up to date after `last_event`. Raises NotReady when there are too many."""
        if len(self._readers) >= MOST_READERS or self._closed.is_set():
            raise NotReady("Too many pages follow the city at once", hint="Load the page again in a while.")
        reader = Reader(actor, wanted)
        if last_event:
            self._catch_up(reader, last_event)
        self._readers.add(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        self._readers.discard(reader)

    def _catch_up(self, reader: Reader, last_event: str) -> None:
        clearance = reader.actor.clearance
        here = int(self.position(clearance))
        behind = here - int(last_event) if last_event.isdecimal() and len(last_event) < 19 else -1
        notes = {note.order: note for found in clearance for note in self._remembered[found]}
        if behind < 0 or behind > min(len(notes), REMEMBERED):
            reader.missed = True
            reader.wake.set()
            return
        for order in sorted(notes)[len(notes) - behind :]:
            note = notes[order]
            reader.hear(note.entity_id, note.types, placed=note.placed)

    async def events(
        self, reader: Reader, tell: Callable[[Document, bool], Item], is_still: StillThere = _always
    ) -> AsyncIterator[bytes]:
        """The stream's bytes. `tell` makes an Item of an Entity, with its place when that may be new.

        The stream ends when `is_still` says that the reader is no longer who opened it.
        """
        yield b"retry: 2000\n\n"
        yield self._event("clock", self._clock_face())
        loop = asyncio.get_running_loop()
        clock_told = asked = loop.time()
        while not self._closed.is_set():
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await reader.wake.wait()
            except TimeoutError:
                pass
            if loop.time() - asked >= ASKED_EVERY:
                asked = loop.time()
                if not await is_still():
                    return
            waiting, missed = reader.take()
            position = self.position(reader.actor.clearance)
            if missed:
                yield self._event("missed", {}, position)
            elif waiting:
                yield self._event("changes", self._changes(reader, waiting, tell), position)
            if loop.time() - clock_told >= HEARTBEAT:
                clock_told = loop.time()
                yield self._event("clock", self._clock_face())
            await asyncio.sleep(self.step)

    def _changes(
        self, reader: Reader, waiting: dict[str, bool], tell: Callable[[Document, bool], Item]
    ) -> dict[str, Any]:
        items: list[Item] = []
        gone: list[str] = []
        for entity_id, placed in waiting.items():
            document = self._broker.find(reader.actor, entity_id)
            if document is None:
                gone.append(entity_id)
            else:
                items.append(tell(document, placed))
        return {"items": items, "gone": gone}

    def _event(self, name: str, data: Any, position: str = "") -> bytes:
        number = b"id: %s\n" % position.encode() if position else b""
        return number + b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


class EventStream(StreamingResponse):
    """A StreamingResponse that gives up on a reader who does not read."""

    def __init__(self, content: AsyncIterator[bytes], live: Live, reader: Reader) -> None:
        super().__init__(
            content,
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )
        self._live = live
        self._reader = reader

    async def stream_response(self, send: Any) -> None:
        async def send_in_time(message: Any) -> None:
            async with asyncio.timeout(PATIENCE):
                await send(message)

        try:
            await super().stream_response(send_in_time)
        except TimeoutError:
            pass
        finally:
            self._live.leave(self._reader)


def stream(
    live: Live,
    actor: Actor,
    wanted: Wanted,
    tell: Callable[[Document, bool], Item],
    *,
    is_still: StillThere = _always,
    after: str = "",
) -> Response:
    """Answer with a stream of what came after this position; "" begins now."""
    reader = live.open(actor, wanted, after)
    return EventStream(live.events(reader, tell, is_still), live, reader)


def wanted_of(ids: Sequence[str], types: Sequence[str]) -> Wanted:
    """What a query asks for, at most a hundred of each."""
    return Wanted(frozenset(ids[:100]), frozenset(types[:100]))
