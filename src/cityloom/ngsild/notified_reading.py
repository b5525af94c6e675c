"""An Entity in the notification of another broker (ETSI GS CIM 009, 5.8.6): `notified` read again. Pure.

What is gone stands in it as NGSI-LD Null, and beside what is now may stand what was before.
"""

from __future__ import annotations

from typing import Any

from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.model import CONTENT_MEMBER, Document, Instance
from cityloom.ngsild.names import NULL
from cityloom.ngsild.parse import is_deletion, parse_attribute, parse_entity
from cityloom.ngsild.values import check_instant

#: Members of an Entity that may be lists or objects, and are no attributes.
_MEMBERS = frozenset({"@context", "@type", "type", "scope"})
_TIMES = ("createdAt", "modifiedAt", "deletedAt")
#: What was before, by the member that says what is.
_PREVIOUS = {member: f"previous{member[0].upper()}{member[1:]}" for member in set(CONTENT_MEMBER.values())}
_NOTHING: dict[str, Any] = {
    "LanguageProperty": {"@none": NULL},
    "ListProperty": [NULL],
    "ListRelationship": [NULL],
}


def read_notified(payload: Any, context: Context = CORE) -> Document:
    """The Entity in the internal form, `deletedAt` in it where it is gone. Raises BadRequestData."""
    if not isinstance(payload, dict):
        raise BadRequestData("An entity is a JSON object", hint="Send entities in data.", where="data")
    plain = {key: _without_previous(value) for key, value in payload.items()}
    document = parse_entity(plain, context, fragment=True)
    if "id" not in document or "type" not in document:
        raise BadRequestData("The entity has no id or no type", hint="Give both.", where="data")
    _add_times(document, payload)
    for key, value in payload.items():
        if key in _MEMBERS or not isinstance(value, dict | list):
            continue
        name = context.expand(key)
        items = document["attrs"].get(name)
        raws = value if isinstance(value, list) else [value]
        if items is not None and len(items) == len(raws):
            document["attrs"][name] = [
                _told(item, raw, context) if isinstance(raw, dict) else item
                for item, raw in zip(items, raws, strict=True)
            ]
    return document


def _without_previous(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_previous(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if key not in _PREVIOUS.values()}


def _told(item: Instance, raw: dict[str, Any], context: Context) -> Instance:
    """An instance with its times, and with what it was; a deletion as the kind of attribute that it ends."""
    stated = raw.get("type")
    kind: str = stated if isinstance(stated, str) and stated in CONTENT_MEMBER else item["type"]
    made = dict(item)
    if is_deletion(item):
        made = {"type": kind, CONTENT_MEMBER[kind]: _NOTHING.get(kind, NULL)}
        if "datasetId" in item:
            made["datasetId"] = item["datasetId"]
    _add_times(made, raw)
    member = CONTENT_MEMBER[kind]
    before = raw.get(_PREVIOUS[member])
    if before is not None:
        was = parse_attribute({"type": kind, member: before}, context)
        made[_PREVIOUS[member]] = was[member]
    return made


def _add_times(found: dict[str, Any], raw: dict[str, Any]) -> None:
    for name in _TIMES:
        if name in raw:
            found[name] = check_instant(raw[name])
