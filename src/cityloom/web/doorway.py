"""Where connections come in: as many as wait at once, not one in each turn of the event loop.

The event loop's own servers let in one connection a turn. While a turn takes as long as all requests that are
under way, the last of many who come at once would wait for as many turns as there are others before it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

_log = logging.getLogger(__name__)

#: Connections that are let in before others get their turn.
AT_ONCE = 64
#: For which nobody is let in once the process can have no more connections.
FULL_SECONDS = 1.0


class Doorway:
    """Lets in who connects to a socket that listens, until it is closed. In place of an `asyncio.Server`."""

    def __init__(
        self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol], waiting: int
    ) -> None:
        """`waiting`: connections that the kernel keeps until they are let in; more are refused."""
        listener.setblocking(False)
        listener.listen(waiting)
        self._listener = listener
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._entering: set[asyncio.Task[object]] = set()
        self._reopening: asyncio.TimerHandle | None = None
        self._open()

    def close(self) -> None:
        """Let nobody else in. The socket stays its owner's."""
        if self._reopening is not None:
            self._reopening.cancel()
        self._loop.remove_reader(self._listener)

    async def wait_closed(self) -> None:
        """Until everybody who was let in has a protocol."""
        await asyncio.gather(*self._entering, return_exceptions=True)

    def _open(self) -> None:
        self._loop.add_reader(self._listener, self._let_in)

    def _let_in(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                # Nobody waits, or whoever did has left.
                return
            except OSError as error:
                # Most likely there are no descriptors left; whoever waits goes on waiting.
                _log.error("No connection can be let in for %g s: %s", FULL_SECONDS, error.strerror)
                self._loop.remove_reader(self._listener)
                self._reopening = self._loop.call_later(FULL_SECONDS, self._open)
                return
            connection.setblocking(False)
            entering = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
            self._entering.add(entering)
            entering.add_done_callback(self._entered)

    def _entered(self, entering: asyncio.Task[object]) -> None:
        self._entering.discard(entering)
        if not entering.cancelled() and (error := entering.exception()) is not None:
            _log.info("A connection was lost at the door: %s", error)
