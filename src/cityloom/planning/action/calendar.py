"""Milestones and days of report as a calendar (iCalendar, RFC 5545). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import msgspec

#: Months between two reports, by the rhythm.
_MONTHS = {"monthly": 1, "quarterly": 3, "halfYearly": 6, "yearly": 12}
#: Octets of a line before it is folded (3.1).
_LINE = 75


class Event(msgspec.Struct, frozen=True):
    """Something on a day. `key` stays the same while it is the same event."""

    key: str
    day: date
    title: str
    text: str = ""


def reporting_days(rhythm: str, starts: date, ends: date) -> list[date]:
    """The days on which is reported from after the beginning to the end, the end being one of them."""
    months = _MONTHS.get(rhythm)
    if months is None or ends <= starts:
        return []
    days = []
    for place in range(1, 12 * (ends.year - starts.year + 1) // months + 1):
        day = _months_later(starts, months * place)
        if day >= ends:
            break
        days.append(day)
    return [*days, ends]


def _months_later(day: date, months: int) -> date:
    """The same day of a later month, or its last where it has none of that number."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return date(year, month + 1, min(day.day, (following - timedelta(days=1)).day))


def calendar_of(name: str, events: Iterable[Event], now: datetime) -> bytes:
    """The calendar as a file; every event lasts a whole day."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//CityLoom//Action plan//EN", "CALSCALE:GREGORIAN"]
    lines.append(f"X-WR-CALNAME:{_text(name)}")
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    for one in events:
        lines += _event(one, stamp)
    lines.append("END:VCALENDAR")
    return "".join(folded for line in lines for folded in _folded(line)).encode()


def _event(one: Event, stamp: str) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{sha256(one.key.encode()).hexdigest()[:32]}@cityloom"
    yield f"DTSTAMP:{stamp}"
    yield f"DTSTART;VALUE=DATE:{one.day:%Y%m%d}"
    yield f"DTEND;VALUE=DATE:{one.day + timedelta(days=1):%Y%m%d}"
    yield f"SUMMARY:{_text(one.title)}"
    if one.text:
        yield f"DESCRIPTION:{_text(one.text)}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _text(said: str) -> str:
    """A text value (3.3.11)."""
    escaped = said.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return escaped.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\n")


def _folded(line: str) -> Iterator[str]:
    """A line of at most 75 octets, and those that go on with a space; no character is cut in two."""
    rest, most = line, _LINE
    while len(rest.encode()) > most:
        cut = most
        while len(rest[:cut].encode()) > most:
            cut -= 1
        yield rest[:cut] + "\r\n"
        rest, most = " " + rest[cut:], _LINE
    yield rest + "\r\n"
