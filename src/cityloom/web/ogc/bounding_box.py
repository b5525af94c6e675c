"""Bounding boxes as geometry (OGC 17-069r4, 7.15.3)."""

from __future__ import annotations

from cityloom.ngsild.errors import BadRequestData


def box(numbers: list[float], where: str = "bbox") -> dict[str, object]:
    """A geometry around west, south, east, north (heights between them are passed over).

    One that crosses the 180th meridian becomes two. Raises BadRequestData.
    """
    if len(numbers) == 6:
        numbers = [*numbers[:2], *numbers[3:5]]
    if len(numbers) != 4 or numbers[1] > numbers[3]:
        raise BadRequestData(
            "A box is west, south, east, north", hint="Write 10,56,10.3,56.3, in degrees.", where=where
        )
    west, south, east, north = numbers
    if west == east or south == north:
        # What has no area is drawn as what it is.
        ends = [[west, south], [east, north]]
        one = ends[0] == ends[1]
        return {"type": "Point" if one else "LineString", "coordinates": ends[0] if one else ends}
    if west > east:
        halves = [_ring(west, south, 180.0, north), _ring(-180.0, south, east, north)]
        return {"type": "MultiPolygon", "coordinates": halves}
    return {"type": "Polygon", "coordinates": _ring(west, south, east, north)}


def _ring(west: float, south: float, east: float, north: float) -> list[list[list[float]]]:
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]
