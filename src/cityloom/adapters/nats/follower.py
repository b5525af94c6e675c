"""Takes parcels of some partitions out of the stream, and acknowledges them once they are kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from cityloom.adapters.nats.cluster import AWAY, MOST_PENDING, RETRY_S, Cluster, durable
from cityloom.context.parcels import Parcel, unpacked
from cityloom.kernel.errors import BadInput, CityError, NotReady

_log = logging.getLogger(__name__)

#: Seconds that a request for messages waits at the server. A process that hangs gets no more after that.
REQUEST_S = 2.0
#: Least seconds between two commits, so that many messages become one.
PAUSE_S = 0.25
#: Seconds before what could not be kept is tried again.
AGAIN_S = 0.3
_REQUEST = msgspec.json.encode({"batch": MOST_PENDING, "expires": int(REQUEST_S * 1e9)})
#: What the server says when nothing came for so long.
_EXPIRED = "408"


class _Taken(msgspec.Struct):
    """Messages of one partition that are being worked on."""

    messages: list[Msg]
    parcels: list[Parcel]
    done: asyncio.Event


class Follower:
    """Follows partitions for one stage, by consumers that all processes of the stage share."""

    def __init__(
        self, cluster: Cluster, stage: str, keep: Callable[[Sequence[Parcel]], Awaitable[None]]
    ) -> None:
        """`keep` returns once parcels are kept; a CityError of it means: try again."""
        self._cluster = cluster
        self._stage = stage
        self._keep = keep
        self._pulling: dict[int, asyncio.Task[None]] = {}
        self._taken: asyncio.Queue[_Taken] = asyncio.Queue()
        #: What keeps it from going on, in words for the operator; empty while nothing does.
        self.trouble = ""
        self.messages = 0

    @property
    def partitions(self) -> list[int]:
        """What it follows now."""
        return sorted(self._pulling)

    def follow(self, partitions: Iterable[int]) -> None:
        """Follow these from now on, and no others."""
        wanted = set(partitions)
        for gone in self._pulling.keys() - wanted:
            self._pulling.pop(gone).cancel()
        for new in wanted - self._pulling.keys():
            self._pulling[new] = asyncio.create_task(self._pull(new), name=f"{self._stage} {new}")

    def look_up(self, wanted: Iterable[Parcel]) -> None:
        """Keep these too, which nobody sent: what another process took and may never have kept."""
        self._taken.put_nowait(_Taken([], list(wanted), asyncio.Event()))

    async def run(self) -> None:
        """Keep what comes, until it is cancelled."""
        while True:
            took = [await self._taken.get()]
            while not self._taken.empty():
                took.append(self._taken.get_nowait())
            began = time.monotonic()
            kept = await self._kept([parcel for one in took for parcel in one.parcels])
            await self._answer([message for one in took for message in one.messages], kept=kept)
            for one in took:
                one.done.set()
            await asyncio.sleep(max(0.0, began + PAUSE_S - time.monotonic()))

    async def stop(self) -> None:
        self.follow(())

    async def _kept(self, parcels: list[Parcel]) -> bool:
        """Whether they are kept; otherwise they come again, to whoever follows their partitions then."""
        try:
            await self._keep(parcels)
        except CityError as error:
            if str(error) != self.trouble:
                _log.warning("The stage %s waits: %s", self._stage, error)
            self.trouble = str(error)
            return False
        self.trouble = ""
        return True

    async def _answer(self, messages: list[Msg], *, kept: bool) -> None:
        # An acknowledgement that is lost has the message come again, and be passed over.
        for message in messages:
            with suppress(*AWAY):
                await (message.ack() if kept else message.nak(delay=AGAIN_S))
        if kept:
            self.messages += len(messages)

    async def _pull(self, partition: int) -> None:
        while self._is_mine(partition):
            try:
                await self._pull_for_a_while(partition)
            except (*AWAY, NotReady) as error:
                _log.info("Partition %d: %s", partition, type(error).__name__)
                await asyncio.sleep(RETRY_S)

    def _is_mine(self, partition: int) -> bool:
        """Whether this task is to go on; its being cancelled may be lost in the client."""
        return self._pulling.get(partition) is asyncio.current_task()

    async def _pull_for_a_while(self, partition: int) -> None:
        """Ask for messages while the consumer is there. The client's own fetch waits for a full batch."""
        client = self._cluster.client
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox)
        asked = 0
        try:
            while self._is_mine(partition):
                if asked <= 0:
                    asked = MOST_PENDING
                    await client.publish(self._next_of(partition), _REQUEST, reply=inbox)
                messages = await _arrived(subscription)
                news = [one for one in messages if not _status(one)]
                asked = 0 if len(news) < len(messages) or not messages else asked - len(news)
                if news:
                    await self._hand_over(news)
                elif any(_status(one) != _EXPIRED for one in messages):
                    # There is no such consumer, or no leader, yet.
                    await asyncio.sleep(RETRY_S)
        finally:
            with suppress(*AWAY):
                await subscription.unsubscribe()

    def _next_of(self, partition: int) -> str:
        stream = self._cluster.address.stream
        return f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable(self._stage, partition)}"

    async def _hand_over(self, messages: list[Msg]) -> None:
        taken = _Taken([], [], asyncio.Event())
        for message in messages:
            try:
                taken.parcels.append(unpacked(message.data))
            except BadInput as error:
                # What was in it is missing now, and will be looked up in the feed.
                _log.error("%s", error)
            taken.messages.append(message)
        self._taken.put_nowait(taken)
        await taken.done.wait()


async def _arrived(subscription: Subscription) -> list[Msg]:
    """What has come; nothing where the server says nothing for longer than it may."""
    try:
        messages = [await subscription.next_msg(timeout=REQUEST_S + 1)]
        while subscription.pending_msgs:
            messages.append(await subscription.next_msg(timeout=1))
    except TimeoutError:
        return []
    return messages


def _status(message: Msg) -> str:
    """What the server says in place of a message; "" of a message."""
    return "" if message.data else (message.headers or {}).get("Status", "")
