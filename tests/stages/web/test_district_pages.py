"""Indicators by district, their targets and their index, where people read and change them."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from cityloom.indicators.framework import point_id
from cityloom.indicators.model import Entry
from cityloom.kernel.actor import ANONYMOUS, Actor, InformationClass
from cityloom.kernel.time import months_later
from cityloom.ngsild.model import entity, geo, text

HOMES = point_id("u4ssc", "EC:ICT:ICT:1C", "")
PAGE = "/indicators/u4ssc/EC:ICT:ICT:1C"
ZONE = ZoneInfo("Europe/Copenhagen")
YEAR = {"since": datetime(2013, 1, 1, tzinfo=ZONE), "until": datetime(2014, 1, 1, tzinfo=ZONE)}
NAMES = ("north", "south", "east", "west", "old")
PLANNER = Actor(
    id="person:planner",
    name="planner",
    permissions=frozenset({"indicators:enter", "plan:edit", "entities:write"}),
    clearance=frozenset({InformationClass.OPEN}),
)


def square(west, south):
    ring = [[west, south], [west + 1, south], [west + 1, south + 1], [west, south + 1], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


@pytest.fixture
async def city(small_city_class):
    city = await small_city_class(frameworks=("u4ssc", "subjective_objective")).start()
    for place, name in enumerate(NAMES):
        names = {"en": f"{name.title()} <b>end</b>", "da": f"Bydel {name}"}
        district = {"name": text(**names), "location": geo(square(8 + place, 56))}
        await city.write(entity("District", f"urn:ngsi-ld:District:{name}", district))
    await city.indicators.publish()
    yield city
    await city.stop()


@pytest.fixture
async def reader(city, reader_class):
    return reader_class(city)


@pytest.fixture
async def planner(city, reader_class):
    return await reader_class(city).sign_in("planner")


def rows_of(answer):
    return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))


# By district


async def test_a_district_s_value_is_entered_shown_and_taken_back(planner, reader):
    assert "By district</h3>" not in await reader.text(PAGE)
    fields = {
        "act": "enter", "point": HOMES, "district": "urn:ngsi-ld:District:north", "numerator": "90",
        "denominator": "100", "since": "2013-01-01", "until": "2013-12-31", "source": "the statistics office",
    }  # fmt: skip
    await planner.send(f"{PAGE}/districts", fields)
    await planner.send(
        f"{PAGE}/districts",
        {**fields, "district": "urn:ngsi-ld:District:south", "numerator": "30"},
    )
    told = (await reader.data(f"{PAGE}.json"))["districts"][HOMES]
    assert [one["value"] for one in told["rows"]] == [None, 90, None, 30, None]
    assert told["together"] == pytest.approx(60) and set(told["doubts"]) == {"missing", "notVerified"}
    page = await reader.text(PAGE)
    assert "By district</h3>" in page and 'class="area none"' in page and "Take care when you compare" in page
    assert "the statistics office" in page and "<b>end" not in (await reader.get(PAGE)).text
    assert (await reader.get(f"{PAGE}/districts.pdf")).status_code == 200
    wrong = await planner.refused(f"{PAGE}/districts", {**fields, "numerator": "900", "value": "90"})
    assert "give 900, not 90" in wrong
    missing = await planner.send(f"{PAGE}/districts", {**fields, "district": "x"})
    assert missing.status_code == 404
    await planner.send(f"{PAGE}/districts", {**fields, "act": "withdraw"})
    told = (await reader.data(f"{PAGE}/districts.json"))["figures"][0]["districts"]
    assert [one["value"] for one in told["rows"]] == [None, None, None, 30, None]


async def test_the_table_of_districts_can_be_brought_back(city, planner, reader):
    await city.indicators.enter_for_district(
        PLANNER, HOMES, "urn:ngsi-ld:District:east", Entry(value=70.0, source="survey", **YEAR)
    )
    answer = await reader.get(f"{PAGE}/districts.csv")
    (row,) = [one for one in rows_of(answer) if one["value"]]
    assert (row["place"], row["period"], row["value"]) == ("East <b>end</b>", "2013-01-01/2013-12-31", "70.0")
    table = answer.content.replace(b"70.0", b"71.5").replace(b"East <b>end</b>", b"bydel EAST")
    looked = await planner.send(
        "/indicators/u4ssc/import", {"act": "enter"}, files={"file": ("t.csv", table, "text/csv")}
    )
    assert "1 value is entered" in looked.text and "East &lt;b&gt;end" in looked.text
    told = (await reader.data(f"{PAGE}/districts.json"))["figures"][0]["districts"]["rows"]
    assert [one["value"] for one in told if one["value"]] == [71.5]


async def test_an_effect_in_a_district_is_held_against_the_others(city, reader):
    began, noise = datetime(2025, 4, 1, tzinfo=UTC), [0.4, -0.3, 0.1, 0.6, -0.5, -0.2, 0.3]
    start = months_later(began, -24)
    for number, name in enumerate(NAMES):
        for place in range(34):
            since = months_later(start, place)
            # What moves all of them is larger than what happens in one.
            value = 50 + 0.5 * place + noise[(place * (number + 2)) % 7] + number
            value += 4 if name == "north" and place >= 24 else 0
            entry = Entry(value=value, source="x", since=since, until=months_later(since, 1))
            await city.indicators.enter_for_district(PLANNER, HOMES, f"urn:ngsi-ld:District:{name}", entry)
    asked = f"{PAGE}/effect.json?since=2025-04-01&district={quote('urn:ngsi-ld:District:north')}"
    told = (await reader.data(asked))["change"]
    assert (
        told["isControlled"]
        and len(told["controls"]) == 4
        and told["low"] < 4 < told["high"]
        and told["isTold"]
    )
    assert told["parallel"] > 0.01 and len(told["placebos"]) == 4 and told["placebosBeyond"] == 0
    alone = (await reader.data(f"{asked}&alone=yes"))["change"]
    assert not alone["isControlled"] and alone["placebos"] == []
    page = await reader.text(asked.replace(".json", ""))
    assert "The same where nothing began" in page and "Went the same way before" in page
    assert (await reader.get(asked.replace("north", "nowhere"))).status_code == 404


# Targets


async def test_targets_are_changed_in_versions_that_can_be_taken_back(city, planner, reader, reader_class):
    await city.indicators.enter(PLANNER, HOMES, Entry(value=60.0, source="survey", **YEAR))
    targets = "/indicators/u4ssc/targets"
    assert 'value="set"' not in await reader.text(f"{targets}?point=EC%3AICT%3AICT%3A1C%7C")
    assert 'value="set"' in await planner.text(f"{targets}?point=EC%3AICT%3AICT%3A1C%7C")
    fields = {
        "act": "set", "point": "EC:ICT:ICT:1C|", "rule": "ratio_up", "target": "60", "basis": "council",
        "why": "The council decided", "seen": "0",
    }  # fmt: skip
    await planner.send(targets, fields)
    told = (await reader.data(f"{PAGE}.json"))["figures"][0]
    assert (told["target"], told["percentOfTarget"], told["profile"]) == (60, 100, "u4ssc-city-1")
    listed = await reader.data(f"{targets}.json")
    assert [one["version"] for one in listed["versions"]] == [1, 0]
    assert listed["versions"][0]["why"] == "The council decided" and listed["versions"][0]["by"] == ""
    assert (await planner.data(f"{targets}.json"))["versions"][0]["by"] == "Planner"
    assert "person:" not in str(city.broker.find(ANONYMOUS, "urn:ngsi-ld:BenchmarkProfile:u4ssc:1"))
    # An account of one's own is not enough to learn who of the city's people decided.
    citizen = await reader_class(city).sign_in("citizen")
    assert (await citizen.data(f"{targets}.json"))["versions"][0]["by"] == ""
    assert "changed by somebody else" in await planner.refused(targets, {**fields, "target": "50"})
    assert "cannot be used" in await planner.refused(targets, {**fields, "target": "0", "seen": "1"})
    assert "Say why" in await planner.refused(targets, {**fields, "why": "", "seen": "1"})
    await planner.send(targets, {"act": "back", "version": "0", "why": "A mistake", "seen": "1"})
    told = (await reader.data(f"{PAGE}.json"))["figures"][0]
    assert (told["target"], told["percentOfTarget"], told["profile"]) == (100, 60, "u4ssc-city-2")
    first = rows_of(await reader.get(f"{targets}.csv?version=1"))
    assert next(one for one in first if one["code"] == "EC:ICT:ICT:1C")["target"] == "60.0"


async def test_a_table_of_targets_is_brought_or_refused_with_its_line(planner, reader):
    targets = "/indicators/u4ssc/targets"
    table = (await reader.get(f"{targets}.csv")).content.replace(
        b"EC:ICT:ICT:1C,,100.0", b"EC:ICT:ICT:1C,,80"
    )
    file = {"file": ("t.csv", table, "text/csv")}
    await planner.send(targets, {"act": "bring", "why": "New targets"}, files=file)
    assert (await reader.data(f"{PAGE}.json"))["figures"][0]["target"] == 80
    assert "Nothing would change" in await planner.refused(targets, {"act": "bring", "why": "x"}, files=file)
    broken = {"file": ("t.csv", table.replace(b"ratio_up", b"ratio_op", 1), "text/csv")}
    assert "Line 2 cannot be read" in await planner.refused(
        targets, {"act": "bring", "why": "x"}, files=broken
    )
    strange = {"file": ("t.csv", table.replace(b"EC:ICT:ICT:1C", b"XX"), "text/csv")}
    assert "XX is not in the framework" in await planner.refused(
        targets, {"act": "bring", "why": "x"}, files=strange
    )


# The index


async def test_the_parts_of_the_frame_are_shown_apart_and_weighed_by_the_city(city, planner, reader):
    index = "/indicators/subjective_objective/index"
    values = {"S": 80.0, "O1": 40.0, "O2": 60.0, "O3": 50.0, "O4": 50.0}
    for code, value in values.items():
        entry = Entry(value=value, source="survey", **YEAR)
        await city.indicators.enter(PLANNER, point_id("subjective_objective", code, ""), entry)
    told = (await reader.data(f"{index}.json"))["index"]
    scores = {one["code"]: one["score"] for one in told["parts"]}
    assert scores["Subjective"] == 80 and scores["Objective"] == 50 and scores["index"] == 65
    assert told["leftOut"] == {"left out: no city reports it": ["O5", "O6", "O7"]}
    page = await reader.text(index)
    assert (
        "Subjective part" in page
        and "their definitions are not in hand" in page
        and "Weigh the parts" not in page
    )
    assert "Weigh the parts" in await planner.text(index)
    weights = {"weight_0": "3", "weight_1": "1", "seen": "0", "why": "Citizens first"}
    await planner.send(index, weights)
    told = (await reader.data(f"{index}.json"))["index"]
    assert told["score"] == pytest.approx((3 * 80 + 50) / 4)
    assert (await reader.data(f"{index}.json"))["profile"] == "subjective_objective-city-1"
    assert "not between 0 and" in await planner.refused(index, {**weights, "weight_0": "-1", "seen": "1"})
    assert rows_of(await reader.get(f"{index}.csv"))[1]["weight"] == "3.0"


async def test_a_framework_without_an_index_of_its_own_says_whose_it_is(city, reader):
    assert (await reader.data("/indicators/u4ssc/index.json"))["index"]["isOwn"] is False
    assert "CityLoom's index" in await reader.text("/indicators/u4ssc/index")
    city.indicators.years.begin()
    await city.indicators.years.finished()
    told = {one["id"]: one for one in (await reader.data("/indicators/years.json"))["frameworks"]}
    assert len(told["u4ssc"]["index"]) == len(told["subjective_objective"]["index"]) == 10
    assert "Composite index" in await reader.text("/indicators/years")
