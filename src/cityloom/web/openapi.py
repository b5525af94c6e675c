"""The description of the HTTP API (OpenAPI 3.1), made from the table of operations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import cityloom
from cityloom.kernel.media_types import GEO_JSON, JSON, JSON_LD, MERGE_PATCH
from cityloom.ngsild.model import CONTENT_MEMBER
from cityloom.ngsild.query import DEFAULT_LIMIT, MAX_LIMIT
from cityloom.ngsild.subscription import TRIGGERS
from cityloom.web.ngsild.exchange import ROOT
from cityloom.web.ngsild.operations import Operation

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_FLAG: Json = {"type": "boolean", "default": False}
_INSTANT: Json = {"type": "string", "format": "date-time"}
_LIST: Json = {"type": "array", "items": _TEXT}

#: Schema and description of each query parameter.
_PARAMETERS: dict[str, tuple[Json, str]] = {
    "aggrMethods": (
        _LIST,
        "Methods of aggregation: totalCount, distinctCount, sum, avg, min, max, stddev, sumsq.",
    ),
    "aggrPeriodDuration": (_TEXT, "Length of a period of aggregation as ISO 8601 duration: PT1H."),
    "collation": (
        _TEXT,
        "Order of texts as a language tag (RFC 6067): und, de-u-co-phonebk.",
    ),
    "attrs": (_LIST, "Attributes of which an entity must have one; these alone are shown."),
    "containedBy": (_LIST, "Ids of entities met already on the way here."),
    "coordinates": (_TEXT, "Coordinates of the reference geometry, as in GeoJSON."),
    "count": (_FLAG, "Tell the number of all matches in NGSILD-Results-Count."),
    "csf": (_TEXT, "Filter on context sources; there is one source here."),
    "datasetId": (_LIST, "Datasets of the instances shown; @none is the default one."),
    "deleteAll": (_FLAG, "Delete all instances of the attribute."),
    "details": (_FLAG, "Give details of each."),
    "drop": (_LIST, "Attributes that are deleted, rather than whole entities."),
    "endTimeAt": (_INSTANT, "End of the interval for timerel=between."),
    "entityMap": (_FLAG, "Tell where the entity map is that answers this; it is made when there is none."),
    "entityMapLifetime": (_TEXT, "How long the entity map is wanted as ISO 8601 duration: PT10M."),
    "expandValues": (_LIST, "Attributes whose texts in q are terms of the @context."),
    "format": (
        _TEXT,
        "normalized, concise, simplified (keyValues); over time also temporalValues, aggregatedValues.",
    ),
    "geometry": (_TEXT, "Type of the reference geometry."),
    "geometryProperty": (_TEXT, "GeoProperty that becomes the geometry of a Feature."),
    "geoproperty": (_TEXT, "GeoProperty that the geoquery looks at; location by default."),
    "georel": (_TEXT, "Relation to the reference geometry: near;maxDistance==1000, within, intersects, …"),
    "id": (_LIST, "Ids of entities."),
    "idPattern": (_TEXT, "Regular expression (RE2) found in the id."),
    "join": (
        {"type": "string", "enum": ["@none", "flat", "inline"]},
        "Linked entities in the answer: in the Relationships that point at them, or beside the entities.",
    ),
    "joinLevel": (
        {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
        "Depth of linked entities.",
    ),
    "jsonKeys": (_LIST, "Attributes whose values are plain JSON."),
    "keep": (_LIST, "Attributes that stay, rather than whole entities being deleted."),
    "kind": ({"type": "string", "enum": ["Hosted", "Cached", "ImplicitlyCreated"]}, "Kind of @context."),
    "lang": (_TEXT, "Languages wanted: da,en;q=0.5."),
    "lastN": ({"type": "integer", "minimum": 1}, "The last instances of each attribute alone."),
    "limit": (
        {"type": "integer", "minimum": 0, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        "Length of a page.",
    ),
    "local": (_FLAG, "Ask what is here alone."),
    "observedAt": (_INSTANT, "Time of observation of what is merged without its own."),
    "offset": ({"type": "integer", "minimum": 0, "default": 0}, "How many matches to pass over."),
    "omit": (_LIST, "Members that are not shown."),
    "options": (_LIST, "Formats and sysAttrs; for writing noOverwrite, update, replace."),
    "orderBy": (_LIST, "Attributes to sort by: name, or name;desc."),
    "orderFrom": (_TEXT, "Coordinates from which distances are measured."),
    "orderGeometry": (_TEXT, "Type of the geometry in orderFrom; Point by default."),
    "pick": (_LIST, "Members that are shown."),
    "q": (_TEXT, 'Query on attributes: temperature>20;name=="Aarhus".'),
    "reload": (_FLAG, "Fetch a copy again from where it was published, instead of deleting it."),
    "scopeQ": (_TEXT, "Scopes: /Aarhus/#."),
    "splitEntities": (_FLAG, "Whether entities are spread over sources; none are."),
    "timeAt": (_INSTANT, "Instant that timerel relates to."),
    "timeproperty": (
        {"type": "string", "enum": ["observedAt", "createdAt", "modifiedAt", "deletedAt"]},
        "Time of an instance that is looked at.",
    ),
    "timerel": ({"type": "string", "enum": ["before", "after", "between"]}, "Relation to timeAt."),
    "type": (_TEXT, "Types of entities: Building|(Home;Vehicle)."),
}

_STATUSES = {
    200: "What was asked for",
    201: "Created",
    203: "What was asked for, as the version of the standard has it that was preferred",
    204: "Done",
    206: "A part of the time asked for; Content-Range tells which",
    207: "Done in part; the body tells what became of each",
}
_ERRORS = {
    400: "The request is wrong; the body names place and cure",
    401: "Nobody is signed in",
    403: "The permission is missing, or the query costs too much",
    404: "It is not there, or not for this asker",
    409: "It is there already",
    411: "Content-Length is missing",
    413: "The body is too large",
    415: "The body is of another media type",
    422: "The operation is not offered here",
    503: "Not now; try again",
    504: "An @context cannot be had",
}

_ATTRIBUTE = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": list(CONTENT_MEMBER)},
        **{member: {} for member in dict.fromkeys(CONTENT_MEMBER.values())},
        "observedAt": _INSTANT,
        "unitCode": {"type": "string", "description": "UN/CEFACT code, such as CEL."},
        "datasetId": {"type": "string", "format": "uri"},
    },
    "additionalProperties": True,
}
_NAMES = {"type": "array", "items": _TEXT}
_ENTITY_PROPERTIES = {
    "id": {"type": "string", "format": "uri"},
    "type": {"oneOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]},
    "scope": {"oneOf": [_TEXT, _NAMES]},
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
    "contextSourceAlias": _TEXT,
    "expiresAt": _INSTANT,
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
    "subscriptionName": _TEXT,
    "entities": {"type": "array", "items": {"type": "object"}, "minItems": 1},
    "watchedAttributes": _NAMES,
    "notificationTrigger": {"type": "array", "items": {"type": "string", "enum": list(TRIGGERS)}},
    "q": _TEXT,
    "geoQ": {"type": "object"},
    "scopeQ": _TEXT,
    "datasetId": _NAMES,
    "isActive": {"type": "boolean"},
    "expiresAt": _INSTANT,
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

_SCHEMAS: dict[str, Json] = {
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
                    {"type": _TEXT, "id": {"oneOf": [_TEXT, _NAMES]}, "idPattern": _TEXT},
                    more=False,
                ),
            },
            "q": _TEXT,
            "geoQ": _object(
                ["georel", "geometry", "coordinates"],
                {"georel": _TEXT, "geometry": _TEXT, "coordinates": {}, "geoproperty": _TEXT},
                more=False,
            ),
            "scopeQ": _TEXT,
            "attrs": _NAMES,
            "pick": _NAMES,
            "omit": _NAMES,
            "datasetId": _NAMES,
            "lang": _TEXT,
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
                    {"entityId": _TEXT, "error": {"$ref": "#/components/schemas/ProblemDetails"}},
                ),
            },
        },
    ),
    "ProblemDetails": _object(
        ["type", "title", "status", "detail", "hint"],
        {
            "type": {"type": "string", "format": "uri-reference"},
            "title": _TEXT,
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
    "Snapshot": _object(["type"], {"id": _TEXT, "type": {"const": "Snapshot"}}),
    "SnapshotFragment": _object([], {"type": {"const": "Snapshot"}}),
    "Contexts": {"type": "array"},
    "EntityMap": _object(
        [],
        {
            "id": _TEXT,
            "type": {"const": "EntityMap"},
            "expiresAt": _INSTANT,
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

_HEADERS: dict[str, Json] = {
    "NGSILD-Tenant": {
        "name": "NGSILD-Tenant",
        "in": "header",
        "schema": _TEXT,
        "description": "The tenant; the default one without it.",
    },
    "Link": {
        "name": "Link",
        "in": "header",
        "schema": _TEXT,
        "description": 'The @context: <URI>; rel="http://www.w3.org/ns/json-ld#context".',
    },
}


def describe(operations: Iterable[Operation], *, title: str = "CityLoom") -> Json:
    """The OpenAPI document of these operations."""
    paths: dict[str, Json] = {}
    for operation in operations:
        item = paths.setdefault(ROOT + operation.path, {})
        item[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{title}: NGSI-LD API",
            "version": cityloom.__version__,
            "summary": "Everything known about a city, by ETSI GS CIM 009 v1.9.1",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "parameters": _HEADERS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "cityloom_session"},
            },
        },
    }


def openapi_route(operations: Iterable[Operation], *, title: str = "CityLoom") -> Route:
    """GET /openapi.json."""
    body = orjson.dumps(describe(operations, title=title), option=orjson.OPT_INDENT_2)

    async def serve(_request: Request) -> Response:
        return Response(body, media_type=JSON)

    return Route("/openapi.json", serve, methods=["GET"])


def _operation(operation: Operation) -> Json:
    described: Json = {
        "operationId": operation.handler.__name__,
        "summary": operation.summary,
        "description": f"ETSI GS CIM 009, {operation.clause}.",
        "tags": [operation.segments[0]],
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.body:
        described["requestBody"] = {"required": True, "content": _body(operation)}
    if operation.writes:
        described["security"] = [{"token": []}, {"session": []}]
    return described


def _parameters(operation: Operation) -> list[Json]:
    in_path = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": _TEXT}
        for part in operation.segments
        if part.startswith("{")
    ]
    in_query = []
    for name in sorted(operation.parameters):
        schema, description = _PARAMETERS[name]
        one: Json = {"name": name, "in": "query", "schema": schema, "description": description}
        if schema is _LIST:
            one |= {"style": "form", "explode": False}
        in_query.append(one)
    in_headers = [{"$ref": f"#/components/parameters/{name}"} for name in _HEADERS]
    return [*in_path, *in_query, *in_headers]


def _body(operation: Operation) -> Json:
    schema = {"$ref": f"#/components/schemas/{operation.body}"}
    media = [JSON, JSON_LD, *([MERGE_PATCH] if operation.method == "PATCH" else [])]
    return {name: {"schema": schema} for name in media}


def _responses(operation: Operation) -> Json:
    found: Json = {str(status): _good(operation, status) for status in operation.statuses}
    for status, description in _ERRORS.items():
        if _can_happen(operation, status):
            found[str(status)] = {"description": description}
            if status not in (411, 415):
                found[str(status)]["content"] = _content([JSON], "ProblemDetails")
    return found


def _can_happen(operation: Operation, status: int) -> bool:
    if status == 401:
        return operation.writes
    if status in (411, 413, 415):
        return bool(operation.body)
    if status == 409:
        return operation.body == "Entity" and operation.method == "POST"
    return True


def _good(operation: Operation, status: int) -> Json:
    described: Json = {"description": _STATUSES[status]}
    if status == 207:
        described["content"] = _content([JSON], "BatchOperationResult")
    elif operation.answers and status != 204:
        name = "AttributeInfo" if operation.answers == "Attribute" else operation.answers
        media = [JSON, JSON_LD, *([GEO_JSON] if operation.geojson else [])]
        described["content"] = _content(media, name)
    return described


def _content(media: Iterable[str], schema: str) -> Json:
    return {name: {"schema": {"$ref": f"#/components/schemas/{schema}"}} for name in media}
