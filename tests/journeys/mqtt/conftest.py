"""A city that listens for MQTT on a free port, with its feed on disk."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

import cityloom_catalogue
from cityloom.adapters.mqtt.bridge_client import MqttClient
from cityloom.adapters.mqtt.listener import MqttListener
from cityloom.adapters.mqtt.tls import TlsFiles
from cityloom.adapters.sqlite.device_records import SqliteDeviceStore
from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.adapters.sqlite.parked_readings import SqliteParkedStore
from cityloom.adapters.sqlite.records import Records
from cityloom.adapters.sqlite.state_table import SqliteStateTable
from cityloom.app.plugins import find_plugins
from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.time import WallClock
from cityloom.ngsild.model import value_of
from cityloom.sensing.commands import CommandDesk
from cityloom.sensing.connector_making import ConnectorPlugin
from cityloom.sensing.devices import DeviceRegistry
from cityloom.sensing.host import ConnectorHost
from cityloom.sensing.model import Device, Measure, Profile
from cityloom.sensing.models import read_models
from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.encoding import encode
from cityloom.sensing.mqtt.packets import PacketReader
from cityloom.sensing.parked import ParkedReadings
from cityloom.sensing.presence import Presence

CATALOGUE = Path(cityloom_catalogue.__path__[0])
ENGINEER = Actor(
    "person:1",
    "Anna",
    frozenset({"engineer"}),
    frozenset({"devices:admit", "parked:read", "connectors:manage"}),
    frozenset(InformationClass),
)
#: Longest wait for anything; far more than a slow machine needs.
PATIENCE = 20


class City:
    """What tests ask and do."""

    def __init__(self, folder: Path, mappings, *, limits=None, bounds=None, tls=None, bridge=None) -> None:
        clock = WallClock()
        self.feed = SqliteFeed(folder / "feed.db")
        self.table = SqliteStateTable(folder / "state.db")
        self.records = Records(folder / "records.db")
        self.broker = Broker(self.feed, self.table, clock)
        self.registry = DeviceRegistry(SqliteDeviceStore(self.records), self.broker, clock)
        self.parked = ParkedReadings(SqliteParkedStore(self.records))
        self.commands = CommandDesk(self.broker, clock)
        self.presence = Presence(self.broker, clock, gather=0)
        self.listener = MqttListener(
            self.registry,
            self.commands,
            self.presence,
            clock,
            port=0,
            tls=tls,
            limits=limits,
            bounds=bounds,
        )
        settings = {"mappings": mappings}
        if bounds is not None:
            settings |= {"rate": bounds.rate, "burst": bounds.burst}
        plugins = [_connector("mqtt", settings)]
        if bridge is not None:
            plugins.append(_connector("mqtt_bridge", bridge))
        self.host = ConnectorHost(
            self.broker,
            self.registry,
            self.parked,
            read_models([CATALOGUE / "models"]),
            clock,
            plugins,
            transports={"mqtt-listener": self.listener, "mqtt-client": MqttClient(clock, patience=5)},
            commands=self.commands,
            presence=self.presence,
        )

    async def open(self):
        await self.broker.start()
        await self.registry.start()
        await self.host.start()
        await self.until(lambda: self.status.state != "starting")
        assert self.status.state == "running", self.status

    async def close(self):
        await self.host.stop()
        await self.broker.stop()
        self.feed.close()
        self.table.close()
        self.records.close()

    @property
    def port(self):
        return self.listener.port

    @property
    def status(self):
        return self.status_of("mqtt")

    def status_of(self, connector):
        return next(status for status in self.host.statuses() if status.id == connector)

    async def admit(self, name="farm-7", **more):
        profile = Profile(
            "WeatherObserved",
            f"urn:ngsi-ld:WeatherObserved:{name}",
            {"t": Measure("temperature", "CEL"), "rh": Measure("relativeHumidity", "P1")},
            "ts",
        )
        certificate = more.pop("certificate", "")
        return await self.registry.admit(
            ENGINEER, Device(name, profile=more.pop("profile", profile), **more), certificate=certificate
        )

    def value(self, name="farm-7", attribute="temperature", kind="WeatherObserved"):
        found = self.broker.find(CITY, f"urn:ngsi-ld:{kind}:{name}")
        return value_of(found, attribute) if found else None

    def state(self, name="farm-7"):
        return self.value(name, "deviceState", "Device")

    async def until(self, condition):
        """Wait until something holds, however slow the machine is."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.002)


def _connector(name, settings):
    for plugin in find_plugins(["cityloom_catalogue"]):
        if (plugin.kind, plugin.id) == ("connectors", name):
            return ConnectorPlugin(plugin.manifest, plugin.load("connector"), settings)
    raise LookupError(name)


class RawClient:
    """A client that says exactly what a test wants."""

    def __init__(self, reader, writer, version):
        self._reader, self._writer, self.version = reader, writer, version
        self._packets = PacketReader(version=version)
        self._heard = []

    async def send(self, *packets):
        await self.send_bytes(b"".join(encode(packet, self.version) for packet in packets))

    async def send_bytes(self, data):
        self._writer.write(data)
        await self._writer.drain()

    async def hear(self):
        """The next packet; None when the connection is closed."""
        async with asyncio.timeout(PATIENCE):
            while not self._heard:
                data = await self._reader.read(65536)
                if not data:
                    return None
                self._heard += self._packets.feed(data)
            return self._heard.pop(0)

    async def hear_end(self):
        """Everything until the connection is closed."""
        heard = []
        try:
            while (packet := await self.hear()) is not None:
                heard.append(packet)
        except ConnectionError:
            pass
        return heard

    def break_off(self):
        self._writer.transport.abort()

    async def leave(self):
        await self.send(mqtt.Disconnect())
        self._writer.close()


@pytest.fixture
def patience():
    return PATIENCE


@pytest.fixture
def engineer():
    return ENGINEER


@pytest.fixture
async def open_city(tmp_path):
    cities = []

    async def start(mappings=(), **more):
        folder = tmp_path / f"city-{len(cities)}"
        folder.mkdir(exist_ok=True)
        made = City(more.pop("folder", folder), list(mappings), **more)
        await made.open()
        cities.append(made)
        return made

    yield start
    for made in cities:
        await made.close()


@pytest.fixture
async def city(open_city):
    return await open_city()


@pytest.fixture
async def dial():
    """Open a raw connection and, unless told otherwise, sign in."""
    writers = []

    async def call(city, *, version=5, connect=True, ssl=None, server_hostname=None, **hello):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", city.port, ssl=ssl, server_hostname=server_hostname
        )
        writers.append(writer)
        client = RawClient(reader, writer, version)
        if connect:
            hello.setdefault("client_id", "c")
            await client.send(mqtt.Connect(version=version, **hello))
            client.welcome = await client.hear()
        return client

    yield call
    for writer in writers:
        writer.transport.abort()


def pytest_generate_tests(metafunc):
    if "version" in metafunc.fixturenames:
        metafunc.parametrize("version", [4, 5], ids=["3.1.1", "5.0"])


class Authority:
    """Certificates for a listener and a device, signed by an authority of their own and by nobody else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        key, root = _certificate("Authority", None, None)
        server_key, server = _certificate("listener", key, root)
        device_key, device = _certificate("farm-7", None, None)
        self.device_certificate = device.public_bytes(Encoding.PEM).decode()
        for name, made in (("root", root), ("server", server), ("device", device)):
            (folder / f"{name}.pem").write_bytes(made.public_bytes(Encoding.PEM))
        for name, made in (("server", server_key), ("device", device_key)):
            (folder / f"{name}.key").write_bytes(
                made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            )
        self.files = TlsFiles(folder / "server.pem", folder / "server.key")

    def client(self, *, with_certificate=False):
        context = ssl.create_default_context(cafile=str(self._folder / "root.pem"))
        if with_certificate:
            context.load_cert_chain(self._folder / "device.pem", self._folder / "device.key")
        return context


def _certificate(name, issuer_key, issuer):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=name == "Authority", path_length=None), critical=True)
    )
    return key, builder.sign(issuer_key or key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path):
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)
