"""Entities for readers of earlier versions of the standard (ETSI GS CIM 009, 4.3.6.8).

What came with a later version is written as the earlier ones can read it, or left out.
"""

from __future__ import annotations

import re
from typing import Any

from cityloom.ngsild.contexts import Context
from cityloom.ngsild.model import CONTENT_MEMBER, Document, Instance
from cityloom.ngsild.representation import compacted

Version = tuple[int, int]

#: The version that is spoken here.
NATIVE: Version = (1, 9)

#: A preference as RFC 7240 writes it: its name in any case, perhaps with parameters of its own.
_PREFERENCE = re.compile(r'ngsi-ld\s*=\s*"?(\d{1,3})\.(\d{1,3})"?\s*(?:;.*)?', re.IGNORECASE)

#: Types that came later than Property and Relationship: since when, and what they were before.
_TYPES: dict[str, tuple[Version, str]] = {
    "LanguageProperty": ((1, 4), "Property"),
    "JsonProperty": ((1, 8), "Property"),
    "VocabProperty": ((1, 8), "Property"),
    "ListProperty": ((1, 8), "Property"),
    "ListRelationship": ((1, 8), "Relationship"),
}
#: Members of attributes that are left out before a version.
_MEMBERS: dict[str, Version] = {
    "datasetId": (1, 3),
    "observedAt": (1, 3),
    "unitCode": (1, 3),
    "objectType": (1, 8),
    "expiresAt": (1, 9),
    "valueType": (1, 9),
}
#: Members of an Entity that are no attributes.
_ABOUT_ENTITY = frozenset({"id", "@id", "type", "@type", "@context", "scope", "expiresAt"})
#: Members that hold what an attribute says, and the types that need no other sign.
_CONTENT = frozenset(CONTENT_MEMBER.values())
_TOLD_BY = {name: CONTENT_MEMBER[name] for name in (*_TYPES, "Relationship")}
#: Since when an attribute has several instances, and an Entity several types.
SEVERAL: Version = (1, 3)
_SCOPE: Version = (1, 4)
_EXPIRY: Version = (1, 9)


def preferred_version(prefer: str) -> Version | None:
    """The version that a Prefer header asks for, our own for a later one; None when it asks for none."""
    for preference in prefer.split(","):
        found = _PREFERENCE.fullmatch(preference.strip())
        if found is not None:
            return min((int(found[1]), int(found[2])), NATIVE)
    return None


def version_of(text: str) -> Version:
    """A version from major.minor."""
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def conforming(document: Document, version: Version, context: Context) -> Document:
    """The entity as a version has it; the same object when nothing has to change."""
    if version >= NATIVE:
        return document
    made: Document = {key: value for key, value in document.items() if _is_known(key, version)}
    if version < SEVERAL:
        made["type"] = document["type"][:1]
    made["attrs"] = _attributes(document["attrs"], version, context)
    return document if made == document else made


def _is_known(member: str, version: Version) -> bool:
    return not (member == "scope" and version < _SCOPE) and not (member == "expiresAt" and version < _EXPIRY)


def _attributes(
    attributes: dict[str, list[Instance]], version: Version, context: Context
) -> dict[str, list[Instance]]:
    found: dict[str, list[Instance]] = {}
    for name, items in attributes.items():
        if version < SEVERAL:
            items = sorted(items, key=lambda item: "datasetId" in item)[:1]
        found[name] = [_instance(item, version, context) for item in items]
    return found


def _instance(item: Instance, version: Version, context: Context) -> Instance:
    kind = item["type"]
    since, before = _TYPES.get(kind, ((1, 0), kind))
    member = CONTENT_MEMBER[kind]
    made: Instance = {}
    for key, value in item.items():
        if key in _MEMBERS and version < _MEMBERS[key]:
            continue
        if key == "attrs":
            value = _attributes(value, version, context)
        made[key] = value
    if version < since:
        made["type"] = before
        content = made.pop(member)
        made[CONTENT_MEMBER[before]] = compacted(content, context) if kind == "VocabProperty" else content
    return made


# Payloads on their way to a source of an earlier version (4.3.6.6)


def conforming_payload(payload: dict[str, Any], version: Version) -> dict[str, Any]:
    """An Entity or a fragment of one, as it was sent, written so that a version can read it."""
    if version >= NATIVE:
        return payload
    found: dict[str, Any] = {}
    for key, value in payload.items():
        if not _is_known(key, version):
            continue
        if key in ("type", "@type") and version < SEVERAL and isinstance(value, list):
            found[key] = value[0] if value else value
        elif key in _ABOUT_ENTITY:
            found[key] = value
        else:
            found[key] = conforming_attribute(value, version)
    return found


def conforming_attribute(payload: Any, version: Version) -> Any:
    """An attribute as it was sent, or its instances."""
    if version >= NATIVE:
        return payload
    if isinstance(payload, list) and payload and all(_is_instance(item) for item in payload):
        if version < SEVERAL:
            payload = sorted(payload, key=lambda item: "datasetId" in item)[:1]
        return [conforming_attribute(item, version) for item in payload]
    return _sent_instance(payload, version) if _is_instance(payload) else payload


def _is_instance(value: Any) -> bool:
    return isinstance(value, dict) and (value.get("type") in CONTENT_MEMBER or bool(_CONTENT & value.keys()))


def _sent_instance(item: dict[str, Any], version: Version) -> dict[str, Any]:
    kind = item.get("type") or next((name for name, member in _TOLD_BY.items() if member in item), "Property")
    since, before = _TYPES.get(kind, ((1, 0), kind))
    found: dict[str, Any] = {}
    for key, value in item.items():
        if key in _MEMBERS and version < _MEMBERS[key]:
            continue
        is_content = key in _CONTENT or key in ("type", *_MEMBERS)
        found[key] = value if is_content else conforming_attribute(value, version)
    member = CONTENT_MEMBER.get(kind, "value")
    if version < since:
        found["type"] = before
        if member in found:
            found[CONTENT_MEMBER[before]] = found.pop(member)
    return found
