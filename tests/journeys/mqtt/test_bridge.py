"""A broker that the city has already: first one that says exactly what a test wants, then a real one."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import threading

import aiomqtt
import orjson
import pytest

from cityloom.access.authority import TERMINAL
from cityloom.kernel.errors import StorageFull
from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.encoding import encode
from cityloom.sensing.mqtt.packets import PacketReader, Publish
from cityloom.sensing.mqtt.properties import Property, Reason

BIN = {"topic": "meters/{type}/{device}", "fields": {"fill": {"attribute": "fillingLevel", "unit": "P1"}}}
TOPIC = "meters/WasteContainer/bin-3"


def bridge(port, version=5, **more):
    return {"broker": f"mqtt://127.0.0.1:{port}", "version": version, "mappings": [BIN], **more}


def level(city):
    return city.value("bin-3", "fillingLevel", "WasteContainer")


class ScriptedBroker:
    """Welcomes a client and its subscriptions as told, keeps what it hears."""

    def __init__(self, version):
        self.version = version
        self.welcome, self.granted = mqtt.Connack(), (1,)
        self.calls = asyncio.Queue()
        self._server = None

    async def open(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def close(self):
        self._server.close()

    async def _serve(self, reader, writer):
        call = Call(reader, writer, self.version)
        call.hello = await call.hear()
        await call.send(self.welcome)
        if not self.welcome.reason:
            call.wanted = await call.hear()
            await call.send(mqtt.Suback(call.wanted.packet_id, self.granted))
        self.calls.put_nowait(call)


class Call:
    """One client's connection to the scripted broker."""

    def __init__(self, reader, writer, version):
        self._reader, self._writer, self._version = reader, writer, version
        self._packets, self._heard = PacketReader(), []

    async def send(self, *packets):
        self._writer.write(b"".join(encode(packet, self._version) for packet in packets))
        await self._writer.drain()

    async def hear(self):
        async with asyncio.timeout(20):
            while not self._heard:
                data = await self._reader.read(65536)
                if not data:
                    return None
                self._heard += self._packets.feed(data)
            return self._heard.pop(0)

    def hang_up(self):
        self._writer.transport.abort()


@pytest.fixture
async def broker(version):
    made = ScriptedBroker(version)
    made.port = await made.open()
    yield made
    await made.close()


@pytest.fixture
def soon(monkeypatch):
    """Failures are tried again at once."""
    monkeypatch.setattr("cityloom.sensing.host._FIRST_PAUSE", 0.01)


def full(number=70, packet_id=1):
    return Publish(TOPIC, orjson.dumps({"fill": number}), 1, packet_id=packet_id)


async def test_bridge_subscribes_to_its_mappings_and_keeps_a_session(open_city, broker, version):
    city = await open_city(bridge=bridge(broker.port, version, username="city", password="secret"))
    call = await broker.calls.get()
    assert (call.hello.username, call.hello.password, call.hello.clean_start) == ("city", b"secret", False)
    assert call.hello.version == version
    if version == 5:
        assert call.hello.properties[Property.SESSION_EXPIRY_INTERVAL] == 604_800
    assert [(one.topic_filter, one.qos) for one in call.wanted.subscriptions] == [("meters/+/+", 1)]
    await city.until(lambda: city.status_of("mqtt_bridge").state == "running")
    assert city.status_of("mqtt_bridge").place == f"mqtt://127.0.0.1:{broker.port}"


async def test_bridge_acknowledges_after_the_commit(open_city, broker, version, monkeypatch):
    city = await open_city(bridge=bridge(broker.port, version))
    call = await broker.calls.get()
    held, append = threading.Event(), city.feed.append
    monkeypatch.setattr(city.broker._committer, "_append", lambda changes: (held.wait(), append(changes)))
    await call.send(full(), Publish(TOPIC, b"{", 1, packet_id=2))
    await city.until(lambda: city.status_of("mqtt_bridge").received == 2)
    hearing = asyncio.create_task(call.hear())
    await city.until(lambda: city.broker.backlog == 1)
    assert not hearing.done()
    held.set()
    assert await hearing == mqtt.Acknowledgement(mqtt.PUBACK, 1)
    assert await call.hear() == mqtt.Acknowledgement(mqtt.PUBACK, 2)
    assert (level(city), await city.parked.count(TERMINAL)) == (0.7, 1)


async def test_bridge_comes_back_when_nothing_could_be_stored(open_city, broker, version, soon, monkeypatch):
    city = await open_city(bridge=bridge(broker.port, version))
    call = await broker.calls.get()

    def no_room(_changes):
        raise StorageFull("The disk is full", hint="Make room.")

    with monkeypatch.context() as patch:
        patch.setattr(city.broker._committer, "_append", no_room)
        await call.send(full())
        assert await call.hear() is None
    again = await broker.calls.get()
    await again.send(full())
    assert await again.hear() == mqtt.Acknowledgement(mqtt.PUBACK, 1)
    assert level(city) == 0.7


async def test_bridge_takes_messages_that_come_before_its_subscription_is_granted(open_city, broker, version):
    broker.granted = ()

    async def serve(reader, writer):
        call = Call(reader, writer, version)
        await call.hear()
        await call.send(mqtt.Connack(True), full())
        wanted = await call.hear()
        await call.send(mqtt.Suback(wanted.packet_id, (1,)))
        broker.calls.put_nowait(call)

    broker._serve = serve
    await broker.close()
    broker.port = await broker.open()
    city = await open_city(bridge=bridge(broker.port, version))
    call = await broker.calls.get()
    assert await call.hear() == mqtt.Acknowledgement(mqtt.PUBACK, 1)
    assert level(city) == 0.7


async def test_bridge_comes_back_when_the_broker_hangs_up(open_city, broker, version, soon):
    city = await open_city(bridge=bridge(broker.port, version))
    (await broker.calls.get()).hang_up()
    again = await broker.calls.get()
    await again.send(full())
    await again.hear()
    assert level(city) == 0.7


async def test_bridge_says_why_the_broker_refuses_it(open_city, broker, version):
    broker.welcome = mqtt.Connack(False, Reason.NOT_AUTHORIZED if version == 5 else 5)
    city = await open_city(bridge=bridge(broker.port, version))
    await city.until(lambda: city.status_of("mqtt_bridge").state == "troubled")
    assert "refuses the city" in city.status_of("mqtt_bridge").last_error


async def test_bridge_says_that_it_may_not_subscribe(open_city, broker, version):
    broker.granted = (0x87 if version == 5 else 0x80,)
    city = await open_city(bridge=bridge(broker.port, version))
    await city.until(lambda: city.status_of("mqtt_bridge").state == "troubled")
    assert "refuses 1 of 1 subscriptions" in city.status_of("mqtt_bridge").last_error


async def test_bridge_parks_a_topic_that_the_citys_own_listener_would_refuse(
    open_city, broker, version, engineer
):
    city = await open_city(bridge=bridge(broker.port, version))
    call = await broker.calls.get()
    odd = "meters/" + "x" * 600 + "/#"
    await call.send(Publish(odd, b"{}", 1, packet_id=1), full(70, 2))
    assert [(await call.hear()).packet_id for _ in range(2)] == [1, 2]
    (parked,) = await city.parked.newest(engineer)
    assert (parked.address, parked.connector) == (odd, "mqtt_bridge")
    assert level(city) == 0.7


async def test_bridge_pings_and_leaves_a_broker_that_does_not_answer(open_city, broker, version, monkeypatch):
    monkeypatch.setattr("cityloom.adapters.mqtt.bridge_client.MqttClient.__init__", quick)
    city = await open_city(bridge=bridge(broker.port, version))
    call = await broker.calls.get()
    assert await call.hear() == mqtt.Ping()
    await city.until(lambda: city.status_of("mqtt_bridge").state == "troubled")
    assert "does not answer" in city.status_of("mqtt_bridge").last_error


def quick(self, clock, **_more):
    self.clock, self.keep_alive, self.patience = clock, 1, 1


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"broker": "http://broker.example"}, "not the address"),
        ({"broker": "mqtt://broker.example:99999"}, "not the address"),
        ({"broker": "mqtt://"}, "not the address"),
        ({"version": 3}, "no MQTT version 3"),
        ({"broker": "mqtts://broker.example", "authority": "/nowhere.pem"}, "no such file"),
        ({"mappings": [{"topic": "a/#"}]}, "not a topic pattern"),
    ],
)
async def test_bridge_names_the_setting_that_is_wrong(open_city, setting, words):
    city = await open_city(bridge={**bridge(1), **setting})
    await city.until(lambda: city.status_of("mqtt_bridge").state == "broken")
    assert words in city.status_of("mqtt_bridge").last_error


async def test_bridge_is_in_trouble_while_nobody_listens(open_city):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        city = await open_city(bridge=bridge(free.getsockname()[1]))
        await city.until(lambda: city.status_of("mqtt_bridge").state == "troubled")
    assert "is gone" in city.status_of("mqtt_bridge").last_error


MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


@pytest.fixture
async def mosquitto(tmp_path):
    """A real broker on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = tmp_path / "mosquitto.conf"
    configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = await asyncio.create_subprocess_exec(
        MOSQUITTO,
        "-c",
        str(configuration),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.02)
    yield port
    process.terminate()
    await process.wait()


@pytest.mark.skipif(MOSQUITTO is None, reason="the broker mosquitto is not installed")
async def test_bridge_brings_in_what_a_real_broker_keeps_while_the_city_is_away(
    open_city, mosquitto, version, engineer
):
    city = await open_city(bridge=bridge(mosquitto, version))
    await city.until(lambda: city.status_of("mqtt_bridge").state == "running")
    async with aiomqtt.Client("127.0.0.1", mosquitto) as meter:
        await meter.publish(TOPIC, b'{"fill": 10}', qos=1)
        await city.until(lambda: level(city) == 0.1)
        await city.host.stop_one(engineer, "mqtt_bridge")
        for number in range(20, 31):
            await meter.publish(TOPIC, orjson.dumps({"fill": number}), qos=1)
        await city.host.start_one(engineer, "mqtt_bridge")
        await city.until(lambda: level(city) == 0.3)
    assert city.status_of("mqtt_bridge").stored == 12
