"""Folding: in the background, the newest state of each changed Entity goes into the table on disk.

Many changes of one Entity become one row. What is folded, and what every stage has passed, may leave the
feed; some is kept, so that a new stage finds a past.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from cityloom.context.commit import end_process
from cityloom.context.keeping import Kept
from cityloom.context.ports import Feed, Folded, StateTable
from cityloom.context.revision import Revision
from cityloom.context.stages import Stages
from cityloom.kernel.change import ChangeKind
from cityloom.kernel.errors import NotReady

_log = logging.getLogger(__name__)

#: Seconds between two rounds: the places of the stages are saved, and the feed is trimmed.
INTERVAL = 5.0
#: One in so many rounds folds. A row of the table costs as much as a change in the feed, so the longer the
#: changes of one Entity gather into one row, the better; what is not folded is replayed at a restart.
ROUNDS = 4
#: Changed Entities, and changes, that are folded at once.
ENOUGH = 100_000
MOST_CHANGES = 200_000
#: Seconds before a fold that found no room is tried again.
PAUSE = 5.0
#: Changes that stay in the feed although everybody has passed them.
RETENTION = 20_000


class Folding:
    """The task that folds the feed into the table and trims the feed."""

    def __init__(
        self,
        feed: Feed,
        table: StateTable,
        stages: Stages,
        *,
        folded_through: int,
        retention: int = RETENTION,
        interval: float = INTERVAL,
        fail_stop: Callable[[BaseException], None] = end_process,
    ) -> None:
        self._feed = feed
        self._table = table
        self._stages = stages
        self._retention = retention
        self._interval = interval
        self._fail_stop = fail_stop
        #: The newest state of each changed Entity, by its `created`; None for one that is gone.
        self._changed: dict[int, Folded | None] = {}
        self._last = folded_through
        self._folded = folded_through
        self._trimmed = 0
        #: Rounds since the last fold.
        self._rounds = 0
        self._enough = asyncio.Event()
        self._stopping = False
        #: Whether what has changed is still written to the table.
        self._folds = True
        self._task = asyncio.create_task(self._run(), name="folding")

    @property
    def lag(self) -> int:
        """Changes that a restart would replay."""
        return self._last - self._folded

    def committed(self, revisions: Sequence[Revision], kept: Sequence[Kept | None]) -> None:
        """Remember what is to be folded. `kept` has the document that the current state keeps of each."""
        for revision, document in zip(revisions, kept, strict=True):
            kind = revision.change.kind
            if kind is not ChangeKind.PAST:
                # After a restart, what the state keeps may be of an Entity that got the id of one deleted.
                if document is None or kind is ChangeKind.DELETED:
                    self._changed[revision.created] = None
                else:
                    self._changed[revision.created] = revision.folded(document)
        self._last = revisions[-1].change.sequence
        if self._is_enough():
            self._enough.set()

    async def stop(self, *, folding: bool = True) -> None:
        """Fold what is left and end; without `folding` save how far the stages are, and end."""
        self._stopping = True
        self._folds = self._folds and folding
        self._enough.set()
        await self._task
        await self._round(folding=folding)

    async def _run(self) -> None:
        pause = self._interval
        while not self._stopping:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes with the answer.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._enough.wait()
            self._enough.clear()
            due = self._rounds + 1 >= ROUNDS or self._is_enough()
            pause = await self._round(folding=due and self._folds)

    async def _round(self, *, folding: bool = True) -> float:
        """Fold, save and trim; how long to wait before the next round, in seconds."""
        self._rounds += 1
        try:
            if folding:
                await self._fold()
                self._rounds = 0
            await asyncio.to_thread(self._stages.save_cursors)
            await self._trim()
        except NotReady as refused:
            _log.warning("The table of states waits: %s", refused)
            return PAUSE
        except Exception as unknown:  # noqa: BLE001 - whatever it is, the disk's state is unknown
            self._fail_stop(unknown)
        return self._interval

    def _is_enough(self) -> bool:
        return len(self._changed) >= ENOUGH or self.lag >= MOST_CHANGES

    async def _fold(self) -> None:
        if self._folded == self._last:
            return
        taken, self._changed = self._changed, {}
        through = self._last
        try:
            await asyncio.to_thread(self._write, taken, through)
        except NotReady:
            self._changed = taken | self._changed
            raise
        self._folded = through

    def _write(self, changed: Mapping[int, Folded | None], through: int) -> None:
        upserts = [state for state in changed.values() if state is not None]
        deletes = [created for created, state in changed.items() if state is None]
        self._table.fold(upserts, deletes, through)

    async def _trim(self) -> None:
        through = min(self._folded, self._stages.passed(self._last), self._last - self._retention)
        if through > self._trimmed:
            await asyncio.to_thread(self._feed.trim, through)
            self._trimmed = through
