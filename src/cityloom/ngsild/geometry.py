"""GeoJSON geometries in WGS 84, longitude first (ETSI GS CIM 009, 4.7; RFC 7946, 3.1)."""

from __future__ import annotations

from math import isfinite
from typing import Any

from cityloom.ngsild.errors import BadRequestData

#: Positions in one geometry.
MAX_POSITIONS = 10_000

#: How deep the positions of each type of geometry lie.
_DEPTH = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
GEOMETRY_TYPES = frozenset(_DEPTH)


def is_geometry(value: object) -> bool:
    """Whether a value claims to be a geometry: it has a geometry's type, and coordinates (4.7.3)."""
    if type(value) is not dict or "coordinates" not in value:
        return False
    kind = value.get("type")
    return type(kind) is str and kind in GEOMETRY_TYPES


def check_geometry(value: Any) -> dict[str, Any]:
    """The geometry with type and coordinates alone. Raises BadRequestData."""
    if not is_geometry(value):
        raise _bad(
            "This is no GeoJSON geometry", 'Write it as {"type": "Point", "coordinates": [10.2, 56.2]}.'
        )
    kind, coordinates = value["type"], value["coordinates"]
    try:
        count = _check_positions(coordinates, _DEPTH[kind])
        if kind == "LineString":
            _check_line(coordinates)
        elif kind == "MultiLineString":
            for line in coordinates:
                _check_line(line)
        elif kind == "Polygon":
            _check_polygon(coordinates)
        elif kind == "MultiPolygon":
            for polygon in coordinates:
                _check_polygon(polygon)
    except BadRequestData as error:
        error.where = "coordinates"
        raise
    if count > MAX_POSITIONS:
        raise _bad(f"The geometry has more than {MAX_POSITIONS} positions", "Simplify it.")
    return {"type": kind, "coordinates": coordinates}


def _check_positions(coordinates: Any, depth: int) -> int:
    """How many positions there are; raises at the first that is none."""
    if depth == 0:
        _check_position(coordinates)
        return 1
    if type(coordinates) is not list or not coordinates:
        raise _bad("The coordinates are not nested as this type of geometry wants", "See RFC 7946, 3.1.")
    return sum(_check_positions(item, depth - 1) for item in coordinates)


def _check_position(position: Any) -> None:
    if type(position) is not list or not 2 <= len(position) <= 3:
        raise _bad("A position is [longitude, latitude]", "Write it as [10.2, 56.2].")
    for number in position:
        if (type(number) is not float and type(number) is not int) or not isfinite(number):
            raise _bad("A coordinate is a finite number", "Write it as [10.2, 56.2].")
    if not (-180 <= position[0] <= 180 and -90 <= position[1] <= 90):
        raise _bad(
            f"[{position[0]}, {position[1]}] is not on the earth",
            "Longitude comes first and lies within ±180, then latitude within ±90.",
        )


def _check_line(line: Any) -> None:
    if len(line) < 2:
        raise _bad("A line has two positions or more", "Send a Point when there is one.")


def _check_polygon(rings: Any) -> None:
    for ring in rings:
        if len(ring) < 4 or ring[0] != ring[-1]:
            raise _bad(
                "A polygon's ring ends where it begins and has four positions or more", "Close the ring."
            )


def _bad(message: str, hint: str) -> BadRequestData:
    return BadRequestData(message, hint=hint)
