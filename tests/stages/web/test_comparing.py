"""Cities beside each other: what is brought, what speaks against comparing, and that nobody is ranked."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from cityloom.indicators.framework import point_id
from cityloom.indicators.model import Entry
from cityloom.kernel.actor import Actor, InformationClass

PLANNER = Actor(
    id="person:planner",
    name="planner",
    permissions=frozenset({"indicators:enter", "entities:write"}),
    clearance=frozenset({InformationClass.OPEN}),
)
PAGE = "/indicators/u4ssc/compare"
#: In the columns of what U4SSC's reports print.
PUBLISHED = b"""city,country,report_date,u4ssc_code,data_point,value,unit
Karm\xc3\xb8y,NO,2020-09,EC: ICT: ICT: 1C,,97.0,%
Karm\xc3\xb8y,NO,2020-09,EC: ICT: ICT: 2C,,84.51,%
Bizerte,TN,2018-01,EC: ICT: ICT: 1C,,31.2,%
Bizerte,TN,2018-01,EC: ICT: ICT: 99X,,1,%
"""
COLUMNS = "indicator=u4ssc_code, period=report_date, point=data_point"


@pytest.fixture
async def city(small_city_class):
    city = await small_city_class(frameworks=("u4ssc",)).start()
    await city.indicators.publish()
    year = {"since": datetime(2025, 1, 1, tzinfo=UTC), "until": datetime(2026, 1, 1, tzinfo=UTC)}
    await city.indicators.enter(
        PLANNER, point_id("u4ssc", "EC:ICT:ICT:1C", ""), Entry(value=60.0, source="survey", **year)
    )
    yield city
    await city.stop()


@pytest.fixture
async def planner(city, reader_class):
    return await reader_class(city).sign_in("planner")


async def bring(reader, content, name="values.csv", **fields):
    files = {"file": (name, content, "text/csv")}
    return await reader.send(PAGE, {"act": "bring", "columns": COLUMNS, **fields}, files=files, seen=PAGE)


async def test_other_cities_stand_by_their_names_with_what_differs(planner, city, reader_class):
    answer = await bring(planner, PUBLISHED, note="city of 42 000", source="U4SSC verification reports")
    assert answer.status_code == 200 and "Values of 2 cities were brought." in answer.text
    assert "not in the framework: Bizerte: EC: ICT: ICT: 99X" in answer.text
    visitor = reader_class(city)
    data = await visitor.data(f"{PAGE}.json")
    assert [one["name"] for one in data["cities"]] == ["Bizerte", "Karmøy"]
    first, second = data["indicators"]
    assert [one and one["value"] for one in first["others"]] == [31.2, 97.0] and first["value"] == 60.0
    assert first["doubts"] == ["years", "notVerified"]
    assert [one and one["value"] for one in second["others"]] == [None, 84.51] and second["value"] is None
    page = await visitor.text(PAGE)
    assert "not to rank" in page and "city of 42 000" in page and "does not rank cities" in page
    alone = await visitor.data(f"{PAGE}.json?city=Karm%C3%B8y")
    assert [len(one["others"]) for one in alone["indicators"]] == [1, 1]


async def test_a_city_is_replaced_and_forgotten(planner):
    await bring(planner, PUBLISHED)
    newer = PUBLISHED.replace(b"97.0", b"98.5").replace(b"Bizerte", b"Asker")
    await bring(planner, newer)
    found = {one["name"]: one["values"] for one in (await planner.data(f"{PAGE}.json"))["cities"]}
    assert found == {"Asker": 1, "Bizerte": 1, "Karmøy": 2}
    text = (await planner.get(f"{PAGE}.csv")).text.removeprefix("\ufeff")
    rows = {(one["city"], one["indicator"]): one["value"] for one in csv.DictReader(io.StringIO(text))}
    assert rows["Karmøy", "EC:ICT:ICT:1C"] == "98.5" and rows["Loomby", "EC:ICT:ICT:1C"] == "60.0"
    await planner.done(PAGE, {"act": "forget", "city": "Karmøy"}, seen=PAGE)
    assert [one["name"] for one in (await planner.data(f"{PAGE}.json"))["cities"]] == ["Asker", "Bizerte"]


async def test_a_file_that_says_nothing_is_refused(planner):
    answer = await bring(planner, b"city,u4ssc_code,report_date,value,data_point\nA,ZZ,2020,1,\n")
    assert answer.status_code == 400 and "no value that can be kept" in answer.text
    assert (await planner.send(PAGE, {"act": "bring"}, seen=PAGE)).status_code == 400
