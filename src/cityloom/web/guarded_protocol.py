"""One connection of the HTTP server: uvicorn's protocol with bounds, and a cheap way to turn away."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import unquote

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cityloom.web.connection_limits import ConnectionLimits
from cityloom.web.crowd import Crowd
from cityloom.web.turn import Turn
from cityloom.web.turning_away import come_back, refusal

_LOOPBACK = ("127.", "::1", "unix")
#: Whoever watches the process must be answered most of all when there is much to do.
_ALWAYS_LET_IN = (b"/healthz", b"/readyz")
#: Why a connection is closed, by the status that it is told.
_REASONS = {
    b"408": "slow head",
    b"429": "connections of one address",
    b"431": "large head",
    b"503": "connections in all",
}


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a deadline and a size for heads, and a count by address."""

    limits: ClassVar[ConnectionLimits] = ConnectionLimits()
    open_by_address: ClassVar[Counter[str]] = Counter()
    #: Networks of proxies: many people come by the same address.
    proxies: ClassVar[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]] = ()
    crowd: ClassVar[Crowd] = Crowd(ConnectionLimits().requests)
    #: How many were turned away, by the status they were told.
    refused: ClassVar[Counter[str]] = Counter()

    _address = ""
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _penance: asyncio.TimerHandle | None = None
    #: The request that is being read will be answered 503.
    _turned_away = False
    #: Of a head that arrives in pieces, those before.
    _head_bytes = 0
    _in_head = False
    #: Whether that began among what was read last, behind another request.
    _began_ahead = False
    #: Bytes that were read last.
    _just_read = 0
    #: Bytes that were read since there was something of a body.
    _beside_body = 0
    #: The loop's time at which an idle connection is closed; 0.0 while it is not idle.
    _idle_until = 0.0

    def connection_made(  # type: ignore[override]  # uvicorn's own signature, narrower than asyncio's
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.limits.in_all:
            self._refuse(b"503 Service Unavailable", b"Too many connections. Try again in a few seconds.")
            return
        address = self.client[0] if self.client else "unix"
        if not self._speaks_for_many(address):
            self._address = address
            self.open_by_address[address] += 1
            if self.open_by_address[address] > self.limits.per_address:
                self._refuse(b"429 Too Many Requests", b"Too many connections from this address.")
                return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        self._takes_answers()
        self._has_waited()
        if self.cycle is not None:
            self.crowd.leave(self.cycle)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        if self._address:
            self.open_by_address[self._address] -= 1
            if not self.open_by_address[self._address]:
                del self.open_by_address[self._address]
            self._address = ""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._is_idle() and not self._in_head and not self._turned_away:
            self._head_bytes = 0
            self._in_head = True
        self._just_read = len(data)
        self._beside_body += len(data)
        super().data_received(data)
        if self._in_head:
            self._has_read_of_head(len(data))
        elif self._beside_body > self.limits.head_bytes and self._reads_body():
            # What a parser keeps that is no body: trailers, and what is said of its pieces.
            self._refuse_head()
        elif self._turned_away and self._deadline is None and not self.transport.is_closing():
            # For the body of a request at which nobody looks. Most have come whole by now.
            self._await_head_within()

    def _has_read_of_head(self, size: int) -> None:
        # Most heads come whole and never get here: a deadline for each would cost more than reading it.
        if self._began_ahead:
            # How much of what was read is of this head is looked at when it is complete.
            self._began_ahead = False
            return
        if self._deadline is None and self._is_idle():
            self._await_head_within()
        self._head_bytes += size
        if self._head_bytes > self.limits.head_bytes:
            self._refuse_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_head:
            # A request that is sent ahead, while one is answered.
            self._in_head = self._began_ahead = True
            self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._head_is_here()
        # Trailers are no part of the head: who asks, and from where, is not told after it.
        self.headers = []
        self._beside_body = 0
        if self._head_bytes + self._just_read > self.limits.head_bytes and self._is_large():
            self._refuse_head()
        if self._turned_away:
            return
        if self._must_come_back():
            self._turned_away = True
            return
        path, _, query = self.url.partition(b"?")
        if path[:1] != b"/" or b"#" in self.url or self.parser.should_upgrade():
            # Not the usual form of a request's address.
            super().on_headers_complete()
            return
        text = path.decode("ascii")
        scope = self.scope
        version = self.parser.get_http_version()
        scope["http_version"] = version
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["path"] = unquote(text) if "%" in text else text
        scope["raw_path"] = path
        scope["query_string"] = query
        self._begin_turn(keep_alive=version != "1.0" and self.parser.should_keep_alive())

    def on_body(self, body: bytes) -> None:
        self._beside_body = 0
        if not self._turned_away:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._turned_away:
            if self.transport.is_closing():
                return
            self._turned_away = False
            self._head_is_here()
            self._ask_to_come_back()
            return
        super().on_message_complete()
        if self.cycle is not None and not self.cycle.response_complete:
            self.crowd.enter(self.cycle)

    def _begin_turn(self, *, keep_alive: bool) -> None:
        before = self.cycle
        self.cycle = turn = Turn(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        turn.offer()
        if before is None or before.response_complete:
            self._start_asgi_task(turn, self.app)
        elif len(self.pipeline) < self.limits.ahead:
            self.flow.pause_reading()
            self.pipeline.appendleft((turn, self.app))
        else:
            self._hang_up("requests ahead")

    def on_response_complete(self) -> None:
        if self.cycle is not None and self.cycle.response_complete:
            self.crowd.leave(self.cycle)
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._idle_until = 0.0
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._is_idle_now()

    def _is_idle_now(self) -> None:
        # One timer a connection that looks now and then, not one a request.
        self._idle_until = self.loop.time() + self.timeout_keep_alive
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_at(self._idle_until, self._look_whether_idle)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_until = 0.0

    def _look_whether_idle(self) -> None:
        self.timeout_keep_alive_task = None
        if not self._idle_until:
            return
        if self.loop.time() < self._idle_until:
            self.timeout_keep_alive_task = self.loop.call_at(self._idle_until, self._look_whether_idle)
        else:
            self.timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.limits.answer_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._takes_answers()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # Closing waits for what is still to be sent, and for ever when nobody takes it.
        self._takes_answers()
        self._stalled = self.loop.call_later(self.limits.answer_seconds, self.transport.abort)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _reads_body(self) -> bool:
        return self._turned_away or (self.cycle is not None and self.cycle.more_body)

    def _is_large(self) -> bool:
        """Whether a head that is complete is too large."""
        lines = self.scope["headers"]
        size = len(self.url) + sum(len(name) + len(value) for name, value in lines)
        return size > self.limits.head_bytes

    def _must_come_back(self) -> bool:
        # An answer out of turn would be taken for that of the request before.
        if not self._is_idle():
            return False
        full = len(self.tasks) >= self.limits.tasks or self.crowd.is_full()
        return full and not self.url.startswith(_ALWAYS_LET_IN)

    def _ask_to_come_back(self) -> None:
        """Answer 503, and read nothing more for a while: who asks again at once waits for it."""
        self.refused["crowded"] += 1
        stays = self.parser.should_keep_alive()
        head_alone = self.parser.get_method() == b"HEAD"
        self.transport.write(come_back(closes=not stays, head_alone=head_alone))
        if not stays:
            self.transport.close()
            return
        self.flow.pause_reading()
        self._has_waited()
        self._penance = self.loop.call_later(self.limits.penance_seconds, self._read_on)

    def _read_on(self) -> None:
        self._penance = None
        self.flow.resume_reading()
        self._is_idle_now()

    def _has_waited(self) -> None:
        if self._penance is not None:
            self._penance.cancel()
            self._penance = None

    def _takes_answers(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _speaks_for_many(self, address: str) -> bool:
        if address.startswith(_LOOPBACK):
            return True
        return bool(self.proxies) and any(ipaddress.ip_address(address) in one for one in self.proxies)

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._in_head = True
        self._await_head_within()

    def _await_head_within(self) -> None:
        self._deadline = self.loop.call_later(self.limits.head_seconds, self._too_slow)

    def _head_is_here(self) -> None:
        self._in_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._refuse(b"408 Request Timeout", b"The request's head did not arrive in time.")

    def _refuse_head(self) -> None:
        if self._is_idle():
            self._refuse(b"431 Request Header Fields Too Large", b"The request's head is too large.")
            self._turned_away = True
        else:
            # An answer out of turn would be taken for that of the request before.
            self._hang_up(_REASONS[b"431"])

    def _hang_up(self, reason: str) -> None:
        """Read nothing more, nor what was read already."""
        self._turned_away = True
        self._head_is_here()
        if not self.transport.is_closing():
            self.refused[reason] += 1
            self.transport.abort()

    def _refuse(self, status: bytes, words: bytes) -> None:
        self._head_is_here()
        if self.transport.is_closing():
            return
        self.refused[_REASONS.get(status[:3], "other")] += 1
        self.transport.write(refusal(status, words))
        self.transport.close()


def guarded(
    limits: ConnectionLimits, proxies: Sequence[str] = (), refused: Counter[str] | None = None
) -> type[GuardedProtocol]:
    """The protocol with these limits, these proxies' addresses or networks, and counts of its own; in
    `refused` it counts who was turned away."""

    class Guarded(GuardedProtocol):
        pass

    Guarded.limits = limits
    Guarded.proxies = tuple(map(ipaddress.ip_network, proxies))
    Guarded.open_by_address = Counter()
    Guarded.crowd = Crowd(limits.requests)
    Guarded.refused = Counter() if refused is None else refused
    return Guarded
