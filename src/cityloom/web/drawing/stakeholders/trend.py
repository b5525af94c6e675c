"""How many stood at each level of engagement, day by day on which one moved; and one's own course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cityloom.planning.stakeholders.engagement import Count, Level, Moment
from cityloom.web.drawing.boxes import LINE, Box, width_of
from cityloom.web.drawing.svg import Drawing, path, rectangle, small_ring, words
from cityloom.web.wording import Wording

_TALL, _BAR, _LEFT = 240.0, 40.0, 44.0
_ROW, _WIDE = 34.0, 640.0


def draw_trend(counts: Sequence[Count], names: Mapping[str, str], title: str, wording: Wording) -> Drawing:
    """A column for each day, its levels from unaware at the bottom to leading on top."""
    most = max((sum(one.levels.values()) for one in counts), default=0) or 1
    parts, every = [], max(1, -(-len(counts) * 78 // max(len(counts) * int(_BAR), 1)))
    for place, one in enumerate(counts):
        x, y = _LEFT + (place + 0.5) * _BAR, _TALL
        for level in Level:
            tall = one.levels[level] / most * (_TALL - 20)
            if tall:
                parts.append(rectangle(Box(x, y - tall / 2, _BAR - 8, tall), level.value, round_by=0))
                if tall >= 14:
                    look = "words inside" if level is Level.LEADING else "words"
                    parts.append(words(str(one.levels[level]), x, y - tall / 2, look, size=11))
            y -= tall
        if place % every == 0:
            parts.append(words(wording.day(one.on.isoformat()), x, _TALL + LINE, "words soft", size=11))
    parts.append(words(str(most), _LEFT - 8, 20, "words soft", anchor="end"))
    parts.append(words("0", _LEFT - 8, _TALL, "words soft", anchor="end"))
    legend, taken, wide = _legend(names, _TALL + 2 * LINE)
    width = max(_LEFT + len(counts) * _BAR + 40, wide)
    return Drawing(title, (*parts, *legend), 0, 0, width, _TALL + 2 * LINE + taken)


def draw_course(course: Sequence[Moment], names: Mapping[str, str], title: str, wording: Wording) -> Drawing:
    """One stakeholder's level over time, as a line of steps."""
    left = max((width_of(name) for name in names.values()), default=0.0) + 16
    rows = {level.value: _ROW * (len(Level) - place - 0.5) for place, level in enumerate(Level)}
    parts = []
    for level, y in rows.items():
        parts.append(words(names[level], left - 8, y, "words soft", anchor="end"))
        parts.append(path(f"M{left:.1f} {y:.1f}H{left + _WIDE:.1f}", "line", thick=0.3))
    seen = [one for one in course if one.level]
    if seen:
        first, span = seen[0].on, max((seen[-1].on - seen[0].on).days, 1)
        steps, before = "", None
        for one in seen:
            x, y = left + 20 + (one.on - first).days / span * (_WIDE - 40), rows[one.level]
            steps += f"M{x:.1f} {y:.1f}" if before is None else f"H{x:.1f}V{y:.1f}"
            before = y
            parts.append(small_ring(x, y, "dot", 5))
        parts.insert(0, path(steps + f"H{left + _WIDE:.1f}", "line", thick=2.2))
        below = _ROW * len(Level) + LINE / 2
        parts.append(words(wording.day(first.isoformat()), left + 20, below, "words soft", anchor="start"))
        if seen[-1].on != first:
            last = wording.day(seen[-1].on.isoformat())
            parts.append(words(last, left + _WIDE - 20, below, "words soft", anchor="end"))
    return Drawing(title, tuple(parts), 0, 0, left + _WIDE + 8, _ROW * len(Level) + LINE + 6)


def _legend(names: Mapping[str, str], top: float) -> tuple[list[str], float, float]:
    parts, x = [], 8.0
    for level in Level:
        parts.append(rectangle(Box(x + 8, top + LINE / 2, 16, 12), level.value, round_by=0))
        parts.append(words(names[level], x + 22, top + LINE / 2, anchor="start"))
        x += 22 + width_of(names[level]) + 20
    return parts, LINE + 10, x
