"""Amounts by year as bars of two parts, one upon the other, told apart by hatching as well as by colour."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from markupsafe import Markup

from cityloom.web.drawing.scale import value_ticks
from cityloom.web.drawing.svg import axis_words, picture, rule
from cityloom.web.wording import Wording

WIDTH, HEIGHT = 760, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 96, 12, 12, 28


class Stack(msgspec.Struct, frozen=True):
    """One bar: its words and its two parts, lower and upper, both 0 or more."""

    words: str
    lower: Decimal
    upper: Decimal


def draw_stacks(stacks: Sequence[Stack], title: str, unit: str, wording: Wording) -> Markup:
    """The bars as SVG; a table beside it says the same."""
    most = max((float(one.lower + one.upper) for one in stacks), default=0.0)
    ticks = value_ticks(0.0, most or 1.0)
    parts = [
        '<defs><pattern id="stack-hatch" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="7"/></pattern></defs>',
    ]
    for tick in ticks:
        y = _y(tick, ticks[-1])
        parts.append(rule(_LEFT, y, WIDTH - _RIGHT, y))
        parts.append(axis_words(wording.number(tick), _LEFT - 6, y + 4, anchor="end"))
    parts.append(axis_words(unit, _LEFT + 4, _TOP + 2))
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(stacks))
    for place, one in enumerate(stacks):
        parts += _bar(one, _LEFT + step * place, step, ticks[-1])
    return picture(parts, title, WIDTH, HEIGHT, look="stacks")


def _y(value: float, most: float) -> float:
    return HEIGHT - _BOTTOM - value / most * (HEIGHT - _TOP - _BOTTOM)


def _bar(one: Stack, left: float, step: float, most: float) -> list[str]:
    width = min(step * 0.6, 64.0)
    x = left + (step - width) / 2
    middle, top = _y(float(one.lower), most), _y(float(one.lower + one.upper), most)
    base = _y(0.0, most)
    place = f'x="{x:.1f}" width="{width:.1f}"'
    parts = [f'<rect class="bar" {place} y="{middle:.1f}" height="{base - middle:.1f}"/>']
    if one.upper:
        parts.append(f'<rect class="bar upper" {place} y="{top:.1f}" height="{middle - top:.1f}"/>')
    return [*parts, axis_words(one.words, left + step / 2, HEIGHT - 8, anchor="middle")]
