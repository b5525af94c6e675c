"""What is sent and answered over NGSI-LD, as schemas of OpenAPI 3.1 (ETSI GS CIM 009, 5.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cityloom.kernel.media_types import GEO_JSON, JSON, JSON_LD
from cityloom.ngsild.model import CONTENT_MEMBER
from cityloom.ngsild.subscription import TRIGGERS

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean", "default": False}
INSTANT: Json = {"type": "string", "format": "date-time"}
LIST: Json = {"type": "array", "items": TEXT}

_ATTRIBUTE = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": list(CONTENT_MEMBER)},
        **{member: {} for member in dict.fromkeys(CONTENT_MEMBER.values())},
        "observedAt": INSTANT,
        "unitCode": {"type": "string", "description": "UN/CEFACT code, such as CEL."},
        "datasetId": {"type": "string", "format": "uri"},
    },
    "additionalProperties": True,
}
_NAMES = {"type": "array", "items": TEXT}
_ENTITY_PROPERTIES = {
    "id": {"type": "string", "format": "uri"},
    "type": {"oneOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]},
    "scope": {"oneOf": [TEXT, _NAMES]},
}


def _object(required: Iterable[str], properties: Json, *, more: bool = True) -> Json:
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": more,
    }


def _array(name: str) -> Json:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


_REGISTRATION: Json = {
    "id": {"type": "string", "format": "uri"},
    "type": {"const": "ContextSourceRegistration"},
    "endpoint": {"type": "string", "format": "uri"},
    "information": {"type": "array", "items": {"type": "object"}, "minItems": 1},
    "mode": {"type": "string", "enum": ["inclusive", "exclusive", "redirect", "auxiliary"]},
    "operations": _NAMES,
    "contextSourceAlias": TEXT,
    "expiresAt": INSTANT,
}

_ENDPOINT: Json = {
    "uri": {"type": "string", "format": "uri"},
    "accept": {
        "type": "string",
        "enum": [JSON, JSON_LD, GEO_JSON],
    },
    "timeout": {"type": "number", "exclusiveMinimum": 0, "description": "Milliseconds."},
    "cooldown": {"type": "number", "exclusiveMinimum": 0, "description": "Milliseconds."},
    "receiverInfo": {"type": "array", "items": {"type": "object"}},
    "notifierInfo": {"type": "array", "items": {"type": "object"}},
}
_SUBSCRIPTION: Json = {
    "id": {"type": "string", "format": "uri"},
    "type": {"const": "Subscription"},
    "subscriptionName": TEXT,
    "entities": {"type": "array", "items": {"type": "object"}, "minItems": 1},
    "watchedAttributes": _NAMES,
    "notificationTrigger": {"type": "array", "items": {"type": "string", "enum": list(TRIGGERS)}},
    "q": TEXT,
    "geoQ": {"type": "object"},
    "scopeQ": TEXT,
    "datasetId": _NAMES,
    "isActive": {"type": "boolean"},
    "expiresAt": INSTANT,
    "throttling": {"type": "number", "exclusiveMinimum": 0, "description": "Seconds."},
    "timeInterval": {"type": "number", "exclusiveMinimum": 0, "description": "Seconds."},
    "jsonldContext": {"type": "string", "format": "uri"},
    "notification": {
        "type": "object",
        "required": ["endpoint"],
        "properties": {
            "endpoint": {"type": "object", "required": ["uri"], "properties": _ENDPOINT},
            "format": {"type": "string", "enum": ["normalized", "concise", "simplified", "keyValues"]},
            "showChanges": {"type": "boolean"},
            "sysAttrs": {"type": "boolean"},
        },
    },
}

SCHEMAS: dict[str, Json] = {
    "Attribute": _ATTRIBUTE,
    "Entity": _object(["id", "type"], _ENTITY_PROPERTIES),
    "EntityFragment": _object([], _ENTITY_PROPERTIES),
    "Entities": _array("Entity"),
    "EntityIds": {"type": "array", "items": {"type": "string", "format": "uri"}},
    "EntityTemporal": _object(["id", "type"], _ENTITY_PROPERTIES),
    "EntitiesTemporal": _array("EntityTemporal"),
    "Query": _object(
        ["type"],
        {
            "type": {"const": "Query"},
            "entities": {
                "type": "array",
                "items": _object(
                    ["type"],
                    {"type": TEXT, "id": {"oneOf": [TEXT, _NAMES]}, "idPattern": TEXT},
                    more=False,
                ),
            },
            "q": TEXT,
            "geoQ": _object(
                ["georel", "geometry", "coordinates"],
                {"georel": TEXT, "geometry": TEXT, "coordinates": {}, "geoproperty": TEXT},
                more=False,
            ),
            "scopeQ": TEXT,
            "attrs": _NAMES,
            "pick": _NAMES,
            "omit": _NAMES,
            "datasetId": _NAMES,
            "lang": TEXT,
        },
    ),
    "BatchOperationResult": _object(
        ["success", "errors"],
        {
            "success": _NAMES,
            "errors": {
                "type": "array",
                "items": _object(
                    ["entityId", "error"],
                    {"entityId": TEXT, "error": {"$ref": "#/components/schemas/ProblemDetails"}},
                ),
            },
        },
    ),
    "ProblemDetails": _object(
        ["type", "title", "status", "detail", "hint"],
        {
            "type": {"type": "string", "format": "uri-reference"},
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What is wrong."},
            "hint": {"type": "string", "description": "What to do about it."},
            "where": {"type": "string", "description": "The field or parameter at fault."},
            "instance": {"type": "string", "format": "uri-reference"},
        },
    ),
    "EntityTypes": {"oneOf": [_object(["typeList"], {"typeList": _NAMES}), {"type": "array"}]},
    "EntityTypeInfo": _object(["id", "type", "typeName", "entityCount", "attributeDetails"], {}),
    "Attributes": {"oneOf": [_object(["attributeList"], {"attributeList": _NAMES}), {"type": "array"}]},
    "AttributeInfo": _object(["id", "type", "attributeName"], {}),
    "Snapshot": _object(["type"], {"id": TEXT, "type": {"const": "Snapshot"}}),
    "SnapshotFragment": _object([], {"type": {"const": "Snapshot"}}),
    "Contexts": {"type": "array"},
    "EntityMap": _object(
        [],
        {
            "id": TEXT,
            "type": {"const": "EntityMap"},
            "expiresAt": INSTANT,
            "entityMap": {"type": "object"},
            "linkedMaps": {"type": "object"},
        },
    ),
    "Context": _object([], {"@context": {}}),
    "ContextSourceIdentity": _object(["id", "type", "contextSourceAlias"], {}),
    "CSourceRegistration": _object(["type", "endpoint", "information"], _REGISTRATION),
    "CSourceRegistrationFragment": _object([], _REGISTRATION),
    "CSourceRegistrations": _array("CSourceRegistration"),
    "Subscription": _object(["type", "notification"], _SUBSCRIPTION),
    "SubscriptionFragment": _object([], _SUBSCRIPTION),
    "Subscriptions": _array("Subscription"),
}
