"""Notifications at intervals (ETSI GS CIM 009, 5.8.6: `timeInterval`): what matches, whatever has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from cityloom.kernel.errors import CityError
from cityloom.subscriptions.model import Kept
from cityloom.subscriptions.ports import Key

_log = logging.getLogger(__name__)

#: Seconds between two notifications at least, whatever is asked for: each asks about everything anew.
SHORTEST = 0.5


class Intervals:
    """One task for each subscription with an interval."""

    def __init__(self, tell: Callable[[Kept], Awaitable[None]]) -> None:
        self._tell = tell
        self._tasks: dict[Key, asyncio.Task[None]] = {}

    def add(self, kept: Kept) -> None:
        """Begin, or begin anew."""
        self.remove(kept.key)
        if kept.wanted.time_interval is not None:
            name = f"notify at intervals {kept.wanted.id[:60]}"
            self._tasks[kept.key] = asyncio.create_task(self._run(kept, kept.wanted.time_interval), name=name)

    def remove(self, key: Key) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    def stop(self) -> None:
        for key in list(self._tasks):
            self.remove(key)

    async def _run(self, kept: Kept, interval: float) -> None:
        while True:
            await asyncio.sleep(max(interval, SHORTEST))
            try:
                await self._tell(kept)
            except CityError as refused:
                _log.warning("Subscription %s could not be answered: %s", kept.wanted.id, refused)
