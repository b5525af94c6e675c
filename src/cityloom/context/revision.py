"""A Revision: an Entity's state after a change, with what the indices need of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from cityloom.context.keeping import Kept
from cityloom.context.ports import Bounds, Folded
from cityloom.kernel.change import Change
from cityloom.ngsild.model import Document, Instance

#: The attribute that carries the evidence an Entity rests on (`kernel.change.Because`).
EVIDENCE = "because"
#: The GeoProperty that is indexed (ETSI GS CIM 009, 4.7: the default one).
INDEXED_GEOMETRY = "location"
# One of these stands in the text of every document that points at something; most point at nothing.
_RELATIONSHIP, _EVIDENCE = b'Relationship"', f'"{EVIDENCE}"'.encode()


class Revision(msgspec.Struct, frozen=True, gc=False):
    """One change on its way: into the feed, the current state and the table."""

    change: Change
    #: The sequence of the change that created the Entity.
    created: int
    bounds: Bounds | None
    references: tuple[str, ...]

    def folded(self, kept: Kept) -> Folded:
        """The same as a row of the state table; `kept` is its document packed."""
        change = self.change
        return Folded(
            created=self.created,
            tenant=change.tenant,
            entity_id=change.entity_id,
            types=change.types,
            information_class=change.information_class,
            document=kept,
            sequence=change.sequence,
            bounds=self.bounds,
            references=self.references,
        )


def past_revision(change: Change) -> Revision:
    """The Revision of a change of the kind PAST: it goes into the feed, and touches no index and no table."""
    return Revision(change, 0, None, ())


def revise(change: Change, created: int, document: Document) -> Revision:
    """The Revision of a change whose document is at hand parsed."""
    points = _RELATIONSHIP in change.document or _EVIDENCE in change.document
    return Revision(change, created, bounds_of(document), references_of(document) if points else ())


def bounds_of(document: Document) -> Bounds | None:
    """The box around all places that `location` names: west, south, east, north in degrees."""
    instances = document["attrs"].get(INDEXED_GEOMETRY)
    if instances is None:
        return None
    instances = [item for item in instances if item["type"] == "GeoProperty"]
    if not instances:
        return None
    if len(instances) == 1:
        value = instances[0].get("value")
        if isinstance(value, dict) and value.get("type") == "Point":
            longitude, latitude = value["coordinates"][:2]
            return (float(longitude), float(latitude), float(longitude), float(latitude))
    positions = [position for item in instances for position in _positions(item.get("value"))]
    if not positions:
        return None
    longitudes = [position[0] for position in positions]
    latitudes = [position[1] for position in positions]
    return (min(longitudes), min(latitudes), max(longitudes), max(latitudes))


def references_of(document: Document) -> tuple[str, ...]:
    """What the Entity points at: the objects of all its Relationships, and what its evidence is about."""
    found: dict[str, None] = {}
    _collect(document["attrs"], found)
    return tuple(found)


def _positions(geometry: Any) -> Iterator[tuple[float, float]]:
    if not isinstance(geometry, dict):
        return
    if geometry.get("type") == "GeometryCollection":
        for part in geometry.get("geometries", ()):
            yield from _positions(part)
        return
    nested = [geometry.get("coordinates", ())]
    while nested:
        item = nested.pop()
        if len(item) >= 2 and isinstance(item[0], int | float):
            yield (float(item[0]), float(item[1]))
        else:
            nested.extend(item)


def _collect(attributes: dict[str, list[Instance]], found: dict[str, None]) -> None:
    for name, instances in attributes.items():
        for item in instances:
            kind = item["type"]
            if kind == "Property":
                pass  # most are, and they point at nothing but by what they carry
            elif kind == "Relationship":
                _add(item.get("object"), found)
            elif kind == "ListRelationship":
                _add(item.get("objectList"), found)
            elif kind == "JsonProperty" and name == EVIDENCE:
                _add_evidence(item.get("json"), found)
            if nested := item.get("attrs"):
                _collect(nested, found)


def _add(target: Any, found: dict[str, None]) -> None:
    if isinstance(target, str):
        found[target] = None
    elif isinstance(target, dict):
        _add(target.get("object"), found)
    elif isinstance(target, list):
        for one in target:
            _add(one, found)


def _add_evidence(evidence: Any, found: dict[str, None]) -> None:
    for piece in evidence if isinstance(evidence, list) else ():
        about = piece.get("about") if isinstance(piece, dict) else None
        if isinstance(about, str):
            found[about] = None
