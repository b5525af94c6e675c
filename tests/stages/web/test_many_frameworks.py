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
