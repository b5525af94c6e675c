"""Publishing to MQTT brokers that strangers named, against brokers on the loopback that behave and do not."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, nullcontext

import pytest

from cityloom.adapters.mqtt.publisher import MqttPublisher
from cityloom.adapters.network.reach import Reach
from cityloom.kernel import spans
from cityloom.kernel.outbound import AddressNotAllowed, Unreachable
from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.encoding import encode
from cityloom.sensing.mqtt.packets import PacketReader
from cityloom.sensing.mqtt.properties import Property


@asynccontextmanager
async def brokering(*, reason: int = 0, version: int = 5, answers: bool = True):
    """A broker that takes everything; yields its address and what it got."""
    got: list[mqtt.Packet] = []

    async def serve(reader, writer):
        packets = PacketReader(version=version, largest=1_000_000)
        while data := await reader.read(65_536):
            for packet in packets.feed(data):
                got.append(packet)
                answer = _answer(packet, reason)
                if answer is not None and answers:
                    writer.write(encode(answer, version))
        writer.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = await asyncio.start_server(serve, sock=listening)
        yield f"mqtt://user:p%40ss@127.0.0.1:{listening.getsockname()[1]}/city/air", got
        server.close()


def _answer(packet, reason):
    if isinstance(packet, mqtt.Connect):
        return mqtt.Connack(reason=reason)
    if isinstance(packet, mqtt.Publish) and packet.qos:
        return mqtt.Acknowledgement(mqtt.PUBACK if packet.qos == 1 else mqtt.PUBREC, packet.packet_id)
    if isinstance(packet, mqtt.Acknowledgement) and packet.kind == mqtt.PUBREL:
        return mqtt.Acknowledgement(mqtt.PUBCOMP, packet.packet_id)
    return None


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_publish_tells_the_broker_and_keeps_the_connection(version, qos):
    publisher = MqttPublisher(Reach(inside=True))
    async with brokering(version=version) as (url, got):
        for text in (b"one", b"two"):
            await publisher.publish(url, text, version=version, qos=qos, deadline=5)
        async with asyncio.timeout(5):
            while sum(isinstance(one, mqtt.Publish) for one in got) < 2:
                await asyncio.sleep(0.005)
        await publisher.close()
    (hello,) = [one for one in got if isinstance(one, mqtt.Connect)]
    said = [one for one in got if isinstance(one, mqtt.Publish)]
    assert (hello.version, hello.username, hello.password) == (version, "user", b"p@ss")
    assert [(one.topic, one.payload, one.qos) for one in said] == [
        ("city/air", b"one", qos),
        ("city/air", b"two", qos),
    ]


class OneTrace:
    """A tracer whose only trace is always open."""

    def span(self, _name, _attributes, *, side, cause):
        return nullcontext()

    def headers(self):
        return {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "x=y"}


@pytest.mark.parametrize("version", [4, 5])
async def test_publish_carries_the_trace_where_the_version_has_a_place_for_it(version, monkeypatch):
    monkeypatch.setattr(spans, "_tracer", OneTrace())
    publisher = MqttPublisher(Reach(inside=True))
    async with brokering(version=version) as (url, got):
        await publisher.publish(url, b"one", version=version, qos=1, deadline=5)
        monkeypatch.setattr(spans, "_tracer", None)
        await publisher.publish(url, b"two", version=version, qos=1, deadline=5)
        await publisher.close()
    first, second = (one.properties for one in got if isinstance(one, mqtt.Publish))
    pairs = [("traceparent", f"00-{'a' * 32}-{'b' * 16}-01"), ("tracestate", "x=y")]
    assert first == ({Property.USER_PROPERTY: pairs} if version == 5 else {})
    assert second == {}


@pytest.mark.parametrize(("broker", "why"), [({"reason": 0x87}, "0x87"), ({"answers": False}, "in time")])
async def test_publish_tells_why_it_could_not(broker, why):
    publisher = MqttPublisher(Reach(inside=True))
    async with brokering(**broker) as (url, _):
        with pytest.raises(Unreachable, match=why):
            await publisher.publish(url, b"x", version=5, qos=1, deadline=0.3)
        await publisher.close()


async def test_publish_reaches_nothing_inside():
    publisher = MqttPublisher(Reach())
    async with brokering() as (url, got):
        for address in (url, url.replace("127.0.0.1", "localhost")):
            with pytest.raises(AddressNotAllowed):
                await publisher.publish(address, b"x", version=5, qos=0, deadline=5)
    assert got == []
