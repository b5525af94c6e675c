"""The map of how stakeholders relate: boxes on an ellipse, lines of different dashes between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from cityloom.web.drawing.boxes import LINE, Box, around, label, width_of
from cityloom.web.drawing.svg import Drawing, around_all, head, lines, path, rectangle, words

#: Dashes by the place of a kind in the legend: told apart without colours.
_DASHES = ("", "8 4", "2 3", "10 3 2 3", "14 4", "4 2 1 2")
_BAD = "conflict"


class Node(msgspec.Struct, frozen=True):
    """A box: a stakeholder, or a group of them."""

    id: str
    name: str
    is_group: bool = False


class Edge(msgspec.Struct, frozen=True):
    """A line between two nodes; strength from 1 to 3."""

    source: str
    target: str
    kind: str
    both_ways: bool
    strength: int


def draw_interaction(
    nodes: Sequence[Node], edges: Sequence[Edge], kinds: Mapping[str, str], title: str
) -> Drawing:
    """The map. `kinds` are the kinds of relations with what they are called."""
    labels = [label(one.name) for one in nodes]
    boxes = around(labels)
    by_id = {node.id: box for node, box in zip(nodes, boxes, strict=True)}
    order = {kind: number for number, kind in enumerate(kinds)}
    seen: dict[frozenset[str], int] = {}
    drawn = []
    for edge in edges:
        if edge.source in by_id and edge.target in by_id and edge.source != edge.target:
            pair = frozenset((edge.source, edge.target))
            seen[pair] = seen.get(pair, 0) + 1
            drawn.append(_edge(edge, by_id, _DASHES[order[edge.kind] % len(_DASHES)], seen[pair] - 1))
    shown = [
        rectangle(box, "group" if node.is_group else "box") + lines(text.lines, box.x, box.y)
        for node, text, box in zip(nodes, labels, boxes, strict=True)
    ]
    left, top, width, height = around_all(boxes)
    used = {kind: name for kind, name in kinds.items() if any(edge.kind == kind for edge in edges)}
    legend, taken, widest = _legend(used, order, left + 12, top + height + 6)
    width = max(width, widest + 24)
    return Drawing(title, (*drawn, *shown, *legend), left, top, width, height + taken, tuple(boxes))


def _edge(edge: Edge, boxes: Mapping[str, Box], dashes: str, place: int) -> str:
    source, target = boxes[edge.source], boxes[edge.target]
    # Towards the middle, where no boxes are; several lines between two boxes lie beside each other.
    pull = 0.55 - 0.14 * place
    over = ((source.x + target.x) / 2 * pull, (source.y + target.y) / 2 * pull)
    start, end = _border(source, over), _border(target, over)
    look = "bad" if edge.kind == _BAD else ""
    course = f"M{start[0]:.1f} {start[1]:.1f}Q{over[0]:.1f} {over[1]:.1f} {end[0]:.1f} {end[1]:.1f}"
    parts = path(course, f"line {look}".strip(), thick=0.8 + 0.8 * edge.strength, dashes=dashes)
    parts += _head(over, end, look)
    return parts + (_head(over, start, look) if edge.both_ways else "")


def _head(before: tuple[float, float], at: tuple[float, float], look: str) -> str:
    dx, dy = at[0] - before[0], at[1] - before[1]
    length = math.hypot(dx, dy) or 1.0
    return head(at[0], at[1], dx / length, dy / length, f"head {look}".strip())


def _border(box: Box, towards: tuple[float, float]) -> tuple[float, float]:
    """Where the line from a box's middle towards a point leaves the box."""
    dx, dy = towards[0] - box.x, towards[1] - box.y
    share = min(
        box.width / 2 / abs(dx) if dx else math.inf,
        box.height / 2 / abs(dy) if dy else math.inf,
        1.0,
    )
    return box.x + dx * share, box.y + dy * share


def _legend(
    kinds: Mapping[str, str], order: Mapping[str, int], left: float, top: float
) -> tuple[list[str], float, float]:
    parts, y, widest = [], top + LINE / 2, 0.0
    for kind, name in kinds.items():
        look = "line bad" if kind == _BAD else "line"
        sample = f"M{left:.1f} {y:.1f}H{left + 44:.1f}"
        parts.append(path(sample, look, thick=2.4, dashes=_DASHES[order[kind] % len(_DASHES)]))
        parts.append(words(name, left + 54, y, anchor="start"))
        widest = max(widest, 54 + width_of(name))
        y += LINE + 2
    return parts, len(kinds) * (LINE + 2) + (8 if kinds else 0), widest
