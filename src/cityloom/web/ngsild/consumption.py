"""Reading entities (ETSI GS CIM 009, 6.4.3.2, 6.5.3.1, 6.23)."""

from __future__ import annotations

from typing import Any

import msgspec

from cityloom.context.consumption import in_turns
from cityloom.context.querying import TURN_SECONDS
from cityloom.kernel.media_types import GEO_JSON
from cityloom.ngsild.errors import BadRequestData, ResourceNotFound
from cityloom.ngsild.fallbacks import conforming
from cityloom.ngsild.linking import Join, join_steps
from cityloom.ngsild.model import Document
from cityloom.ngsild.plain_showing import normalized
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.representation import AS_IT_IS, View, geojson_feature, show
from cityloom.web.ngsild.asking import (
    Asked,
    asked_by,
    entity_query,
    join_of,
)
from cityloom.web.ngsild.entity_maps import ENTITY_MAP, create_entity_map, map_in_use
from cityloom.web.ngsild.exchange import Exchange, Headers, Reply
from cityloom.web.ngsild.paging import page_headers
from cityloom.web.ngsild.provision import entity_id_of, find
from cityloom.web.ngsild.query_body import asked_in
from cityloom.web.ngsild.showing import geometry_property, view_of


async def retrieve_entity(exchange: Exchange) -> Reply:
    """GET /entities/{entityId}."""
    entity_id = entity_id_of(exchange)
    if exchange.parameters.are_none and not exchange.header(ENTITY_MAP) and _is_plain(exchange):
        text = exchange.sight.retrieve_text(exchange.actor, entity_id, tenant=exchange.tenant)
        return exchange.reply_shown(normalized(text, exchange.context, exchange.context_inside))
    asked = asked_by(exchange.parameters)
    join = join_of(asked)
    view = view_of(asked, exchange.context, exchange.parameters)
    geometry = geometry_property(exchange.parameters, exchange.context, geojson=exchange.media == GEO_JSON)
    document = find(exchange, entity_id)
    if asked.attrs and view.pick.isdisjoint(document["attrs"]):
        raise ResourceNotFound(
            f"{entity_id} has none of these attributes",
            hint="Look at the entity without attrs.",
            where="attrs",
        )
    if (asked.pick or asked.omit) and not show(document, exchange.context, view):
        raise ResourceNotFound(
            f"Nothing of {entity_id} is left to show", hint="Pick more of it, or omit less.", where="pick"
        )
    mapped = await map_in_use(exchange, asked, EntityQuery(ids=(entity_id,)))
    headers = [] if mapped is None else mapped.headers
    answer = _Answering(exchange, view, join)
    found = await answer.entities([document])
    if join is None or join.how == "inline":
        return answer.reply(_one(exchange, *found[0], geometry), headers)
    return answer.reply(_several(exchange, found, geometry), headers)


async def query_entities(exchange: Exchange) -> Reply:
    """GET /entities."""
    asked = asked_by(exchange.parameters)
    return await _answer(exchange, asked, local=is_local(exchange, asked))


def is_local(exchange: Exchange, asked: Asked) -> bool:
    """Whether what is here alone is asked for (6.3.18). Raises BadRequestData."""
    local = exchange.parameters.flag("local")
    if asked.type != "*":
        return local
    if "local" in exchange.parameters and not local:
        raise BadRequestData("type=* asks for what is here alone", hint="Leave local out.", where="local")
    return True


async def query_by_post(exchange: Exchange) -> Reply:
    """POST /entityOperations/query."""
    asked = asked_in(await exchange.payload())
    return await _answer(exchange, asked, local=exchange.parameters.flag("local"))


async def create_map(exchange: Exchange) -> Reply:
    """GET /entityMaps (6.34.3.1)."""
    asked = asked_by(exchange.parameters)
    return await create_entity_map(exchange, asked, local=is_local(exchange, asked))


async def create_map_by_post(exchange: Exchange) -> Reply:
    """POST /entityMaps (6.34.3.2)."""
    asked = asked_in(await exchange.payload())
    return await create_entity_map(exchange, asked, local=exchange.parameters.flag("local"))


async def _answer(exchange: Exchange, asked: Asked, *, local: bool) -> Reply:
    join = join_of(asked)
    view = view_of(asked, exchange.context, exchange.parameters)
    geometry = geometry_property(exchange.parameters, exchange.context, geojson=exchange.media == GEO_JSON)
    query = entity_query(asked, exchange.context, exchange.parameters, local=local)
    mapped = await map_in_use(exchange, asked, query)
    if mapped is not None:
        query = mapped.within(query)
    # One more than asked for tells whether there is a next page.
    wanted = msgspec.structs.replace(query, limit=query.limit + 1)
    page = await exchange.sight.search(exchange.actor, wanted, tenant=exchange.tenant)
    more = len(page.texts) > query.limit
    headers = page_headers(exchange, more=more, total=page.total)
    if mapped is not None:
        headers += mapped.headers
    status = 201 if mapped is not None and mapped.is_new else 200
    del page.texts[query.limit :]
    if join is None and view == AS_IT_IS and _is_plain(exchange):
        context, inside = exchange.context, exchange.context_inside
        body = b",".join([normalized(text, context, inside) for text in page.texts])
        return exchange.reply_shown(b"[%b]" % body, status=status, headers=headers)
    answer = _Answering(exchange, view, join)
    found = await answer.entities(page.documents)
    return answer.reply(_several(exchange, found, geometry), headers, status)


def _is_plain(exchange: Exchange) -> bool:
    """Whether headers ask for entities as they are."""
    return exchange.media != GEO_JSON and exchange.preferred_version is None


class _Answering:
    """Makes the entities of an answer: with those linked to them (4.5.23), in the version of the standard
    that is preferred (4.3.6.8)."""

    def __init__(self, exchange: Exchange, view: View, join: Join | None) -> None:
        self._exchange = exchange
        self._view = view
        self._join = join
        self._version = exchange.preferred_version
        self._is_altered = False

    async def entities(self, documents: list[Document]) -> list[tuple[Document, View]]:
        """The entities, each with how it is shown; linked ones that the asker may see."""
        documents = [self._conforming(document) for document in documents]
        if self._join is None:
            return [(document, self._view) for document in documents]
        return await in_turns(
            join_steps(documents, self._exchange.context, self._view, self._join, self._linked),
            TURN_SECONDS,
        )

    def reply(self, shown: Any, headers: Headers | None = None, status: int = 200) -> Reply:
        """The answer: 203 where entities were altered for the version that is preferred."""
        made = list(headers or [])
        if self._version is not None:
            major, minor = self._version
            made.append((b"preference-applied", f"ngsi-ld={major}.{minor}".encode()))
        return self._exchange.reply(shown, status=203 if self._is_altered else status, headers=made)

    def _conforming(self, document: Document) -> Document:
        if self._version is None:
            return document
        made = conforming(document, self._version, self._exchange.context)
        self._is_altered |= made is not document
        return made

    def _linked(self, entity_id: str) -> Document | None:
        exchange = self._exchange
        found = exchange.sight.find(exchange.actor, entity_id, tenant=exchange.tenant)
        return None if found is None else self._conforming(found)


def _one(exchange: Exchange, document: Document, view: View, geometry: str) -> dict[str, Any]:
    if exchange.media == GEO_JSON:
        return geojson_feature(document, exchange.context, view, geometry_property=geometry)
    return show(document, exchange.context, view)


def _several(exchange: Exchange, found: list[tuple[Document, View]], geometry: str) -> Any:
    shown = [_one(exchange, document, view, geometry) for document, view in found]
    return {"type": "FeatureCollection", "features": shown} if exchange.media == GEO_JSON else shown
