"""The districts of a city, and which Entities lie in each. Pure.

A district is an Entity of the type District with a name and a polygon as its location. What is no point (a
street, an area) lies where the middle of it lies; so each Entity is in one district or in none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
import numpy as np
import shapely
from shapely.errors import ShapelyError

from cityloom.context.reading import geometry, texts
from cityloom.indicators.model import Texts
from cityloom.indicators.view import only
from cityloom.kernel.errors import CityError
from cityloom.ngsild.geometry import check_geometry
from cityloom.ngsild.model import Document, value_of
from cityloom.ngsild.outlines import outline

#: The type of Entity that a district is.
DISTRICT = "District"
#: Districts that are looked at; a city with more of them means something smaller.
MOST_DISTRICTS = 300
_AREAS = ("Polygon", "MultiPolygon")
_ID = "urn:ngsi-ld:District:"
_NO_KEY = re.compile(r"[^A-Za-z0-9._-]")


class District(msgspec.Struct, frozen=True):
    """A district with what it is called and where it lies."""

    id: str
    name: Texts
    #: A GeoJSON polygon, or several; None where no usable one is said.
    area: Mapping[str, Any] | None = None

    @property
    def key(self) -> str:
        """What ids of its values end with."""
        own = self.id.removeprefix(_ID)
        if own != self.id and own and not _NO_KEY.search(own):
            return own
        return sha256(self.id.encode()).hexdigest()[:16]

    def is_called(self, said: str) -> bool:
        """Whether a file means it by this: its id, the end of it, or its name in any language."""
        names = (self.id, self.key, *self.name.values())
        return said.strip().casefold() in {one.casefold() for one in names}


def read_districts(documents: Iterable[Document]) -> list[District]:
    """The districts among Entities of that type, by their names."""
    found = [
        District(one["id"], texts(one, "name") or {"en": one["id"].rpartition(":")[2]}, _area(one))
        for one in documents
    ]
    found.sort(key=lambda one: (one.name.get("en", next(iter(one.name.values()))).casefold(), one.id))
    return found[:MOST_DISTRICTS]


def _area(document: Document) -> Mapping[str, Any] | None:
    said = geometry(document, "location")
    if said is None or said.get("type") not in _AREAS:
        return None
    try:
        return check_geometry(dict(said))
    except CityError:
        return None


def inside(districts: Sequence[District], documents: Sequence[Document]) -> dict[str, frozenset[str]]:
    """The ids of the Entities that lie in each district, by the id of the district.

    An Entity on a common border is in the first of both, one without a place in none.
    """
    drawn = [one for one in districts if one.area is not None]
    ids, places = _places(documents)
    if not drawn or not ids:
        return {one.id: frozenset() for one in districts}
    tree = shapely.STRtree([outline(dict(one.area or {})) for one in drawn])
    which, where = tree.query(shapely.points(places), predicate="intersects")
    first = np.full(len(ids), len(drawn))
    np.minimum.at(first, which, where)
    found: dict[str, set[str]] = {one.id: set() for one in districts}
    for entity_id, place in zip(ids, first.tolist(), strict=True):
        if place < len(drawn):
            found[drawn[place].id].add(entity_id)
    return {district: frozenset(every) for district, every in found.items()}


def _places(documents: Sequence[Document]) -> tuple[list[str], list[tuple[float, float]]]:
    """The ids of the Entities that have a place, and where its middle is."""
    ids, places = [], []
    for document in only(documents, "location"):
        middle = _middle(value_of(document, "location"))
        if middle is not None:
            ids.append(document["id"])
            places.append(middle)
    return ids, places


def _middle(said: Any) -> tuple[float, float] | None:
    if not isinstance(said, dict):
        return None
    coordinates = said.get("coordinates")
    if said.get("type") == "Point" and isinstance(coordinates, list) and len(coordinates) >= 2:
        longitude, latitude = coordinates[:2]
        return float(longitude), float(latitude)
    try:
        drawn = shapely.from_geojson(msgspec.json.encode(said).decode()).centroid
    except (ShapelyError, ValueError):
        return None
    return None if drawn.is_empty else (float(drawn.x), float(drawn.y))
