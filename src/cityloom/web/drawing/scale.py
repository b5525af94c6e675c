"""Axes: round numbers for values, round hours and days for time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

_HOUR = timedelta(hours=1)
#: Distances between ticks of time, each with whether it is told as a day.
_TIME_STEPS: tuple[tuple[timedelta, bool], ...] = (
    (timedelta(minutes=5), False),
    (timedelta(minutes=15), False),
    (timedelta(minutes=30), False),
    (_HOUR, False),
    (3 * _HOUR, False),
    (6 * _HOUR, False),
    (timedelta(days=1), True),
    (timedelta(days=2), True),
    (timedelta(days=7), True),
    (timedelta(days=14), True),
    (timedelta(days=30), True),
    (timedelta(days=91), True),
    (timedelta(days=365), True),
)


def value_ticks(least: float, most: float, about: int = 4) -> list[float]:
    """Round numbers that enclose all values, about so many; zero is among them when it is near."""
    if least > 0 and least < 0.35 * most:
        least = 0.0
    if most < 0 and most > 0.35 * least:
        most = 0.0
    if most - least < 1e-9 * max(1.0, abs(most)):
        pad = max(abs(most) * 0.1, 0.5)
        least, most = least - pad, most + pad
    raw = (most - least) / about
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * magnitude >= raw)
    first, last = math.floor(least / step), math.ceil(most / step)
    return [round(k * step, 10) for k in range(first, last + 1)]


def time_ticks(
    since: datetime, until: datetime, zone: ZoneInfo, most: int = 8
) -> tuple[list[datetime], bool]:
    """Instants at round local times within an interval, and whether they are days rather than hours."""
    span = until - since
    step, days = next(((step, days) for step, days in _TIME_STEPS if span / step <= most), _TIME_STEPS[-1])
    local = since.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    ticks: list[datetime] = []
    tick = midnight
    while tick <= until:
        if tick >= since:
            ticks.append(tick)
        # Wall time: a day with a change of clocks has its ticks at round hours too.
        tick = (tick.replace(tzinfo=None) + step).replace(tzinfo=zone)
        if len(ticks) > 4 * most:
            break
    return ticks, days


#: A distance this many times the usual one is a gap.
GAP = 3.5


def gaps(times: Sequence[int]) -> list[tuple[int, int]]:
    """The neighbours that lie much farther apart than is usual."""
    usual = typical_step(times)
    return [(earlier, later) for earlier, later in pairwise(times) if usual and later - earlier > GAP * usual]


def typical_step(times: Sequence[int]) -> int:
    """The median distance between neighbours, milliseconds; 0 with fewer than two."""
    steps = sorted(later - earlier for earlier, later in pairwise(times))
    return steps[len(steps) // 2] if steps else 0
