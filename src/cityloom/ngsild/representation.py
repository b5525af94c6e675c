"""How an entity is shown (ETSI GS CIM 009, 4.5.1 to 4.5.24): normalized, concise, simplified, and as GeoJSON.

What is returned shares values with the document: it is for writing out, not for changing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import msgspec

from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.languages import choose_language
from cityloom.ngsild.model import CONTENT_MEMBER, Document, Instance
from cityloom.ngsild.projection import Projection

Format = Literal["normalized", "concise", "simplified"]

_SYSTEM_MEMBERS = frozenset({"createdAt", "modifiedAt", "deletedAt", "expiresAt"})
_WRAPPED_WHEN_SIMPLE = {"LanguageProperty": "languageMap", "VocabProperty": "vocab", "JsonProperty": "json"}
#: Types whose content alone says what they are (4.5.2.3, 4.7.3).
_PLAIN_WHEN_ALONE = frozenset({"Property", "GeoProperty"})


class View(msgspec.Struct, frozen=True):
    """What is shown, and how. Names are expanded; empty collections show all."""

    format: Format = "normalized"
    sys_attrs: bool = False
    pick: frozenset[str] = frozenset()
    omit: frozenset[str] = frozenset()
    lang: str | None = None
    dataset_id: frozenset[str] = frozenset()
    #: How the entities are shown that a Relationship points at, by its name; others show all (4.5.23).
    linked: Mapping[str, View] = msgspec.field(default_factory=dict)

    def shows(self, name: str) -> bool:
        """Whether a member is shown."""
        return (not self.pick or name in self.pick) and name not in self.omit

    def shows_dataset(self, item: Instance) -> bool:
        """Whether an instance of an attribute is shown."""
        return not self.dataset_id or item.get("datasetId", "@none") in self.dataset_id

    def toward(self, name: str) -> View:
        """How the entities are shown that the Relationship of this name points at."""
        found = self.linked.get(name)
        if found is not None:
            return found
        return msgspec.structs.replace(self, pick=frozenset(), omit=frozenset(), linked={})


#: All of an entity, normalized.
AS_IT_IS = View()


def represent(
    document: Document,
    context: Context = CORE,
    *,
    format: Format = "normalized",
    sys_attrs: bool = False,
    attrs: Collection[str] | None = None,
    pick: Collection[str] | None = None,
    omit: Collection[str] | None = None,
    lang: str | None = None,
    dataset_id: Collection[str] | None = None,
) -> dict[str, Any]:
    """An entity for a reader. `attrs` and `pick` name what is shown, `omit` what is not, in expanded names.

    "id", "type" and "scope" can be picked and omitted too; `attrs` leaves them (4.21). `dataset_id` holds
    URIs and "@none"; `lang` is a language filter such as "da,en;q=0.5" (4.15).
    """
    picked = frozenset(pick or ())
    if attrs:
        picked = picked | frozenset(attrs) | _IDENTITY
    view = View(format, sys_attrs, picked, frozenset(omit or ()), lang, frozenset(dataset_id or ()))
    return show(document, context, view)


def show(document: Document, context: Context, view: View) -> dict[str, Any]:
    """An entity as a View shows it."""
    out = _header(document, context, view)
    out.update(_attributes(document, context, view))
    return out


def geojson_feature(
    document: Document,
    context: Context = CORE,
    view: View | None = None,
    *,
    geometry_property: str = "location",
) -> dict[str, Any]:
    """The entity as a GeoJSON Feature (4.5.16, 4.5.17); geometry is null where there is none."""
    chosen = view or View()
    shown = show(document, context, chosen)
    identifier = shown.pop("id", document["id"])
    return {
        "id": identifier,
        "type": "Feature",
        "geometry": _geometry(document, geometry_property, chosen.dataset_id),
        "properties": shown,
    }


_IDENTITY = frozenset({"id", "type", "scope"})


def _header(document: Document, context: Context, view: View) -> dict[str, Any]:
    compact = context.compact
    types = document["type"]
    out = {
        "id": document["id"],
        "type": compact(types[0]) if len(types) == 1 else [compact(name) for name in types],
    }
    if "scope" in document:
        scope = document["scope"]
        out["scope"] = scope[0] if len(scope) == 1 else scope
    if view.pick or view.omit:
        out = {key: value for key, value in out.items() if view.shows(key)}
    if view.sys_attrs:
        out.update(
            (key, document[key]) for key in ("createdAt", "modifiedAt", "expiresAt") if key in document
        )
    if "deletedAt" in document:
        # Told by notifications alone, and always (5.8.6).
        out["deletedAt"] = document["deletedAt"]
    return out


def _attributes(document: Document, context: Context, view: View) -> dict[str, Any]:
    compact = context.compact
    write = _WRITERS[view.format]
    plain = not (view.pick or view.omit or view.lang or view.dataset_id)
    out: dict[str, Any] = {}
    for name, items in document["attrs"].items():
        if not plain:
            if not view.shows(name):
                continue
            items = _selected(items, view)
            if not items:
                continue
        out[compact(name)] = write(items, context, view.sys_attrs)
    return out


def _selected(items: list[Instance], view: View) -> list[Instance]:
    if view.dataset_id:
        items = [item for item in items if view.shows_dataset(item)]
    if view.lang is not None:
        items = [_in_language(item, view.lang) for item in items]
    return items


def _in_language(item: Instance, lang: str) -> Instance:
    """A LanguageProperty as a Property in one language (4.15), its attributes alike."""
    nested = item.get("attrs")
    if nested:
        item = {**item, "attrs": {n: [_in_language(one, lang) for one in some] for n, some in nested.items()}}
    if item["type"] != "LanguageProperty":
        return item
    tag, said = choose_language(item["languageMap"], lang)
    rest = {key: value for key, value in item.items() if key not in ("type", "languageMap")}
    return {"type": "Property", "value": said, "lang": tag, **rest}


def _geometry(document: Document, name: str, datasets: frozenset[str]) -> Any:
    items = [item for item in document["attrs"].get(name, ()) if item["type"] == "GeoProperty"]
    wanted = next(iter(datasets)) if len(datasets) == 1 else "@none"
    return next((item["value"] for item in items if item.get("datasetId", "@none") == wanted), None)


# One or several instances


def _normalized_items(items: list[Instance], context: Context, sys_attrs: bool) -> Any:
    if len(items) == 1:
        return _normalized(items[0], context, sys_attrs)
    return [_normalized(item, context, sys_attrs) for item in items]


def _concise_items(items: list[Instance], context: Context, sys_attrs: bool) -> Any:
    if len(items) == 1:
        return _concise(items[0], context, sys_attrs)
    # In an array a bare value could be mistaken for a part of one value that is an array.
    return [_concise_members(item, context, sys_attrs) for item in items]


def _simplified_items(items: list[Instance], context: Context, _sys_attrs: bool) -> Any:
    if len(items) == 1:
        return _simplified(items[0], context)
    return {"dataset": {item.get("datasetId", "@none"): _simplified(item, context) for item in items}}


_WRITERS: Mapping[str, Callable[[list[Instance], Context, bool], Any]] = {
    "normalized": _normalized_items,
    "concise": _concise_items,
    "simplified": _simplified_items,
}


# One instance


def _normalized(item: Instance, context: Context, sys_attrs: bool) -> dict[str, Any]:
    """Members as they are, but for names, vocabularies and the system's times."""
    out = item.copy()
    if not sys_attrs:
        for key in _SYSTEM_MEMBERS:
            out.pop(key, None)
    nested = out.pop("attrs", None)
    if not _SPECIAL_MEMBERS.isdisjoint(out):
        for key in _SPECIAL_MEMBERS.intersection(out):
            out[key] = _SPECIAL[key](out[key], context)
    if nested:
        for name, items in nested.items():
            out[context.compact(name)] = _normalized_items(items, context, sys_attrs)
    return out


def _concise(item: Instance, context: Context, sys_attrs: bool) -> Any:
    kind = item["type"]
    out = _concise_members(item, context, sys_attrs)
    if len(out) == 1 and kind in _PLAIN_WHEN_ALONE and not _needs_wrapping(kind, out["value"]):
        return out["value"]
    return out


def _concise_members(item: Instance, context: Context, sys_attrs: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in item.items():
        if key in ("attrs", "type") or (not sys_attrs and key in _SYSTEM_MEMBERS):
            continue
        special = _SPECIAL.get(key)
        out[key] = value if special is None else special(value, context)
    if "attrs" in item:
        for name, items in item["attrs"].items():
            out[context.compact(name)] = _concise_items(items, context, sys_attrs)
    if item["type"] == "Property" and _looks_like_geometry(item["value"]):
        out["type"] = "Property"
    return out


def _needs_wrapping(kind: str, value: Any) -> bool:
    """Whether a value alone would be read as something else than the Property it is."""
    if kind == "GeoProperty":
        return False
    if isinstance(value, dict):
        return True
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _looks_like_geometry(value: Any) -> bool:
    return isinstance(value, dict) and "type" in value and "coordinates" in value


def _simplified(item: Instance, context: Context) -> Any:
    linked = item.get("entity", item.get("entityList"))
    if linked is not None:
        return linked
    kind = item["type"]
    member = CONTENT_MEMBER[kind]
    value = item[member]
    special = _SPECIAL.get(member) if kind == "VocabProperty" else None
    said = value if special is None else special(value, context)
    wrapper = _WRAPPED_WHEN_SIMPLE.get(kind)
    return said if wrapper is None else {wrapper: said}


def compacted(value: Any, context: Context) -> Any:
    """A name or names of a vocabulary as the terms that a reader knows."""
    compact = context.compact
    return [compact(name) for name in value] if isinstance(value, list) else compact(value)


def _as_objects(value: Any, _context: Context) -> Any:
    """An objectList is an array of objects with the member object (4.5.22.2)."""
    return [{"object": target} for target in value]


_SPECIAL: Mapping[str, Callable[[Any, Context], Any]] = {
    "vocab": compacted,
    "objectType": compacted,
    "valueType": compacted,
    "entityTypeSealed": compacted,
    "objectList": _as_objects,
    "previousVocab": compacted,
    "previousObjectList": _as_objects,
}
_SPECIAL_MEMBERS = frozenset(_SPECIAL)


def projected(base: View, pick: Projection, omit: Projection) -> View:
    """The view with what is picked and omitted (4.21), of linked entities too."""
    nothing = Projection()
    linked = {
        name: projected(base, pick.linked.get(name, nothing), omit.linked.get(name, nothing))
        for name in (*pick.linked, *omit.linked)
    }
    # What is omitted of a linked entity does not omit the Relationship that leads there.
    omitted = omit.members.difference(omit.linked)
    return msgspec.structs.replace(base, pick=pick.members, omit=omitted, linked=linked)
