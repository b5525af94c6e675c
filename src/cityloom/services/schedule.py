"""When a service is due: ISO 8601 durations, local times of day, slots of city time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cityloom.kernel.errors import BadInput

_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_duration(text: str, *, where: str) -> timedelta:
    """An ISO 8601 duration in weeks, days, hours, minutes and seconds ("PT5M", "P2D"). Raises BadInput."""
    match = _DURATION.fullmatch(text)
    length = timedelta(**{k: int(v) for k, v in match.groupdict().items() if v}) if match else timedelta(0)
    if not length:
        raise BadInput(f"{text!r} is not a duration", hint="Write it as PT5M, PT1H, P2D or P1W.", where=where)
    return length


def parse_time_of_day(text: str, *, where: str) -> time:
    """A local time of day ("18:00"). Raises BadInput."""
    if re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text) is None:
        raise BadInput(f"{text!r} is not a time of day", hint="Write it as 18:00.", where=where)
    return time.fromisoformat(text)


def floor_to(at: datetime, step: timedelta) -> datetime:
    """The last whole multiple of `step` since 1970 that is not after `at`."""
    return at - (at - _EPOCH) % step


def last_slot(at: datetime, every: timedelta) -> datetime:
    """The newest slot of a regular schedule that is not after `at`."""
    return floor_to(at, every)


def last_time_of_day(at: datetime, local: time, zone: ZoneInfo) -> datetime:
    """The newest instant not after `at` when the clocks of `zone` showed `local`.

    A time that summer time leaves out is taken by the offset before the leap; one that occurs twice counts
    the first time.
    """
    day = at.astimezone(zone).date()
    for back in range(3):
        candidate = datetime.combine(day - timedelta(days=back), local, tzinfo=zone).astimezone(UTC)
        if candidate <= at:
            return candidate
    raise AssertionError("a time of day comes round every day")


def next_time_of_day(at: datetime, local: time, zone: ZoneInfo) -> datetime:
    """The first instant after `at` when the clocks of `zone` show `local`."""
    day = at.astimezone(zone).date()
    for ahead in range(3):
        candidate = datetime.combine(day + timedelta(days=ahead), local, tzinfo=zone).astimezone(UTC)
        if candidate > at:
            return candidate
    raise AssertionError("a time of day comes round every day")
