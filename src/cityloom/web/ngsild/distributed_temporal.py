"""The past as the city and its sources remember it (ETSI GS CIM 009, 5.7.3, 5.7.4, 4.3.6.7)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from urllib.parse import quote

import msgspec

from cityloom.context.entity_maps import Elsewhere
from cityloom.federation.discovering import Json, evolutions_together, last_of
from cityloom.federation.model import Origin
from cityloom.kernel.errors import CityError
from cityloom.ngsild.errors import TooManyResults
from cityloom.ngsild.json_text import decode_json
from cityloom.ngsild.names import NULL
from cityloom.ngsild.query import MAX_LIMIT, EntityQuery
from cityloom.web.ngsild.application import refused
from cityloom.web.ngsild.asking import entity_query, page_of
from cityloom.web.ngsild.distributed_aggregates import aggregating
from cityloom.web.ngsild.distribution import origin_of, warned
from cityloom.web.ngsild.entity_maps import (
    ENTITY_MAP,
    location_of,
    make_temporal_map,
    named_temporal_map,
    places_seen,
    without_misfits,
)
from cityloom.web.ngsild.exchange import Exchange, Headers, Reply
from cityloom.web.ngsild.operations import Handler
from cityloom.web.ngsild.paging import page_headers
from cityloom.web.ngsild.provision import entity_id_of
from cityloom.web.ngsild.temporal import (
    Wanted,
    create_map_for,
    evolution,
    evolutions,
    query_of,
    wanted_by,
    wanted_in,
)
from cityloom.web.ngsild.temporal_asking import named_as_parameters
from cityloom.web.ngsild.temporal_questions import EVOLUTIONS, Asked, Warnings, questions_over_time, told_by


async def retrieve_evolution_everywhere(exchange: Exchange) -> Reply:
    """GET /temporal/entities/{entityId} (5.7.3)."""
    entity_id = entity_id_of(exchange)
    query = EntityQuery(ids=(entity_id,))
    path = f"/temporal/entities/{quote(entity_id, safe=':')}"
    own = partial(evolution, mapped=False)
    return await _everywhere(exchange, "retrieveTemporal", own, path, query, wanted_by(exchange))


async def query_evolutions_everywhere(exchange: Exchange) -> Reply:
    """GET /temporal/entities (5.7.4)."""
    return await _query(exchange, wanted_by(exchange))


async def query_evolutions_everywhere_by_post(exchange: Exchange) -> Reply:
    """POST /temporal/entityOperations/query (5.7.4): sources are asked by GET."""
    return await _query(exchange, await wanted_in(exchange))


async def create_map_over_time_everywhere(exchange: Exchange) -> Reply:
    """GET /temporal/entityMaps (5.14.5)."""
    wanted = wanted_by(exchange)
    return await create_map_for(exchange, wanted, await _known_elsewhere(exchange, wanted))


async def create_map_over_time_everywhere_by_post(exchange: Exchange) -> Reply:
    """POST /temporal/entityMaps (5.14.5)."""
    wanted = await wanted_in(exchange)
    return await create_map_for(exchange, wanted, await _known_elsewhere(exchange, wanted))


async def _query(exchange: Exchange, wanted: Wanted) -> Reply:
    if exchange.header(ENTITY_MAP) or wanted.asked.entity_map:
        return await _mapped_page(exchange, wanted)
    return await _page_of(exchange, wanted)


async def _page_of(
    exchange: Exchange, wanted: Wanted, known: Mapping[str, tuple[str, ...]] | None = None
) -> Reply:
    """A page of the answer; `known` are the ids that each registration is asked for, None: all that match."""
    own = partial(evolutions, wanted=wanted, mapped=False)
    query = _entities_of(exchange, wanted)
    return await _everywhere(exchange, "queryTemporal", own, EVOLUTIONS, query, wanted, known)


async def _mapped_page(exchange: Exchange, wanted: Wanted) -> Reply:
    """A page of the Entities of a map, of which those sources are asked that know of them (5.5.14)."""
    found = named_temporal_map(exchange)
    is_new = found is None
    if found is None:
        query, _ = query_of(exchange, wanted)
        await exchange.services.remembered()
        elsewhere = await _known_elsewhere(exchange, wanted)
        with named_as_parameters():
            found = await make_temporal_map(exchange, wanted.asked, query, elsewhere)
    else:
        await without_misfits(exchange, found)
    limit, offset, count = page_of(exchange.parameters)
    # Somebody else's map may list what this asker may not know of: neither pages nor the count tell.
    seen = list(await places_seen(exchange, found))
    ids = tuple(seen[offset : offset + limit])
    among = msgspec.structs.replace(wanted.asked, ids=ids or (NULL,))
    known: dict[str, tuple[str, ...]] = {}
    for one in ids:
        for told in found.sources.get(one, ()):
            known[told.registration_id] = (*known.get(told.registration_id, ()), one)
    page = exchange.paged(max(1, len(ids)))
    reply = await _page_of(page, msgspec.structs.replace(wanted, asked=among), known)
    headers = [one for one in reply.headers or [] if one[0] != b"ngsild-results-count"]
    more, total = len(seen) > offset + limit, len(seen) if count else None
    headers += [*location_of(found), *page_headers(exchange, more=more, total=total)]
    status = 201 if is_new and reply.status == 200 else reply.status
    return Reply(status, reply.body, reply.media, headers)


async def _known_elsewhere(exchange: Exchange, wanted: Wanted) -> dict[str, tuple[Elsewhere, ...]]:
    """The Entities that sources know of over time."""
    origin = origin_of(exchange, wanted.asked.csf)
    query = _entities_of(exchange, wanted)
    whole = exchange.paged(MAX_LIMIT)
    questions = await questions_over_time(whole, origin, "queryTemporal", EVOLUTIONS, query, wanted)
    found: dict[str, tuple[Elsewhere, ...]] = {}
    federation = exchange.services.federation
    replies = await federation.ask(questions, origin)
    for (registration, _, wire), reply in zip(questions, replies, strict=True):
        for entity in told_by(exchange, origin, registration, wire, reply, []):
            types = entity["type"] if isinstance(entity["type"], list) else [entity["type"]]
            document = {"type": [exchange.context.expand(name) for name in types]}
            told = Elsewhere(registration.id, federation.class_told(registration, document))
            found[entity["id"]] = (*found.get(entity["id"], ()), told)
    return found


def _entities_of(exchange: Exchange, wanted: Wanted) -> EntityQuery:
    local = wanted.asked.type == "*"
    return entity_query(wanted.asked, exchange.context, exchange.parameters, local=local)


async def _everywhere(
    exchange: Exchange,
    operation: str,
    handler: Handler,
    path: str,
    query: EntityQuery,
    wanted: Wanted,
    known: Mapping[str, tuple[str, ...]] | None = None,
) -> Reply:
    origin = origin_of(exchange, wanted.asked.csf)
    single = operation == "retrieveTemporal"
    # A page of all is among the first pages of each; one more tells whether there is another.
    whole = exchange if single else exchange.paged(min(_reach(exchange) + 1, MAX_LIMIT))
    aggregates = aggregating(whole, wanted, query)
    instances, asked = (
        (whole, wanted) if aggregates is None else (aggregates.for_instances, aggregates.instances)
    )
    questions = await questions_over_time(instances, origin, operation, path, query, asked, known)
    if not questions:
        return await handler(exchange)
    if not single and _reach(exchange) > MAX_LIMIT:
        raise TooManyResults(
            f"What sources tell over time is paged {MAX_LIMIT} Entities deep",
            hint="Narrow the query, or add local=true for what is here.",
            where="offset",
        )
    if aggregates is None:
        found, (count, own), warnings = await _evolved(whole, origin, questions, handler)
    else:
        otherwise = partial(questions_over_time, whole, origin, operation, path, query, wanted, known)
        theirs, (mine, own) = await asyncio.gather(
            aggregates.ask(origin, questions, otherwise), _own(whole, handler)
        )
        found, warnings, count = await aggregates.together(mine, theirs), theirs.warnings, len(mine)
    if single:
        found = {one: entity for one, entity in found.items() if one == query.ids[0]}
    if own.status >= 400 and (own.status != 404 or not found):
        return warned(exchange, own, warnings)
    last_n, time_property = wanted.temporal.last_n, wanted.temporal.timeproperty or "observedAt"
    if last_n is not None and not wanted.temporal.methods:
        found = {one: last_of(entity, last_n, time_property) for one, entity in found.items()}
    others = [one for one in own.headers or [] if one[0] == b"content-range"]
    status = own.status if own.status < 400 else 200
    if single:
        merged = exchange.reply(next(iter(found.values())), status=status, headers=others)
    else:
        headers = others + _page_headers(exchange, own, count, len(found))
        merged = exchange.reply(_page(exchange, list(found.values())), status=status, headers=headers)
    return warned(exchange, merged, warnings)


async def _evolved(
    exchange: Exchange, origin: Origin, questions: list[Asked], handler: Handler
) -> tuple[dict[str, Json], tuple[int, Reply], Warnings]:
    """Entities by id with the instances of all; how many are here, and what is answered here."""
    theirs, (mine, own) = await asyncio.gather(
        exchange.services.federation.ask(questions, origin), _own(exchange, handler)
    )
    found = {entity["id"]: entity for entity in mine}
    warnings: Warnings = []
    for (registration, _, wire), reply in zip(questions, theirs, strict=True):
        for entity in told_by(exchange, origin, registration, wire, reply, warnings):
            one = entity["id"]
            found[one] = evolutions_together(found[one], entity) if one in found else entity
    return found, (len(mine), own), warnings


def _reach(exchange: Exchange) -> int:
    """How many Entities there are up to the end of the page."""
    limit, offset, _ = page_of(exchange.parameters)
    return offset + limit


def _page(exchange: Exchange, found: list[Json]) -> list[Json]:
    limit, offset, _ = page_of(exchange.parameters)
    return found[offset : offset + limit]


def _page_headers(exchange: Exchange, own: Reply, mine: int, found: int) -> Headers:
    """Links to other pages and the count: all that is here, and of sources what they were asked for."""
    _, _, count = page_of(exchange.parameters)
    here = [int(value) for name, value in own.headers or [] if name == b"ngsild-results-count"]
    total = max([found, *(number + found - mine for number in here)])
    return page_headers(exchange, more=found > _reach(exchange), total=total if count else None)


async def _own(exchange: Exchange, handler: Handler) -> tuple[list[Json], Reply]:
    """What the city itself remembers, its @context left out."""
    try:
        reply = await handler(exchange)
    except CityError as error:
        return [], refused(error, exchange.scope)
    found = decode_json(reply.body)
    entities = found if isinstance(found, list) else [found]
    return [{key: value for key, value in one.items() if key != "@context"} for one in entities], reply
