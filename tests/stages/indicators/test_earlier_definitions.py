"""A definition that has changed: an old year is worked out again as it was defined then."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import cityloom_catalogue
from cityloom.indicators.framework import point_id, read_framework
from cityloom.indicators.model import Entry
from cityloom.indicators.years import framework_years
from cityloom.kernel.actor import ANONYMOUS, CITY
from cityloom.kernel.errors import BrokenPlugin
from cityloom.ngsild.model import entity, json_value, prop, rel

FRAMEWORKS = Path(next(iter(cityloom_catalogue.__path__))) / "frameworks"
DUST = point_id("city", "S1", "")
#: Local midnight of the day of the city's clock; the definition changed eleven days before.
TODAY = datetime(2014, 9, 28, 22, tzinfo=UTC)
CHANGED = date(2014, 9, 17)
HEAD = "code,point,until,definition_en,numerator,denominator,unit,unit_code,multiplier,basis,provenance\n"
EARLIER = (
    "S1,,2014-09-17,Days above 25 µg/m³,days above 25 µg/m³,days with readings,days,DAY,1,new bound,WHO\n"
)
MEASURE = """
[[measures]]
verb = "days_above"
code = "S1"
type = "AirQualityObserved"
attribute = "pm25"
above = 25.0
period = "P1D"
until = "2014-09-17"
"""


@pytest.fixture
def folder(tmp_path):
    """The city's own indicators, of which one told days above 25 until a day, and not a share."""
    folder = tmp_path / "city"
    shutil.copytree(FRAMEWORKS / "city", folder)
    (folder / "earlier.csv").write_text(HEAD + EARLIER, encoding="utf-8")
    measures = folder / "measures.toml"
    text = measures.read_text(encoding="utf-8")
    standing = text.index('code = "S1"')
    text = text[:standing] + text[standing:].replace('period = "P28D"', 'period = "P1D"', 1)
    measures.write_text(text + MEASURE, encoding="utf-8")
    return folder


@pytest.fixture
async def room(city, folder, monkeypatch):
    monkeypatch.setattr("cityloom.indicators.past.PAUSE_S", 0)
    room = city.indicators(read_framework(folder))
    await room.publish()
    await city.stage.reached(city.broker.last_sequence)
    return room


async def dust(city, value=20.0):
    """A sensor that showed 20 µg/m³ all the time: above the bound of now, below the earlier one."""
    sensor = await city.thing("AirQualityObserved", "1")
    first = TODAY - timedelta(days=20)
    city.past(sensor, "pm25", "GQ", [(first + timedelta(hours=hour), value) for hour in range(24 * 20)])


async def initiative(city):
    target = {"indicator": DUST, "baseline": 50.0, "target": 0.0, "due": "2014-12-01"}
    began = (TODAY - timedelta(days=5)).isoformat().replace("+00:00", "Z")
    attributes = {"phase": prop("running"), "startsAt": prop(began), "targetIndicator": rel([DUST])}
    attributes["targets"] = json_value([target])
    await city.write(entity("Initiative", "urn:ngsi-ld:Initiative:air", attributes))


async def test_an_old_period_is_worked_out_by_the_definition_of_then(city, room):
    await dust(city)
    await initiative(city)
    await room.compute()
    assert await room.fill_past() > 10
    await city.stage.reached(city.broker.last_sequence)
    values = city.history.raw(CITY, DUST, ["kpiValue"], dataset="")
    told = {(one.at - timedelta(hours=1)).date(): (one.value, one.unit_code) for one in values}
    # By the bound of 25 no day was above it; by that of 15 all were. Then in days, now in percent.
    assert {said for day, said in told.items() if day <= CHANGED} == {(0, "DAY")}
    assert {said for day, said in told.items() if day > CHANGED} == {(100, "P1")}
    versions = city.history.raw(CITY, DUST, ["definitionVersion"], dataset="")
    days = {(one.at - timedelta(hours=1)).date() for one in versions if one.value == "until 2014-09-17"}
    assert days == {day for day in told if day <= CHANGED}
    assert room.summary(ANONYMOUS, DUST).definition_version == ""


async def test_what_is_entered_of_then_is_checked_by_the_definition_of_then(city, room, planner):
    entry = Entry(
        numerator=6.0,
        denominator=2.0,
        since=datetime(2014, 9, 1, tzinfo=UTC),
        until=datetime(2014, 9, 10, tzinfo=UTC),
        source="the old monitor",
    )
    found = await room.enter(planner, DUST, entry)
    assert (found.value, found.definition_version) == (3, "until 2014-09-17")
    # A target of now says nothing of what was defined otherwise.
    assert (found.percent_of_target, found.profile) == (None, "")
    later = Entry(value=50.0, since=entry.since, until=TODAY, source="the new monitor")
    found = await room.enter(planner, DUST, later)
    assert (found.definition_version, found.percent_of_target) == ("", 50)


def test_a_year_of_an_earlier_definition_is_counted_and_not_scored(folder):
    framework = read_framework(folder)
    told = framework_years(framework, {DUST: {2013: 30.0, 2014: 30.0}}, (2013, 2014))
    before, now = told.groups[""]
    assert (before.reported, before.defined_otherwise, now.defined_otherwise) == (1, 1, 0)


def test_an_index_of_an_old_year_goes_by_its_definition_of_then(tmp_path):
    folder = tmp_path / "subjective_objective"
    shutil.copytree(FRAMEWORKS / "subjective_objective", folder)
    standing = (folder / "index.toml").read_text(encoding="utf-8")
    weighed = standing.replace('version = "2025"', 'version = "2019"').replace(
        '[[groups]]\ncode = "Subjective"\n', '[[groups]]\ncode = "Subjective"\nweight = 3.0\n'
    )
    (folder / "index.until-2020.toml").write_text(weighed, encoding="utf-8")
    framework = read_framework(folder)
    values = {f"O{place}": 40.0 for place in range(1, 8)} | {"S": 80.0}
    series = {point_id(framework.id, code, ""): {2020: value, 2021: value} for code, value in values.items()}
    then, now = framework_years(framework, series, (2020, 2021)).index
    assert (then.score, then.version) == (70, "2019") and (now.score, now.version) == (60, "2025")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("earlier.csv", HEAD + EARLIER.replace("2014-09-17", "soon")),
        ("earlier.csv", HEAD + EARLIER.replace("S1", "XX")),
        ("index.until-soon.toml", "id = 1"),
    ],
)
def test_a_broken_table_of_earlier_definitions_is_told(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(BrokenPlugin):
        read_framework(folder)
