"""What most entities are, shown at a glance: from the text in which they are kept to that of an answer.

An entity whose attributes have no attributes of their own and name nothing of a vocabulary is shown without
looking at what its attributes say. All others are shown by `representation`, which is some times slower. What
is shown here must be what is shown there; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import orjson
from msgspec import UNSET, Raw, UnsetType

from cityloom.ngsild.contexts import Context
from cityloom.ngsild.representation import AS_IT_IS, show


class _Instance(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """An instance of an attribute; what it says stays as it is written."""

    type: str
    value: Raw | UnsetType = UNSET
    object: Raw | UnsetType = UNSET
    language_map: Raw | UnsetType = UNSET
    json: Raw | UnsetType = UNSET
    value_list: Raw | UnsetType = UNSET
    unit_code: str | UnsetType = UNSET
    observed_at: str | UnsetType = UNSET
    dataset_id: str | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    modified_at: str | UnsetType = UNSET


class _Entity(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    id: str
    type: list[str]
    attrs: dict[str, list[_Instance]]
    scope: list[str] | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    modified_at: str | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET


_read = msgspec.json.Decoder(_Entity).decode
_write = msgspec.json.Encoder().encode


def normalized(text: bytes, context: Context, reference: Any = None) -> bytes:
    """An entity in the internal form as JSON in the normalized representation (4.5.4), all of it.

    `reference` is the @context to stand in it, None for none.
    """
    write: Callable[[Any], bytes] = _write
    try:
        out = _shown(_read(text), context)
    except msgspec.ValidationError:
        out, write = show(orjson.loads(text), context, AS_IT_IS), orjson.dumps
    if reference is not None:
        out["@context"] = reference
    return write(out)


def _shown(entity: _Entity, context: Context) -> dict[str, Any]:
    compact = context.compact
    types = entity.type
    out: dict[str, Any] = {
        "id": entity.id,
        "type": compact(types[0]) if len(types) == 1 else [compact(name) for name in types],
    }
    if entity.scope is not UNSET:
        out["scope"] = entity.scope[0] if len(entity.scope) == 1 else entity.scope
    for name, items in entity.attrs.items():
        for item in items:
            item.created_at = item.modified_at = UNSET
        out[compact(name)] = items[0] if len(items) == 1 else items
    return out
