"""The connections to one host and port: a few at once, kept for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from cityloom.adapters.http.connection import HttpConnection
from cityloom.kernel.outbound import Answer


class Host:
    """Lives on the event loop. `connect` makes a connection; `most` are open at once, and each is kept for
    `kept` seconds without use. Who finds none free waits."""

    def __init__(self, connect: Callable[[], Awaitable[HttpConnection]], *, most: int, kept: float) -> None:
        self._connect = connect
        self._kept = kept
        self._free = asyncio.Semaphore(most)
        self._idle: list[HttpConnection] = []
        #: How many send something, or wait for it.
        self.users = 0

    async def exchange(self, head: bytes, body: bytes, *, largest: int) -> Answer:
        """See `HttpConnection.exchange`."""
        self.users += 1
        try:
            async with self._free:
                connection = self._kept_one() or await self._connect()
                answer = await connection.exchange(head, body, largest=largest)
                self._idle.append(connection)
                return answer
        finally:
            self.users -= 1

    def _kept_one(self) -> HttpConnection | None:
        while self._idle:
            # The one that was used last: the others come to rest, and are closed.
            connection = self._idle.pop()
            if connection.is_usable(self._kept):
                return connection
            connection.abort()
        return None

    def close_rested(self) -> None:
        """Close what nobody has used for a while."""
        rested = [one for one in self._idle if one.has_rested(self._kept)]
        self._idle = [one for one in self._idle if not one.has_rested(self._kept)]
        for one in rested:
            one.abort()

    @property
    def is_forgettable(self) -> bool:
        """Whether nothing is lost with it."""
        return not self.users and not self._idle

    def close(self) -> None:
        """Close what is open and not in use."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
