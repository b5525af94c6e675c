"""Durations, times of day, and which slot is due."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityloom.kernel.errors import BadInput
from cityloom.services.manifest import WakesOn
from cityloom.services.schedule import (
    last_slot,
    last_time_of_day,
    next_time_of_day,
    parse_duration,
    parse_time_of_day,
)
from cityloom.services.timetable import Timetable
from cityloom.services.writing import iso_duration

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
NOON = datetime(2026, 4, 12, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("PT5M", timedelta(minutes=5)),
        ("P1W", timedelta(weeks=1)),
        ("P2DT3H", timedelta(days=2, hours=3)),
        ("PT90S", timedelta(seconds=90)),
    ],
)
def test_parse_duration_reads_iso_8601(text, length):
    assert parse_duration(text, where="every") == length


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "5M", "PT5", "P1M", "P1Y", "-PT5M", "PT0M", "pt5m", "PT1.5H"]
)
def test_parse_duration_refuses_what_is_none(text):
    with pytest.raises(BadInput, match="is not a duration"):
        parse_duration(text, where="every")


@given(st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=500)))
def test_iso_duration_is_read_back(length):
    whole = timedelta(seconds=int(length.total_seconds()))
    assert parse_duration(iso_duration(whole), where="x") == whole


@pytest.mark.parametrize("text", ["24:00", "9:00", "18:60", "18", "", "18:00:00"])
def test_parse_time_of_day_refuses_what_is_none(text):
    with pytest.raises(BadInput, match="is not a time of day"):
        parse_time_of_day(text, where="at")


def test_last_slot_is_a_whole_multiple():
    assert last_slot(NOON + timedelta(minutes=7), timedelta(minutes=5)) == NOON + timedelta(minutes=5)
    assert last_slot(NOON, timedelta(minutes=5)) == NOON


@pytest.mark.parametrize(
    ("at", "local", "expected"),
    [
        # 18:00 in summer time is 16:00 UTC.
        (datetime(2026, 4, 12, 16, 0, tzinfo=UTC), time(18), datetime(2026, 4, 12, 16, 0, tzinfo=UTC)),
        (datetime(2026, 4, 12, 15, 59, tzinfo=UTC), time(18), datetime(2026, 4, 11, 16, 0, tzinfo=UTC)),
        (datetime(2026, 1, 12, 17, 0, tzinfo=UTC), time(18), datetime(2026, 1, 12, 17, 0, tzinfo=UTC)),
        # 02:30 does not exist on 29 March 2026 and comes twice on 25 October.
        (datetime(2026, 3, 29, 12, 0, tzinfo=UTC), time(2, 30), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        (datetime(2026, 10, 25, 12, 0, tzinfo=UTC), time(2, 30), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ],
)
def test_last_time_of_day_follows_the_clocks_of_the_city(at, local, expected):
    assert last_time_of_day(at, local, COPENHAGEN) == expected


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.times())  # noqa: DTZ001 - a wall clock
def test_next_time_of_day_is_later_and_within_two_days(at, local):
    instant = at.replace(tzinfo=UTC)
    local = local.replace(second=0, microsecond=0)
    following = next_time_of_day(instant, local, COPENHAGEN)
    assert instant < following <= instant + timedelta(hours=26)
    assert last_time_of_day(following, local, COPENHAGEN) == following


def test_due_waits_for_the_delay():
    timetable = Timetable(WakesOn(at=("18:00",), delay="PT5M"), COPENHAGEN)
    slot = datetime(2026, 4, 12, 16, 0, tzinfo=UTC)
    assert timetable.due(slot + timedelta(minutes=4)) == []
    assert [item.at for item in timetable.due(slot + timedelta(minutes=5))] == [slot]
    assert timetable.due(slot + timedelta(minutes=6)) == []
    assert timetable.next_due(slot) == slot + timedelta(minutes=5)
    assert timetable.next_due(slot + timedelta(minutes=5)) == slot + timedelta(days=1, minutes=5)


def test_due_gives_the_newest_slot_alone_when_the_city_runs_fast():
    timetable = Timetable(WakesOn(every="PT5M"), COPENHAGEN)
    assert [item.at for item in timetable.due(NOON)] == [NOON]
    later = NOON + timedelta(minutes=23)
    assert [item.at for item in timetable.due(later)] == [NOON + timedelta(minutes=20)]


def test_due_lets_a_slot_go_that_is_long_past_and_says_so():
    timetable = Timetable(WakesOn(at=("18:00",)), COPENHAGEN)
    slot = datetime(2026, 4, 12, 16, 0, tzinfo=UTC)
    assert timetable.due(slot - timedelta(hours=1)) == []
    assert timetable.missed is None
    assert timetable.due(slot + timedelta(hours=2)) == []
    assert timetable.missed == slot
    assert timetable.due(slot + timedelta(hours=3)) == []


def test_due_starts_over_when_the_clock_is_set_back():
    timetable = Timetable(WakesOn(every="PT5M"), COPENHAGEN)
    timetable.due(NOON)
    earlier = NOON - timedelta(days=30)
    assert [item.at for item in timetable.due(earlier)] == [earlier]


def test_due_names_its_slots_in_the_order_of_time():
    timetable = Timetable(WakesOn(every="PT5M", at=("13:58",)), COPENHAGEN)
    assert [item.name for item in timetable.due(NOON)] == ["at:13:58", "every"]
