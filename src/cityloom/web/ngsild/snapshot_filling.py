"""What the queries of a snapshot bring into it (ETSI GS CIM 009, 5.16.1.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from cityloom.context.broker import Broker
from cityloom.history.joining import joined_evolutions
from cityloom.history.temporal import TemporalQuery
from cityloom.kernel.actor import InformationClass
from cityloom.ngsild.errors import BadRequestData, TooManyResults
from cityloom.ngsild.model import Document
from cityloom.ngsild.query import MAX_LIMIT
from cityloom.ngsild.registrations import Registration
from cityloom.snapshots.world import World
from cityloom.web.ngsild.asking import entity_query
from cityloom.web.ngsild.distributed_consumption import joint_view
from cityloom.web.ngsild.distribution import origin_of
from cityloom.web.ngsild.evolutions_elsewhere import evolutions_told
from cityloom.web.ngsild.exchange import Exchange
from cityloom.web.ngsild.parameters import Parameters
from cityloom.web.ngsild.query_body import asked_in
from cityloom.web.ngsild.temporal import Wanted
from cityloom.web.ngsild.temporal_asking import named_as_parameters, temporal_asked_in, temporal_query
from cityloom.web.ngsild.temporal_questions import EVOLUTIONS, questions_over_time

#: Entities over time, each with the class of what is told of it.
_Told = list[tuple[Document, InformationClass]]
#: Instances of attributes that one query over time brings.
MAX_INSTANCES = 100_000
#: Entities over time that are taken in at once.
_PAGE = 100


class Taken(NamedTuple):
    """How a query of a snapshot went."""

    #: How many Entities it brought.
    entities: int
    #: The sources that did not tell what they know.
    silent: frozenset[str] = frozenset()


async def take_entities(exchange: Exchange, query: Any, world: World) -> Taken:
    """The Entities that match here and at the sources (5.7.2.4)."""
    asked = asked_in(query)
    view = (
        joint_view(exchange, asked, split=False)
        if exchange.services.federation.any(exchange.tenant)
        else None
    )
    sight = exchange.services.broker if view is None else view
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
            return Taken(offset, frozenset() if view is None else _silent(view.warnings))


async def take_evolutions(exchange: Exchange, query: Any, world: World) -> Taken:
    """What is remembered of the Entities that match, here and at the sources (5.7.4.4)."""
    wanted, temporal = _over_time(exchange, query)
    here = await _remembered_here(exchange, temporal)
    there, silent = await _remembered_elsewhere(exchange, wanted, temporal)
    told = [*here, *there]
    joined = await asyncio.to_thread(
        joined_evolutions, [document for document, _ in told], temporal.window.time_property, temporal.last_n
    )
    secrecy: dict[str, InformationClass] = {}
    for document, known in told:
        secrecy[document["id"]] = max(known, secrecy.get(document["id"], known))
    for document in joined:
        await world.add_past(document, secrecy[document["id"]])
    return Taken(len(joined), silent)


async def _remembered_here(exchange: Exchange, query: TemporalQuery) -> _Told:
    await exchange.services.remembered()
    found: _Told = []
    instances = 0
    while True:
        with named_as_parameters():
            page = await asyncio.to_thread(
                exchange.services.temporal.temporal_entities,
                exchange.actor,
                _paged(query, len(found)),
                tenant=exchange.tenant,
            )
        instances += sum(len(items) for one in page.entities for items in one.document["attrs"].values())
        if page.cut or instances > MAX_INSTANCES:
            raise TooManyResults(
                f"More than {MAX_INSTANCES} instances match",
                hint="Ask for a shorter time, for fewer attributes or by lastN.",
                where="temporalQ",
            )
        found += [(one.document, _class_of_past(exchange, one.document["id"])) for one in page.entities]
        if len(found) >= page.total or not page.entities:
            return found


async def _remembered_elsewhere(
    exchange: Exchange, wanted: Wanted, query: TemporalQuery
) -> tuple[_Told, frozenset[str]]:
    """What sources tell, those that are registered longest first; and which of them do not."""
    federation = exchange.services.federation
    if not federation.any(exchange.tenant):
        return [], frozenset()
    origin = origin_of(exchange, wanted.asked.csf)
    asking = exchange.with_parameters({"options": "sysAttrs"})
    questions = await questions_over_time(asking, origin, "queryTemporal", EVOLUTIONS, query.entities, wanted)
    told = await evolutions_told(asking, origin, questions, all_pages=True)
    found = [
        (
            document,
            max(federation.class_told(one.registration, document), _class_of_past(exchange, document["id"])),
        )
        for one in told
        for document in one.documents
    ]
    return found, _silent((one.warning, one.registration) for one in told if one.warning)


def _class_of_past(exchange: Exchange, entity_id: str) -> InformationClass:
    past, actor, tenant = exchange.services.past, exchange.actor, exchange.tenant
    remembered = past.secrecy(actor, entity_id, tenant=tenant)
    broker = exchange.services.broker
    if broker.raw(actor, entity_id, tenant=tenant) is not None:
        remembered = max(remembered, broker.class_of(actor, entity_id, tenant=tenant))
    return remembered


def _silent(warnings: Iterable[tuple[str, Registration]]) -> frozenset[str]:
    return frozenset(registration.id for code, registration in warnings if code != "110")


def _paged(query: TemporalQuery, offset: int) -> TemporalQuery:
    entities = msgspec.structs.replace(query.entities, limit=_PAGE, offset=offset)
    return msgspec.structs.replace(query, entities=entities, by_columns=False)


def _over_time(exchange: Exchange, query: Any) -> tuple[Wanted, TemporalQuery]:
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
    return Wanted(asked, temporal, local=False, by_body=True), found


def _class_of(exchange: Exchange, document: Document) -> InformationClass:
    """The class of an Entity as it was found: what sources have added to one is not of its class."""
    broker: Broker = exchange.services.broker
    actor, tenant = exchange.actor, exchange.tenant
    if broker.find(actor, document["id"], tenant=tenant) == document:
        return broker.class_of(actor, document["id"], tenant=tenant)
    return max(actor.clearance)
