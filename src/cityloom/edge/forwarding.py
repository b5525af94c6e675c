"""The edge's side: follows the feed, and brings what goes up to the centre when there is a line.

The feed is the store that forwards: nothing is trimmed from it that the centre does not have. What the
centre says it has is where the edge goes on, after a cut, a kill or a restart of either side.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress

import msgspec

from cityloom.context.broker import Broker
from cityloom.context.ports import Entry, Feed, Register
from cityloom.edge.model import (
    MOST_BYTES,
    MOST_BYTES_OF_ONE,
    MOST_CHANGES,
    MOST_TOLD,
    Batch,
    Brought,
    Line,
    NotTaken,
    Received,
    goes_up,
)
from cityloom.edge.packing import brought, snapshot_of
from cityloom.edge.ports import Centre, Refused
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT, Change, ChangeKind
from cityloom.kernel.errors import CityError
from cityloom.kernel.time import now_millis

_log = logging.getLogger(__name__)

#: Under this name the stage follows the feed, and what it keeps stands in the register.
STAGE = "forward"
_KIND = "edge"
#: Seconds before a failed attempt is made again: at most so long, doubled from the first to the last; how
#: long in fact is chance, so that many edges do not come back at one moment.
FIRST_PAUSE, LAST_PAUSE = 0.5, 60.0
#: Seconds after which an edge that has nothing to say says so.
HEARTBEAT = 60.0
#: Of what waits, this share stays when some must be given up.
_KEPT_SHARE = 0.9


class Upward(msgspec.Struct, frozen=True):
    """What goes up, and how much of it may wait."""

    types: frozenset[str]
    classes: frozenset[InformationClass]
    #: Changes that may wait in the feed.
    most_waiting: int


class _Kept(msgspec.Struct):
    """What an edge remembers of itself."""

    #: Of the feed: the centre counts what it has by it.
    life: str
    given_up: int = 0
    #: Whether changes are gone that the centre never got: it is sent Entities as they are.
    lost: bool = False


class Forwarding:
    """Brings changes to the centre. `start` once the broker runs, `stop` before it stops."""

    def __init__(
        self, centre: Centre, upward: Upward, broker: Broker, feed: Feed, register: Register
    ) -> None:
        self._centre = centre
        self._upward = upward
        self._broker = broker
        self._feed = feed
        self._register = register
        self._kept = _Kept("")
        #: Everything through it is at the centre or need not go there; None: the centre was not heard yet.
        self._position: int | None = None
        self._reached = 0
        self._oldest = 0
        self._last_contact = 0
        self._last_sent = 0.0
        self._trouble = ""
        self._refused = False
        #: What the centre said last of what it has parked, and of the token.
        self._parked = 0
        self._not_taken: deque[NotTaken] = deque(maxlen=MOST_TOLD)
        self._token_ends = 0
        self._stopping = asyncio.Event()
        self._sending = asyncio.Lock()
        self._heart: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow the feed."""
        self._kept = await asyncio.to_thread(self._load)
        self._reached = await asyncio.to_thread(self._feed.cursor, STAGE)
        self._broker.follow(STAGE, self.handle, durable=True, past=True)
        self._heart = asyncio.create_task(self._beat(), name="edge heartbeat")

    async def stop(self) -> None:
        """Give up what is under way; it is sent again after the next start."""
        self._stopping.set()
        if self._heart is not None:
            self._heart.cancel()
            with suppress(asyncio.CancelledError):
                await self._heart

    def line(self) -> Line:
        """How the edge stands."""
        waiting = self._waiting()
        return Line(
            address=self._centre.address,
            received=self._position,
            waiting=waiting,
            oldest_s=max(0.0, (now_millis() - self._oldest) / 1000) if waiting and self._oldest else 0.0,
            last_contact=self._last_contact,
            trouble=self._trouble,
            refused=self._refused,
            given_up=self._kept.given_up,
            parked=self._parked,
            not_taken=tuple(self._not_taken),
            token_ends=self._token_ends,
        )

    async def handle(self, changes: list[Change]) -> None:
        """Return once the centre has all of these, or it was decided that it will not get them."""
        through, pause = changes[-1].sequence, FIRST_PAUSE
        self._oldest = changes[0].at_millis
        while self._position is None or self._reached < through:
            if self._stopping.is_set():
                # The stage ends here, and gets this batch again after the next start.
                raise asyncio.CancelledError
            try:
                await self._step()
                pause = FIRST_PAUSE
            except CityError as error:
                self._note(error)
                await self._bound()
                if self._reached >= through:
                    return
                await self._rest(random.uniform(0, pause))  # noqa: S311 - chance, no secret
                pause = min(2 * pause, LAST_PAUSE)

    async def _step(self) -> None:
        """One request, or what a request needs first."""
        async with self._sending:
            if self._position is None:
                await self._ask()
                return
            if self._kept.lost:
                await self._send_whole(self._position)
            changes = await asyncio.to_thread(self._feed.read, self._position, MOST_CHANGES)
            if changes and changes[0].sequence > self._position + 1:
                await self._lose(changes[0].sequence - 1)
                return
            if changes:
                await self._send(changes)

    async def _ask(self) -> None:
        """Where the centre stands: what it has is never sent again."""
        reached = self._reached
        answer = await self._bring(
            Batch(self._kept.life, reached, reached, now_millis(), waiting=self._waiting())
        )
        if answer.received > reached and not await asyncio.to_thread(self._is_ours, answer):
            # The centre has what this feed never said: it was restored from a backup, and begins anew.
            self._kept.life = secrets.token_hex(8)
            await self._keep()
            self._position = 0
        else:
            self._position = answer.received
        self._reached = self._position

    def _is_ours(self, answer: Received) -> bool:
        """Whether the last change that the centre has is one of this feed."""
        found = self._feed.read(answer.received - 1, 1)
        return bool(found) and (found[0].sequence, found[0].at_millis) == (
            answer.received,
            answer.received_at,
        )

    async def _send(self, changes: Sequence[Change]) -> None:
        position = self._position
        assert position is not None, "the centre was asked before"
        taken, through, at = self._taken(changes)
        answer = await self._bring(
            Batch(
                self._kept.life,
                position,
                through,
                now_millis(),
                tuple(taken),
                waiting=max(0, self._broker.last_sequence - through),
                oldest=changes[0].at_millis,
                lost=self._kept.lost,
                given_up=self._kept.given_up,
                through_at=at,
            )
        )
        if self._kept.lost and answer.received >= through:
            self._kept.lost = False
            await self._keep()
        self._position = self._reached = answer.received

    def _taken(self, changes: Sequence[Change]) -> tuple[list[Brought], int, int]:
        """Those of the changes that go up, as many as one request takes; through where they are, and when
        that one was accepted."""
        taken: list[Brought] = []
        size, through, at = 0, changes[0].sequence - 1, 0
        for change in changes:
            length = len(change.document) + len(change.before)
            if length > MOST_BYTES_OF_ONE:
                _log.warning("Change %d is too large to go up", change.sequence)
            elif (told := self._told(change)) is not None:
                size += length if told else 0
                if taken and size > MOST_BYTES:
                    break
                taken.append(brought(change, told=told))
            through, at = change.sequence, change.at_millis
        return taken, through, at

    def _told(self, change: Change) -> bool | None:
        """Whether a change goes up whole (True), as its class alone (False), or not at all (None)."""
        if change.tenant != DEFAULT_TENANT or not goes_up(change.types, self._upward.types):
            return None
        if change.information_class in self._upward.classes:
            return True
        raised = change.kind is ChangeKind.UPDATED and (not change.attributes or "type" in change.attributes)
        return False if raised else None

    async def _send_whole(self, position: int) -> None:
        """Entities as they are, in place of changes that are gone."""
        batch: list[Brought] = []
        size = 0
        for one in self._entities():
            batch.append(one)
            size += len(bytes(one.document))
            if len(batch) >= MOST_CHANGES or size >= MOST_BYTES:
                await self._send_entities(position, batch)
                batch, size = [], 0
        await self._send_entities(position, batch)

    async def _send_entities(self, position: int, batch: Sequence[Brought]) -> None:
        if batch:
            await self._bring(
                Batch(
                    self._kept.life,
                    position,
                    position,
                    now_millis(),
                    tuple(batch),
                    lost=True,
                    whole=True,
                    given_up=self._kept.given_up,
                    waiting=self._waiting(),
                    oldest=self._oldest,
                )
            )

    def _entities(self) -> Iterator[Brought]:
        now = now_millis()
        for entity_id, information_class in self._broker.classes(DEFAULT_TENANT):
            document = self._broker.raw(CITY, entity_id)
            if document is None or information_class not in self._upward.classes:
                continue
            if len(document) <= MOST_BYTES_OF_ONE:
                one = snapshot_of(document, information_class, now)
                if goes_up(one.types, self._upward.types):
                    yield one

    async def _bring(self, batch: Batch) -> Received:
        answer = await self._centre.bring(batch)
        self._last_contact = now_millis()
        self._last_sent = asyncio.get_running_loop().time()
        self._trouble, self._refused = "", False
        self._parked, self._token_ends = answer.parked, answer.token_ends
        for one in answer.not_taken:
            _log.warning("The centre has parked change %d of %s: %s", one.sequence, one.id, one.why)
            self._not_taken.append(one)
        return answer

    async def _lose(self, through: int) -> None:
        """Changes up to this one are gone: the centre gets Entities as they are instead."""
        self._kept.lost = True
        await self._keep()
        self._position = self._reached = through

    async def _bound(self) -> None:
        """Too much waits for what the disk may hold: the oldest is given up. It stays in the edge's own
        history, and what the Entities say now goes up all the same."""
        waiting = self._waiting()
        if waiting <= self._upward.most_waiting:
            return
        through = self._broker.last_sequence - int(self._upward.most_waiting * _KEPT_SHARE)
        self._kept.given_up += through - self._reached
        _log.warning("%d changes are given up: the line was down for too long", through - self._reached)
        await self._lose(through)

    def _waiting(self) -> int:
        return max(0, self._broker.last_sequence - self._reached)

    def _note(self, error: CityError) -> None:
        if not self._trouble:
            _log.warning("What this edge has waits: %s", error)
        self._trouble, self._refused = error.message, isinstance(error, Refused)

    async def _beat(self) -> None:
        """Say from time to time that there is nothing to say."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(HEARTBEAT)
            if self._sending.locked() or loop.time() - self._last_sent < HEARTBEAT or self._waiting():
                continue
            async with self._sending:
                try:
                    await self._ask()
                except CityError as error:
                    self._note(error)

    async def _rest(self, seconds: float) -> None:
        # Not wait_for: before Python 3.12 it loses a cancellation that comes with the answer.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _load(self) -> _Kept:
        for entry in self._register.load(_KIND):
            return msgspec.json.decode(entry.document, type=_Kept)
        kept = _Kept(secrets.token_hex(8))
        self._register.put(_KIND, Entry(DEFAULT_TENANT, _KIND, msgspec.json.encode(kept)))
        return kept

    async def _keep(self) -> None:
        entry = Entry(DEFAULT_TENANT, _KIND, msgspec.json.encode(self._kept))
        await asyncio.to_thread(self._register.put, _KIND, entry)
