"""Draws what depends on what: boxes in layers, what is depended on at the bottom."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from markupsafe import escape

from cityloom.web.drawing.boxes import Box, shortened
from cityloom.web.drawing.svg import Drawing, around_all, head, path, rectangle, words

_WIDTH, _HEIGHT, _ACROSS, _UP = 190.0, 34.0, 14.0, 46.0


def draw_layers(
    layers: Sequence[Sequence[str]],
    depends: Mapping[str, Sequence[str]],
    names: Mapping[str, str],
    marked: Collection[str],
    title: str,
) -> Drawing:
    """Layers from the bottom up, an arrow from each to what it depends on. `marked` stand out."""
    boxes: dict[str, Box] = {}
    for row, layer in enumerate(layers):
        for column, one in enumerate(layer):
            x = (column - (len(layer) - 1) / 2) * (_WIDTH + _ACROSS)
            boxes[one] = Box(x, -row * (_HEIGHT + _UP), _WIDTH, _HEIGHT)
    arrows = [
        _arrow(boxes[one], boxes[other], is_marked=one in marked and other in marked)
        for one, needs in depends.items()
        for other in needs
        if one in boxes and other in boxes
    ]
    shown = [_box(box, names.get(one, one), is_marked=one in marked) for one, box in boxes.items()]
    left, top, width, height = around_all(boxes.values())
    return Drawing(title, (*arrows, *shown), left, top, width, height, tuple(boxes.values()))


def _arrow(start: Box, end: Box, *, is_marked: bool) -> str:
    y1, y2 = start.bottom, end.top
    if y2 <= y1:  # within a circle the arrow leaves at the side
        y1, y2 = start.y, end.y
    dx, dy = end.x - start.x, y2 - y1
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    course = f"M{start.x:.1f} {y1:.1f}L{end.x:.1f} {y2:.1f}"
    return path(course, thick=2.5 if is_marked else 0.8) + head(end.x, y2, dx / length, dy / length)


def _box(box: Box, name: str, *, is_marked: bool) -> str:
    """A box with its name, which a title has whole."""
    parts = rectangle(box, "group" if is_marked else "box")
    parts += words(shortened(name, _WIDTH - 16), box.x, box.y, "words strong" if is_marked else "words")
    return f"<g><title>{escape(name)}</title>{parts}</g>"
