"""The stage that remembers: changes in, readings kept, exactly once."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from cityloom.history.extraction import news_of
from cityloom.history.ports import HistoryStore
from cityloom.kernel.change import Change
from cityloom.kernel.errors import NotReady

#: Under this name the stage follows the feed.
STAGE = "history"
#: Changes that wait for no others.
WORTH_A_COMMIT = 4_000
#: Seconds that somebody outside waits until history tells what the state tells.
PATIENCE = 10.0


class HistoryStage:
    """Takes batches of changes into the store.

    The store keeps the sequence in the transaction of the readings: after a crash the feed tells some
    changes again, and they are passed over. `pause` is the least time in seconds between two commits: a
    commit costs as much as a thousand readings, so under a stream of single changes many become one, unless
    somebody waits for them. A batch that is worth a commit by itself does not wait, so that the pause is no
    limit to how much can be kept.
    """

    def __init__(self, store: HistoryStore, *, pause: float = 1.0) -> None:
        self._store = store
        self._pause = pause
        self._committed = float("-inf")
        self._through = store.last_sequence()
        self._advanced = asyncio.Condition()
        self._awaited = asyncio.Event()

    @property
    def through(self) -> int:
        """The sequence through which everything is remembered."""
        return self._through

    async def handle(self, changes: list[Change]) -> None:
        """Remember a batch. Raises StorageFull or NotReady when nothing could be kept; then try again."""
        fresh = [change for change in changes if change.sequence > self._through]
        if not fresh:
            return
        if len(fresh) < WORTH_A_COMMIT:
            await self._rest(self._committed + self._pause - time.monotonic())
        self._committed = time.monotonic()
        await asyncio.to_thread(self._record, fresh)
        async with self._advanced:
            self._through = fresh[-1].sequence
            self._advanced.notify_all()

    async def reached(self, sequence: int) -> None:
        """Wait until the changes through `sequence` are remembered: at once, for somebody waits."""
        async with self._advanced:
            while self._through < sequence:
                self._awaited.set()
                await self._advanced.wait()

    async def caught_up(self, sequence: int) -> None:
        """As `reached`, for somebody outside who waits only so long. Raises NotReady."""
        if self._through >= sequence:
            return
        try:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes with the answer.
            async with asyncio.timeout(PATIENCE):
                await self.reached(sequence)
        except TimeoutError:
            raise NotReady(
                "History has not come as far as what was written just now",
                hint="Try again in a few seconds; the system page tells how far it is.",
            ) from None

    async def _rest(self, seconds: float) -> None:
        """Let changes gather, unless somebody waits for them."""
        if seconds > 0:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes with the answer.
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._awaited.wait()
        self._awaited.clear()

    def _record(self, changes: list[Change]) -> None:
        self._store.record([news_of(change) for change in changes], changes[-1].sequence)
