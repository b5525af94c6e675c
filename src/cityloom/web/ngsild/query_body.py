"""The body of a query sent by POST (ETSI GS CIM 009, 5.2.13, 5.2.23, 5.2.33)."""

from __future__ import annotations

from typing import Any

from cityloom.ngsild.errors import BadRequestData
from cityloom.web.ngsild.asking import Asked
from cityloom.web.ngsild.parameters import few

MAX_SELECTORS = 200

_TEXTS = {"q": "q", "scopeQ": "scope_q", "lang": "lang", "csf": "csf"}
_LISTS = {
    "attrs": "attrs",
    "pick": "pick",
    "omit": "omit",
    "datasetId": "dataset_id",
    "expandValues": "expand_values",
}
_PASSED_OVER = frozenset({"type", "@context", "jsonKeys", "containedBy", "splitEntities", "local"})


def asked_in(payload: Any) -> Asked:
    """A query from the body of a POST. Raises BadRequestData naming the member."""
    if not isinstance(payload, dict):
        raise _bad("A Query is a JSON object", 'Send {"type": "Query", …}.', None)
    if payload.get("type") != "Query":
        raise _bad("The type of the body must be Query", 'Add "type": "Query".', "type")
    found: dict[str, Any] = {}
    for member, value in payload.items():
        if member in _TEXTS:
            found[_TEXTS[member]] = _text(value, member)
        elif member in _LISTS:
            found[_LISTS[member]] = _listed(value, member)
        elif member == "entities":
            found["selectors"] = _selectors(value)
        elif member == "geoQ":
            found |= _geo_query(value)
        elif member == "ordering":
            found |= _ordering(value)
        elif member not in _PASSED_OVER:
            raise _bad(f"A Query has no member {member[:60]!a}", "Leave it out, or correct its name.", member)
    return Asked(**found)


def _selectors(value: Any) -> tuple[tuple[str | None, str | None, str | None], ...]:
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
    return tuple(found)


def _geo_query(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad("A geoQ is an object", "Give it georel, geometry and coordinates.", "geoQ")
    known = {"georel", "geometry", "coordinates", "geoproperty"}
    found: dict[str, Any] = {}
    for member, said in value.items():
        if member not in known:
            raise _bad(f"A geoQ has no member {member[:60]!a}", f"It has {', '.join(sorted(known))}.", "geoQ")
        found[member] = said if member == "coordinates" else _text(said, f"geoQ.{member}")
    return found


def _ordering(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or "orderBy" not in value:
        raise _bad("An ordering has orderBy", 'Write {"orderBy": ["name"]}.', "ordering")
    unknown = value.keys() - {"orderBy", "coordinates", "geometry"}
    if unknown:
        raise _bad(f"An ordering has no {min(unknown)[:60]!a} here", "Leave it out.", "ordering")
    found: dict[str, Any] = {"order_by": ",".join(_listed(value["orderBy"], "ordering.orderBy"))}
    if "coordinates" in value:
        found["order_from"] = value["coordinates"]
    if "geometry" in value:
        found["order_geometry"] = _text(value["geometry"], "ordering.geometry")
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
