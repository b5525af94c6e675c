"""From JSON to Entities by fields and topics."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.kernel.errors import BadConfig, BadInput, CityError, NotAllowed
from cityloom.ngsild.model import entity, geo, point, prop, rel, value_of
from cityloom.sensing.fields import FieldMap, map_of_profile, read_field_map, readings_of
from cityloom.sensing.mapping import TopicMapping, TopicMappings
from cityloom.sensing.model import Device, Measure, Message, Profile

NOON = datetime(2026, 4, 12, 12, 0, tzinfo=UTC)
FARM_ID = "urn:ngsi-ld:WeatherObserved:farm-7"
PROFILE = Profile(
    "WeatherObserved",
    FARM_ID,
    {"t": Measure("temperature", "CEL"), "air.rh": Measure("relativeHumidity", "P1")},
)
FARM = Device("farm-7", profile=PROFILE)


def message(body, topic="cityloom/farm-7/readings", device=FARM):
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return Message("mqtt", topic, raw, NOON, device)


def one(body, fields, device=None):
    (document,) = readings_of(body, message(b"", device=device), fields, "WeatherObserved", FARM_ID)
    return document


def test_decode_understands_a_device_by_its_profile():
    assert TopicMappings([]).decode(message({"t": 1.5, "air": {"rh": 88}, "rssi": -70})) == [
        entity(
            "WeatherObserved",
            FARM_ID,
            {
                "temperature": prop(1.5, at=NOON, unit="CEL"),
                "relativeHumidity": prop(88, at=NOON, unit="P1"),
                "refDevice": rel("urn:ngsi-ld:Device:farm-7"),
            },
        )
    ]


def test_decode_takes_the_profile_of_today():
    mappings = TopicMappings([])
    mappings.decode(message({"t": 1.5}))
    changed = Device("farm-7", profile=Profile("WeatherObserved", "urn:ngsi-ld:WeatherObserved:farm-8"))
    (document,) = mappings.decode(message({"temperature": 1.5}, device=changed))
    assert document["id"] == "urn:ngsi-ld:WeatherObserved:farm-8"


def test_decode_refuses_a_device_whose_readings_nobody_has_explained():
    with pytest.raises(BadInput, match="about") as caught:
        TopicMappings([]).decode(message({"t": 1}, device=Device("farm-7")))
    assert "profile" in caught.value.hint


def test_readings_of_takes_every_field_by_its_own_name_where_none_is_mapped():
    document = one(
        {"id": "x", "type": "y", "temperature": 1, "ts": 0, "open": True, "note": None},
        FieldMap(time=("ts",)),
    )
    assert list(document["attrs"]) == ["temperature", "open"]


def test_readings_of_takes_a_list_of_readings_each_with_its_time():
    documents = readings_of(
        [{"t": 1, "at": "2026-04-12T10:00:00Z"}, {"t": 2, "at": "2026-04-12T13:00:00+02:00"}],
        message(b"", device=None),
        FieldMap(((("t",), Measure("temperature")),), ("at",)),
        "WeatherObserved",
        FARM_ID,
    )
    assert [item["attrs"]["temperature"][0]["observedAt"] for item in documents] == [
        "2026-04-12T10:00:00Z",
        "2026-04-12T11:00:00Z",
    ]


@pytest.mark.parametrize("written", [1775995200, 1775995200000, 1775995200.0, "2026-04-12T12:00:00Z"])
def test_readings_of_reads_an_instant_in_seconds_milliseconds_or_words(written):
    document = one({"t": 1, "ts": written}, FieldMap(time=("ts",)))
    assert document["attrs"]["t"][0]["observedAt"] == "2026-04-12T12:00:00Z"


def test_readings_of_takes_a_bare_number():
    document = one(21.5, read_field_map({"fields": {"": "temperature"}}, "x"))
    assert value_of(document, "temperature") == 21.5


def test_readings_of_places_what_moves():
    fields = read_field_map({"longitude": "pos.lon", "latitude": "pos.lat", "fields": {"v": "speed"}}, "x")
    document = one({"pos": {"lon": 10.2, "lat": 56.1}, "v": 3}, fields)
    assert document["attrs"]["location"] == [geo(point(10.2, 56.1)["value"], at=NOON)]
    assert "location" not in one({"v": 3}, fields)["attrs"]


@pytest.mark.parametrize(
    ("body", "fields", "where"),
    [
        ({"t": [1]}, FieldMap(), "t"),
        ({"t": {"a": 1}}, FieldMap(), "t"),
        ({"t": "x" * 3000}, FieldMap(), "t"),
        ({"a b": 1}, FieldMap(), "a b"),
        ({str(n): 1 for n in range(300)}, FieldMap(), "body"),
        ({}, FieldMap(), "body"),
        ({"x": 1}, FieldMap(((("t",), Measure("temperature")),)), "body"),
        ({"t": None}, FieldMap(), "body"),
        ([], FieldMap(), "body"),
        ([{"t": 1}] * 1001, FieldMap(), "body"),
        ([{"t": 1}, {"t": []}], FieldMap(), "[1].t"),
        ("warm", FieldMap(), ""),
        ({"t": 1}, FieldMap(time=("ts",)), "ts"),
        ({"t": 1, "ts": "yesterday"}, FieldMap(time=("ts",)), "ts"),
        ({"t": 1, "ts": True}, FieldMap(time=("ts",)), "ts"),
        ({"t": 1, "ts": 1e300}, FieldMap(time=("ts",)), "ts"),
        ({"t": 1, "lon": 56, "lat": 100}, FieldMap(position=(("lon",), ("lat",))), "lat"),
        ({"t": 1, "lon": "x", "lat": 1}, FieldMap(position=(("lon",), ("lat",))), "lon"),
        ({"t": 1, "lon": 1}, FieldMap(position=(("lon",), ("lat",))), "lat"),
    ],
)
def test_readings_of_names_what_is_wrong(body, fields, where):
    with pytest.raises(BadInput) as caught:
        one(body, fields)
    assert caught.value.where == where
    assert caught.value.hint


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"NaN", b"1e999", b'{"t": "\\ud800"}', b"[" * 100_000, b'{"t":1}x', b"\x00"]
)
def test_decode_refuses_what_is_not_json(body):
    with pytest.raises(BadInput, match="not JSON"):
        TopicMappings([]).decode(message(body))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["t", "air", "rh", "ts"]), inner)
    ),
    max_leaves=8,
)


@given(JSON, st.sampled_from([PROFILE, Profile("X", "urn:x:y", {}, "ts"), Profile("X", "urn:x:y")]))
@settings(max_examples=300, deadline=None)
def test_decode_raises_nothing_but_city_errors(data, profile):
    try:
        body = orjson.dumps(data)
    except orjson.JSONEncodeError:
        return
    try:
        documents = TopicMappings([]).decode(message(body, device=Device("farm-7", profile=profile)))
    except CityError:
        return
    assert all(document["attrs"] for document in documents)


SAID = {"s": 1, "ts": 1775995200}
BIN = {
    "topic": "city/{type}/{device}",
    "time": "ts",
    "fields": {"fill": {"attribute": "fillingLevel", "unit": "P1"}, "s": "status"},
}


def test_decode_makes_type_and_id_of_the_topics_placeholders():
    (document,) = TopicMappings([BIN]).decode(
        message({"fill": 70, "s": "ok", "ts": 1775995200}, "city/WasteContainer/bin-3", Device("bin-3"))
    )
    assert (document["id"], document["type"]) == ("urn:ngsi-ld:WasteContainer:bin-3", ["WasteContainer"])
    assert value_of(document, "fillingLevel") == 70
    assert value_of(document, "status") == "ok"


def test_decode_takes_the_first_rule_that_matches():
    fixed = {"topic": "city/WasteContainer/{device}", "type": "WasteContainer", "id": "urn:x:{device}"}
    (document,) = TopicMappings([fixed, BIN]).decode(message(SAID, "city/WasteContainer/b", Device("b")))
    assert document["id"] == "urn:x:b"


def test_decode_refuses_a_topic_that_nobody_mapped():
    with pytest.raises(BadInput) as caught:
        TopicMappings([BIN]).decode(message({"t": 1}, "somewhere/else"))
    assert caught.value.where == "topic"
    assert "city/{type}/{device}" in caught.value.hint


@pytest.mark.parametrize(
    "topic", ["city/WasteContainer/b/c", "city/WasteContainer", "city/Waste Container/b", "city//b"]
)
def test_decode_matches_whole_levels_that_can_stand_in_an_id(topic):
    with pytest.raises(BadInput, match="No mapping knows"):
        TopicMappings([BIN]).decode(message(SAID, topic, Device("b")))


def test_decode_keeps_a_device_from_speaking_for_another():
    mappings = TopicMappings([BIN])
    with pytest.raises(NotAllowed):
        mappings.decode(message(SAID, "city/WasteContainer/bin-3", Device("bin-4")))
    with pytest.raises(BadInput):
        mappings.decode(message({"t": 1}, "cityloom/farm-7/readings", Device("farm-8", profile=PROFILE)))
    gateway = Device("gateway", publishes=("city/WasteContainer/#",))
    assert mappings.decode(message(SAID, "city/WasteContainer/bin-3", gateway))
    with pytest.raises(NotAllowed):
        mappings.decode(message(SAID, "city/Streetlight/l-1", gateway))


def test_decode_believes_a_source_that_is_not_a_device():
    assert TopicMappings([BIN]).decode(message(SAID, "city/WasteContainer/bin-3", None))


def test_topic_filter_is_what_a_bridge_subscribes_to():
    assert TopicMapping(BIN, "x").topic_filter == "city/+/+"


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({"topic": ""}, "m[0].topic"),
        ({"topic": "a/+/b"}, "m[0].topic"),
        ({"topic": "a/#"}, "m[0].topic"),
        ({"topic": "a/{type}x"}, "m[0].topic"),
        ({"topic": "a/{TYPE}"}, "m[0].topic"),
        ({"topic": "$SYS/{type}"}, "m[0].topic"),
        ({"topic": 3}, "m[0].topic"),
        ({"topic": "a/{device}"}, "m[0].type"),
        ({"topic": "a/{type}"}, "m[0].id"),
        ({"topic": "a", "type": "X", "id": "urn:{name}"}, "m[0].id"),
        ({"topic": "a/{type}/{device}", "fields": 3}, "m[0].fields"),
        ({"topic": "a/{type}/{device}", "fields": {"t": "a b"}}, "m[0].fields.t"),
        ({"topic": "a/{type}/{device}", "fields": {"t": {"unit": "CEL"}}}, "m[0].fields.t"),
        ({"topic": "a/{type}/{device}", "longitude": "x"}, "m[0]"),
        ({"topic": "a/{type}/{device}", "filds": {}}, "m[0]"),
    ],
)
def test_mappings_name_the_setting_that_is_wrong(said, where):
    with pytest.raises(BadConfig) as caught:
        TopicMappings([said], "m")
    assert caught.value.where == where


def test_mappings_remember_a_bounded_number_of_addresses(monkeypatch):
    monkeypatch.setattr(TopicMappings, "MOST", 3)
    mappings = TopicMappings([BIN])
    for number in range(10):
        mappings.decode(message(SAID, f"city/WasteContainer/{number}", None))
    assert len(mappings._bindings) <= 3


def test_map_of_profile_keeps_paths_units_and_time():
    profile = Profile("X", "urn:x:y", {"a.b": Measure("c", "CEL")}, "d.e")
    assert map_of_profile(profile) == FieldMap(((("a", "b"), Measure("c", "CEL")),), ("d", "e"))
