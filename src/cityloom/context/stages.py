"""Stages: whoever follows the feed. Each gets every change in order, at its own pace, at least once.

A stage that keeps up is served from the memory of recent changes; one that fell behind, or that begins
after a restart, reads the feed. A stage never slows a writer and never another stage.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from cityloom.context.ports import Feed
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import BadConfig, Conflict, NotReady
from cityloom.kernel.spans import span_of

_log = logging.getLogger(__name__)

#: What a stage does with a batch of changes. Raising means: not handled, try again.
Handler = Callable[[list[Change]], Awaitable[None]]

#: Most changes in one batch.
BATCH = 5000
#: Changes kept in memory for stages that keep up; up to twice as many for a moment.
RECENT = 8_192
#: Bytes of their documents that are kept in memory.
RECENT_BYTES = 16 * 1024 * 1024
#: Seconds before a failed batch is tried again: doubled from the first to the last.
FIRST_PAUSE = 0.1
LAST_PAUSE = 30.0
#: Seconds a stage gets to finish its batch when the city stops.
STOP_PATIENCE = 10.0


class StageStatus(msgspec.Struct, frozen=True):
    """How a stage is getting on."""

    name: str
    durable: bool
    #: The sequence it has handled.
    cursor: int
    #: Changes it has still to handle.
    lag: int
    #: Failures in a row, 0 when the last batch went well.
    failures: int
    #: What the last failure said, empty when the last batch went well.
    last_error: str
    #: Changes it missed: a live stage that was too slow, a new one that found the feed trimmed.
    skipped: int


class Recent:
    """The newest changes, without holes: at most `keep` of them, and about `keep_bytes` of documents."""

    def __init__(self, last_sequence: int, keep: int = RECENT, keep_bytes: int = RECENT_BYTES) -> None:
        self._changes: list[Change] = []
        self._before = last_sequence
        self._keep = keep
        self._keep_bytes = keep_bytes
        self._bytes = 0

    @property
    def before(self) -> int:
        """The sequence before the oldest change kept."""
        return self._before

    @property
    def last(self) -> int:
        """The sequence of the newest change."""
        return self._before + len(self._changes)

    def add(self, changes: Sequence[Change]) -> None:
        self._changes.extend(changes)
        self._bytes += sum(len(change.document) for change in changes)
        # Twice the room before anything is moved, so that moving costs little a change.
        if len(self._changes) > 2 * self._keep or self._bytes > 2 * self._keep_bytes:
            self._forget()

    def _forget(self) -> None:
        surplus, left = 0, self._bytes
        for change in self._changes:
            if len(self._changes) - surplus <= self._keep and left <= self._keep_bytes:
                break
            surplus, left = surplus + 1, left - len(change.document)
        del self._changes[:surplus]
        self._before, self._bytes = self._before + surplus, left

    def after(self, sequence: int, limit: int) -> list[Change]:
        """Changes after `sequence`, which must not be before `before`."""
        start = sequence - self._before
        return self._changes[start : start + limit]


class Stage:
    """One follower and its task."""

    def __init__(
        self, name: str, handler: Handler, *, durable: bool, cursor: int | None, past: bool = False
    ) -> None:
        self.name = name
        self.durable = durable
        #: What is handled; None until the stage begins.
        self.cursor = cursor
        #: What is known to the feed to be handled.
        self.saved = 0
        self._handler = handler
        #: Whether it is handed what was written to the past too.
        self._past = past
        self._wake = asyncio.Event()
        self._failures = 0
        self._last_error = ""
        self._skipped = 0
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._progress = asyncio.Event()

    def begin(self, feed: Feed, recent: Recent) -> None:
        """Start following, from the cursor, the feed's cursor or (a live stage) from now on."""
        if self.durable:
            self.saved = feed.cursor(self.name)
            if self.cursor is not None and self.cursor < self.saved:
                # Its own store is older than the feed: it is told again, and nothing of that is trimmed.
                self._check_told_again(feed, self.cursor)
                self.saved = self.cursor
        if self.cursor is None:
            self.cursor = self.saved if self.durable else recent.last
        if self.cursor > recent.last:
            raise BadConfig(
                f"Stage {self.name!r} has handled change {self.cursor}, but the feed ends at {recent.last}",
                hint="Restore all files of this city from one and the same backup.",
                where=feed.where,
            )
        self._task = asyncio.create_task(self._follow(feed, recent), name=f"stage {self.name}")

    def _check_told_again(self, feed: Feed, cursor: int) -> None:
        """Who begins anew takes what there is; who goes on must miss nothing."""
        told = feed.read(cursor, 1)
        begins = told[0].sequence if told else feed.last_sequence() + 1
        if cursor and begins > cursor + 1:
            raise BadConfig(
                f"What {self.name!r} keeps ends at change {cursor}; the feed begins at {begins}",
                hint="Restore all files of this city from one and the same backup.",
                where=feed.where,
            )

    def wake(self) -> None:
        self._wake.set()

    async def end(self) -> None:
        """Finish the batch in hand, or give it up after `STOP_PATIENCE`."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            done, _ = await asyncio.wait([self._task], timeout=STOP_PATIENCE)
            if not done:
                _log.warning("Stage %s did not finish its batch; it gets it again", self.name)
                self._task.cancel()

    async def reached(self, sequence: int) -> None:
        """Wait until the stage has handled this."""
        while (self.cursor or 0) < sequence:
            self._progress.clear()
            await self._progress.wait()

    def status(self, last_sequence: int) -> StageStatus:
        cursor = self.cursor or 0
        return StageStatus(
            name=self.name,
            durable=self.durable,
            cursor=cursor,
            lag=max(0, last_sequence - cursor),
            failures=self._failures,
            last_error=self._last_error,
            skipped=self._skipped,
        )

    async def _follow(self, feed: Feed, recent: Recent) -> None:
        while not self._stopping:
            batch = await self._next(feed, recent)
            if not batch:
                self._wake.clear()
                if self.cursor == recent.last and not self._stopping:
                    await self._wake.wait()
            elif not (handed := self._meant(batch)) or await self._handled(handed):
                self.cursor = batch[-1].sequence
                self._progress.set()

    def _meant(self, batch: list[Change]) -> list[Change]:
        """What of a batch this stage is told: a write to the past changes nothing for those who act now."""
        return batch if self._past else [change for change in batch if change.kind is not ChangeKind.PAST]

    async def _next(self, feed: Feed, recent: Recent) -> list[Change]:
        cursor = self.cursor or 0
        if cursor >= recent.before:
            return recent.after(cursor, BATCH)
        try:
            batch = await asyncio.to_thread(feed.read, cursor, BATCH) if self.durable else []
        except NotReady as refused:
            self._last_error = str(refused)
            await self._rest(FIRST_PAUSE)
            return []
        oldest = batch[0].sequence - 1 if batch else recent.before
        if oldest > cursor:
            self._skipped += oldest - cursor
            self.cursor = oldest
            self._progress.set()
        return batch

    async def _handled(self, batch: list[Change]) -> bool:
        """Whether the batch is done; False when the city stops before it could be."""
        pause = FIRST_PAUSE
        while not self._stopping:
            try:
                with span_of(f"stage {self.name}", batch):
                    await self._handler(batch)
            except Exception as error:  # noqa: BLE001 - a broken stage must not break the river
                self._failures += 1
                self._last_error = f"{type(error).__name__}: {error}"
                # What waits for another system is no defect: where in the code it waits helps nobody.
                trace = None if isinstance(error, NotReady) else error
                said = "Stage %s failed at change %d: %s"
                _log.warning(said, self.name, batch[0].sequence, error, exc_info=trace)
                self._wake.clear()
                await self._rest(pause)
                pause = min(2 * pause, LAST_PAUSE)
            else:
                self._failures = 0
                self._last_error = ""
                return True
        return False

    async def _rest(self, seconds: float) -> None:
        """Wait; the end of the city cuts it short."""
        until = asyncio.get_running_loop().time() + seconds
        while not self._stopping and (left := until - asyncio.get_running_loop().time()) > 0:
            try:
                # Not wait_for: before Python 3.12 it loses a cancellation that comes with the answer.
                async with asyncio.timeout(left):
                    await self._wake.wait()
            except TimeoutError:
                return
            self._wake.clear()


class Stages:
    """All followers of one feed."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._stages: dict[str, Stage] = {}
        self._recent: Recent | None = None

    def start(self, last_sequence: int) -> None:
        """Let everybody who registered begin."""
        self._recent = Recent(last_sequence)
        for stage in self._stages.values():
            stage.begin(self._feed, self._recent)

    def follow(
        self, name: str, handler: Handler, *, durable: bool, after: int | None = None, past: bool = False
    ) -> Stage:
        """Register a stage. Raises Conflict when the name is taken."""
        if name in self._stages:
            raise Conflict(f"A stage {name!r} follows already", hint="Give the second one a name of its own.")
        stage = Stage(name, handler, durable=durable, cursor=after, past=past)
        if self._recent is not None:
            stage.begin(self._feed, self._recent)
        self._stages[name] = stage
        return stage

    async def leave(self, name: str) -> None:
        """End a stage and forget its name; a durable one finds its cursor when it comes back."""
        stage = self._stages.pop(name, None)
        if stage is not None:
            await stage.end()
            self._save_last(stage)

    def committed(self, changes: Sequence[Change]) -> None:
        """Tell everybody of new changes."""
        assert self._recent is not None, "changes are committed after the start alone"
        self._recent.add(changes)
        for stage in self._stages.values():
            stage.wake()

    def passed(self, last_sequence: int) -> int:
        """The sequence that every durable stage has handled, and the feed knows it."""
        return min((stage.saved for stage in self._stages.values() if stage.durable), default=last_sequence)

    def save_cursors(self) -> None:
        """Write the cursors that moved into the feed. Blocks; call it in a thread."""
        for stage in list(self._stages.values()):
            self._save(stage)

    async def reached(self, sequence: int) -> None:
        """Wait until every stage has handled this."""
        await asyncio.gather(*(stage.reached(sequence) for stage in self._stages.values()))

    def status(self, last_sequence: int) -> list[StageStatus]:
        return [stage.status(last_sequence) for stage in self._stages.values()]

    async def stop(self) -> None:
        await asyncio.gather(*(stage.end() for stage in self._stages.values()))
        for stage in self._stages.values():
            await asyncio.to_thread(self._save_last, stage)

    def _save_last(self, stage: Stage) -> None:
        """Whoever ends does so on a full disk as well."""
        try:
            self._save(stage)
        except NotReady as refused:
            _log.warning("Stage %s gets some changes again when it comes back: %s", stage.name, refused)

    def _save(self, stage: Stage) -> None:
        cursor = stage.cursor
        if stage.durable and cursor is not None and cursor != stage.saved:
            self._feed.set_cursor(stage.name, cursor)
            stage.saved = cursor
