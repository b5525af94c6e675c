"""Keeps the history in order beside everything else.

What is over is moved into the order of questions; what is older than the rules of retention say becomes
hourly roll-ups.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from cityloom.history.ports import HistoryStore
from cityloom.history.retention import Due, Outgoing, RetainingStore, Rule, due_of
from cityloom.kernel.errors import CityError
from cityloom.kernel.time import Clock, to_millis

_log = logging.getLogger(__name__)

#: Readings of days that are over for so long hardly come any more.
SETTLED_AFTER = timedelta(days=2)
#: Seconds of the machine's time between two looks, and before the first: a city that has just started has
#: readings to catch up on and people who wait, and putting a slice in order keeps both from the history.
PAUSE_S = 3_600.0
FIRST_PAUSE_S = 600.0
#: How much longer it rests than it worked: others write to the history and read it.
REST = 3.0


class Keeping:
    """Works in threads, a piece at a time; may be cancelled between two."""

    def __init__(self, store: HistoryStore, clock: Clock, rules: Sequence[Rule] = ()) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules

    async def run(self) -> None:
        """Look after the history until cancelled."""
        await asyncio.sleep(FIRST_PAUSE_S)
        while True:
            try:
                await self.tidy()
                await self.retire()
            except (CityError, OSError) as error:
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

    async def retire(self) -> list[Outgoing]:
        """Let all go that is older than the rules say; returns what went, by type, class and month."""
        gone: list[Outgoing] = []
        while isinstance(self._store, RetainingStore) and self._rules:
            begun = time.monotonic()
            due = await asyncio.to_thread(due_by, self._store, self._rules, self._clock)
            one = await asyncio.to_thread(self._store.retire, due)
            if one is None:
                break
            gone.append(one)
            _log.info("%d readings of %s of %s became roll-ups", one.readings, one.type, one.month)
            await asyncio.sleep(REST * (time.monotonic() - begun))
        return gone


def due_by(store: HistoryStore, rules: Sequence[Rule], clock: Clock) -> list[Due]:
    """What is to go by the rules now, of all tenants."""
    now = clock.now()
    tenants = store.tenants() if isinstance(store, RetainingStore) else []
    return [one for tenant in tenants for one in due_of(store.series(tenant), rules, now)]
