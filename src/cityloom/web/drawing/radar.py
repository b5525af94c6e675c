"""Shares of several groups around a centre; what is not known leaves a gap and is no zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from cityloom.web.drawing.svg import axis_words, picture, rule

_SIZE, _CENTRE, _RADIUS = 420, 210.0, 168.0
_RINGS = (25, 50, 75, 100)


class Spoke(msgspec.Struct, frozen=True):
    """One axis: what stands at its end (a number of the table beside it), and 0 to 100; None: not known."""

    label: str
    percent: float | None


def draw_radar(spokes: Sequence[Spoke], title: str) -> Markup:
    """The radar as SVG; its title tells in words what it shows. A table with the names belongs beside it."""
    parts: list[str] = []
    for percent in _RINGS:
        radius = _RADIUS * percent / 100
        parts.append(f'<circle class="rule ring" cx="{_CENTRE}" cy="{_CENTRE}" r="{radius:.1f}"/>')
        parts.append(axis_words(str(percent), _CENTRE + 3, _CENTRE - radius - 2))
    places = [_place(index, len(spokes), 100) for index in range(len(spokes))]
    for index, (spoke, (x, y)) in enumerate(zip(spokes, places, strict=True)):
        parts.append(rule(_CENTRE, _CENTRE, x, y))
        at_x, at_y = _place(index, len(spokes), 110)
        parts.append(axis_words(spoke.label, at_x, at_y + 4, anchor="middle"))
    parts += _area(spokes)
    parts += [f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in _known(spokes)]
    return picture(parts, title, _SIZE, _SIZE)


def _place(index: int, count: int, percent: float) -> tuple[float, float]:
    angle = 2 * math.pi * index / max(count, 1) - math.pi / 2
    reach = _RADIUS * percent / 100
    return _CENTRE + reach * math.cos(angle), _CENTRE + reach * math.sin(angle)


def _known(spokes: Sequence[Spoke]) -> list[tuple[float, float]]:
    return [
        _place(index, len(spokes), one.percent) for index, one in enumerate(spokes) if one.percent is not None
    ]


def _area(spokes: Sequence[Spoke]) -> list[str]:
    """A closed shape where all is known; else lines between neighbours of which both are."""
    count = len(spokes)
    if count > 2 and all(one.percent is not None for one in spokes):
        outline = "L".join(f"{x:.1f} {y:.1f}" for x, y in _known(spokes))
        return [f'<path class="interval" d="M{outline}Z"/>', f'<path class="measured" d="M{outline}Z"/>']
    lines = []
    for index, one in enumerate(spokes):
        after = (index + 1) % count
        other = spokes[after]
        if one.percent is None or other.percent is None or count < 3:
            continue
        (x1, y1), (x2, y2) = _place(index, count, one.percent), _place(after, count, other.percent)
        lines.append(f'<path class="measured" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>')
    return lines
