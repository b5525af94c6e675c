"""The description of the HTTP API (OpenAPI 3.1), made from the table of operations."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import cityloom
from cityloom.kernel.media_types import GEO_JSON, JSON, JSON_LD, MERGE_PATCH
from cityloom.ngsild.query import DEFAULT_LIMIT, MAX_LIMIT
from cityloom.web.ngsild.exchange import ROOT
from cityloom.web.ngsild.operations import Operation
from cityloom.web.openapi_schemas import FLAG, INSTANT, LIST, SCHEMAS, TEXT, Json

#: Schema and description of each query parameter.
_PARAMETERS: dict[str, tuple[Json, str]] = {
    "aggrMethods": (
        LIST,
        "Methods of aggregation: totalCount, distinctCount, sum, avg, min, max, stddev, sumsq.",
    ),
    "aggrPeriodDuration": (TEXT, "Length of a period of aggregation as ISO 8601 duration: PT1H."),
    "collation": (
        TEXT,
        "Order of texts as a language tag (RFC 6067): und, de-u-co-phonebk.",
    ),
    "attrs": (LIST, "Attributes of which an entity must have one; these alone are shown."),
    "containedBy": (LIST, "Ids of entities met already on the way here."),
    "coordinates": (TEXT, "Coordinates of the reference geometry, as in GeoJSON."),
    "count": (FLAG, "Tell the number of all matches in NGSILD-Results-Count."),
    "csf": (TEXT, "Filter on context sources; there is one source here."),
    "datasetId": (LIST, "Datasets of the instances shown; @none is the default one."),
    "deleteAll": (FLAG, "Delete all instances of the attribute."),
    "details": (FLAG, "Give details of each."),
    "drop": (LIST, "Attributes that are deleted, rather than whole entities."),
    "endTimeAt": (INSTANT, "End of the interval for timerel=between."),
    "entityMap": (FLAG, "Tell where the entity map is that answers this; it is made when there is none."),
    "entityMapLifetime": (TEXT, "How long the entity map is wanted as ISO 8601 duration: PT10M."),
    "expandValues": (LIST, "Attributes whose texts in q are terms of the @context."),
    "format": (
        TEXT,
        "normalized, concise, simplified (keyValues); over time also temporalValues, aggregatedValues.",
    ),
    "geometry": (TEXT, "Type of the reference geometry."),
    "geometryProperty": (TEXT, "GeoProperty that becomes the geometry of a Feature."),
    "geoproperty": (TEXT, "GeoProperty that the geoquery looks at; location by default."),
    "georel": (TEXT, "Relation to the reference geometry: near;maxDistance==1000, within, intersects, …"),
    "id": (LIST, "Ids of entities."),
    "idPattern": (TEXT, "Regular expression (RE2) found in the id."),
    "join": (
        {"type": "string", "enum": ["@none", "flat", "inline"]},
        "Linked entities in the answer: in the Relationships that point at them, or beside the entities.",
    ),
    "joinLevel": (
        {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
        "Depth of linked entities.",
    ),
    "jsonKeys": (LIST, "Attributes whose values are plain JSON."),
    "keep": (LIST, "Attributes that stay, rather than whole entities being deleted."),
    "kind": ({"type": "string", "enum": ["Hosted", "Cached", "ImplicitlyCreated"]}, "Kind of @context."),
    "lang": (TEXT, "Languages wanted: da,en;q=0.5."),
    "lastN": ({"type": "integer", "minimum": 1}, "The last instances of each attribute alone."),
    "limit": (
        {"type": "integer", "minimum": 0, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        "Length of a page.",
    ),
    "local": (FLAG, "Ask what is here alone."),
    "observedAt": (INSTANT, "Time of observation of what is merged without its own."),
    "offset": ({"type": "integer", "minimum": 0, "default": 0}, "How many matches to pass over."),
    "omit": (LIST, "Members that are not shown."),
    "options": (LIST, "Formats and sysAttrs; for writing noOverwrite, update, replace."),
    "orderBy": (LIST, "Attributes to sort by: name, or name;desc."),
    "orderFrom": (TEXT, "Coordinates from which distances are measured."),
    "orderGeometry": (TEXT, "Type of the geometry in orderFrom; Point by default."),
    "pick": (LIST, "Members that are shown."),
    "q": (TEXT, 'Query on attributes: temperature>20;name=="Aarhus".'),
    "reload": (FLAG, "Fetch a copy again from where it was published, instead of deleting it."),
    "scopeQ": (TEXT, "Scopes: /Aarhus/#."),
    "splitEntities": (FLAG, "Whether entities are spread over sources; none are."),
    "timeAt": (INSTANT, "Instant that timerel relates to."),
    "timeproperty": (
        {"type": "string", "enum": ["observedAt", "createdAt", "modifiedAt", "deletedAt"]},
        "Time of an instance that is looked at.",
    ),
    "timerel": ({"type": "string", "enum": ["before", "after", "between"]}, "Relation to timeAt."),
    "type": (TEXT, "Types of entities: Building|(Home;Vehicle)."),
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

_HEADERS: dict[str, Json] = {
    "NGSILD-Tenant": {
        "name": "NGSILD-Tenant",
        "in": "header",
        "schema": TEXT,
        "description": "The tenant; the default one without it.",
    },
    "Link": {
        "name": "Link",
        "in": "header",
        "schema": TEXT,
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
            "schemas": SCHEMAS,
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
        {"name": part[1:-1], "in": "path", "required": True, "schema": TEXT}
        for part in operation.segments
        if part.startswith("{")
    ]
    in_query = []
    for name in sorted(operation.parameters):
        schema, description = _PARAMETERS[name]
        one: Json = {"name": name, "in": "query", "schema": schema, "description": description}
        if schema is LIST:
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
