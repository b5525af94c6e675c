"""The grid of power and interest: four fields, who is in each, and from where they came."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from cityloom.planning.stakeholders.engagement import HIGH_FROM, MOST, Quadrant, quadrant
from cityloom.web.drawing.boxes import LINE, Box, in_lattice, label, lattice_room, shortened
from cityloom.web.drawing.svg import Drawing, dot, lines, path, rectangle, small_ring, words

#: In one field there is room for so many names; with more of them numbers stand for all.
MOST_NAMES = 12
_NAME = (176.0, 50.0)
_DOT = (28.0, 28.0)
_FIELD = 400.0, 340.0
#: Of a field, what its own name takes.
_HEAD = 34.0
_AXIS = 40.0


class Placed(msgspec.Struct, frozen=True):
    """A stakeholder on the grid, by power and interest from 1 to 10; `was`: before they moved."""

    number: int
    name: str
    power: float
    interest: float
    was: tuple[float, float] | None = None


class GridWords(msgspec.Struct, frozen=True):
    """What stands on the grid."""

    title: str
    power: str
    interest: str
    low: str
    high: str
    quadrants: Mapping[Quadrant, str]


def draw_grid(placed: Sequence[Placed], say: GridWords) -> Drawing:
    """The grid. Who stands at one place with others is put beside it, within the same field."""
    fields: dict[Quadrant, list[Placed]] = {one: [] for one in Quadrant}
    for one in placed:
        if stands := quadrant(one.power, one.interest):
            fields[stands].append(one)
    named = all(len(found) <= MOST_NAMES for found in fields.values())
    scale = _scale(max((len(found) for found in fields.values()), default=0), _NAME if named else _DOT)
    width, height = _FIELD[0] * scale, _FIELD[1] * scale
    parts, moves, items, boxes = [], [], [], []
    for which, found in fields.items():
        area = _area(which, width, height)
        parts.append(rectangle(area, "field strong" if which is Quadrant.MANAGE_CLOSELY else "field"))
        name = shortened(say.quadrants[which], area.width - 20)
        parts.append(words(name, area.left + 10, area.top + 18, "words strong", anchor="start"))
        for one, box, part in _inside(found, area, named=named, width=width, height=height):
            boxes.append(box)
            items.append(part)
            if one.was is not None:
                moves.append(_move(one.was, box, width, height))
    parts += [*moves, *items, *_axes(say, width, height)]
    return Drawing(
        say.title, tuple(parts), -_AXIS, -4, 2 * width + _AXIS + 4, 2 * height + _AXIS + 4, tuple(boxes)
    )


def _inside(
    found: Sequence[Placed], area: Box, *, named: bool, width: float, height: float
) -> list[tuple[Placed, Box, str]]:
    """Those of one field, each with its box and what is drawn of it."""
    cell = _NAME if named else _DOT
    room = Box(area.x, area.y + _HEAD / 2, area.width - 8, area.height - _HEAD - 8)
    places = in_lattice([_at(one.power, one.interest, width, height) for one in found], room, cell)
    drawn = []
    for one, (x, y) in zip(found, places, strict=True):
        if named:
            text = label(one.name, widest=_NAME[0] - 24)
            box = Box(x, y, text.width, text.height)
            drawn.append((one, box, rectangle(box) + lines(text.lines, x, y)))
        else:
            drawn.append((one, Box(x, y, 24, 24), dot(x, y, one.number)))
    return drawn


def _scale(most: int, cell: tuple[float, float]) -> float:
    """How much the fields must grow so that as many find room in one."""
    scale = 1.0
    while True:
        columns, rows = lattice_room(Box(0, 0, _FIELD[0] * scale - 8, _FIELD[1] * scale - _HEAD - 8), cell)
        if columns * rows >= most:
            return scale
        scale *= 1.1


def _area(which: Quadrant, width: float, height: float) -> Box:
    right = which in (Quadrant.MANAGE_CLOSELY, Quadrant.KEEP_INFORMED)
    high = which in (Quadrant.MANAGE_CLOSELY, Quadrant.KEEP_SATISFIED)
    return Box(width * (1.5 if right else 0.5), height * (0.5 if high else 1.5), width, height)


def _at(power: float, interest: float, width: float, height: float) -> tuple[float, float]:
    """Interest to the right, power upwards; what is high begins in the middle."""
    return 2 * width * _share(interest), 2 * height * (1 - _share(power))


def _share(value: float) -> float:
    if value < HIGH_FROM:
        return (value - 0.5) / (HIGH_FROM - 1) / 2
    return 0.5 + (value - HIGH_FROM + 0.5) / (MOST - HIGH_FROM + 1) / 2


def _move(was: tuple[float, float], box: Box, width: float, height: float) -> str:
    x, y = _at(*was, width, height)
    if math.hypot(x - box.x, y - box.y) < 8:
        return ""
    return path(f"M{x:.1f} {y:.1f}L{box.x:.1f} {box.y:.1f}", "move", dashes="4 3") + small_ring(x, y)


def _axes(say: GridWords, width: float, height: float) -> list[str]:
    below = 2 * height + LINE
    parts = [
        words(say.low, 4, below, "words soft", anchor="start"),
        words(f"{say.interest} →", width, below, "words strong"),
        words(say.high, 2 * width - 4, below, "words soft", anchor="end"),
    ]
    # Turned by a quarter, so that it is read along its axis.
    for text, y, look, anchor in (
        (say.low, 2 * height - 4, "words soft", "start"),
        (f"{say.power} →", height, "words strong", "middle"),
        (say.high, 4.0, "words soft", "end"),
    ):
        turned = words(text, 0, 0, look, anchor=anchor)
        parts.append(f'<g transform="translate(-18 {y:.1f}) rotate(-90)">{turned}</g>')
    return parts
