"""Who enables and who drives, by the role they have: a table as a diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cityloom.web.drawing.boxes import LINE, Box, label, lattice_room
from cityloom.web.drawing.svg import Drawing, dot, lines, rectangle

#: In one cell there is room for so many names; with more of them numbers stand for all.
MOST_NAMES = 8
_WIDTH, _SIDE, _HEAD = 216.0, 150.0, 52.0
_NAME_STEP, _DOT_STEP = 48.0, 28.0

#: By row and column: the members by number, with their names.
Cells = Mapping[tuple[str, str], Sequence[tuple[int, str]]]


def draw_classification(
    rows: Mapping[str, str], columns: Mapping[str, str], cells: Cells, title: str
) -> Drawing:
    """Rows and columns by their key with what they are called; what is in no cell is not drawn."""
    named = all(len(members) <= MOST_NAMES for members in cells.values())
    parts, boxes, y = [], [], _HEAD
    for index, column in enumerate(columns.values()):
        box = Box(_SIDE + (index + 0.5) * _WIDTH, _HEAD / 2, _WIDTH - 6, _HEAD - 6)
        parts.append(rectangle(box, "group") + lines(label(column, widest=_WIDTH - 30).lines, box.x, box.y))
    for row, name in rows.items():
        found = [cells.get((row, column), ()) for column in columns]
        tall = max(_height(len(members), named=named) for members in found)
        side = Box(_SIDE / 2, y + tall / 2, _SIDE - 6, tall - 6)
        text = label(name, widest=_SIDE - 30, lines=3)
        parts.append(rectangle(side, "group") + lines(text.lines, side.x, side.y))
        for index, members in enumerate(found):
            cell = Box(_SIDE + (index + 0.5) * _WIDTH, y + tall / 2, _WIDTH - 6, tall - 6)
            parts.append(rectangle(cell, "field"))
            for box, part in _members(members, cell, named=named):
                boxes.append(box)
                parts.append(part)
        y += tall
    return Drawing(title, tuple(parts), 0, 0, _SIDE + len(columns) * _WIDTH, y + 4, tuple(boxes))


def _height(count: int, *, named: bool) -> float:
    if named:
        return max(64.0, count * _NAME_STEP + 16)
    across, _ = lattice_room(Box(0, 0, _WIDTH - 18, _DOT_STEP), (_DOT_STEP, _DOT_STEP))
    return max(64.0, -(-count // across) * _DOT_STEP + 18)


def _members(members: Sequence[tuple[int, str]], cell: Box, *, named: bool) -> list[tuple[Box, str]]:
    drawn = []
    if named:
        y = cell.top + 5 + _NAME_STEP / 2
        for _, name in members:
            text = label(name, widest=_WIDTH - 40)
            box = Box(cell.x, y, _WIDTH - 20, 2 * LINE + 8)
            drawn.append((box, rectangle(box) + lines(text.lines, box.x, box.y)))
            y += _NAME_STEP
        return drawn
    across, _ = lattice_room(Box(0, 0, _WIDTH - 18, _DOT_STEP), (_DOT_STEP, _DOT_STEP))
    for index, (number, _) in enumerate(members):
        x = cell.left + 6 + (index % across + 0.5) * _DOT_STEP
        y = cell.top + 6 + (index // across + 0.5) * _DOT_STEP
        drawn.append((Box(x, y, 24, 24), dot(x, y, number)))
    return drawn
