"""What is said to a NATS server, and when."""

from __future__ import annotations

import asyncio
import json

import pytest

from cityloom.adapters.nats.cluster import Address, Cluster


class PlainServer:
    """A server without TLS, as whoever stands in the line may pretend to be one. Keeps what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.visits = asyncio.Semaphore(0)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = {"server_id": "A", "version": "2.10.0", "max_payload": 65_536, "auth_required": True}
        writer.write(b"INFO %s\r\n" % json.dumps(said).encode())
        while line := await reader.readline():
            self.heard += line
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
                self.visits.release()
        self.visits.release()
        writer.close()


@pytest.mark.parametrize(("scheme", "is_told"), [("tls", False), ("nats", True)])
async def test_a_password_for_a_safe_line_is_told_over_no_other(scheme, is_told):
    plain = PlainServer()
    server = await asyncio.start_server(plain.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = Address((f"{scheme}://127.0.0.1:{port}",), "city", user="loom", password="four grey geese")
    cluster = Cluster(address, "city")
    connecting = asyncio.create_task(cluster.connect())
    async with asyncio.timeout(20):
        await plain.visits.acquire()
    connecting.cancel()
    await asyncio.gather(connecting, return_exceptions=True)
    await cluster.close()
    server.close()
    assert (b"four grey geese" in plain.heard) is is_told


def test_a_named_authority_asks_for_a_safe_line_too():
    assert Address(("nats://n1.example:4222",), "city", authority="ca.pem").over_tls
    assert not Address(("nats://n1.example:4222",), "city").over_tls
