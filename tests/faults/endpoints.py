"""Endpoints of subscriptions: many hosts of the loopback, well or hostile, and a city that notifies them.

Each endpoint has an address of its own (127.1.x.y), since a city may treat hosts apart. What each was told
is written down with the time at which it came.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

HOSTILE = ("hang", "drip", "inward", "bomb", "reset", "error")
_BOMB = gzip.compress(b" " * 50_000_000)


def length_in(head: str) -> int:
    """The length of the body that a head announces."""
    lines = head.lower().split("\r\n")
    return next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)


class Endpoints:
    """All of them. `modes` says how each behaves, and may be changed at any time."""

    def __init__(self, many: int, port: int) -> None:
        self.many = many
        self.port = port
        self.modes = ["well"] * many
        #: Of each endpoint: (Entity, count, when it came), in this order.
        self.told: defaultdict[int, list[tuple[str, int, float]]] = defaultdict(list)
        #: Requests that hostile ones got.
        self.attempts = 0
        #: Requests that were sent where a redirection pointed.
        self.led_astray = 0

    def url(self, number: int) -> str:
        return f"http://127.1.{number // 250}.{number % 250 + 1}:{self.port}/{number}"

    def turn_hostile(self) -> None:
        """Every other endpoint, by turns in each way."""
        for number in range(0, self.many, 2):
            self.modes[number] = HOSTILE[number // 2 % len(HOSTILE)]

    def turn_well(self) -> None:
        self.modes = ["well"] * self.many

    def missing(self, number: int, entity: str, last: int) -> list[int]:
        """Counts from 1 to `last` that an endpoint never heard of."""
        heard = {count for name, count, _ in self.told[number] if name == entity}
        return [count for count in range(1, last + 1) if count not in heard]

    def is_in_order(self, number: int) -> bool:
        """Whether each first mention comes after that of the count before (others may come again)."""
        first: dict[int, int] = {}
        for place, (_, count, _) in enumerate(self.told[number]):
            first.setdefault(count, place)
        return all(first[one] < first[next_one] for one, next_one in pairwise(sorted(first)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, RuntimeError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side is gone, or all is over
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection is kept."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        body = await reader.readexactly(length_in(head))
        path = head.split(" ", 2)[1]
        if path == "/inward":
            self.led_astray += 1
            return False
        number = int(path[1:])
        mode = self.modes[number]
        if mode == "well":
            now = time.perf_counter()
            self.told[number] += [(one["id"], one["count"]["value"], now) for one in json.loads(body)["data"]]
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            return True
        self.attempts += 1
        await getattr(self, f"_{mode}")(writer)
        return False

    async def _hang(self, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.5)

    async def _inward(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 307 Temporary Redirect\r\ncontent-length: 0\r\n")
        writer.write(b"location: http://127.0.0.1:%d/inward\r\n\r\n" % self.port)

    async def _bomb(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Oh\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(_BOMB))
        writer.write(_BOMB)
        await writer.drain()

    async def _reset(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async def _error(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n")


@asynccontextmanager
async def listening(many: int) -> AsyncIterator[Endpoints]:
    with socket.create_server(("", 0), backlog=2_000) as bound:
        endpoints = Endpoints(many, bound.getsockname()[1])
        server = await asyncio.start_server(endpoints.serve, sock=bound, limit=1 << 22)
        try:
            yield endpoints
        finally:
            server.close()


class Watched:
    """Entities of a city that endpoints are told of: endpoint n of Entity n modulo their number."""

    def __init__(self, address: str, entities: int) -> None:
        self._address = address.removeprefix("http://")
        self.entities = entities
        self.counts = [0] * entities
        #: When each count of each Entity was written.
        self.written: dict[tuple[str, int], float] = {}

    @staticmethod
    def name(number: int) -> str:
        return f"urn:ngsi-ld:Watched:{number}"

    async def __aenter__(self) -> Watched:
        host, port = self._address.split(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port))
        for number in range(self.entities):
            entity = {"id": self.name(number), "type": "Watched", "count": {"type": "Property", "value": 0}}
            await self.ask("POST", "/entities", entity)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def subscribe(self, endpoints: Endpoints) -> None:
        for number in range(endpoints.many):
            wanted = {
                "id": f"urn:ngsi-ld:Subscription:{number}",
                "type": "Subscription",
                "entities": [{"id": self.name(number % self.entities), "type": "Watched"}],
                "watchedAttributes": ["count"],
                "notification": {"endpoint": {"uri": endpoints.url(number), "accept": "application/json"}},
            }
            await self.ask("POST", "/subscriptions", wanted)

    async def change(self, number: int) -> None:
        """Count one Entity on."""
        self.counts[number] += 1
        count = self.counts[number]
        self.written[self.name(number), count] = time.perf_counter()
        value = {"count": {"type": "Property", "value": count}}
        await self.ask("PATCH", f"/entities/{self.name(number)}/attrs", value)

    async def ask(self, method: str, path: str, body: object) -> None:
        content = json.dumps(body).encode()
        head = f"{method} /ngsi-ld/v1{path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        self._writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            (int(line[15:]) for line in answer.lower().split("\r\n") if line[:15] == "content-length:"), 0
        )
        told = await self._reader.readexactly(length)
        assert answer[9:12] in ("201", "204"), (answer, told)

    def missing(self, endpoints: Endpoints, among: Iterable[int] | None = None) -> dict[int, list[int]]:
        """What each endpoint, or each of some, has not heard of yet; nothing of those that heard of all."""
        found = {}
        for number in range(endpoints.many) if among is None else among:
            entity = number % self.entities
            if gone := endpoints.missing(number, self.name(entity), self.counts[entity]):
                found[number] = gone
        return found

    async def all_told(
        self, endpoints: Endpoints, patience: float, among: Sequence[int] | None = None
    ) -> dict[int, list[int]]:
        """Wait until everybody, or each of some, has heard of everything; what is missing at the end of all
        patience."""
        until = time.monotonic() + patience
        while (left := self.missing(endpoints, among)) and time.monotonic() < until:
            await asyncio.sleep(0.05)
        return left
