"""All frameworks by goal, over the years, and by the principles of choice."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from cityloom.indicators.by_goal import targets_in
from cityloom.indicators.framework import point_id
from cityloom.indicators.model import Entry
from cityloom.indicators.years import year_of
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.ngsild.model import entity, prop

PLANNER = Actor(
    id="person:planner",
    name="planner",
    permissions=frozenset({"indicators:enter", "entities:write"}),
    clearance=frozenset({InformationClass.OPEN}),
)
HOMES, WIRED = point_id("u4ssc", "EC:ICT:ICT:1C", ""), point_id("u4ssc", "EC:ICT:ICT:2C", "")
METERS = point_id("u4ssc", "EC:ICT:WS:1C", "")


async def enter(city, point, year, value):
    entry = Entry(
        value=value,
        source="survey",
        since=datetime(year, 1, 1, tzinfo=UTC),
        until=datetime(year + 1, 1, 1, tzinfo=UTC),
    )
    await city.indicators.enter(PLANNER, point, entry)
    await city.broker.caught_up()


@pytest.fixture
async def city(small_city_class):
    city = await small_city_class(frameworks=("u4ssc", "iso37120")).start()
    await city.indicators.publish()
    up_and_down = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0]
    for place, change in enumerate(up_and_down):
        await enter(city, HOMES, 2017 + place, 60.0 + 3 * change)
        await enter(city, WIRED, 2017 + place, 20.0 + change)
        await enter(city, METERS, 2017 + place, 50.0 + (7 * place * place) % 11)
    yield city
    await city.stop()


def test_a_text_names_targets_of_the_goals():
    assert targets_in("17.8.1; 5.b; 9.c") == ("17.8", "5.b", "9.c")
    assert targets_in("11.6; 3.9; 11.6.2") == ("11.6", "3.9")
    assert targets_in("none, 18.1") == ()


@pytest.mark.parametrize(
    ("until", "year"),
    [
        ("2024-12-31T23:00:00+00:00", 2024),
        ("2025-01-01T00:00:00+00:00", 2024),
        ("2025-01-01T23:00:00+00:00", 2025),
    ],
)
def test_a_period_belongs_to_the_year_in_which_it_ends_by_the_city_s_clock(until, year):
    assert year_of(datetime.fromisoformat(until), ZoneInfo("Europe/Copenhagen")) == year


async def test_each_goal_has_its_indicators_and_the_initiatives_that_serve_it(city, reader_class):
    plan = {"name": prop("Lines"), "sdgTargets": prop(["9.c", "11.2"]), "phase": prop("running")}
    await city.write(
        entity("Initiative", "urn:ngsi-ld:Initiative:lines", {**plan, "status": prop("adopted")})
    )
    reader = reader_class(city)
    goals = {one["goal"]: one for one in (await reader.data("/indicators/sdg.json"))["goals"]}
    assert sorted(goals) == list(range(1, 18))
    assert goals[17]["reported"] == 2 and goals[17]["percent"] == pytest.approx((75.0 + 25.0) / 2)
    assert goals[3]["percent"] is None or goals[3]["reported"]
    assert [one["name"] for one in goals[9]["initiatives"]] == ["Lines"]
    one = await reader.data("/indicators/sdg/9.json")
    (served,) = [each for each in one["targets"] if each["target"] == "9.c"]
    assert served["initiatives"] and served["indicators"]
    assert "Internet access for all" in await reader.text("/indicators/sdg/9")
    assert (await reader.get("/indicators/sdg/18")).status_code == 404
    assert "17,17.8,u4ssc,EC:ICT:ICT:1C" in (await reader.get("/indicators/sdg.csv")).text


async def test_who_names_no_target_is_told(city, reader_class):
    said = {"name": prop("Aimless"), "phase": prop("running"), "status": prop("adopted")}
    await city.write(entity("Initiative", "urn:ngsi-ld:Initiative:aimless", said))
    data = await reader_class(city).data("/indicators/sdg.json")
    assert [one["name"] for one in data["withoutTarget"]] == ["Aimless"]
    assert {(one["framework"], one["named"], one["total"]) for one in data["frameworks"]} >= {
        ("u4ssc", 90, 91),  # its life expectancy names goal 3, and no target of it
        ("iso37120", 128, 128),
    }


async def test_what_is_the_same_in_two_frameworks_is_told_with_who_says_so(city, reader_class):
    reader = reader_class(city)
    rows = (await reader.data("/indicators/cross-references.json"))["references"]
    (row,) = [one for one in rows if (one["framework"], one["code"]) == ("iso37120", "5.1")]
    assert (row["otherFramework"], row["otherCode"], row["factor"]) == ("u4ssc", "EC:P:EM:1C", 1)
    assert row["basis"] and "CityLoom" in row["provenance"]
    assert row["otherHref"] in await reader.text("/indicators/cross-references")
    table = (await reader.get("/indicators/cross-references.csv")).text
    assert "iso37120,5.1,,City unemployment rate,u4ssc,EC:P:EM:1C" in table


async def test_the_years_are_worked_out_of_what_is_remembered(city, reader_class):
    reader = reader_class(city)
    assert "Not worked out yet" in await reader.text("/indicators/years")
    planner = await reader_class(city).sign_in("planner")
    page = await planner.done("/indicators/years", {}, seen="/indicators/years")
    assert "Being worked out" in page and "<progress" in page and 'http-equiv="refresh"' in page
    found = await city.indicators.years.finished()
    # With what the city counts of itself: its types of open data.
    assert found.values == 28 and found.years == tuple(range(2017, 2027))
    page = await reader.text("/indicators/years")
    assert "Being worked out" not in page
    data = {one["id"]: one for one in (await reader.data("/indicators/years.json"))["frameworks"]}
    years = {one["year"]: one for one in data["u4ssc"]["years"]}
    # 69 and 23 percent of their targets, and 50 of 100: 3, 1 and 2 of 4 points.
    assert (years[2017]["reported"], years[2017]["scored"]) == (3, 3)
    assert years[2017]["percent"] == pytest.approx(100 * (3 + 1 + 2) / 12)
    assert (years[2026]["reported"], years[2026]["percent"]) == (1, None)
    assert all(one["percent"] is None for one in data["iso37120"]["years"])
    text = (await reader.get("/indicators/years.csv")).text
    assert "u4ssc,Economy/ICT/ICT Infrastructure,2017,2," in text


async def test_indicators_are_rated_by_the_principles_and_by_what_moves_with_them(city, reader_class):
    reader = reader_class(city)
    before = await reader.data("/indicators/u4ssc/principles.json")
    assert not before["yearsKnown"] and before["compared"] == 0
    city.indicators.years.begin()
    await city.indicators.years.finished()
    data = await reader.data("/indicators/u4ssc/principles.json")
    rows = {one["code"]: one for one in data["indicators"] if not one["point"]}
    ratings = {
        code: {one["principle"]: one["rating"] for one in row["ratings"]} for code, row in rows.items()
    }
    assert data["compared"] == 3
    assert rows["EC:ICT:ICT:1C"]["alike"] == [{"id": WIRED, "correlation": pytest.approx(1.0)}]
    assert ratings["EC:ICT:ICT:1C"]["independence"] == 0 and ratings["EC:ICT:WS:1C"]["independence"] == 2
    assert ratings["EC:ICT:ICT:1C"]["availability"] == 1  # entered, and verified by nobody
    assert ratings["EC:ICT:ICT:1C"]["timeliness"] == 2 and ratings["EC:ICT:ICT:3C"]["timeliness"] is None
    assert ratings["EC:ICT:ICT:3C"]["availability"] == 0
    means = {one["principle"]: one["mean"] for one in data["principles"]}
    assert means["comprehensiveness"] == pytest.approx(2 * 3 / 27, abs=0.001)
    assert "Moves as" in await reader.text("/indicators/u4ssc/principles")
