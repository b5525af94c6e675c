"""A late reading goes into history and does not become the present."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cityloom.ngsild.model import entity, prop, rel
from cityloom.sensing.newest import Newest

NOON = datetime(2026, 4, 12, 12, 0, tzinfo=UTC)
ID = "urn:ngsi-ld:WeatherObserved:farm-7"


def reading(value, minutes=0, **more):
    at = NOON + timedelta(minutes=minutes)
    return entity("WeatherObserved", ID, {"temperature": prop(value, at=at), **more})


def nothing(_entity_id):
    return None


def test_arrange_writes_the_present_again_behind_a_late_reading():
    newest = Newest(nothing)
    assert newest.arrange(reading(1, 10)) is None
    assert newest.arrange(reading(2, 5)) == reading(1, 10)
    assert newest.arrange(reading(3, 10)) is None
    assert newest.arrange(reading(4, 6)) == reading(3, 10)


def test_arrange_tells_fractions_of_a_second_apart():
    newest = Newest(nothing)
    newest.arrange(entity("T", ID, {"t": prop(1, at=NOON)}))
    assert newest.arrange(entity("T", ID, {"t": prop(2, at=NOON + timedelta(milliseconds=500))})) is None
    assert newest.arrange(entity("T", ID, {"t": prop(3, at=NOON)})) is not None


def test_arrange_looks_at_each_attribute_by_itself():
    newest = Newest(nothing)
    newest.arrange(reading(1, 10))
    behind = newest.arrange(reading(2, 5, humidity=prop(88, at=NOON)))
    assert behind == reading(1, 10)


def test_arrange_asks_for_an_entity_that_it_has_not_seen_yet():
    newest = Newest(lambda entity_id: reading(1, 10) if entity_id == ID else None)
    assert newest.arrange(reading(2, 5)) == reading(1, 10)


def test_arrange_leaves_values_without_a_time_and_datasets_alone():
    newest = Newest(nothing)
    forecast = prop(9, at=NOON + timedelta(days=1), dataset="urn:x:forecast")
    newest.arrange(entity("T", ID, {"t": forecast, "name": prop("roof")}))
    assert newest.arrange(entity("T", ID, {"t": prop(1, at=NOON), "name": prop("roof")})) is None


def test_arrange_takes_out_a_device_that_stands_already():
    newest = Newest(nothing)
    first, second = (reading(value, refDevice=rel("urn:ngsi-ld:Device:d")) for value in (1, 2))
    other = reading(3, refDevice=rel("urn:ngsi-ld:Device:e"))
    for document in (first, second, other):
        newest.arrange(document)
    assert "refDevice" in first["attrs"]
    assert "refDevice" not in second["attrs"]
    assert "refDevice" in other["attrs"]


def test_forget_makes_it_look_again():
    stands = {}
    newest = Newest(stands.get)
    newest.arrange(reading(1, 10))
    newest.forget(ID)
    assert newest.arrange(reading(2, 5)) is None


def test_newest_remembers_a_bounded_number_of_entities():
    newest = Newest(nothing, most=2)
    for number in range(5):
        newest.arrange(entity("T", f"urn:x:{number}", {"t": prop(1, at=NOON)}))
    assert len(newest._known) == 2
