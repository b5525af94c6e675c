"""The town's plan: six boulevards, two rings, streets between them, and farms around. Invented.

Names are of fabrics and of words that English and Danish share. Positions are kilometres east and north of
the market, turned into degrees at a place that is on no map of towns.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from cityloom_catalogue.cities.loomby import chance
from cityloom_catalogue.cities.loomby.moments import LATITUDE, LONGITUDE

Position = tuple[float, float]
Line = tuple[Position, ...]

BOULEVARDS = ("Satin", "Tweed", "Denim", "Damask", "Jute", "Batik")
#: Degrees clockwise from north.
_BEARINGS = (8.0, 66.0, 121.0, 183.0, 247.0, 312.0)
#: Kilometres from the market to the rings and to the edge of the town.
_RING_1, _RING_2, _EDGE = 0.55, 1.5, 3.4

_KM_A_DEGREE = 111.2


class Section(NamedTuple):
    """One directed stretch of road that is counted."""

    key: str
    name: str
    line: Line
    #: Metres.
    length: float
    #: km/h without other traffic, and vehicles an hour at which the road is full.
    free_flow: float
    capacity: float
    #: 1 towards the market, -1 away from it, 0 around it.
    inward: int


class Spot(NamedTuple):
    """Something that stands at one place."""

    key: str
    name: str
    place: Position


def degrees(east: float, north: float) -> Position:
    """Longitude and latitude of a place by its kilometres."""
    longitude = LONGITUDE + east / (_KM_A_DEGREE * math.cos(math.radians(LATITUDE)))
    return round(longitude, 6), round(LATITUDE + north / _KM_A_DEGREE, 6)


def _at(bearing: float, distance: float) -> tuple[float, float]:
    angle = math.radians(bearing)
    return distance * math.sin(angle), distance * math.cos(angle)


def _shake(stream: str, index: int, size: float) -> float:
    return float(chance.uniform(stream, index) - 0.5) * 2 * size


class _Edge(NamedTuple):
    key: str
    road: str
    near: str
    far: str
    points: tuple[tuple[float, float], ...]
    free_flow: float
    capacity: float
    #: Whether it leads from the market outward; a ring does not.
    radial: bool


@cache
def _edges() -> tuple[_Edge, ...]:
    inner = [_at(bearing, _RING_1 + _shake("ring-1", i, 0.07)) for i, bearing in enumerate(_BEARINGS)]
    outer = [
        _at(bearing + _shake("turn", i, 5), _RING_2 + _shake("ring-2", i, 0.18))
        for i, bearing in enumerate(_BEARINGS)
    ]
    edge = [
        _at(bearing + _shake("bend", i, 9), _EDGE + _shake("edge", i, 0.3))
        for i, bearing in enumerate(_BEARINGS)
    ]
    edges = []
    for i, name in enumerate(BOULEVARDS):
        legs = (
            ("Plaza", "Ring 1", (0.0, 0.0), inner[i], 42.0, 520.0),
            ("Ring 1", "Ring 2", inner[i], outer[i], 52.0, 760.0),
            ("Ring 2", "Loomby", outer[i], edge[i], 74.0, 980.0),
        )
        for number, (near, far, begin, end, speed, capacity) in enumerate(legs):
            key = f"{name.lower()}-{number + 1}"
            line = _bowed(key, begin, end)
            edges.append(_Edge(key, f"{name} Boulevard", near, far, line, speed, capacity, True))
    for ring, corners, speed, capacity in (("Ring 1", inner, 44.0, 560.0), ("Ring 2", outer, 63.0, 900.0)):
        for i, name in enumerate(BOULEVARDS):
            following = (i + 1) % len(BOULEVARDS)
            key = f"{ring.lower().replace(' ', '-')}-{name.lower()}"
            line = _bowed(key, corners[i], corners[following], outward=0.13)
            edges.append(_Edge(key, ring, name, BOULEVARDS[following], line, speed, capacity, False))
    return tuple(edges)


def _bowed(
    key: str, begin: tuple[float, float], end: tuple[float, float], outward: float = 0.0
) -> tuple[tuple[float, float], ...]:
    """A line with a gentle bend; `outward` bows it away from the market, as a share of its length."""
    east, north = end[0] - begin[0], end[1] - begin[1]
    bend = _shake("bow:" + key, 0, 0.05)
    points = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        bulge = 4 * share * (1 - share)
        middle = (begin[0] + east * share, begin[1] + north * share)
        far = math.hypot(*middle) or 1.0
        push = outward * bulge * math.hypot(east, north) / far
        points.append(
            (middle[0] * (1 + push) - north * bend * bulge, middle[1] * (1 + push) + east * bend * bulge)
        )
    return tuple(points)


def _length(points: tuple[tuple[float, float], ...]) -> float:
    return sum(math.dist(a, b) for a, b in pairwise(points))


def _line(points: tuple[tuple[float, float], ...]) -> Line:
    return tuple(degrees(*point) for point in points)


@cache
def sections() -> tuple[Section, ...]:
    """The counted roads, each direction one section: 60 of them."""
    return tuple(section for edge in _edges() for section in (_away(edge), _towards(edge)))


def _away(edge: _Edge) -> Section:
    return Section(
        key=f"{edge.key}-{'out' if edge.radial else 'a'}",
        name=f"{edge.road}: {edge.near} → {edge.far}",
        line=_line(edge.points),
        length=float(round(1000 * _length(edge.points))),
        free_flow=edge.free_flow,
        capacity=edge.capacity,
        inward=-1 if edge.radial else 0,
    )


def _towards(edge: _Edge) -> Section:
    back = _away(edge)
    return back._replace(
        key=f"{edge.key}-{'in' if edge.radial else 'b'}",
        name=f"{edge.road}: {edge.far} → {edge.near}",
        line=back.line[::-1],
        inward=-back.inward,
    )


@cache
def streets() -> tuple[tuple[str, Line], ...]:
    """Streets without counters, as a background of the map: (key, line)."""
    found = []
    for i, bearing in enumerate(_BEARINGS):
        following = _BEARINGS[(i + 1) % 6] + (360 if i == 5 else 0)
        for k, distance in enumerate((0.8, 1.02, 1.24)):
            share_from, share_to = (
                0.12 + _shake("street-a", 10 * i + k, 0.05),
                0.88 + _shake("street-b", 10 * i + k, 0.06),
            )
            turns = [bearing + (following - bearing) * s for s in _steps(share_from, share_to, 5)]
            found.append((f"{i}-around-{k}", _line(tuple(_at(turn, distance) for turn in turns))))
        for k in range(4):
            turn = bearing + (following - bearing) * (0.2 + 0.2 * k + _shake("lane", 10 * i + k, 0.03))
            found.append((f"{i}-across-{k}", _line((_at(turn, 0.66), _at(turn + 1.5, 0.95), _at(turn, 1.3)))))
    return tuple(found)


@cache
def lanes() -> tuple[tuple[str, Line], ...]:
    """The way of each farm to the nearest road: (key, line)."""
    corners = [point for edge in _edges() for point in edge.points]
    found = []
    for i, farm in enumerate(farms()):
        place = _kilometres(farm.place)
        road = min(corners, key=lambda corner: math.dist(corner, place))
        found.append((f"lane-{farm.key}", _line(_bowed(f"lane-{i}", road, place))))
    return tuple(found)


def _kilometres(place: Position) -> tuple[float, float]:
    east = (place[0] - LONGITUDE) * _KM_A_DEGREE * math.cos(math.radians(LATITUDE))
    return east, (place[1] - LATITUDE) * _KM_A_DEGREE


def _steps(begin: float, end: float, count: int) -> list[float]:
    return [begin + (end - begin) * k / (count - 1) for k in range(count)]


@cache
def farms() -> tuple[Spot, ...]:
    """Twelve farms with weather stations, outside the town."""
    names = (
        "Merino", "Mohair", "Angora", "Alpaka", "Kashmir", "Velour",
        "Organza", "Chiffon", "Gabardine", "Viskose", "Jersey", "Taft",
    )  # fmt: skip
    return tuple(
        Spot(
            name.lower(),
            name,
            degrees(
                *_at(30 * i + 12 + _shake("farm", i, 9), 3.9 + 2.2 * float(chance.uniform("farm-far", i)))
            ),
        )
        for i, name in enumerate(names)
    )


@cache
def garages() -> tuple[tuple[Spot, str, int], ...]:
    """Six car parks: where, for whom, and how many spaces."""
    plan = (
        ("plaza", "P Plaza", "shops", 320, 40.0, 0.18),
        ("station", "P Station", "trains", 240, 190.0, 0.75),
        ("hospital", "P Hospital", "visits", 410, 95.0, 1.2),
        ("arena", "P Arena", "evenings", 600, 280.0, 1.25),
        ("tweed", "P Tweed", "offices", 180, 70.0, 0.62),
        ("satin", "P Satin", "shops", 150, 5.0, 0.4),
    )
    return tuple(
        (Spot(key, name, degrees(*_at(bearing, far))), kind, spaces)
        for key, name, kind, spaces, bearing, far in plan
    )


class Quarter(NamedTuple):
    """A district: its names by language, and the ring of its border, the first position again at the end."""

    key: str
    names: dict[str, str]
    border: Line


#: How far the market's district reaches, and how far the others: the farms lie outside.
_CORE, _LIMITS = 0.7, 3.8
#: Where the outer districts meet, between boulevards, so that none is a border.
_MEETINGS = (20, 110, 200, 290)


@cache
def quarters() -> tuple[Quarter, ...]:
    """Five districts that cover the town without overlap: around the market, and four around that."""
    outer = (
        ("east", {"en": "Loomby East", "da": "Loomby Øst"}),
        ("south", {"en": "Loomby South", "da": "Loomby Syd"}),
        ("west", {"en": "Loomby West", "da": "Loomby Vest"}),
        ("north", {"en": "Loomby North", "da": "Loomby Nord"}),
    )
    names = {"en": "Loomby Centre", "da": "Loomby Midtby"}
    found = [Quarter("centre", names, _line(_arc(_MEETINGS[0], _MEETINGS[0] + 360, _CORE)))]
    for begin, (key, names) in zip(_MEETINGS, outer, strict=True):
        far, near = _arc(begin, begin + 90, _LIMITS), _arc(begin, begin + 90, _CORE)
        found.append(Quarter(key, names, _line((*far, *near[::-1], far[0]))))
    return tuple(found)


def _arc(begin: int, end: int, distance: float) -> tuple[tuple[float, float], ...]:
    """Every 15 degrees of a circle around the market; a full one ends where it began."""
    return tuple(_at(float(bearing % 360), distance) for bearing in range(begin, end + 1, 15))


class AirPlace(NamedTuple):
    """An air sensor and how near it is to traffic and to chimneys: 0 far, 1 beside."""

    spot: Spot
    traffic: float
    heating: float


@cache
def air_places() -> tuple[AirPlace, ...]:
    """Ten air sensors: on the rings, on the boulevards, among houses, in the park, out of town."""
    plan = (
        (8.0, 0.55, 1.0, 0.5),
        (121.0, 0.55, 0.9, 0.5),
        (66.0, 1.5, 0.85, 0.4),
        (247.0, 1.5, 0.8, 0.45),
        (183.0, 1.0, 0.7, 0.6),
        (312.0, 1.0, 0.65, 0.6),
        (35.0, 1.1, 0.3, 1.0),
        (215.0, 1.1, 0.3, 0.95),
        (280.0, 0.9, 0.2, 0.6),
        (150.0, 3.0, 0.08, 0.15),
    )
    return tuple(
        AirPlace(Spot(f"air-{i + 1}", f"Sensor {i + 1}", degrees(*_at(bearing + 1.5, far))), traffic, heating)
        for i, (bearing, far, traffic, heating) in enumerate(plan)
    )


@cache
def lights() -> tuple[Spot, ...]:
    """Two hundred street lights along the boulevards and rings inside Ring 2."""
    inside = [edge for edge in _edges() if not edge.key.endswith("-3")]
    found = []
    for number in range(200):
        edge = inside[number % len(inside)]
        along = (number // len(inside) + 0.5) / math.ceil(200 / len(inside))
        east, north = _along(edge.points, along)
        found.append(Spot(f"light-{number + 1:03}", f"{number + 1:03}", degrees(east + 0.008, north + 0.008)))
    return tuple(found)


@cache
def bins() -> tuple[Spot, ...]:
    """Forty bins in the streets between the rings, the first eight around the market."""
    found = []
    for number in range(40):
        bearing = 360 * number / 8 + 20 if number < 8 else 360 * (number - 8) / 32 + 4
        far = 0.12 if number < 8 else 0.75 + 0.6 * float(chance.uniform("bin", number))
        found.append(Spot(f"bin-{number + 1:02}", f"{number + 1:02}", degrees(*_at(bearing, far))))
    return tuple(found)


def _along(points: tuple[tuple[float, float], ...], share: float) -> tuple[float, float]:
    left = share * _length(points)
    for begin, end in pairwise(points):
        piece = math.dist(begin, end)
        if left <= piece:
            part = left / piece
            return begin[0] + (end[0] - begin[0]) * part, begin[1] + (end[1] - begin[1]) * part
        left -= piece
    return points[-1]
