"""A map without tiles: the lines and points of the data, in their place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from markupsafe import Markup, escape

from cityloom.web.looks import LEVELS, Item

WIDTH = 1000
#: How far a line is drawn beside its course, so that both directions of a road are seen.
_BESIDE = 2.2
#: Size of a sign, of a map WIDTH wide.
MARK = 22
Position = tuple[float, float]
Bounds = tuple[float, float, float, float]
#: Degrees of room around the data: a lone point must not fill the map.
_LEAST_SPAN = 0.004


def bounds_around(
    geometries: Iterable[dict[str, Any]], given: Sequence[float] = (), centre: Position = (0.0, 0.0)
) -> Bounds:
    """west, south, east, north around geometries; `given`, else around the centre, when there are none."""
    places = [place for geometry in geometries for line in lines_of(geometry) for place in line]
    if not places:
        if len(given) == 4:
            return given[0], given[1], given[2], given[3]
        return centre[0] - 0.05, centre[1] - 0.03, centre[0] + 0.05, centre[1] + 0.03
    west, east = _ends([place[0] for place in places])
    south, north = _ends([place[1] for place in places])
    beside, above = max(0.0, _LEAST_SPAN - (east - west)) / 2, max(0.0, _LEAST_SPAN - (north - south)) / 2
    return west - beside, south - above, east + beside, north + above


def _ends(coordinates: list[float]) -> tuple[float, float]:
    """The first and the last coordinate, those far off left out: one wrong place must not shrink the city."""
    ordered = sorted(coordinates)
    cut = len(ordered) // 50
    first, last = ordered[cut], ordered[-1 - cut]
    room = 3 * (last - first)
    near = [value for value in ordered if first - room <= value <= last + room]
    return near[0], near[-1]


def widened(bounds: Bounds, degrees: float) -> Bounds:
    """Bounds with room on every side: `degrees` of latitude, and as far to the sides."""
    west, south, east, north = bounds
    beside = degrees / max(math.cos(math.radians((south + north) / 2)), 0.05)
    return west - beside, south - degrees, east + beside, north + degrees


def touches(geometry: dict[str, Any], bounds: Bounds) -> bool:
    """Whether any position of a geometry lies within bounds."""
    west, south, east, north = bounds
    return any(
        west <= place[0] <= east and south <= place[1] <= north
        for line in lines_of(geometry)
        for place in line
    )


def lines_of(geometry: dict[str, Any] | None) -> Iterator[list[Position]]:
    """The lines, rings and points of a GeoJSON geometry, each as positions."""
    if not geometry:
        return
    kind, coordinates = geometry.get("type"), geometry.get("coordinates", ())
    if kind == "Point":
        yield [(coordinates[0], coordinates[1])]
    elif kind in ("LineString", "MultiPoint"):
        yield [(place[0], place[1]) for place in coordinates]
    elif kind in ("MultiLineString", "Polygon"):
        for line in coordinates:
            yield [(place[0], place[1]) for place in line]
    elif kind == "MultiPolygon":
        for polygon in coordinates:
            for ring in polygon:
                yield [(place[0], place[1]) for place in ring]


class _Projection:
    """Equirectangular at the middle latitude: true to shape within a city."""

    def __init__(self, bounds: Bounds) -> None:
        west, south, east, north = bounds
        self._west, self._north = west, north
        self._scale = WIDTH / max(east - west, 1e-9)
        self._stretch = 1 / max(math.cos(math.radians((south + north) / 2)), 0.05)
        self.height = max(200.0, min(3_000.0, (north - south) * self._scale * self._stretch))

    def __call__(self, place: Position) -> Position:
        x = (place[0] - self._west) * self._scale
        y = (self._north - place[1]) * self._scale * self._stretch
        return x, y

    def inverse(self, place: Position) -> Position:
        longitude = self._west + place[0] / self._scale
        return longitude, self._north - place[1] / self._scale / self._stretch


def project_onto(bounds: Bounds) -> tuple[Callable[[Position], Position], float]:
    """What places a longitude and latitude on a map WIDTH wide, and how high that map is."""
    project = _Projection(bounds)
    return project, project.height


def draw_map(
    items: Sequence[Item],
    bounds: Bounds,
    *,
    roads: Iterable[dict[str, Any]],
    icons: str,
    words: str,
    mark: int = MARK,
) -> Markup:
    """The map as SVG: roads, their states, and signs in place of points. `words` tell what it shows."""
    project = _Projection(bounds)
    courses = [_course([project(place) for place in line]) for road in roads for line in lines_of(road)]
    states: dict[str, list[str]] = {level: [] for level in LEVELS}
    signs: list[tuple[int, str]] = []
    for item in items:
        if item.geometry is None:
            continue
        if item.geometry["type"] == "Point":
            x, y = project((item.geometry["coordinates"][0], item.geometry["coordinates"][1]))
            signs.append((LEVELS.index(item.level), _sign(item, x, y, icons, mark)))
        else:
            for line in lines_of(item.geometry):
                places = [project(place) for place in line]
                courses.append(_course(places))
                states[item.level].append(_course(_beside(places)))
    parts = [f'<path class="road" d="{"".join(courses)}"/>']
    # The worst is drawn last, on top.
    parts += [
        f'<path class="state {level}" d="{"".join(states[level])}"/>'
        for level in reversed(LEVELS)
        if states[level]
    ]
    parts += [sign for _, sign in sorted(signs, key=lambda pair: -pair[0])]
    return Markup(  # noqa: S704 - every text in it is escaped
        f'<svg class="plain" viewBox="-20 -20 {WIDTH + 40} {project.height + 40:.0f}" role="img" '
        f'aria-label="{escape(words)}" preserveAspectRatio="xMidYMid meet">{"".join(parts)}</svg>'
    )


def draw_plain_map(lines: Iterable[dict[str, Any]], bounds: Bounds, width: int) -> Markup:
    """Roads alone, as a picture of its own whose every pixel is a place (`place_at`)."""
    project = _Projection(bounds)
    share = width / WIDTH
    courses: list[str] = []
    dots: list[str] = []
    for geometry in lines:
        for line in lines_of(geometry):
            places = [(x * share, y * share) for x, y in map(project, line)]
            if len(places) > 1:
                courses.append(_course(places))
            else:
                dots.append(f'<circle cx="{places[0][0]:.0f}" cy="{places[0][1]:.0f}" r="4"/>')
    height = project.height * share
    return Markup(  # noqa: S704 - it has no text
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.0f}">'
        f'<rect width="{width}" height="{height:.0f}" fill="#e9ede9"/>'
        f'<path d="{"".join(courses)}" fill="none" stroke="#8b9793" stroke-width="3" stroke-linecap="round"/>'
        f'<g fill="#2f5aa8">{"".join(dots)}</g></svg>'
    )


def place_at(bounds: Bounds, x: int, y: int, width: int) -> Position:
    """Longitude and latitude of a pixel of the plain map."""
    return _Projection(bounds).inverse((x * WIDTH / width, y * WIDTH / width))


def _sign(item: Item, x: float, y: float, icons: str, size: int) -> str:
    place = f'x="{x - size / 2:.0f}" y="{y - size / 2:.0f}" width="{size}" height="{size}"'
    return f'<use class="mark {item.level}" href="{escape(icons)}#sign-{item.level}" {place}/>'


def _course(places: Sequence[Position]) -> str:
    return "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in places)


def _beside(places: Sequence[Position]) -> list[Position]:
    """The line moved to its right, seen in its direction."""
    if len(places) < 2:
        return list(places)
    (x0, y0), (x1, y1) = places[0], places[-1]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    dx, dy = -(y1 - y0) / length * _BESIDE, (x1 - x0) / length * _BESIDE
    return [(x + dx, y + dy) for x, y in places]
