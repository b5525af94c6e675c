"""Sends HTTP requests to addresses that strangers named: the port `kernel.outbound.Outbound`.

Each host has connections of its own, so that one that hangs takes none from another. A name is looked at
when a connection is made, and what was looked at is what is reached.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult

import httpcore2

from cityloom.adapters.network.reach import Reach, port_of
from cityloom.kernel import spans
from cityloom.kernel.outbound import Answer, Unreachable, Unusable

#: Connections to one host and port at once; who finds none free waits, within its deadline.
CONNECTIONS = 8
#: Seconds for which an idle connection is kept, and hosts whose connections are.
KEPT = 15.0
MAX_HOSTS = 2_000
#: Bytes that are unpacked in one go.
_PIECE = 65_536
#: Added where they are missing; the rest is the caller's.
_USUAL = {"accept": "*/*", "accept-encoding": "gzip, deflate", "user-agent": "CityLoom"}

#: Requests of which nobody expects a body.
_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE"})

_Origin = tuple[str, str, int]


class HttpOutbound:
    """One for all who send. Lives on the event loop."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._backend = _Looking(reach)
        self._trust: ssl.SSLContext | None = None
        self._hosts: dict[_Origin, httpcore2.AsyncConnectionPool] = {}
        self._busy: dict[_Origin, int] = {}

    def check(self, url: str) -> None:
        """Raises AddressNotAllowed."""
        self._reach.check(url)

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        deadline: float,
        largest: int,
    ) -> Answer:
        """See `kernel.outbound.Outbound.send`."""
        parts = self._reach.check(url)
        try:
            # Of the address the host alone is told: the rest may name somebody.
            with spans.span(method, {"server.address": parts.hostname or ""}, side="client"):
                told = {**headers, **spans.headers()}
                async with asyncio.timeout(deadline):
                    return await self._exchange(method, url, parts, told, body, largest)
        except TimeoutError:
            raise _unreachable(url, f"it does not answer in time ({deadline:g} s)") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException) as error:
            raise _unreachable(url, str(error) or "it does not answer") from None
        except (OSError, ValueError) as error:
            raise _unreachable(url, str(error)) from None

    async def close(self) -> None:
        """Close what is open."""
        for pool in self._hosts.values():
            await pool.aclose()
        self._hosts.clear()

    async def _exchange(
        self,
        method: str,
        url: str,
        parts: SplitResult,
        headers: Mapping[str, str],
        body: bytes,
        largest: int,
    ) -> Answer:
        origin = (parts.scheme, parts.hostname or "", port_of(parts))
        pool = await self._connections(origin)
        self._busy[origin] = self._busy.get(origin, 0) + 1
        try:
            written = [(name.encode(), value.encode()) for name, value in _complete(headers).items()]
            # A GET that tells the length of a body it has not is taken for one with a body of no known type.
            content = None if not body and method in _WITHOUT_BODY else body
            async with pool.stream(method, url, headers=written, content=content) as response:
                told = _joined(response.headers)
                answer = await _unpacked(response, told.get("content-encoding", ""), url, largest)
                return Answer(response.status, told, answer)
        finally:
            self._busy[origin] -= 1
            if not self._busy[origin]:
                del self._busy[origin]

    async def _connections(self, origin: _Origin) -> httpcore2.AsyncConnectionPool:
        """The connections of a host; those that were used longest ago make room."""
        pool = self._hosts.pop(origin, None)
        if pool is None:
            if origin[0] == "https" and self._trust is None:
                self._trust = await asyncio.to_thread(ssl.create_default_context)
            pool = httpcore2.AsyncConnectionPool(
                ssl_context=self._trust,
                max_connections=CONNECTIONS,
                keepalive_expiry=KEPT,
                network_backend=self._backend,
            )
        self._hosts[origin] = pool
        idle = (one for one in self._hosts if one not in self._busy and one != origin)
        if len(self._hosts) > MAX_HOSTS and (oldest := next(idle, None)) is not None:
            await self._hosts.pop(oldest).aclose()
        return pool


class _Looking(httpcore2.AsyncNetworkBackend):
    """Connects to the numbers behind a name once they have been looked at."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._plain = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        numbers = await self._reach.numbers(host, port)
        failure: Exception = httpcore2.ConnectError("it cannot be connected to")
        for number in numbers:
            try:
                return await self._plain.connect_tcp(number, port, timeout, local_address, socket_options)
            except httpcore2.ConnectError as error:
                failure = error
        raise failure


async def _unpacked(response: httpcore2.Response, encoding: str, url: str, largest: int) -> bytes:
    """The body, unpacked piece by piece, so that a small one cannot become a huge one."""
    unpack = _unpacking(encoding, url)
    found: list[bytes] = []
    size = 0
    async for part in response.aiter_stream():
        if unpack is not None and unpack.eof:
            # What comes after the end would be kept for nobody.
            raise _unusable(url, "its answer goes on after its end")
        waiting = part
        while waiting:
            piece = waiting if unpack is None else unpack.decompress(waiting, _PIECE)
            waiting = b"" if unpack is None else unpack.unconsumed_tail
            size += len(piece)
            if size > largest:
                raise _unusable(url, f"its answer is larger than {_size(largest)}")
            found.append(piece)
    if unpack is not None and found and not unpack.eof:
        raise _unusable(url, "its answer is cut short")
    return b"".join(found)


def _unpacking(encoding: str, url: str) -> zlib._Decompress | None:
    if encoding.strip().lower() in ("", "identity"):
        return None
    if encoding.strip().lower() in ("gzip", "x-gzip", "deflate"):
        # 32: gzip or zlib, as its beginning says.
        return zlib.decompressobj(32 + zlib.MAX_WBITS)
    raise _unusable(url, f"its answer is packed as {encoding[:40]!a}")


def _size(count: int) -> str:
    return f"{count // 1_000_000} MB" if count >= 1_000_000 else f"{count} bytes"


def _complete(headers: Mapping[str, str]) -> dict[str, str]:
    given = {name.lower() for name in headers}
    return {**headers, **{name: value for name, value in _USUAL.items() if name not in given}}


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw, value in headers:
        name, said = raw.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]}, {said}" if name in found else said
    return found


def _unreachable(url: str, why: str) -> Unreachable:
    return Unreachable(f"{url[:200]!a} cannot be used: {why}", hint="Check that system.", where=url[:200])


def _unusable(url: str, why: str) -> Unusable:
    return Unusable(f"{url[:200]!a} cannot be used: {why}", hint="Check that system.", where=url[:200])
