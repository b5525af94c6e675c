"""Values by district: worked out where things lie, entered, imported, told with what speaks against them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import cityloom_catalogue
from cityloom.indicators.districts.comparing import DistrictDoubt, by_district
from cityloom.indicators.districts.places import District, inside, read_districts
from cityloom.indicators.evidence import Upload
from cityloom.indicators.exchange.files import read_values
from cityloom.indicators.framework import read_framework
from cityloom.indicators.model import Entry, Quality
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed, NotFound
from cityloom.ngsild.model import entity, geo, point, prop, text, value_of

FRAMEWORKS = Path(next(iter(cityloom_catalogue.__path__))) / "frameworks"
LIGHTS = "urn:ngsi-ld:KeyPerformanceIndicator:city:S2"
DUST = "urn:ngsi-ld:KeyPerformanceIndicator:city:S1"
REPORTS = "urn:ngsi-ld:KeyPerformanceIndicator:city:A1"
HOMES = "urn:ngsi-ld:KeyPerformanceIndicator:u4ssc:EC:ICT:ICT:1C"
NORTH, SOUTH = "urn:ngsi-ld:District:north", "urn:ngsi-ld:District:south"
YEAR = {"since": datetime(2013, 1, 1, tzinfo=UTC), "until": datetime(2014, 1, 1, tzinfo=UTC)}
ENTRY = Entry(value=91.5, source="the statistics office", quality=Quality.SURVEY, **YEAR)


def square(west, south, size=1.0):
    east, north = west + size, south + size
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


async def district(city, entity_id, name, area, information_class=None):
    document = entity("District", entity_id, {"name": text(**name), "location": geo(area)})
    await city.write(document, information_class=information_class)


@pytest.fixture
async def room(city):
    await district(city, NORTH, {"en": "North end", "da": "Nordbyen"}, square(10, 56))
    await district(city, SOUTH, {"en": "South end"}, square(10, 55))
    room = city.indicators(read_framework(FRAMEWORKS / "city"), read_framework(FRAMEWORKS / "u4ssc"))
    await room.publish()
    await city.stage.reached(city.broker.last_sequence)
    return room


async def light(city, key, longitude, latitude, status):
    document = entity("Streetlight", f"urn:ngsi-ld:Streetlight:{key}", {"status": prop(status)})
    document["attrs"]["location"] = [point(longitude, latitude)]
    await city.write(document)


# Where things lie


def test_each_thing_lies_in_one_district_or_in_none():
    north, south = (
        District(name, {"en": name}, square(10, south)) for name, south in (("north", 56), ("south", 55))
    )
    nowhere = District("nowhere", {"en": "Nowhere"})
    street = {"type": "LineString", "coordinates": [[10.5, 55.9], [10.5, 56.9]]}
    things = [
        entity("T", "a", {"location": point(10.5, 56.5)}),
        entity("T", "b", {"location": point(10.5, 55.5)}),
        entity("T", "border", {"location": point(10.5, 56.0)}),
        entity("T", "street", {"location": geo(street)}),
        entity("T", "far", {"location": point(12.0, 56.5)}),
        entity("T", "unplaced", {}),
    ]
    found = inside([north, south, nowhere], things)
    assert found == {"north": {"a", "border", "street"}, "south": {"b"}, "nowhere": frozenset()}


def test_a_district_without_a_usable_polygon_has_no_place():
    crossed = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
    districts = read_districts(
        [
            entity("District", "urn:ngsi-ld:District:b", {"name": text(en="B"), "location": point(1, 1)}),
            entity("District", "urn:x:a b", {"name": text(en="A"), "location": geo(crossed)}),
        ]
    )
    assert [one.area is None for one in districts] == [False, True]
    assert districts[1].key == "b" and len(districts[0].key) == 16
    assert districts[1].is_called(" b ") and not districts[1].is_called("A")


# Worked out


async def test_what_is_measured_is_worked_out_in_each_district(city, room):
    for key, latitude, status in (
        ("1", 56.5, "ok"),
        ("2", 56.6, "broken"),
        ("3", 55.5, "ok"),
        ("4", 50, "ok"),
    ):
        await light(city, key, 10.5, latitude, status)
    await room.compute()
    north, south = room.districts.of(ANONYMOUS, LIGHTS)
    assert (north.value, north.numerator, north.denominator, north.entities) == (50, 1, 2, 2)
    assert (south.value, south.entities, south.method) == (100, 1, "automatic")
    assert room.summary(ANONYMOUS, LIGHTS).value == 75
    document = city.broker.find(ANONYMOUS, north.id)
    assert document["type"] == ["DistrictIndicator"]
    assert value_of(document, "refIndicator") == LIGHTS and value_of(document, "refDistrict") == NORTH
    assert value_of(document, "name")["da"].endswith(": Nordbyen")


async def test_readings_of_a_district_come_from_history(city, room):
    first = datetime(2014, 9, 1, tzinfo=UTC)
    for key, latitude, dust in (("1", 56.5, 20.0), ("2", 55.5, 5.0)):
        sensor = f"urn:ngsi-ld:AirQualityObserved:{key}"
        await city.write(entity("AirQualityObserved", sensor, {"location": point(10.5, latitude)}))
        city.past(sensor, "pm25", "GQ", [(first + timedelta(hours=hour), dust) for hour in range(24 * 28)])
    await room.compute()
    north, south = room.districts.of(ANONYMOUS, DUST)
    assert (north.value, south.value) == (100, 0)
    assert north.rows == south.rows > 0 and north.coverage > 0.9


@pytest.mark.parametrize(
    ("in_the_south", "told"),
    [
        # What the two others would leave of the city's value tells of the few: the next smallest goes too.
        (4, [(2, 7), (None, None), (None, None)]),
        (5, [(2, 7), (2, 5), (2, 5)]),
    ],
)
async def test_few_people_s_reports_are_told_of_no_district(city, room, in_the_south, told):
    await district(city, "urn:ngsi-ld:District:west", {"en": "West end"}, square(8, 56))
    at, answered = "2014-09-20T08:00:00Z", [{"did": "answered", "at": "2014-09-20T10:00:00Z"}]
    places = [(10.5, 56.5)] * 7 + [(8.5, 56.5)] * 5 + [(10.5, 55.5)] * in_the_south
    for number, (longitude, latitude) in enumerate(places):
        said = {
            "dateIssued": prop(at),
            "history": prop(answered),
            "location": point(longitude, latitude),
        }
        document = entity("CitizenReport", f"urn:ngsi-ld:CitizenReport:{number}", said)
        await city.write(document, information_class=InformationClass.INTERNAL)
    await room.compute()
    assert [(one.value, one.entities) for one in room.districts.of(ANONYMOUS, REPORTS)] == told


async def test_what_is_secret_makes_no_district(city, room):
    await district(
        city, "urn:ngsi-ld:District:base", {"en": "Base"}, square(20, 56), InformationClass.SECURITY
    )
    await light(city, "1", 20.5, 56.5, "ok")
    await room.compute()
    assert [one.district.id for one in room.districts.of(ANONYMOUS, LIGHTS)] == [NORTH, SOUTH]
    assert not [one for one in city.broker.of_type(CITY, "DistrictIndicator") if "base" in one["id"]]


# Entered


async def test_a_value_of_a_district_is_entered_and_verified_by_another(city, room, planner, auditor):
    file = Upload(name="north.pdf", media_type="application/pdf", data=b"%PDF-1.7 north")
    found = await room.enter_for_district(planner, HOMES, NORTH, ENTRY, [file])
    assert (found.value, found.verified, found.method, found.evidence[0].name) == (
        91.5,
        False,
        "manual",
        "north.pdf",
    )
    with pytest.raises(NotAllowed):
        await room.districts.verify(planner, HOMES, NORTH)
    own = await room.enter_for_district(auditor, HOMES, SOUTH, ENTRY)
    with pytest.raises(NotAllowed, match="does not verify"):
        await room.districts.verify(auditor, HOMES, SOUTH)
    with pytest.raises(Conflict):
        await room.districts.verify(auditor, HOMES, NORTH, version=own.version + "0")
    assert (await room.districts.verify(auditor, HOMES, NORTH, version=found.version)).verified
    gone = await room.districts.withdraw(planner, HOMES, NORTH)
    assert (gone.value, gone.verified) == (None, False)
    assert room.summary(ANONYMOUS, HOMES).value is None


async def test_a_wrong_value_of_a_district_is_refused(room, planner):
    wrong = (
        ({"value": 120.0}, BadInput),
        ({"value": None}, BadInput),
        ({"until": datetime(2015, 1, 1, tzinfo=UTC)}, BadInput),
        ({"source": " "}, BadInput),
    )
    for changed, error in wrong:
        entry = Entry(**{"value": 91.5, "source": "x", **YEAR, **changed})
        with pytest.raises(error):
            await room.enter_for_district(planner, HOMES, NORTH, entry)
    with pytest.raises(NotFound):
        await room.enter_for_district(planner, HOMES, "urn:ngsi-ld:District:west", ENTRY)
    with pytest.raises(NotAllowed):
        await room.enter_for_district(ANONYMOUS, HOMES, NORTH, ENTRY)


async def test_an_entered_value_stands_where_data_could_answer(city, room, planner):
    entry = Entry(value=80.0, source="counted", **YEAR)
    await room.enter_for_district(planner, LIGHTS, NORTH, entry)
    await light(city, "1", 10.5, 56.5, "ok")
    await room.compute()
    assert room.districts.of(ANONYMOUS, LIGHTS)[0].value == 80


async def test_a_value_is_as_secret_as_its_district(city, room, planner):
    hidden = "urn:ngsi-ld:District:hidden"
    await district(city, hidden, {"en": "Hidden"}, square(30, 56), InformationClass.INTERNAL)
    found = await room.enter_for_district(planner, HOMES, hidden, ENTRY)
    assert city.broker.find(ANONYMOUS, found.id) is None
    assert hidden not in room.districts.history_ids(ANONYMOUS, HOMES)


# Imported


async def test_a_table_with_places_brings_values_of_districts(room, planner):
    table = (
        b"city,indicator,period,value,place\n"
        b"Aston,EC:ICT:ICT:1C,2013,95,\nAston,EC:ICT:ICT:1C,2013,91.5,Nordbyen\n"
        b"Aston,EC:ICT:ICT:1C,2013,88,south\nAston,EC:ICT:ICT:1C,2013,70,West\n"
        b"Aston,EC:ICT:ICT:1C,2012,170,south\n"
    )
    rows = read_values(table, "t.csv")
    file = Upload(name="t.csv", media_type="text/csv", data=table)
    plan = await room.import_values(planner, "u4ssc", rows, file)
    assert [(one.district and one.district.id, one.value) for one in plan.planned] == [
        (None, 95), (NORTH, 91.5), (SOUTH, 88),
    ]  # fmt: skip
    assert sorted(str(one.why)[:30] for one in plan.left_out) == [
        "A percentage lies between 0 and"[:30],
        "there is no one district of th",
    ]
    assert room.summary(ANONYMOUS, HOMES).value == 95
    assert [one.value for one in room.districts.of(ANONYMOUS, HOMES)] == [91.5, 88]
    again = await room.plan_import(
        planner, "u4ssc", read_values(table.replace(b"2013", b"2011"), "t"), source="t"
    )
    assert {str(one.why) for one in again.left_out} >= {"a newer value stands"}


def test_a_dataset_may_have_districts_for_its_places():
    raw = (
        b'{"version": "2.0", "class": "dataset", "id": ["geo", "time", "indicator"], "size": [2, 1, 1],'
        b'"role": {"geo": ["geo"], "time": ["time"], "metric": ["indicator"]}, "value": [91.5, 88],'
        b'"dimension": {"geo": {"category": {"index": ["north", "south"]}},'
        b'"time": {"category": {"index": ["2013"]}},'
        b'"indicator": {"category": {"index": ["EC:ICT:ICT:1C"]}}}}'
    )
    rows = read_values(raw, "x.json", {"place": "geo"})
    assert [(one.city, one.district, one.value) for one in rows] == [("", "north", 91.5), ("", "south", 88)]
    assert [one.city for one in read_values(raw, "x.json")] == ["north", "south"]


# Compared


async def test_districts_are_told_with_what_speaks_against_comparing_them(city, room, planner):
    parts = {"source": "the statistics office", **YEAR}
    await room.enter_for_district(planner, HOMES, NORTH, Entry(numerator=90, denominator=100, **parts))
    await room.enter_for_district(planner, HOMES, SOUTH, Entry(numerator=150, denominator=300, **parts))
    found = by_district(room.summary(ANONYMOUS, HOMES), room.districts.of(ANONYMOUS, HOMES))
    # Not 70, the mean of both: South is larger.
    assert found.together == pytest.approx(60)
    assert found.doubts == (DistrictDoubt.NOT_VERIFIED,)
    await room.enter(planner, HOMES, Entry(value=75.0, **parts))
    await district(city, "urn:ngsi-ld:District:west", {"en": "West"}, square(9, 56))
    found = by_district(room.summary(ANONYMOUS, HOMES), room.districts.of(ANONYMOUS, HOMES))
    assert set(found.doubts) == {
        DistrictDoubt.MISSING, DistrictDoubt.NOT_VERIFIED, DistrictDoubt.NOT_THE_CITY,
    }  # fmt: skip
    later = {**parts, "since": datetime(2014, 6, 1, tzinfo=UTC), "until": datetime(2014, 7, 1, tzinfo=UTC)}
    await room.enter_for_district(planner, HOMES, SOUTH, Entry(value=50.0, **later))
    found = by_district(room.summary(ANONYMOUS, HOMES), room.districts.of(ANONYMOUS, HOMES))
    assert DistrictDoubt.PERIODS in found.doubts and found.together is None


async def test_measured_and_entered_districts_are_told_apart(city, room, planner):
    for key in "123":
        await light(city, key, 10.5, 56.5, "ok")
    await room.compute()
    await room.enter_for_district(planner, LIGHTS, SOUTH, Entry(value=80.0, source="counted", **YEAR))
    found = by_district(room.summary(ANONYMOUS, LIGHTS), room.districts.of(ANONYMOUS, LIGHTS))
    assert DistrictDoubt.METHODS in found.doubts and DistrictDoubt.FEW not in found.doubts
