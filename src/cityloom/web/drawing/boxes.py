"""Boxes with words, and how to place many of them so that none covers another. Pixels; pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec

#: Size of the letters of a diagram.
LETTERS = 13.0
LINE = 17.0
_PADDING = 8.0
#: Widths of letters in parts of their size, rather too wide than too narrow: fonts differ.
_NARROW, _WIDE = frozenset("ijlI.,:;'|! ftr()[]-"), frozenset("mwMWæœÆŒ@%&")


class Box(msgspec.Struct, frozen=True):
    """A rectangle by its middle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height / 2

    def covers(self, other: Box, gap: float = 0.0) -> bool:
        """Whether two boxes have a place in common, or come nearer than `gap`."""
        return (
            abs(self.x - other.x) * 2 < self.width + other.width + 2 * gap
            and abs(self.y - other.y) * 2 < self.height + other.height + 2 * gap
        )


class Label(msgspec.Struct, frozen=True):
    """Words in a box of their own size, in lines."""

    lines: tuple[str, ...]
    width: float
    height: float


def width_of(text: str, size: float = LETTERS) -> float:
    """How wide a text is at most."""
    return sum(_width(letter) for letter in text) * size


def label(text: str, *, widest: float = 150.0, lines: int = 2) -> Label:
    """A text broken into lines; what finds no room is cut off with an ellipsis."""
    broken = _broken(text, widest, lines)
    return Label(
        tuple(broken),
        max((width_of(line) for line in broken), default=0.0) + 2 * _PADDING,
        len(broken) * LINE + _PADDING,
    )


def shortened(text: str, widest: float) -> str:
    """As much of a text as finds room, with an ellipsis where something is missing."""
    if width_of(text) <= widest:
        return text
    kept = text
    while kept and width_of(kept + "…") > widest:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def around(labels: Sequence[Label], *, gap: float = 10.0) -> list[Box]:
    """The labels on an ellipse around (0, 0), as small as lets none cover another. The first is on top."""
    if not labels:
        return []
    across, down = 170.0, 110.0
    while True:
        boxes = [
            Box(across * math.sin(turn), -down * math.cos(turn), one.width, one.height)
            for one, turn in zip(labels, _turns(len(labels)), strict=True)
        ]
        if not covered(boxes, gap):
            return boxes
        across, down = across * 1.05 + 2, down * 1.05 + 2


def covered(boxes: Sequence[Box], gap: float = 0.0) -> list[tuple[int, int]]:
    """The pairs of boxes that cover each other."""
    order = sorted(range(len(boxes)), key=lambda index: boxes[index].left)
    widest = max((one.width for one in boxes), default=0.0)
    found = []
    for place, first in enumerate(order):
        for second in order[place + 1 :]:
            if boxes[second].left > boxes[first].left + widest + gap:
                break
            if boxes[first].covers(boxes[second], gap):
                found.append((first, second))
    return found


def in_lattice(
    wanted: Sequence[tuple[float, float]], field: Box, cell: tuple[float, float]
) -> list[tuple[float, float]]:
    """For each wanted place the nearest free one of a lattice in a field; each is taken once.

    The field must have room: see `lattice_room`.
    """
    columns, rows = lattice_room(field, cell)
    if columns * rows < len(wanted):
        raise ValueError(f"{len(wanted)} do not fit into {columns} by {rows}")
    step_x, step_y = field.width / columns, field.height / rows
    taken: set[tuple[int, int]] = set()
    found = []
    for x, y in wanted:
        column = min(columns - 1, max(0, int((x - field.left) / step_x)))
        row = min(rows - 1, max(0, int((y - field.top) / step_y)))
        place = next(
            one
            for one in _outwards(column, row, max(columns, rows))
            if one not in taken and 0 <= one[0] < columns and 0 <= one[1] < rows
        )
        taken.add(place)
        found.append((field.left + (place[0] + 0.5) * step_x, field.top + (place[1] + 0.5) * step_y))
    return found


def _outwards(column: int, row: int, most: int) -> Iterator[tuple[int, int]]:
    """Cells around one, ring after ring."""
    yield column, row
    for away in range(1, most + 1):
        for step in range(-away, away + 1):
            yield column + step, row - away
            yield column + step, row + away
        for step in range(1 - away, away):
            yield column - away, row + step
            yield column + away, row + step


def lattice_room(field: Box, cell: tuple[float, float]) -> tuple[int, int]:
    """How many cells lie side by side in a field, and how many one below the other."""
    return int(field.width // cell[0]), int(field.height // cell[1])


def on_rings(count: int, inner: float, size: float) -> tuple[list[tuple[float, float]], float]:
    """Places for `count` dots of a size around (0, 0) outside of a radius, and the radius that holds them."""
    places: list[tuple[float, float]] = []
    radius = inner + size / 2
    while len(places) < count:
        left = count - len(places)
        here = min(left, _room_on(radius, size))
        places += [(radius * math.sin(turn), -radius * math.cos(turn)) for turn in _turns(here)]
        radius += size
    return places, radius - size / 2 if count else inner


def _room_on(radius: float, size: float) -> int:
    """How many dots lie on a circle without touching."""
    if radius < size / 2:
        return 1
    return max(1, int(math.pi / math.asin(min(1.0, size / 2 / radius))))


def _turns(count: int) -> list[float]:
    return [2 * math.pi * index / count for index in range(count)]


def _width(letter: str) -> float:
    if letter in _NARROW:
        return 0.37
    if letter in _WIDE or ord(letter) > 0x2E7F:
        return 1.0
    return 0.75 if letter.isupper() else 0.61


def _broken(text: str, widest: float, most: int) -> list[str]:
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < most - 1:
        line, words = _first_line(words, widest)
        lines.append(line)
    if words:
        lines.append(shortened(" ".join(words), widest))
    return lines or ["–"]


def _first_line(words: list[str], widest: float) -> tuple[str, list[str]]:
    taken = 1
    while taken < len(words) and width_of(" ".join(words[: taken + 1])) <= widest:
        taken += 1
    return shortened(" ".join(words[:taken]), widest), words[taken:]
