"""The geoquery language (ETSI GS CIM 009, 4.10), in WGS 84.

Distances are great-circle metres on a sphere of the earth's mean radius. Between extended geometries they are
measured between their nearest positions on a map drawn true to scale at the reference geometry.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from math import asin, cos, isfinite, radians, sin, sqrt
from typing import Any, Literal, cast, get_args

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import BadRequestData, TooComplexQuery
from cityloom.ngsild.geometry import GEOMETRY_TYPES, check_geometry
from cityloom.ngsild.json_text import decode_json
from cityloom.ngsild.model import Document
from cityloom.ngsild.outlines import Beside, drawing, is_tangled, outline

#: The earth's mean radius in metres (IUGG).
EARTH_RADIUS = 6_371_008.8
_DEGREE, _HALF_A_DEGREE = radians(1), radians(0.5)
_METRES_PER_DEGREE = EARTH_RADIUS * _DEGREE
#: Half the way around the earth: nothing is further away.
_FARTHEST = 20_100_000.0
#: Further away, chords tell of lengths too roughly.
_FARTHEST_BY_CHORD = 19_000_000.0

#: Positions of a reference geometry. Everybody may ask, and to compare two drawings can cost as many steps as
#: the numbers of their positions multiplied.
MAX_REFERENCE_POSITIONS = 1_000

Relation = Literal["near", "within", "contains", "overlaps", "intersects", "equals", "disjoint"]
#: West, south, east, north in degrees.
Bounds = tuple[float, float, float, float]

_RELATIONS = get_args(Relation)
_NEAR = re.compile(r"near;(max|min)Distance==(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)", re.ASCII)

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Metres by which two ways to work out the same distance may differ, and far more.
_ROUNDING = 0.01

_Test = Callable[[dict[str, Any]], bool]


class GeoQuery(msgspec.Struct, frozen=True):
    """How an entity's geometry must lie to a reference geometry (GeoJSON)."""

    relation: Relation
    geometry: dict[str, Any]
    #: Name of the GeoProperty looked at.
    geoproperty: str = "location"
    #: Metres, for "near".
    max_distance: float | None = None
    min_distance: float | None = None

    def is_box(self) -> bool:
        """Whether all that lies within `bounds` matches: it is asked what touches a box along the axes."""
        if self.relation != "intersects" or self.geometry["type"] != "Polygon":
            return False
        (ring, *holes) = self.geometry["coordinates"]
        corners = {tuple(position[:2]) for position in ring}
        sides = all((one[0] == other[0]) is not (one[1] == other[1]) for one, other in pairwise(ring))
        return not holes and len(ring) == 5 and len(corners) == 4 and sides

    def bounds(self) -> Bounds | None:
        """A box that the geometry of every match touches; None when there is no such box."""
        if self.relation == "disjoint" or self.min_distance is not None:
            return None
        west, south, east, north = _extent(self.geometry)
        if self.max_distance is None:
            return (west, south, east, north)
        # A little more than needed, for the rounding on the way.
        reach = self.max_distance / _METRES_PER_DEGREE * 1.001
        highest = max(abs(south), abs(north)) + reach
        if highest >= 89:
            return None
        sideways = reach / cos(radians(highest))
        if west - sideways < -180 or east + sideways > 180:
            return None
        return (west - sideways, south - reach, east + sideways, north + reach)


def parse_geo_query(
    georel: str, geometry: str, coordinates: Any, geoproperty: str | None = None, context: Context = CORE
) -> GeoQuery:
    """The geoquery behind its parameters; `coordinates` is JSON text or what it decodes to.

    Raises BadRequestData, TooComplexQuery.
    """
    if geometry not in GEOMETRY_TYPES:
        raise _bad(
            f"{geometry[:40]!a} is not a type of geometry",
            f"Use one of {', '.join(sorted(GEOMETRY_TYPES))}.",
            "geometry",
        )
    if isinstance(coordinates, str):
        coordinates = decode_json(coordinates, where="coordinates")
    reference = check_reference({"type": geometry, "coordinates": coordinates})
    relation, longest, shortest = _relation(georel)
    name = context.expand(geoproperty) if geoproperty else "location"
    return GeoQuery(relation, reference, name, longest, shortest)


def compile_geo(query: GeoQuery) -> Callable[[Document], bool]:
    """A predicate on documents: some instance of the GeoProperty lies as asked."""
    test = _near(query) if query.relation == "near" else _topological(query)
    name = query.geoproperty

    def matches(document: Document) -> bool:
        return any(
            test(item["value"]) for item in document["attrs"].get(name, ()) if item["type"] == "GeoProperty"
        )

    return matches


def check_reference(geometry: Any) -> dict[str, Any]:
    """A geometry that anybody may have others compared with. Raises BadRequestData, TooComplexQuery."""
    reference = check_geometry(geometry)
    if reference["type"] == "Point":
        return reference
    drawn = drawing(reference)
    if shapely.get_num_coordinates(drawn) > MAX_REFERENCE_POSITIONS:
        raise TooComplexQuery(
            f"The geometry has more than {MAX_REFERENCE_POSITIONS} positions",
            hint="Simplify it: ask with its outline, then look closer at what was found.",
            where="coordinates",
        )
    if is_tangled(drawn):
        raise TooComplexQuery(
            "The lines of the geometry cross each other too often",
            hint="Ask with the outline around them.",
            where="coordinates",
        )
    return reference


def distance_to(reference: dict[str, Any]) -> Callable[[dict[str, Any]], float]:
    """Measures metres from GeoJSON geometries to the reference, 0 when they touch."""
    if reference["type"] != "Point":
        return _general_distance_to(reference)
    longitude, latitude = reference["coordinates"][:2]
    # Made when the first geometry comes that is no point: few queries meet one.
    general: Callable[[dict[str, Any]], float] | None = None

    def measure(geometry: dict[str, Any]) -> float:
        nonlocal general
        if geometry["type"] == "Point":
            position = geometry["coordinates"]
            return great_circle(longitude, latitude, position[0], position[1])
        if general is None:
            general = _general_distance_to(reference)
        return general(geometry)

    return measure


def great_circle(longitude: float, latitude: float, other_longitude: float, other_latitude: float) -> float:
    """Metres between two positions in degrees (haversine)."""
    north = sin(radians(other_latitude - latitude) / 2)
    east = sin(radians(other_longitude - longitude) / 2)
    chord = north * north + cos(radians(latitude)) * cos(radians(other_latitude)) * east * east
    return 2 * EARTH_RADIUS * asin(min(1.0, sqrt(chord)))


def nearness_of_points(query: GeoQuery) -> Callable[[Floats, Floats], tuple[Mask, Mask]] | None:
    """Tells of many positions at once which are near enough, and which may be: the same as for one, but for
    a rounding on the way. None where it is asked for another relation, to a reference that is no point, or
    nearly around the earth."""
    longest = query.max_distance
    if longest is None or longest > _FARTHEST_BY_CHORD or query.geometry["type"] != "Point":
        return None
    longitude, latitude = query.geometry["coordinates"][:2]
    beneath = cos(radians(latitude))
    surely, maybe = _chord(longest - _ROUNDING), _chord(longest + _ROUNDING)

    def near(longitudes: Floats, latitudes: Floats) -> tuple[Mask, Mask]:
        north = np.sin((latitudes - latitude) * _HALF_A_DEGREE)
        east = np.sin((longitudes - longitude) * _HALF_A_DEGREE)
        chord = north * north + beneath * np.cos(latitudes * _DEGREE) * (east * east)
        return chord <= surely, chord <= maybe

    return near


def _chord(metres: float) -> float:
    """The square of half the chord of a great circle's arc, on a sphere of radius 1; less than any for a
    length below 0."""
    return -1.0 if metres < 0 else sin(metres / (2 * EARTH_RADIUS)) ** 2


def _extent(geometry: dict[str, Any]) -> Bounds:
    if geometry["type"] == "Point":
        longitude, latitude = geometry["coordinates"][:2]
        return (longitude, latitude, longitude, latitude)
    west, south, east, north = drawing(geometry).bounds
    return (west, south, east, north)


def _relation(georel: str) -> tuple[Relation, float | None, float | None]:
    if georel in _RELATIONS and georel != "near":
        return cast(Relation, georel), None, None
    found = _NEAR.fullmatch(georel)
    if found is None:
        raise _bad(
            f"{georel[:60]!a} is not a relation of the geoquery language",
            f"Use near;maxDistance==1000, near;minDistance==1000, or one of {', '.join(_RELATIONS[1:])}.",
            "georel",
        )
    metres = float(found.group(2))
    if not (isfinite(metres) and metres > 0):
        raise _bad("A distance is a positive number of metres", "Write near;maxDistance==1000.", "georel")
    metres = min(metres, _FARTHEST)
    return ("near", metres, None) if found.group(1) == "max" else ("near", None, metres)


def _near(query: GeoQuery) -> _Test:
    measure = distance_to(query.geometry)
    if query.max_distance is not None:
        longest = query.max_distance
        return lambda geometry: measure(geometry) <= longest
    shortest = query.min_distance or 0.0
    return lambda geometry: measure(geometry) > shortest


def _general_distance_to(reference: dict[str, Any]) -> Callable[[dict[str, Any]], float]:
    base = outline(reference)
    middle = base.centroid
    scale = max(cos(radians(middle.y)), 1e-6)

    def flat(positions: Any) -> Any:
        """Longitudes counted from the reference, so that the 180th meridian is no edge, and to scale."""
        positions = positions.copy()
        positions[:, 0] = ((positions[:, 0] - middle.x + 540) % 360 - 180) * scale
        return positions

    drawn = shapely.transform(base, flat)
    shapely.prepare(drawn)

    def measure(geometry: dict[str, Any]) -> float:
        line = shapely.shortest_line(drawn, shapely.transform(outline(geometry), flat))
        (x1, y1), (x2, y2) = shapely.get_coordinates(line).tolist()
        return great_circle(x1 / scale, y1, x2 / scale, y2)

    return measure


def _topological(query: GeoQuery) -> _Test:
    reference = outline(query.geometry)
    shapely.prepare(reference)
    general = _GENERAL[query.relation]
    beside = Beside(reference)
    of_point = _OF_POINT.get(query.relation)

    def test(geometry: dict[str, Any]) -> bool:
        if of_point is not None and geometry["type"] == "Point":
            position = geometry["coordinates"]
            return bool(of_point(reference, position[0], position[1]))
        return bool(general(reference, beside.outline(geometry)))

    return test


#: Each asks of the target (second) how it lies to the reference (first).
_GENERAL: dict[str, Callable[[BaseGeometry, BaseGeometry], Any]] = {
    "within": shapely.contains,
    "contains": shapely.within,
    "overlaps": shapely.overlaps,
    "intersects": shapely.intersects,
    "equals": shapely.equals,
    "disjoint": shapely.disjoint,
}
_OF_POINT: dict[str, Callable[[BaseGeometry, float, float], Any]] = {
    "within": shapely.contains_xy,
    "intersects": shapely.intersects_xy,
}


def _bad(message: str, hint: str, where: str) -> BadRequestData:
    return BadRequestData(message, hint=hint, where=where)
