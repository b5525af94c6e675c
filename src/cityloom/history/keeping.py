"""Keeps the history in order beside everything else: what is over is moved into the order of questions."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta

from cityloom.history.ports import HistoryStore
from cityloom.kernel.errors import CityError
from cityloom.kernel.time import Clock, to_millis

_log = logging.getLogger(__name__)

#: Readings of days that are over for so long hardly come any more.
SETTLED_AFTER = timedelta(days=2)
#: Seconds of the machine's time between two looks.
PAUSE_S = 3_600.0
#: How much longer it rests than it worked: others write to the history and read it.
REST = 3.0


class Keeping:
    """Works in threads, a piece at a time; may be cancelled between two."""

    def __init__(self, store: HistoryStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        """Look after the history until cancelled."""
        while True:
            try:
                await self.tidy()
            except CityError as error:
                _log.warning("The history is put in order later: %s", error)
            await asyncio.sleep(PAUSE_S)

    async def tidy(self) -> int:
        """Do all that is to be done; returns how many readings were moved."""
        moved = 0
        while True:
            begun = time.monotonic()
            before = to_millis(self._clock.now() - SETTLED_AFTER)
            count = await asyncio.to_thread(self._store.settle, before)
            if not count:
                return moved
            moved += count
            await asyncio.sleep(REST * (time.monotonic() - begun))
