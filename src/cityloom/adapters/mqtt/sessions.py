"""Sessions of the listener: what outlives a connection, and the Commands on their way to devices."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from cityloom.adapters.mqtt.connection import DeviceLink
from cityloom.kernel.errors import CityError
from cityloom.sensing.commands import CommandDesk, payload_of
from cityloom.sensing.model import Wish
from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.connection import Acknowledged, Limits, Outgoing, Subscribing, Unsubscribing
from cityloom.sensing.mqtt.properties import Reason
from cityloom.sensing.mqtt.session import Session
from cityloom.sensing.mqtt.topics import filter_is_valid

_log = logging.getLogger(__name__)

#: Sessions of one device that are kept; the one that ends first makes room.
_MOST_OF_A_DEVICE = 4
#: Topic, packet identifiers, properties: what a PUBLISH has beside topic and payload, at most.
_FRAME = 16


def command_topic(device_id: str) -> str:
    """Where a device hears its Commands."""
    return f"cityloom/{device_id}/commands"


def status_topic(device_id: str) -> str:
    """Where a device says how it is, and hears what it said last."""
    return f"cityloom/{device_id}/status"


class Sessions:
    """All sessions, by device and client identifier."""

    def __init__(self, desk: CommandDesk, limits: Limits) -> None:
        self._desk = desk
        self._limits = limits
        self._sessions: dict[str, dict[str, Session]] = {}
        self._links: dict[Session, DeviceLink] = {}
        self._said: dict[str, bytes] = {}
        #: Commands whose fate is being written: why the device refused them, or nothing.
        self._settled: dict[str, str] = {}
        self._writer: asyncio.Task[None] | None = None
        desk.on_wish(self.offer)
        desk.on_withdrawn(self._withdraw)

    def attach(self, link: DeviceLink, device_id: str, client: mqtt.Connect, client_id: str) -> bool:
        """Give a connection its session; returns whether there was one to go on with (3.1.2.4)."""
        of_device = self._sessions.setdefault(device_id, {})
        session = None if client.clean_start else of_device.get(client_id)
        present = session is not None
        if session is None:
            session = Session(device_id, client_id)
        of_device.pop(client_id, None)
        if len(of_device) >= _MOST_OF_A_DEVICE:
            self._make_room(of_device)
        of_device[client_id] = session
        session.ends_at = None
        link.session = session
        self._links[session] = link
        return present

    def go_on(self, link: DeviceLink) -> None:
        """Send what was on its way when the last connection broke, and what has come since."""
        session = link.session
        if session is not None:
            session.resend(link.talk)
            self._send(session, link)
            self.offer(session.owner)

    def detach(self, link: DeviceLink, now: float) -> None:
        """The connection is over; the session ends when its time is up."""
        session = link.session
        if session is None or self._links.get(session) is not link:
            return
        del self._links[session]
        session.ends_at = now + link.talk.session_expiry

    def link_of(self, device_id: str, client_id: str) -> DeviceLink | None:
        """The connection that this client has now."""
        session = self._sessions.get(device_id, {}).get(client_id)
        return self._links.get(session) if session is not None else None

    def links_of(self, device_id: str) -> list[DeviceLink]:
        """All connections that a device has now."""
        sessions = self._sessions.get(device_id, {}).values()
        return [self._links[session] for session in sessions if session in self._links]

    def sweep(self, now: float) -> None:
        """Forget the sessions whose time is up."""
        for device_id, of_device in list(self._sessions.items()):
            for client_id, session in list(of_device.items()):
                if session.ends_at is not None and session.ends_at <= now:
                    del of_device[client_id]
            if not of_device:
                del self._sessions[device_id]

    def drop(self, device_id: str) -> None:
        """Forget all that is kept for a device that was shut out."""
        self._sessions.pop(device_id, None)
        self._said.pop(device_id, None)

    def subscribe(self, link: DeviceLink, event: Subscribing) -> None:
        """Grant a device its own topics, and nothing else."""
        session = link.session
        if session is None:
            return
        reasons: list[int] = []
        retained: list[mqtt.Subscription] = []
        for wanted in event.subscriptions:
            reason = _verdict(session.owner, wanted)
            reasons.append(reason)
            if reason > Reason.GRANTED_QOS_1:
                continue
            known = wanted.topic_filter in session.topics
            session.topics[wanted.topic_filter] = reason
            if wanted.retain_handling == 0 or (wanted.retain_handling == 1 and not known):
                retained.append(wanted)
        link.talk.grant(event.packet_id, reasons)
        for wanted in retained:
            said = self._said.get(session.owner)
            if said is not None and wanted.topic_filter == status_topic(session.owner):
                link.talk.publish(Outgoing("", wanted.topic_filter, said), retain=True)
        self.offer(session.owner)

    def unsubscribe(self, link: DeviceLink, event: Unsubscribing) -> None:
        """Take topics back."""
        if link.session is None:
            return
        reasons = [
            Reason.NO_SUBSCRIPTION_EXISTED
            if link.session.topics.pop(topic_filter, None) is None
            else Reason.SUCCESS
            for topic_filter in event.topic_filters
        ]
        link.talk.release(event.packet_id, list(map(int, reasons)))

    def say(self, device_id: str, payload: bytes, *, retain: bool) -> None:
        """A device told its status: its own subscribers hear it, and later ones when it is retained."""
        topic = status_topic(device_id)
        if retain and payload:
            self._said[device_id] = payload
        elif retain:
            self._said.pop(device_id, None)
        for link in self.links_of(device_id):
            if link.session is not None and topic in link.session.topics:
                link.talk.publish(Outgoing("", topic, payload))
                link.write()

    def acknowledged(self, link: DeviceLink, event: Acknowledged) -> None:
        """A device has a Command, or has refused it."""
        session = link.session
        message = session.acknowledged(event.packet_id) if session is not None else None
        if session is None or message is None:
            return
        said = f"The device answered with reason 0x{event.reason:02X}" if event.reason >= 0x80 else ""
        self._settle(message.key, said)
        self._send(session, link)
        self.offer(session.owner)

    def offer(self, device_id: str) -> None:
        """Hand the Commands that wait for a device to its sessions."""
        wishes = self._desk.waiting(device_id)
        if not wishes:
            return
        for session in self._listeners(device_id):
            taken = session.keys | self._settled.keys()
            link = self._links.get(session)
            for wish in wishes:
                if wish.id not in taken:
                    self._enqueue(session, link, wish)
            if link is not None:
                self._send(session, link)
                link.write()

    async def settled(self) -> None:
        """Wait until the fate of all Commands that were acknowledged is durable."""
        if self._writer is not None:
            await self._writer

    def _listeners(self, device_id: str) -> Iterator[Session]:
        topic = command_topic(device_id)
        for session in self._sessions.get(device_id, {}).values():
            if topic in session.topics:
                yield session

    def _enqueue(self, session: Session, link: DeviceLink | None, wish: Wish) -> None:
        topic, payload = command_topic(wish.device_id), payload_of(wish)
        size = len(topic) + len(payload) + _FRAME
        if link is not None and size > link.talk.largest_to_client:
            self._settle(wish.id, f"The device takes no packet of {size} bytes")
            return
        session.enqueue(Outgoing(wish.id, topic, payload), self._limits)

    def _send(self, session: Session, link: DeviceLink) -> None:
        for gone in session.send(link.talk):
            self._settle(gone.key, "")

    def _withdraw(self, device_id: str, command_id: str) -> None:
        for session in self._sessions.get(device_id, {}).values():
            session.withdraw(command_id)

    def _settle(self, command_id: str, refusal: str) -> None:
        self._settled[command_id] = refusal
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write_settled())

    async def _write_settled(self) -> None:
        try:
            while settled := dict(self._settled):
                try:
                    await self._desk.delivered([key for key, refusal in settled.items() if not refusal])
                    for key, refusal in settled.items():
                        if refusal:
                            await self._desk.refused(key, refusal)
                except CityError as error:
                    # They wait still and go out once more: at least once is what a Command is promised.
                    _log.warning("What became of %d commands is not written: %s", len(settled), error)
                for key in settled:
                    del self._settled[key]
        finally:
            self._writer = None

    def _make_room(self, of_device: dict[str, Session]) -> None:
        away = [session for session in of_device.values() if session not in self._links]
        oldest = min(away, key=lambda session: session.ends_at or 0.0, default=None)
        if oldest is None:
            oldest = next(iter(of_device.values()))
            self._links[oldest].end(Reason.QUOTA_EXCEEDED, "The device has too many connections")
        del of_device[oldest.client_id]


def _verdict(device_id: str, wanted: mqtt.Subscription) -> int:
    """The granted QoS, or the reason why not."""
    if wanted.topic_filter.startswith("$share/"):
        return Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
    if not filter_is_valid(wanted.topic_filter):
        return Reason.TOPIC_FILTER_INVALID
    if wanted.topic_filter in (command_topic(device_id), status_topic(device_id)):
        return min(wanted.qos, 1)
    return Reason.NOT_AUTHORIZED
