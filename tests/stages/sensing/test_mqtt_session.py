"""The server's side of an MQTT conversation, without any network."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.connection import (
    Acknowledged,
    Connecting,
    Connection,
    Ended,
    Limits,
    Outgoing,
    Subscribing,
    Unsubscribing,
)
from cityloom.sensing.mqtt.encoding import encode
from cityloom.sensing.mqtt.packets import V5, V311, PacketReader, Publish
from cityloom.sensing.mqtt.properties import Property, Reason
from cityloom.sensing.mqtt.session import Session

LIMITS = Limits(receive_maximum=5, topic_aliases=2, longest_keep_alive=100, longest_session=1000, queued=4)


class Client:
    """The other end: writes packets, reads the answers."""

    def __init__(self, version=V5, limits=LIMITS, **connect):
        self.version = version
        self.connection = Connection(limits, now=0.0)
        self.reader = PacketReader(version=version)
        self.hello = mqtt.Connect("c", version, **connect)

    def say(self, *packets, now=0.0):
        return self.connection.receive(b"".join(encode(item, self.version) for item in packets), now)

    def heard(self):
        return list(self.reader.feed(self.connection.take()))

    def connect(self, **how):
        self.say(self.hello)
        self.connection.accept(session_present=False, **how)
        return self.heard()[0]


VERSIONS = pytest.mark.parametrize("version", [V311, V5])


@VERSIONS
def test_receive_introduces_the_client_and_accept_answers(version):
    client = Client(version)
    assert client.say(client.hello) == [Connecting(client.hello)]
    client.connection.accept(session_present=True)
    assert client.heard()[0].session_present is True


def test_accept_says_what_is_offered_to_a_client_of_version_5():
    properties = (
        Client(keep_alive=0, properties={Property.SESSION_EXPIRY_INTERVAL: 2**32 - 1})
        .connect(assigned="c-1")
        .properties
    )
    assert properties == {
        Property.RECEIVE_MAXIMUM: 5,
        Property.MAXIMUM_QOS: 1,
        Property.MAXIMUM_PACKET_SIZE: 262_144,
        Property.TOPIC_ALIAS_MAXIMUM: 2,
        Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE: 0,
        Property.SHARED_SUBSCRIPTION_AVAILABLE: 0,
        Property.SESSION_EXPIRY_INTERVAL: 1000,
        Property.SERVER_KEEP_ALIVE: 100,
        Property.ASSIGNED_CLIENT_IDENTIFIER: "c-1",
    }


def test_session_expiry_follows_clean_session_in_version_311():
    kept, clean = Client(V311, clean_start=False), Client(V311)
    kept.connect(), clean.connect()
    assert (kept.connection.session_expiry, clean.connection.session_expiry) == (1000, 0)


@pytest.mark.parametrize(
    ("version", "reason", "code"),
    [
        (V311, Reason.NOT_AUTHORIZED, 5),
        (V311, Reason.BAD_USER_NAME_OR_PASSWORD, 4),
        (V311, Reason.QUOTA_EXCEEDED, 3),
        (V5, Reason.NOT_AUTHORIZED, 0x87),
    ],
)
def test_refuse_gives_the_code_of_the_clients_version(version, reason, code):
    client = Client(version)
    client.say(client.hello)
    client.connection.refuse(reason, "Ask the city's engineer.")
    answer = client.heard()[0]
    assert answer.reason == code
    assert (answer.properties == {Property.REASON_STRING: "Ask the city's engineer."}) is (version == V5)
    assert client.say(mqtt.Ping()) == []


def test_refuse_keeps_its_words_from_a_client_that_wants_none():
    client = Client(properties={Property.REQUEST_PROBLEM_INFORMATION: 0})
    client.say(client.hello)
    client.connection.refuse(Reason.NOT_AUTHORIZED, "why")
    assert client.heard()[0].properties == {}


def test_receive_answers_an_old_protocol_in_words_it_understands():
    connection = Connection(LIMITS, 0.0)
    events = connection.receive(b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01a", 0.0)
    assert [event.reason for event in events] == [Reason.UNSUPPORTED_PROTOCOL_VERSION]
    assert connection.take() == b"\x20\x02\x00\x01"


@VERSIONS
def test_receive_gives_all_messages_of_a_read_and_acknowledges_none_by_itself(version):
    client = Client(version)
    client.connect()
    said = [Publish("a/b", b"1", 1, packet_id=1), Publish("a/b", b"2"), Publish("a/b", b"3", 1, packet_id=2)]
    assert client.say(*said) == said
    assert client.connection.take() == b""
    assert client.connection.unacknowledged == {1, 2}


@VERSIONS
def test_acknowledge_answers_with_puback_and_a_reason_where_there_is_room_for_one(version):
    client = Client(version)
    client.connect()
    client.say(Publish("a", b"1", 1, packet_id=7), Publish("a", b"2", 1, packet_id=8))
    client.connection.acknowledge(7)
    client.connection.acknowledge(8, Reason.PAYLOAD_FORMAT_INVALID, "not JSON")
    first, second = client.heard()
    assert first == mqtt.Acknowledgement(mqtt.PUBACK, 7)
    wanted = (0x99, {Property.REASON_STRING: "not JSON"}) if version == V5 else (0, {})
    assert (second.packet_id, second.reason, second.properties) == (8, *wanted)
    assert client.connection.unacknowledged == set()


@VERSIONS
def test_acknowledge_all_answers_each_in_order(version):
    client = Client(version)
    client.connect()
    client.say(*(Publish("a", b"1", 1, packet_id=number) for number in (7, 9, 8)))
    client.connection.acknowledge_all([7, 9])
    assert list(client.heard()) == [mqtt.Acknowledgement(mqtt.PUBACK, number) for number in (7, 9)]
    assert client.connection.unacknowledged == {8}


def test_receive_takes_a_message_once_that_is_repeated_before_its_puback():
    client = Client()
    client.connect()
    message = Publish("a", b"1", 1, packet_id=7)
    assert client.say(message, Publish("a", b"1", 1, duplicate=True, packet_id=7)) == [message]


@VERSIONS
def test_receive_ends_the_conversation_at_qos_2(version):
    client = Client(version)
    client.connect()
    events = client.say(Publish("a", b"1"), Publish("a", b"2", 2, packet_id=1), Publish("a", b"3"))
    assert events[0] == Publish("a", b"1")
    assert events[1] == Ended(Reason.QOS_NOT_SUPPORTED, True, "QoS 2 is not offered")
    assert len(events) == 2
    told = client.heard()
    assert [packet.reason for packet in told] == ([0x9B] if version == V5 else [])


def test_receive_ends_the_conversation_when_more_messages_wait_than_were_agreed():
    client = Client()
    client.connect()
    events = client.say(*(Publish("a", b"1", 1, packet_id=n) for n in range(1, 7)))
    assert [type(event) for event in events] == [Publish] * 5 + [Ended]
    assert events[-1].reason == Reason.RECEIVE_MAXIMUM_EXCEEDED


def test_receive_lets_a_client_that_cannot_be_told_a_maximum_exceed_it():
    client = Client(V311)
    client.connect()
    assert len(client.say(*(Publish("a", b"1", 1, packet_id=n) for n in range(1, 10)))) == 9


def test_receive_puts_in_the_topic_of_an_alias():
    client = Client()
    client.connect()
    events = client.say(
        Publish("a/b", b"1", properties={Property.TOPIC_ALIAS: 2}),
        Publish("", b"2", properties={Property.TOPIC_ALIAS: 2}),
    )
    assert [(event.topic, event.payload) for event in events] == [("a/b", b"1"), ("a/b", b"2")]


@pytest.mark.parametrize("alias", [1, 3])
def test_receive_refuses_an_alias_that_was_not_set_or_not_offered(alias):
    client = Client()
    client.connect()
    events = client.say(Publish("" if alias == 1 else "a", b"1", properties={Property.TOPIC_ALIAS: alias}))
    assert events[0].reason == Reason.TOPIC_ALIAS_INVALID


@pytest.mark.parametrize(
    "packet",
    [
        mqtt.Connect("again"),
        mqtt.Connack(),
        mqtt.Acknowledgement(mqtt.PUBREL, 1),
        mqtt.Suback(1, (0,)),
        mqtt.Pong(),
        mqtt.Auth(0x18),
        Publish("a", b"", properties={Property.SUBSCRIPTION_IDENTIFIER: [1]}),
    ],
)
def test_receive_ends_the_conversation_at_packets_that_are_not_for_a_server(packet):
    client = Client()
    client.connect()
    assert client.say(packet)[0].reason == Reason.PROTOCOL_ERROR
    assert client.heard()[0].reason == Reason.PROTOCOL_ERROR


def test_receive_hands_over_subscriptions_and_acknowledgements():
    client = Client()
    client.connect()
    wanted = mqtt.Subscription("a", 1)
    assert client.say(
        mqtt.Subscribe(3, (wanted,)), mqtt.Unsubscribe(4, ("a",)), mqtt.Acknowledgement(mqtt.PUBACK, 5, 0x10)
    ) == [Subscribing(3, (wanted,)), Unsubscribing(4, ("a",)), Acknowledged(5, 0x10)]
    client.connection.grant(3, [1])
    client.connection.release(4, [0])
    assert client.heard() == [mqtt.Suback(3, (1,)), mqtt.Unsuback(4, (0,))]


def test_grant_knows_one_failure_alone_in_version_311():
    client = Client(V311)
    client.connect()
    client.connection.grant(3, [1, Reason.NOT_AUTHORIZED])
    assert client.heard() == [mqtt.Suback(3, (1, 0x80))]


def test_receive_answers_a_ping():
    client = Client()
    client.connect()
    assert client.say(mqtt.Ping()) == []
    assert client.heard() == [mqtt.Pong()]


@pytest.mark.parametrize(("reason", "will"), [(0, False), (4, True)])
def test_receive_keeps_the_will_when_the_client_leaves_without_dropping_it(reason, will):
    client = Client()
    client.connect()
    assert client.say(mqtt.Disconnect(reason))[0] == Ended(Reason.SUCCESS, will, "It took its leave")


def test_receive_lets_a_leaving_client_change_its_sessions_end_but_not_begin_one():
    keeps = Client(properties={Property.SESSION_EXPIRY_INTERVAL: 60})
    keeps.connect()
    keeps.say(mqtt.Disconnect(0, {Property.SESSION_EXPIRY_INTERVAL: 5}))
    assert keeps.connection.session_expiry == 5
    none = Client()
    none.connect()
    assert (
        none.say(mqtt.Disconnect(0, {Property.SESSION_EXPIRY_INTERVAL: 5}))[0].reason == Reason.PROTOCOL_ERROR
    )


def test_overdue_ends_a_connection_that_never_introduces_itself():
    connection = Connection(LIMITS, now=100.0)
    assert connection.overdue(109.0) is None
    assert connection.overdue(111.0).will is False


def test_overdue_waits_one_and_a_half_keep_alives():
    client = Client(keep_alive=20)
    client.connect()
    client.say(mqtt.Ping(), now=50.0)
    assert client.connection.overdue(79.0) is None
    end = client.connection.overdue(81.0)
    assert (end.reason, end.will) == (Reason.KEEP_ALIVE_TIMEOUT, True)
    assert client.heard()[-1].reason == Reason.KEEP_ALIVE_TIMEOUT


def test_overdue_holds_for_a_client_of_version_311_without_keep_alive():
    client = Client(V311, keep_alive=0)
    client.connect()
    assert client.connection.overdue(149.0) is None
    assert client.connection.overdue(151.0) is not None


def test_overdue_ends_a_client_that_drips_one_packet_for_ever():
    client = Client(keep_alive=100)
    client.connect()
    packet = encode(Publish("a", b"x" * 500), V5)
    for second in range(26):
        assert client.connection.receive(packet[second : second + 1], float(second)) == []
        assert client.connection.overdue(float(second)) is None
    assert client.connection.overdue(26.0).reason == Reason.KEEP_ALIVE_TIMEOUT


def test_lost_holds_the_will_unless_the_client_has_left():
    client = Client()
    client.connect()
    assert client.connection.lost().will is True
    assert client.connection.lost() is None


def message(key, topic="t"):
    return Outgoing(key, topic, key.encode())


def test_session_sends_what_fits_and_the_rest_when_acknowledged():
    client = Client(properties={Property.RECEIVE_MAXIMUM: 2})
    client.connect()
    session = Session("d", "c")
    session.topics["t"] = 1
    assert [session.enqueue(message(key), LIMITS) for key in "abcde"] == [True, True, True, True, False]
    session.send(client.connection)
    assert [(p.payload, p.packet_id, p.duplicate) for p in client.heard()] == [
        (b"a", 1, False),
        (b"b", 2, False),
    ]
    assert session.acknowledged(1).key == "a"
    assert session.acknowledged(1) is None
    session.send(client.connection)
    assert [p.payload for p in client.heard()] == [b"c"]
    assert session.keys == {"b", "c", "d"}


def test_session_sends_again_after_a_broken_connection_what_was_not_acknowledged():
    session = Session("d", "c")
    session.topics["t"] = 1
    session.enqueue(message("a"), LIMITS)
    session.send(first := Client().connection)
    first.take()
    again = Client()
    again.connect()
    session.resend(again.connection)
    assert [(p.payload, p.qos, p.duplicate) for p in again.heard()] == [(b"a", 1, True)]


def test_session_sends_once_by_qos_0_where_the_client_asked_for_that():
    client = Client()
    client.connect()
    session = Session("d", "c")
    session.topics["t"] = 0
    session.enqueue(message("a"), LIMITS)
    assert [gone.key for gone in session.send(client.connection)] == ["a"]
    assert client.heard()[0].qos == 0
    assert session.keys == set()


def test_session_withdraws_what_it_has_not_sent():
    session = Session("d", "c")
    session.enqueue(message("a"), LIMITS)
    session.withdraw("a")
    assert session.keys == set()


SAID = st.lists(
    st.one_of(
        st.builds(Publish, st.sampled_from(["a", "a/b"]), st.binary(max_size=9)),
        st.builds(
            lambda number, body: Publish("a", body, 1, packet_id=number),
            st.integers(1, 9),
            st.binary(max_size=9),
        ),
        st.just(Publish("a", b"", 2, packet_id=1)),
        st.just(mqtt.Ping()),
        st.just(mqtt.Subscribe(1, (mqtt.Subscription("a"),))),
        st.just(mqtt.Disconnect()),
        st.just(mqtt.Connect("b")),
    ),
    max_size=8,
)


@given(SAID, st.lists(st.integers(0, 200), max_size=5), st.binary(max_size=5))
@settings(max_examples=300, deadline=None)
def test_receive_says_the_same_however_the_stream_is_cut(said, cuts, noise):
    stream = b"".join(encode(packet, V5) for packet in [mqtt.Connect("c"), *said]) + noise
    whole = Connection(LIMITS, 0.0)
    expected = whole.receive(stream, 0.0)
    places = sorted(min(cut, len(stream)) for cut in cuts)
    pieces = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    cut = Connection(LIMITS, 0.0)
    assert [event for piece in pieces for event in cut.receive(piece, 0.0)] == expected
    assert cut.take() == whole.take()
