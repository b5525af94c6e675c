"""The listener as a device on the network meets it."""

from __future__ import annotations

import asyncio
import threading

import orjson
import pytest
from msgspec.structs import replace

from cityloom.adapters.mqtt.listener import Bounds
from cityloom.kernel.actor import CITY
from cityloom.kernel.errors import BadConfig, StorageFull
from cityloom.ngsild.model import entity, prop, rel, value_of
from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.connection import Limits
from cityloom.sensing.mqtt.packets import Publish
from cityloom.sensing.mqtt.properties import Property, Reason

TOPIC = "cityloom/farm-7/readings"


def reading(t=1.5, packet_id=1, topic=TOPIC, qos=1):
    return Publish(topic, orjson.dumps({"t": t, "ts": 1775995200}), qos, packet_id=packet_id if qos else 0)


def acknowledged(packet_id, reason=0):
    return mqtt.Acknowledgement(mqtt.PUBACK, packet_id, reason)


async def test_device_publishes_and_its_reading_is_durable_when_it_is_acknowledged(city, dial, version):
    token = await city.admit()
    before = city.feed.last_sequence()
    device = await dial(city, version=version, username="farm-7", password=token.encode())
    assert device.welcome.reason == 0
    await device.send(reading())
    assert await device.hear() == acknowledged(1)
    assert city.feed.last_sequence() > before
    assert city.value() == 1.5


async def test_puback_waits_for_the_commit(city, dial, monkeypatch):
    """The planted bug "acknowledge before the commit" fails here."""
    token = await city.admit()
    device = await dial(city, username="farm-7", password=token.encode())
    await city.until(lambda: city.state() == "online")
    held, append = threading.Event(), city.feed.append

    def slow(changes):
        held.wait()
        append(changes)

    monkeypatch.setattr(city.broker._committer, "_append", slow)
    await device.send(reading(), mqtt.Ping())
    assert await device.hear() == mqtt.Pong()
    await device.send(mqtt.Ping())
    assert await device.hear() == mqtt.Pong()
    held.set()
    assert await device.hear() == acknowledged(1)


async def test_device_is_not_acknowledged_while_nothing_can_be_stored_and_sends_again(
    city, dial, monkeypatch
):
    token = await city.admit()
    device = await dial(city, username="farm-7", password=token.encode())
    await city.until(lambda: city.state() == "online")

    def full(_changes):
        raise StorageFull("The disk is full", hint="Make room.")

    with monkeypatch.context() as patch:
        patch.setattr(city.broker._committer, "_append", full)
        await device.send(reading())
        (end,) = await device.hear_end()
    assert (end.reason, end.properties[Property.REASON_STRING]) == (Reason.QUOTA_EXCEEDED, "The disk is full")
    assert city.value() is None
    again = await dial(city, username="farm-7", password=token.encode())
    await again.send(reading())
    assert await again.hear() == acknowledged(1)
    assert city.value() == 1.5


async def test_messages_of_one_read_go_into_one_commit(city, dial, monkeypatch):
    token = await city.admit()
    device = await dial(city, username="farm-7", password=token.encode())
    await city.until(lambda: city.state() == "online")
    sizes = []
    append = city.feed.append
    monkeypatch.setattr(
        city.broker._committer, "_append", lambda changes: (sizes.append(len(changes)), append(changes))
    )
    await device.send(*(reading(number / 10, number) for number in range(1, 101)))
    assert [await device.hear() for _ in range(100)] == [acknowledged(number) for number in range(1, 101)]
    assert sum(sizes) == 100
    assert len(sizes) <= 3
    assert city.value() == 10.0


async def test_unknown_device_is_refused_and_shown_among_those_who_want_to_join(
    city, dial, version, engineer
):
    stranger = await dial(city, version=version, username="farm-8", password=b"guess")
    assert stranger.welcome.reason == (Reason.NOT_AUTHORIZED if version == 5 else 5)
    assert await stranger.hear() is None
    (waiting,) = city.registry.waiting(engineer)
    assert (waiting.name, waiting.address) == ("farm-8", "127.0.0.1")


async def test_wrong_token_is_refused_in_the_same_words(city, dial):
    await city.admit()
    known = await dial(city, username="farm-7", password=b"guess")
    unknown = await dial(city, username="farm-8", password=b"guess")
    assert known.welcome == unknown.welcome


async def test_wrong_reading_is_parked_and_acknowledged_with_its_reason(city, dial, version, engineer):
    token = await city.admit()
    device = await dial(city, version=version, username="farm-7", password=token.encode())
    await device.send(
        Publish(TOPIC, b"{", 1, packet_id=1),
        reading(99, 2),
        reading(1.5, 3),
        Publish("cityloom/farm-8/readings", b"{}", 1, packet_id=4),
    )
    answers = [await device.hear() for _ in range(4)]
    wanted = [Reason.PAYLOAD_FORMAT_INVALID, Reason.PAYLOAD_FORMAT_INVALID, 0, Reason.PAYLOAD_FORMAT_INVALID]
    assert [answer.reason for answer in answers] == (wanted if version == 5 else [0] * 4)
    if version == 5:
        assert "maximum of 60" in answers[1].properties[Property.REASON_STRING]
    parked = await city.parked.newest(engineer)
    assert [(one.device, one.address, one.body[:1]) for one in parked] == [
        ("farm-7", "cityloom/farm-8/readings", b"{"),
        ("farm-7", TOPIC, b"{"),
        ("farm-7", TOPIC, b"{"),
    ]
    assert city.value() == 1.5


BIN = {"topic": "city/{type}/{device}", "fields": {"fill": {"attribute": "fillingLevel", "unit": "P1"}}}


async def test_mapped_topic_is_for_its_device_and_for_gateways_with_a_grant(open_city, dial):
    city = await open_city([BIN])
    body = b'{"fill": 70}'
    for name, grants, reason in (
        ("bin-3", (), 0),
        ("bin-4", (), Reason.NOT_AUTHORIZED),
        ("gateway", ("city/WasteContainer/+",), 0),
    ):
        token = await city.admit(name, publishes=grants)
        device = await dial(city, username=name, password=token.encode())
        await device.send(Publish("city/WasteContainer/bin-3", body, 1, packet_id=1))
        assert (await device.hear()).reason == reason, name
    assert city.value("bin-3", "fillingLevel", "WasteContainer") == 0.7
    stands = city.broker.retrieve(CITY, "urn:ngsi-ld:WasteContainer:bin-3")
    assert value_of(stands, "refDevice") == "urn:ngsi-ld:Device:gateway"


async def test_qos_2_is_refused(city, dial, version):
    token = await city.admit()
    device = await dial(city, version=version, username="farm-7", password=token.encode())
    if version == 5:
        assert device.welcome.properties[Property.MAXIMUM_QOS] == 1
    await device.send(reading(), Publish(TOPIC, b"{}", 2, packet_id=2))
    heard = await device.hear_end()
    ends = [packet.reason for packet in heard if isinstance(packet, mqtt.Disconnect)]
    assert ends == ([Reason.QOS_NOT_SUPPORTED] if version == 5 else [])
    await city.until(lambda: city.value() == 1.5)


@pytest.mark.parametrize("topic", ["$SYS/uptime", "cityloom/+/readings", "a/#"])
async def test_topics_of_the_server_and_wildcards_are_refused(city, dial, topic):
    token = await city.admit()
    device = await dial(city, username="farm-7", password=token.encode())
    await device.send(Publish(topic, b"{}"))
    (end,) = await device.hear_end()
    assert end.reason == Reason.TOPIC_NAME_INVALID


async def test_device_may_subscribe_to_its_own_topics_and_nothing_else(city, dial, version):
    token = await city.admit()
    device = await dial(city, version=version, username="farm-7", password=token.encode())
    filters = [
        "cityloom/farm-7/commands",
        "cityloom/farm-7/status",
        "cityloom/farm-8/commands",
        "cityloom/farm-7/readings",
        "#",
        "cityloom/+/commands",
        "$share/g/cityloom/farm-7/commands",
        "a/#/b",
    ]
    await device.send(mqtt.Subscribe(1, tuple(mqtt.Subscription(one, 2) for one in filters)))
    granted = (await device.hear()).reasons
    refusals = (
        [Reason.NOT_AUTHORIZED] * 4 + [Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, Reason.TOPIC_FILTER_INVALID]
        if version == 5
        else [0x80] * 6
    )
    assert list(granted) == [1, 1, *refusals]
    await device.send(mqtt.Unsubscribe(2, ("cityloom/farm-7/status", "nothing")))
    assert (await device.hear()).reasons == ((0, 0x11) if version == 5 else ())


def command(number=1, device="farm-7", **more):
    return entity(
        "Command",
        f"urn:ngsi-ld:Command:{number}",
        {
            "command": prop("vent"),
            "commandValue": prop(number),
            "refDevice": rel(f"urn:ngsi-ld:Device:{device}"),
            "status": prop("wished"),
            **more,
        },
    )


def fate(city, number=1):
    return value_of(city.broker.retrieve(CITY, f"urn:ngsi-ld:Command:{number}"), "status")


SUBSCRIBE = mqtt.Subscribe(1, (mqtt.Subscription("cityloom/farm-7/commands", 1),))


async def test_command_reaches_a_device_that_is_there_and_is_delivered_when_acknowledged(city, dial, version):
    token = await city.admit()
    device = await dial(city, version=version, username="farm-7", password=token.encode())
    await device.send(SUBSCRIBE)
    await device.hear()
    await city.broker.create(CITY, command())
    message = await device.hear()
    assert (message.topic, message.qos) == ("cityloom/farm-7/commands", 1)
    assert orjson.loads(message.payload) == {"id": "urn:ngsi-ld:Command:1", "command": "vent", "value": 1}
    assert fate(city) == "wished"
    await device.send(acknowledged(message.packet_id))
    await city.until(lambda: fate(city) == "delivered")


async def test_command_waits_for_a_device_that_is_away(city, dial):
    token = await city.admit()
    for number in (1, 2):
        await city.broker.create(CITY, command(number))
    await city.broker.create(CITY, command(3, "farm-8"))
    device = await dial(city, username="farm-7", password=token.encode())
    await device.send(SUBSCRIBE)
    await device.hear()
    values = [orjson.loads((await device.hear()).payload)["value"] for _ in range(2)]
    assert values == [1, 2]
    await device.send(mqtt.Ping())
    assert await device.hear() == mqtt.Pong()


async def test_command_is_sent_again_when_the_connection_broke_before_its_acknowledgement(
    city, dial, version
):
    token = await city.admit()
    kept = {"properties": {Property.SESSION_EXPIRY_INTERVAL: 600}} if version == 5 else {}
    hello = {"username": "farm-7", "password": token.encode(), "clean_start": False, **kept}
    device = await dial(city, version=version, **hello)
    assert device.welcome.session_present is False
    await device.send(SUBSCRIBE)
    await device.hear()
    await city.broker.create(CITY, command(1))
    first = await device.hear()
    device.break_off()
    await city.until(lambda: city.state() == "offline")
    await city.broker.create(CITY, command(2))
    again = await dial(city, version=version, **hello)
    assert again.welcome.session_present is True
    repeated, second = await again.hear(), await again.hear()
    assert (repeated.packet_id, repeated.duplicate, repeated.payload) == (
        first.packet_id,
        True,
        first.payload,
    )
    assert (second.duplicate, orjson.loads(second.payload)["value"]) == (False, 2)
    await again.send(acknowledged(repeated.packet_id), acknowledged(second.packet_id))
    await city.until(lambda: (fate(city, 1), fate(city, 2)) == ("delivered", "delivered"))


async def test_command_outlives_a_clean_start_and_the_city_itself(open_city, dial, tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    city = await open_city(folder=folder)
    token = await city.admit()
    device = await dial(city, username="farm-7", password=token.encode())
    await device.send(SUBSCRIBE)
    await device.hear()
    await city.broker.create(CITY, command())
    await device.hear()
    device.break_off()
    await city.close()
    again = await open_city(folder=folder)
    device = await dial(again, username="farm-7", password=token.encode())
    await device.send(SUBSCRIBE)
    await device.hear()
    message = await device.hear()
    await device.send(acknowledged(message.packet_id))
    await again.until(lambda: fate(again) == "delivered")
    city.close = lambda: asyncio.sleep(0)


async def test_command_that_a_device_refuses_or_cannot_take_is_refused(city, dial):
    token = await city.admit()
    small = {Property.MAXIMUM_PACKET_SIZE: 200}
    device = await dial(city, username="farm-7", password=token.encode(), properties=small)
    await device.send(SUBSCRIBE)
    await device.hear()
    await city.broker.create(CITY, command(1))
    message = await device.hear()
    await device.send(acknowledged(message.packet_id, 0x83))
    await city.until(lambda: fate(city, 1) == "refused")
    await city.broker.create(CITY, command(2, commandValue=prop("x" * 300)))
    await city.until(lambda: fate(city, 2) == "refused")
    stands = city.broker.retrieve(CITY, "urn:ngsi-ld:Command:2")
    assert "takes no packet" in value_of(stands, "statusReason")


async def test_withdrawn_command_is_not_sent(city, dial):
    token = await city.admit()
    hello = {
        "username": "farm-7",
        "password": token.encode(),
        "clean_start": False,
        "properties": {Property.SESSION_EXPIRY_INTERVAL: 600},
    }
    device = await dial(city, **hello)
    await device.send(SUBSCRIBE)
    await device.hear()
    await device.leave()
    await city.until(lambda: city.state() == "disconnected")
    await city.broker.create(CITY, command(1))
    await city.broker.caught_up()
    await city.broker.upsert(CITY, command(1, status=prop("withdrawn")))
    await city.broker.caught_up()
    again = await dial(city, **hello)
    assert again.welcome.session_present is True
    await again.send(mqtt.Ping())
    assert await again.hear() == mqtt.Pong()


@pytest.mark.parametrize(
    ("how", "state"), [("leave", "disconnected"), ("break_off", "offline"), ("wish", "offline")]
)
async def test_state_of_a_device_tells_a_leave_from_a_loss(city, dial, how, state):
    token = await city.admit()
    will = mqtt.Will("cityloom/farm-7/status", b"gone")
    device = await dial(city, username="farm-7", password=token.encode(), will=will)
    await city.until(lambda: city.state() == "online")
    if how == "leave":
        await device.leave()
    elif how == "wish":
        await device.send(mqtt.Disconnect(Reason.DISCONNECT_WITH_WILL))
    else:
        device.break_off()
    await city.until(lambda: city.state() == state)


async def test_last_will_with_a_reading_is_stored_when_the_device_is_lost(city, dial):
    token = await city.admit()
    will = mqtt.Will(TOPIC, orjson.dumps({"t": -1, "ts": 1775995200}), 1)
    device = await dial(city, username="farm-7", password=token.encode(), will=will)
    device.break_off()
    await city.until(lambda: city.value() == -1)


async def test_last_will_with_a_delay_is_dropped_when_the_device_comes_back(city, dial):
    token = await city.admit()
    hello = {
        "username": "farm-7",
        "password": token.encode(),
        "properties": {Property.SESSION_EXPIRY_INTERVAL: 600},
        "clean_start": False,
    }
    late = mqtt.Will(TOPIC, b'{"t": -1, "ts": 1775995200}', 1, properties={Property.WILL_DELAY_INTERVAL: 500})
    device = await dial(city, will=late, **hello)
    device.break_off()
    await city.until(lambda: city.listener._wills)
    (timer,) = city.listener._wills.values()
    again = await dial(city, **hello)
    assert again.welcome.session_present is True
    assert timer.cancelled()


async def test_silent_device_is_lost_after_one_and_a_half_keep_alives(city, dial):
    token = await city.admit()
    silent = await dial(city, username="farm-7", password=token.encode(), keep_alive=1)
    (end,) = await silent.hear_end()
    assert end.reason == Reason.KEEP_ALIVE_TIMEOUT
    await city.until(lambda: city.state() == "offline")


async def test_status_is_retained_for_the_device_itself(city, dial):
    token = await city.admit()
    device = await dial(city, username="farm-7", password=token.encode())
    await device.send(Publish("cityloom/farm-7/status", b"low battery", 1, retain=True, packet_id=1))
    assert await device.hear() == acknowledged(1)
    await city.until(lambda: city.state() == "low battery")
    await device.send(mqtt.Subscribe(2, (mqtt.Subscription("cityloom/farm-7/status"),)))
    assert isinstance(await device.hear(), mqtt.Suback)
    kept = await device.hear()
    assert (kept.payload, kept.retain) == (b"low battery", True)
    await device.send(Publish("cityloom/farm-7/status", b"\xff", 1, packet_id=2))
    assert (await device.hear()).reason == Reason.PAYLOAD_FORMAT_INVALID


async def test_same_client_takes_its_session_over(city, dial, version):
    token = await city.admit()
    hello = {"username": "farm-7", "password": token.encode(), "version": version}
    first = await dial(city, **hello)
    second = await dial(city, **hello)
    heard = await first.hear_end()
    assert [packet.reason for packet in heard] == ([Reason.SESSION_TAKEN_OVER] if version == 5 else [])
    await second.send(reading())
    assert await second.hear() == acknowledged(1)
    assert city.state() == "online"


async def test_revoked_device_is_shut_out_at_once(city, dial, engineer):
    token = await city.admit()
    device = await dial(city, username="farm-7", password=token.encode())
    await city.registry.revoke(engineer, "farm-7")
    (end,) = await device.hear_end()
    assert end.reason == Reason.ADMINISTRATIVE_ACTION
    again = await dial(city, username="farm-7", password=token.encode())
    assert again.welcome.reason == Reason.NOT_AUTHORIZED
    await city.presence.flush()
    assert city.state() == "revoked"


async def test_changed_profile_holds_from_the_next_message_on(city, dial, engineer):
    token = await city.admit()
    device = await dial(city, username="farm-7", password=token.encode())
    await device.send(reading())
    await device.hear()
    changed = city.registry.find("farm-7")
    other = replace(changed, profile=replace(changed.profile, entity_id="urn:ngsi-ld:WeatherObserved:farm-9"))
    await city.registry.change(engineer, other)
    assert await device.hear_end()
    again = await dial(city, username="farm-7", password=token.encode())
    await again.send(reading(3))
    await again.hear()
    assert (city.value(), city.value("farm-9")) == (1.5, 3)


async def test_city_says_goodbye_when_it_stops(city, dial, engineer):
    token = await city.admit()
    device = await dial(city, username="farm-7", password=token.encode())
    await device.send(reading())
    await city.host.stop_one(engineer, "mqtt")
    heard = await device.hear_end()
    assert heard[-1].reason == Reason.SERVER_SHUTTING_DOWN
    await city.until(lambda: city.state() == "disconnected")


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        ({"will": mqtt.Will("a", b"", 2)}, Reason.QOS_NOT_SUPPORTED),
        ({"properties": {Property.AUTHENTICATION_METHOD: "SCRAM"}}, Reason.BAD_AUTHENTICATION_METHOD),
        ({"client_id": "x" * 200}, Reason.CLIENT_IDENTIFIER_NOT_VALID),
    ],
)
async def test_what_is_not_offered_is_refused_at_the_door(city, dial, hello, reason):
    token = await city.admit()
    device = await dial(city, username="farm-7", password=token.encode(), **hello)
    assert device.welcome.reason == reason
    assert await device.hear() is None


async def test_client_without_a_name_gets_one(city, dial):
    token = await city.admit()
    device = await dial(city, username="farm-7", password=token.encode(), client_id="")
    assert device.welcome.properties[Property.ASSIGNED_CLIENT_IDENTIFIER].startswith("cityloom-")
    kept = await dial(
        city, version=4, username="farm-7", password=token.encode(), client_id="", clean_start=False
    )
    assert kept.welcome.reason == 2


async def test_client_that_says_nothing_is_closed(open_city, dial):
    city = await open_city(limits=Limits(connect_within=0.2))
    mute = await dial(city, connect=False)
    assert await mute.hear() is None


async def test_connections_are_counted_by_address_and_in_all(open_city, dial):
    city = await open_city(bounds=Bounds(connections_of_an_address=2))
    token = await city.admit()
    for number in range(2):
        there = await dial(city, username="farm-7", password=token.encode(), client_id=str(number))
        assert there.welcome.reason == 0
    over = await dial(city, connect=False)
    assert await over.hear_end() == []
    there.break_off()
    await city.until(lambda: len(city.listener._links) == 1)
    again = await dial(city, username="farm-7", password=token.encode(), client_id="again")
    assert again.welcome.reason == 0


async def test_sessions_of_a_device_are_bounded(city, dial):
    token = await city.admit()
    clients = [
        await dial(city, username="farm-7", password=token.encode(), client_id=str(number))
        for number in range(5)
    ]
    (end,) = await clients[0].hear_end()
    assert end.reason == Reason.QUOTA_EXCEEDED
    await clients[4].send(mqtt.Ping())
    assert await clients[4].hear() == mqtt.Pong()


async def test_device_that_sends_too_fast_is_slowed_and_loses_nothing(open_city, dial):
    city = await open_city(bounds=Bounds(rate=200, burst=20))
    token = await city.admit()
    device = await dial(city, username="farm-7", password=token.encode())
    loop = asyncio.get_running_loop()
    began = loop.time()
    for start in range(1, 101, 10):
        await device.send(*(reading(1, number) for number in range(start, start + 10)))
        assert [await device.hear() for _ in range(10)] == [acknowledged(n) for n in range(start, start + 10)]
    # 100 messages at 200 a second after a burst of 20: it cannot have been faster than this.
    assert loop.time() - began >= 0.3
    assert city.status.stored == 100


async def test_flood_of_a_client_that_waits_for_nothing_is_taken_in_turns(open_city, dial, monkeypatch):
    city = await open_city(limits=Limits(receive_maximum=10))
    token = await city.admit()
    device = await dial(city, version=4, username="farm-7", password=token.encode())
    await city.until(lambda: city.state() == "online")
    held, append = threading.Event(), city.feed.append
    monkeypatch.setattr(city.broker._committer, "_append", lambda changes: (held.wait(), append(changes)))
    await device.send(*(reading(1, number) for number in range(1, 101)))
    (link,) = city.listener._links
    await city.until(lambda: link.undecided == 100)
    # While these wait for the disk, the city reads no more from this connection.
    await device.send(*(reading(1, number) for number in range(101, 201)))
    other = await dial(city, username="farm-7", password=token.encode(), client_id="other")
    await other.send(mqtt.Ping())
    assert await other.hear() == mqtt.Pong()
    assert link.undecided == 100
    held.set()
    heard = [await device.hear() for _ in range(200)]
    assert sorted(packet.packet_id for packet in heard) == list(range(1, 201))
    assert city.status.stored == 200


async def test_flood_of_many_waits_outside_when_the_city_has_enough_to_do(open_city, dial, monkeypatch):
    city = await open_city(bounds=Bounds(waiting=10))
    token = await city.admit()
    hello = {"username": "farm-7", "password": token.encode()}
    first, second = await dial(city, **hello), await dial(city, client_id="second", **hello)
    await city.until(lambda: city.state() == "online")
    held, append = threading.Event(), city.feed.append
    monkeypatch.setattr(city.broker._committer, "_append", lambda changes: (held.wait(), append(changes)))
    for start in (1, 4, 7):
        # Two batches are on their way and one waits: the fourth finds the city with enough to do.
        before = sum(link.undecided for link in city.listener._links)
        await first.send(*(reading(1, number) for number in range(start, start + 3)))
        await city.until(
            lambda before=before: sum(link.undecided for link in city.listener._links) == before + 3
        )
    await first.send(*(reading(1, number) for number in range(10, 30)))
    await city.until(lambda: sum(link.undecided for link in city.listener._links) == 29)
    await second.send(reading(2, 1))
    await city.until(lambda: sum(link.undecided for link in city.listener._links) == 30)
    await first.send(reading(3, 30))
    await second.send(mqtt.Ping())
    await dial(city, client_id="third", **hello)
    assert sum(link.undecided for link in city.listener._links) == 30
    held.set()
    assert [(await first.hear()).packet_id for _ in range(30)] == list(range(1, 31))
    assert [await second.hear() for _ in range(2)] == [acknowledged(1), mqtt.Pong()]


async def test_packet_over_the_limit_is_refused(city, dial):
    token = await city.admit()
    device = await dial(city, username="farm-7", password=token.encode())
    await device.send_bytes(b"\x30\xff\xff\xff\x01")
    (end,) = await device.hear_end()
    assert end.reason == Reason.PACKET_TOO_LARGE


async def test_noise_harms_nobody_else(open_city, dial):
    city = await open_city(limits=Limits(connect_within=0.2))
    token = await city.admit()
    device = await dial(city, username="farm-7", password=token.encode())
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 100, b"\xff" * 100):
        other = await dial(city, connect=False)
        await other.send_bytes(noise)
        await other.hear_end()
    await device.send(reading())
    assert await device.hear() == acknowledged(1)


async def test_listener_serves_one_connector(city):
    with pytest.raises(BadConfig, match="serves the connector mqtt already"):
        await city.listener.run("north", None, {})


async def test_busy_port_is_told_with_the_cure(open_city, city, engineer):
    other = await open_city()
    other.listener._address = ("127.0.0.1", city.port)
    await other.host.restart(engineer, "mqtt")
    await other.until(lambda: other.status.state == "broken")
    assert "--mqtt-port" in other.status.last_error
