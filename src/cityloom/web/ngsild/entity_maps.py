"""Entity maps over HTTP (ETSI GS CIM 009, 5.14, 6.32, 6.34, 6.35), and how queries use them (5.5.14)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from cityloom.context.entity_maps import MAX_IDS, Elsewhere, EntityMap, within
from cityloom.federation.view import JointView
from cityloom.history.periods import parse_step
from cityloom.history.temporal import TemporalQuery
from cityloom.kernel.actor import Actor
from cityloom.kernel.time import format_instant, parse_instant
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.names import check_uri
from cityloom.ngsild.query import EntityQuery
from cityloom.web.ngsild.asking import Asked, entity_query
from cityloom.web.ngsild.exchange import ROOT, Exchange, Headers, Reply

#: The header that names a map.
ENTITY_MAP = b"ngsild-entitymap"


class Mapped(msgspec.Struct, frozen=True):
    """The map that a request uses, and whether it was made for it."""

    map: EntityMap
    is_new: bool
    #: Whether what is looked at keeps to the map by itself.
    is_kept_to: bool = False

    @property
    def headers(self) -> Headers:
        """Where the map is."""
        return location_of(self.map)

    def within(self, query: EntityQuery) -> EntityQuery:
        """The query among the Entities of the map."""
        return query if self.is_kept_to else within(self.map, query)


def location_of(one: EntityMap) -> Headers:
    """The header that says where a map is."""
    return [(ENTITY_MAP, f"{ROOT}/entityMaps/{one.id}".encode())]


async def map_in_use(exchange: Exchange, asked: Asked, query: EntityQuery) -> Mapped | None:
    """The map that the request names or asks for; None where it does neither."""
    named = exchange.header(ENTITY_MAP)
    sight = exchange.sight
    if not (named or asked.entity_map) or not (
        sight is exchange.services.broker or isinstance(sight, JointView)
    ):
        return None
    found = exchange.services.entity_maps.find(exchange.place, named.rpartition("/")[2])
    is_new = found is None or found.is_temporal
    if found is None or found.is_temporal:
        found = await _make(exchange, asked, query)
    else:
        await without_misfits(exchange, found)
    if isinstance(sight, JointView):
        sight.keep_to(found)
    return Mapped(found, is_new=is_new, is_kept_to=isinstance(sight, JointView))


async def temporal_map_in_use(exchange: Exchange, asked: Asked, query: TemporalQuery) -> Mapped | None:
    """The map of Entities over time that the request names or asks for; None where it does neither."""
    named = exchange.header(ENTITY_MAP)
    if not (named or asked.entity_map):
        return None
    found = named_temporal_map(exchange)
    if found is not None:
        await without_misfits(exchange, found)
        return Mapped(found, is_new=False)
    return Mapped(await make_temporal_map(exchange, asked, query), is_new=True)


async def named_map(exchange: Exchange) -> Mapped | None:
    """The map that the request names, None where it names none. Raises ResourceNotFound."""
    named = exchange.header(ENTITY_MAP)
    if not named:
        return None
    found = exchange.services.entity_maps.get(exchange.place, named.rpartition("/")[2])
    await without_misfits(exchange, found)
    return Mapped(found, is_new=False)


async def create_entity_map(exchange: Exchange, asked: Asked, *, local: bool) -> Reply:
    """The map of a query, as an answer of its own (5.14.4)."""
    query = entity_query(asked, exchange.context, exchange.parameters, local=local)
    made = await _make(exchange, asked, query)
    return exchange.reply(await _shown(exchange, made), status=201, headers=location_of(made))


async def create_temporal_map(
    exchange: Exchange,
    asked: Asked,
    query: TemporalQuery,
    elsewhere: Mapping[str, tuple[Elsewhere, ...]] | None = None,
) -> Reply:
    """The map of a query over time (5.14.5); `elsewhere` is what sources know, by Entity."""
    made = await make_temporal_map(exchange, asked, query, elsewhere)
    return exchange.reply(await _shown(exchange, made), status=201, headers=location_of(made))


async def retrieve_entity_map(exchange: Exchange) -> Reply:
    """GET /entityMaps/{entityMapId} (5.14.1)."""
    found = exchange.services.entity_maps.get(exchange.place, _id_of(exchange))
    return exchange.reply(await _shown(exchange, found))


async def update_entity_map(exchange: Exchange) -> Reply:
    """PATCH /entityMaps/{entityMapId}: when it expires; the rest is the system's (5.14.2)."""
    map_id = _id_of(exchange)
    payload = await exchange.payload()
    if not isinstance(payload, dict):
        raise BadRequestData("The body is no EntityMap", hint='Send {"expiresAt": "…"}.')
    exchange.services.entity_maps.tended(exchange.actor, exchange.place, map_id)
    if "expiresAt" in payload:
        expires = parse_instant(payload["expiresAt"], where="expiresAt")
        exchange.services.entity_maps.keep_until(exchange.actor, exchange.place, map_id, expires)
    return Reply(204)


async def delete_entity_map(exchange: Exchange) -> Reply:
    """DELETE /entityMaps/{entityMapId} (5.14.3)."""
    exchange.services.entity_maps.remove(exchange.actor, exchange.place, _id_of(exchange))
    return Reply(204)


async def _make(exchange: Exchange, asked: Asked, query: EntityQuery) -> EntityMap:
    lifetime = _lifetime(asked)
    tenant, actor, sight = exchange.tenant, exchange.actor, exchange.sight
    sources: dict[str, tuple[Elsewhere, ...]] = {}
    if isinstance(sight, JointView):
        ids, sources = await sight.candidates(query, most=MAX_IDS)
    else:
        ids = await exchange.services.broker.search_ids(actor, query, most=MAX_IDS, tenant=tenant)
    return exchange.services.entity_maps.add(
        exchange.place, actor, query, ids, lifetime=lifetime, sources=sources
    )


def named_temporal_map(exchange: Exchange) -> EntityMap | None:
    """The map over time that the request names, where there is one."""
    named = exchange.header(ENTITY_MAP)
    found = exchange.services.entity_maps.find(exchange.place, named.rpartition("/")[2])
    return found if found is not None and found.is_temporal else None


async def make_temporal_map(
    exchange: Exchange,
    asked: Asked,
    query: TemporalQuery,
    elsewhere: Mapping[str, tuple[Elsewhere, ...]] | None = None,
) -> EntityMap:
    """A new map of a query over time; `elsewhere` is what sources know, by Entity. Raises OverQuota."""
    lifetime = _lifetime(asked)
    temporal, actor, tenant = exchange.services.temporal, exchange.actor, exchange.tenant

    async def matching(ids: tuple[str, ...]) -> list[str]:
        entities = msgspec.structs.replace(query.entities, ids=ids)
        wanted = msgspec.structs.replace(query, entities=entities)
        return await asyncio.to_thread(temporal.ids, actor, wanted, tenant=tenant)

    async def still_matching(ids: tuple[str, ...]) -> list[str]:
        return await matching(ids) if ids else []

    sources = elsewhere or {}
    found = list(dict.fromkeys([*await matching(query.entities.ids), *sources]))
    return exchange.services.entity_maps.add(
        exchange.place,
        actor,
        query.entities,
        found[:MAX_IDS],
        lifetime=lifetime,
        recheck=still_matching,
        sources=sources,
    )


async def without_misfits(exchange: Exchange, one: EntityMap) -> None:
    """Take out what no longer matches for whom the map was made (5.5.9.3); what sources know is looked at
    when they answer."""
    if one.recheck is not None:
        living = set(await one.recheck(one.ids))
        one.ids = tuple(entity_id for entity_id in one.ids if entity_id in living or entity_id in one.sources)
        return
    here = tuple(entity_id for entity_id in one.ids if entity_id not in one.sources)
    among = msgspec.structs.replace(one.query, ids=here or ("urn:ngsi-ld:null",))
    living = set(await exchange.services.broker.search_ids(one.actor, among, tenant=exchange.tenant))
    one.ids = tuple(entity_id for entity_id in one.ids if entity_id in living or entity_id in one.sources)


def _lifetime(asked: Asked) -> timedelta | None:
    if asked.entity_map_lifetime is None:
        return None
    step = parse_step(asked.entity_map_lifetime, where="entityMapLifetime")
    return step.fixed + timedelta(days=min(step.days + 30 * step.months, 10_000))


def _id_of(exchange: Exchange) -> str:
    return check_uri(exchange.variables["entityMapId"], "entityMapId")


async def _shown(exchange: Exchange, one: EntityMap) -> dict[str, Any]:
    """The map as whoever reads it may see it (5.2.39)."""
    return {
        "id": one.id,
        "type": "EntityMap",
        "expiresAt": format_instant(one.expires),
        "entityMap": await places_seen(exchange, one),
        "linkedMaps": {},
    }


async def places_seen(exchange: Exchange, one: EntityMap) -> dict[str, list[str]]:
    """The Entities of a map that whoever asks may see, in its order, and where each is known."""
    broker, actor, tenant = exchange.services.broker, exchange.actor, exchange.tenant
    if one.is_temporal:
        remembered = exchange.services.temporal.visible_of
        visible = set(await asyncio.to_thread(remembered, actor, one.ids, tenant=tenant))
    else:
        visible = {one_id for one_id in one.ids if broker.raw(actor, one_id, tenant=tenant) is not None}
    places = {
        one_id: [*(["@none"] if one_id in visible else []), *_elsewhere(actor, one, one_id)]
        for one_id in one.ids
    }
    return {one_id: known for one_id, known in places.items() if known}


def _elsewhere(actor: Actor, one: EntityMap, entity_id: str) -> list[str]:
    """The sources that told of an Entity, as far as somebody may see what they told."""
    known = one.sources.get(entity_id, ())
    return [told.registration_id for told in known if actor.sees(told.information_class)]
