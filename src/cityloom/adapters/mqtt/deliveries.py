"""From publishing devices to the inlet, in batches, and the acknowledgements back."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

from cityloom.adapters.mqtt.connection import DeviceLink
from cityloom.kernel.errors import CityError, StorageFull
from cityloom.kernel.time import Clock
from cityloom.sensing.contract import Inlet
from cityloom.sensing.model import STORED, Message, Outcome
from cityloom.sensing.mqtt.packets import Publish
from cityloom.sensing.mqtt.properties import Reason

_log = logging.getLogger(__name__)

#: Batches on their way: while one is committed, the next is decoded.
_UNDER_WAY = 2
#: Messages in one batch, so that decoding holds nobody up for long.
_MOST_IN_BATCH = 1_000

_Entry = tuple[DeviceLink, int, Message]


class Deliveries:
    """Gathers messages of all connections and tells each what became of its own."""

    def __init__(self, connector: str, inlet: Inlet, clock: Clock) -> None:
        self._connector = connector
        self._inlet = inlet
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Entry] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._scheduled = False

    @property
    def waiting(self) -> int:
        """Messages that are not on their way yet."""
        return len(self._waiting)

    def add(self, link: DeviceLink, messages: list[Publish]) -> None:
        """Messages of one read; those with a packet identifier are acknowledged when they are durable."""
        now = self._clock.now()
        device, connector = link.device, self._connector
        self._waiting += [
            (link, packet.packet_id, Message(connector, packet.topic, packet.payload, now, device))
            for packet in messages
        ]
        self._schedule()

    def add_will(self, link: DeviceLink, topic: str, payload: bytes) -> None:
        """The last will of a client that is gone: a message that nobody waits for."""
        link.undecided += 1
        self.add(link, [Publish(topic, payload)])

    async def drain(self) -> None:
        """Wait until the fate of everything is known."""
        while self._waiting or self._under_way:
            self._hand_in()
            await asyncio.wait(self._under_way)

    def _schedule(self) -> None:
        if not self._scheduled and len(self._under_way) < _UNDER_WAY:
            self._scheduled = True
            self._loop.call_soon(self._hand_in)

    def _hand_in(self) -> None:
        self._scheduled = False
        if not self._waiting or len(self._under_way) >= _UNDER_WAY:
            return
        batch, self._waiting = self._waiting[:_MOST_IN_BATCH], self._waiting[_MOST_IN_BATCH:]
        task = self._loop.create_task(self._deliver(batch))
        self._under_way.add(task)
        task.add_done_callback(self._done)
        if self._waiting:
            self._schedule()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("A batch of messages was not stored", exc_info=error)
        if self._waiting:
            self._schedule()

    async def _deliver(self, batch: list[_Entry]) -> None:
        outcomes: list[Outcome] = []
        reason, words = Reason.UNSPECIFIED_ERROR, "The city failed; nothing was stored"
        try:
            outcomes = await self._inlet.deliver_many([message for _, _, message in batch])
        except CityError as error:
            full = isinstance(error, StorageFull)
            reason, words = (Reason.QUOTA_EXCEEDED if full else Reason.SERVER_BUSY), error.message
        finally:
            if outcomes:
                _acknowledge(batch, outcomes)
            else:
                _send_away(batch, reason, words)


def _acknowledge(batch: list[_Entry], outcomes: list[Outcome]) -> None:
    """Answer each message, those of a client in the order in which they came (4.6)."""
    count: dict[DeviceLink, int] = {}
    stored: defaultdict[DeviceLink, list[int]] = defaultdict(list)
    for (link, packet_id, _), outcome in zip(batch, outcomes, strict=True):
        count[link] = count.get(link, 0) + 1
        if not packet_id:
            continue
        if outcome is STORED:
            stored[link].append(packet_id)
            continue
        link.talk.acknowledge_all(stored.pop(link, ()))
        refused = Reason.NOT_AUTHORIZED if outcome.refused else Reason.PAYLOAD_FORMAT_INVALID
        link.talk.acknowledge(packet_id, refused, outcome.reason)
    for link, decided in count.items():
        link.talk.acknowledge_all(stored.pop(link, ()))
        link.decided(decided)
        link.write()


def _send_away(batch: list[_Entry], reason: Reason, words: str) -> None:
    """Nothing was stored. Who waits for an answer sends again after it has come back (4.4)."""
    for link, packet_id, _ in batch:
        link.decided(1)
        if packet_id:
            link.end(reason, words)
