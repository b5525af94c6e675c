"""A series as a line: gaps stay gaps, what is estimated is dashed and has its interval."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from markupsafe import Markup

from cityloom.kernel.time import from_millis, to_millis
from cityloom.web.drawing.scale import gaps, time_ticks, value_ticks
from cityloom.web.drawing.svg import axis_words, picture, rule
from cityloom.web.wording import Wording

WIDTH, HEIGHT = 760, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 28
#: In a longer range a day without its year could be of several years.
_LONG = timedelta(days=330)


class Estimated(msgspec.Struct, frozen=True):
    """One estimate: when it is meant for (milliseconds), the value, and its interval where there is one."""

    at: int
    value: float
    low: float | None = None
    high: float | None = None


class Chart(msgspec.Struct, frozen=True):
    """What is drawn. Times are milliseconds since 1970; None is a reading that is missing."""

    title: str
    unit: str
    since: datetime
    until: datetime
    times: Sequence[int]
    values: Sequence[float | None]
    estimates: Sequence[Estimated] = ()
    #: The city's now, marked when it lies within.
    now: datetime | None = None
    #: A value to reach, and its words.
    target: float | None = None
    target_words: str = ""
    #: Instants marked by a line, with their words: the beginning of an initiative.
    marks: Sequence[tuple[datetime, str]] = ()

    @property
    def numbers(self) -> list[float]:
        """Every number that must find room."""
        found = [value for value in self.values if value is not None]
        for one in self.estimates:
            found += [one.value, *(bound for bound in (one.low, one.high) if bound is not None)]
        return found if self.target is None else [*found, self.target]

    @property
    def is_empty(self) -> bool:
        return not any(value is not None for value in self.values) and not self.estimates


def draw_chart(chart: Chart, wording: Wording) -> Markup:
    """The chart as SVG with a title that tells what it shows."""
    frame = _Frame(chart)
    parts = [
        *_value_axis(frame, wording),
        *_time_axis(frame, wording),
        *_marks(frame),
    ]
    if band := _band(frame):
        parts.append(f'<path class="interval" d="{band}"/>')
    parts.append(f'<path class="measured" d="{_path(frame, _stretches(chart))}"/>')
    parts += _lonely_points(frame)
    if chart.estimates:
        line = [(one.at, one.value) for one in chart.estimates]
        if joint := _last_measured(chart):
            line.insert(0, joint)
        parts.append(f'<path class="forecast" d="{_path(frame, [line])}"/>')
    return picture(parts, summary(chart, wording), WIDTH, HEIGHT)


def summary(chart: Chart, wording: Wording) -> str:
    """What the chart shows, in a sentence for those who do not see it."""
    say = wording.language.gettext
    found = [value for value in chart.values if value is not None]
    period = f"{wording.exact(chart.since)} – {wording.exact(chart.until)}"
    if not found:
        return f"{chart.title}, {period}: " + say("no readings.")
    said = say("%(title)s, %(period)s: from %(least)s to %(most)s, last %(last)s.") % {
        "title": chart.title,
        "period": period,
        "least": _with_unit(wording, min(found), chart.unit),
        "most": _with_unit(wording, max(found), chart.unit),
        "last": _with_unit(wording, found[-1], chart.unit),
    }
    if chart.estimates:
        last = chart.estimates[-1]
        said += " " + say("Estimated for %(at)s: %(value)s.") % {
            "at": wording.exact(from_millis(last.at)),
            "value": _with_unit(wording, last.value, chart.unit),
        }
    return said


class _Frame:
    """From values and instants to places on the drawing."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        numbers = chart.numbers or [0.0, 1.0]
        self.ticks = value_ticks(min(numbers), max(numbers))
        self._since = to_millis(chart.since)
        self._span = max(1, to_millis(chart.until) - self._since)

    def x(self, at: int) -> float:
        return _LEFT + (at - self._since) / self._span * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

    def holds(self, at: datetime) -> bool:
        return self.chart.since <= at <= self.chart.until


def _value_axis(frame: _Frame, wording: Wording) -> list[str]:
    parts = []
    for tick in frame.ticks:
        y = frame.y(tick)
        parts.append(rule(_LEFT, y, WIDTH - _RIGHT, y))
        parts.append(axis_words(wording.number(tick), _LEFT - 6, y + 4, anchor="end"))
    if frame.chart.unit:
        parts.append(axis_words(frame.chart.unit, _LEFT + 4, _TOP + 2))
    return parts


def _time_axis(frame: _Frame, wording: Wording) -> list[str]:
    ticks, days = time_ticks(frame.chart.since, frame.chart.until, wording.zone)
    years = frame.chart.until - frame.chart.since > _LONG
    parts = []
    for tick in ticks:
        x = frame.x(to_millis(tick))
        words = wording.tick(tick, day=days or (tick.hour == 0 and tick.minute == 0), year=years)
        parts.append(axis_words(words, x, HEIGHT - 8, anchor="middle"))
    return parts


def _marks(frame: _Frame) -> list[str]:
    chart = frame.chart
    parts = []
    for at, words in [*(((chart.now, ""),) if chart.now else ()), *chart.marks]:
        if at is not None and frame.holds(at):
            x = frame.x(to_millis(at))
            parts.append(rule(x, _TOP, x, HEIGHT - _BOTTOM, "now"))
            if words:
                parts.append(axis_words(words, x + 4, HEIGHT - _BOTTOM - 6))
    if chart.target is not None:
        y = frame.y(chart.target)
        parts.append(rule(_LEFT, y, WIDTH - _RIGHT, y, "target"))
        parts.append(axis_words(chart.target_words, WIDTH - _RIGHT, y - 5, anchor="end"))
    return parts


def _stretches(chart: Chart) -> list[list[tuple[int, float]]]:
    """Stretches of neighbouring readings; a missing one, or a distance far beyond the usual, ends one."""
    after_gap = {later for _, later in gaps(chart.times)}
    stretches: list[list[tuple[int, float]]] = [[]]
    for at, value in zip(chart.times, chart.values, strict=True):
        if value is None or at in after_gap:
            stretches.append([])
        if value is not None:
            stretches[-1].append((at, value))
    return [one for one in stretches if one]


def _lonely_points(frame: _Frame) -> list[str]:
    """Readings without a neighbour on either side make no line; they are drawn as points."""
    return [
        f'<circle class="point" cx="{frame.x(at):.1f}" cy="{frame.y(value):.1f}" r="2.5"/>'
        for stretch in _stretches(frame.chart)
        if len(stretch) == 1
        for at, value in stretch
    ]


def _path(frame: _Frame, stretches: list[list[tuple[int, float]]]) -> str:
    return "".join(
        "M" + "L".join(f"{frame.x(at):.1f} {frame.y(value):.1f}" for at, value in stretch)
        for stretch in stretches
        if len(stretch) > 1
    )


def _last_measured(chart: Chart) -> tuple[int, float] | None:
    for at, value in zip(reversed(chart.times), reversed(chart.values), strict=True):
        if value is not None:
            return (at, value) if at < chart.estimates[0].at else None
    return None


def _band(frame: _Frame) -> str:
    bounded = [one for one in frame.chart.estimates if one.low is not None and one.high is not None]
    if not bounded:
        return ""
    start = _last_measured(frame.chart)
    upper = [(one.at, one.high or 0.0) for one in bounded]
    lower = [(one.at, one.low or 0.0) for one in reversed(bounded)]
    outline = ([start] if start else []) + upper + lower
    return "M" + "L".join(f"{frame.x(at):.1f} {frame.y(value):.1f}" for at, value in outline) + "Z"


def _with_unit(wording: Wording, value: float, unit: str) -> str:
    return f"{wording.number(value)} {unit}".strip()
