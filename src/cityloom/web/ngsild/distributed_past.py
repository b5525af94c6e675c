"""Writing the past of Entities of which sources hold a part (ETSI GS CIM 009, 5.6.11 to 5.6.16)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from cityloom.federation.model import Origin, Wire
from cityloom.federation.sharing import Shares
from cityloom.ngsild.names import check_name
from cityloom.ngsild.recompaction import recompacted_attribute
from cityloom.ngsild.temporal_parse import check_instance_id, parse_temporal_entity, parse_temporal_instance
from cityloom.web.addresses import address
from cityloom.web.ngsild.distributed_provision import done_everywhere, shares_of, without_absence
from cityloom.web.ngsild.distribution import origin_of
from cityloom.web.ngsild.exchange import ROOT, Exchange, Reply
from cityloom.web.ngsild.operations import Handler
from cityloom.web.ngsild.outcomes import settled
from cityloom.web.ngsild.provision import entity_id_of, object_of
from cityloom.web.ngsild.temporal_provision import (
    add_to_evolution,
    delete_attribute_evolution,
    delete_attribute_instance,
    delete_evolution,
    replace_attribute_instance,
    write_evolution,
)


async def write_evolution_everywhere(exchange: Exchange) -> Reply:
    """POST /temporal/entities (5.6.11)."""
    payload = await object_of(exchange)
    document = parse_temporal_entity(payload, exchange.context)
    entity_id = document["id"]
    origin = origin_of(exchange)
    names = frozenset(document["attrs"])
    shares = _shares(exchange, origin, "upsertTemporal", entity_id, tuple(document["type"]), names)
    outcomes = await done_everywhere(exchange, origin, shares, write_evolution, "/temporal/entities", payload)
    location = f"{ROOT}{_path(entity_id)}".encode()
    return settled(outcomes, entity_id, Reply(201, headers=[(b"location", location)]))


async def add_to_evolution_everywhere(exchange: Exchange) -> Reply:
    """POST /temporal/entities/{entityId}/attrs (5.6.12)."""
    entity_id = entity_id_of(exchange)
    payload = await object_of(exchange)
    document = parse_temporal_entity(payload, exchange.context, fragment=True)
    origin = origin_of(exchange)
    names = frozenset(document["attrs"])
    types = tuple(document.get("type", ()))
    shares = _shares(exchange, origin, "appendAttrsTemporal", entity_id, types, names)
    outcomes = await done_everywhere(
        exchange, origin, shares, add_to_evolution, f"{_path(entity_id)}/attrs", payload
    )
    return settled(without_absence(outcomes), entity_id, Reply(204))


async def delete_evolution_everywhere(exchange: Exchange) -> Reply:
    """DELETE /temporal/entities/{entityId} (5.6.16)."""
    entity_id = entity_id_of(exchange)
    origin = origin_of(exchange)
    shares = _shares(exchange, origin, "deleteTemporal", entity_id, (), frozenset(), whole=True)
    outcomes = await done_everywhere(exchange, origin, shares, delete_evolution, _path(entity_id), None)
    return settled(without_absence(outcomes), entity_id, Reply(204))


async def delete_attribute_evolution_everywhere(exchange: Exchange) -> Reply:
    """DELETE /temporal/entities/{entityId}/attrs/{attrId} (5.6.13)."""
    return await _about_attribute(exchange, "deleteAttrsTemporal", delete_attribute_evolution)


async def replace_attribute_instance_everywhere(exchange: Exchange) -> Reply:
    """PATCH /temporal/entities/{entityId}/attrs/{attrId}/{instanceId} (5.6.14)."""
    payload = await object_of(exchange)
    parse_temporal_instance(payload, _attribute(exchange), exchange.context)
    return await _about_attribute(exchange, "updateAttrInstanceTemporal", replace_attribute_instance, payload)


async def delete_attribute_instance_everywhere(exchange: Exchange) -> Reply:
    """DELETE /temporal/entities/{entityId}/attrs/{attrId}/{instanceId} (5.6.15)."""
    return await _about_attribute(exchange, "deleteAttrInstanceTemporal", delete_attribute_instance)


async def _about_attribute(
    exchange: Exchange, operation: str, handler: Handler, payload: Any = None
) -> Reply:
    entity_id, name = entity_id_of(exchange), _attribute(exchange)
    rest = ""
    if "instanceId" in exchange.variables:
        rest = "/" + quote(check_instance_id(exchange.variables["instanceId"]), safe=":")

    def path(wire: Wire) -> str:
        return f"{_path(entity_id)}/attrs/{quote(wire.context.compact(name), safe='')}{rest}"

    origin = origin_of(exchange)
    shares = _shares(exchange, origin, operation, entity_id, (), frozenset({name}))
    outcomes = await done_everywhere(
        exchange, origin, shares, handler, path, payload, recompact=recompacted_attribute
    )
    return settled(without_absence(outcomes), entity_id, Reply(204))


def _shares(
    exchange: Exchange,
    origin: Origin,
    operation: str,
    entity_id: str,
    types: tuple[str, ...],
    attributes: frozenset[str],
    *,
    whole: bool = False,
) -> Shares:
    """Who gets which part. What is remembered of a deleted Entity is as secret as the Entity was."""
    remembered = exchange.services.past.secrecy(exchange.actor, entity_id, tenant=exchange.tenant)
    return shares_of(
        exchange, origin, operation, entity_id, types, attributes, whole=whole, remembered=remembered
    )


def _attribute(exchange: Exchange) -> str:
    term = exchange.variables["attrId"]
    check_name(term, "attrId")
    return "scope" if term == "scope" else exchange.context.expand(term)


def _path(entity_id: str) -> str:
    return address("temporal", "entities", entity_id)
