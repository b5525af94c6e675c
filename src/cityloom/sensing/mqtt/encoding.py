"""Packets of MQTT 3.1.1 and 5.0 to bytes. Pure; the inverse of `packets.PacketReader`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.packets import V5, Packet
from cityloom.sensing.mqtt.properties import (
    Properties,
    write_binary,
    write_properties,
    write_text,
    write_varint,
)


def encode(packet: Packet, version: int) -> bytes:
    """The packet's bytes in this protocol version (4 or 5)."""
    first, body = _WRITERS[type(packet)](packet, version)
    return bytes((first,)) + write_varint(len(body)) + body


def puback(packet_id: int) -> bytes:
    """PUBACK with success: the same bytes in both versions (3.4.2.1), and the most frequent of all."""
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def _properties(properties: Properties, version: int) -> bytes:
    return write_properties(properties) if version == V5 else b""


def _publish(packet: mqtt.Publish, version: int) -> tuple[int, bytes]:
    first = mqtt.PUBLISH << 4 | packet.duplicate << 3 | packet.qos << 1 | packet.retain
    identifier = packet.packet_id.to_bytes(2, "big") if packet.qos else b""
    head = write_text(packet.topic) + identifier + _properties(packet.properties, version)
    return first, head + packet.payload


def _connect(packet: mqtt.Connect, version: int) -> tuple[int, bytes]:
    flags = packet.clean_start << 1
    tail = write_text(packet.client_id)
    if packet.will is not None:
        will = packet.will
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        tail += _properties(will.properties, version) + write_text(will.topic) + write_binary(will.payload)
    if packet.username is not None:
        flags |= 0x80
        tail += write_text(packet.username)
    if packet.password is not None:
        flags |= 0x40
        tail += write_binary(packet.password)
    head = write_text("MQTT") + bytes((version, flags)) + packet.keep_alive.to_bytes(2, "big")
    return mqtt.CONNECT << 4, head + _properties(packet.properties, version) + tail


def _connack(packet: mqtt.Connack, version: int) -> tuple[int, bytes]:
    body = bytes((packet.session_present, packet.reason)) + _properties(packet.properties, version)
    return mqtt.CONNACK << 4, body


def _reason(reason: int, properties: Properties, version: int) -> bytes:
    """Reason code and properties where they say something; 3.1.1 has neither."""
    if version != V5 or not (reason or properties):
        return b""
    return bytes((reason,)) + (write_properties(properties) if properties else b"")


def _acknowledgement(packet: mqtt.Acknowledgement, version: int) -> tuple[int, bytes]:
    first = packet.kind << 4 | (2 if packet.kind == mqtt.PUBREL else 0)
    return first, packet.packet_id.to_bytes(2, "big") + _reason(packet.reason, packet.properties, version)


def _subscribe(packet: mqtt.Subscribe, version: int) -> tuple[int, bytes]:
    body = packet.packet_id.to_bytes(2, "big") + _properties(packet.properties, version)
    for wanted in packet.subscriptions:
        options = wanted.qos
        if version == V5:
            options |= wanted.no_local << 2 | wanted.retain_as_published << 3 | wanted.retain_handling << 4
        body += write_text(wanted.topic_filter) + bytes((options,))
    return mqtt.SUBSCRIBE << 4 | 2, body


def _suback(packet: mqtt.Suback, version: int) -> tuple[int, bytes]:
    head = packet.packet_id.to_bytes(2, "big") + _properties(packet.properties, version)
    return mqtt.SUBACK << 4, head + bytes(packet.reasons)


def _unsubscribe(packet: mqtt.Unsubscribe, version: int) -> tuple[int, bytes]:
    head = packet.packet_id.to_bytes(2, "big") + _properties(packet.properties, version)
    return mqtt.UNSUBSCRIBE << 4 | 2, head + b"".join(map(write_text, packet.topic_filters))


def _unsuback(packet: mqtt.Unsuback, version: int) -> tuple[int, bytes]:
    head = packet.packet_id.to_bytes(2, "big") + _properties(packet.properties, version)
    return mqtt.UNSUBACK << 4, head + (bytes(packet.reasons) if version == V5 else b"")


def _ping(_packet: mqtt.Ping, _version: int) -> tuple[int, bytes]:
    return mqtt.PINGREQ << 4, b""


def _pong(_packet: mqtt.Pong, _version: int) -> tuple[int, bytes]:
    return mqtt.PINGRESP << 4, b""


def _disconnect(packet: mqtt.Disconnect, version: int) -> tuple[int, bytes]:
    return mqtt.DISCONNECT << 4, _reason(packet.reason, packet.properties, version)


def _auth(packet: mqtt.Auth, version: int) -> tuple[int, bytes]:
    return mqtt.AUTH << 4, _reason(packet.reason, packet.properties, version)


_WRITERS: dict[type, Callable[[Any, int], tuple[int, bytes]]] = {
    mqtt.Publish: _publish,
    mqtt.Connect: _connect,
    mqtt.Connack: _connack,
    mqtt.Acknowledgement: _acknowledgement,
    mqtt.Subscribe: _subscribe,
    mqtt.Suback: _suback,
    mqtt.Unsubscribe: _unsubscribe,
    mqtt.Unsuback: _unsuback,
    mqtt.Ping: _ping,
    mqtt.Pong: _pong,
    mqtt.Disconnect: _disconnect,
    mqtt.Auth: _auth,
}
