"""Places on a map of the world, or of as much of it as holds them all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files

import msgspec

from cityloom.web.drawing.boxes import LINE, Box, width_of
from cityloom.web.drawing.svg import Drawing, circle, path, rectangle, words

_WIDE = 860.0
_RADIUS = 4.5
#: Letters of a name beside its place.
_LETTERS = 12.0
#: Degrees that a map shows at least, and those around its places, as a share of what they span.
_LEAST, _ROOM = 24.0, 0.12
#: Degrees below which no part of a map is drawn closer.
_CLOSEST = 8.0
#: How much wider than high a map is at most and at least.
_FLAT, _HIGH = 2.6, 1.3

Ring = tuple[tuple[float, float], ...]


class Spot(msgspec.Struct, frozen=True):
    """A place by its name; longitude and latitude in degrees, WGS 84."""

    name: str
    longitude: float
    latitude: float


class _Frame(msgspec.Struct, frozen=True):
    """What is shown, in degrees, and how it falls on paper: true to shape in its middle."""

    west: float
    south: float
    east: float
    north: float

    @property
    def _across(self) -> float:
        return _WIDE / (self.east - self.west)

    @property
    def _up(self) -> float:
        return self._across / _narrowing((self.south + self.north) / 2)

    @property
    def height(self) -> float:
        return (self.north - self.south) * self._up

    def place(self, longitude: float, latitude: float) -> tuple[float, float]:
        return (longitude - self.west) * self._across, (self.north - latitude) * self._up

    def shows(self, ring: Ring) -> bool:
        """Whether any of a coast may lie in the frame."""
        longitudes, latitudes = [one[0] for one in ring], [one[1] for one in ring]
        return (
            min(longitudes) <= self.east
            and max(longitudes) >= self.west
            and min(latitudes) <= self.north
            and max(latitudes) >= self.south
        )


def draw_world(spots: Sequence[Spot], title: str) -> Drawing:
    """The map with a dot for each place, and its name where that covers no other."""
    frame = _frame(spots)
    sheet = Box(_WIDE / 2, frame.height / 2, _WIDE, frame.height)
    parts = [rectangle(sheet, "sea", round_by=0)]
    coasts = "".join(_course(frame, ring) for ring in coastlines() if frame.shows(ring))
    if coasts:
        parts.append(path(coasts, "land", thick=0.7))
    places = [frame.place(one.longitude, one.latitude) for one in spots]
    parts += [circle(x, y, "dot", _RADIUS, told=one.name) for one, (x, y) in zip(spots, places, strict=True)]
    named = list(_names(spots, places, sheet))
    parts += [words(name, box.left, box.y, "words", anchor="start", size=_LETTERS) for name, box in named]
    return Drawing(title, tuple(parts), 0, 0, _WIDE, frame.height, tuple(box for _, box in named))


def crowded(spots: Sequence[Spot]) -> Sequence[Spot]:
    """The places of the most crowded tenth of the map, where they are too many to be told apart on it."""
    frame = _frame(spots)
    across, up = (frame.east - frame.west) / 6, (frame.north - frame.south) / 5
    if across < _CLOSEST:
        return ()
    windows = (
        [
            one
            for one in spots
            if abs(one.longitude - middle.longitude) <= across / 2
            and abs(one.latitude - middle.latitude) <= up / 2
        ]
        for middle in spots
    )
    found = max(windows, key=len, default=[])
    return found if len(found) > len(spots) / 4 and len(found) > 4 else ()


@cache
def coastlines() -> tuple[Ring, ...]:
    """The coasts of the world, closed, in degrees: Natural Earth 1:110m, in the public domain, thinned."""
    raw = files(__package__).joinpath("data/coastlines.json").read_bytes()
    rings = msgspec.json.decode(raw, type=list[list[tuple[float, float]]])
    return tuple(tuple(ring) for ring in rings)


def _narrowing(latitude: float) -> float:
    """A degree of longitude in degrees of latitude; the poles are kept from being drawn out of all shape."""
    return max(math.cos(math.radians(latitude)), 0.35)


def _frame(spots: Sequence[Spot]) -> _Frame:
    if not spots:
        return _Frame(-180, -58, 180, 80)
    longitudes, latitudes = [one.longitude for one in spots], [one.latitude for one in spots]
    middle = (min(longitudes) + max(longitudes)) / 2, (min(latitudes) + max(latitudes)) / 2
    wide = max((max(longitudes) - min(longitudes)) * (1 + 2 * _ROOM), _LEAST)
    high = max((max(latitudes) - min(latitudes)) * (1 + 2 * _ROOM), _LEAST / 2)
    upright = high / _narrowing(middle[1])
    wide = max(wide, upright * _HIGH)
    high = max(high, wide * _narrowing(middle[1]) / _FLAT)
    return _within_the_world(middle, min(wide, 360.0), min(high, 145.0))


def _within_the_world(middle: tuple[float, float], wide: float, high: float) -> _Frame:
    west = min(max(middle[0] - wide / 2, -180.0), 180.0 - wide)
    south = min(max(middle[1] - high / 2, -60.0), 85.0 - high)
    return _Frame(west, south, west + wide, south + high)


def _course(frame: _Frame, ring: Ring) -> str:
    return "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in (frame.place(*one) for one in ring)) + "Z"


def _names(
    spots: Sequence[Spot], places: Sequence[tuple[float, float]], sheet: Box
) -> Iterator[tuple[str, Box]]:
    """The names that find room beside their places: to the right, to the left, above or below."""
    taken = [Box(x, y, 2 * _RADIUS, 2 * _RADIUS) for x, y in places]
    for one, (x, y) in zip(spots, places, strict=True):
        width = width_of(one.name, _LETTERS)
        beside, above = _RADIUS + 3 + width / 2, _RADIUS + 1 + LINE / 2
        for dx, dy in ((beside, 0.0), (-beside, 0.0), (0.0, -above), (0.0, above)):
            box = Box(x + dx, y + dy, width, LINE - 3)
            if _inside(box, sheet) and not any(box.covers(other) for other in taken):
                taken.append(box)
                yield one.name, box
                break


def _inside(box: Box, sheet: Box) -> bool:
    return (
        box.left >= sheet.left
        and box.right <= sheet.right
        and box.top >= sheet.top
        and box.bottom <= sheet.bottom
    )
