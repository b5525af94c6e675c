"""Notifications at intervals (ETSI GS CIM 009, 5.8.6: `timeInterval`): what matches, whatever has changed.

Each looks at everything anew. So they look one after the other, owners in turn, and rest after each: all of
them together take no more than a share of the city's time, and who has many of them delays their own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from time import perf_counter

from cityloom.access.errors import OverQuota
from cityloom.kernel.errors import CityError
from cityloom.subscriptions.backlog import Notifying
from cityloom.subscriptions.model import Kept
from cityloom.subscriptions.ports import Key

_log = logging.getLogger(__name__)


class Intervals:
    """One task for each subscription with an interval. `tell` looks and tells; `rest` sleeps, in seconds."""

    def __init__(
        self,
        tell: Callable[[Kept], Awaitable[None]],
        bounds: Notifying,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._tell = tell
        self._bounds = bounds
        self._rest = rest
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._owners: dict[Key, str] = {}
        self._looking = asyncio.Lock()
        self._turns: dict[str, asyncio.Lock] = {}

    def check(self, kept: Kept) -> None:
        """Whether a subscription may be told at intervals. Raises OverQuota when its owner has too many."""
        own = Counter(owner for key, owner in self._owners.items() if key != kept.key)[kept.owner]
        if kept.wanted.time_interval is not None and own >= self._bounds.at_intervals:
            raise OverQuota(
                f"You have {self._bounds.at_intervals} subscriptions that are told at intervals already",
                hint="Subscribe to changes instead, or ask whoever runs the city for more "
                "([notifications] in city.toml).",
                where="timeInterval",
            )

    def add(self, kept: Kept) -> None:
        """Begin, or begin anew."""
        self.remove(kept.key)
        if kept.wanted.time_interval is not None:
            name = f"notify at intervals {kept.wanted.id[:60]}"
            self._owners[kept.key] = kept.owner
            self._tasks[kept.key] = asyncio.create_task(self._run(kept, kept.wanted.time_interval), name=name)

    def remove(self, key: Key) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()
            owner = self._owners.pop(key)
            if owner not in self._owners.values():
                self._turns.pop(owner, None)

    def stop(self) -> None:
        for key in list(self._tasks):
            self.remove(key)

    async def _run(self, kept: Kept, interval: float) -> None:
        while True:
            await self._rest(max(interval, self._bounds.shortest_interval))
            # The lock of all is fair, and one of an owner's waits for it at a time.
            async with self._turns.setdefault(kept.owner, asyncio.Lock()), self._looking:
                began = perf_counter()
                try:
                    await self._tell(kept)
                except CityError as refused:
                    _log.warning("Subscription %s could not be answered: %s", kept.wanted.id, refused)
                await self._rest((perf_counter() - began) * (1 / self._bounds.share_of_time - 1))
