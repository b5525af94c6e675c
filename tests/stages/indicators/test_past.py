"""An initiative's indicators have a past: what history holds of the time before the city began to count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import cityloom_catalogue
from cityloom.indicators.framework import read_framework
from cityloom.indicators.model import Entry
from cityloom.kernel.actor import ANONYMOUS, CITY
from cityloom.ngsild.model import entity, json_value, prop, rel, value_of
from cityloom.planning.course import Verdict
from cityloom.planning.initiatives import Initiatives

FRAMEWORKS = Path(next(iter(cityloom_catalogue.__path__))) / "frameworks"
ARRIVED = "urn:ngsi-ld:KeyPerformanceIndicator:city:P1"
LIGHTS = "urn:ngsi-ld:KeyPerformanceIndicator:city:S2"
COUNTED = "urn:ngsi-ld:Initiative:counted"
#: Local midnight of the day of the city's clock, and when the works began.
TODAY = datetime(2014, 9, 28, 22, tzinfo=UTC)
BEGAN = TODAY - timedelta(days=6)
#: Days of readings there are: 10, 4 of them before the works.
DAYS = 10


@pytest.fixture
async def room(city, monkeypatch):
    monkeypatch.setattr("cityloom.indicators.past.PAUSE_S", 0)
    own = read_framework(FRAMEWORKS / "city")
    room = city.indicators(own)
    await room.publish()
    await remembered(city)
    return room


async def remembered(city):
    await city.stage.reached(city.broker.last_sequence)


async def counter(city):
    """A counter that fell silent for half of each day before the works, and told everything since.

    It was put up an hour before midnight: that day is not covered.
    """
    sensor = await city.thing("TrafficFlowObserved", "1", origin="simulated")
    put_up = TODAY - timedelta(days=DAYS, hours=1)
    readings = [(put_up + timedelta(minutes=5 * slot), 7.0) for slot in range(12)]
    for day in range(DAYS):
        begins = TODAY - timedelta(days=DAYS - day)
        told = 288 if begins >= BEGAN else 144
        readings += [(begins + timedelta(minutes=5 * slot), 7.0) for slot in range(told)]
    city.past(sensor, "intensity", "E34", readings)


async def initiative(city, *, indicator=ARRIVED, status=None):
    target = {"indicator": indicator, "baseline": 50.0, "target": 99.0, "due": "2014-12-01"}
    document = entity(
        "Initiative",
        COUNTED,
        {
            "name": prop("Every road counted"),
            "phase": prop("running"),
            "startsAt": prop(BEGAN.isoformat().replace("+00:00", "Z")),
            "targets": json_value([target]),
            "targetIndicator": rel([indicator]),
        }
        | ({"status": prop(status)} if status else {}),
    )
    await city.write(document)


async def values(city, indicator=ARRIVED):
    await remembered(city)
    found = city.history.raw(CITY, indicator, ["kpiValue"], dataset="")
    return {one.at: round(float(one.value)) for one in found}


async def test_an_initiative_shows_before_and_after_from_the_first_day(city, room):
    await counter(city)
    await initiative(city)
    await room.compute()
    await remembered(city)
    assert await room.fill_past() == DAYS - 1  # today's is there already
    expected = {TODAY - timedelta(days=back): 50 if back >= 6 else 100 for back in range(1, DAYS)}
    found = await values(city)
    assert {at: value for at, value in found.items() if at in expected} == expected
    (course,) = await Initiatives(city.broker, city.clock, city.history).course(ANONYMOUS, COUNTED)
    assert course.verdict is Verdict.TOLD
    assert course.before.mean == 50
    assert course.after.mean > 80


async def test_the_past_leaves_the_present_as_it_is_with_evidence_of_its_own(city, room):
    await counter(city)
    await initiative(city)
    await room.compute()
    before = room.summary(ANONYMOUS, ARRIVED)
    await room.fill_past()
    after = room.summary(ANONYMOUS, ARRIVED)
    assert (after.value, after.since, after.until) == (before.value, before.since, before.until)
    await remembered(city)
    wanted = TODAY - timedelta(days=8)
    rows = city.history.raw(CITY, ARRIVED, ["rowsUsed", "numerator", "denominator"], dataset="")
    told = {one.attribute: one.value for one in rows if one.at == wanted}
    assert told == {"rowsUsed": 144, "numerator": 144, "denominator": 288}


async def test_the_past_is_worked_out_once_also_over_a_restart(city, room):
    await counter(city)
    await initiative(city)
    await room.compute()
    await room.fill_past()
    assert await room.fill_past() == 0
    await remembered(city)
    again = city.indicators(read_framework(FRAMEWORKS / "city"))
    assert await again.fill_past() == 0


async def test_the_past_is_left_alone_where_nothing_aims_at_it(city, room):
    await counter(city)
    await room.compute()
    assert await room.fill_past() == 0
    await initiative(city, status="draft")
    assert await room.fill_past() == 0
    await initiative(city, status="adopted")
    assert await room.fill_past() == DAYS - 1


async def test_a_past_that_history_cannot_tell_is_not_made_up(city, room):
    await city.thing("Streetlight", "1", status="ok")
    await initiative(city, indicator=LIGHTS)
    await room.compute()
    assert await room.fill_past() == 0
    assert len(await values(city, LIGHTS)) == 1


async def test_what_a_person_entered_stands_and_gets_no_past(city, room, planner):
    await counter(city)
    await initiative(city)
    entry = Entry(value=80.0, since=TODAY - timedelta(days=1), until=TODAY, source="Counted by hand")
    await room.enter(planner, ARRIVED, entry)
    assert await room.fill_past() == 0
    assert value_of(city.broker.find(CITY, ARRIVED), "kpiValue") == 80
