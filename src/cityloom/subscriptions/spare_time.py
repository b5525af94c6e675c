"""When those who did not answer last are tried again: when the event loop has nothing better to do."""

from __future__ import annotations

import asyncio

#: Seconds between the beginnings of two attempts, and by which the loop may be late and counts as idle.
STEP = 0.005
#: Steps for which a busy loop is waited for: then one begins all the same.
LONGEST_WAIT = 10


class SpareTime:
    """Hands out one beginning after another, in the order in which they were asked for.

    Each attempt makes a connection, which costs as much as several notifications over one that is open. Those
    of one Entity fail at the same moment, and would be tried again at the same moment: whoever answers would
    wait behind all of them.
    """

    def __init__(self) -> None:
        self._next = asyncio.Lock()

    async def turn(self) -> None:
        """Return when one more attempt may begin."""
        loop = asyncio.get_running_loop()
        async with self._next:
            for _ in range(LONGEST_WAIT):
                due = loop.time() + STEP
                await asyncio.sleep(STEP)
                if loop.time() - due < STEP:
                    return
