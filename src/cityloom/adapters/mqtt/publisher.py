"""Publishes notifications to MQTT brokers that strangers named (ETSI GS CIM 009, 7.2).

One connection a broker and user, made when something is to be said and closed when nothing is any more. What
was looked at is what is reached, as in `adapters/http/outbound.py`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import NamedTuple, TypeVar
from urllib.parse import SplitResult, unquote
from uuid import uuid4

from cityloom.adapters.mqtt.tls import client_context
from cityloom.adapters.network.reach import Reach, port_of
from cityloom.kernel import spans
from cityloom.kernel.outbound import Unreachable
from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.encoding import encode
from cityloom.sensing.mqtt.packets import PacketReader
from cityloom.sensing.mqtt.properties import MalformedPacket, Properties, Property

SCHEMES = ("mqtt", "mqtts")
#: Seconds for which a connection is kept that nobody uses.
KEPT = 20.0
#: Seconds that the broker is told to wait for a sign of life: longer than a connection is kept.
_KEEP_ALIVE = 60
_LARGEST_PACKET = 1_000_000
_READ = 65_536

_Wanted = TypeVar("_Wanted")


class _Way(NamedTuple):
    """What a connection is made for."""

    host: str
    port: int
    secure: bool
    username: str | None
    password: str | None
    version: int


class MqttPublisher:
    """Lives on the event loop."""

    def __init__(self, reach: Reach, *, authorities: ssl.SSLContext | None = None) -> None:
        self._reach = reach
        self._authorities = authorities
        self._open: dict[_Way, _Connection] = {}
        self._turns: dict[_Way, asyncio.Lock] = {}

    def check(self, url: str) -> None:
        """Raises AddressNotAllowed."""
        self._reach.check(url, SCHEMES)

    async def publish(self, url: str, payload: bytes, *, version: int, qos: int, deadline: float) -> None:
        """See `subscriptions.ports.Publisher.publish`."""
        parts = self._reach.check(url, SCHEMES)
        way = _way(parts, version)
        topic = unquote(parts.path.removeprefix("/"))
        turn = self._turns.setdefault(way, asyncio.Lock())
        try:
            # Of the address the host alone is told: the rest may name somebody.
            with spans.span("PUBLISH", {"server.address": way.host}, side="client"):
                async with asyncio.timeout(deadline), turn:
                    await self._say(way, topic, payload, qos)
        except TimeoutError:
            self._give_up(way)
            raise _unreachable(way, f"it does not answer in time ({deadline:g} s)") from None
        except (OSError, MalformedPacket, asyncio.IncompleteReadError) as error:
            self._give_up(way)
            raise _unreachable(way, str(error) or "it closed the connection") from None
        except BaseException:
            self._give_up(way)
            raise

    async def close(self) -> None:
        """Close what is open."""
        for way in list(self._open):
            self._give_up(way)

    async def _say(self, way: _Way, topic: str, payload: bytes, qos: int) -> None:
        connection = self._open.get(way)
        if connection is not None and connection.is_closed:
            self._give_up(way)
            connection = None
        if connection is None:
            connection = self._open[way] = await self._connect(way)
        await connection.publish(topic, payload, qos)
        connection.rest(lambda: self._give_up(way))

    async def _connect(self, way: _Way) -> _Connection:
        numbers = await self._reach.numbers(way.host, way.port)
        context = None
        if way.secure:
            context = self._authorities or await asyncio.to_thread(client_context, None)
            self._authorities = context
        reader, writer = await asyncio.open_connection(
            numbers[0], way.port, ssl=context, server_hostname=way.host if context else None, limit=2 * _READ
        )
        connection = _Connection(way, reader, writer)
        try:
            await connection.introduce()
        except BaseException:
            connection.close()
            raise
        return connection

    def _give_up(self, way: _Way) -> None:
        connection = self._open.pop(way, None)
        if connection is not None:
            connection.close()


class _Connection:
    """One connection to a broker, on which one message is on its way at a time."""

    def __init__(self, way: _Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._way = way
        self._reader = reader
        self._writer = writer
        self._packets = PacketReader(version=way.version, largest=_LARGEST_PACKET)
        self._waiting: list[mqtt.Packet] = []
        self._last_id = 0
        self._resting: asyncio.TimerHandle | None = None

    @property
    def is_closed(self) -> bool:
        return self._writer.is_closing() or self._reader.at_eof()

    async def introduce(self) -> None:
        way = self._way
        self._send(
            mqtt.Connect(
                f"cityloom-{uuid4().hex[:12]}",
                way.version,
                clean_start=True,
                keep_alive=_KEEP_ALIVE,
                username=way.username,
                password=None if way.password is None else way.password.encode(),
            )
        )
        welcome = await self._next(mqtt.Connack)
        if welcome.reason:
            raise _unreachable(way, f"it refuses the city (reason 0x{welcome.reason:02X})")

    async def publish(self, topic: str, payload: bytes, qos: int) -> None:
        """Say something; return once the broker has taken it as `qos` asks."""
        if self._resting is not None:
            self._resting.cancel()
        self._last_id = self._last_id % 65_535 + 1
        packet_id = self._last_id if qos else 0
        self._send(mqtt.Publish(topic, payload, qos=qos, packet_id=packet_id, properties=_carried()))
        await self._writer.drain()
        if qos == 1:
            await self._acknowledged(mqtt.PUBACK)
        elif qos == 2:
            await self._acknowledged(mqtt.PUBREC)
            self._send(mqtt.Acknowledgement(mqtt.PUBREL, self._last_id))
            await self._acknowledged(mqtt.PUBCOMP)

    def rest(self, end: Callable[[], None]) -> None:
        """Call `end` when nothing has been said for a while."""
        self._resting = asyncio.get_running_loop().call_later(KEPT, end)

    def close(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
        if not self._writer.is_closing():
            self._send(mqtt.Disconnect())
            self._writer.close()

    async def _acknowledged(self, kind: int) -> None:
        while True:
            packet = await self._next(mqtt.Acknowledgement)
            if packet.kind == kind and packet.packet_id == self._last_id:
                if packet.reason >= 0x80:
                    raise _unreachable(self._way, f"it refuses a message (reason 0x{packet.reason:02X})")
                return

    async def _next(self, kind: type[_Wanted]) -> _Wanted:
        while True:
            while self._waiting:
                packet = self._waiting.pop(0)
                if isinstance(packet, kind):
                    return packet
                if isinstance(packet, mqtt.Disconnect):
                    raise _unreachable(self._way, f"it ended the connection (reason 0x{packet.reason:02X})")
            data = await self._reader.read(_READ)
            if not data:
                raise ConnectionResetError("it closed the connection")
            self._waiting.extend(self._packets.feed(data))

    def _send(self, packet: mqtt.Packet) -> None:
        self._writer.write(encode(packet, self._way.version))


def _carried() -> Properties:
    """What lets the receiver go on with the trace: traceparent, and tracestate where there is one, as user
    properties (W3C Trace Context for MQTT). MQTT 3.1.1 has none, and a message of it is sent without."""
    pairs = list(spans.headers().items())
    return {Property.USER_PROPERTY: pairs} if pairs else {}


def _way(parts: SplitResult, version: int) -> _Way:
    return _Way(
        parts.hostname or "",
        port_of(parts),
        parts.scheme == "mqtts",
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
        version,
    )


def _unreachable(way: _Way, why: str) -> Unreachable:
    return Unreachable(
        f"The broker {way.host}:{way.port} cannot be used: {why}", hint="Check that broker.", where=way.host
    )
