"""Days as a calendar file (iCalendar, RFC 5545). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

import msgspec

#: Octets of a line before it is folded (RFC 5545, 3.1).
_LINE = 75


class Occasion(msgspec.Struct, frozen=True, kw_only=True):
    """Something that takes whole days."""

    #: Stays the same while it is the same occasion.
    uid: str
    first: date
    #: The last day; None for one day.
    last: date | None = None
    title: str
    text: str = ""
    #: Kinds of people it is for.
    categories: tuple[str, ...] = ()


def as_calendar(name: str, occasions: Iterable[Occasion], *, now: datetime) -> bytes:
    """A calendar of whole days. `now` is when it is written."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//CityLoom//Plan//EN",
        "CALSCALE:GREGORIAN",
        f"X-WR-CALNAME:{_escaped(name)}",
    ]
    for one in occasions:
        lines += _event(one, stamp)
    lines.append("END:VCALENDAR")
    return b"".join(part + b"\r\n" for line in lines for part in _folded(line))


def _event(one: Occasion, stamp: str) -> Iterator[str]:
    after = max(one.last or one.first, one.first) + timedelta(days=1)
    yield "BEGIN:VEVENT"
    yield f"UID:{_escaped(one.uid)}"
    yield f"DTSTAMP:{stamp}"
    yield f"DTSTART;VALUE=DATE:{one.first:%Y%m%d}"
    yield f"DTEND;VALUE=DATE:{after:%Y%m%d}"
    yield f"SUMMARY:{_escaped(one.title)}"
    if one.text:
        yield f"DESCRIPTION:{_escaped(one.text)}"
    if one.categories:
        yield "CATEGORIES:" + ",".join(_escaped(word) for word in one.categories)
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _escaped(text: str) -> str:
    for mark in ("\\", ";", ","):
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\n")


def _folded(line: str) -> Iterator[bytes]:
    """A line in parts of 75 octets at most, never within a character."""
    part, first = b"", True
    for character in line:
        octets = character.encode()
        if len(part) + len(octets) > (_LINE if first else _LINE - 1):
            yield part if first else b" " + part
            part, first = b"", False
        part += octets
    yield part if first else b" " + part
