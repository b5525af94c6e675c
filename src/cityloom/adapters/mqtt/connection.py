"""One device's network connection: carries bytes between the socket and the state machine."""

from __future__ import annotations

import asyncio
import logging
from hashlib import sha256
from typing import Protocol, cast

from cityloom.sensing.model import Device
from cityloom.sensing.mqtt.connection import Connecting, Connection, Ended, Event
from cityloom.sensing.mqtt.packets import Publish
from cityloom.sensing.mqtt.properties import Reason
from cityloom.sensing.mqtt.session import Session
from cityloom.sensing.mqtt.token_bucket import TokenBucket

_log = logging.getLogger(__name__)

#: Why a connection is not read from for a while.
BACKLOG, RATE, ANSWERS = 1, 2, 4


class Desk(Protocol):
    """Where connections bring what they hear."""

    def opened(self, link: DeviceLink) -> bool:
        """Whether there is room for one more connection."""
        ...

    def introduced(self, link: DeviceLink, event: Connecting) -> None: ...

    def arrived(self, link: DeviceLink, messages: list[Publish]) -> bool:
        """Takes messages of one read. Returns whether there is room for more at the moment."""
        ...

    def asked(self, link: DeviceLink, event: Event) -> None: ...

    def ended(self, link: DeviceLink, event: Ended) -> None: ...

    def closed(self, link: DeviceLink) -> None: ...

    def connection(self) -> Connection: ...


class DeviceLink(asyncio.Protocol):
    """A connection as asyncio sees it."""

    def __init__(self, desk: Desk, loop: asyncio.AbstractEventLoop) -> None:
        self.talk = desk.connection()
        self.address = ""
        self.fingerprint = ""
        #: Known once the client was let in.
        self.device: Device | None = None
        self.session: Session | None = None
        self.bucket: TokenBucket | None = None
        self.status_topic = ""
        #: Messages that came and whose fate is open.
        self.undecided = 0
        self._desk = desk
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._held = 0
        self._choked_since: float | None = None
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else "local"
        tls = transport.get_extra_info("ssl_object")
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        if shown:
            self.fingerprint = sha256(shown).hexdigest()
        self._counted = self._desk.opened(self)
        if not self._counted:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        events = self.talk.receive(data, self._loop.time())
        messages: list[Publish] = []
        for event in events:
            if type(event) is Publish:
                messages.append(event)
                continue
            # What came before must be handed in before: order is kept.
            if messages:
                self._hand_in(messages)
                messages = []
            self._dispatch(event)
        if messages:
            self._hand_in(messages)
        self.write()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            _log.debug("The connection from %s broke: %s", self.address, exc)
        lost = self.talk.lost()
        if lost is not None:
            self._desk.ended(self, lost)
        if self._counted:
            self._desk.closed(self)
        self._transport = None

    def pause_writing(self) -> None:
        self._choked_since = self._loop.time()
        self.hold(ANSWERS)

    def resume_writing(self) -> None:
        self._choked_since = None
        self.release(ANSWERS)

    def write(self) -> None:
        """Send what the state machine has to say."""
        out = self.talk.take()
        if out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(out)

    def end(self, reason: Reason, words: str = "") -> None:
        """End the conversation from the city's side."""
        if not self.talk.ended:
            self._finish(self.talk.close(reason, words))

    def turn_away(self, reason: Reason, words: str) -> None:
        """Refuse a client that introduced itself."""
        self.talk.refuse(reason, words)
        self._close()

    def check(self, now: float) -> None:
        """End the conversation when the client has kept the city waiting too long."""
        # Who is not read from cannot be heard: no fault of the client.
        overdue = None if self._held else self.talk.overdue(now)
        if overdue is not None:
            self._finish(overdue)
        elif self._choked_since is not None and now - self._choked_since > self.talk.limits.finish_within:
            self.end(Reason.KEEP_ALIVE_TIMEOUT, "It does not take its answers")
        if self.talk.ended and self._transport is not None and self._transport.is_closing():
            # It was told, and has had a second to take it.
            self._transport.abort()

    def decided(self, count: int) -> None:
        """The fate of some of its messages is known."""
        self.undecided -= count
        if self._held & BACKLOG and self.undecided <= self.talk.limits.receive_maximum // 2:
            self.release(BACKLOG)

    def hold(self, why: int) -> None:
        """Read no more from it for now."""
        if not self._held and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
        self._held |= why

    def release(self, why: int) -> None:
        """This is no reason any longer not to read from it."""
        was, self._held = self._held, self._held & ~why
        if was and not self._held and self._transport is not None and not self._transport.is_closing():
            self.talk.excuse(self._loop.time())
            self._transport.resume_reading()

    def _hand_in(self, messages: list[Publish]) -> None:
        if self.device is None:
            return
        self.undecided += len(messages)
        room = self._desk.arrived(self, messages)
        if self.undecided > (self.talk.limits.receive_maximum if room else 0):
            self.hold(BACKLOG)
        if self.bucket is not None:
            wait = self.bucket.spend(len(messages), self._loop.time())
            if wait > 0:
                self.hold(RATE)
                self._loop.call_later(wait, self.release, RATE)

    def _dispatch(self, event: Event) -> None:
        if type(event) is Ended:
            self._finish(event)
        elif type(event) is Connecting:
            self._desk.introduced(self, event)
        elif self.session is not None:
            self._desk.asked(self, event)

    def _finish(self, event: Ended) -> None:
        self._desk.ended(self, event)
        self._close()

    def _close(self) -> None:
        self.write()
        if self._transport is not None:
            self._transport.close()
