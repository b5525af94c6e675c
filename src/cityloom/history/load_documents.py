"""What a table of the past says of an Entity, beside what the Entity says now. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cityloom.access.ownership import ORIGIN
from cityloom.history.model import Series, SeriesKey
from cityloom.kernel.actor import InformationClass
from cityloom.ngsild.model import Document, Instance, content

#: What the system says of an attribute instance.
_SYSTEM = frozenset({"instanceId", "createdAt", "modifiedAt", "deletedAt"})


def said_anew(document: Document, there: Document) -> Document | None:
    """The attributes that say something else than those that are there; None where none does."""
    attributes = {
        name: items
        for name, items in document["attrs"].items()
        if name != ORIGIN and not _says(items, there["attrs"].get(name, ()))
    }
    return {"id": document["id"], "type": document["type"], "attrs": attributes} if attributes else None


def _says(items: Sequence[Instance], there: Sequence[Instance]) -> bool:
    def said(item: Instance) -> tuple[Any, ...]:
        return item["type"], item.get("datasetId"), item.get("unitCode"), content(item)

    return all(said(item) in [said(one) for one in there] for item in items)


def said_later(document: Document, there: Document) -> Document | None:
    """The instances that were observed after those that are there; None where none was."""
    attributes: dict[str, list[Instance]] = {}
    for name, items in document["attrs"].items():
        standing = {one.get("datasetId"): one for one in there["attrs"].get(name, ())}
        fresh = [item for item in items if _is_newer(item, standing.get(item.get("datasetId")))]
        if fresh:
            attributes[name] = fresh
    return {"id": document["id"], "type": there["type"], "attrs": attributes} if attributes else None


def _is_newer(item: Instance, there: Instance | None) -> bool:
    if there is None:
        return True
    said, known = item.get("observedAt"), there.get("observedAt")
    if said is None or known is None:
        return False
    # Without the Z, a shorter fraction of a second comes first.
    return bool(said[:-1] > known[:-1]) or (said == known and content(item) != content(there))


def documents_of(
    found: Mapping[SeriesKey, tuple[Series, Instance]],
) -> Iterator[tuple[Document, InformationClass]]:
    """Each Entity with the newest readings of its series, and its class; what was deleted is left out.

    Of series of one attribute instance in several units the newest reading tells it.
    """
    entities: dict[str, tuple[Document, InformationClass]] = {}
    for key, (series, instance) in found.items():
        if "deletedAt" in instance:
            continue
        document, _ = entities.setdefault(
            key.entity_id,
            ({"id": key.entity_id, "type": list(series.types), "attrs": {}}, series.information_class),
        )
        instances = document["attrs"].setdefault(key.attribute, [])
        rival = next((one for one in instances if one.get("datasetId") == instance.get("datasetId")), None)
        if rival is None:
            instances.append(instance)
        elif _is_newer(instance, rival):
            instances[instances.index(rival)] = instance
    yield from (one for one in entities.values() if one[0]["attrs"])


def as_it_was(document: Document) -> Document:
    """An Entity as it was elsewhere, with the system's times."""
    attributes = {
        name: [{key: said for key, said in item.items() if key != "instanceId"} for item in items]
        for name, items in document["attrs"].items()
    }
    every = [item for items in attributes.values() for item in items]
    times = {
        "createdAt": min(item["createdAt"] for item in every),
        "modifiedAt": max(item["modifiedAt"] for item in every),
    }
    return {**document, "attrs": attributes, **times}


def without_times(document: Document) -> Document:
    """An Entity to be written by somebody: without what the system says of its attributes."""
    attributes = {name: [without_system(item) for item in items] for name, items in document["attrs"].items()}
    return {**document, "attrs": attributes}


def without_system(instance: Instance) -> Instance:
    """What somebody says of an attribute instance."""
    return {name: said for name, said in instance.items() if name not in _SYSTEM}


def instance_of(document: Document, key: SeriesKey) -> Instance | None:
    """What an Entity says of a series; None where it says nothing."""
    for item in document["attrs"].get(key.attribute, ()):
        if item.get("datasetId", "") == key.dataset:
            return dict(item)
    return None


def same_reading(one: Instance, other: Instance) -> bool:
    """Whether two instances say the same of the same instant."""
    return one.get("observedAt") == other.get("observedAt") and content(one) == content(other)
