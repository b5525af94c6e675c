"""The onion: the most involved at its core, the passive at its rim. Numbers stand for names."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cityloom.web.drawing.boxes import LINE, Box, on_rings, shortened, width_of
from cityloom.web.drawing.svg import Drawing, dot, ring, words

_DOT = 12.0
_STEP = 28.0
#: What of a ring is left for its name.
_NAME = 36.0
_LEAST = 118.0
#: Names that are written beside the rings; with more of them the table tells them.
MOST_NAMES = 40
_COLUMN = 250.0


class Ring(msgspec.Struct, frozen=True):
    """A ring, from the core outwards: what it is called, and who is in it by number."""

    name: str
    members: Sequence[tuple[int, str]]


def draw_onion(rings: Sequence[Ring], title: str) -> Drawing:
    """The rings, the numbers in them, and beside them the names where there are few enough."""
    inner, circles, inside, boxes = 0.0, [], [], []
    for number, one in enumerate(rings):
        places, filled = on_rings(len(one.members), inner + 2, _STEP)
        radius = max(filled + _NAME, inner + _NAME + _STEP, _LEAST if not number else 0.0)
        circles.append(ring(radius, "field" if number % 2 else "field strong"))
        inside.append(words(shortened(one.name, 2 * (radius - 30)), 0, -(radius - 20), "words strong"))
        for (x, y), (shown, _) in zip(places, one.members, strict=True):
            inside.append(dot(x, y, shown, _DOT))
            boxes.append(Box(x, y, 2 * _DOT * 0.7, 2 * _DOT * 0.7))
        inner = radius
    # The rim covers the core: it is drawn first.
    parts = [*reversed(circles), *inside]
    width, height, left, top = 2 * inner + 16, 2 * inner + 16, -inner - 8, -inner - 8
    if 0 < sum(len(one.members) for one in rings) <= MOST_NAMES:
        names, tall = _names(rings, inner + 24, top)
        parts += names
        width, height = width + _COLUMN + 24, max(height, tall)
    return Drawing(title, tuple(parts), left, top, width, height, tuple(boxes))


def _names(rings: Sequence[Ring], left: float, top: float) -> tuple[list[str], float]:
    parts, y = [], top + LINE
    for one in rings:
        if one.members:
            parts.append(words(shortened(one.name, _COLUMN), left, y, "words strong", anchor="start"))
            y += LINE
        for number, name in one.members:
            text = shortened(f"{number}  {name}", _COLUMN)
            parts.append(words(text, left, y, anchor="start"))
            y += LINE
        y += LINE / 2 if one.members else 0
    return parts, y - top + width_of(" ")
