"""Drawings that can be computed with in bounded steps, whatever a geometry's sender drew.

To relate two drawings, each meeting of their lines is looked at, and ten thousand positions can meet a
hundred million times. So meetings are counted first, by the boxes around the lines: that is quick, and never
too few. What meets itself or another too often counts as the box around it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

#: How often lines may meet: some tenths of a second to resolve. Each meets itself and both neighbours too,
#: and a way there and back doubles that.
MAX_MEETINGS = 20_000
_MEETINGS_OF_A_LINE = 6
_LINES_AT_ONCE = 64


def drawing(geometry: dict[str, Any]) -> BaseGeometry:
    """A GeoJSON geometry as it was drawn, seen from above."""
    return shape({"type": geometry["type"], "coordinates": _from_above(geometry["coordinates"])})


def outline(geometry: dict[str, Any]) -> BaseGeometry:
    """A GeoJSON geometry for computing. A polygon that crosses itself counts as the area it covers."""
    drawn = drawing(geometry)
    if is_tangled(drawn):
        return drawn.envelope
    return drawn if drawn.is_valid else shapely.make_valid(drawn, method="structure")


def is_tangled(drawn: BaseGeometry) -> bool:
    """Whether its lines meet each other more often than can be resolved."""
    if shapely.get_num_coordinates(drawn) ** 2 <= MAX_MEETINGS:
        return False
    lines = _lines(drawn)
    often = MAX_MEETINGS + _MEETINGS_OF_A_LINE * len(lines)
    return _meet_often(shapely.STRtree(lines), lines, often)


class Beside:
    """Outlines that are compared with a reference."""

    def __init__(self, reference: BaseGeometry) -> None:
        lines = _lines(reference)
        self._count = len(lines)
        self._tree = shapely.STRtree(lines)

    def outline(self, geometry: dict[str, Any]) -> BaseGeometry:
        """As `outline`; the box around what meets the reference too often."""
        drawn = outline(geometry)
        if self._count * shapely.get_num_coordinates(drawn) <= MAX_MEETINGS:
            return drawn
        return drawn.envelope if _meet_often(self._tree, _lines(drawn), MAX_MEETINGS) else drawn


def _meet_often(tree: shapely.STRtree, lines: Any, often: int) -> bool:
    met = 0
    for start in range(0, len(lines), _LINES_AT_ONCE):
        met += tree.query(lines[start : start + _LINES_AT_ONCE]).shape[1]
        if met > often:
            return True
    return False


def _lines(drawn: BaseGeometry) -> Any:
    """From each position to the next: an array of lines."""
    parts = shapely.get_parts(shapely.get_parts(drawn))
    drawn_out = np.concatenate((shapely.get_rings(parts), parts[shapely.get_dimensions(parts) == 1]))
    positions, part = shapely.get_coordinates(drawn_out, return_index=True)
    pairs = np.stack((positions[:-1], positions[1:]), axis=1)
    return shapely.linestrings(pairs[part[:-1] == part[1:]])


def _from_above(coordinates: Any) -> Any:
    """Without altitudes, which some positions of a geometry may have and others not."""
    if isinstance(coordinates[0], list):
        return [_from_above(item) for item in coordinates]
    return coordinates[:2]
