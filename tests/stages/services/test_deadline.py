"""Work beside the loop: no longer than allowed, and ended when the city ends."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cityloom.services.deadline import in_thread


async def test_in_thread_gives_what_the_work_gives():
    assert await in_thread(lambda: 6 * 7, name="sum", deadline_s=10) == 42


async def test_in_thread_raises_what_the_work_raises():
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 / 0, name="division", deadline_s=10)


async def test_in_thread_gives_up_at_the_deadline():
    release = threading.Event()
    with pytest.raises(TimeoutError):
        await in_thread(lambda: release.wait(60), name="overrun", deadline_s=0.01)
    release.set()


async def test_in_thread_stays_cancelled_when_the_answer_comes_at_the_same_moment():
    begun, release = threading.Event(), threading.Event()

    def work():
        begun.set()
        release.wait(60)

    task = asyncio.create_task(in_thread(work, name="photo finish", deadline_s=60))
    await asyncio.to_thread(begun.wait, 60)
    release.set()
    worker = next(thread for thread in threading.enumerate() if thread.name == "photo finish")
    worker.join()  # The answer waits in the loop's queue now, and the cancellation goes in behind it.
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
