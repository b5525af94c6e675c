"""Entities over time (ETSI GS CIM 009, 6.18.3.2, 6.19.3.1, 6.24.3.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from cityloom.context.entity_maps import Elsewhere
from cityloom.history.temporal import TemporalPage, TemporalQuery
from cityloom.history.temporal_representation import represent_temporal
from cityloom.kernel.time import format_instant
from cityloom.ngsild.contexts import Context
from cityloom.ngsild.errors import BadRequestData, ResourceNotFound
from cityloom.ngsild.query import DEFAULT_LIMIT, EntityQuery
from cityloom.web.ngsild.asking import Asked, asked_by, datasets, entity_query
from cityloom.web.ngsild.entity_maps import create_temporal_map, temporal_map_in_use
from cityloom.web.ngsild.exchange import Exchange, Headers, Reply
from cityloom.web.ngsild.paging import page_headers
from cityloom.web.ngsild.parameters import Parameters
from cityloom.web.ngsild.provision import entity_id_of
from cityloom.web.ngsild.query_body import asked_in
from cityloom.web.ngsild.showing import view_of
from cityloom.web.ngsild.temporal_asking import (
    Shown,
    TemporalAsked,
    named_as_parameters,
    temporal_asked_by,
    temporal_asked_in,
    temporal_query,
)

_RESERVED = ("id", "type", "scope")


class Wanted(msgspec.Struct, frozen=True):
    """A query over time as it was written, from parameters or from a body."""

    asked: Asked
    temporal: TemporalAsked
    local: bool
    by_body: bool = False


def wanted_by(exchange: Exchange) -> Wanted:
    """From the parameters of a GET."""
    asked = asked_by(exchange.parameters)
    local = exchange.parameters.flag("local") or asked.type == "*"
    return Wanted(asked, temporal_asked_by(exchange.parameters), local)


async def wanted_in(exchange: Exchange) -> Wanted:
    """From the body of a POST. Raises BadRequestData naming the member."""
    temporal, rest = temporal_asked_in(await exchange.payload())
    return Wanted(asked_in(rest), temporal, exchange.parameters.flag("local"), by_body=True)


async def retrieve_evolution(exchange: Exchange) -> Reply:
    """GET /temporal/entities/{entityId} (5.7.3)."""
    return await evolution(exchange, mapped=True)


async def evolution(exchange: Exchange, *, mapped: bool) -> Reply:
    """The answer to 5.7.3. `mapped`: an entity map may be used."""
    entity_id = entity_id_of(exchange)
    asked = asked_by(exchange.parameters)
    _check_projection(exchange, asked)
    entities = EntityQuery(
        attrs=attributes_of(exchange, asked),
        dataset_id=tuple(datasets(asked.dataset_id)),
        limit=DEFAULT_LIMIT,
    )
    query, shown = _query(exchange, temporal_asked_by(exchange.parameters), entities)
    await exchange.services.remembered()
    found, page = await asyncio.to_thread(_one_evolution, exchange, entity_id, query, asked, shown)
    headers = _range(page, query)
    if mapped:
        alone = msgspec.structs.replace(entities, ids=(entity_id,))
        used = await temporal_map_in_use(exchange, asked, msgspec.structs.replace(query, entities=alone))
        headers += [] if used is None else used.headers
    return exchange.reply(found, status=206 if page.cut else 200, headers=headers)


async def query_evolutions(exchange: Exchange) -> Reply:
    """GET /temporal/entities (5.7.4)."""
    return await evolutions(exchange, wanted_by(exchange), mapped=True)


async def query_evolutions_by_post(exchange: Exchange) -> Reply:
    """POST /temporal/entityOperations/query (5.7.4)."""
    return await evolutions(exchange, await wanted_in(exchange), mapped=True)


async def evolutions(exchange: Exchange, wanted: Wanted, *, mapped: bool) -> Reply:
    """The answer to 5.7.4. `mapped`: an entity map may be used."""
    asked, (query, shown) = wanted.asked, query_of(exchange, wanted)
    await exchange.services.remembered()
    headers: Headers = []
    is_new = False
    with named_as_parameters():
        used = await temporal_map_in_use(exchange, asked, query) if mapped else None
    if used is not None:
        query = msgspec.structs.replace(query, entities=used.within(query.entities))
        headers, is_new = used.headers, used.is_new
    found, page = await asyncio.to_thread(_many_evolutions, exchange, query, asked, shown)
    entities = query.entities
    more = page.total > entities.offset + entities.limit
    headers += page_headers(exchange, more=more, total=page.total if entities.count else None)
    status = 206 if page.cut else 201 if is_new else 200
    return exchange.reply(found, status=status, headers=headers + _range(page, query))


async def create_map_over_time(exchange: Exchange) -> Reply:
    """GET /temporal/entityMaps (6.35.3.1)."""
    return await create_map_for(exchange, wanted_by(exchange))


async def create_map_over_time_by_post(exchange: Exchange) -> Reply:
    """POST /temporal/entityMaps (6.35.3.2)."""
    return await create_map_for(exchange, await wanted_in(exchange))


async def create_map_for(
    exchange: Exchange, wanted: Wanted, elsewhere: Mapping[str, tuple[Elsewhere, ...]] | None = None
) -> Reply:
    """The answer to 5.14.5; `elsewhere` is what sources know, by Entity."""
    if wanted.temporal.timerel is None:
        raise BadRequestData("No time is asked for", hint="Give timerel and timeAt.", where="timerel")
    query, _ = query_of(exchange, wanted)
    await exchange.services.remembered()
    with named_as_parameters():
        return await create_temporal_map(exchange, wanted.asked, query, elsewhere)


def query_of(exchange: Exchange, wanted: Wanted) -> tuple[TemporalQuery, Shown]:
    """What history is asked. Raises BadRequestData, also where no time is asked for (5.7.4.4)."""
    asked, temporal = wanted.asked, wanted.temporal
    _check_projection(exchange, asked)
    entities = entity_query(asked, exchange.context, exchange.parameters, local=wanted.local)
    entities = msgspec.structs.replace(entities, attrs=attributes_of(exchange, asked))
    found = _query(exchange, temporal, entities, by_body=wanted.by_body)
    if temporal.timerel is None and temporal.timeproperty is None and temporal.last_n is None:
        raise BadRequestData(
            "A query over time needs a time",
            hint="Add timerel=after and timeAt, or lastN.",
            where="timerel",
        )
    return found


def _query(
    exchange: Exchange, asked: TemporalAsked, entities: EntityQuery, *, by_body: bool = False
) -> tuple[TemporalQuery, Shown]:
    return temporal_query(
        asked,
        exchange.parameters,
        entities,
        most_instances=exchange.services.most_instances,
        by_body=by_body,
    )


# In a thread: reading, and making the answer of what was read


def _one_evolution(
    exchange: Exchange, entity_id: str, query: TemporalQuery, asked: Asked, shown: Shown
) -> tuple[dict[str, Any], TemporalPage]:
    with named_as_parameters():
        page = exchange.services.temporal.temporal_entity(
            exchange.actor, entity_id, query, tenant=exchange.tenant
        )
    found = represented(exchange, asked, page, query, shown)[0]
    if not found:
        raise ResourceNotFound(
            "Nothing of the entity is left to be shown", hint="Pick more, or omit less.", where="pick"
        )
    return found, page


def _many_evolutions(
    exchange: Exchange, query: TemporalQuery, asked: Asked, shown: Shown
) -> tuple[list[dict[str, Any]], TemporalPage]:
    with named_as_parameters():
        page = exchange.services.temporal.temporal_entities(exchange.actor, query, tenant=exchange.tenant)
    return represented(exchange, asked, page, query, shown), page


def represented(
    exchange: Exchange, asked: Asked, page: TemporalPage, query: TemporalQuery, shown: Shown
) -> list[dict[str, Any]]:
    """The Entities of a page as they are shown, with the members that were picked (4.21)."""
    kept = _kept_members(exchange.context, asked)
    return [
        {key: value for key, value in one.items() if kept(key)}
        for one in (
            represent_temporal(
                entity,
                exchange.context,
                format=shown.format,
                sys_attrs=shown.sys_attrs,
                time_property=query.window.time_property,
                lang=asked.lang,
            )
            for entity in page.entities
        )
    ]


def _check_projection(exchange: Exchange, asked: Asked) -> None:
    """Raises BadRequestData where pick, omit, attrs and lang contradict each other or the grammar (4.21)."""
    view_of(asked, exchange.context, Parameters({}))


def attributes_of(exchange: Exchange, asked: Asked) -> tuple[str, ...]:
    """The attributes that must be read: those of attrs, or else those of pick."""
    context = exchange.context
    named = [term for term in asked.attrs or asked.pick if term not in ("id", "type")]
    return tuple(term if term == "scope" else context.expand(term) for term in named)


def _kept_members(context: Context, asked: Asked) -> Callable[[str], bool]:
    """Whether a member of the answer was picked and not omitted (4.21)."""
    compact, expand = context.compact, context.expand
    picked = {term if term in _RESERVED else compact(expand(term)) for term in asked.pick}
    omitted = {term if term in _RESERVED else compact(expand(term)) for term in asked.omit}
    return lambda name: (not picked or name in picked) and name not in omitted


def _range(page: TemporalPage, query: TemporalQuery) -> Headers:
    """What part of the time asked for a cut answer holds (6.3.10)."""
    if not page.cut or page.first is None or page.last is None:
        return []
    if query.last_n is None:
        value = f"{_text(query.window.since or page.first)}-{_text(page.last)}/*"
    else:
        value = f"{_text(query.window.until or page.last)}-{_text(page.first)}/{query.last_n}"
    return [(b"content-range", f"date-time {value}".encode())]


def _text(instant: datetime) -> str:
    return format_instant(instant)
