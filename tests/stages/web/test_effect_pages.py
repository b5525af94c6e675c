"""What an initiative did to its indicator, where people read it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote

import pytest

from cityloom.indicators.framework import point_id
from cityloom.indicators.model import Entry
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.time import months_later
from cityloom.ngsild.model import entity, prop
from cityloom.planning.model import Plan, Target
from cityloom.planning.writing import attributes_of

PLANNER = Actor(
    id="person:planner",
    name="planner",
    permissions=frozenset({"indicators:enter", "initiatives:edit", "entities:write"}),
    clearance=frozenset({InformationClass.OPEN, InformationClass.INTERNAL}),
)
HOMES, WIRED = point_id("u4ssc", "EC:ICT:ICT:1C", ""), point_id("u4ssc", "EC:ICT:ICT:2C", "")
PAGE = "/indicators/u4ssc/EC:ICT:ICT:1C/effect"
BEGAN = datetime(2025, 4, 1, tzinfo=UTC)


async def enter(city, point, start, count, value):
    for place in range(count):
        since = months_later(start, place)
        entry = Entry(value=value(place), source="survey", since=since, until=months_later(since, 1))
        await city.indicators.enter(PLANNER, point, entry)


@pytest.fixture
async def reader(small_city_class, reader_class):
    city = await small_city_class(frameworks=("u4ssc",)).start()
    await city.indicators.publish()
    start = months_later(BEGAN, -26)
    noise = [0.4, -0.3, 0.1, 0.6, -0.5, -0.2, 0.3]
    await enter(city, HOMES, start, 38, lambda place: 60 + noise[place % 7] + (4 if place >= 26 else 0))
    await enter(city, WIRED, start, 38, lambda place: 40 + noise[place % 5])
    plan = Plan(
        name={"en": "Cheap lines", "da": "Billige linjer"},
        description={"en": "Lines"},
        starts_at=BEGAN,
        targets=(Target(HOMES, 60.0, 70.0, date(2027, 1, 1)),),
    )
    attributes = {name: item for name, item in attributes_of(plan).items() if item is not None}
    running = {"phase": prop("running"), "status": prop("adopted"), "dataOrigin": prop("entered")}
    city.initiative = "urn:ngsi-ld:Initiative:lines"
    await city.write(entity("Initiative", city.initiative, attributes | running))
    yield reader_class(city)
    await city.stop()


async def test_an_effect_stands_on_the_initiative_s_and_the_indicator_s_page(reader):
    told = (await reader.data(f"/initiatives/{reader.city.initiative}.json"))["effects"][0]
    assert told["reason"] == "" and told["isTold"] and 3 < told["effect"] < 5
    assert told["low"] < 4 < told["high"] and (told["before"], told["after"]) == (26, 12)
    page = await reader.text(f"/initiatives/{reader.city.initiative}")
    assert "Effect since the beginning:" in page and told["text"] in page
    indicator = await reader.text("/indicators/u4ssc/EC:ICT:ICT:1C")
    assert told["interval"] in indicator and 'class="forecast"' in indicator


async def test_other_series_and_other_days_can_be_looked_at(reader):
    asked = f"initiative={quote(reader.city.initiative)}&control={quote(WIRED)}"
    beside = (await reader.data(f"{PAGE}.json?{asked}"))["change"]
    assert beside["isControlled"] and beside["controls"] == [WIRED] and beside["low"] < 4 < beside["high"]
    assert "what moves both drops out" in await reader.text(f"{PAGE}?{asked}")
    # The initiative began on that very day, so a day alone cannot be told from it.
    same = (await reader.data(f"{PAGE}.json?since={(BEGAN + timedelta(days=40)):%Y-%m-%d}"))["change"]
    assert same["reason"] == "othersBegan"
    early = await reader.text(f"{PAGE}?since=2023-04-01")
    assert "cannot be told yet" in early and "too few values before" in early
    assert (await reader.get(f"{PAGE}?since=soon")).status_code == 400
    assert (await reader.get(f"{PAGE}.pdf?{asked}")).status_code == 200


async def test_the_series_goes_along_as_csv(reader):
    text = (await reader.get(f"{PAGE}.csv?initiative={quote(reader.city.initiative)}")).text
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert len(rows) == 38 and rows[30]["expected"] and rows[3]["fitted"] and not rows[3]["expected"]


async def test_it_is_told_in_danish(reader_class, reader):
    dane = reader_class(reader.city, language="da")
    page = await dane.text(f"/initiatives/{reader.city.initiative}")
    assert "Virkning siden begyndelsen:" in page
