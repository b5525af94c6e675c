"""What the queries of a snapshot bring into it (ETSI GS CIM 009, 5.16.1.4)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from cityloom.context.broker import Broker
from cityloom.history.temporal import TemporalEntity, TemporalQuery
from cityloom.kernel.actor import InformationClass
from cityloom.ngsild.errors import BadRequestData, TooManyResults
from cityloom.ngsild.model import Document
from cityloom.ngsild.query import MAX_LIMIT
from cityloom.snapshots.world import World
from cityloom.web.ngsild.asking import entity_query
from cityloom.web.ngsild.distributed_consumption import joint_view
from cityloom.web.ngsild.exchange import Exchange
from cityloom.web.ngsild.parameters import Parameters
from cityloom.web.ngsild.query_body import asked_in
from cityloom.web.ngsild.temporal_asking import named_as_parameters, temporal_asked_in, temporal_query

#: Instances of attributes that one query over time brings.
MAX_INSTANCES = 100_000
#: Entities over time that are taken in at once.
_PAGE = 100


async def take_entities(exchange: Exchange, query: Any, world: World) -> int:
    """The Entities that match here and at the sources (5.7.2.4). How many they were."""
    asked = asked_in(query)
    local = not exchange.services.federation.any(exchange.tenant)
    sight = exchange.services.broker if local else joint_view(exchange, asked, split=False)
    wanted = entity_query(asked, exchange.context, exchange.parameters, local=False)
    offset = 0
    while True:
        page = await sight.search(
            exchange.actor,
            msgspec.structs.replace(wanted, limit=MAX_LIMIT, offset=offset),
            tenant=exchange.tenant,
        )
        await world.add((document, _class_of(exchange, document)) for document in page.documents)
        offset += len(page.documents)
        if len(page.texts) < MAX_LIMIT:
            return offset


async def take_evolutions(exchange: Exchange, query: Any, world: World) -> int:
    """What is remembered here of the Entities that match (5.7.4.4). How many they were."""
    wanted = _over_time(exchange, query)
    await exchange.services.remembered()
    count = instances = 0
    while True:
        with named_as_parameters():
            page = await asyncio.to_thread(
                exchange.services.temporal.temporal_entities,
                exchange.actor,
                _paged(wanted, count),
                tenant=exchange.tenant,
            )
        instances += sum(len(items) for one in page.entities for items in one.document["attrs"].values())
        if page.cut or instances > MAX_INSTANCES:
            raise TooManyResults(
                f"More than {MAX_INSTANCES} instances match",
                hint="Ask for a shorter time, for fewer attributes or by lastN.",
                where="temporalQ",
            )
        for one in page.entities:
            await _take_evolution(exchange, one, world)
        count += len(page.entities)
        if count >= page.total or not page.entities:
            return count


async def _take_evolution(exchange: Exchange, one: TemporalEntity, world: World) -> None:
    document = one.document
    past, actor, tenant = exchange.services.past, exchange.actor, exchange.tenant
    remembered = past.secrecy(actor, document["id"], tenant=tenant)
    broker = exchange.services.broker
    if broker.raw(actor, document["id"], tenant=tenant) is not None:
        remembered = max(remembered, broker.class_of(actor, document["id"], tenant=tenant))
    await world.add_past(document, remembered)


def _paged(query: TemporalQuery, offset: int) -> TemporalQuery:
    entities = msgspec.structs.replace(query.entities, limit=_PAGE, offset=offset)
    return msgspec.structs.replace(query, entities=entities, by_columns=False)


def _over_time(exchange: Exchange, query: Any) -> TemporalQuery:
    temporal, rest = temporal_asked_in(query)
    asked = asked_in(rest)
    if temporal.methods:
        raise BadRequestData(
            "A snapshot holds instances, and no aggregates of them",
            hint="Leave aggrParams out, and ask the snapshot for aggregates.",
            where="aggrParams",
        )
    named = asked.attrs or asked.pick
    names = tuple(exchange.context.expand(one) for one in named if one not in ("id", "type"))
    nothing = Parameters({})
    entities = msgspec.structs.replace(
        entity_query(asked, exchange.context, nothing, local=True), attrs=names
    )
    found, _ = temporal_query(temporal, nothing, entities, most_instances=MAX_INSTANCES, by_body=True)
    return found


def _class_of(exchange: Exchange, document: Document) -> InformationClass:
    """The class of an Entity as it was found: what sources have added to one is not of its class."""
    broker: Broker = exchange.services.broker
    actor, tenant = exchange.actor, exchange.tenant
    if broker.find(actor, document["id"], tenant=tenant) == document:
        return broker.class_of(actor, document["id"], tenant=tenant)
    return max(actor.clearance)
