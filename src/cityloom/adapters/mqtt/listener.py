"""The city's own MQTT listener: what a device publishes is acknowledged once it is durable.

All messages that arrive while a commit is on its way to the disk go into the next one together, whichever
connections they came by. A device may subscribe to its own commands and status and to nothing else: this is
no broker between devices.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import ssl
from collections import Counter

import msgspec

from cityloom.adapters.mqtt.connection import DeviceLink
from cityloom.adapters.mqtt.deliveries import Deliveries
from cityloom.adapters.mqtt.sessions import Sessions, status_topic
from cityloom.adapters.mqtt.tls import TlsFiles, server_context, trust
from cityloom.kernel.errors import BadConfig
from cityloom.kernel.time import Clock
from cityloom.sensing.commands import CommandDesk
from cityloom.sensing.contract import Inlet, Settings
from cityloom.sensing.devices import REFUSAL, Claim, DeviceRegistry
from cityloom.sensing.model import Device
from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.connection import (
    Acknowledged,
    Connecting,
    Connection,
    Ended,
    Event,
    Limits,
    Subscribing,
    Unsubscribing,
)
from cityloom.sensing.mqtt.packets import V5, Publish
from cityloom.sensing.mqtt.properties import Property, Reason
from cityloom.sensing.mqtt.token_bucket import TokenBucket
from cityloom.sensing.presence import DISCONNECTED, OFFLINE, ONLINE, Presence

_log = logging.getLogger(__name__)

_LONGEST_CLIENT_ID = 128
#: What a device may say of itself in one status message, bytes.
_LONGEST_STATUS = 1_024
#: Ends that say nothing about the device: its last will does not hold.
_BY_THE_CITY = {
    Reason.SERVER_SHUTTING_DOWN,
    Reason.ADMINISTRATIVE_ACTION,
    Reason.SERVER_BUSY,
    Reason.QUOTA_EXCEEDED,
}
#: Seconds between two looks for clients that are overdue.
_SWEEP_EVERY = 1.0


class Bounds(msgspec.Struct, frozen=True):
    """What all clients together may ask of the listener."""

    connections: int = 5_000
    connections_of_an_address: int = 1_000
    #: Messages of all devices that may wait for their commit before nobody is read from.
    waiting: int = 20_000
    #: Messages a second that one device may send in the long run, and at once.
    rate: float = 1_000.0
    burst: float = 5_000.0


class MqttListener:
    """A `Transport` that devices connect to."""

    def __init__(
        self,
        registry: DeviceRegistry,
        commands: CommandDesk,
        presence: Presence,
        clock: Clock,
        *,
        host: str = "127.0.0.1",
        port: int = 1883,
        tls: TlsFiles | None = None,
        limits: Limits | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        """`port` 0 takes a free one; `clock` tells the city's time."""
        self._registry = registry
        self._presence = presence
        self._clock = clock
        self._address = (host, port)
        self._tls = tls
        self._limits = limits or Limits()
        self._bounds = bounds or Bounds()
        self._sessions = Sessions(commands, self._limits)
        self._deliveries: Deliveries | None = None
        self._context: ssl.SSLContext | None = None
        #: The connector that it listens for now.
        self._serves = ""
        self._links: set[DeviceLink] = set()
        self._from_address: Counter[str] = Counter()
        self._buckets: dict[str, TokenBucket] = {}
        self._wills: dict[tuple[str, str], asyncio.TimerHandle] = {}
        #: The port that is listened on, once it is.
        self.port = 0
        #: Set while devices are let in.
        self.listens = asyncio.Event()
        registry.on_revoked(self._shut_out)
        registry.on_certificate(self._trust)

    async def run(self, connector: str, inlet: Inlet, settings: Settings) -> None:
        """Listen until cancelled. Raises BadConfig when the port or the certificate cannot be used.

        Settings: `rate` and `burst`, see `Bounds`.
        """
        if self._serves:
            raise BadConfig(
                f"The listener serves the connector {self._serves} already",
                hint="Put the mappings of both into one connector.",
                where=f"connectors.{connector}",
            )
        self._serves = connector
        try:
            await self._listen(connector, inlet, settings)
        finally:
            self._serves = ""

    async def _listen(self, connector: str, inlet: Inlet, settings: Settings) -> None:
        loop = asyncio.get_running_loop()
        said = {name: float(settings[name]) for name in ("rate", "burst") if settings.get(name)}
        self._bounds = msgspec.structs.replace(self._bounds, **said)
        self._deliveries = Deliveries(connector, inlet, self._clock)
        if self._tls is not None:
            self._context = server_context(self._tls, self._registry.certificates())
        server = await self._bind(loop)
        scheme = "mqtts" if self._context else "mqtt"
        inlet.listening(f"{scheme}://{self._address[0]}:{self.port}")
        self.listens.set()
        try:
            while True:
                await asyncio.sleep(_SWEEP_EVERY)
                self._sweep(loop.time())
        finally:
            self.listens.clear()
            server.close()
            await self._close()

    # What connections bring

    def connection(self) -> Connection:
        """The state machine for a new connection."""
        return Connection(self._limits, asyncio.get_running_loop().time())

    def opened(self, link: DeviceLink) -> bool:
        """Whether there is room for one more connection."""
        full = len(self._links) >= self._bounds.connections
        if full or self._from_address[link.address] >= self._bounds.connections_of_an_address:
            _log.warning("A connection from %s is refused: there are too many", link.address)
            return False
        self._links.add(link)
        self._from_address[link.address] += 1
        return True

    def closed(self, link: DeviceLink) -> None:
        """The network connection is gone."""
        self._links.discard(link)
        self._from_address[link.address] -= 1
        if not self._from_address[link.address]:
            del self._from_address[link.address]

    def introduced(self, link: DeviceLink, event: Connecting) -> None:
        """A client says who it is."""
        client = event.packet
        fault = _fault(client)
        if fault is not None:
            link.turn_away(*fault)
            return
        device = self._registry.authenticate(
            Claim(
                address=link.address,
                client_id=client.client_id,
                username=client.username or "",
                password=(client.password or b"").decode("utf-8", "replace"),
                fingerprint=link.fingerprint,
            )
        )
        if device is None:
            link.turn_away(Reason.NOT_AUTHORIZED, REFUSAL)
            return
        self._let_in(link, device, client)

    def arrived(self, link: DeviceLink, messages: list[Publish]) -> bool:
        """Messages of one read. Returns whether there is room for more at the moment."""
        assert link.device is not None
        assert self._deliveries is not None
        topic = link.status_topic
        for message in messages:
            if message.topic == topic:
                messages = self._take_statuses(link, link.device, messages)
                break
        if messages:
            self._presence.heard(link.device.entity_id, self._clock.now())
            self._deliveries.add(link, messages)
        return self._deliveries.waiting < self._bounds.waiting

    def asked(self, link: DeviceLink, event: Event) -> None:
        """A client wants something else than to publish."""
        if isinstance(event, Subscribing):
            self._sessions.subscribe(link, event)
        elif isinstance(event, Unsubscribing):
            self._sessions.unsubscribe(link, event)
        elif isinstance(event, Acknowledged):
            self._sessions.acknowledged(link, event)

    def ended(self, link: DeviceLink, event: Ended) -> None:
        """The conversation is over."""
        device, session = link.device, link.session
        if device is None or session is None:
            return
        loop = asyncio.get_running_loop()
        if event.reason != Reason.SESSION_TAKEN_OVER:
            self._see_off(link, device, event, (device.id, session.client_id))
        self._sessions.detach(link, loop.time())

    def _see_off(self, link: DeviceLink, device: Device, event: Ended, key: tuple[str, str]) -> None:
        """Note where the device is now, and see to its last will."""
        lost = event.will and event.reason not in _BY_THE_CITY
        if len(self._sessions.links_of(device.id)) <= 1:
            self._note(device, OFFLINE if lost else DISCONNECTED)
        will = link.talk.client.will if link.talk.client is not None else None
        if not lost or will is None:
            return
        delay = min(will.properties.get(Property.WILL_DELAY_INTERVAL, 0), link.talk.session_expiry)
        self._wills[key] = asyncio.get_running_loop().call_later(delay, self._execute, link, key, will)

    def _execute(self, link: DeviceLink, key: tuple[str, str], will: mqtt.Will) -> None:
        """Publish a last will (3.1.2.5)."""
        self._wills.pop(key, None)
        if will.topic == link.status_topic:
            self._sessions.say(key[0], will.payload[:_LONGEST_STATUS], retain=will.retain)
        elif self._deliveries is not None:
            self._deliveries.add_will(link, will.topic, will.payload)

    def _let_in(self, link: DeviceLink, device: Device, client: mqtt.Connect) -> None:
        client_id = client.client_id or f"cityloom-{secrets.token_hex(8)}"
        before = self._sessions.link_of(device.id, client_id)
        if before is not None:
            before.end(Reason.SESSION_TAKEN_OVER, "The same client has connected again")
        will = self._wills.pop((device.id, client_id), None)
        if will is not None:
            will.cancel()
        link.device = device
        link.status_topic = status_topic(device.id)
        link.bucket = self._bucket(device.id)
        present = self._sessions.attach(link, device.id, client, client_id)
        link.talk.accept(session_present=present, assigned="" if client.client_id else client_id)
        self._note(device, ONLINE)
        self._sessions.go_on(link)

    def _note(self, device: Device, state: str) -> None:
        """Guests of an open city, and devices that were shut out, have no state to tell."""
        if self._registry.find(device.id) is not None:
            self._presence.note(device.entity_id, state)

    def _bucket(self, device_id: str) -> TokenBucket:
        bucket = self._buckets.get(device_id)
        if bucket is None:
            now = asyncio.get_running_loop().time()
            bucket = TokenBucket(self._bounds.rate, self._bounds.burst, now)
            self._buckets[device_id] = bucket
        return bucket

    def _take_statuses(self, link: DeviceLink, device: Device, messages: list[Publish]) -> list[Publish]:
        """Take out what a device says of itself; the rest are readings."""
        rest = []
        for message in messages:
            if message.topic != link.status_topic:
                rest.append(message)
                continue
            link.decided(1)
            said = _status(message.payload)
            if said is None:
                reason, words = Reason.PAYLOAD_FORMAT_INVALID, "A status is a short line of text"
            else:
                reason, words = Reason.SUCCESS, ""
                self._sessions.say(device.id, message.payload, retain=message.retain)
                if said:
                    self._note(device, said)
            if message.packet_id:
                link.talk.acknowledge(message.packet_id, reason, words)
        return rest

    # Life

    async def _bind(self, loop: asyncio.AbstractEventLoop) -> asyncio.Server:
        host, port = self._address
        try:
            server = await loop.create_server(
                lambda: DeviceLink(self, loop),
                host,
                port,
                ssl=self._context,
                ssl_handshake_timeout=self._limits.connect_within if self._context else None,
                backlog=1024,
            )
        except OSError as error:
            raise BadConfig(
                f"The MQTT listener cannot use {host}:{port}: {error.strerror or error}",
                hint="Choose another with --mqtt-port, or stop what listens there.",
                where="mqtt",
            ) from None
        listening = server.sockets[0]
        # Half-open connections are found out by the system too, for clients that never send.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.port = int(listening.getsockname()[1])
        return server

    async def _close(self) -> None:
        for link in list(self._links):
            link.end(Reason.SERVER_SHUTTING_DOWN, "The city stops")
        for will in self._wills.values():
            will.cancel()
        self._wills.clear()
        if self._deliveries is not None:
            await self._deliveries.drain()
        await self._sessions.settled()

    def _sweep(self, now: float) -> None:
        for link in list(self._links):
            link.check(now)
        self._sessions.sweep(now)
        connected = {link.device.id for link in self._links if link.device is not None}
        for device_id in self._buckets.keys() - connected:
            del self._buckets[device_id]

    def _shut_out(self, device_id: str) -> None:
        for link in list(self._links):
            if link.device is not None and link.device.id == device_id:
                link.end(Reason.ADMINISTRATIVE_ACTION, "The device was changed in the register")
        if self._registry.find(device_id) is None:
            self._sessions.drop(device_id)

    def _trust(self, pem: str) -> None:
        if self._context is not None:
            trust(self._context, pem)


def _fault(client: mqtt.Connect) -> tuple[Reason, str] | None:
    """Why a client cannot be let in, whoever it is."""
    if client.will is not None and client.will.qos == 2:
        return Reason.QOS_NOT_SUPPORTED, "A will by QoS 2 is not offered"
    if Property.AUTHENTICATION_METHOD in client.properties:
        return Reason.BAD_AUTHENTICATION_METHOD, "Show a token or a certificate"
    if len(client.client_id) > _LONGEST_CLIENT_ID:
        return Reason.CLIENT_IDENTIFIER_NOT_VALID, f"At most {_LONGEST_CLIENT_ID} characters"
    if not client.client_id and client.version != V5 and not client.clean_start:
        return Reason.CLIENT_IDENTIFIER_NOT_VALID, "A session that is kept needs a client identifier"
    return None


def _status(payload: bytes) -> str | None:
    """A status as words; None when it is none. An empty one takes back what was retained."""
    if len(payload) > _LONGEST_STATUS:
        return None
    try:
        said = payload.decode()
    except UnicodeDecodeError:
        return None
    return said[:64] if said.isprintable() else None
