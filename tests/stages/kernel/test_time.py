"""The months of the calendar."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from cityloom.kernel.time import month_of, months_later

COPENHAGEN = ZoneInfo("Europe/Copenhagen")


@pytest.mark.parametrize(
    ("begin", "months", "end"),
    [
        ((2019, 11, 1), 1, (2019, 12, 1)),
        ((2019, 11, 1), 2, (2020, 1, 1)),
        ((2019, 12, 31), 1, (2020, 1, 31)),
        ((2019, 12, 31), 2, (2020, 2, 29)),
        ((2020, 1, 31), -1, (2019, 12, 31)),
        ((2020, 1, 31), -13, (2018, 12, 31)),
        ((2019, 7, 1), 12, (2020, 7, 1)),
        ((2019, 7, 1), 0, (2019, 7, 1)),
    ],
)
def test_months_are_those_of_the_calendar(begin, months, end):
    assert months_later(datetime(*begin, 9, tzinfo=COPENHAGEN), months) == datetime(
        *end, 9, tzinfo=COPENHAGEN
    )


def test_there_is_no_month_after_the_last_one():
    with pytest.raises(ValueError):
        months_later(datetime(9999, 12, 1, tzinfo=UTC), 1)


def test_a_month_begins_where_its_own_time_zone_says():
    at = datetime(2026, 3, 31, 23, 30, 5, 7, tzinfo=COPENHAGEN)
    assert month_of(at) == datetime(2026, 3, 1, tzinfo=COPENHAGEN)
