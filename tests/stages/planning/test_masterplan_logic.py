"""The master plan's rules: gates, versions, stages, dependencies, progress, calendars."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.kernel.canonical import canonical, digest_of
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.ngsild.model import entity, text
from cityloom.planning.calendar import Occasion, as_calendar
from cityloom.planning.masterplan import processes, versions
from cityloom.planning.masterplan.dimensions import DIMENSIONS, coverage, dimension_of, shares
from cityloom.planning.masterplan.gates import PlanPhase, Requirement, passage
from cityloom.planning.masterplan.incidents import touched_by
from cityloom.planning.masterplan.infrastructure import Item, states
from cityloom.planning.masterplan.kinds import KINDS
from cityloom.planning.masterplan.progress import Verdict, verdict, worst
from cityloom.planning.masterplan.stages import Evidence, Stage, advice, judge
from cityloom.planning.masterplan.watching import Bounds, Watched, watch
from cityloom.planning.records.model import record_of
from cityloom.planning.sdg import TITLES

MET, MISSING = Requirement("vision", "Vision", True), Requirement("baseline", "Baseline", False)
SAID = {"at": "2026-04-10T10:00:00Z", "by": "ada"}


# Gates


def test_a_gate_is_passed_when_nothing_is_missing():
    passed = passage(PlanPhase.BASIS, PlanPhase.STRATEGY, [MET], **SAID, reason="")
    assert (passed.before, passed.after, passed.missing) == (1, 2, ())


def test_a_gate_is_passed_all_the_same_with_a_reason_and_what_was_missing_is_kept():
    with pytest.raises(BadInput) as refused:
        passage(PlanPhase.BASIS, PlanPhase.STRATEGY, [MET, MISSING], **SAID, reason="")
    assert refused.value.where == "reason"
    passed = passage(PlanPhase.BASIS, PlanPhase.STRATEGY, [MET, MISSING], **SAID, reason="The council waits")
    assert passed.missing == ("baseline",)


def test_no_phase_is_left_out_and_going_back_is_given_a_reason():
    with pytest.raises(Conflict):
        passage(PlanPhase.BASIS, PlanPhase.ACTION, [], **SAID, reason="We are in a hurry")
    with pytest.raises(Conflict):
        passage(PlanPhase.BASIS, PlanPhase.BASIS, [], **SAID, reason="Once more")
    with pytest.raises(BadInput):
        passage(PlanPhase.MANAGEMENT, PlanPhase.BASIS, [MISSING], **SAID, reason="")
    back = passage(PlanPhase.MANAGEMENT, PlanPhase.BASIS, [MISSING], **SAID, reason="A new council")
    assert back.missing == ()


# Versions


def version(*records, number=1):
    return {
        "format": versions.FORMAT,
        "city": "Loomby",
        "number": number,
        "adoptedOn": "2026-04-10",
        "decision": {"id": "urn:ngsi-ld:CommitteeDecision:1", "name": "Adopted"},
        "records": list(records),
    }


def record(name, **says):
    return {"id": f"urn:ngsi-ld:Goal:{name}", "type": "Goal", "says": {"name": {"en": name}, **says}}


def test_a_version_is_told_by_its_digest_and_no_letter_of_it_can_be_changed():
    content = version(record("Rene gader æøå", priority=1.0))
    raw = versions.handed_out(content)
    said = versions.verify(raw)
    assert said.digest == hashlib.sha256(canonical(content)).hexdigest()
    assert said.counts == {"Goal": 1} and said.number == 1
    assert versions.verify(json.dumps(json.loads(raw), indent=2).encode()).digest == said.digest
    with pytest.raises(BadInput, match="not what was adopted"):
        versions.verify(raw.replace(b"gader", b"veje!"))
    with pytest.raises(BadInput, match="of that digest"):
        versions.verify(raw, digest="0" * 64)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"[" * 100_000, b'{"plan": {"format": "other"}, "sha256": ""}', b"\xff\xfe"]
)
def test_what_is_no_version_is_refused(raw):
    with pytest.raises(BadInput, match="no version"):
        versions.verify(raw)


def test_two_versions_are_compared_record_by_record_and_field_by_field():
    before = version(record("air", priority=1), record("noise"), record("water", owner="Utility"))
    after = version(record("air", priority=2), record("trees"), record("water"), number=2)
    found = {one.name["en"]: one for one in versions.compare(before, after)}
    assert {name: one.did for name, one in found.items()} == {
        "air": "changed",
        "noise": "removed",
        "trees": "added",
        "water": "changed",
    }
    assert [(one.name, one.before, one.after) for one in found["air"].fields] == [("priority", 1, 2)]
    assert [(one.name, one.after) for one in found["water"].fields] == [("owner", None)]
    assert versions.compare(before, before) == []


_words = st.text(max_size=8)
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(_values)
def test_reading_what_was_written_gives_the_same_digest(value):
    content = version(record("any", value=value))
    read = json.loads(versions.handed_out(content))
    assert digest_of(read["plan"]) == read["sha256"]


# Where the city stands


def test_the_stage_follows_from_the_evidence():
    assert judge(Evidence(young=55.0, growth=20.0)).stage is Stage.NEW
    assert judge(Evidence(old=70.0, empty=12.0, growth=-8.0)).stage is Stage.DETERIORATED
    assert judge(Evidence(young=5.0, old=20.0, growth=2.0)).stage is Stage.MATURE
    assert judge(Evidence(young=5.0)).stage is None
    assert judge(Evidence(young=50.0, old=60.0)).stage is None, "as much for one as for the other"
    assert set(advice()) == {stage.value for stage in Stage}
    assert all(one.policies for one in advice().values())


def test_infrastructure_is_summed_by_itus_fourteen_categories():
    today = date(2026, 4, 10)
    items = [
        Item(category="sensors", count=40, owner="City", since=date(2016, 4, 10), lifetime=8),
        Item(category="sensors", count=2, owner="Utility", since=date(2024, 4, 10), lifetime=8),
        Item(category="sensors", owner="City", condition="poor"),
    ]
    found = {one.category: one for one in states(items, today)}
    assert len(found) == 14
    sensors = found["sensors"]
    assert (sensors.count, sensors.uncounted, sensors.owners, sensors.overdue) == (
        42,
        1,
        ("City", "Utility"),
        2,
    )
    assert sensors.age == pytest.approx(6, abs=0.01)
    assert found["cloud"].items == 0 and found["cloud"].age is None


def test_what_nobody_works_on_or_measures_is_not_covered():
    assert dimension_of("u4ssc", ("Economy", "ICT", "Public Sector")) == "governmental"
    assert dimension_of("u4ssc", ("Economy", "ICT", "Transport")) == "economic"
    assert dimension_of("russia_iq", ("IQ",)) == ""
    found = {one.key: one for one in coverage([["societal"], ["societal", "economic"]], [], ["societal"])}
    assert list(found) == list(DIMENSIONS)
    assert found["societal"].is_covered and not found["economic"].is_covered
    assert shares([["mobility"], ["mobility", "living"]])["mobility"] == pytest.approx(2 / 3)
    assert set(shares([]).values()) == {0.0}


def test_there_are_169_targets_of_the_sustainable_development_goals():
    assert len(TITLES) == 169
    assert len({code.partition(".")[0] for code in TITLES}) == 17


# What depends on what


def test_what_stops_when_a_service_stops():
    depends = {"tram": ["power", "signals"], "signals": ["power"], "school": ["tram"], "power": []}
    assert [(one.id, one.steps) for one in processes.cascade(depends, "power")] == [
        ("signals", 1),
        ("tram", 1),
        ("school", 2),
    ]
    assert processes.cascade(depends, "power")[-1].way == ("power", "tram", "school")
    assert processes.circles(depends) == []
    assert processes.layers(depends) == [["power"], ["signals"], ["tram"], ["school"]]


def part(name, kind, **values):
    one = next(one for one in KINDS if one.type == kind)
    attributes = {key: one.field(key).instance(value) for key, value in values.items()}
    return record_of(one, entity(kind, f"urn:ngsi-ld:{kind}:{name}", {"name": text(en=name), **attributes}))


def test_what_happens_in_the_city_leads_to_the_services_that_rest_on_it():
    counters = part("counters", "InfrastructureItem", madeOf=({"part": "TrafficFlowObserved"},))
    pump = part("pump", "InfrastructureItem", madeOf=({"part": "urn:ngsi-ld:Device:pump"},))
    needs = (counters.id,)
    parking = part("parking", "ServiceProcess", dependsOn=("urn:ngsi-ld:ServiceProcess:signals",))
    signals = part("signals", "ServiceProcess", dependsOn=needs, critical=True)
    every = [parking, counters, pump, signals]
    found = touched_by(every, "urn:ngsi-ld:TrafficFlowObserved:1", ["TrafficFlowObserved"])
    # What harms people first, then the nearest.
    assert [(one.record.name["en"], one.steps) for one in found] == [
        ("signals", 1),
        ("counters", 0),
        ("parking", 2),
    ]
    assert [step.name["en"] for step in found[2].way] == ["counters", "signals", "parking"]
    assert [one.record.id for one in touched_by(every, "urn:ngsi-ld:Device:pump", ["Device"])] == [pump.id]
    assert touched_by(every, "urn:ngsi-ld:Device:other", ["Device"]) == []


def test_a_circle_of_services_is_found():
    depends = {
        "water": ["power"],
        "power": ["cooling"],
        "cooling": ["water"],
        "school": ["water"],
        "x": ["x"],
    }
    assert processes.circles(depends) == [("cooling", "power", "water"), ("x",)]
    assert {one.id for one in processes.cascade(depends, "water")} == {"cooling", "power", "school"}


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdefgh"), st.lists(st.sampled_from("abcdefgh"), max_size=4)))
def test_dependencies_of_any_shape(depends):
    inside = {one for circle in processes.circles(depends) for one in circle}
    for one in {*depends, *(other for needs in depends.values() for other in needs)}:
        around = {other for needs in depends.get(one, ()) for other in [needs]}
        reaches = {one} if one in around else set()
        stopped = {found.id for found in processes.cascade(depends, one)}
        # It is in a circle just when it stops something on which it depends, or itself.
        assert (one in inside) == bool(reaches or around & stopped)
    heights = {one: height for height, row in enumerate(processes.layers(depends)) for one in row}
    for one, needs in depends.items():
        assert all(heights[one] > heights[other] for other in needs if not {one, other} <= inside)


def test_a_long_chain_of_services_is_no_trouble():
    depends = {str(number): [str(number + 1)] for number in range(3000)}
    assert len(processes.cascade(depends, "3000")) == 3000
    assert processes.circles(depends) == []


# How it goes


@pytest.mark.parametrize(
    ("now", "today", "told"),
    [
        (None, date(2026, 6, 1), Verdict.UNKNOWN),
        (50.0, date(2025, 6, 1), Verdict.UNKNOWN),
        (20.0, date(2026, 6, 1), Verdict.REACHED),
        (20.0, date(2028, 6, 1), Verdict.REACHED),
        (35.0, date(2026, 7, 1), Verdict.ON_THE_WAY),
        (48.0, date(2026, 12, 1), Verdict.BEHIND),
        (60.0, date(2026, 7, 1), Verdict.WRONG_WAY),
        (30.0, date(2027, 2, 1), Verdict.MISSED),
    ],
)
def test_a_promise_is_judged_by_the_way_gone_and_the_time_gone(now, today, told):
    said = verdict(50.0, now, 20.0, since=date(2026, 1, 1), due=date(2027, 1, 1), today=today)
    assert said is told


def test_the_verdict_of_several_is_the_worst_that_can_be_told():
    assert worst([Verdict.REACHED, Verdict.BEHIND, Verdict.UNKNOWN]) is Verdict.BEHIND
    assert worst([Verdict.UNKNOWN]) is Verdict.UNKNOWN
    assert worst([]) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("value", "bounds", "told"),
    [
        (5.0, Bounds(2.0, 10.0), Watched.WITHIN),
        (9.5, Bounds(2.0, 10.0), Watched.NEAR),
        (10.0, Bounds(2.0, 10.0), Watched.NEAR),
        (10.1, Bounds(2.0, 10.0), Watched.OUTSIDE),
        (1.0, Bounds(low=2.0), Watched.OUTSIDE),
        (2.1, Bounds(low=2.0), Watched.NEAR),
        (None, Bounds(2.0, 10.0), Watched.UNKNOWN),
        (5.0, Bounds(), Watched.UNKNOWN),
    ],
)
def test_what_is_watched_is_within_its_bounds_or_not(value, bounds, told):
    assert watch(value, bounds) is told


# What is told


def test_a_calendar_of_whole_days_can_be_read_anywhere():
    occasions = [
        Occasion(
            uid="a@city", first=date(2026, 4, 30), title="Møde; med, alle", text="Første\nlinje " + "æ" * 90
        ),
        Occasion(
            uid="b@city", first=date(2026, 5, 1), last=date(2026, 5, 3), title="Week", categories=("press",)
        ),
    ]
    raw = as_calendar("Plan", occasions, now=datetime(2026, 4, 10, 10, tzinfo=UTC))
    lines = raw.split(b"\r\n")
    assert all(len(line) <= 75 for line in lines)
    unfolded = raw.replace(b"\r\n ", b"").decode()
    assert "DTSTART;VALUE=DATE:20260430\r\nDTEND;VALUE=DATE:20260501\r\n" in unfolded
    assert "DTSTART;VALUE=DATE:20260501\r\nDTEND;VALUE=DATE:20260504\r\n" in unfolded
    assert "SUMMARY:Møde\\; med\\, alle" in unfolded
    assert "CATEGORIES:press\r\n" in unfolded
    assert "DESCRIPTION:Første\\nlinje " + "æ" * 90 in unfolded
    assert raw.startswith(b"BEGIN:VCALENDAR\r\n") and raw.endswith(b"END:VCALENDAR\r\n")
