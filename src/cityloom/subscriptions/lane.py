"""One endpoint's queue: its order, its bounds, and its circuit breaker.

The newest part of a long queue lies on disk alone; what is at hand is its beginning.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf
from time import monotonic

from cityloom.kernel.backoff import pause_after
from cityloom.subscriptions.model import Pending

#: What is at hand of a queue, and what may wait in it in all.
AT_HAND = 100
MAX_WAITING = 10_000
#: Entities in one notification, and their bytes.
MAX_ENTITIES = 100
MAX_BYTES = 1_000_000
#: Seconds before a failed notification is tried again: doubled from the first to the last.
FIRST_PAUSE = 0.5
LAST_PAUSE = 60.0


class Lane:
    """Lives on the event loop. `lost` is told of what had to make room."""

    def __init__(self, name: str, lost: Callable[[Pending], None]) -> None:
        self.name = name
        self.at_hand: deque[Pending] = deque()
        #: How many lie on disk alone.
        self.on_disk = 0
        #: The newest place that is or was at hand.
        self.reach = 0
        #: Set when there is something to look at: more, or less patience.
        self.wake = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.failures = 0
        #: Whether the next notification carries one Entity alone: the last one was refused as a whole.
        self.one_by_one = 0
        self._lost = lost
        #: How many are on their way.
        self.on_its_way = 0
        #: Seconds between two notifications.
        self.throttling = 0.0
        self._retry_at = 0.0
        self._last_sent = -inf

    @property
    def waiting(self) -> int:
        return len(self.at_hand) + self.on_disk

    @property
    def is_suspect(self) -> bool:
        return self.failures > 0

    def offer(self, item: Pending) -> None:
        """Add to the end; where too many wait the oldest makes room, or is to be told of by `excess`."""
        while self.waiting >= MAX_WAITING and self.at_hand:
            self._lost(self.at_hand.popleft())
        if self.on_disk or len(self.at_hand) >= AT_HAND:
            self.on_disk += 1
        else:
            self.at_hand.append(item)
            self.reach = item.place
        self.wake.set()

    @property
    def excess(self) -> int:
        """How many of those on disk alone must go."""
        return 0 if self.at_hand else max(0, self.on_disk - MAX_WAITING)

    def pass_over(self, count: int, reach: int) -> None:
        """Leave out so many that were read from disk, up to the place `reach`."""
        self.on_disk = max(0, self.on_disk - count)
        self.reach = reach

    def drop(self, place: int) -> None:
        """Leave out one that waits, wherever it is."""
        there = next((item for item in self.at_hand if item.place == place), None)
        if there is not None:
            self.at_hand.remove(there)
        elif self.on_disk:
            self.on_disk -= 1

    def refill(self, page: list[Pending]) -> None:
        """Take what was read from disk after `reach`."""
        self.on_disk = max(0, self.on_disk - len(page))
        self.at_hand.extend(page)
        if page:
            self.reach = page[-1].place

    def take(self, throttled: bool) -> list[Pending]:
        """What goes into the next notification: of one subscription, each Entity once, in order.

        Where sending is throttled, all that is at hand; who has the same Entity twice takes the last.
        """
        if throttled:
            found = list(self.at_hand)
            self.at_hand.clear()
            return found
        taken = [self.at_hand.popleft()]
        most = 1 if self.one_by_one else MAX_ENTITIES
        self.one_by_one = max(0, self.one_by_one - 1)
        first, size, met = taken[0], len(taken[0].shown), {taken[0].entity_id}
        while self.at_hand and len(taken) < most:
            following = self.at_hand[0]
            size += len(following.shown)
            same = (following.tenant, following.subscription) == (first.tenant, first.subscription)
            if not same or following.entity_id in met or size > MAX_BYTES:
                break
            met.add(following.entity_id)
            taken.append(self.at_hand.popleft())
        return taken

    def put_back(self, items: list[Pending]) -> None:
        """What could not be sent goes first again."""
        self.at_hand.extendleft(reversed(items))

    def succeeded(self) -> None:
        self.failures = 0
        self._last_sent = monotonic()

    def failed(self, cooldown: float) -> None:
        """Wait before the next attempt: longer each time, and no less than `cooldown` seconds."""
        self.failures += 1
        pause = pause_after(self.failures, first=FIRST_PAUSE, longest=LAST_PAUSE)
        self._last_sent = monotonic()
        self._retry_at = self._last_sent + max(pause, cooldown)

    def forgive(self) -> None:
        """Try at once: something has changed."""
        self._retry_at = 0.0
        self.wake.set()

    @property
    def is_forgettable(self) -> bool:
        """Whether nothing is lost with it."""
        rested = not self.throttling or monotonic() >= self._last_sent + self.throttling
        return not self.waiting and not self.on_its_way and not self.is_suspect and rested

    async def may_send(self) -> None:
        """Wait until the next attempt may be made."""
        while (left := max(self._retry_at, self._last_sent + self.throttling) - monotonic()) > 0:
            self.wake.clear()
            try:
                async with asyncio.timeout(left):
                    await self.wake.wait()
            except TimeoutError:
                return
