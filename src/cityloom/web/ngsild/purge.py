"""Deleting all entities that match, or some of their attributes (ETSI GS CIM 009, 5.6.21, 6.4.3.3)."""

from __future__ import annotations

from collections.abc import Callable

from cityloom.context.batch import BatchOutcome
from cityloom.ngsild.errors import BadRequestData, ResourceNotFound
from cityloom.web.ngsild.asking import asked_by, entity_query, names
from cityloom.web.ngsild.batches import batch_reply
from cityloom.web.ngsild.consumption import is_local
from cityloom.web.ngsild.entity_maps import named_map
from cityloom.web.ngsild.exchange import Exchange, Reply
from cityloom.web.ngsild.provision import trace


async def purge_entities(exchange: Exchange) -> Reply:
    """DELETE /entities. 207 tells of entities that could not be changed."""
    asked = asked_by(exchange.parameters)
    query = entity_query(asked, exchange.context, exchange.parameters, local=is_local(exchange, asked))
    is_kept = _kept_attributes(exchange)
    mapped = await named_map(exchange)
    if mapped is not None:
        query = mapped.within(query)
    broker = exchange.services.broker
    ids = await broker.search_ids(exchange.actor, query, tenant=exchange.tenant)
    why, tenant = trace(exchange), exchange.tenant
    if is_kept is None:
        outcome = await broker.delete_many(exchange.actor, ids, trace=why, tenant=tenant)
    else:
        outcome = await broker.keep_attributes_of_many(exchange.actor, ids, is_kept, trace=why, tenant=tenant)
    reply = batch_reply(_without_those_gone(outcome), [], 204)
    if mapped is not None:
        reply.headers = [*(reply.headers or []), *mapped.headers]
    return reply


def _kept_attributes(exchange: Exchange) -> Callable[[str], bool] | None:
    """Whether an attribute stays; None when whole entities go. Raises BadRequestData."""
    keep, drop = exchange.parameters.listed("keep"), exchange.parameters.listed("drop")
    if keep and drop:
        raise BadRequestData("keep and drop contradict each other", hint="Give one of them.", where="drop")
    if keep:
        return frozenset(names("keep", keep, exchange.context)).__contains__
    if drop:
        dropped = frozenset(names("drop", drop, exchange.context))
        return lambda name: name not in dropped
    return None


def _without_those_gone(outcome: BatchOutcome) -> BatchOutcome:
    """Entities that somebody else deleted meanwhile are as they should be."""
    outcome.errors = [one for one in outcome.errors if not isinstance(one[1], ResourceNotFound)]
    return outcome
