"""One request and its answer on a connection: uvicorn's, with a short way for answers that are whole.

An ASGI application that finds a `Turn` in its scope (`turn_of`) may take a body that has arrived whole at
once, without waiting for it, and may give a whole answer in one piece.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

_EXTENSION = "cityloom.turn"
#: Names of headers that need not be looked at again, and those whose values nobody outside has a part in.
_SOUND = frozenset({b"link"})
_OURS = frozenset({b"date", b"content-type", b"content-length", b"x-request-id", b"connection", b"vary"})
Pairs = Iterable[tuple[bytes, bytes]]


class Turn(RequestResponseCycle):
    """uvicorn's cycle of a request and its answer."""

    def offer(self) -> None:
        """Let the application find this."""
        self.scope["extensions"] = cast(Any, {_EXTENSION: self})

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Run the application; see `RequestResponseCycle`."""
        try:
            await super().run_asgi(app)
        finally:
            # Scope and turn hold each other. Thousands of such rings a second make the garbage collector
            # stop everybody for a tenth of a second, again and again.
            self.scope["extensions"] = {}

    def body_at_hand(self) -> bytes | None:
        """The body, taken, when all of it is here; else None."""
        if self.more_body or self.disconnected or self.waiting_for_100_continue:
            return None
        whole = bytes(self.body)
        self.body = bytearray()
        self.message_event.clear()
        return whole

    @property
    def takes_answers(self) -> bool:
        """Whether the line has room; else the answer goes by `send`, which waits for it."""
        return not self.flow.write_paused

    def answer(self, status: int, head: bytes, headers: Pairs, body: bytes) -> None:
        """Send a whole answer. `head` are lines known to be sound; `headers` are checked as `send` does.

        Among the headers is the Content-Length where the status has one.
        """
        if self.disconnected:
            return
        if self.response_started:
            raise RuntimeError("An answer was begun already")
        self.response_started = True
        self.waiting_for_100_continue = False
        lines = [STATUS_LINE[status], head]
        for name, value in (*self.default_headers, *headers):
            if name not in _OURS and not _is_sound(name, value):
                raise RuntimeError("A header has characters that no header may have")
            if name == b"connection" and value == b"close":
                self.keep_alive = False
            lines += (name, b": ", value, b"\r\n")
        if not self.keep_alive and (b"connection", b"close") not in headers:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        if self.scope["method"] != "HEAD":
            lines.append(body)
        self.transport.write(b"".join(lines))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _is_sound(name: bytes, value: bytes) -> bool:
    """Whether a header has no characters that none may have."""
    return (name in _SOUND or not HEADER_RE.search(name)) and not HEADER_VALUE_RE.search(value)


def turn_of(scope: Scope) -> Turn | None:
    """The Turn that a request came with, None where another server runs the application."""
    extensions = scope.get("extensions")
    return None if extensions is None else extensions.get(_EXTENSION)
