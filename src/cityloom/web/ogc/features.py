"""An Entity as a Feature for geographic information systems: flat properties, units told, one time. Pure.

Each attribute gives one property, of its default instance; where the value has a unit, `name_unit` says it as
people write it. Members of an object stand beside each other: `address.streetAddress`. Values that are JSON
for programs (JsonProperty) and further geometries are left to NGSI-LD.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cityloom.kernel.units import symbol
from cityloom.ngsild.languages import choose_language
from cityloom.ngsild.model import CONTENT_MEMBER, Document, Instance
from cityloom.ngsild.q_matching import newest_observation

#: The GeoProperty that becomes the geometry.
LOCATION = "location"
#: Properties that every feature may have beside its attributes.
OBSERVED, MODIFIED = "observedAt", "modifiedAt"

_LEFT_OUT = frozenset({"JsonProperty", "GeoProperty"})


def feature(document: Document, languages: str = "en") -> dict[str, Any]:
    """A GeoJSON Feature (RFC 7946). `languages` is a language filter such as "da,en;q=0.5" (4.15)."""
    return {
        "type": "Feature",
        "id": document["id"],
        "geometry": geometry_of(document),
        "properties": dict(properties(document, languages)),
    }


def geometry_of(document: Document) -> dict[str, Any] | None:
    """The geometry that is drawn, which is the one that boxes and filters look at; or None."""
    for item in document["attrs"].get(LOCATION, ()):
        if item["type"] == "GeoProperty" and "datasetId" not in item:
            found: dict[str, Any] = item["value"]
            return found
    return None


def properties(document: Document, languages: str = "en") -> Iterator[tuple[str, Any]]:
    """Names and values of the properties; values are JSON scalars or arrays of them."""
    attributes = document["attrs"]
    for name, items in attributes.items():
        item = next((one for one in items if "datasetId" not in one), None)
        if item is None or item["type"] in _LEFT_OUT:
            continue
        yield from _flat(name, _said(item, languages))
        unit = item.get("unitCode")
        if unit and f"{name}_unit" not in attributes:
            yield f"{name}_unit", symbol(unit) or unit
    observed = newest_observation(document)
    if observed is not None and OBSERVED not in attributes:
        yield OBSERVED, observed
    if "modifiedAt" in document and MODIFIED not in attributes:
        yield MODIFIED, document["modifiedAt"]


def _said(item: Instance, languages: str) -> Any:
    said = item[CONTENT_MEMBER[item["type"]]]
    if item["type"] == "LanguageProperty":
        return choose_language(said, languages)[1]
    return said["@value"] if isinstance(said, dict) and "@value" in said else said


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for member, inner in value.items():
            if not isinstance(inner, dict):
                yield from _flat(f"{name}.{member}", inner)
    elif isinstance(value, list):
        if all(not isinstance(one, dict | list) for one in value):
            yield name, value
    else:
        yield name, value
