"""What of a change becomes readings."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from cityloom.history.extraction import LONGEST_TEXT, news_of
from cityloom.history.model import NewReading, Origin, ValueKind
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.time import to_millis
from cityloom.ngsild.model import entity, geo, json_value, point, prop, rel, text

NOON = datetime(2014, 9, 1, 12, tzinfo=UTC)
ACCEPTED = to_millis(NOON) + 5_000


def readings(kind=ChangeKind.UPDATED, named=None, **attributes):
    return list(news_of(change_of(kind, named, **attributes)).readings)


def change_of(kind=ChangeKind.UPDATED, named=None, scope=(), **attributes):
    document = entity("Weather", "urn:a", attributes, scope=scope)
    return Change(
        sequence=1,
        tenant="",
        entity_id="urn:a",
        types=("Weather",),
        kind=kind,
        information_class=InformationClass.OPEN,
        document=orjson.dumps(document),
        attributes=tuple(attributes) if named is None else named,
        at_millis=ACCEPTED,
        by="city",
        trace="",
    )


def test_news_of_a_property_has_its_unit_dataset_and_instant():
    item = prop(21.5, at=NOON, unit="CEL", dataset="urn:raw")
    assert readings(temperature=item) == [
        NewReading(
            "temperature", "urn:raw", "Property", "CEL", to_millis(NOON), ValueKind.NUMBER, 21.5, None, True
        )
    ]


def test_news_of_tells_each_kind_of_value():
    said = {
        "number": (ValueKind.NUMBER, 1.5, None),
        "whole": (ValueKind.INTEGER, 2.0, None),
        "flag": (ValueKind.BOOLEAN, 1.0, None),
        "word": (ValueKind.TEXT, None, "wet"),
        "pair": (ValueKind.JSON, None, "[1,2]"),
        "device": (ValueKind.TEXT, None, "urn:device"),
        "place": (ValueKind.JSON, None, '{"type":"Point","coordinates":[10,56]}'),
    }
    found = readings(
        number=prop(1.5),
        whole=prop(2),
        flag=prop(True),
        word=prop("wet"),
        pair=prop([1, 2]),
        device=rel("urn:device"),
        place=point(10, 56),
    )
    assert {one.attribute: (one.kind, one.number, one.text) for one in found} == said


def test_news_of_passes_over_what_is_no_reading():
    assert readings(essay=prop("x" * (LONGEST_TEXT + 1)), nothing=prop(None)) == []


def test_news_of_keeps_the_content_of_every_type_of_attribute():
    outline = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    found = readings(
        name=text(en="Frost"),
        config=json_value({"a": None}),
        area=geo(outline),
        about={"type": "VocabProperty", "vocab": ["frost", "ice"]},
        depths={"type": "ListProperty", "valueList": [1.5, 2]},
        route={"type": "ListRelationship", "objectList": ["urn:a", "urn:b"]},
    )
    assert {one.attribute: (one.attribute_type, orjson.loads(one.text)) for one in found} == {
        "name": ("LanguageProperty", {"en": "Frost"}),
        "config": ("JsonProperty", {"a": None}),
        "area": ("GeoProperty", outline),
        "about": ("VocabProperty", ["frost", "ice"]),
        "depths": ("ListProperty", [1.5, 2]),
        "route": ("ListRelationship", ["urn:a", "urn:b"]),
    }


def test_news_of_keeps_what_else_an_instance_has():
    low = prop(1.0)
    item = prop(2.0, attributes={"lower": low}) | {"valueType": "urn:number"}
    (found,) = readings(forecast=item)
    assert orjson.loads(found.details) == {"valueType": "urn:number", "attrs": {"lower": [low]}}
    assert found.number == 2.0


def test_news_of_tells_where_a_value_comes_from():
    said = {"dataOrigin": prop("replayed"), "temperature": prop(1)}
    own = prop(2, attributes={"dataOrigin": prop("estimated")})
    found = readings(**said, humidity=own)
    assert {one.attribute: one.origin for one in found} == {
        "dataOrigin": Origin.REPLAYED,
        "temperature": Origin.REPLAYED,
        "humidity": Origin.ESTIMATED,
    }
    assert [one.origin for one in readings(temperature=prop(1))] == [Origin.MEASURED]


def test_news_of_tells_the_datasets_that_stand():
    change = change_of(temperature=[prop(1), prop(2, dataset="urn:raw")], named=("temperature", "gone"))
    assert news_of(change).standing == {"temperature": ("", "urn:raw"), "gone": ()}


def test_news_of_scopes_is_a_property_observed_when_it_was_written():
    written = change_of(named=("scope",), scope=["/Old"])
    (found,) = news_of(written).readings
    assert (found.attribute, found.text, found.at, found.observed) == ("scope", "/Old", ACCEPTED, True)
    created = news_of(change_of(kind=ChangeKind.CREATED, scope=["/A", "/B"]))
    assert [orjson.loads(one.text) for one in created.readings] == [["/A", "/B"]]
    assert news_of(change_of(named=("scope",))).standing == {"scope": ()}
    assert news_of(change_of(named=("temperature",), temperature=prop(1), scope=["/A"])).readings[
        0
    ].attribute == ("temperature")


def test_news_of_takes_only_the_attributes_that_the_change_names():
    found = readings(named=("humidity", "gone"), temperature=prop(1), humidity=prop(2))
    assert [one.attribute for one in found] == ["humidity"]


def test_news_of_a_deletion_has_no_readings():
    assert readings(kind=ChangeKind.DELETED, temperature=prop(1)) == []


def test_news_of_without_observed_at_counts_from_when_it_was_written():
    written = prop(1) | {"modifiedAt": "2014-09-01T12:00:00Z"}
    assert [(one.at, one.observed) for one in readings(temperature=written)] == [(to_millis(NOON), False)]
    assert [(one.at, one.observed) for one in readings(temperature=prop(1))] == [(ACCEPTED, False)]


def test_news_of_an_instant_beyond_the_calendar_counts_from_the_change():
    edge = prop(1) | {"observedAt": "0001-01-01T00:00:00+14:00"}
    assert [one.at for one in readings(temperature=edge)] == [ACCEPTED]


def test_news_of_each_instance_is_a_reading_of_its_own():
    found = readings(temperature=[prop(1), prop(2, dataset="urn:forecast")])
    assert [(one.number, one.dataset) for one in found] == [(1.0, ""), (2.0, "urn:forecast")]
