"""The listener with the clients that devices really have."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl

import aiomqtt
import orjson
import paho.mqtt.client as paho
import pytest
from gmqtt import Client as GmqttClient
from gmqtt.mqtt.constants import MQTTv50, MQTTv311

from cityloom.kernel.actor import CITY
from cityloom.ngsild.model import entity, prop, rel, value_of

TOPIC = "cityloom/farm-7/readings"
COMMANDS = "cityloom/farm-7/commands"


def body(t):
    return orjson.dumps({"t": t, "ts": 1775995200})


def command(number=1):
    return entity(
        "Command",
        f"urn:ngsi-ld:Command:{number}",
        {"command": prop("vent"), "refDevice": rel("urn:ngsi-ld:Device:farm-7"), "status": prop("wished")},
    )


def fate(city, number=1):
    return value_of(city.broker.retrieve(CITY, f"urn:ngsi-ld:Command:{number}"), "status")


async def test_paho_publishes_by_qos_0_and_1_and_hears_commands(city, version, patience):
    token = await city.admit()
    heard, client = (
        asyncio.Queue(),
        paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            "station",
            protocol=paho.MQTTv5 if version == 5 else paho.MQTTv311,
        ),
    )
    loop = asyncio.get_running_loop()
    client.username_pw_set("farm-7", token)
    client.on_message = lambda _client, _data, message: loop.call_soon_threadsafe(
        heard.put_nowait, message.payload
    )
    client.on_subscribe = lambda *_: loop.call_soon_threadsafe(heard.put_nowait, "subscribed")
    await asyncio.to_thread(client.connect, "127.0.0.1", city.port)
    client.loop_start()
    try:
        for number in range(20):
            published = client.publish(TOPIC, body(number), qos=1)
        await asyncio.to_thread(published.wait_for_publish, patience)
        assert published.is_published()
        assert city.value() == 19
        client.publish(TOPIC, body(30), qos=0)
        await city.until(lambda: city.value() == 30)
        client.subscribe(COMMANDS, 1)
        assert await asyncio.wait_for(heard.get(), patience) == "subscribed"
        await city.broker.create(CITY, command())
        assert orjson.loads(await asyncio.wait_for(heard.get(), patience))["command"] == "vent"
        await city.until(lambda: fate(city) == "delivered")
    finally:
        client.disconnect()
        client.loop_stop()
    await city.until(lambda: city.state() == "disconnected")


async def test_paho_is_told_why_it_is_refused(city, patience):
    told = asyncio.Queue()
    loop = asyncio.get_running_loop()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, "station", protocol=paho.MQTTv5)
    client.username_pw_set("farm-8", "guess")
    client.on_connect = lambda _client, _data, _flags, reason, _properties: loop.call_soon_threadsafe(
        told.put_nowait, str(reason)
    )
    await asyncio.to_thread(client.connect, "127.0.0.1", city.port)
    client.loop_start()
    try:
        assert await asyncio.wait_for(told.get(), patience) == "Not authorized"
    finally:
        client.disconnect()
        client.loop_stop()


async def test_aiomqtt_publishes_and_hears_commands(city, version):
    token = await city.admit()
    protocol = aiomqtt.ProtocolVersion.V5 if version == 5 else aiomqtt.ProtocolVersion.V311
    async with aiomqtt.Client(
        "127.0.0.1", city.port, username="farm-7", password=token, identifier="station", protocol=protocol
    ) as client:
        await client.subscribe(COMMANDS, qos=1)
        await asyncio.gather(*(client.publish(TOPIC, body(number), qos=1) for number in range(50)))
        assert city.status.stored == 50
        await city.broker.create(CITY, command())
        async with asyncio.timeout(20):
            message = await anext(aiter(client.messages))
        assert orjson.loads(message.payload)["id"] == "urn:ngsi-ld:Command:1"
        await city.until(lambda: fate(city) == "delivered")


async def test_gmqtt_publishes_and_hears_commands(city, version, patience):
    token = await city.admit()
    heard = asyncio.Queue()
    client = GmqttClient("station")
    client.set_auth_credentials("farm-7", token)
    client.on_message = lambda _client, topic, payload, _qos, _properties: (
        heard.put_nowait((topic, payload)) or 0
    )
    client.on_subscribe = lambda *_: heard.put_nowait("subscribed")
    await client.connect("127.0.0.1", city.port, version=MQTTv50 if version == 5 else MQTTv311)
    try:
        client.subscribe(COMMANDS, qos=1)
        assert await asyncio.wait_for(heard.get(), patience) == "subscribed"
        for number in range(50):
            client.publish(TOPIC, body(number), qos=1)
        await city.until(lambda: city.status.stored == 50)
        assert city.value() == 49
        await city.broker.create(CITY, command())
        topic, payload = await asyncio.wait_for(heard.get(), patience)
        assert (topic, orjson.loads(payload)["command"]) == (COMMANDS, "vent")
        await city.until(lambda: fate(city) == "delivered")
    finally:
        await client.disconnect()


needs_mosquitto = pytest.mark.skipif(
    not (shutil.which("mosquitto_pub") and shutil.which("mosquitto_sub")),
    reason="mosquitto_pub and mosquitto_sub are not installed",
)


async def mosquitto(program, city, token, *arguments):
    return await asyncio.create_subprocess_exec(
        program,
        *("-h", "127.0.0.1", "-p", str(city.port), "-u", "farm-7", "-P", token),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


@needs_mosquitto
async def test_mosquitto_pub_publishes_lines_by_qos_1(city, version):
    token = await city.admit()
    flags = ("-V", "5" if version == 5 else "311", "-q", "1", "-t", TOPIC, "-l")
    publisher = await mosquitto("mosquitto_pub", city, token, *flags)
    said, _ = await publisher.communicate(b"".join(body(number) + b"\n" for number in range(40)))
    assert (publisher.returncode, said) == (0, b"")
    await city.until(lambda: city.status.stored == 40)
    assert city.value() == 39


@needs_mosquitto
async def test_mosquitto_pub_is_told_that_a_reading_is_wrong(city, engineer):
    token = await city.admit()
    publisher = await mosquitto("mosquitto_pub", city, token, "-V", "5", "-q", "1", "-t", TOPIC, "-m", "{")
    said, _ = await publisher.communicate()
    assert b"Payload format invalid" in said
    (parked,) = await city.parked.newest(engineer)
    assert parked.body == b"{"


@needs_mosquitto
async def test_mosquitto_pub_is_refused_with_a_wrong_token(city, version, engineer):
    flags = ("-V", "5" if version == 5 else "311", "-q", "1", "-t", TOPIC, "-m", "{}")
    publisher = await mosquitto("mosquitto_pub", city, "guess", *flags)
    said, _ = await publisher.communicate()
    assert publisher.returncode != 0
    assert b"ot authori" in said
    assert [one.name for one in city.registry.waiting(engineer)] == ["farm-7"]


@needs_mosquitto
async def test_mosquitto_pub_cannot_publish_by_qos_2(city, version):
    token = await city.admit()
    flags = ("-V", "5" if version == 5 else "311", "-q", "2", "-t", TOPIC, "-m", body(1).decode())
    publisher = await mosquitto("mosquitto_pub", city, token, *flags)
    try:
        async with asyncio.timeout(20):
            line = await publisher.stdout.readline()
        assert line
    finally:
        with contextlib.suppress(ProcessLookupError):
            publisher.kill()
        await publisher.communicate()
    assert city.value() is None


@needs_mosquitto
async def test_mosquitto_sub_hears_commands_and_its_last_will_is_offline(city, version, patience):
    token = await city.admit()
    flags = ("-V", "5" if version == 5 else "311", "-q", "1", "-i", "station", "-t", COMMANDS)
    will = ("--will-topic", "cityloom/farm-7/status", "--will-payload", "gone")
    subscriber = await mosquitto("mosquitto_sub", city, token, *flags, *will)
    try:
        await city.until(lambda: city.state() == "online")
        await city.broker.create(CITY, command())
        line = await asyncio.wait_for(subscriber.stdout.readline(), patience)
        assert orjson.loads(line)["command"] == "vent"
        await city.until(lambda: fate(city) == "delivered")
        subscriber.kill()
        await city.until(lambda: city.state() == "offline")
    finally:
        if subscriber.returncode is None:
            subscriber.kill()
        await subscriber.communicate()


async def test_aiomqtt_speaks_tls_with_a_token_or_a_certificate(open_city, authority, version):
    city = await open_city(tls=authority.files)
    token = await city.admit(certificate=authority.device_certificate)
    protocol = aiomqtt.ProtocolVersion.V5 if version == 5 else aiomqtt.ProtocolVersion.V311

    def client(context, **who):
        return aiomqtt.Client("127.0.0.1", city.port, protocol=protocol, tls_context=context, **who)

    async with client(authority.client(), username="farm-7", password=token) as by_token:
        await by_token.publish(TOPIC, body(1), qos=1)
    async with client(authority.client(with_certificate=True), identifier="any") as by_certificate:
        await by_certificate.publish(TOPIC, body(2), qos=1)
    assert city.value() == 2
    with pytest.raises(aiomqtt.MqttError):
        async with client(authority.client(), identifier="farm-7"):
            pass
    old = authority.client()
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(aiomqtt.MqttError):
        async with client(old, username="farm-7", password=token):
            pass


async def test_certificate_admitted_while_the_city_runs_is_trusted_at_once(open_city, authority):
    city = await open_city(tls=authority.files)
    context = authority.client(with_certificate=True)
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client(
            "127.0.0.1", city.port, tls_context=context, identifier="farm-7", timeout=2
        ):
            pass
    await city.admit(certificate=authority.device_certificate)
    async with aiomqtt.Client("127.0.0.1", city.port, tls_context=context, identifier="farm-7") as client:
        await client.publish(TOPIC, body(3), qos=1)
    assert city.value() == 3
