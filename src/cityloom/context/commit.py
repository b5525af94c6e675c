"""Group commit: all writes that wait go into one transaction, made by one writer thread.

While a transaction is on its way to the disk the next writes gather; when it is done they go together. So
a lone write waits for one fsync, and a flood shares it.

When a commit fails, every write that waits fails with it: those that came later may build on what was
lost. Their sequences are given out again. An error that leaves open what is on the disk, or that the memory
says the same as the disk, ends the process; a restart reads from the disk what is true.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import NoReturn

import msgspec

from cityloom.context.revision import Revision
from cityloom.kernel.change import Change
from cityloom.kernel.errors import CityError, NotReady, TakenOver

_log = logging.getLogger(__name__)

#: Changes that may wait before further writes are refused: some seconds' worth.
BACKLOG_LIMIT = 50_000
#: Seconds after which a commit that does not end keeps others from queueing behind it.
STALLED_AFTER = 10.0
#: The process' exit status after a disk error (EX_IOERR of sysexits.h), and once another process runs the
#: city (EX_TEMPFAIL).
EXIT_DISK_ERROR = 74
EXIT_TAKEN_OVER = 75


class Waiting(msgspec.Struct, eq=False):
    """Revisions that are to be committed together, and who waits for them."""

    revisions: Sequence[Revision]
    future: asyncio.Future[None]


def end_process(error: BaseException) -> NoReturn:
    """Stop at once: what is on the disk is unknown, and nothing may be acknowledged any more."""
    if isinstance(error, TakenOver):
        _log.critical(
            "Another process runs this city now, so this one ends. Whatever it had not acknowledged is to be"
            " sent to the other one. Started again with --standby it waits for its turn"
        )
        logging.shutdown()
        os._exit(EXIT_TAKEN_OVER)
    _log.critical("The store failed and the process ends; restart it once the disk is well", exc_info=error)
    logging.shutdown()
    os._exit(EXIT_DISK_ERROR)


class Committer:
    """Owns the writer thread. Its methods are called on the event loop."""

    def __init__(
        self,
        append: Callable[[Sequence[Change]], None],
        *,
        committed: Callable[[Sequence[Revision]], None],
        failed: Callable[[], None],
        backlog_limit: int = BACKLOG_LIMIT,
        fail_stop: Callable[[BaseException], None] = end_process,
    ) -> None:
        """`append` stores, in the thread; `committed` and `failed` are told first, on the loop."""
        self._append = append
        self._on_committed = committed
        self._on_failed = failed
        self._backlog_limit = backlog_limit
        self._fail_stop = fail_stop
        self._jobs: queue.SimpleQueue[list[Waiting] | None] = queue.SimpleQueue()
        self._open: list[Waiting] = []
        self._backlog = 0
        self._busy = False
        self._handed_over = 0.0
        self._scheduled = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="commit", daemon=True)
        self._thread.start()

    @property
    def backlog(self) -> int:
        """Changes accepted and not yet committed."""
        return self._backlog

    def check_room(self) -> None:
        """Raise NotReady when so much waits, or for so long, that more would only wait longer."""
        if self._busy and self._loop.time() - self._handed_over > STALLED_AFTER:
            raise NotReady(
                "The store does not answer at the moment",
                hint="Nothing of this request was stored. Send it again in a few seconds.",
            )
        if self._backlog >= self._backlog_limit:
            raise NotReady(
                "More arrives than can be stored at the moment",
                hint="Nothing of this request was stored. Send it again in a few seconds.",
            )

    def submit(self, revisions: Sequence[Revision]) -> asyncio.Future[None]:
        """Queue revisions, in the order of their sequences; the future is done when they are durable."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._open.append(Waiting(revisions, future))
        self._backlog += len(revisions)
        self._idle.clear()
        if not self._busy and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._hand_over)
        return future

    async def drained(self) -> None:
        """Wait until nothing waits any more."""
        await self._idle.wait()

    async def stop(self) -> None:
        """Commit what waits and end the thread."""
        await self.drained()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _hand_over(self) -> None:
        self._scheduled = False
        if self._open:
            self._busy = True
            self._handed_over = self._loop.time()
            self._jobs.put(self._open)
            self._open = []
        else:
            self._idle.set()

    def _work(self) -> None:
        while (group := self._jobs.get()) is not None:
            error: CityError | None = None
            try:
                self._append([revision.change for waiting in group for revision in waiting.revisions])
            except CityError as refused:
                error = refused
            except BaseException as unknown:  # noqa: BLE001 - whatever it is, the disk's state is unknown
                self._fail_stop(unknown)
                return
            self._loop.call_soon_threadsafe(self._done, group, error)

    def _done(self, group: list[Waiting], error: CityError | None) -> None:
        self._busy = False
        if error is not None:
            self._fail(group, error)
            return
        self._hand_over()
        for waiting in group:
            self._backlog -= len(waiting.revisions)
            try:
                self._on_committed(waiting.revisions)
            except Exception as defect:  # noqa: BLE001 - memory differs from the disk now, whatever it is
                self._fail_stop(defect)
                return
            if not waiting.future.done():
                waiting.future.set_result(None)

    def _fail(self, group: list[Waiting], error: CityError) -> None:
        lost = group + self._open
        self._open = []
        self._backlog = 0
        self._on_failed()
        self._idle.set()
        for waiting in lost:
            if not waiting.future.done():
                waiting.future.set_exception(_again(error))


def _again(error: CityError) -> CityError:
    """The same error for each waiter: one exception raised in many tasks would pile up their traces."""
    again = type(error)(error.message, hint=error.hint, where=error.where)
    again.__cause__ = error.__cause__
    return again
