"""The room as a whole: computing by the city's time, entering with evidence, verifying, reporting."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import cityloom_catalogue
from cityloom.history.follow import Lineage
from cityloom.history.periods import parse_step
from cityloom.indicators.computing import due_at
from cityloom.indicators.evidence import LARGEST, Upload
from cityloom.indicators.framework import read_framework
from cityloom.indicators.model import Entry, Quality, State
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.errors import BadInput, CityError, Conflict, NotAllowed, NotFound
from cityloom.ngsild.model import value_of

FRAMEWORKS = Path(next(iter(cityloom_catalogue.__path__))) / "frameworks"
INTERNET = "urn:ngsi-ld:KeyPerformanceIndicator:u4ssc:EC:ICT:ICT:1C"
PM25 = "urn:ngsi-ld:KeyPerformanceIndicator:u4ssc:EN:EN:AQ:1C.pm2.5"
O3 = "urn:ngsi-ld:KeyPerformanceIndicator:u4ssc:EN:EN:AQ:1C.o3"
STREETS = "urn:ngsi-ld:KeyPerformanceIndicator:u4ssc:EC:ICT:T:2C"
LIGHTS = "urn:ngsi-ld:KeyPerformanceIndicator:city:S2"
YEAR = {"since": datetime(2013, 1, 1, tzinfo=UTC), "until": datetime(2014, 1, 1, tzinfo=UTC)}
PDF = Upload(name="C:\\figures\\internet.pdf", media_type="application/pdf", data=b"%PDF-1.7 figures")


@pytest.fixture(scope="module")
def u4ssc():
    return read_framework(FRAMEWORKS / "u4ssc")


@pytest.fixture(scope="module")
def own():
    return read_framework(FRAMEWORKS / "city")


@pytest.fixture
async def room(city, u4ssc, own):
    room = city.indicators(u4ssc, own, figures={"households": 11_200.0, "inhabitants": 24_300.0})
    await room.publish()
    await city.stage.reached(city.broker.last_sequence)
    return room


async def air(city, days, *, attribute="pm25", value=10.0):
    """A sensor that measured hourly for some days up to now."""
    sensor = await city.thing("AirQualityObserved", "1", origin="simulated")
    first = datetime(2014, 9, 29, tzinfo=UTC) - timedelta(days=days)
    readings = [(first + timedelta(hours=hour), value) for hour in range(24 * days)]
    city.past(sensor, attribute, "GQ", readings)


# Computing


async def test_start_writes_every_data_point_as_not_reported(city, room, u4ssc, own):
    documents = city.broker.of_type(ANONYMOUS, "KeyPerformanceIndicator")
    assert len(documents) == len(u4ssc.points()) + len(own.points())
    summary = room.summary(ANONYMOUS, INTERNET)
    assert (summary.state, summary.value, summary.verified) == (State.NOT_REPORTED, None, False)
    assert summary.numerator_text == "households with Internet access (fixed or mobile)"
    assert summary.known_denominator == 11_200
    assert summary.groups[-1].held_by["en"] == "statistics office, telecommunications operators"


async def test_start_again_writes_nothing_anew(city, room, u4ssc, own):
    last = city.broker.last_sequence
    await city.indicators(u4ssc, own).publish()
    assert city.broker.last_sequence == last


async def test_start_works_values_out_in_the_background_until_it_is_stopped(city, own):
    await city.thing("Streetlight", "1", status="ok")
    room = city.indicators(own)
    worked_out = asyncio.Event()

    async def watch(changes):
        if any(one.entity_id == LIGHTS and "kpiValue" in one.attributes for one in changes):
            worked_out.set()

    city.broker.follow("watch", watch, durable=False)
    await room.start()
    await asyncio.wait_for(worked_out.wait(), 10)
    await room.stop()
    await room.stop()  # once is enough, twice does no harm
    assert room.summary(ANONYMOUS, LIGHTS).value == 100


async def test_compute_reports_with_everything_behind_the_number(city, room):
    await air(city, 300)
    await room.compute()
    found = room.summary(ANONYMOUS, PM25)
    assert (found.state, found.value, found.unit_code) == (State.REPORTED, 10.0, "GQ")
    assert (found.rows, found.entities, found.method, found.origin) == (7198, 1, "automatic", "simulated")
    assert found.coverage == pytest.approx(300 / 365, abs=0.001)
    assert found.until == datetime(2014, 9, 28, 22, tzinfo=UTC)  # midnight in Copenhagen
    assert found.since == datetime(2013, 9, 28, 22, tzinfo=UTC)
    assert (found.percent_of_target, found.points, found.standing) == (50.0, 2, "fair")
    assert found.because[0].about == "type:AirQualityObserved"
    assert not found.verified


async def test_compute_reports_nothing_of_too_little(city, room):
    await air(city, 40)
    await room.compute()
    found = room.summary(ANONYMOUS, PM25)
    assert (found.state, found.value, found.points) == (State.NOT_REPORTED, None, None)
    assert found.provisional == 10.0
    assert found.coverage < found.wanted_coverage == 0.75
    assert room.report(ANONYMOUS, "u4ssc").tallies[""].reported == 1  # the number of open data sets


async def test_compute_scores_nothing_that_cannot_be_compared(city, room):
    await air(city, 300, attribute="o3", value=50.0)
    await room.compute()
    found = room.summary(ANONYMOUS, O3)
    assert (found.value, found.points, found.percent_of_target) == (50.0, None, None)
    assert found.benchmark is not None


async def test_compute_gives_the_same_from_the_same_data(city, room, u4ssc, own):
    await air(city, 300)
    assert await room.compute() > 10
    assert await room.compute() == 0
    last = city.broker.last_sequence
    again = city.indicators(u4ssc, own, figures={"households": 11_200.0, "inhabitants": 24_300.0})
    assert await again.compute() > 10
    assert city.broker.last_sequence == last


async def test_compute_takes_up_what_came_late(city, room):
    await city.thing("Streetlight", "1", status="ok")
    await room.compute()
    assert room.summary(ANONYMOUS, LIGHTS).value == 100
    await city.thing("Streetlight", "2", status="defectiveLamp")
    city.clock.instant += timedelta(minutes=59)
    await room.compute()
    assert room.summary(ANONYMOUS, LIGHTS).value == 100
    city.clock.instant += timedelta(minutes=1)
    await room.compute()
    assert room.summary(ANONYMOUS, LIGHTS).value == 50
    await city.stage.reached(city.broker.last_sequence)
    assert [one.value for one in city.history.raw(ANONYMOUS, LIGHTS, ["kpiValue"])] == [50]


async def test_compute_keeps_every_value_as_history(city, room):
    await air(city, 300)
    await room.compute()
    city.clock.instant += timedelta(days=1)
    await room.compute()
    await city.stage.reached(city.broker.last_sequence)
    values = city.history.raw(ANONYMOUS, PM25, ["kpiValue"])
    assert [(one.at, one.value, one.unit_code) for one in values] == [
        (datetime(2014, 9, 28, 22, tzinfo=UTC), 10.0, "GQ"),
        (datetime(2014, 9, 29, 22, tzinfo=UTC), 10.0, "GQ"),
    ]


async def test_compute_multiplies_shares_into_percent(city, room):
    for key, status in (("1", "ok"), ("2", "ok"), ("3", "ok"), ("4", "defectiveLamp")):
        await city.thing("Streetlight", key, status=status)
    await room.compute()
    found = room.summary(ANONYMOUS, LIGHTS)
    assert (found.value, found.numerator, found.denominator) == (75.0, 3, 4)
    assert found.points is None  # this framework gives none
    assert found.percent_of_target == pytest.approx(100 * 75 / 98)


async def test_compute_leaves_a_count_as_it_is(city, room):
    await city.thing("Streetlight", "1", origin="simulated", status="ok")
    await room.compute()
    (percent, number) = room.find("u4ssc", "EC:ICT:PS:1A")
    assert room.summary(ANONYMOUS, number).origin == "simulated"
    assert room.summary(ANONYMOUS, number).value == 2  # street lights, and indicators themselves
    assert room.summary(ANONYMOUS, number).multiplier == 1
    assert room.summary(ANONYMOUS, percent).multiplier == 100


async def test_compute_shows_a_numerator_that_waits_for_its_denominator(city, room):
    road = await city.thing("TrafficFlowObserved", "1", length=2500)
    city.past(road, "intensity", "C62", [(city.clock.instant - timedelta(days=1), 3)])
    await room.compute()
    found = room.summary(ANONYMOUS, STREETS)
    assert (found.state, found.value, found.numerator, found.parts_unit) == (
        State.NOT_REPORTED,
        None,
        2.5,
        "KMT",
    )


async def test_compute_goes_on_when_a_measure_fails(city, room):
    sensor = await city.thing("AirQualityObserved", "1")
    city.past(sensor, "pm25", "CEL", [(city.clock.instant - timedelta(days=2), 10)])
    await city.thing("Streetlight", "1", status="ok")
    await room.compute()
    assert "cannot be turned" in room.summary(ANONYMOUS, PM25).trouble
    assert room.summary(ANONYMOUS, LIGHTS).value == 100


async def test_compute_is_the_same_whatever_secret_things_do(city, room):
    await room.compute()
    before = [city.broker.raw(ANONYMOUS, one.id) for one in room.report(ANONYMOUS, "city").indicators]
    await city.thing("Streetlight", "secret", status="ok", information_class=InformationClass.SECURITY)
    city.clock.instant += timedelta(minutes=1)
    await room.compute()
    after = [city.broker.raw(ANONYMOUS, one.id) for one in room.report(ANONYMOUS, "city").indicators]
    assert after == before
    assert room.summary(ANONYMOUS, LIGHTS).value is None


async def test_a_value_can_be_followed_to_what_it_rests_on(city, room):
    await air(city, 300)
    await room.compute()
    tree = await Lineage(city.broker, city.history).back(ANONYMOUS, PM25)
    (about,) = tree.children
    assert (about.entity_id, about.because[0].count) == ("type:AirQualityObserved", 7198)
    assert about.readings[0].count == 7200


@pytest.mark.parametrize(
    ("every", "due", "settled"),
    [
        ("PT1H", datetime(2014, 9, 29, 12, tzinfo=UTC), True),
        ("PT6H", datetime(2014, 9, 29, 12, tzinfo=UTC), False),
        ("P1D", datetime(2014, 9, 28, 22, tzinfo=UTC), True),
    ],
)
def test_due_at_tells_when_and_whether_late_readings_had_their_time(every, due, settled):
    now = datetime(2014, 9, 29, 12, 34, 56, tzinfo=UTC)
    assert due_at(now, parse_step(every), ZoneInfo("Europe/Copenhagen")) == (due, settled)


# Entering and verifying


async def test_enter_keeps_the_value_with_its_evidence(city, room, planner):
    entry = Entry(
        **YEAR, numerator=10_640, denominator=11_200, quality=Quality.SURVEY, source="Survey of 2013"
    )
    found = await room.enter(planner, INTERNET, entry, [PDF])
    assert (found.state, found.value, found.unit_code) == (State.REPORTED, 95.0, "P1")
    assert (found.points, found.origin, found.method) == (4, "entered", "manual")
    assert (found.quality, found.source, found.entered_by) == (Quality.SURVEY, "Survey of 2013", planner.id)
    assert (found.since, found.until) == (YEAR["since"], YEAR["until"])
    (evidence,) = found.evidence
    assert (evidence.name, evidence.size) == ("internet.pdf", 16)
    assert (await room.evidence(planner, INTERNET, evidence.digest))[1] == PDF.data
    with pytest.raises(NotFound):
        await room.evidence(ANONYMOUS, INTERNET, evidence.digest)


async def test_enter_lets_everybody_read_public_evidence(room, planner):
    public = Upload(name="a.csv", media_type="text/csv", data="a,b\nø,1\n".encode(), public=True)
    found = await room.enter(planner, INTERNET, Entry(**YEAR, value=90.0, source="x"), [public])
    assert (await room.evidence(ANONYMOUS, INTERNET, found.evidence[0].digest))[1] == public.data


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ({"value": 101.0}, "value"),
        ({"value": -1.0}, "value"),
        ({"value": float("nan")}, "value"),
        ({"value": True}, "value"),
        ({}, "value"),
        ({"numerator": 5.0}, "value"),
        ({"numerator": 5.0, "denominator": 0.0}, "denominator"),
        ({"numerator": 5.0, "denominator": 10.0, "value": 60.0}, "value"),
        ({"value": 90.0, "source": ""}, "source"),
        ({"value": 90.0, "since": YEAR["until"]}, "until"),
        ({"value": 90.0, "until": datetime(2030, 1, 1, tzinfo=UTC)}, "until"),
    ],
)
async def test_enter_refuses_what_cannot_be(city, room, planner, entry, where):
    last = city.broker.last_sequence
    with pytest.raises(BadInput) as refused:
        await room.enter(planner, INTERNET, Entry(**{**YEAR, "source": "x", **entry}))
    assert refused.value.where == where
    assert city.broker.last_sequence == last


@pytest.mark.parametrize(
    "file",
    [
        Upload(name="a.pdf", media_type="application/pdf", data=b"<html>"),
        Upload(name="a.html", media_type="text/html", data=b"<html>"),
        Upload(name="a.csv", media_type="text/csv", data=b"\xff\xfe\x00"),
        Upload(name="a.pdf", media_type="application/pdf", data=b""),
        Upload(name="a.txt", media_type="text/plain", data=b"a" * (LARGEST + 1)),
        Upload(name="/", media_type="text/plain", data=b"a"),
    ],
    ids=["disguised", "page", "binary", "empty", "large", "nameless"],
)
async def test_enter_refuses_files_it_does_not_take(city, room, planner, file):
    with pytest.raises(BadInput):
        await room.enter(planner, INTERNET, Entry(**YEAR, value=90.0, source="x"), [file])
    assert room.summary(planner, INTERNET).value is None


async def test_enter_takes_yes_and_no_where_they_are_asked_for(room, planner):
    plans = room.find("u4ssc", "SC: SH: SA: 3A")[0]
    with pytest.raises(BadInput):
        await room.enter(planner, plans, Entry(**YEAR, value=1.0, source="x"))
    found = await room.enter(planner, plans, Entry(**YEAR, value=True, source="x"))
    assert (found.value, found.points) == (True, 4)


async def test_enter_warns_of_what_does_not_fit(room, planner):
    (potable,) = room.find("u4ssc", "EC:I:WS:2C")
    (basic,) = room.find("u4ssc", "EC:I:WS:1C")
    await room.enter(planner, basic, Entry(**YEAR, value=98.0, source="x"))
    found = await room.enter(planner, potable, Entry(**YEAR, value=99.0, source="x"))
    assert [one.check.id for one in found.findings] == ["potable-water"]


async def test_enter_and_verify_need_their_permissions(room, planner, auditor):
    entry = Entry(**YEAR, value=90.0, source="x")
    with pytest.raises(NotAllowed):
        await room.enter(ANONYMOUS, INTERNET, entry)
    await room.enter(planner, INTERNET, entry)
    with pytest.raises(NotAllowed):
        await room.verify(planner, INTERNET)
    assert (await room.verify(auditor, INTERNET)).verified_by == auditor.id


async def test_verify_takes_a_second_person(room, auditor, planner):
    await room.enter(auditor, INTERNET, Entry(**YEAR, value=90.0, source="x"))
    with pytest.raises(NotAllowed, match="does not verify"):
        await room.verify(auditor, INTERNET)
    assert not room.summary(auditor, INTERNET).verified


async def test_verify_ends_with_the_value_it_was_given_to(room, auditor, planner):
    await room.enter(planner, INTERNET, Entry(**YEAR, value=90.0, source="x"))
    await room.verify(auditor, INTERNET)
    found = await room.enter(planner, INTERNET, Entry(**YEAR, value=90.0, source="another"))
    assert (found.verified, found.verified_by) == (False, "")


async def test_verify_of_a_computed_value_lasts_as_long_as_the_value(city, room, auditor):
    for key in ("1", "2"):
        await city.thing("Streetlight", key, status="ok")
    await room.compute()
    await room.verify(auditor, LIGHTS)
    city.clock.instant += timedelta(hours=6)
    await room.compute()
    assert room.summary(ANONYMOUS, LIGHTS).verified
    await city.thing("Streetlight", "3", status="defectiveLamp")
    city.clock.instant += timedelta(hours=6)
    await room.compute()
    assert not room.summary(ANONYMOUS, LIGHTS).verified


async def test_verify_is_refused_when_the_value_has_changed_meanwhile(room, auditor, planner):
    seen = await room.enter(planner, INTERNET, Entry(**YEAR, value=90.0, source="x"))
    await room.enter(planner, INTERNET, Entry(**YEAR, value=20.0, source="x"))
    with pytest.raises(Conflict):
        await room.verify(auditor, INTERNET, version=seen.version)


async def test_verify_and_withdraw_of_nothing_are_refused(room, auditor, planner):
    for command in (room.verify(auditor, INTERNET), room.withdraw(planner, INTERNET)):
        with pytest.raises(Conflict):
            await command


async def test_an_entered_value_stands_until_it_is_withdrawn(city, room, planner):
    await air(city, 300)
    await room.compute()
    with pytest.raises(Conflict):
        await room.withdraw(planner, PM25)
    await room.enter(planner, PM25, Entry(**YEAR, value=8.0, source="reference station"))
    city.clock.instant += timedelta(days=1)
    await room.compute()
    assert room.summary(planner, PM25).value == 8.0
    assert (await room.withdraw(planner, PM25)).state is State.NOT_REPORTED
    city.clock.instant += timedelta(days=1)
    await room.compute()
    assert room.summary(planner, PM25).value == 10.0


async def test_a_value_that_is_entered_while_a_measure_looks_stands(city, room, planner, monkeypatch):
    update, turn, wanted, looking = city.broker.update, room._editing.turn, asyncio.Event(), []

    def noted(name):
        if looking and name == PM25:
            wanted.set()
        return turn(name)

    async def slowly(actor, entity_id, *more, trace):
        """What is entered is being written; the measure comes to its turn meanwhile."""
        if trace == "indicators:enter":
            looking.append(asyncio.create_task(room.compute()))
            await asyncio.wait_for(wanted.wait(), 60)
        return await update(actor, entity_id, *more, trace=trace)

    await air(city, 300)
    monkeypatch.setattr(room._editing, "turn", noted)
    monkeypatch.setattr(city.broker, "update", slowly)
    await room.enter(planner, PM25, Entry(**YEAR, value=8.0, source="reference station"))
    await looking[0]
    assert room.summary(planner, PM25).value == 8.0


# Reports


async def test_report_keeps_three_absences_apart(city, room, planner, auditor):
    await room.enter(planner, INTERNET, Entry(**YEAR, value=40.0, source="x"))
    (wifi,) = room.find("u4ssc", "EC:ICT:ICT:5C")  # as one catalogue prints it
    await room.enter(planner, wifi, Entry(**YEAR, value=12.0, source="x"))
    await room.verify(auditor, wifi)
    report = room.report(ANONYMOUS, "u4ssc")
    tally = report.tallies[""]
    assert (tally.total, tally.reported, tally.verified, tally.scored) == (112, 2, 1, 1)
    assert tally.without_benchmark == 12
    assert (report.tallies["core"].reported, report.tallies["advanced"].reported) == (1, 1)
    assert report.tallies["core"].total + report.tallies["advanced"].total == 112


async def test_report_scores_groups_by_their_points(room, planner):
    for code, value in (("EC:ICT:ICT:1C", 20.0), ("EC:ICT:ICT:2C", 70.0), ("EC:ICT:WS:1C", 97.0)):
        (point,) = room.find("u4ssc", code)
        await room.enter(planner, point, Entry(**YEAR, value=value, source="x"))
    report = room.report(ANONYMOUS, "u4ssc")
    (economy, environment, society) = report.groups
    assert (economy.score.points, economy.score.percent) == (1 + 3 + 4, pytest.approx(100 * 8 / 12))
    assert environment.score.percent is None
    ict = economy.groups[0]
    assert [(one.group.name["en"], one.score.percent) for one in ict.groups[:3]] == [
        ("ICT Infrastructure", 50.0),
        ("Water and Sanitation", 100.0),
        ("Drainage", None),
    ]
    assert (ict.groups[0].reported, ict.groups[0].total) == (2, 6)
    assert society.total == 29


async def test_report_of_an_unknown_framework_is_not_found(room):
    with pytest.raises(NotFound, match="iso"):
        room.report(ANONYMOUS, "iso")
    with pytest.raises(NotFound):
        room.find("u4ssc", "XX:1")
    with pytest.raises(NotFound):
        room.summary(ANONYMOUS, "urn:nothing")


async def test_indicators_are_entities_like_any_other(city, room, planner):
    await room.enter(planner, INTERNET, Entry(**YEAR, value=90.0, source="x"))
    document = city.broker.retrieve(ANONYMOUS, INTERNET)
    assert document["type"] == ["KeyPerformanceIndicator"]
    assert value_of(document, "kpiValue") == 90.0
    assert value_of(document, "name") == {
        "en": "Household Internet Access",
        "da": "Husstande med internetadgang",
    }
    assert value_of(document, "calculationFormula").startswith("(households with Internet access")
    with pytest.raises(CityError):
        await city.broker.update(ANONYMOUS, INTERNET, document)
    assert city.broker.class_of(CITY, INTERNET) is InformationClass.OPEN


async def test_values_are_worked_out_after_what_people_wait_for(room, monkeypatch):
    looked, ready = asyncio.Event(), asyncio.Event()

    async def tick(**_):
        assert ready.is_set()
        looked.set()

    monkeypatch.setattr(room._computing, "tick", tick)
    await room.start(ready)
    await asyncio.sleep(0)
    assert not looked.is_set()
    ready.set()
    await asyncio.wait_for(looked.wait(), 30)
    await room.stop()
