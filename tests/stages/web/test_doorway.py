"""Connections come in as many as wait at once."""

from __future__ import annotations

import asyncio
import errno
import socket

import uvloop

from cityloom.web import doorway
from cityloom.web.connection_limits import ConnectionLimits
from cityloom.web.doorway import Doorway
from served import Served

SEVERAL = 40


def test_everybody_who_waits_is_let_in_within_a_few_turns_of_the_loop():
    async def connections() -> int:
        async with Served(ConnectionLimits()) as served:
            address = served.listener.getsockname()
            clients = [socket.create_connection(address) for _ in range(SEVERAL)]
            for _ in range(SEVERAL // 4):
                await asyncio.sleep(0)
            found = len(served.server.server_state.connections)
            for client in clients:
                client.close()
            return found

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(connections()) == SEVERAL


class Came(asyncio.Protocol):
    def __init__(self, somebody: asyncio.Event) -> None:
        self._somebody = somebody

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._somebody.set()
        transport.close()


class Full:
    """A socket that listens, of a process that has no descriptors left for a while."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.refusals = 2

    def accept(self):
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()

    def __getattr__(self, name: str):
        return getattr(self._listener, name)


async def test_who_waits_is_let_in_once_there_is_room_again(monkeypatch, caplog):
    monkeypatch.setattr(doorway, "FULL_SECONDS", 0.001)
    came = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        door = Doorway(Full(listener), lambda: Came(came), 8)
        client.connect(listener.getsockname())
        async with asyncio.timeout(10):
            await came.wait()
        door.close()
        await door.wait_closed()
    assert caplog.text.count("Too many open files") == 2


async def test_a_closed_doorway_lets_nobody_in_even_when_it_waited_for_room(monkeypatch):
    monkeypatch.setattr(doorway, "FULL_SECONDS", 0.0)
    came = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        full = Full(listener)
        door = Doorway(full, lambda: Came(came), 8)
        client.connect(listener.getsockname())
        while full.refusals:
            await asyncio.sleep(0)
        door.close()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not came.is_set()
