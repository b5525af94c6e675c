"""The internal form of an Entity, and the words to build and read it (ETSI GS CIM 009, 4.5).

One form is used in the feed, in memory and between the rooms. It is plain JSON:

    {"id": URI, "type": [name, …], "scope": ["/a/b", …], "createdAt": instant, "modifiedAt": instant,
     "expiresAt": instant,
     "attrs": {name: [instance, …]}}

    instance = {"type": "Property" | "Relationship" | "GeoProperty" | "LanguageProperty" | "VocabProperty" |
                        "JsonProperty" | "ListProperty" | "ListRelationship",
                "value" | "object" | "languageMap" | "vocab" | "json" | "valueList" | "objectList": …,
                "observedAt": instant, "unitCode": code, "datasetId": URI,
                "createdAt": instant, "modifiedAt": instant,
                "attrs": {name: [instance, …]}}

An attribute has several instances when they differ in datasetId (4.5.5). A *name* is an IRI, but for the
terms of NGSI-LD's default vocabulary, which are kept short: a name without a colon stands for
`https://uri.etsi.org/ngsi-ld/default-context/` + name, or for the core @context's own term (`location` is
`https://uri.etsi.org/ngsi-ld/location`). So an Entity written without any @context reads the same inside as
outside, and the common case needs no translation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from cityloom.kernel.time import format_instant

#: An Entity in the internal form.
Document = dict[str, Any]
#: One instance of an attribute in the internal form.
Instance = dict[str, Any]

DEFAULT_VOCABULARY = "https://uri.etsi.org/ngsi-ld/default-context/"

#: The member that carries the content of an attribute, by its type (4.5.2 to 4.5.24).
CONTENT_MEMBER: dict[str, str] = {
    "Property": "value",
    "Relationship": "object",
    "GeoProperty": "value",
    "LanguageProperty": "languageMap",
    "VocabProperty": "vocab",
    "JsonProperty": "json",
    "ListProperty": "valueList",
    "ListRelationship": "objectList",
}


def entity(
    entity_type: str,
    entity_id: str,
    attributes: Mapping[str, Instance | list[Instance]],
    *,
    scope: Iterable[str] = (),
) -> Document:
    """A new Entity of one type. Attributes are what `prop`, `rel` and `geo` return."""
    document: Document = {
        "id": entity_id,
        "type": [entity_type],
        "attrs": {name: item if isinstance(item, list) else [item] for name, item in attributes.items()},
    }
    if scopes := list(scope):
        document["scope"] = scopes
    return document


def prop(
    value: Any,
    *,
    at: datetime | None = None,
    unit: str | None = None,
    dataset: str | None = None,
    attributes: Mapping[str, Instance] | None = None,
) -> Instance:
    """A Property (4.5.2). `unit` is a UN/CEFACT code; `at` becomes observedAt."""
    return _instance({"type": "Property", "value": value}, at, unit, dataset, attributes)


def rel(target: str | list[str], *, at: datetime | None = None, dataset: str | None = None) -> Instance:
    """A Relationship (4.5.3) to one Entity or to several."""
    return _instance({"type": "Relationship", "object": target}, at, None, dataset, None)


def geo(geometry: Mapping[str, Any], *, at: datetime | None = None) -> Instance:
    """A GeoProperty (4.7): a GeoJSON geometry in WGS 84, longitude first."""
    return _instance({"type": "GeoProperty", "value": dict(geometry)}, at, None, None, None)


def point(longitude: float, latitude: float) -> Instance:
    """A GeoProperty that is a point."""
    return geo({"type": "Point", "coordinates": [longitude, latitude]})


def text(**languages: str) -> Instance:
    """A LanguageProperty (4.5.18): text(en="Frost", da="Frost")."""
    return {"type": "LanguageProperty", "languageMap": dict(languages)}


def json_value(value: Any) -> Instance:
    """A JsonProperty (4.5.24): JSON that is kept as it is."""
    return {"type": "JsonProperty", "json": value}


def instance_of(document: Document, name: str, dataset: str | None = None) -> Instance | None:
    """The instance of an attribute with this datasetId (None: the default one), or None."""
    for item in document["attrs"].get(name, ()):
        if item.get("datasetId") == dataset:
            found: Instance = item
            return found
    return None


def content(item: Instance) -> Any:
    """What an attribute instance says: the value, the object, the language map, …"""
    return item.get(CONTENT_MEMBER[item["type"]])


def value_of(document: Document, name: str, default: Any = None, dataset: str | None = None) -> Any:
    """The content of the default instance of an attribute, or `default` when it is not there."""
    item = instance_of(document, name, dataset)
    return default if item is None else content(item)


def text_of(document: Document, name: str, language: str, default: str = "") -> str:
    """A text in the language wanted, else in English, else in whatever language there is."""
    said = value_of(document, name)
    if isinstance(said, dict):
        found = said.get(language) or said.get("en") or next(iter(said.values()), default)
        return str(found)
    return default if said is None else str(said)


def _instance(
    base: Instance,
    at: datetime | None,
    unit: str | None,
    dataset: str | None,
    attributes: Mapping[str, Instance] | None,
) -> Instance:
    if at is not None:
        base["observedAt"] = format_instant(at)
    if unit is not None:
        base["unitCode"] = unit
    if dataset is not None:
        base["datasetId"] = dataset
    if attributes:
        base["attrs"] = {name: [item] for name, item in attributes.items()}
    return base
