"""What of a change becomes readings."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from cityloom.history.extraction import LONGEST_TEXT, news_of
from cityloom.history.model import NewReading, ValueKind
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.time import to_millis
from cityloom.ngsild.model import entity, geo, json_value, point, prop, rel, text

NOON = datetime(2014, 9, 1, 12, tzinfo=UTC)
ACCEPTED = to_millis(NOON) + 5_000


def readings(kind=ChangeKind.UPDATED, named=None, **attributes):
    document = entity("Weather", "urn:a", attributes)
    change = Change(
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
    return list(news_of(change).readings)


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
    outline = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    found = readings(
        name=text(en="Frost"),
        config=json_value({"a": 1}),
        area=geo(outline),
        essay=prop("x" * (LONGEST_TEXT + 1)),
        nothing=prop(None),
    )
    assert found == []


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
