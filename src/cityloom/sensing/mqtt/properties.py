"""Reason codes and properties of MQTT 5.0 (sections 2.2.2 and 2.4)."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from cityloom.kernel.errors import BadInput

#: Properties of one packet by their identifier. USER_PROPERTY holds a list of pairs,
#: SUBSCRIPTION_IDENTIFIER a list of numbers; the others one value.
Properties = dict[int, Any]


class Reason(IntEnum):
    """Reason codes; below 0x80 they mean success (2.4)."""

    SUCCESS = 0x00
    GRANTED_QOS_1 = 0x01
    DISCONNECT_WITH_WILL = 0x04
    NO_SUBSCRIPTION_EXISTED = 0x11
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    QOS_NOT_SUPPORTED = 0x9B
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1


class Property(IntEnum):
    """Property identifiers (2.2.2.2)."""

    PAYLOAD_FORMAT_INDICATOR = 0x01
    MESSAGE_EXPIRY_INTERVAL = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_IDENTIFIER = 0x0B
    SESSION_EXPIRY_INTERVAL = 0x11
    ASSIGNED_CLIENT_IDENTIFIER = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY_INTERVAL = 0x18
    REQUEST_RESPONSE_INFORMATION = 0x19
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28
    SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29
    SHARED_SUBSCRIPTION_AVAILABLE = 0x2A


class MalformedPacket(BadInput):
    """Bytes that break the protocol. `reason` is the code that MQTT 5.0 has for it."""

    def __init__(self, message: str, *, reason: Reason = Reason.MALFORMED_PACKET) -> None:
        super().__init__(message, hint="The client must follow MQTT 3.1.1 or 5.0.", where="mqtt")
        self.reason = reason


def read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A variable byte integer (1.5.5) and the position behind it."""
    value = 0
    for step in range(4):
        if at + step >= end:
            raise MalformedPacket("A length is cut off")
        byte = data[at + step]
        value |= (byte & 0x7F) << (7 * step)
        if byte < 0x80:
            return value, at + step + 1
    raise MalformedPacket("A length has more than four bytes")


def write_varint(value: int) -> bytes:
    """A variable byte integer (1.5.5); `value` is below 2**28."""
    if not 0 <= value < 1 << 28:
        raise ValueError(f"{value} does not fit a variable byte integer")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_number(data: bytes, at: int, end: int, size: int) -> tuple[int, int]:
    """A big-endian number of `size` bytes and the position behind it."""
    stop = at + size
    if stop > end:
        raise MalformedPacket("A number is cut off")
    return int.from_bytes(data[at:stop], "big"), stop


def read_binary(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    """Bytes behind their two-byte length (1.5.6) and the position behind them."""
    length, start = read_number(data, at, end, 2)
    stop = start + length
    if stop > end:
        raise MalformedPacket("A field is cut off")
    return data[start:stop], stop


def read_text(data: bytes, at: int, end: int) -> tuple[str, int]:
    """A UTF-8 string (1.5.4) and the position behind it."""
    raw, stop = read_binary(data, at, end)
    return text_from(raw), stop


def text_from(raw: bytes) -> str:
    """UTF-8 without U+0000 and without surrogates (1.5.4)."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedPacket("A string is not UTF-8") from None
    if "\0" in text:
        raise MalformedPacket("A string holds U+0000")
    return text


def write_binary(value: bytes) -> bytes:
    """Bytes behind their two-byte length."""
    return len(value).to_bytes(2, "big") + value


def write_text(value: str) -> bytes:
    """A string behind its two-byte length."""
    return write_binary(value.encode("utf-8"))


def _read_pair(data: bytes, at: int, end: int) -> tuple[tuple[str, str], int]:
    key, at = read_text(data, at, end)
    value, at = read_text(data, at, end)
    return (key, value), at


def _number(size: int) -> tuple[Callable[[bytes, int, int], tuple[Any, int]], Callable[[Any], bytes]]:
    return (
        lambda data, at, end: read_number(data, at, end, size),
        lambda value: int(value).to_bytes(size, "big"),
    )


_BYTE, _TWO, _FOUR = _number(1), _number(2), _number(4)
_TEXT, _BINARY, _VARINT = (read_text, write_text), (read_binary, write_binary), (read_varint, write_varint)
_PAIR = (_read_pair, lambda pair: write_text(pair[0]) + write_text(pair[1]))

_FORM: dict[int, tuple[Callable[[bytes, int, int], tuple[Any, int]], Callable[[Any], bytes]]] = {
    Property.PAYLOAD_FORMAT_INDICATOR: _BYTE,
    Property.MESSAGE_EXPIRY_INTERVAL: _FOUR,
    Property.CONTENT_TYPE: _TEXT,
    Property.RESPONSE_TOPIC: _TEXT,
    Property.CORRELATION_DATA: _BINARY,
    Property.SUBSCRIPTION_IDENTIFIER: _VARINT,
    Property.SESSION_EXPIRY_INTERVAL: _FOUR,
    Property.ASSIGNED_CLIENT_IDENTIFIER: _TEXT,
    Property.SERVER_KEEP_ALIVE: _TWO,
    Property.AUTHENTICATION_METHOD: _TEXT,
    Property.AUTHENTICATION_DATA: _BINARY,
    Property.REQUEST_PROBLEM_INFORMATION: _BYTE,
    Property.WILL_DELAY_INTERVAL: _FOUR,
    Property.REQUEST_RESPONSE_INFORMATION: _BYTE,
    Property.RESPONSE_INFORMATION: _TEXT,
    Property.SERVER_REFERENCE: _TEXT,
    Property.REASON_STRING: _TEXT,
    Property.RECEIVE_MAXIMUM: _TWO,
    Property.TOPIC_ALIAS_MAXIMUM: _TWO,
    Property.TOPIC_ALIAS: _TWO,
    Property.MAXIMUM_QOS: _BYTE,
    Property.RETAIN_AVAILABLE: _BYTE,
    Property.USER_PROPERTY: _PAIR,
    Property.MAXIMUM_PACKET_SIZE: _FOUR,
    Property.WILDCARD_SUBSCRIPTION_AVAILABLE: _BYTE,
    Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE: _BYTE,
    Property.SHARED_SUBSCRIPTION_AVAILABLE: _BYTE,
}

_REPEATED = {Property.USER_PROPERTY, Property.SUBSCRIPTION_IDENTIFIER}
_NEVER_ZERO = {Property.RECEIVE_MAXIMUM, Property.MAXIMUM_PACKET_SIZE, Property.SUBSCRIPTION_IDENTIFIER}
_ZERO_OR_ONE = {number for number, form in _FORM.items() if form is _BYTE}

_DESCRIBES_MESSAGE = frozenset(
    {
        Property.PAYLOAD_FORMAT_INDICATOR,
        Property.MESSAGE_EXPIRY_INTERVAL,
        Property.CONTENT_TYPE,
        Property.RESPONSE_TOPIC,
        Property.CORRELATION_DATA,
        Property.USER_PROPERTY,
    }
)
#: Which properties a packet may carry (table 2-4).
IN_WILL = _DESCRIBES_MESSAGE | {Property.WILL_DELAY_INTERVAL}
IN_PUBLISH = _DESCRIBES_MESSAGE | {Property.TOPIC_ALIAS, Property.SUBSCRIPTION_IDENTIFIER}
IN_ACKNOWLEDGEMENT = frozenset({Property.REASON_STRING, Property.USER_PROPERTY})
IN_SUBSCRIBE = frozenset({Property.SUBSCRIPTION_IDENTIFIER, Property.USER_PROPERTY})
IN_UNSUBSCRIBE = frozenset({Property.USER_PROPERTY})
IN_DISCONNECT = IN_ACKNOWLEDGEMENT | {Property.SESSION_EXPIRY_INTERVAL, Property.SERVER_REFERENCE}
IN_AUTH = IN_ACKNOWLEDGEMENT | {Property.AUTHENTICATION_METHOD, Property.AUTHENTICATION_DATA}
IN_CONNECT = frozenset(
    {
        Property.SESSION_EXPIRY_INTERVAL,
        Property.AUTHENTICATION_METHOD,
        Property.AUTHENTICATION_DATA,
        Property.REQUEST_PROBLEM_INFORMATION,
        Property.REQUEST_RESPONSE_INFORMATION,
        Property.RECEIVE_MAXIMUM,
        Property.TOPIC_ALIAS_MAXIMUM,
        Property.MAXIMUM_PACKET_SIZE,
        Property.USER_PROPERTY,
    }
)
IN_CONNACK = IN_AUTH | {
    Property.SESSION_EXPIRY_INTERVAL,
    Property.ASSIGNED_CLIENT_IDENTIFIER,
    Property.SERVER_KEEP_ALIVE,
    Property.RESPONSE_INFORMATION,
    Property.SERVER_REFERENCE,
    Property.RECEIVE_MAXIMUM,
    Property.TOPIC_ALIAS_MAXIMUM,
    Property.MAXIMUM_QOS,
    Property.RETAIN_AVAILABLE,
    Property.MAXIMUM_PACKET_SIZE,
    Property.WILDCARD_SUBSCRIPTION_AVAILABLE,
    Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE,
    Property.SHARED_SUBSCRIPTION_AVAILABLE,
}


def read_properties(data: bytes, at: int, end: int, allowed: frozenset[Property]) -> tuple[Properties, int]:
    """The properties of a packet and the position behind them (2.2.2)."""
    length, at = read_varint(data, at, end)
    stop = at + length
    if stop > end:
        raise MalformedPacket("Properties are cut off")
    found: Properties = {}
    while at < stop:
        number = data[at]
        if number not in allowed:
            raise MalformedPacket(f"Property {number} does not belong in this packet")
        value, at = _FORM[number][0](data, at + 1, stop)
        _check_value(number, value)
        if number in _REPEATED:
            found.setdefault(number, []).append(value)
        elif number in found:
            raise MalformedPacket(f"Property {number} stands twice", reason=Reason.PROTOCOL_ERROR)
        else:
            found[number] = value
    return found, stop


def _check_value(number: int, value: Any) -> None:
    if number == Property.TOPIC_ALIAS and value == 0:
        raise MalformedPacket("A topic alias of 0", reason=Reason.TOPIC_ALIAS_INVALID)
    if (number in _NEVER_ZERO and value == 0) or (number in _ZERO_OR_ONE and value > 1):
        raise MalformedPacket(f"Property {number} cannot be {value}", reason=Reason.PROTOCOL_ERROR)


def write_properties(properties: Properties) -> bytes:
    """Properties with their length before them."""
    out = bytearray()
    for number, value in properties.items():
        for item in value if number in _REPEATED else (value,):
            out.append(number)
            out += _FORM[number][1](item)
    return write_varint(len(out)) + bytes(out)
