"""The pages of a city that has turned on every framework of the catalogue."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import cityloom_catalogue
from cityloom.indicators.framework import point_id, read_framework
from cityloom.indicators.model import Entry
from cityloom.kernel.actor import Actor, InformationClass

FRAMEWORKS = Path(next(iter(cityloom_catalogue.__path__))) / "frameworks"
NAMES = tuple(sorted(path.parent.name for path in FRAMEWORKS.glob("*/manifest.toml")))
PLANNER = Actor(
    id="person:planner",
    name="planner",
    permissions=frozenset({"indicators:enter", "entities:write"}),
    clearance=frozenset({InformationClass.OPEN}),
)
DUST = point_id("u4ssc", "EN:EN:AQ:1C", "pm2.5")


@pytest.fixture
async def reader(small_city_class, reader_class):
    city = await small_city_class(frameworks=NAMES).start()
    await city.rooms.indicators.publish()
    yield reader_class(city)
    await city.stop()


async def test_each_framework_is_listed_and_says_what_is_not_in_hand(reader):
    listed = (await reader.get("/indicators.json")).json()["frameworks"]
    assert tuple(sorted(one["id"] for one in listed)) == NAMES
    for one in listed:
        text = await reader.text(one["href"])
        framework = read_framework(FRAMEWORKS / one["id"])
        for words in (framework.manifest.not_in_hand, framework.manifest.caution):
            assert words.get("en", "") in text
    assert "does not rank cities" in await reader.text("/indicators/u4ssc")


async def test_an_indicator_without_a_definition_says_so(reader):
    assert "The definition is not in hand." in await reader.text("/indicators/iso37120/5.1")
    assert "not in hand" not in await reader.text("/indicators/u4ssc/EC:ICT:ICT:1C")


async def test_a_value_of_another_framework_leads_to_where_it_stands(reader):
    indicators = reader.city.rooms.indicators
    year = {"since": datetime(2013, 1, 1, tzinfo=UTC), "until": datetime(2014, 1, 1, tzinfo=UTC)}
    await indicators.enter(PLANNER, DUST, Entry(value=8.0, source="the air monitors", **year))
    told = (await reader.get("/indicators/iso37120/8.1.json")).json()["figures"][0]
    assert (told["value"], told["answeredBy"]["id"], told["answeredBy"]["factor"]) == (8.0, DUST, 1)
    await reader.sign_in("auditor", "planner")
    page = (await reader.get("/indicators/iso37120/8.1")).text
    assert re.search(r'href="/indicators/u4ssc/EN(:|%3A)EN(:|%3A)AQ(:|%3A)1C#pm2\.5"', page)
    assert 'value="verify"' not in page
    assert 'value="verify"' in (await reader.get("/indicators/u4ssc/EN:EN:AQ:1C")).text


# Importing values


TABLE = b"city,indicator,period,value\nAston,EC:ICT:ICT:1C,2013,91.5\nAston,XX,2013,1\n"
PAGE = "/indicators/u4ssc/import"


@pytest.fixture
async def planner(measured_city, reader_class):
    return await reader_class(measured_city).sign_in("planner")


async def test_a_file_is_looked_at_and_then_entered(planner, reader_class, measured_city):
    assert 'href="/indicators/u4ssc/import"' in (await planner.get("/indicators/u4ssc")).text
    file = {"file": ("values.csv", TABLE, "application/vnd.ms-excel")}
    looked = await planner.send(PAGE, {"act": "look"}, files=file)
    assert "1 value would be entered" in looked.text
    assert "1 Jan 2013 – 31 Dec 2013" in looked.text
    assert "Choose the file again" in looked.text
    assert "File of values (" not in looked.text.replace(' <span class="soft">', " ")
    assert "not in the framework: XX (values.csv line 3)" in looked.text
    assert "not reported" in await planner.text("/indicators/u4ssc/EC:ICT:ICT:1C")
    entered = await planner.send(PAGE, {"act": "enter"}, files=file)
    assert "1 value is entered" in entered.text
    page = (await planner.get("/indicators/u4ssc/EC:ICT:ICT:1C")).text
    assert "91.5" in page
    assert "not verified" in page
    assert "values.csv" in page


async def test_a_wrong_file_is_told_with_its_line(planner):
    wrong = TABLE.replace(b"91.5", b"many")
    said = await planner.refused(PAGE, {"act": "enter"}, files={"file": ("values.csv", wrong, "text/csv")})
    assert "'many' is no number (values.csv line 2, column 4 (value))" in said
    assert "Choose a file" in await planner.refused(PAGE, {"act": "enter"})
    said = await planner.refused(
        PAGE, {"act": "look", "columns": "town=X"}, files={"file": ("values.csv", TABLE, "text/csv")}
    )
    assert "names no column" in said


async def test_a_danish_reader_is_told_in_danish_what_is_wrong_with_a_file(planner):
    wrong = {"file": ("values.csv", TABLE.replace(b"91.5", b"many"), "text/csv")}
    planner.client.headers["accept-language"] = "da"
    said = await planner.refused(PAGE, {"act": "enter"}, files=wrong)
    assert "'many' er ikke et tal (values.csv line 2, column 4 (value)). Skriv tal som 12.5" in said
    looked = await planner.send(PAGE, {"act": "look"}, files={"file": ("values.csv", TABLE, "text/csv")})
    assert "ikke i rammen: XX" in looked.text
    said = await planner.refused(PAGE, {"act": "look", "columns": "town=X"}, files=wrong)
    assert "nævner ingen kolonne. Skriv city=REF_AREA" in said


async def test_who_may_not_enter_sees_no_import(measured_city, reader_class):
    visitor = reader_class(measured_city)
    assert "import" not in (await visitor.get("/indicators/u4ssc")).text.casefold()
    assert (await visitor.get(PAGE)).status_code in (303, 401, 403)
