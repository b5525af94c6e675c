"""Bars by category, curves over numbers, and the tornado of a sensitivity."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from cityloom.planning.finance.outcome import Bars, Curves, Series, Tornado
from cityloom.web.drawing.finance.plane import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Plane,
    drawn,
    legend,
    series_line,
    series_look,
    short,
    under,
)
from cityloom.web.drawing.scale import value_ticks
from cityloom.web.drawing.svg import axis_words, rule
from cityloom.web.wording import Wording

_ROW = 30
_NAMES = 210
#: Beyond so many categories a bar is too thin to be seen.
_MOST_BARS = 240


def draw_bars(bars: Bars, wording: Wording) -> Markup:
    """Bars, side by side or stacked from zero both ways, with a line over them where there is one."""
    say = wording.language.say
    count = min(len(bars.categories), _MOST_BARS)
    series = [one.values[:count] for one in bars.series]
    plane = Plane(_extent(series, bars.line, stacked=bars.stacked))
    room = (WIDTH - LEFT - RIGHT) / max(1, count)
    parts = plane.rules(wording)
    for place in range(count):
        left = LEFT + place * room
        cells = [one[place] for one in series]
        parts += _stack(plane, cells, left, room) if bars.stacked else _beside(plane, cells, left, room)
    middles = [LEFT + (place + 0.5) * room for place in range(count)]
    if bars.line is not None:
        course = "L".join(
            f"{x:.1f} {plane.y(value):.1f}"
            for x, value in zip(middles, bars.line.values, strict=False)
            if value is not None
        )
        parts.append(f'<path {series_line(len(series))} d="M{course}"/>')
    parts += under([say(one) for one in bars.categories[:count]], middles)
    names = [say(one.name) for one in bars.series]
    made = drawn(parts, _told(say(bars.title), names, wording)) + legend(names)
    if bars.line is not None:
        made += legend([say(bars.line.name)], lines=True, first=len(series))
    return made


def _extent(series: Sequence[Sequence[float | None]], line: Series | None, *, stacked: bool) -> list[float]:
    rows = list(zip(*series, strict=True)) if series else []
    if stacked:
        found = [sum(one for one in row if one is not None and one > 0) for row in rows]
        found += [sum(one for one in row if one is not None and one < 0) for row in rows]
    else:
        found = [one for row in rows for one in row if one is not None]
    return found + [one for one in (line.values if line else ()) if one is not None]


def _stack(plane: Plane, cells: Sequence[float | None], left: float, room: float) -> list[str]:
    parts = []
    up, down = 0.0, 0.0
    for place, value in enumerate(cells):
        if not value:
            continue
        start = up if value > 0 else down
        parts.append(_bar(plane, place, left + room * 0.12, room * 0.76, start, start + value))
        if value > 0:
            up += value
        else:
            down += value
    return parts


def _beside(plane: Plane, cells: Sequence[float | None], left: float, room: float) -> list[str]:
    wide = room * 0.8 / max(1, len(cells))
    return [
        _bar(plane, place, left + room * 0.1 + place * wide, wide * 0.92, 0.0, value)
        for place, value in enumerate(cells)
        if value
    ]


def _bar(plane: Plane, place: int, x: float, wide: float, start: float, end: float) -> str:
    top, bottom = sorted((plane.y(start), plane.y(end)))
    return (
        f'<rect {series_look(place)} x="{x:.1f}" y="{top:.1f}" width="{max(wide, 0.5):.1f}" '
        f'height="{max(bottom - top, 0.5):.1f}"/>'
    )


def draw_curves(curves: Curves, wording: Wording) -> Markup:
    """Lines over numbers; what was observed as points under them."""
    say = wording.language.say
    least, most = min(curves.across, default=0.0), max(curves.across, default=1.0)
    span = (most - least) or 1.0

    def x(value: float) -> float:
        return LEFT + (value - least) / span * (WIDTH - LEFT - RIGHT)

    every = [*curves.series, *([curves.observed] if curves.observed else [])]
    plane = Plane(value for one in every for value in one.values if value is not None)
    parts = plane.rules(wording)
    years = all(one == int(one) and 1900 <= one <= 3000 for one in curves.across)
    for tick in value_ticks(least, most, 6):
        if least <= tick <= most:
            words = f"{tick:.0f}" if years else short(tick, wording)
            if not years or tick == int(tick):
                parts.append(axis_words(words, x(tick), HEIGHT - BOTTOM + 18, anchor="middle"))
    for place, one in enumerate(curves.series):
        parts += [f'<path {series_line(place)} d="{d}"/>' for d in _courses(curves, one, x, plane)]
    if curves.observed is not None:
        parts += [
            f'<circle class="observed" fill="none" stroke="#17211f" cx="{x(at):.1f}" '
            f'cy="{plane.y(value):.1f}" r="4"/>'
            for at, value in zip(curves.across, curves.observed.values, strict=True)
            if value is not None
        ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(axis_words(say(curves.across_label), middle, HEIGHT - 2, anchor="middle"))
    parts.append(axis_words(say(curves.up_label), LEFT + 4, TOP - 2))
    names = [say(one.name) for one in curves.series]
    made = drawn(parts, _told(say(curves.title), names, wording)) + legend(names, lines=True)
    if curves.observed is not None:
        made += Markup('<p class="soft small">○ {}</p>').format(say(curves.observed.name))
    return made


def _courses(curves: Curves, one: Series, x: Callable[[float], float], plane: Plane) -> list[str]:
    """Stretches without gaps."""
    stretches: list[list[str]] = [[]]
    for at, value in zip(curves.across, one.values, strict=True):
        if value is None:
            stretches.append([])
        else:
            stretches[-1].append(f"{x(at):.1f} {plane.y(value):.1f}")
    return ["M" + "L".join(stretch) for stretch in stretches if len(stretch) > 1]


def draw_tornado(tornado: Tornado, wording: Wording) -> Markup:
    """A bar for each input around the result: from its low end to its high end."""
    say = wording.language.say
    ends = [end for one in tornado.rows for end in (one.low, one.high)]
    ticks = value_ticks(min([*ends, tornado.middle]), max([*ends, tornado.middle]), 5)
    bottom = TOP + _ROW * len(tornado.rows) + 6

    def x(value: float) -> float:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return _NAMES + share * (WIDTH - RIGHT - 30 - _NAMES)

    parts = [
        rule(x(tick), TOP, x(tick), bottom, "now" if tick == 0 else "rule")
        + axis_words(short(tick, wording), x(tick), bottom + 18, anchor="middle")
        for tick in ticks
    ]
    for place, one in enumerate(tornado.rows):
        y = TOP + place * _ROW
        name = say(one.name)
        words = name if len(name) <= 30 else name[:29] + "…"
        parts.append(axis_words(words, _NAMES - 8, y + 20, anchor="end"))
        for series, end in enumerate((one.low, one.high)):
            left, right = sorted((x(tornado.middle), x(end)))
            parts.append(
                f'<rect {series_look(series)} x="{left:.1f}" y="{y + 6}" '
                f'width="{max(right - left, 0.5):.1f}" height="{_ROW - 10}"/>'
            )
    parts.append(rule(x(tornado.middle), TOP, x(tornado.middle), bottom, "target"))
    names = [wording.language.gettext("less of it"), wording.language.gettext("more of it")]
    return drawn(parts, say(tornado.title), bottom + 26) + legend(names)


def _told(title: str, names: Sequence[str], wording: Wording) -> str:
    """What the drawing shows, for those who do not see it."""
    said = wording.language.gettext("%(title)s: %(series)s. The numbers are in the table below.")
    return said % {"title": title, "series": ", ".join(names)}
