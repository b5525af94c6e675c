"""Local times of a zone as pieces that each have one answer: an offset, a gap, or two. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from cityloom.kernel.time import from_millis, to_millis

_HOUR = 3_600_000
#: Offsets of two sides of a change of the clock differ by less than this, in hours.
_AROUND = 30


class Piece(NamedTuple):
    """Local times from one instant on, until the next piece; milliseconds as if they were UTC."""

    begin: int
    #: Local time less UTC.
    offset: int
    #: plain; gap: clocks were set forward over it, `offset` is that before; fold: it came twice, `offset` is
    #: that of the first time and `second` that of the second.
    kind: Literal["plain", "gap", "fold"] = "plain"
    second: int = 0


def pieces(zone: ZoneInfo, first: int, last: int) -> list[Piece]:
    """The pieces of the local times from `first` to `last`."""
    at = first - _AROUND * _HOUR
    end = last + _AROUND * _HOUR
    before = _offset(zone, at)
    found = [Piece(-(2**62), before)]
    while at < end:
        step = min(at + 24 * _HOUR, end)
        after = _offset(zone, step)
        if after != before:
            change = _change(zone, at, step)
            before, after = _offset(zone, change - 1), _offset(zone, change)
            found += _around(change, before, after)
            # Two changes within a day are looked at one after the other.
            at, before = change, after
            continue
        at = step
    return found


def _around(change: int, before: int, after: int) -> list[Piece]:
    if after > before:
        return [Piece(change + before, before, "gap"), Piece(change + after, after)]
    return [Piece(change + after, before, "fold", after), Piece(change + before, after)]


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    """The first instant at which the offset is no longer that of `low`."""
    before = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def _offset(zone: ZoneInfo, instant: int) -> int:
    """Local time less UTC at an instant, in milliseconds."""
    local = from_millis(instant).astimezone(zone).utcoffset() or timedelta(0)
    return local // timedelta(milliseconds=1)


#: Beyond these a table's times are no times.
EARLIEST_LOCAL = to_millis(datetime(1800, 1, 1, tzinfo=UTC))
LATEST_LOCAL = to_millis(datetime(2200, 1, 1, tzinfo=UTC))
