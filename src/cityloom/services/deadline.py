"""Runs a plugin's work beside the event loop, no longer than allowed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T], *, name: str, deadline_s: float) -> T:
    """The result of `work`, done in a thread of its own. Raises TimeoutError after the deadline.

    A thread cannot be stopped from outside; one that overruns is a daemon and holds up neither the loop nor
    the end of the process. That is why no pool is used.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def succeed(result: T) -> None:
        if not answer.done():
            answer.set_result(result)

    def fail(error: BaseException) -> None:
        if not answer.done():
            answer.set_exception(error)

    def run() -> None:
        # A loop that has closed in the meantime wants no answer.
        with contextlib.suppress(RuntimeError):
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - it is raised again where the work is awaited
                loop.call_soon_threadsafe(fail, _carried(error))
            else:
                loop.call_soon_threadsafe(succeed, result)

    threading.Thread(target=run, name=name, daemon=True).start()
    # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the answer.
    async with asyncio.timeout(deadline_s):
        return await answer


def _carried(error: BaseException) -> BaseException:
    """A future refuses StopIteration, and SystemExit would end the loop: neither is a plugin's to raise."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration | TimeoutError):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
