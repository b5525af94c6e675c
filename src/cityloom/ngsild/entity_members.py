"""How the members of an Entity and of its attributes are read that are no attributes (4.5.1 to 4.5.24).

`CONTENT` has the readers by type of attribute, `MEMBERS` those of an attribute's other members, and
`ENTITY_MEMBERS` those of an Entity's. Each raises BadRequestData.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.fragment_modes import Reading
from cityloom.ngsild.geometry import check_geometry
from cityloom.ngsild.model import CONTENT_MEMBER, Document, Instance
from cityloom.ngsild.names import NULL, check_uri
from cityloom.ngsild.plain import MAX_UNIT_CODE
from cityloom.ngsild.scopes import check_scope
from cityloom.ngsild.values import check_instant, check_language_map, check_text, check_value

#: Objects of one Relationship, types and scopes of one entity: each stands in an index and on pages.
MAX_OBJECTS = 1_000
MAX_TYPES = 100
MAX_SCOPES = 100

CONTENT_MEMBERS = frozenset(CONTENT_MEMBER.values())
SEALED = ("entityIdSealed", "entityTypeSealed")


def _few(items: list[Any], most: int) -> list[Any]:
    if len(items) > most:
        raise bad(f"There are more than {most} of these", "Split the entity into several.")
    return items


# --- The content of each type of attribute


def _property(reading: Reading, value: Any) -> Any:
    return check_value(value, nothing=reading.mode.inside)


def _geo_property(_reading: Reading, value: Any) -> Any:
    if value == NULL:
        return value
    if type(value) is str:
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise bad("The text is no GeoJSON geometry", "Send the geometry as an object.") from None
    return check_geometry(value)


def _relationship(_reading: Reading, value: Any) -> Any:
    if type(value) is list and value:
        return [check_uri(item, f"[{place}]") for place, item in enumerate(_few(value, MAX_OBJECTS))]
    return check_uri(value, "")


def _language_property(_reading: Reading, value: Any) -> Any:
    return value if value == NULL else check_language_map(value)


def _vocab_property(reading: Reading, value: Any) -> Any:
    items = value if type(value) is list else [value]
    if not items or not all(type(item) is str and item for item in items):
        raise bad("A vocab is a string or an array of strings", "Write terms of the @context, or URIs.")
    names = [item if item == NULL else reading.context.expand_value(check_text(item)) for item in items]
    return names if type(value) is list else names[0]


def _json_property(_reading: Reading, value: Any) -> Any:
    if value != NULL and not isinstance(value, dict | list):
        raise bad("A json is an object or an array", "Use a Property for a single value.")
    return check_value(value, null=True)


def _list_property(reading: Reading, value: Any) -> Any:
    if value in (NULL, [NULL]):
        return value
    if type(value) is not list:
        raise bad("A valueList is an array", "Write the values in their order.")
    return check_value(value, nothing=reading.mode.inside)


def _list_relationship(_reading: Reading, value: Any) -> Any:
    if value in (NULL, [NULL]):
        return value
    if type(value) is not list:
        raise bad("An objectList is an array", "Write the URIs in their order.")
    found = []
    for place, item in enumerate(_few(value, MAX_OBJECTS)):
        target = item["object"] if type(item) is dict and set(item) == {"object"} else item
        found.append(check_uri(target, f"[{place}]"))
    return found


CONTENT: dict[str | None, Callable[[Reading, Any], Any]] = {
    "Property": _property,
    "GeoProperty": _geo_property,
    "Relationship": _relationship,
    "LanguageProperty": _language_property,
    "VocabProperty": _vocab_property,
    "JsonProperty": _json_property,
    "ListProperty": _list_property,
    "ListRelationship": _list_relationship,
}

# --- The members of an attribute that are no attributes


def _take_nothing(_reading: Reading, _out: Instance, _value: Any) -> None:
    """What the system writes itself is no error when it comes back, and changes nothing."""


def _take_observed(reading: Reading, out: Instance, value: Any) -> None:
    out["observedAt"] = value if value == NULL and reading.mode.partial else check_instant(value)


def _take_expiry(reading: Reading, out: Instance, value: Any) -> None:
    out["expiresAt"] = value if value == NULL and reading.mode.nulls else check_instant(value)


def _take_unit(reading: Reading, out: Instance, value: Any) -> None:
    if (
        type(value) is not str
        or not 0 < len(value) <= MAX_UNIT_CODE
        or (value == NULL and not reading.mode.partial)
    ):
        raise bad("A unitCode is a UN/CEFACT code", "Write a code such as CEL for degrees Celsius.")
    out["unitCode"] = check_text(value)


def _take_dataset(_reading: Reading, out: Instance, value: Any) -> None:
    if value == NULL:
        raise bad("A datasetId cannot be deleted", "Delete the instance instead.")
    if value != "@none":
        out["datasetId"] = check_uri(value, "")


def _take_object_type(reading: Reading, out: Instance, value: Any) -> None:
    if out.get("type") not in ("Relationship", "ListRelationship"):
        raise bad("An objectType belongs to a Relationship", "Leave it out.")
    items = value if type(value) is list else [value]
    if not items or not all(type(item) is str for item in items):
        raise bad("An objectType names one type or several", "Write the type of the entity pointed to.")
    names = [reading.expand(item) for item in items]
    out["objectType"] = names if type(value) is list else names[0]


def _take_value_type(reading: Reading, out: Instance, value: Any) -> None:
    if type(value) is not str or not value:
        raise bad("A valueType names a datatype", "Write a term or a URI.")
    out["valueType"] = reading.context.expand_value(check_text(value))


def _refuse_member(_reading: Reading, out: Instance, _value: Any) -> None:
    kind = out.get("type", "attribute")
    raise bad(f"A {kind} cannot have this member", "Leave it out, or correct the attribute's type.")


MEMBERS: dict[str, Callable[[Reading, Instance, Any], None]] = {
    **dict.fromkeys(("type", "@type", "createdAt", "modifiedAt", "deletedAt", "instanceId"), _take_nothing),
    "observedAt": _take_observed,
    "expiresAt": _take_expiry,
    "unitCode": _take_unit,
    "datasetId": _take_dataset,
    "objectType": _take_object_type,
    "valueType": _take_value_type,
    **dict.fromkeys(
        (*CONTENT_MEMBERS, *SEALED, "id", "@id", "@context", "@value", "entity", "entityList"),
        _refuse_member,
    ),
    **dict.fromkeys(
        (
            "previousValue",
            "previousObject",
            "previousLanguageMap",
            "previousVocab",
            "previousJson",
            "previousValueList",
            "previousObjectList",
        ),
        _refuse_member,
    ),
}

# --- The members of an entity that are no attributes


def _entity_id(_reading: Reading, document: Document, value: Any) -> None:
    if "id" in document:
        raise bad("The id is given twice", 'Keep "id".')
    if value == NULL:
        raise bad("This URI stands for nothing", "Choose another id.")
    document["id"] = check_uri(value, "")


def _entity_type(reading: Reading, document: Document, value: Any) -> None:
    if "type" in document:
        raise bad("The type is given twice", 'Keep "type".')
    if type(value) is str:
        document["type"] = [reading.expand(value)]
        return
    names = value if type(value) is list else [value]
    if not names or not all(type(name) is str for name in names):
        raise bad("A type is a name or an array of names", 'Write it as "type": "Streetlight".')
    document["type"] = list(dict.fromkeys(map(reading.expand, _few(names, MAX_TYPES))))


def _entity_scope(reading: Reading, document: Document, value: Any) -> None:
    if value == NULL and reading.mode.nulls:
        document["scope"] = [NULL]
        return
    items = value if type(value) is list else [value]
    if not items:
        raise bad("A scope is a path or an array of paths", 'Write it as "/Aarhus/Centre".')
    document["scope"] = list(dict.fromkeys(map(check_scope, _few(items, MAX_SCOPES))))


def _entity_nothing(_reading: Reading, _document: Document, _value: Any) -> None:
    """@context is known already; the rest the system writes itself."""


def _entity_expiry(reading: Reading, document: Document, value: Any) -> None:
    _take_expiry(reading, document, value)


def _entity_refuse(_reading: Reading, _document: Document, _value: Any) -> None:
    raise bad("This word of NGSI-LD cannot be the name of an attribute", "Choose another name (4.5.1).")


ENTITY_MEMBERS: dict[str, Callable[[Reading, Document, Any], None]] = {
    **dict.fromkeys(MEMBERS, _entity_refuse),
    **dict.fromkeys(("createdAt", "modifiedAt", "deletedAt", "@context"), _entity_nothing),
    **dict.fromkeys(("id", "@id"), _entity_id),
    **dict.fromkeys(("type", "@type"), _entity_type),
    "scope": _entity_scope,
    "expiresAt": _entity_expiry,
}


def bad(message: str, hint: str, where: str | None = None) -> BadRequestData:
    return BadRequestData(message, hint=hint, where=where)
