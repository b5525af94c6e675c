"""Which types, attributes and pasts several sources tell of, put together as JSON (5.7.3 to 5.7.10). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

from cityloom.ngsild.contexts import Context
from cityloom.ngsild.errors import BadRequestData

Json = dict[str, Any]

_NAMES = ("typeName", "attributeName")
_LISTS = ("typeList", "attributeList", "attributeNames", "typeNames")
#: Members of an Entity over time that are no attributes.
_OF_ENTITY = frozenset({"id", "type", "scope", "createdAt", "modifiedAt", "expiresAt", "@context"})
#: What holds instances in the simplified and the aggregated form.
_SERIES = frozenset({"values", "objects", "languageMaps", "vocabs", "jsons", "valueLists", "objectLists"})


def renamed(told: Any, source: Context, target: Context) -> Any:
    """What a source tells of types and attributes, its names written with another @context."""
    if isinstance(told, list):
        return [renamed(item, source, target) for item in told if isinstance(item, dict)]
    out: Json = {}
    for key, value in told.items():
        if key in _NAMES and isinstance(value, str):
            out[key] = _renamed(value, source, target)
        elif key in _LISTS and isinstance(value, list):
            out[key] = [_renamed(one, source, target) for one in value if isinstance(one, str)]
        elif key == "attributeDetails" and isinstance(value, list):
            out[key] = renamed(value, source, target)
        elif isinstance(value, str | int | list) and key != "@context":
            out[key] = value
    return out


def kept(told: Any, is_known: Callable[[str], bool]) -> Any:
    """What a source tells, without types and attributes of which it may tell nothing."""
    if isinstance(told, list):
        named = ((item.get("typeName", item.get("attributeName")), item) for item in told)
        return [item for name, item in named if isinstance(name, str) and is_known(name)]
    return {
        key: [name for name in value if is_known(name)] if key in ("typeList", "attributeList") else value
        for key, value in told.items()
    }


def together(mine: Any, theirs: Any) -> Any:
    """Two descriptions as one: names are joined, counts added, what is described twice is merged."""
    if isinstance(mine, list) and isinstance(theirs, list):
        if any(isinstance(item, dict) for item in (*mine, *theirs)):
            return _joined_by_id(mine, theirs)
        return sorted({*map(str, mine), *map(str, theirs)})
    if isinstance(mine, dict) and isinstance(theirs, dict):
        out = dict(mine)
        for key, value in theirs.items():
            out[key] = together(out[key], value) if key in out else value
        return out
    if type(mine) is int and type(theirs) is int:
        return mine + theirs
    return mine


def evolutions_together(mine: Json, theirs: Json) -> Json:
    """An Entity over time out of what two know of it; instances that both tell are told once."""
    out = dict(mine)
    for key, value in theirs.items():
        if key in _OF_ENTITY or key not in out:
            out.setdefault(key, value)
        elif isinstance(out[key], list) and isinstance(value, list):
            out[key] = _unique([*out[key], *value])
        elif isinstance(out[key], dict) and isinstance(value, dict):
            out[key] = _series_together(out[key], value)
        else:
            out[key] = _unique([*_listed(out[key]), *_listed(value)])
    return out


def last_of(evolution: Json, last_n: int, time_property: str) -> Json:
    """An Entity over time with the last so many instances of each dataset of each attribute (5.7.3.4)."""
    return {
        name: value if name in _OF_ENTITY else _last(value, last_n, time_property)
        for name, value in evolution.items()
    }


def _last(value: Any, last_n: int, time_property: str) -> Any:
    if isinstance(value, dict):
        return {key: said[-last_n:] if key in _SERIES else said for key, said in value.items()}
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return value
    left: Counter[str] = Counter()
    found = []
    for item in sorted(value, key=lambda item: str(item.get(time_property, "")), reverse=True):
        dataset = str(item.get("datasetId", ""))
        left[dataset] += 1
        if left[dataset] <= last_n:
            found.append(_last(item, last_n, time_property) if _SERIES & item.keys() else item)
    return found[::-1]


def renamed_evolution(entity: Json, source: Context, target: Context) -> Json:
    """An Entity over time with its names written with another @context. Raises BadRequestData."""
    out: Json = {}
    for key, value in entity.items():
        if key == "type":
            names = value if isinstance(value, list) else [value]
            found = [target.compact(source.expand(name)) for name in names]
            out[key] = found if isinstance(value, list) else found[0]
        elif key in _OF_ENTITY:
            out[key] = value
        else:
            out[target.compact(source.expand(key))] = value
    out.pop("@context", None)
    return out


def _series_together(mine: Json, theirs: Json) -> Json:
    if not (_SERIES & mine.keys() or _SERIES & theirs.keys()):
        # Each tells one instance in full, or what it has worked out by itself.
        return mine
    out = dict(mine)
    for key in _SERIES & theirs.keys():
        series = [*out.get(key, []), *theirs[key]]
        out[key] = sorted(_unique(series), key=lambda item: str(item[-1]) if isinstance(item, list) else "")
    return out


def _joined_by_id(mine: list[Any], theirs: list[Any]) -> list[Any]:
    found: dict[Any, Any] = {}
    for item in (*mine, *theirs):
        if isinstance(item, dict):
            key = item.get("id")
            found[key] = together(found[key], item) if key in found else item
    return list(found.values())


def _unique(items: list[Any]) -> list[Any]:
    seen: set[Hashable] = set()
    found = []
    for item in items:
        key = item.get("instanceId") if isinstance(item, dict) else None
        mark: Hashable = key if isinstance(key, str) else repr(item)
        if mark not in seen:
            seen.add(mark)
            found.append(item)
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _renamed(name: str, source: Context, target: Context) -> str:
    try:
        return target.compact(source.expand(name))
    except BadRequestData:
        return name
