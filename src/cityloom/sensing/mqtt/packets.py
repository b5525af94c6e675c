"""The packets of MQTT 3.1.1 and 5.0 as values, and their way from bytes. Pure.

`PacketReader` turns a stream of bytes, cut anywhere, into packets; `encoding.encode` is its inverse. What
breaks the protocol raises MalformedPacket and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec

from cityloom.sensing.mqtt import properties as wire
from cityloom.sensing.mqtt.properties import MalformedPacket, Properties, Reason
from cityloom.sensing.mqtt.topics import topic_from

V311 = 4
V5 = 5


class Will(msgspec.Struct, frozen=True):
    """What the server is to publish when the client is lost (3.1.2.5)."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = {}


class Connect(msgspec.Struct, frozen=True):
    """A client wants to connect (3.1)."""

    client_id: str
    version: int = V5
    clean_start: bool = True
    keep_alive: int = 60
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None
    properties: Properties = {}


class Connack(msgspec.Struct, frozen=True):
    """The server's answer to CONNECT (3.2). `reason` is a return code in 3.1.1."""

    session_present: bool = False
    reason: int = 0
    properties: Properties = {}


class Publish(msgspec.Struct, frozen=True, gc=False):
    """A message (3.3). `packet_id` is 0 with QoS 0."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    duplicate: bool = False
    packet_id: int = 0
    properties: Properties = {}


class Acknowledgement(msgspec.Struct, frozen=True):
    """PUBACK, PUBREC, PUBREL or PUBCOMP (3.4 to 3.7), by `kind`."""

    kind: int
    packet_id: int
    reason: int = 0
    properties: Properties = {}


class Subscription(msgspec.Struct, frozen=True):
    """One topic filter of a SUBSCRIBE with its options (3.8.3)."""

    topic_filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


class Subscribe(msgspec.Struct, frozen=True):
    """A client wants messages (3.8)."""

    packet_id: int
    subscriptions: tuple[Subscription, ...]
    properties: Properties = {}


class Suback(msgspec.Struct, frozen=True):
    """One reason code for each filter of a SUBSCRIBE (3.9)."""

    packet_id: int
    reasons: tuple[int, ...]
    properties: Properties = {}


class Unsubscribe(msgspec.Struct, frozen=True):
    """A client wants messages no more (3.10)."""

    packet_id: int
    topic_filters: tuple[str, ...]
    properties: Properties = {}


class Unsuback(msgspec.Struct, frozen=True):
    """The answer to UNSUBSCRIBE (3.11); without reason codes in 3.1.1."""

    packet_id: int
    reasons: tuple[int, ...] = ()
    properties: Properties = {}


class Ping(msgspec.Struct, frozen=True):
    """PINGREQ (3.12)."""


class Pong(msgspec.Struct, frozen=True):
    """PINGRESP (3.13)."""


class Disconnect(msgspec.Struct, frozen=True):
    """The end of a connection (3.14)."""

    reason: int = 0
    properties: Properties = {}


class Auth(msgspec.Struct, frozen=True):
    """Enhanced authentication (3.15)."""

    reason: int = 0
    properties: Properties = {}


Packet: TypeAlias = (
    Connect
    | Connack
    | Publish
    | Acknowledgement
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Ping
    | Pong
    | Disconnect
    | Auth
)

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)

#: The lower four bits of the first byte that a kind must have (2.1.3); PUBLISH uses them for itself.
_FLAGS = {PUBREL: 2, SUBSCRIBE: 2, UNSUBSCRIBE: 2}
_NONE: Properties = {}


class PacketReader:
    """Bytes in, packets out. `version` is 0 until a CONNECT says it, or given for a client's side.

    A client takes the topics that its server sends as they are: the server has let them pass.
    """

    def __init__(self, *, version: int = 0, largest: int = 262_144) -> None:
        self.version = version
        self._topic = topic_from if version == 0 else wire.text_from
        self._largest = largest
        self._rest = bytearray()
        self._wanted = 0

    @property
    def unfinished(self) -> bool:
        """Whether a packet has begun and not ended."""
        return bool(self._rest)

    def feed(self, data: bytes) -> Iterator[Packet]:
        """The packets that are complete now. Raises MalformedPacket at the first that is wrong."""
        rest = self._rest
        if rest:
            rest += data
            # A large packet in small pieces is looked at when it is whole, not at each piece.
            if len(rest) < self._wanted:
                return
            data = bytes(rest)
            rest.clear()
        self._wanted = 0
        at, end = 0, len(data)
        while end - at >= 2:
            length, body = data[at + 1], at + 2
            if length > 0x7F:
                header = self._long_length(data, at, end)
                if header is None:
                    break
                length, body = header
            if body + length - at > self._largest:
                raise MalformedPacket("A packet is too large", reason=Reason.PACKET_TOO_LARGE)
            stop = body + length
            if stop > end:
                self._wanted = stop - at
                break
            first = data[at]
            if first >> 4 == PUBLISH:
                yield _publish(data, first, body, stop, self.version, self._topic)
            else:
                yield self._other(data, first, body, stop)
            at = stop
        if at < end:
            rest += data[at:]

    def _long_length(self, data: bytes, at: int, end: int) -> tuple[int, int] | None:
        """A remaining length of several bytes; None while it is not whole."""
        if end - at < 5 and all(byte > 0x7F for byte in data[at + 1 : end]):
            return None
        return wire.read_varint(data, at + 1, end)

    def _other(self, data: bytes, first: int, at: int, end: int) -> Packet:
        kind = first >> 4
        if kind == 0 or first & 0x0F != _FLAGS.get(kind, 0):
            raise MalformedPacket("Reserved bits of a packet's first byte are set")
        if kind == CONNECT:
            packet = _connect(data, at, end)
            self.version = packet.version
            return packet
        if self.version == 0:
            raise MalformedPacket("The first packet is not CONNECT", reason=Reason.PROTOCOL_ERROR)
        return _decode(kind, data, at, end, self.version)


def _publish(
    data: bytes, first: int, at: int, end: int, version: int, read_topic: Callable[[bytes], str]
) -> Publish:
    if version == 0:
        raise MalformedPacket("The first packet is not CONNECT", reason=Reason.PROTOCOL_ERROR)
    start = at + 2
    stop = start + (data[at] << 8 | data[at + 1]) if start <= end else end + 1
    if stop > end:
        raise MalformedPacket("A topic is cut off")
    raw = data[start:stop]
    qos = first >> 1 & 3
    packet_id = 0
    if qos:
        if qos == 3:
            raise MalformedPacket("QoS 3 does not exist")
        packet_id, stop = _packet_id(data, stop, end)
    elif first & 8:
        raise MalformedPacket("QoS 0 is never a duplicate")
    properties = _NONE
    if version == V5:
        if stop < end and data[stop] == 0:
            stop += 1
        else:
            properties, stop = wire.read_properties(data, stop, end, wire.IN_PUBLISH)
    # An empty topic stands for an alias (3.3.2.3.4).
    topic = read_topic(raw) if raw or wire.Property.TOPIC_ALIAS not in properties else ""
    return Publish(topic, data[stop:end], qos, bool(first & 1), bool(first & 8), packet_id, properties)


def _packet_id(data: bytes, at: int, end: int) -> tuple[int, int]:
    number, at = wire.read_number(data, at, end, 2)
    if number == 0:
        raise MalformedPacket("A packet identifier of 0")
    return number, at


def _connect(data: bytes, at: int, end: int) -> Connect:
    protocol, at = wire.read_text(data, at, end)
    version, at = wire.read_number(data, at, end, 1)
    if protocol != "MQTT" or version not in (V311, V5):
        raise MalformedPacket(
            "This is neither MQTT 3.1.1 nor 5.0", reason=Reason.UNSUPPORTED_PROTOCOL_VERSION
        )
    flags, at = wire.read_number(data, at, end, 1)
    _check_connect_flags(flags, version)
    keep_alive, at = wire.read_number(data, at, end, 2)
    properties = _NONE
    if version == V5:
        properties, at = wire.read_properties(data, at, end, wire.IN_CONNECT)
    client_id, at = wire.read_text(data, at, end)
    will = None
    if flags & 0x04:
        will, at = _will(data, at, end, flags, version)
    username = password = None
    if flags & 0x80:
        username, at = wire.read_text(data, at, end)
    if flags & 0x40:
        password, at = wire.read_binary(data, at, end)
    _check_end(at, end)
    return Connect(client_id, version, bool(flags & 0x02), keep_alive, username, password, will, properties)


def _check_connect_flags(flags: int, version: int) -> None:
    if flags & 0x01:
        raise MalformedPacket("The reserved flag of CONNECT is set")
    if flags & 0x18 == 0x18 or (flags & 0x38 and not flags & 0x04):
        raise MalformedPacket("The will's flags of CONNECT contradict each other")
    if version == V311 and flags & 0x40 and not flags & 0x80:
        raise MalformedPacket("A password without a user name")


def _will(data: bytes, at: int, end: int, flags: int, version: int) -> tuple[Will, int]:
    properties = _NONE
    if version == V5:
        properties, at = wire.read_properties(data, at, end, wire.IN_WILL)
    raw, at = wire.read_binary(data, at, end)
    payload, at = wire.read_binary(data, at, end)
    return Will(topic_from(raw), payload, flags >> 3 & 3, bool(flags & 0x20), properties), at


def _decode(kind: int, data: bytes, at: int, end: int, version: int) -> Packet:
    if kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
        packet_id, at = _packet_id(data, at, end)
        reason, properties = _reason(data, at, end, version, wire.IN_ACKNOWLEDGEMENT)
        return Acknowledgement(kind, packet_id, reason, properties)
    if kind == DISCONNECT:
        return Disconnect(*_reason(data, at, end, version, wire.IN_DISCONNECT))
    if kind == AUTH:
        if version != V5:
            raise MalformedPacket("AUTH is not in MQTT 3.1.1")
        return Auth(*_reason(data, at, end, version, wire.IN_AUTH))
    if kind in (PINGREQ, PINGRESP):
        _check_end(at, end)
        return Ping() if kind == PINGREQ else Pong()
    if kind == CONNACK:
        return _connack(data, at, end, version)
    return _about_filters(kind, data, at, end, version)


def _reason(
    data: bytes, at: int, end: int, version: int, allowed: frozenset[wire.Property]
) -> tuple[int, Properties]:
    """The optional reason code and properties at a packet's end; 3.1.1 has neither."""
    if version != V5:
        _check_end(at, end)
    if at == end:
        return 0, _NONE
    reason, at = wire.read_number(data, at, end, 1)
    if at == end:
        return reason, _NONE
    properties, at = wire.read_properties(data, at, end, allowed)
    _check_end(at, end)
    return reason, properties


def _connack(data: bytes, at: int, end: int, version: int) -> Connack:
    flags, at = wire.read_number(data, at, end, 1)
    reason, at = wire.read_number(data, at, end, 1)
    properties = _NONE
    if version == V5:
        properties, at = wire.read_properties(data, at, end, wire.IN_CONNACK)
    _check_end(at, end)
    if flags > 1:
        raise MalformedPacket("Reserved flags of CONNACK are set")
    return Connack(flags == 1, reason, properties)


def _about_filters(kind: int, data: bytes, at: int, end: int, version: int) -> Packet:
    packet_id, at = _packet_id(data, at, end)
    properties = _NONE
    if version == V5:
        allowed = {SUBSCRIBE: wire.IN_SUBSCRIBE, UNSUBSCRIBE: wire.IN_UNSUBSCRIBE}
        properties, at = wire.read_properties(data, at, end, allowed.get(kind, wire.IN_ACKNOWLEDGEMENT))
    if kind == SUBACK:
        return Suback(packet_id, tuple(data[at:end]), properties)
    if kind == UNSUBACK:
        return Unsuback(packet_id, tuple(data[at:end]), properties)
    if at == end:
        raise MalformedPacket("A request without a topic filter", reason=Reason.PROTOCOL_ERROR)
    if kind == UNSUBSCRIBE:
        filters = []
        while at < end:
            topic_filter, at = wire.read_text(data, at, end)
            filters.append(topic_filter)
        return Unsubscribe(packet_id, tuple(filters), properties)
    subscriptions = []
    while at < end:
        subscription, at = _subscription(data, at, end, version)
        subscriptions.append(subscription)
    return Subscribe(packet_id, tuple(subscriptions), properties)


def _subscription(data: bytes, at: int, end: int, version: int) -> tuple[Subscription, int]:
    topic_filter, at = wire.read_text(data, at, end)
    options, at = wire.read_number(data, at, end, 1)
    reserved = 0xC0 if version == V5 else 0xFC
    if options & reserved or options & 3 == 3 or options & 0x30 == 0x30:
        raise MalformedPacket("Reserved subscription options are set")
    return (
        Subscription(topic_filter, options & 3, bool(options & 4), bool(options & 8), options >> 4 & 3),
        at,
    )


def _check_end(at: int, end: int) -> None:
    if at != end:
        raise MalformedPacket("A packet is longer than what it says")
