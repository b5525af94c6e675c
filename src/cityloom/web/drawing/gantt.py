"""A plan in time: a bar for each initiative, arrows for what waits for what, milestones, today."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import msgspec
from babel import dates
from markupsafe import Markup, escape

from cityloom.web.drawing.svg import axis_words, rule
from cityloom.web.wording import Wording

WIDTH = 960
_LEFT, _RIGHT, _TOP = 250, 16, 34
_ROW, _BAR, _FOOT = 30, 14, 24
_LONGEST_NAME = 34
#: Room that the words of a month take.
_LABEL = 72
#: Ticks: not more than so many, in steps of so many months.
_MOST_TICKS = 14
_STEPS = (1, 3, 6, 12, 24, 60, 120)


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """An initiative as it is drawn. `start` and `end` are what is expected, the others what was planned."""

    id: str
    name: str
    href: str
    phase: str
    start: date
    end: date
    planned_start: date
    planned_end: date
    #: Until when it may last without moving the end of its chain.
    latest_end: date
    is_critical: bool
    after: tuple[str, ...] = ()
    #: (day, words, whether it was reached).
    milestones: tuple[tuple[date, str, bool], ...] = ()


def draw_gantt(bars: Sequence[Bar], today: date, title: str, wording: Wording) -> Markup:
    """The plan as SVG. Everything that it tells stands in a table beside it; its names are links."""
    frame = _Frame(bars, today)
    height = _TOP + _ROW * len(bars) + _FOOT
    parts = [
        f"<title>{escape(title)}</title>",
        _DEFINITIONS,
        *_months(frame, height, wording),
        *(part for row, bar in enumerate(bars) for part in _row(frame, row, bar, wording)),
        *_arrows(frame, bars),
        *_today(frame, height, wording),
    ]
    return Markup(  # noqa: S704 - every text in it is escaped above
        f'<svg class="gantt" viewBox="0 0 {WIDTH} {height}" role="group" aria-label="{escape(title)}" '
        f'preserveAspectRatio="xMidYMid meet">' + "".join(str(part) for part in parts) + "</svg>"
    )


_DEFINITIONS = (
    '<defs><marker id="gantt-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" '
    'markerUnits="userSpaceOnUse" orient="auto"><path class="tip" d="M0 0 8 4 0 8z"/></marker>'
    '<pattern id="gantt-hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="6"/></pattern></defs>'
)


class _Frame:
    """From days to places on the drawing."""

    def __init__(self, bars: Sequence[Bar], today: date) -> None:
        days = [
            day for bar in bars for day in (bar.start, bar.planned_start, bar.latest_end, bar.planned_end)
        ] or [today]
        self.since = min(days) - timedelta(days=3)
        self.until = max(days) + timedelta(days=7)
        self.today = today
        self._span = max(1, (self.until - self.since).days)

    def x(self, day: date) -> float:
        return _LEFT + (day - self.since).days / self._span * (WIDTH - _LEFT - _RIGHT)

    def holds(self, day: date) -> bool:
        return self.since <= day <= self.until


def _middle(row: int) -> float:
    return _TOP + _ROW * row + _ROW / 2


def _months(frame: _Frame, height: int, wording: Wording) -> Iterator[str]:
    first = frame.since.year * 12 + frame.since.month
    last = frame.until.year * 12 + frame.until.month - 1
    step = next((one for one in _STEPS if (last - first) / one <= _MOST_TICKS), _STEPS[-1])
    # Months since the year 0; a step's months begin with January.
    for month in range(first + -first % step, last + 1, step):
        day = date(month // 12, month % 12 + 1, 1)
        x = frame.x(day)
        if x >= _LEFT:
            skeleton = "y" if step >= 12 else "yMMM"
            words = dates.format_skeleton(skeleton, day, locale=wording.language.locale)
            yield rule(x, _TOP - 8, x, height - _FOOT)
            if x < WIDTH - _LABEL:
                yield axis_words(words, x + 2, _TOP - 14)


def _row(frame: _Frame, row: int, bar: Bar, wording: Wording) -> Iterator[str]:
    y = _middle(row)
    name = bar.name if len(bar.name) <= _LONGEST_NAME else bar.name[: _LONGEST_NAME - 1] + "…"
    sign = "◆ " if bar.is_critical else ""
    yield (
        f'<a href="{escape(bar.href)}"><title>{escape(_told(bar, wording))}</title>'
        f'<text class="axis name" x="4" y="{y + 4:.1f}">{sign}{escape(name)}</text></a>'
    )
    top, left, right = y - _BAR / 2, frame.x(bar.start), frame.x(bar.end)
    width = max(right - left, 2.0)
    if (bar.start, bar.end) != (bar.planned_start, bar.planned_end):
        was, until = frame.x(bar.planned_start), frame.x(bar.planned_end)
        yield _rect("was", was, top - 3, max(until - was, 2.0), _BAR + 6)
    if bar.latest_end > bar.end:
        yield rule(right, y, frame.x(bar.latest_end), y, "room")
    yield _rect(f"span {bar.phase}", left, top, width, _BAR)
    if bar.is_critical:
        yield _rect("critical", left, top, width, _BAR)
    for day, words, reached in bar.milestones:
        if frame.holds(day):
            yield _milestone(frame.x(day), y, f"{words}, {wording.day(day.isoformat())}", reached=reached)


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{escape(kind)}" {place} rx="2"/>'


def _milestone(x: float, y: float, words: str, *, reached: bool) -> str:
    kind = "milestone reached" if reached else "milestone"
    points = f"{x:.1f},{y - 7:.1f} {x + 7:.1f},{y:.1f} {x:.1f},{y + 7:.1f} {x - 7:.1f},{y:.1f}"
    return f'<polygon class="{kind}" points="{points}"><title>{escape(words)}</title></polygon>'


def _told(bar: Bar, wording: Wording) -> str:
    return f"{bar.name}: {wording.day(bar.start.isoformat())} – {wording.day(bar.end.isoformat())}"


def _arrows(frame: _Frame, bars: Sequence[Bar]) -> Iterator[str]:
    rows = {bar.id: row for row, bar in enumerate(bars)}
    for row, bar in enumerate(bars):
        for other in bar.after:
            if other in rows:
                yield _arrow(frame, bars[rows[other]], rows[other], bar, row)


def _arrow(frame: _Frame, before: Bar, before_row: int, bar: Bar, row: int) -> str:
    """From an end into the other's bar from above or below; into its beginning where there is room."""
    x1, y1, x2, y2 = frame.x(before.end), _middle(before_row), frame.x(bar.start), _middle(row)
    edge = y2 - _BAR / 2 - 1 if y2 > y1 else y2 + _BAR / 2 + 1
    if x2 > x1 + 14:
        way = f"M{x1:.1f} {y1:.1f}h6V{y2:.1f}H{x2 - 1:.1f}"
    elif x1 + 5 < max(frame.x(bar.end), x2 + 8):
        way = f"M{x1:.1f} {y1:.1f}h5V{edge:.1f}"
    else:
        # It began before the other had ended: back to its beginning, between the rows.
        turn = y2 - _ROW / 2 if y2 > y1 else y2 + _ROW / 2
        way = f"M{x1:.1f} {y1:.1f}h6V{turn:.1f}H{x2 + 4:.1f}V{edge:.1f}"
    heavy = " heavy" if before.is_critical and bar.is_critical else ""
    return f'<path class="arrow{heavy}" d="{way}" marker-end="url(#gantt-tip)"/>'


def _today(frame: _Frame, height: int, wording: Wording) -> Iterator[str]:
    if frame.holds(frame.today):
        x = frame.x(frame.today)
        yield rule(x, _TOP - 6, x, height - 16, "now")
        yield axis_words(wording.language.gettext("today"), x, height - 4, anchor="middle")
