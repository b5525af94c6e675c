"""Sends HTTP requests to addresses that strangers named: the port `kernel.outbound.Outbound`.

Each host has connections of its own, so that one that hangs takes none from another. A name is looked at
when a connection is made, and what was looked at is what is reached. No redirection is followed.

The client is our own, on httptools: with one made for everything a request costs six times as much
(docs/dependencies.md), and what hangs and resets takes the time of those who answer.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import lru_cache, partial

from cityloom.adapters.http.answer_body import Spoilt
from cityloom.adapters.http.connection import HttpConnection
from cityloom.adapters.http.host import Host
from cityloom.adapters.http.request_head import Target, request_head, target_of
from cityloom.adapters.network.reach import Reach
from cityloom.kernel import spans
from cityloom.kernel.outbound import Answer, Unreachable, Unusable

#: Connections to one host and port at once; who finds none free waits, within its deadline.
CONNECTIONS = 8
#: Seconds for which an idle connection is kept, and hosts whose connections are.
KEPT = 15.0
MAX_HOSTS = 2_000
#: Addresses whose parts are remembered: those who subscribe are told again and again.
_REMEMBERED = 4_000

#: Scheme, host and port.
_Origin = tuple[str, str, int]


class HttpOutbound:
    """One for all who send. Lives on the event loop. `authorities` are believed in place of those that the
    machine believes."""

    def __init__(self, reach: Reach, *, authorities: ssl.SSLContext | None = None) -> None:
        self._reach = reach
        self._trust = authorities
        #: What may be reached is as it was set: an address that was let through once always is. What stands
        #: behind its name is looked at for each connection.
        self._target = lru_cache(_REMEMBERED)(lambda url: target_of(reach.check(url)))
        self._hosts: dict[_Origin, Host] = {}
        self._resting: asyncio.TimerHandle | None = None

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
        try:
            target = self._target(url)
            # Of the address the host alone is told: the rest may name somebody.
            with spans.span(method, {"server.address": target.host}, side="client"):
                head = request_head(method, target, {**headers, **spans.headers()}, len(body))
                async with asyncio.timeout(deadline):
                    return await self._host(target).exchange(head, body, largest=largest)
        except TimeoutError:
            raise _unreachable(url, f"it does not answer in time ({deadline:g} s)") from None
        except Spoilt as error:
            raise _unusable(url, str(error)) from None
        except (OSError, ValueError) as error:
            raise _unreachable(url, str(error) or "it does not answer") from None

    async def close(self) -> None:
        """Close what is open."""
        for host in self._hosts.values():
            host.close()
        self._hosts.clear()
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def _host(self, target: Target) -> Host:
        """The connections of a host; those that were used longest ago make room."""
        origin = target[:3]
        host = self._hosts.pop(origin, None)
        if host is None:
            host = Host(partial(self._connect, target), most=CONNECTIONS, kept=KEPT)
        self._hosts[origin] = host
        if len(self._hosts) > MAX_HOSTS:
            idle = (one for one, known in self._hosts.items() if not known.users and one != origin)
            if (oldest := next(idle, None)) is not None:
                self._hosts.pop(oldest).close()
        if self._resting is None:
            self._resting = asyncio.get_running_loop().call_later(KEPT, self._let_rest)
        return host

    def _let_rest(self) -> None:
        """Close what nobody has used for a while."""
        for origin, host in list(self._hosts.items()):
            host.close_rested()
            if host.is_forgettable:
                del self._hosts[origin]
        self._resting = asyncio.get_running_loop().call_later(KEPT, self._let_rest) if self._hosts else None

    async def _connect(self, target: Target) -> HttpConnection:
        """Connect to one of the numbers behind a name once they have been looked at."""
        loop = asyncio.get_running_loop()
        # By the name as it was judged: written in ASCII it may be a number, at which nobody looks again.
        numbers = await self._reach.numbers(target.name, target.port)
        trust = await self._authorities() if target.scheme == "https" else None
        failure: OSError = ConnectionError("it cannot be connected to")
        for number in numbers:
            try:
                _, connection = await loop.create_connection(
                    HttpConnection,
                    number,
                    target.port,
                    ssl=trust,
                    server_hostname=target.host if trust else None,
                )
            except OSError as error:
                failure = error
            else:
                return connection
        raise failure

    async def _authorities(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = await asyncio.to_thread(ssl.create_default_context)
        return self._trust


def _unreachable(url: str, why: str) -> Unreachable:
    return Unreachable(f"{url[:200]!a} cannot be used: {why}", hint="Check that system.", where=url[:200])


def _unusable(url: str, why: str) -> Unusable:
    return Unusable(f"{url[:200]!a} cannot be used: {why}", hint="Check that system.", where=url[:200])
