"""The collections: one for each type of Entities that the asker sees, with its extent and its properties."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import msgspec

from cityloom.context.broker import Broker
from cityloom.context.ports import Bounds
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.units import symbol
from cityloom.ngsild.contexts import iri_of
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.type_selection import TypeSelection
from cityloom.sensing.models import DataModels
from cityloom.web.ogc.features import LOCATION, MODIFIED, OBSERVED, geometry_of, properties

#: Entities whose properties are looked at to describe a collection.
SAMPLE = 200
#: Seconds for which a description is kept: it is advice, and working it out looks at the whole type.
KEPT = 60.0
#: Descriptions kept; then they are worked out anew.
MOST_KEPT = 2_000

_JSON_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
)
_INSTANT = {"type": "string", "format": "date-time"}


class Description(msgspec.Struct, frozen=True):
    """What is known of a collection: schemas of its properties by name, what is drawn, where it lies."""

    properties: dict[str, dict[str, Any]]
    #: GeoJSON's type where all of the sample have the same, "" for several, None without any geometry.
    geometry: str | None
    bounds: Bounds | None


_Key = tuple[str, str, frozenset[InformationClass]]


class Collections:
    """The types of Entities as collections, each asker seeing their own."""

    def __init__(self, broker: Broker, models: DataModels) -> None:
        self._broker = broker
        self._models = models
        self._kept: dict[_Key, tuple[float, Description]] = {}

    def names(self, actor: Actor, tenant: str) -> list[str]:
        """The types of which the asker sees an Entity, in alphabetical order."""
        return list(self._broker.types(actor, tenant=tenant))

    def check(self, actor: Actor, tenant: str, name: str) -> None:
        """Raises ResourceNotFound when the asker sees no Entity of the type."""
        if name not in self._broker.types(actor, tenant=tenant):
            raise ResourceNotFound(
                f"There is no collection {name[:100]}",
                hint="GET /ogc/collections lists what there is.",
                where="collectionId",
            )

    async def describe(self, actor: Actor, tenant: str, name: str) -> Description:
        """What is known of a collection; up to a minute old. Raises ResourceNotFound."""
        self.check(actor, tenant, name)
        key = (tenant, name, frozenset(actor.clearance))
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept[0] < KEPT:
            return kept[1]
        query = EntityQuery(type_expression=TypeSelection(((name,),)), limit=SAMPLE)
        documents = (await self._broker.search(actor, query, tenant=tenant)).documents
        found = Description(
            properties=self._properties(name, documents),
            geometry=_geometry(documents),
            bounds=self._broker.extent(actor, name, tenant=tenant),
        )
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[key] = (time.monotonic(), found)
        return found

    def _properties(self, name: str, documents: Iterable[Document]) -> dict[str, dict[str, Any]]:
        found = self._of_the_model(name)
        for document in documents:
            for one, value in properties(document):
                schema = found.setdefault(one, {"title": _title(one)})
                _widen(schema, value)
                for item in document["attrs"].get(one, ()):
                    if "unitCode" in item and "datasetId" not in item:
                        schema.setdefault("x-ogc-unit", symbol(item["unitCode"]) or item["unitCode"])
        found.setdefault(OBSERVED, dict(_INSTANT))
        found.setdefault(MODIFIED, dict(_INSTANT))
        found[OBSERVED] |= {"title": "observed at", "x-ogc-role": "primary-instant", **_INSTANT}
        found[MODIFIED] |= {"title": "modified at", **_INSTANT}
        return found

    def _of_the_model(self, name: str) -> dict[str, dict[str, Any]]:
        """What the type's data model says of scalar attributes."""
        model = self._models.find(name)
        found: dict[str, dict[str, Any]] = {}
        for one in model.attributes.values() if model else ():
            scalars = [kind for kind in one.types if kind in ("string", "number", "integer", "boolean")]
            if one.name in (LOCATION, "id", "type") or not scalars or "object" in one.types:
                continue
            schema: dict[str, Any] = {"title": _title(one.name), "description": one.description}
            schema["type"] = scalars[0] if len(scalars) == 1 else scalars
            if one.unit:
                schema["x-ogc-unit"] = symbol(one.unit) or one.unit
                found[f"{one.name}_unit"] = {"title": _title(f"{one.name}_unit"), "type": "string"}
            if one.choices:
                schema["enum"] = list(one.choices)
            found[one.name] = schema
        return found


def schema_of(name: str, description: Description, address: str, *, queryables: bool) -> dict[str, Any]:
    """A JSON Schema of the collection's features (OGC 23-058), or of what may be asked about them."""
    shown = dict(sorted(description.properties.items()))
    members: dict[str, Any] = {"id": {"type": "string", "x-ogc-role": "id", "title": "id"}}
    if description.geometry is not None:
        kind = {
            "Point": "point",
            "MultiPoint": "multipoint",
            "LineString": "linestring",
            "MultiLineString": "multilinestring",
            "Polygon": "polygon",
            "MultiPolygon": "multipolygon",
        }.get(description.geometry, "any")
        members["geometry"] = {"format": f"geometry-{kind}", "x-ogc-role": "primary-geometry"}
    hidden = {one for one in shown if queryables and one.endswith("_unit") and one[:-5] in shown}
    members |= {one: schema for one, schema in shown.items() if one not in hidden}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": address,
        "type": "object",
        "title": name,
        "properties": members,
        # An Entity may have attributes that the sample has not; they may be asked for too.
        "additionalProperties": True,
    }


def iri_of_type(name: str) -> str:
    """The IRI of a type."""
    return iri_of(name)


def _widen(schema: dict[str, Any], value: Any) -> None:
    """Let the schema take this value too."""
    kind = next((name for of, name in _JSON_TYPES if isinstance(value, of)), None)
    if kind is None:
        return
    known = schema.get("type", [])
    kinds = [known] if isinstance(known, str) else list(known)
    if kind == "integer" and "number" in kinds:
        return
    if kind not in kinds:
        kinds = [one for one in kinds if not (kind == "number" and one == "integer")]
        kinds.append(kind)
    schema["type"] = kinds[0] if len(kinds) == 1 else kinds


def _geometry(documents: Iterable[Document]) -> str | None:
    kinds = {found["type"] for document in documents if (found := geometry_of(document)) is not None}
    if not kinds:
        return None
    return str(kinds.pop()) if len(kinds) == 1 else ""


def _title(name: str) -> str:
    """A name as words: airQualityIndex becomes "air quality index"."""
    words = "".join(f" {mark.lower()}" if mark.isupper() else mark for mark in name.rsplit("/", 1)[-1])
    return words.replace("_", " ").replace(".", " ").strip()
