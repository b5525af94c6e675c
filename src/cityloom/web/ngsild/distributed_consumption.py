"""Reading Entities of which sources know something (ETSI GS CIM 009, 5.7.1, 5.7.2, 4.3.6.7)."""

from __future__ import annotations

from cityloom.federation.view import JointView, now_of
from cityloom.kernel.errors import CityError
from cityloom.ngsild.errors import BadRequestData
from cityloom.web.ngsild.application import refused
from cityloom.web.ngsild.asking import Asked, asked_by, names
from cityloom.web.ngsild.consumption import (
    create_map,
    create_map_by_post,
    query_by_post,
    query_entities,
    retrieve_entity,
)
from cityloom.web.ngsild.distribution import origin_of, warned
from cityloom.web.ngsild.exchange import Exchange, Reply
from cityloom.web.ngsild.operations import Handler
from cityloom.web.ngsild.provision import entity_id_of
from cityloom.web.ngsild.query_body import asked_in

_MEMBERS = frozenset({"id", "type", "scope"})


async def retrieve_everywhere(exchange: Exchange) -> Reply:
    """GET /entities/{entityId}."""
    entity_id = entity_id_of(exchange)
    asked = asked_by(exchange.parameters)
    view = joint_view(exchange, asked, split=True)
    await view.fetch(entity_id, asked.dataset_id)
    return await _answered(exchange, view, retrieve_entity)


async def query_everywhere(exchange: Exchange) -> Reply:
    """GET /entities."""
    if exchange.parameters.text("type") == "*":
        return await query_entities(exchange)
    asked = asked_by(exchange.parameters)
    split = exchange.parameters.flag("splitEntities")
    _refuse_order(asked)
    return await _answered(exchange, joint_view(exchange, asked, split=split), query_entities)


async def query_everywhere_by_post(exchange: Exchange) -> Reply:
    """POST /entityOperations/query."""
    payload = await exchange.payload()
    asked = asked_in(payload)
    split = payload.get("splitEntities") is True
    _refuse_order(asked)
    return await _answered(
        exchange.carrying(payload), joint_view(exchange, asked, split=split), query_by_post
    )


async def create_map_everywhere(exchange: Exchange) -> Reply:
    """GET /entityMaps (5.14.4)."""
    if exchange.parameters.text("type") == "*":
        return await create_map(exchange)
    asked = asked_by(exchange.parameters)
    split = exchange.parameters.flag("splitEntities")
    return await _answered(exchange, joint_view(exchange, asked, split=split), create_map)


async def create_map_everywhere_by_post(exchange: Exchange) -> Reply:
    """POST /entityMaps (5.14.4)."""
    payload = await exchange.payload()
    asked = asked_in(payload)
    view = joint_view(exchange, asked, split=payload.get("splitEntities") is True)
    return await _answered(exchange.carrying(payload), view, create_map_by_post)


def _refuse_order(asked: Asked) -> None:
    """Pages of several sources have no order in common (5.7.2.4)."""
    if asked.order_by is not None:
        raise BadRequestData(
            "What several sources know cannot be put in order",
            hint="Add local=true for what is here, or leave orderBy out.",
            where="orderBy",
        )


def joint_view(exchange: Exchange, asked: Asked, *, split: bool) -> JointView:
    """The city together with its sources, for one query."""
    federation = exchange.services.federation
    shown = [] if asked.omit else [term for term in asked.attrs or asked.pick if "{" not in term]
    wanted = names("pick", [term for term in shown if term not in _MEMBERS], exchange.context)
    return JointView(
        exchange.services.broker,
        federation,
        origin_of(exchange, asked.csf),
        exchange.services.contexts.use,
        now_of(federation),
        split=split,
        wanted=frozenset(wanted),
    )


async def _answered(exchange: Exchange, view: JointView, handler: Handler) -> Reply:
    seeing = exchange.seeing(view)
    try:
        reply = await handler(seeing)
    except CityError as error:
        reply = refused(error, exchange.scope)
    return warned(exchange, reply, view.warnings)
