"""A client for a broker that the city has already: each message is acknowledged when it is durable."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from cityloom.adapters.mqtt.tls import client_context
from cityloom.kernel.errors import BadConfig, NotReady
from cityloom.kernel.time import Clock
from cityloom.sensing.contract import Inlet, Settings
from cityloom.sensing.mapping import TopicMapping
from cityloom.sensing.model import Message
from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.encoding import encode, puback
from cityloom.sensing.mqtt.packets import V5, V311, PacketReader, Publish
from cityloom.sensing.mqtt.properties import MalformedPacket, Properties, Property

#: Seconds that the broker keeps messages for the city while it is away.
_SESSION_EXPIRY = 7 * 86_400
#: Messages that the broker may send before it has acknowledgements.
_RECEIVE_MAXIMUM = 1_000
_LARGEST_PACKET = 16 * 1024 * 1024
_READ = 262_144


class Broker(msgspec.Struct, frozen=True):
    """A broker's address and what to show there."""

    host: str
    port: int
    context: ssl.SSLContext | None
    client_id: str
    version: int
    username: str
    password: str

    def __str__(self) -> str:
        return f"{'mqtts' if self.context else 'mqtt'}://{self.host}:{self.port}"


class MqttClient:
    """A `Transport` that subscribes to a broker. After a failure its host runs it again."""

    def __init__(self, clock: Clock, *, keep_alive: int = 30, patience: float = 10.0) -> None:
        """`clock` tells the city's time; `patience` is how long an answer may take, in seconds."""
        self.clock = clock
        self.keep_alive = keep_alive
        self.patience = patience

    async def run(self, connector: str, inlet: Inlet, settings: Settings) -> None:
        """Subscribe and deliver until cancelled. Raises BadConfig, and NotReady when the broker is gone."""
        broker = read_broker(settings, where=f"connectors.{connector}")
        filters = [
            TopicMapping(said, f"connectors.{connector}.mappings[{index}]").topic_filter
            for index, said in enumerate(settings["mappings"])
        ]
        with _told(broker):
            async with asyncio.timeout(self.patience):
                reader, writer = await asyncio.open_connection(
                    broker.host, broker.port, ssl=broker.context, limit=2 * _READ
                )
        try:
            with _told(broker):
                await _Conversation(self, connector, inlet, broker, reader, writer).hold(filters)
        finally:
            writer.close()


class _Conversation:
    """One connection to the broker."""

    def __init__(
        self,
        client: MqttClient,
        connector: str,
        inlet: Inlet,
        broker: Broker,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._clock = client.clock
        self._keep_alive = client.keep_alive
        self._patience = client.patience
        self._connector = connector
        self._inlet = inlet
        self._broker = broker
        self._reader = reader
        self._writer = writer
        self._packets = PacketReader(version=broker.version, largest=_LARGEST_PACKET)

    async def hold(self, filters: list[str]) -> None:
        """Introduce oneself, subscribe, then deliver what comes."""
        self._send(_hello(self._broker, self._keep_alive))
        # Messages of a session that was kept may come right behind the welcome.
        waiting = await self._await(mqtt.Connack)
        subscriptions = tuple(mqtt.Subscription(one, 1) for one in filters)
        self._send(mqtt.Subscribe(1, subscriptions))
        waiting += await self._await(mqtt.Suback)
        self._inlet.listening(str(self._broker))
        pinging = asyncio.create_task(self._ping())
        try:
            await self._deliver(waiting)
            while True:
                await self._deliver(await self._read(1.5 * self._keep_alive))
        finally:
            pinging.cancel()

    async def _await(self, kind: type[mqtt.Connack] | type[mqtt.Suback]) -> list[mqtt.Packet]:
        """Read until the answer is there; returns what came besides. Raises NotReady when it is a refusal."""
        besides: list[mqtt.Packet] = []
        while True:
            packets = await self._read(self._patience)
            for index, packet in enumerate(packets):
                if isinstance(packet, kind):
                    _check(packet, self._broker)
                    return besides + packets[:index] + packets[index + 1 :]
            besides += packets

    async def _read(self, patience: float) -> list[mqtt.Packet]:
        async with asyncio.timeout(patience):
            data = await self._reader.read(_READ)
        if not data:
            raise _gone(self._broker, "it closed the connection")
        return list(self._packets.feed(data))

    async def _deliver(self, packets: list[mqtt.Packet]) -> None:
        now = self._clock.now()
        published: list[Publish] = []
        for packet in packets:
            if isinstance(packet, Publish):
                published.append(packet)
            elif isinstance(packet, mqtt.Disconnect):
                raise _gone(self._broker, f"it ended the connection with reason 0x{packet.reason:02X}")
        if not published:
            return
        await self._inlet.deliver_many(
            [Message(self._connector, packet.topic, packet.payload, now) for packet in published]
        )
        acknowledgements = b"".join(puback(packet.packet_id) for packet in published if packet.packet_id)
        if acknowledgements:
            self._writer.write(acknowledgements)
            await self._writer.drain()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self._keep_alive / 2)
            self._send(mqtt.Ping())

    def _send(self, packet: mqtt.Packet) -> None:
        self._writer.write(encode(packet, self._broker.version))


def read_broker(settings: Settings, *, where: str) -> Broker:
    """The broker in a connector's settings. Raises BadConfig naming the setting."""
    url = urlsplit(settings["broker"])
    try:
        port = url.port
    except ValueError:
        port = 0
    if url.scheme not in ("mqtt", "mqtts") or not url.hostname or port == 0 or url.path not in ("", "/"):
        raise BadConfig(
            f"{settings['broker']!r} is not the address of a broker",
            hint="Write it such as mqtt://broker.example:1883 or mqtts://broker.example:8883.",
            where=f"{where}.broker",
        )
    if settings["version"] not in (V311, V5):
        raise BadConfig(
            f"There is no MQTT version {settings['version']}",
            hint="Write 5, or 4 for MQTT 3.1.1.",
            where=f"{where}.version",
        )
    secure = url.scheme == "mqtts"
    authority = Path(settings["authority"]) if settings["authority"] else None
    return Broker(
        host=url.hostname,
        port=port or (8883 if secure else 1883),
        context=client_context(authority) if secure else None,
        client_id=settings["client"],
        version=int(settings["version"]),
        username=settings["username"],
        password=settings["password"],
    )


def _hello(broker: Broker, keep_alive: int) -> mqtt.Connect:
    properties: Properties = {}
    if broker.version == V5:
        properties = {
            Property.SESSION_EXPIRY_INTERVAL: _SESSION_EXPIRY,
            Property.RECEIVE_MAXIMUM: _RECEIVE_MAXIMUM,
            Property.MAXIMUM_PACKET_SIZE: _LARGEST_PACKET,
        }
    return mqtt.Connect(
        broker.client_id,
        broker.version,
        clean_start=False,
        keep_alive=keep_alive,
        username=broker.username or None,
        password=broker.password.encode() if broker.password else None,
        properties=properties,
    )


def _check(answer: mqtt.Connack | mqtt.Suback, broker: Broker) -> None:
    if isinstance(answer, mqtt.Connack):
        if answer.reason:
            said = answer.properties.get(Property.REASON_STRING, "")
            raise NotReady(
                f"The broker {broker} refuses the city (reason 0x{answer.reason:02X}) {said}".rstrip(),
                hint="Check user name, password and client in city.toml.",
            )
        return
    refused = [reason for reason in answer.reasons if reason >= 0x80]
    if refused:
        raise NotReady(
            f"The broker {broker} refuses {len(refused)} of {len(answer.reasons)} subscriptions",
            hint="Ask its operator to let this user read the topics of the mappings.",
        )


def _gone(broker: Broker, how: str) -> NotReady:
    return NotReady(f"The broker {broker} is gone: {how}", hint="It is tried again by itself.")


@contextlib.contextmanager
def _told(broker: Broker) -> Iterator[None]:
    """Tell failures of the network and of the broker in words."""
    try:
        yield
    except TimeoutError:
        raise _gone(broker, "it does not answer") from None
    except ssl.SSLError as error:
        raise NotReady(
            f"The broker {broker} cannot be trusted: {error.reason or error}",
            hint="Name its authority's certificate in `authority`.",
        ) from error
    except OSError as error:
        raise _gone(broker, str(error.strerror or error)) from error
    except MalformedPacket as error:
        raise _gone(broker, error.message) from error
