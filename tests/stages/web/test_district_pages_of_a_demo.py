"""The demo town's lights by district, and what may be told of an initiative's effect in one."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from cityloom_catalogue.cities.loomby.source import open_city

WEST = "urn:ngsi-ld:District:loomby-west"
PLAN = "urn:ngsi-ld:Initiative:loomby-light-when-it-is-needed"
PAGE = "/indicators/city/S2"


@pytest.fixture
async def reader(small_city_class, reader_class):
    city = await small_city_class(frameworks=("city",)).start()
    town = open_city(None, lambda *_: None, begins=city.clock.now())
    wanted = {"Streetlight", "District", "Initiative"}
    await city.write(*(one for one in town.seeds(city.clock.now()) if one["type"][0] in wanted))
    await city.indicators.publish()
    city.clock.pass_by(hours=7)
    await city.indicators.compute()
    await city.remembered()
    yield reader_class(city)
    await city.stop()


async def test_the_demo_town_tells_its_lights_by_district(reader):
    (figure,) = (await reader.data(f"{PAGE}.json"))["figures"]
    told = (await reader.data(f"{PAGE}.json"))["districts"][figure["id"]]
    rows = {one["name"]: one for one in told["rows"]}
    assert list(rows) == [f"Loomby {name}" for name in ("Centre", "East", "North", "South", "West")]
    assert all(one["value"] is not None and one["entities"] >= 10 for one in rows.values())
    assert sum(one["entities"] for one in rows.values()) == figure["entities"] == 200
    assert told["together"] == pytest.approx(figure["value"]) and told["doubts"] == []
    page = await reader.text(PAGE)
    assert "Loomby West" in page and "Districts by value" in page
    assert "Loomby Vest" in (await reader.get(PAGE, **{"accept-language": "da"})).text


async def test_an_effect_in_a_district_is_not_told_before_it_can_be(reader):
    path = f"{PAGE}/effect.json?initiative={quote(PLAN)}&district="
    told = await reader.data(path + quote(WEST))
    assert told["district"] == WEST
    assert told["change"]["effect"] is None and told["change"]["reason"]
    wrong = await reader.get(path + quote("urn:ngsi-ld:District:nowhere"))
    assert wrong.status_code == 404
