"""From the temporal representation that a sender writes to the internal form (ETSI GS CIM 009, 4.5.6 ff).

It is an Entity whose attributes have many instances, several of one dataset among them; each is read as
`parse` reads it. The simplified representation, with its pairs of value and instant, is read as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.model import CONTENT_MEMBER, Document, Instance
from cityloom.ngsild.names import NULL, check_uri
from cityloom.ngsild.parse import parse_attribute, parse_entity_fragment
from cityloom.ngsild.scopes import check_scope
from cityloom.ngsild.values import check_instant, joined

#: Attribute instances in one body.
MAX_INSTANCES = 20_000

_SCOPE = "scope"
#: What is read of an Entity beside its attributes.
_HEAD = frozenset(
    {"id", "@id", "type", "@type", "@context", "expiresAt", "createdAt", "modifiedAt", "deletedAt"}
)
_GEO_PROPERTIES = frozenset({"location", "observationSpace", "operationSpace"})
#: Names of attributes that not any value may have.
_WITH_RULES = _GEO_PROPERTIES | {"ngsildproof"}
_KIND_BY_CONTENT = {member: kind for kind, member in reversed(CONTENT_MEMBER.items())}
#: The member with the pairs of a simplified attribute, by its type (4.5.9).
_PAIRS = {
    "Property": "values",
    "GeoProperty": "values",
    "Relationship": "objects",
    "LanguageProperty": "languageMaps",
    "VocabProperty": "vocabs",
    "JsonProperty": "jsons",
    "ListProperty": "valueLists",
    "ListRelationship": "objectLists",
}
_DELETIONS: tuple[Any, ...] = (NULL, [NULL], {"@none": NULL}, [])


def parse_temporal_entity(payload: Any, context: Context = CORE, *, fragment: bool = False) -> Document:
    """An EntityTemporal (5.2.20), or a fragment of one, in the internal form. Raises BadRequestData.

    An attribute has a list of instances, with several of one dataset; "scope" is among the attributes. An
    instance that tells of a deletion has "deletedAt" and no content.
    """
    if not isinstance(payload, dict):
        raise _bad("An entity is a JSON object", 'Send {"id": …, "type": …, …}.', None)
    head = {key: value for key, value in payload.items() if key in _HEAD}
    # What it says of itself is checked as it is for any Entity.
    document = parse_entity_fragment(head, context, purpose="append")
    if not fragment and ("id" not in document or "type" not in document):
        missing = "type" if "id" in document else "id"
        raise _bad(f"The entity has no {missing}", f'Give it as "{missing}".', missing)
    counted = 0
    for term, raw in payload.items():
        if term in _HEAD:
            continue
        name, instances = _attribute(term, raw, context)
        if name in document["attrs"]:
            raise _bad(f"The attribute {name} is given twice", "Keep one of the two spellings.", term)
        counted += len(instances)
        if counted > MAX_INSTANCES:
            raise _bad(
                f"There are more than {MAX_INSTANCES} instances", "Send them in several requests.", term
            )
        document["attrs"][name] = instances
    return document


def parse_temporal_instance(payload: Any, name: str, context: Context = CORE) -> Instance:
    """The instance that replaces another, from a fragment with that attribute alone or bare.

    Raises BadRequestData.
    """
    if not isinstance(payload, dict):
        raise _bad("The body is not a JSON object", "Send the attribute with its new instance.", None)
    said = {key: value for key, value in payload.items() if key != "@context"}
    if not _is_instance(said):
        attributes = {context.expand(key): value for key, value in said.items() if key not in _HEAD}
        if set(attributes) != {name}:
            raise _bad("The body names another attribute", "Send the attribute that the path names.", None)
        instances = _attribute_instances(name, attributes[name], context)
    else:
        instances = [_instance(said, context)]
    if len(instances) != 1:
        raise _bad("One instance is wanted", "Send one: it takes the place of the one in the path.", None)
    return instances[0]


def _attribute(term: str, raw: Any, context: Context) -> tuple[str, list[Instance]]:
    if term == _SCOPE:
        try:
            return _SCOPE, _scopes(raw)
        except BadRequestData as error:
            error.where = joined(_SCOPE, error.where)
            raise
    name = context.expand(term)
    if name not in _WITH_RULES:
        # The name is checked, as that of any attribute.
        (name,) = parse_entity_fragment({term: 0}, context, purpose="append")["attrs"]
    try:
        return name, _attribute_instances(name, raw, context)
    except BadRequestData as error:
        error.where = joined(term, error.where)
        raise


def _attribute_instances(name: str, raw: Any, context: Context) -> list[Instance]:
    several = isinstance(raw, list) and bool(raw) and all(map(_is_instance, raw))
    found: list[Instance] = []
    for place, item in enumerate(raw if several else [raw]):
        try:
            found.extend(_instance(one, context) for one in _expanded_pairs(item))
        except BadRequestData as error:
            error.where = joined(place, error.where) if several else error.where
            raise
    if name in _GEO_PROPERTIES:
        _check_geometries(name, found)
    return found


def _is_instance(item: Any) -> bool:
    return isinstance(item, dict) and (
        (isinstance(item.get("type"), str) and item["type"] in CONTENT_MEMBER)
        or any(member in item for member in _KIND_BY_CONTENT)
    )


def _expanded_pairs(item: Any) -> Iterator[Any]:
    """The instances behind the pairs of the simplified representation (4.5.9); else the item itself."""
    said = item.get("type") if isinstance(item, dict) else None
    kind = said if isinstance(said, str) and said in _PAIRS else None
    if kind is None or _PAIRS[kind] not in item or CONTENT_MEMBER[kind] in item:
        yield item
        return
    member = _PAIRS[kind]
    pairs = item[member]
    if not isinstance(pairs, list):
        raise _bad(f"{member} is an array", "Write pairs: [[value, date-time], …].", member)
    rest = {key: value for key, value in item.items() if key != member}
    content = CONTENT_MEMBER[kind]
    for place, pair in enumerate(pairs):
        if not isinstance(pair, list) or len(pair) != 2:
            raise _bad("A pair is [value, date-time]", "Give each value its instant.", f"{member}[{place}]")
        value = pair[0]
        if isinstance(value, dict) and set(value) == {content} and kind != "Property":
            value = value[content]
        yield {**rest, content: value, "observedAt": pair[1]}


def _instance(raw: Any, context: Context) -> Instance:
    content = next((one for one in _KIND_BY_CONTENT if isinstance(raw, dict) and one in raw), None)
    if content is None or raw[content] not in _DELETIONS[:3]:
        item = parse_attribute(raw, context)
        if isinstance(raw, dict) and raw.get("deletedAt") is not None:
            item["deletedAt"] = check_instant(raw["deletedAt"])
        return item
    # It tells of a deletion: everything but the content is read (4.5.7).
    kind = raw.get("type") if raw.get("type") in CONTENT_MEMBER else _KIND_BY_CONTENT[content]
    others = {key: value for key, value in raw.items() if key not in (content, "type")}
    gone = parse_attribute({**others, "type": kind}, context, partial=True)
    when = raw.get("deletedAt", raw.get("observedAt"))
    gone["deletedAt"] = "" if when is None else check_instant(when)
    return gone


def _scopes(raw: Any) -> list[Instance]:
    """Scopes as they are in an Entity, or as instances of a Property (4.5.6)."""
    items = raw if isinstance(raw, list) else [raw]
    if not items or not all(isinstance(item, dict) for item in items):
        return [{"type": "Property", "value": _scope_value(raw)}]
    found: list[Instance] = []
    for item in items:
        for one in _expanded_pairs(item):
            if one.get("type", "Property") != "Property" or "value" not in one:
                raise _bad("A scope over time is a Property", 'Write {"type": "Property", "value": …}.', None)
            instance: Instance = {"type": "Property"}
            if one["value"] in _DELETIONS:
                instance["deletedAt"] = check_instant(one["deletedAt"]) if "deletedAt" in one else ""
            else:
                instance["value"] = _scope_value(one["value"])
            if "observedAt" in one:
                instance["observedAt"] = check_instant(one["observedAt"])
            found.append(instance)
    return found


def _scope_value(raw: Any) -> Any:
    document = parse_entity_fragment({_SCOPE: raw}, purpose="append")
    scopes = [check_scope(one) for one in document[_SCOPE]]
    return scopes[0] if len(scopes) == 1 else scopes


def _check_geometries(name: str, found: list[Instance]) -> None:
    if any(item.get("type") != "GeoProperty" for item in found):
        raise _bad(f"{name} is a GeoProperty", 'Send {"type": "GeoProperty", "value": …}.', None)


def check_instance_id(text: str) -> str:
    """An instanceId in a path. Raises BadRequestData when it is no URI."""
    return check_uri(text, "instanceId")


def _bad(message: str, hint: str, where: str | None) -> BadRequestData:
    return BadRequestData(message, hint=hint, where=where)
