"""The body of a query sent by POST (ETSI GS CIM 009, 5.2.13, 5.2.23, 5.2.33)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cityloom.ngsild.errors import BadRequestData
from cityloom.web.ngsild.asking import Asked
from cityloom.web.ngsild.parameters import few

MAX_SELECTORS = 200

#: What reads a member: its value and its name, to fields of Asked.
_Read = Callable[[Any, str], dict[str, Any]]


def asked_in(payload: Any) -> Asked:
    """A query from the body of a POST. Raises BadRequestData naming the member."""
    if not isinstance(payload, dict):
        raise _bad("A Query is a JSON object", 'Send {"type": "Query", …}.', None)
    if payload.get("type") != "Query":
        raise _bad("The type of the body must be Query", 'Add "type": "Query".', "type")
    found: dict[str, Any] = {}
    for member, value in payload.items():
        read = _MEMBERS.get(member)
        if read is None:
            raise _bad(f"A Query has no member {member[:60]!a}", "Leave it out, or correct its name.", member)
        found |= read(value, member)
    return Asked(**found)


def _nothing(_value: Any, _member: str) -> dict[str, Any]:
    return {}


def _as_text(field: str) -> _Read:
    return lambda value, member: {field: _text(value, member)}


def _as_list(field: str) -> _Read:
    return lambda value, member: {field: _listed(value, member)}


def _as_list_in_text(field: str) -> _Read:
    """A text with commas between its items, or a list."""

    def read(value: Any, member: str) -> dict[str, Any]:
        return {field: _listed(value.split(",") if isinstance(value, str) else value, member)}

    return read


def _join_level(value: Any, member: str) -> dict[str, Any]:
    if type(value) is not int:
        raise _bad(f"{member} is a whole number", f'Write "{member}": 1.', member)
    return {"join_level": value}


def _flag(value: Any, member: str) -> dict[str, Any]:
    if not isinstance(value, bool):
        raise _bad(f"{member} is true or false", f'Write "{member}": true.', member)
    return {"entity_map": value} if member == "entityMap" else {}


def _selectors(value: Any, _member: str) -> dict[str, Any]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_SELECTORS:
        raise _bad(
            f"entities is an array of 1 to {MAX_SELECTORS} selectors",
            'Write [{"type": "Streetlight"}].',
            "entities",
        )
    found: list[tuple[str | None, str | None, str | None]] = []
    for place, item in enumerate(value):
        where = f"entities[{place}]"
        if not isinstance(item, dict) or not item.keys() <= {"id", "idPattern", "type"} or "type" not in item:
            raise _bad("A selector has type, and id or idPattern", 'Add "type": "*" for any type.', where)
        kind = _text(item["type"], f"{where}.type")
        pattern = _text(item["idPattern"], f"{where}.idPattern") if "idPattern" in item else None
        ids = item.get("id")
        wanted = _listed(ids, f"{where}.id") if isinstance(ids, list) else (ids,)
        for identifier in wanted:
            if identifier is not None:
                _text(identifier, f"{where}.id")
            found.append((None if kind == "*" else kind, identifier, pattern))
        if len(found) > MAX_SELECTORS:
            raise _bad(f"entities selects more than {MAX_SELECTORS} times", "Ask several times.", where)
    return {"selectors": tuple(found)}


def _geo_query(value: Any, _member: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad("A geoQ is an object", "Give it georel, geometry and coordinates.", "geoQ")
    known = {"georel", "geometry", "coordinates", "geoproperty"}
    found: dict[str, Any] = {}
    for member, said in value.items():
        if member not in known:
            raise _bad(f"A geoQ has no member {member[:60]!a}", f"It has {', '.join(sorted(known))}.", "geoQ")
        found[member] = said if member == "coordinates" else _text(said, f"geoQ.{member}")
    return found


def _ordering(value: Any, _member: str) -> dict[str, Any]:
    if not isinstance(value, dict) or "orderBy" not in value:
        raise _bad("An ordering has orderBy", 'Write {"orderBy": ["name"]}.', "ordering")
    unknown = value.keys() - {"orderBy", "coordinates", "geometry", "collation"}
    if unknown:
        raise _bad(f"An ordering has no {min(unknown)[:60]!a} here", "Leave it out.", "ordering")
    found: dict[str, Any] = {"order_by": ",".join(_listed(value["orderBy"], "ordering.orderBy"))}
    if "coordinates" in value:
        found["order_from"] = value["coordinates"]
    if "geometry" in value:
        found["order_geometry"] = _text(value["geometry"], "ordering.geometry")
    if "collation" in value:
        found["collation"] = _text(value["collation"], "ordering.collation")
    return found


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise _bad(f"{where} is a string", "Write it in double quotes.", where)
    return value


def _listed(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise _bad(f"{where} is an array with one string or more", "Leave it out when it is empty.", where)
    return tuple(_text(item, f"{where}[{place}]") for place, item in enumerate(few(value, where)))


def _bad(message: str, hint: str, where: str | None) -> BadRequestData:
    return BadRequestData(message, hint=hint, where=where)


_MEMBERS: dict[str, _Read] = {
    **dict.fromkeys(("type", "@context"), _nothing),
    **{name: _as_text(name) for name in ("q", "lang", "csf", "join")},
    "scopeQ": _as_text("scope_q"),
    **{name: _as_list(name) for name in ("attrs", "pick", "omit")},
    "datasetId": _as_list("dataset_id"),
    "containedBy": _as_list("contained_by"),
    "expandValues": _as_list_in_text("expand_values"),
    "jsonKeys": _as_list_in_text("json_keys"),
    "joinLevel": _join_level,
    "splitEntities": _flag,
    "local": _flag,
    "entityMap": _flag,
    "entityMapLifetime": _as_text("entity_map_lifetime"),
    "entities": _selectors,
    "geoQ": _geo_query,
    "ordering": _ordering,
}
