"""Two scores against each other: a field from 0 to 100 each way, with whoever is known in it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cityloom.web.drawing.boxes import Box
from cityloom.web.drawing.svg import Drawing, dot, path, rectangle, words

_SIDE = 320.0
_MARGIN = 46.0


class Spot(msgspec.Struct, frozen=True):
    """One case by its scores, 0 to 100 each."""

    name: str
    x: float
    y: float


def draw_scatter(spots: Sequence[Spot], *, title: str, x: str, y: str) -> Drawing:
    """The field, each spot as a number with its name beside it."""
    field = Box(_SIDE / 2, _SIDE / 2, _SIDE, _SIDE)
    parts = [rectangle(field, "field", round_by=0)]
    parts += [
        path(f"M 0 {_SIDE / 2} H {_SIDE}", dashes="4 4"),
        path(f"M {_SIDE / 2} 0 V {_SIDE}", dashes="4 4"),
    ]
    parts += [
        words(x, _SIDE / 2, _SIDE + 30, "words strong"),
        words(y, 0, -20, "words strong", anchor="start"),
    ]
    for end, place in (("0", 0.0), ("100", _SIDE)):
        parts.append(words(end, place, _SIDE + 12, "words soft"))
        parts.append(words(end, -8, _SIDE - place, "words soft", anchor="end"))
    for number, one in enumerate(spots, 1):
        left, top = _SIDE * one.x / 100, _SIDE * (1 - one.y / 100)
        parts.append(dot(left, top, number))
        beside = (left - 16, "end") if left > _SIDE * 0.6 else (left + 16, "start")
        parts.append(words(one.name, beside[0], top, "words", anchor=beside[1]))
    wide = _SIDE + 2 * _MARGIN
    return Drawing(title, tuple(parts), -_MARGIN, -_MARGIN, wide, wide)
