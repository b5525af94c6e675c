"""The server's side of MQTT as a state machine: bytes in, events out; decisions in, bytes out. Pure.

A `Connection` is one network connection; what outlives it is a `Session`. Whoever carries the bytes hands in
a monotonic `now`, in seconds.

Offered: MQTT 3.1.1 and 5.0, QoS 0 and 1 in both directions. Not offered, and refused as the standard has it:
QoS 2, enhanced authentication, shared subscriptions, subscription identifiers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.encoding import encode, puback
from cityloom.sensing.mqtt.packets import V5, PacketReader, Publish, Subscription
from cityloom.sensing.mqtt.properties import MalformedPacket, Properties, Property, Reason

#: What a 3.1.1 client is told for a reason (3.2.2.3); the others become "server unavailable".
_RETURN_CODES: dict[int, int] = {
    Reason.SUCCESS: 0,
    Reason.UNSUPPORTED_PROTOCOL_VERSION: 1,
    Reason.CLIENT_IDENTIFIER_NOT_VALID: 2,
    Reason.BAD_USER_NAME_OR_PASSWORD: 4,
    Reason.NOT_AUTHORIZED: 5,
}


class Limits(msgspec.Struct, frozen=True):
    """What one client may ask of the server. Sizes in bytes, times in seconds."""

    largest_packet: int = 262_144
    #: Messages of one connection that may wait for their commit.
    receive_maximum: int = 1_000
    topic_aliases: int = 16
    #: Longest silence; holds too for clients that ask for no keep-alive.
    longest_keep_alive: int = 3_600
    longest_session: int = 7 * 86_400
    connect_within: float = 10.0
    #: A packet that has begun must be whole by then, and an answer must be taken.
    finish_within: float = 25.0
    #: Messages kept for a client that is away or slow, and sent without acknowledgement.
    queued: int = 100
    in_flight: int = 16


class Connecting(msgspec.Struct, frozen=True):
    """A client has introduced itself: `accept` or `refuse`."""

    packet: mqtt.Connect


class Subscribing(msgspec.Struct, frozen=True):
    """A client asks for topics: `grant`."""

    packet_id: int
    subscriptions: tuple[Subscription, ...]


class Unsubscribing(msgspec.Struct, frozen=True):
    """A client wants these no more: `release`."""

    packet_id: int
    topic_filters: tuple[str, ...]


class Acknowledged(msgspec.Struct, frozen=True):
    """A client has a QoS 1 message."""

    packet_id: int
    reason: int


class Ended(msgspec.Struct, frozen=True):
    """The conversation is over. `will` says whether the client's will holds (3.1.2.5)."""

    reason: Reason
    will: bool
    words: str = ""


#: A Publish stands for itself: a message that came, its topic complete.
Event: TypeAlias = Connecting | Publish | Subscribing | Unsubscribing | Acknowledged | Ended


class Outgoing(msgspec.Struct, frozen=True):
    """A message to a client. `key` is the sender's own name for it."""

    key: str
    topic: str
    payload: bytes


class Connection:
    """One client's conversation with the server."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self.client: mqtt.Connect | None = None
        #: QoS 1 messages that came and are not acknowledged yet.
        self.unacknowledged: set[int] = set()
        self.ended = False
        self._reader = PacketReader(largest=limits.largest_packet)
        self._out: list[bytes] = []
        self._aliases: dict[int, str] = {}
        self._accepted = False
        self._began = now
        self._heard = now
        self._keep_alive = float(limits.longest_keep_alive)
        self._session_expiry = 0
        self._unfinished_since: float | None = None

    @property
    def version(self) -> int:
        return self._reader.version

    @property
    def session_expiry(self) -> int:
        """Seconds that the session is to outlive the connection."""
        return self._session_expiry

    @property
    def send_quota(self) -> int:
        """How many QoS 1 messages may be under way to the client (3.3.4)."""
        allowed = self._said(Property.RECEIVE_MAXIMUM, 65_535)
        return min(self.limits.in_flight, allowed)

    @property
    def largest_to_client(self) -> int:
        """The largest packet that the client takes."""
        return self._said(Property.MAXIMUM_PACKET_SIZE, self.limits.largest_packet)

    def take(self) -> bytes:
        """The bytes to send now."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def receive(self, data: bytes, now: float) -> list[Event]:
        """What the bytes say. After an Ended nothing more comes; send what `take` gives, then close."""
        events: list[Event] = []
        if self.ended:
            return events
        try:
            for packet in self._reader.feed(data):
                self._heard = now
                if type(packet) is Publish:
                    if message := self._published(packet):
                        events.append(message)
                elif event := self._react(packet):
                    events.append(event)
                    if self.ended:
                        break
        except MalformedPacket as error:
            events.append(self._break(error.reason, error.message))
        if not self._reader.unfinished:
            self._unfinished_since = None
        elif self._unfinished_since is None or self._heard == now:
            self._unfinished_since = now
        return events

    def overdue(self, now: float) -> Ended | None:
        """The end, when the client has kept the server waiting too long."""
        if self.ended:
            return None
        if not self._accepted and now - self._began > self.limits.connect_within:
            return self._break(Reason.NOT_AUTHORIZED, "It did not introduce itself in time")
        since = self._unfinished_since
        if since is not None and now - since > self.limits.finish_within:
            return self._break(Reason.KEEP_ALIVE_TIMEOUT, "A packet was begun and not finished")
        if now - self._heard > 1.5 * self._keep_alive:
            return self._break(Reason.KEEP_ALIVE_TIMEOUT, "It fell silent")
        return None

    def excuse(self, now: float) -> None:
        """The client could not be heard until now, by no fault of its own."""
        self._heard = now
        if self._unfinished_since is not None:
            self._unfinished_since = now

    def accept(self, *, session_present: bool, assigned: str = "") -> None:
        """Let the client in (3.2)."""
        client = self._client()
        self._accepted = True
        limits = self.limits
        if client.version != V5:
            if not client.clean_start:
                self._session_expiry = limits.longest_session
            self._keep_alive = float(client.keep_alive or limits.longest_keep_alive)
            self._send(mqtt.Connack(session_present))
            return
        properties: Properties = {
            Property.RECEIVE_MAXIMUM: limits.receive_maximum,
            Property.MAXIMUM_QOS: 1,
            Property.MAXIMUM_PACKET_SIZE: limits.largest_packet,
            Property.TOPIC_ALIAS_MAXIMUM: limits.topic_aliases,
            Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE: 0,
            Property.SHARED_SUBSCRIPTION_AVAILABLE: 0,
        }
        asked = self._said(Property.SESSION_EXPIRY_INTERVAL, 0)
        self._session_expiry = min(asked, limits.longest_session)
        if self._session_expiry != asked:
            properties[Property.SESSION_EXPIRY_INTERVAL] = self._session_expiry
        keep_alive = min(client.keep_alive or limits.longest_keep_alive, limits.longest_keep_alive)
        self._keep_alive = float(keep_alive)
        if keep_alive != client.keep_alive:
            properties[Property.SERVER_KEEP_ALIVE] = keep_alive
        if assigned:
            properties[Property.ASSIGNED_CLIENT_IDENTIFIER] = assigned
        self._send(mqtt.Connack(session_present, 0, properties))

    def refuse(self, reason: Reason, words: str) -> None:
        """Turn the client away (3.2.2.2), with words where it can read them."""
        self.ended = True
        if self.version == V5:
            self._send(mqtt.Connack(False, reason, self._words(words)))
        else:
            self._send(mqtt.Connack(False, _RETURN_CODES.get(reason, 3)))

    def acknowledge(self, packet_id: int, reason: Reason = Reason.SUCCESS, words: str = "") -> None:
        """PUBACK. A 3.1.1 client cannot be told a reason (3.4.2.1)."""
        self.unacknowledged.discard(packet_id)
        if reason == Reason.SUCCESS or self.version != V5:
            self._out.append(puback(packet_id))
        else:
            self._send(mqtt.Acknowledgement(mqtt.PUBACK, packet_id, reason, self._words(words)))

    def acknowledge_all(self, packet_ids: Sequence[int]) -> None:
        """PUBACK with success for each of several messages."""
        self.unacknowledged.difference_update(packet_ids)
        self._out += map(puback, packet_ids)

    def grant(self, packet_id: int, reasons: list[int]) -> None:
        """SUBACK: the granted QoS or a reason for each filter."""
        if self.version != V5:
            reasons = [reason if reason < 0x80 else 0x80 for reason in reasons]
        self._send(mqtt.Suback(packet_id, tuple(reasons)))

    def release(self, packet_id: int, reasons: list[int]) -> None:
        """UNSUBACK."""
        self._send(mqtt.Unsuback(packet_id, tuple(reasons)))

    def publish(
        self, message: Outgoing, *, packet_id: int = 0, again: bool = False, retain: bool = False
    ) -> None:
        """Send a message: with QoS 1 when it has a packet identifier."""
        qos = 1 if packet_id else 0
        self._send(Publish(message.topic, message.payload, qos, retain, again, packet_id))

    def close(self, reason: Reason, words: str = "") -> Ended:
        """The server ends the conversation; the client's will holds unless another took its place."""
        return self._break(reason, words)

    def lost(self) -> Ended | None:
        """The network connection is gone. None when the conversation had ended before."""
        if self.ended:
            return None
        self.ended = True
        return Ended(Reason.UNSPECIFIED_ERROR, True, "The connection was lost")

    def _client(self) -> mqtt.Connect:
        if self.client is None:
            raise MalformedPacket("The client has not introduced itself", reason=Reason.PROTOCOL_ERROR)
        return self.client

    def _said(self, number: Property, default: int) -> int:
        value = self.client.properties.get(number, default) if self.client else default
        return int(value)

    def _send(self, packet: mqtt.Packet) -> None:
        self._out.append(encode(packet, self.version or mqtt.V311))

    def _words(self, words: str) -> Properties:
        wanted = words and self._said(Property.REQUEST_PROBLEM_INFORMATION, 1)
        return {Property.REASON_STRING: words[:200]} if wanted else {}

    def _break(self, reason: Reason, words: str) -> Ended:
        self.ended = True
        if self.client is None:
            if reason == Reason.UNSUPPORTED_PROTOCOL_VERSION:
                # Any version understands this answer (3.1.1, 3.1.2.2).
                self._out.append(b"\x20\x02\x00\x01")
        elif self.version == V5 and self._accepted:
            self._send(mqtt.Disconnect(reason, self._words(words)))
        return Ended(reason, self._accepted, words)

    def _published(self, packet: Publish) -> Publish | None:
        if packet.qos:
            if packet.qos == 2:
                raise MalformedPacket("QoS 2 is not offered", reason=Reason.QOS_NOT_SUPPORTED)
            waiting = self.unacknowledged
            if packet.packet_id in waiting:
                return None
            if len(waiting) >= self.limits.receive_maximum and self.version == V5:
                raise MalformedPacket(
                    "More messages wait than were agreed", reason=Reason.RECEIVE_MAXIMUM_EXCEEDED
                )
            waiting.add(packet.packet_id)
        if packet.properties:
            return self._with_topic(packet)
        return packet

    def _with_topic(self, packet: Publish) -> Publish:
        """Put in the topic that an alias stands for (3.3.2.3.4)."""
        if Property.SUBSCRIPTION_IDENTIFIER in packet.properties:
            raise MalformedPacket("A client's message has no subscription", reason=Reason.PROTOCOL_ERROR)
        alias = packet.properties.get(Property.TOPIC_ALIAS)
        if alias is None:
            return packet
        if alias > self.limits.topic_aliases or not (packet.topic or alias in self._aliases):
            raise MalformedPacket("An unknown topic alias", reason=Reason.TOPIC_ALIAS_INVALID)
        if packet.topic:
            self._aliases[alias] = packet.topic
            return packet
        return msgspec.structs.replace(packet, topic=self._aliases[alias])

    def _react(self, packet: mqtt.Packet) -> Event | None:
        match packet:
            case mqtt.Ping():
                self._send(mqtt.Pong())
                return None
            case mqtt.Connect():
                return self._introduced(packet)
            case mqtt.Acknowledgement(kind=mqtt.PUBACK):
                return Acknowledged(packet.packet_id, packet.reason)
            case mqtt.Subscribe():
                if Property.SUBSCRIPTION_IDENTIFIER in packet.properties:
                    raise MalformedPacket(
                        "Subscription identifiers are not offered",
                        reason=Reason.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
                    )
                return Subscribing(packet.packet_id, packet.subscriptions)
            case mqtt.Unsubscribe():
                return Unsubscribing(packet.packet_id, packet.topic_filters)
            case mqtt.Disconnect():
                return self._left(packet)
        raise MalformedPacket("This packet is not for a server", reason=Reason.PROTOCOL_ERROR)

    def _introduced(self, packet: mqtt.Connect) -> Connecting:
        if self.client is not None:
            raise MalformedPacket("CONNECT came twice", reason=Reason.PROTOCOL_ERROR)
        self.client = packet
        return Connecting(packet)

    def _left(self, packet: mqtt.Disconnect) -> Ended:
        expiry = packet.properties.get(Property.SESSION_EXPIRY_INTERVAL)
        if expiry is not None:
            if expiry and not self._said(Property.SESSION_EXPIRY_INTERVAL, 0):
                raise MalformedPacket(
                    "A session that was to end cannot be prolonged", reason=Reason.PROTOCOL_ERROR
                )
            self._session_expiry = min(expiry, self.limits.longest_session)
        self.ended = True
        return Ended(Reason.SUCCESS, packet.reason == Reason.DISCONNECT_WITH_WILL, "It took its leave")
