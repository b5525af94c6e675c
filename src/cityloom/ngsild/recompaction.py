"""JSON of one @context written with another (ETSI GS CIM 009, 4.3.6.6): names change, values stay. Pure."""

from __future__ import annotations

from typing import Any

from cityloom.ngsild.contexts import Context
from cityloom.ngsild.model import CONTENT_MEMBER

#: Members of entities and attributes that are no names of attributes.
_RESERVED = frozenset(
    {
        "id",
        "type",
        "scope",
        "datasetId",
        "observedAt",
        "unitCode",
        "createdAt",
        "modifiedAt",
        "deletedAt",
        "expiresAt",
        "instanceId",
        "valueType",
        "objectType",
        *CONTENT_MEMBER.values(),
    }
)


def recompacted_entity(payload: dict[str, Any], source: Context, target: Context) -> dict[str, Any]:
    """An entity or a fragment of one, its @context left out."""
    out = {}
    for key, value in payload.items():
        if key == "@context":
            continue
        if key in ("type", "@type"):
            names = value if isinstance(value, list) else [value]
            found = [target.compact(source.expand(name)) for name in names]
            out[key] = found if isinstance(value, list) else found[0]
        elif key in ("id", "@id", "scope", "expiresAt", "createdAt", "modifiedAt"):
            out[key] = value
        else:
            out[target.compact(source.expand(key))] = recompacted_attribute(value, source, target)
    return out


def recompacted_attribute(value: Any, source: Context, target: Context) -> Any:
    """An attribute, or several instances of one."""
    if isinstance(value, list):
        return [recompacted_attribute(item, source, target) for item in value]
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = {}
    for key, item in value.items():
        if key == "vocab":
            out[key] = _vocabulary(item, source, target)
        elif key in _RESERVED or key.startswith("@"):
            out[key] = item
        elif "type" not in value and not any(member in value for member in CONTENT_MEMBER.values()):
            # A plain object is a value.
            return value
        else:
            out[target.compact(source.expand(key))] = recompacted_attribute(item, source, target)
    return out


def _vocabulary(item: Any, source: Context, target: Context) -> Any:
    if isinstance(item, list):
        return [_vocabulary(one, source, target) for one in item]
    return target.compact(source.expand_value(item)) if isinstance(item, str) else item
