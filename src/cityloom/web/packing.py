"""Answers packed (gzip, RFC 1952) for whoever can unpack them.

Large ones are packed in a thread, so that others have their turn.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cityloom.web.head import head_of

#: Answers smaller than this are not packed.
WORTH_PACKING = 1_000
#: zlib's level.
PACKING = 5
#: Answers to these hold next to nothing.
WRITES = frozenset({"PATCH", "PUT", "DELETE"})
#: Larger ones are packed in a thread.
_WORTH_A_THREAD = 128 * 1024
_GZIP = 16 + zlib.MAX_WBITS
#: A stream of events is not packed: each goes out when it happens.
_NEVER = b"text/event-stream"

Headers = list[tuple[bytes, bytes]]


def unpacks(scope: Scope) -> bool:
    """Whether the asker can unpack."""
    return any("gzip" in accepted.lower() for accepted in head_of(scope).get(b"accept-encoding", ()))


async def packed(headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """A whole answer packed."""
    said = await asyncio.to_thread(_gzip, body) if len(body) >= _WORTH_A_THREAD else _gzip(body)
    kept = [pair for pair in headers if pair[0] != b"content-length"]
    return [*kept, (b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(said))], said


def _gzip(body: bytes) -> bytes:
    packing = zlib.compressobj(PACKING, zlib.DEFLATED, _GZIP)
    return packing.compress(body) + packing.flush()


class Packed:
    """ASGI middleware: answers are packed, but for those to writes, which hold next to nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in WRITES:
            send = _Packing(send, packs=unpacks(scope)).send
        await self._app(scope, receive, send)


class _Packing:
    """One answer on its way. It is held until its first piece tells whether it is worth packing."""

    def __init__(self, send: Send, *, packs: bool) -> None:
        self._send = send
        self._packs = packs
        self._start: MutableMapping[str, Any] | None = None
        self._stream: Any = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] != "http.response.body":
            await self._begin()
            await self._send(message)
        elif self._start is not None:
            await self._first(message)
        else:
            await self._next(message)

    async def _first(self, message: Message) -> None:
        assert self._start is not None, "an answer begins with its head"
        headers: Headers = list(self._start.get("headers", ()))
        body, more = message.get("body", b""), message.get("more_body", False)
        if not _may_be_packed(headers) or (not more and len(body) < WORTH_PACKING):
            await self._begin()
            await self._send(message)
            return
        if not self._packs:
            # Who keeps the answer for others must know that some get it packed.
            await self._begin(headers)
            await self._send(message)
            return
        if more:
            self._stream = zlib.compressobj(PACKING, zlib.DEFLATED, _GZIP)
            kept = [pair for pair in headers if pair[0].lower() != b"content-length"]
            await self._begin([*kept, (b"content-encoding", b"gzip")])
            await self._next(message)
            return
        headers, message["body"] = await packed(_lowered(headers), body)
        await self._begin(headers)
        await self._send(message)

    async def _next(self, message: Message) -> None:
        if self._stream is not None:
            piece, more = message.get("body", b""), message.get("more_body", False)
            message["body"] = await self._packed_piece(piece, last=not more)
        await self._send(message)

    async def _packed_piece(self, piece: bytes, *, last: bool) -> bytes:
        stream = self._stream

        def made() -> bytes:
            said: bytes = stream.compress(piece)
            return said + stream.flush() if last else said

        return await asyncio.to_thread(made) if len(piece) >= _WORTH_A_THREAD else made()

    async def _begin(self, headers: Headers | None = None) -> None:
        if self._start is None:
            return
        start, self._start = self._start, None
        if headers is not None:
            start["headers"] = _varying(headers)
        await self._send(start)


def _lowered(headers: Headers) -> Headers:
    return [(name.lower(), value) for name, value in headers]


def _may_be_packed(headers: Headers) -> bool:
    said = dict(_lowered(headers))
    return b"content-encoding" not in said and not said.get(b"content-type", b"").startswith(_NEVER)


def _varying(headers: Headers) -> Headers:
    """With the answer said to depend on what the asker can unpack."""
    found = [value for name, value in headers if name.lower() == b"vary"]
    kept = [pair for pair in headers if pair[0].lower() != b"vary"]
    return [*kept, (b"vary", b", ".join([*found, b"Accept-Encoding"]))]
