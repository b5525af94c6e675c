"""An Entity as a notification shows it (ETSI GS CIM 009, 5.8.6): what is gone, and what was before. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from cityloom.ngsild.attribute_changes import Attributes, is_changed, paired
from cityloom.ngsild.model import CONTENT_MEMBER, Document, Instance
from cityloom.ngsild.names import NULL
from cityloom.ngsild.representation import Format

#: What stands for nothing, by the type of the attribute; NULL alone for the others.
_NOTHING: Mapping[str, Any] = {
    "LanguageProperty": {"@none": NULL},
    "ListProperty": [NULL],
    "ListRelationship": [NULL],
}


class Telling(msgspec.Struct, frozen=True):
    """How much a notification tells of a change."""

    format: Format = "normalized"
    show_changes: bool = False
    sys_attrs: bool = False


def told_of_change(
    document: Document, before: Attributes, names: Collection[str], at: str, telling: Telling
) -> Document:
    """The Entity after a change. `names` are the attributes that changed, `before` how they were, `at` when.

    Attributes that are gone are there as NGSI-LD Null.
    """
    attributes = dict(document["attrs"])
    for name in names:
        old, new = before.get(name, []), attributes.get(name, [])
        items = (
            [_told(was, now, at, telling) for was, now in paired(old, new)]
            if new
            else _all_gone(old, at, telling)
        )
        if items:
            attributes[name] = items
    return {**document, "attrs": attributes}


def told_of_deletion(document: Document, names: Collection[str], at: str, telling: Telling) -> Document:
    """An Entity that is gone: `names` are the attributes whose end is told too; all where changes are."""
    wanted = document["attrs"] if telling.show_changes else names
    attributes = {name: _all_gone(document["attrs"][name], at, telling) for name in wanted}
    return {**document, "deletedAt": at, "attrs": attributes}


def _all_gone(items: list[Instance], at: str, telling: Telling) -> list[Instance]:
    """Nothing is left of an attribute: that is said once, unless each instance has more to tell."""
    if len(items) > 1 and not telling.show_changes:
        items = [{key: value for key, value in items[0].items() if key != "datasetId"}]
    return [_gone(item, at, telling) for item in items]


def _told(was: Instance | None, now: Instance | None, at: str, telling: Telling) -> Instance:
    if now is None:
        assert was is not None, "one of the two is there"
        return _gone(was, at, telling)
    if was is None or not telling.show_changes or not is_changed(was, now):
        return now
    return {**now, **_previous(was)}


def _gone(was: Instance, at: str, telling: Telling) -> Instance:
    said: Instance = {"datasetId": was["datasetId"]} if "datasetId" in was else {}
    if telling.format == "simplified" or (telling.format == "concise" and _is_bare(was, telling)):
        return {"type": "Property", "value": NULL, **said}
    kind = was["type"]
    said = {"type": kind, CONTENT_MEMBER[kind]: _NOTHING.get(kind, NULL), **said}
    if telling.show_changes:
        said |= _previous(was)
    said |= {key: was[key] for key in ("createdAt", "modifiedAt") if key in was}
    return said | {"deletedAt": at}


def _is_bare(was: Instance, telling: Telling) -> bool:
    """Whether the name with NGSI-LD Null tells all there is to tell."""
    return not ("datasetId" in was or telling.sys_attrs or telling.show_changes)


def _previous(was: Instance) -> Instance:
    member = CONTENT_MEMBER[was["type"]]
    return {f"previous{member[0].upper()}{member[1:]}": was[member]}
