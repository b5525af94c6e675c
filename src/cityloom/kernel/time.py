"""Instants: aware UTC inside, RFC 3339 with Z at the border (ETSI GS CIM 009, 4.6.3)."""

from __future__ import annotations

import time
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

from cityloom.kernel.errors import BadInput

#: Readings older than this are refused: they are a device's clock at its factory default.
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
#: A device's clock may run ahead this much before its reading is refused.
FUTURE_TOLERANCE = timedelta(minutes=10)

#: The clock that nobody sets, and that goes on while the machine sleeps where it has one that does.
_UNSET_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Clock(Protocol):
    """Tells the city's time. A replayed or simulated city has a time of its own."""

    def now(self) -> datetime:
        """The city's instant, aware UTC."""
        ...


class WallClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def parse_instant(text: object, *, where: str) -> datetime:
    """An RFC 3339 date-time with a zone, as aware UTC. Raises BadInput naming `where`."""
    hint = "Write a date-time with its zone, such as 2026-04-12T20:00:00Z."
    if not isinstance(text, str) or not 10 < len(text) <= 40 or "T" not in text:
        raise BadInput(f"{str(text)[:40]!r} is not a date-time", hint=hint, where=where)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text[:40]!r} is not a date-time", hint=hint, where=where) from None
    if instant.tzinfo is None:
        raise BadInput(f"{text!r} has no time zone", hint=hint, where=where)
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise BadInput(f"{text!r} is outside the calendar", hint=hint, where=where) from None


def format_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with Z; milliseconds where there are any."""
    text = instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return text.removesuffix(".000") + "Z"


def second_of(instant: datetime) -> str:
    """The instant's second in UTC, such as 2026-04-12T20:00:00: in the order of time, as texts."""
    return _second_of(int(instant.timestamp()))


@lru_cache(maxsize=4)
def _second_of(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")[:19]


#: The second of `EARLIEST`.
EARLIEST_SECOND = second_of(EARLIEST)


def to_millis(instant: datetime) -> int:
    """Whole milliseconds since 1970-01-01T00:00:00Z."""
    return (instant - _EPOCH) // _MILLISECOND


def from_millis(millis: int) -> datetime:
    """The aware UTC instant of milliseconds since 1970."""
    return _EPOCH + millis * _MILLISECOND


def month_of(instant: datetime) -> datetime:
    """The beginning of the month of an instant, by the calendar of its own time zone."""
    return instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def months_later(instant: datetime, months: int) -> datetime:
    """The same time of day some months later, or (negative) earlier, by the calendar of its own time zone.

    A day that the month does not have is its last one. Raises ValueError outside the calendar.
    """
    passed, month = divmod(instant.month - 1 + months, 12)
    year = instant.year + passed
    day = min(instant.day, monthrange(year, month + 1)[1])
    return instant.replace(year=year, month=month + 1, day=day)


def now_millis() -> int:
    """The machine's clock in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def elapsed_s() -> float:
    """Seconds of a clock that nobody sets: what has passed between two looks at it, the sleep of a suspended
    machine included. `time.monotonic` stands still then, and others take over what has run out meanwhile."""
    return time.clock_gettime(_UNSET_CLOCK)


def check_observed(instant: datetime, *, now: datetime, where: str) -> None:
    """Refuse an observation from a clock that is plainly wrong. `now` is the city's time."""
    if instant < EARLIEST:
        raise BadInput(
            f"{format_instant(instant)} is before any measurement",
            hint="Set the device's clock; it stands at its factory default.",
            where=where,
        )
    if instant > now + FUTURE_TOLERANCE:
        raise BadInput(
            f"{format_instant(instant)} lies in the future (the city's time is {format_instant(now)})",
            hint="Set the device's clock. Forecasts belong in a dataset of their own.",
            where=where,
        )
