"""The description of OGC API - Features at this city (OpenAPI 3.0), made from the table of resources."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

import cityloom
from cityloom.kernel.media_types import PROBLEM
from cityloom.web.ogc.items import CRS84, DEFAULT_LIMIT, MAX_LIMIT

OPENAPI_3_0 = "application/vnd.oai.openapi+json;version=3.0"
SCHEMA = "application/schema+json"

Json = dict[str, Any]

_PARAMETERS: dict[str, Json] = {
    "bbox": {
        "description": "West, south, east, north in degrees; features that touch the box.",
        "schema": {
            "type": "array",
            "items": {"type": "number"},
            "minItems": 4,
            "maxItems": 6,
        },
        "style": "form",
        "explode": False,
    },
    "datetime": {
        "description": "An instant, or an interval such as 2026-04-01T00:00:00Z/.. in which the feature was "
        "last observed; features without any observation match too.",
        "schema": {"type": "string"},
        "style": "form",
        "explode": False,
    },
    "limit": {
        "description": "Features on a page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        "style": "form",
        "explode": False,
    },
    "offset": {
        "description": "Features to pass over; links to the next page carry it.",
        "schema": {"type": "integer", "minimum": 0, "default": 0},
    },
    "filter": {
        "description": "CQL2 Text: temperature > 20 AND S_INTERSECTS(location, BBOX(10,56,10.3,56.3)).",
        "schema": {"type": "string"},
    },
    "filter-lang": {
        "description": "The language of the filter.",
        "schema": {"type": "string", "enum": ["cql2-text"], "default": "cql2-text"},
    },
    "filter-crs": {
        "description": "The system of coordinates in the filter.",
        "schema": {"type": "string", "enum": [CRS84], "default": CRS84},
    },
}


class _Resource(Protocol):
    @property
    def path(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def media(self) -> str: ...


def describe(resources: Iterable[_Resource], title: str, base: str) -> Json:
    """The OpenAPI 3.0 document of these resources."""
    return {
        "openapi": "3.0.3",
        "info": {
            "title": f"{title}: OGC API - Features",
            "version": cityloom.__version__,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "servers": [{"url": base}],
        "paths": {resource.path: {"get": _operation(resource)} for resource in resources},
        "components": {
            "parameters": {
                name: {"name": name, "in": "query", "required": False, **one}
                for name, one in _PARAMETERS.items()
            },
            "schemas": {
                "ProblemDetails": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail", "hint"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "hint": {"type": "string"},
                        "where": {"type": "string"},
                    },
                }
            },
        },
    }


def _operation(resource: _Resource) -> Json:
    parameters: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", resource.path)
    ]
    if resource.path.endswith("/items"):
        parameters += [{"$ref": f"#/components/parameters/{name}"} for name in _PARAMETERS]
        parameters.append(
            {
                "name": "properties",
                "in": "query",
                "description": "A property of the features and the value it must have.",
                "schema": {"type": "object", "additionalProperties": {"type": "string"}},
                "style": "form",
                "explode": True,
            }
        )
    problem = {PROBLEM: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {
        "operationId": re.sub(r"\W+", "_", resource.path).strip("_") or "landing_page",
        "summary": resource.summary,
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "What was asked for",
                "content": {resource.media: {"schema": {"type": "object"}}},
            },
            "400": {"description": "A parameter is wrong", "content": problem},
            "404": {"description": "It is not there, or not for this asker", "content": problem},
        },
    }
