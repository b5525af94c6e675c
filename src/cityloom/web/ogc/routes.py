"""OGC API - Features at /ogc: landing page, conformance, collections, features (OGC 17-069r4).

A type of Entities is a collection, an Entity is a feature. A browser that wants HTML is sent to the city's
own pages, which show the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from cityloom.kernel.media_types import GEO_JSON, HTML, JSON, JSON_LD
from cityloom.kernel.time import format_instant, parse_instant
from cityloom.ngsild.errors import BadRequestData, ResourceNotFound
from cityloom.ngsild.languages import parse_languages
from cityloom.web.interface import Call, Interface, json_reply
from cityloom.web.ngsild.exchange import Reply, StatusAlone
from cityloom.web.ngsild.negotiation import choose_media
from cityloom.web.ogc.collections import Collections, Description, iri_of_type, schema_of
from cityloom.web.ogc.description import OPENAPI_3_0, SCHEMA, describe
from cityloom.web.ogc.features import feature
from cityloom.web.ogc.items import CRS84, OWN, check_feature_id, page_asked_for
from cityloom.web.rooms import Rooms

ROOT = "/ogc"

#: Features made before others get their turn on the event loop.
TURN = 250

CONFORMS_TO = (
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables-query-parameters",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
    "http://www.opengis.net/spec/cql2/1.0/conf/advanced-comparison-operators",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-spatial-functions",
)

Handler = Callable[["Features", Call, "Path"], Awaitable[Reply]]
Json = dict[str, Any]


@dataclass(frozen=True)
class Path:
    """The variables of a path, "" where it has none."""

    collection: str = ""
    feature: str = ""


@dataclass(frozen=True)
class Resource:
    """One path below /ogc, variables in braces, and what answers there."""

    path: str
    summary: str
    handler: Handler
    #: The page of the city that shows the same, with {collection} and {feature}; "" where there is none.
    page: str = ""
    media: str = JSON


class Features:
    """What the handlers work with."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.broker = rooms.broker
        self.collections = Collections(rooms.broker, rooms.models)

    async def answer(self, call: Call) -> Reply:
        """The answer to a call. Raises ResourceNotFound, BadRequestData and what the handlers raise."""
        found = _find(call.segments)
        if found is None:
            raise ResourceNotFound(
                "There is no such resource", hint="GET /ogc has links to what there is.", where=call.raw_path
            )
        resource, path = found
        if _wants_page(call, resource):
            variables = {"collection": quote(path.collection), "feature": quote(path.feature, safe=":")}
            return Reply(303, headers=[(b"location", resource.page.format(**variables).encode())])
        if "items" not in resource.path or "{featureId}" in resource.path:
            unknown = next((name for name, _ in call.parameters if name not in ("f", "crs")), None)
            if unknown is not None:
                raise BadRequestData(
                    f"{unknown[:60]!a} is no parameter here", hint="Leave it out.", where=unknown[:60]
                )
        return await resource.handler(self, call, path)


def _find(segments: list[str]) -> tuple[Resource, Path] | None:
    for resource in RESOURCES:
        parts = [part for part in resource.path.split("/") if part]
        if len(parts) == len(segments) and all(
            part == given or part.startswith("{") for part, given in zip(parts, segments, strict=True)
        ):
            return resource, Path(*(segments[place] for place in (1, 3) if place < len(segments)))
    return None


def _wants_page(call: Call, resource: Resource) -> bool:
    """Whether HTML is wanted and there is some. Raises StatusAlone 406 for what is not offered."""
    formats = {"json": False, "html": True}
    wanted = dict(call.parameters).get("f")
    if wanted is not None:
        if wanted not in formats:
            raise BadRequestData(f"{wanted[:40]!a} is no format here", hint="Write json or html.", where="f")
        return formats[wanted] and bool(resource.page)
    offered = (resource.media, JSON, *([HTML] if resource.page else []))
    media = choose_media(call.header(b"accept"), offered)
    if media is None and "*" not in call.header(b"accept"):
        raise StatusAlone(406)
    return media == HTML


# Landing page, conformance, description


async def landing_page(features: Features, call: Call, _path: Path) -> Reply:
    """GET /."""
    return json_reply(
        {
            "title": features.rooms.city.name,
            "description": "Everything known about the city, one collection for each type of Entities.",
            "links": [
                _link(f"{call.base}", "self", JSON, "This document"),
                _link(f"{call.base}/api", "service-desc", OPENAPI_3_0, "The API (OpenAPI 3.0)"),
                _link(f"{call.site}/about", "service-doc", HTML, "About the city"),
                _link(f"{call.base}/conformance", "conformance", JSON, "What it conforms to"),
                _link(f"{call.base}/collections", "data", JSON, "The collections"),
                _link(f"{call.site}/open-data", "alternate", HTML, "The city's open data"),
            ],
        }
    )


async def conformance(_features: Features, _call: Call, _path: Path) -> Reply:
    """GET /conformance."""
    return json_reply({"conformsTo": CONFORMS_TO})


async def api_description(features: Features, call: Call, _path: Path) -> Reply:
    """GET /api."""
    return json_reply(describe(RESOURCES, features.rooms.city.name, call.base), media=OPENAPI_3_0)


# Collections


async def list_collections(features: Features, call: Call, _path: Path) -> Reply:
    """GET /collections."""
    names = features.collections.names(call.actor, call.tenant)
    found = []
    for name in names:
        described = await features.collections.describe(call.actor, call.tenant, name)
        found.append(_collection(features, call, name, described))
    links = [_link(f"{call.base}/collections", "self", JSON, "This document")]
    return json_reply({"links": links, "collections": found})


async def one_collection(features: Features, call: Call, path: Path) -> Reply:
    """GET /collections/{collectionId}."""
    described = await features.collections.describe(call.actor, call.tenant, path.collection)
    return json_reply(_collection(features, call, path.collection, described))


async def queryables(features: Features, call: Call, path: Path) -> Reply:
    """GET /collections/{collectionId}/queryables."""
    return await _schema(features, call, path, "queryables")


async def schema(features: Features, call: Call, path: Path) -> Reply:
    """GET /collections/{collectionId}/schema."""
    return await _schema(features, call, path, "schema")


async def _schema(features: Features, call: Call, path: Path, which: str) -> Reply:
    described = await features.collections.describe(call.actor, call.tenant, path.collection)
    address = f"{_address(call, path.collection)}/{which}"
    made = schema_of(path.collection, described, address, queryables=which == "queryables")
    return json_reply(made, media=SCHEMA)


def _collection(features: Features, call: Call, name: str, described: Description) -> Json:
    address = _address(call, name)
    model = features.rooms.models.find(name)
    found: Json = {
        "id": name,
        "title": name if ":" not in name else name.rsplit("/", 1)[-1],
        "description": model.description if model else f"Entities of the type {iri_of_type(name)}",
        "itemType": "feature",
        "crs": [CRS84],
        "storageCrs": CRS84,
        "links": [
            _link(address, "self", JSON, "This document"),
            _link(f"{address}/items", "items", GEO_JSON, "The features"),
            _link(f"{call.site}/entities?type={quote(name)}", "alternate", HTML, "The page of the city"),
            _link(
                f"{address}/queryables",
                "http://www.opengis.net/def/rel/ogc/1.0/queryables",
                SCHEMA,
                "What may be asked about",
            ),
            _link(f"{address}/schema", "describedby", SCHEMA, "The properties"),
        ],
    }
    if described.bounds is not None:
        found["extent"] = {"spatial": {"bbox": [described.bounds], "crs": CRS84}}
    return found


# Features


async def items(features: Features, call: Call, path: Path) -> Reply:
    """GET /collections/{collectionId}/items."""
    parameters = dict(call.parameters)
    known: frozenset[str] = frozenset()
    features.collections.check(call.actor, call.tenant, path.collection)
    if not parameters.keys() <= set(OWN):
        described = await features.collections.describe(call.actor, call.tenant, path.collection)
        known = frozenset(described.properties)
    asked = page_asked_for(path.collection, parameters, known)
    page = await features.broker.search(call.actor, asked.query, tenant=call.tenant)
    documents = page.documents[: asked.limit]
    languages = _languages(call)
    found = []
    for number, document in enumerate(documents, 1):
        found.append(feature(document, languages))
        if number % TURN == 0:
            await asyncio.sleep(0)
    address = f"{_address(call, path.collection)}/items"
    links = [_link(_with(address, parameters), "self", GEO_JSON, "This page")]
    if len(page.texts) > asked.limit:
        links.append(_page_link(address, parameters, asked.limit, asked.offset + asked.limit, "next"))
    if asked.offset:
        before = max(0, asked.offset - asked.limit)
        links.append(_page_link(address, parameters, asked.limit, before, "prev"))
    links.append(_link(_address(call, path.collection), "collection", JSON, path.collection))
    made: Json = {
        "type": "FeatureCollection",
        "timeStamp": format_instant(features.rooms.clock.now()),
        "numberReturned": len(found),
        "links": links,
        "features": found,
    }
    if page.total is not None:
        made["numberMatched"] = page.total
    return json_reply(made, media=GEO_JSON, headers=[_content_crs()])


async def one_item(features: Features, call: Call, path: Path) -> Reply:
    """GET /collections/{collectionId}/items/{featureId}."""
    features.collections.check(call.actor, call.tenant, path.collection)
    document = features.broker.find(call.actor, check_feature_id(path.feature), tenant=call.tenant)
    if document is None or path.collection not in document["type"]:
        raise ResourceNotFound(
            f"There is no feature {path.feature[:200]} in {path.collection[:100]}",
            hint="Its id is the Entity's, and the collection is its type.",
            where="featureId",
        )
    address = _address(call, path.collection)
    made = feature(document, _languages(call))
    here = f"{address}/items/{quote(path.feature, safe=':')}"
    entity = quote(path.feature, safe=":")
    made["links"] = [
        _link(here, "self", GEO_JSON, "This feature"),
        _link(address, "collection", JSON, path.collection),
        _link(f"{call.site}/entities/{entity}", "alternate", HTML, "The page of the city"),
        _link(f"{call.site}/ngsi-ld/v1/entities/{entity}", "alternate", JSON_LD, "As NGSI-LD"),
    ]
    headers = [_content_crs()]
    if "modifiedAt" in document:
        modified = parse_instant(document["modifiedAt"], where="modifiedAt")
        headers.append((b"last-modified", modified.strftime("%a, %d %b %Y %H:%M:%S GMT").encode()))
    return json_reply(made, media=GEO_JSON, headers=headers)


def _languages(call: Call) -> str:
    """The language filter that Accept-Language says; English where it cannot be read."""
    said = call.header(b"accept-language")
    try:
        parse_languages(said)
    except BadRequestData:
        return "en"
    return said


def _content_crs() -> tuple[bytes, bytes]:
    return (b"content-crs", f"<{CRS84}>".encode())


def _address(call: Call, name: str) -> str:
    return f"{call.base}/collections/{quote(name, safe='')}"


def _page_link(address: str, parameters: dict[str, str], limit: int, offset: int, relation: str) -> Json:
    asked = {**parameters, "limit": str(limit), "offset": str(offset)}
    return _link(_with(address, asked), relation, GEO_JSON, f"The {relation} page")


def _with(address: str, parameters: dict[str, str]) -> str:
    return f"{address}?{urlencode(parameters)}" if parameters else address


def _link(href: str, relation: str, media: str, title: str) -> Json:
    return {"href": href, "rel": relation, "type": media, "title": title}


RESOURCES: tuple[Resource, ...] = (
    Resource("/", "The landing page", landing_page, "/open-data"),
    Resource("/api", "The description of the API", api_description, media=OPENAPI_3_0),
    Resource("/conformance", "What the API conforms to", conformance),
    Resource("/collections", "The collections", list_collections, "/entities"),
    Resource("/collections/{collectionId}", "One collection", one_collection, "/entities?type={collection}"),
    Resource(
        "/collections/{collectionId}/queryables", "What filters may ask about", queryables, media=SCHEMA
    ),
    Resource("/collections/{collectionId}/schema", "The properties of the features", schema, media=SCHEMA),
    Resource(
        "/collections/{collectionId}/items",
        "Features",
        items,
        "/entities?type={collection}",
        media=GEO_JSON,
    ),
    Resource(
        "/collections/{collectionId}/items/{featureId}",
        "One feature",
        one_item,
        "/entities/{feature}",
        media=GEO_JSON,
    ),
)


def features_interface(rooms: Rooms) -> Interface:
    """OGC API - Features over the rooms of a city."""
    return Interface(
        ROOT,
        Features(rooms).answer,
        rooms.broker,
        methods=("GET", "HEAD", "OPTIONS"),
        read_from_elsewhere=not rooms.access.open_access,
    )
