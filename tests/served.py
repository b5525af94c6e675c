"""The HTTP server on a real socket of the loopback, for as long as a test needs it."""

from __future__ import annotations

import asyncio
import socket

from cityloom.web.connection_limits import ConnectionLimits
from cityloom.web.server import Server


async def hello(scope, receive, send):
    if scope["path"] == "/never":
        await asyncio.Event().wait()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


class Served:
    """A server on a port of the machine's choice."""

    def __init__(self, limits: ConnectionLimits, app=hello, **more) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.server = Server(app, limits=limits, **more)

    async def __aenter__(self) -> Served:
        self.task = asyncio.create_task(self.server.serve([self.listener]))
        while not self.server.started:
            await asyncio.sleep(0.005)
        return self

    async def __aexit__(self, *_) -> None:
        self.server.stop()
        async with asyncio.timeout(10):
            await self.task

    async def talk(self, *pieces: bytes) -> bytes:
        """Everything that comes back until the server closes."""
        reader, writer = await asyncio.open_connection(*self.listener.getsockname())
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer


WHOLE = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
