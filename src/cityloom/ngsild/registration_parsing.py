"""What a registrant sends, read member by member (ETSI GS CIM 009, 5.2.8 to 5.2.11, 5.2.34, 4.3.6.6)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast, get_args

from cityloom.kernel.media_types import JSON, JSON_LD
from cityloom.ngsild.contexts import Context
from cityloom.ngsild.durations import duration_seconds
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.geometry import check_geometry
from cityloom.ngsild.names import NULL, check_uri
from cityloom.ngsild.operation_names import OPERATION_GROUPS, OPERATION_NAMES
from cityloom.ngsild.q_language import compile_pattern
from cityloom.ngsild.registrations import TYPE, Mode, RegistrationDocument
from cityloom.ngsild.scopes import check_scope
from cityloom.ngsild.values import check_instant, check_text, check_value, joined

#: Items of one array of a registration, and characters of one text.
MAX_ITEMS = 200
MAX_TEXT = 2_000

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER_TEXT = re.compile(r"[\t\x20-\x7e]*")
_VERSION = re.compile(r"\d{1,2}\.\d{1,2}")
_MEDIA = (JSON, JSON_LD)
#: What implementations tell of themselves; ignored in what is sent (table 5.2.9-2).
_READ_ONLY = frozenset(
    {"lastFailure", "lastSuccess", "status", "timesFailed", "timesSent", "createdAt", "modifiedAt"}
)


def parse_registration(payload: Any, context: Context, *, fragment: bool = False) -> RegistrationDocument:
    """What a registrant sends, expanded; in a fragment members may be null. Raises BadRequestData."""
    if type(payload) is not dict:
        raise _bad("A registration is a JSON object", 'Send {"type": "ContextSourceRegistration", …}.')
    out: RegistrationDocument = {}
    for key, value in payload.items():
        if key == "@context" or key in _READ_ONLY:
            continue
        try:
            _take(out, key, value, context, fragment)
        except BadRequestData as error:
            error.where = joined(key, error.where)
            raise
    if not fragment:
        for name in ("type", "endpoint", "information"):
            if name not in payload:
                raise _bad(f"The registration has no {name}", f"Give its {name} (5.2.9).", name)
    return out


def _take(out: RegistrationDocument, key: str, value: Any, context: Context, fragment: bool) -> None:
    if key == "type":
        if value != TYPE:
            raise _bad("This is not a registration", f'Its type is "{TYPE}".')
        return
    nothing = value is None or value == NULL
    reader = _MEMBERS.get(key)
    if nothing and (not fragment or key in ("id", "endpoint", "information")):
        raise _bad("null is no value here", "Leave the member out.")
    if reader is not None:
        out[key] = None if nothing else reader(value, context)
        return
    properties = out.setdefault("properties", {})
    properties[context.expand(key)] = None if nothing else check_value(value)


def _text(value: Any, _: Context) -> str:
    if type(value) is not str or not 0 < len(value) <= MAX_TEXT:
        raise _bad("This is a text", f"Give 1 to {MAX_TEXT} characters.")
    return check_text(value)


def _id(value: Any, _: Context) -> str:
    return check_uri(value, "")


def _endpoint(value: Any, _: Context) -> str:
    address = check_uri(value, "")
    if not address.lower().startswith(("http://", "https://")) or "@" in address or "#" in address:
        raise _bad("This is not the address of an API", "Write http:// or https://, a host and a path.")
    return address


def _items(value: Any) -> list[Any]:
    if type(value) is not list or not 0 < len(value) <= MAX_ITEMS:
        raise _bad("This is an array", f"Give 1 to {MAX_ITEMS} items.")
    return value


def _each(value: Any, read: Callable[[Any], Any]) -> list[Any]:
    found = []
    for place, item in enumerate(_items(value)):
        try:
            found.append(read(item))
        except BadRequestData as error:
            error.where = joined(place, error.where)
            raise
    return found


def _information(value: Any, context: Context) -> list[dict[str, Any]]:
    return _each(value, lambda item: _members(item, _INFO_MEMBERS, context, least=1))


def _entities(value: Any, context: Context) -> list[dict[str, Any]]:
    return _each(value, lambda item: _members(item, _ENTITY_MEMBERS, context, least=1))


def _members(
    value: Any, readers: dict[str, Callable[[Any, Context], Any]], context: Context, *, least: int = 0
) -> dict[str, Any]:
    if type(value) is not dict or len(value) < least:
        raise _bad("This is an object", f"Its members are {', '.join(readers)}.")
    out = {}
    for key, item in value.items():
        reader = readers.get(key)
        if reader is None:
            raise _bad(
                f"{key[:40]!a} is no member of this", f"Its members are {', '.join(readers)}.", key[:40]
            )
        try:
            out[key] = reader(item, context)
        except BadRequestData as error:
            error.where = joined(key, error.where)
            raise
    return out


def _names(value: Any, context: Context) -> list[str]:
    return _each(value, lambda item: context.expand(_text(item, context)))


def _types(value: Any, context: Context) -> list[str]:
    return _names(value if type(value) is list else [value], context)


def _pattern(value: Any, context: Context) -> str:
    compile_pattern(_text(value, context), where="idPattern")
    return cast(str, value)


def _interval(value: Any, context: Context) -> dict[str, Any]:
    interval = _members(value, {"startAt": _instant, "endAt": _instant}, context)
    if "startAt" not in interval:
        raise _bad("An interval has a start", "Give startAt.", "startAt")
    return interval


def _instant(value: Any, _: Context) -> str:
    return check_instant(value)


def _mode(value: Any, _: Context) -> str:
    if value not in get_args(Mode):
        raise _bad(f"{ascii(value)[:40]} is not a mode", f"Modes are {', '.join(get_args(Mode))}.")
    return cast(str, value)


def _operations(value: Any, context: Context) -> list[str]:
    def known(item: Any) -> str:
        if _text(item, context) not in OPERATION_NAMES and item not in OPERATION_GROUPS:
            raise _bad(f"{item[:40]!a} is not an operation", "Table 4.20-1 and 4.20-2 list their names.")
        return cast(str, item)

    return _each(value, known)


def _alias(value: Any, _: Context) -> str:
    if type(value) is not str or not _TOKEN.fullmatch(value):
        raise _bad("This is not a pseudonym", "Use letters, digits and hyphens (RFC 7230).")
    return value


def _tenant(value: Any, _: Context) -> str:
    if type(value) is not str or not _TENANT.fullmatch(value):
        raise _bad("This is not a tenant's name", "Use letters, digits, hyphens and underscores.")
    return value


def _datasets(value: Any, _: Context) -> list[str]:
    return _each(value, lambda item: item if item == "@none" else check_uri(item, ""))


def _geometry(value: Any, _: Context) -> dict[str, Any]:
    """A geometry, or a GeoProperty that holds one."""
    return check_geometry(value["value"] if type(value) is dict and "value" in value else value)


def _scopes(value: Any, _: Context) -> list[str]:
    return _each(value if type(value) is list else [value], check_scope)


def _duration(value: Any, _: Context) -> str:
    duration_seconds(value)
    return cast(str, value)


def _positive(value: Any, _: Context) -> float:
    if type(value) not in (int, float) or not 0 < value <= 1e9:
        raise _bad("This is a number of milliseconds above 0", "Write 5000 for five seconds.")
    return cast(float, value)


def _flag(value: Any, _: Context) -> bool:
    if type(value) is not bool:
        raise _bad("This is true or false", "Write true without quotation marks.")
    return value


def _management(value: Any, context: Context) -> dict[str, Any]:
    return _members(value, _MANAGEMENT_MEMBERS, context)


def _source_info(value: Any, context: Context) -> list[dict[str, str]]:
    def pair(item: Any) -> dict[str, str]:
        found = _members(item, {"key": _alias, "value": _header_text}, context)
        if len(found) < 2:
            raise _bad("A pair has a key and a value", 'Write {"key": "X-Key", "value": "…"}.')
        _check_pair(found["key"], found["value"])
        return found

    return _each(value, pair)


def _check_pair(key: str, value: str) -> None:
    """The keys with a meaning of their own (4.3.6.6)."""
    if key in ("accept", "contentType") and value not in _MEDIA:
        raise _bad(f"{key} is a media type of NGSI-LD", f"Use one of {', '.join(_MEDIA)}.", "value")
    if key == "jsonldContext":
        check_uri(value, "value")
    if key == "ngsildConformance" and not _VERSION.fullmatch(value):
        raise _bad("ngsildConformance is a version", "Write major.minor, such as 1.5.", "value")


def _header_text(value: Any, _: Context) -> str:
    if type(value) is not str or len(value) > 8_000 or not _HEADER_TEXT.fullmatch(value):
        raise _bad("This cannot be conveyed in a header", "Write one line of ASCII text.")
    return value


_ENTITY_MEMBERS: dict[str, Callable[[Any, Context], Any]] = {
    "type": _types,
    "id": _id,
    "idPattern": _pattern,
}
_INFO_MEMBERS: dict[str, Callable[[Any, Context], Any]] = {
    "entities": _entities,
    "propertyNames": _names,
    "relationshipNames": _names,
    "attributeNames": _names,
}
_MANAGEMENT_MEMBERS: dict[str, Callable[[Any, Context], Any]] = {
    "timeout": _positive,
    "cooldown": _positive,
    "cacheDuration": _duration,
    "localOnly": _flag,
}
_MEMBERS: dict[str, Callable[[Any, Context], Any]] = {
    "id": _id,
    "endpoint": _endpoint,
    "information": _information,
    "contextSourceInfo": _source_info,
    "contextSourceAlias": _alias,
    "datasetId": _datasets,
    "description": _text,
    "expiresAt": _instant,
    "localOnly": _flag,
    "location": _geometry,
    "observationSpace": _geometry,
    "operationSpace": _geometry,
    "management": _management,
    "managementInterval": _interval,
    "observationInterval": _interval,
    "mode": _mode,
    "operations": _operations,
    "refreshRate": _duration,
    "registrationName": _text,
    "scope": _scopes,
    "tenant": _tenant,
}


def _bad(message: str, hint: str, where: str | None = None) -> BadRequestData:
    return BadRequestData(message, hint=hint, where=where)
