"""The MQTT codec: valid packets survive the way there and back, everything else is refused in one way."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt import properties as wire
from cityloom.sensing.mqtt.encoding import encode, puback
from cityloom.sensing.mqtt.packets import PacketReader
from cityloom.sensing.mqtt.properties import MalformedPacket, Property, Reason
from cityloom.sensing.mqtt.topics import filter_is_valid, matches

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
TOPIC = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0+#$"), min_size=1, max_size=20
).filter(lambda text: text.count("/") < 30)
PAYLOAD = st.binary(max_size=300)
ID = st.integers(1, 65535)
TWO = st.integers(1, 65535)
FOUR = st.integers(1, 2**32 - 1)

VALUES = {
    Property.PAYLOAD_FORMAT_INDICATOR: st.integers(0, 1),
    Property.MESSAGE_EXPIRY_INTERVAL: FOUR,
    Property.CONTENT_TYPE: TEXT,
    Property.RESPONSE_TOPIC: TEXT,
    Property.CORRELATION_DATA: PAYLOAD,
    Property.SUBSCRIPTION_IDENTIFIER: st.lists(st.integers(1, 2**28 - 1), min_size=1, max_size=3),
    Property.SESSION_EXPIRY_INTERVAL: FOUR,
    Property.ASSIGNED_CLIENT_IDENTIFIER: TEXT,
    Property.SERVER_KEEP_ALIVE: TWO,
    Property.AUTHENTICATION_METHOD: TEXT,
    Property.AUTHENTICATION_DATA: PAYLOAD,
    Property.REQUEST_PROBLEM_INFORMATION: st.integers(0, 1),
    Property.WILL_DELAY_INTERVAL: FOUR,
    Property.REQUEST_RESPONSE_INFORMATION: st.integers(0, 1),
    Property.RESPONSE_INFORMATION: TEXT,
    Property.SERVER_REFERENCE: TEXT,
    Property.REASON_STRING: TEXT,
    Property.RECEIVE_MAXIMUM: TWO,
    Property.TOPIC_ALIAS_MAXIMUM: TWO,
    Property.TOPIC_ALIAS: TWO,
    Property.MAXIMUM_QOS: st.integers(0, 1),
    Property.RETAIN_AVAILABLE: st.integers(0, 1),
    Property.USER_PROPERTY: st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3),
    Property.MAXIMUM_PACKET_SIZE: FOUR,
    Property.WILDCARD_SUBSCRIPTION_AVAILABLE: st.integers(0, 1),
    Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE: st.integers(0, 1),
    Property.SHARED_SUBSCRIPTION_AVAILABLE: st.integers(0, 1),
}


def properties(allowed):
    return st.fixed_dictionaries({}, optional={int(number): VALUES[number] for number in allowed})


def in_v5(version, allowed):
    return properties(allowed) if version == mqtt.V5 else st.just({})


def wills(version):
    return st.builds(
        mqtt.Will, TOPIC, PAYLOAD, st.integers(0, 2), st.booleans(), in_v5(version, wire.IN_WILL)
    )


@st.composite
def connects(draw, version):
    password = draw(st.none() | PAYLOAD)
    username = draw(TEXT if password is not None and version == mqtt.V311 else st.none() | TEXT)
    return mqtt.Connect(
        draw(TEXT),
        version,
        draw(st.booleans()),
        draw(st.integers(0, 65535)),
        username,
        password,
        draw(st.none() | wills(version)),
        draw(in_v5(version, wire.IN_CONNECT)),
    )


@st.composite
def publishes(draw, version):
    qos = draw(st.integers(0, 2))
    return mqtt.Publish(
        draw(TOPIC),
        draw(PAYLOAD),
        qos,
        draw(st.booleans()),
        draw(st.booleans()) if qos else False,
        draw(ID) if qos else 0,
        draw(in_v5(version, wire.IN_PUBLISH)),
    )


def subscriptions(version):
    if version == mqtt.V311:
        return st.builds(mqtt.Subscription, TEXT, st.integers(0, 2))
    return st.builds(
        mqtt.Subscription, TEXT, st.integers(0, 2), st.booleans(), st.booleans(), st.integers(0, 2)
    )


def with_reason(kind, version, allowed, *before):
    if version == mqtt.V311:
        return st.builds(kind, *before)
    return st.builds(kind, *before, st.integers(0, 255), properties(allowed))


def packets(version):
    kinds = st.sampled_from([mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBREL, mqtt.PUBCOMP])
    reasons = st.lists(st.integers(0, 255), min_size=1, max_size=5).map(tuple)
    acknowledged = in_v5(version, wire.IN_ACKNOWLEDGEMENT)
    some = [
        publishes(version),
        st.builds(mqtt.Connack, st.booleans(), st.integers(0, 255), in_v5(version, wire.IN_CONNACK)),
        with_reason(mqtt.Acknowledgement, version, wire.IN_ACKNOWLEDGEMENT, kinds, ID),
        st.builds(
            mqtt.Subscribe,
            ID,
            st.lists(subscriptions(version), min_size=1, max_size=3).map(tuple),
            in_v5(version, wire.IN_SUBSCRIBE),
        ),
        st.builds(mqtt.Suback, ID, reasons, acknowledged),
        st.builds(
            mqtt.Unsubscribe,
            ID,
            st.lists(TEXT, min_size=1, max_size=3).map(tuple),
            in_v5(version, wire.IN_UNSUBSCRIBE),
        ),
        st.builds(mqtt.Unsuback, ID, reasons if version == mqtt.V5 else st.just(()), acknowledged),
        st.just(mqtt.Ping()),
        st.just(mqtt.Pong()),
        with_reason(mqtt.Disconnect, version, wire.IN_DISCONNECT),
    ]
    if version == mqtt.V5:
        some.append(with_reason(mqtt.Auth, version, wire.IN_AUTH))
    return st.one_of(some)


VERSIONS = st.sampled_from([mqtt.V311, mqtt.V5])
CONVERSATIONS = VERSIONS.flatmap(
    lambda version: st.tuples(connects(version), st.lists(packets(version), max_size=5)).map(
        lambda both: (version, [both[0], *both[1]])
    )
)


def written(version, conversation):
    return b"".join(encode(packet, version) for packet in conversation)


def read(chunks):
    """What a reader makes of the chunks: the packets, and the reason it stopped or None."""
    reader, found = PacketReader(), []
    try:
        for chunk in chunks:
            found.extend(list_until_wrong(reader, chunk, found))
    except MalformedPacket as error:
        return found, error.reason
    return found, None


def list_until_wrong(reader, chunk, found):
    for packet in reader.feed(chunk):
        found.append(packet)
    return []


@given(CONVERSATIONS)
@settings(max_examples=120, deadline=None)
def test_encode_is_undone_by_the_reader(conversation):
    version, said = conversation
    assert read([written(version, said)]) == (said, None)


@given(CONVERSATIONS, st.data())
@settings(max_examples=80, deadline=None)
def test_reader_gives_the_same_packets_however_the_stream_is_cut(conversation, data):
    stream = written(*conversation)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(pieces) == read([stream])


@given(CONVERSATIONS, st.data())
@settings(max_examples=80, deadline=None)
def test_reader_refuses_mutated_packets_with_malformed_packet_alone(conversation, data):
    stream = bytearray(written(*conversation))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(stream) - 1))
        how = data.draw(st.sampled_from(["change", "drop", "insert"]))
        if how == "change":
            stream[place] = data.draw(st.integers(0, 255))
        elif how == "drop" and len(stream) > 1:
            del stream[place]
        else:
            stream.insert(place, data.draw(st.integers(0, 255)))
    whole = read([bytes(stream)])
    assert whole == read([stream[i : i + 1] for i in range(len(stream))])


@given(st.binary(max_size=400))
@settings(max_examples=80, deadline=None)
def test_reader_refuses_arbitrary_bytes_with_malformed_packet_alone(noise):
    assert read([noise]) == read([noise[i : i + 1] for i in range(len(noise))])


@given(VERSIONS, st.binary(max_size=200), st.integers(1, 15), st.integers(0, 15))
@settings(max_examples=80, deadline=None)
def test_reader_refuses_arbitrary_bodies_after_connect_with_malformed_packet_alone(version, body, kind, bits):
    stream = encode(mqtt.Connect("a", version), version)
    stream += bytes((kind << 4 | bits,)) + wire.write_varint(len(body)) + body
    assert read([stream]) == read([stream[:7], stream[7:]])


def refused(*chunks):
    with pytest.raises(MalformedPacket) as caught:
        reader = PacketReader(largest=1000)
        for chunk in chunks:
            list(reader.feed(chunk))
    return caught.value.reason


HELLO = encode(mqtt.Connect("a", mqtt.V5), mqtt.V5)


@pytest.mark.parametrize("topic", ["", "a/+/b", "a/#", "$SYS/a", "x" * 600, "/".join("a" * 40)])
def test_reader_refuses_a_topic_that_cannot_be_published_to(topic):
    assert refused(HELLO, encode(mqtt.Publish(topic, b""), mqtt.V5)) == Reason.TOPIC_NAME_INVALID


def test_reader_refuses_a_large_packet_before_it_has_arrived():
    assert refused(HELLO, b"\x30\xff\xff\x03") == Reason.PACKET_TOO_LARGE


def test_reader_refuses_anything_before_connect():
    assert refused(encode(mqtt.Ping(), mqtt.V5)) == Reason.PROTOCOL_ERROR
    assert refused(encode(mqtt.Publish("a", b""), mqtt.V5)) == Reason.PROTOCOL_ERROR


def test_reader_refuses_other_versions_of_the_protocol():
    old = b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01a"
    assert refused(old) == Reason.UNSUPPORTED_PROTOCOL_VERSION


def test_reader_refuses_a_length_of_five_bytes():
    assert refused(HELLO, b"\x30\xff\xff\xff\xff\x01") == Reason.MALFORMED_PACKET


def test_reader_takes_an_empty_topic_with_an_alias():
    alias = {Property.TOPIC_ALIAS: 3}
    aliased = mqtt.Publish("", b"1", properties=alias)
    assert read([HELLO, encode(aliased, mqtt.V5)])[0][1] == aliased


def test_puback_is_what_encode_writes():
    assert puback(513) == encode(mqtt.Acknowledgement(mqtt.PUBACK, 513), mqtt.V5)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("+", "/a", False),
        ("+/+", "/a", True),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "a/b", True),
        ("#", "$SYS/a", False),
        ("+/a", "$SYS/a", False),
        ("$SYS/#", "$SYS/a", True),
        ("a/+/c", "a//c", True),
        ("a/b/c", "a/b", False),
    ],
)
def test_matches_follows_the_standards_examples(topic_filter, topic, expected):
    assert matches(topic_filter, topic) is expected


@pytest.mark.parametrize(
    ("topic_filter", "valid"),
    [
        ("#", True),
        ("a/#", True),
        ("a#", False),
        ("a/#/b", False),
        ("+/a", True),
        ("a+/b", False),
        ("", False),
    ],
)
def test_filter_is_valid_keeps_wildcards_alone_in_their_level(topic_filter, valid):
    assert filter_is_valid(topic_filter) is valid
