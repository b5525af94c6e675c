"""Writing the past (ETSI GS CIM 009, 6.18.3.1, 6.19.3.2, 6.20, 6.21, 6.22)."""

from __future__ import annotations

from typing import Any

from cityloom.ngsild.errors import BadRequestData, InvalidRequest
from cityloom.ngsild.model import Document, Instance
from cityloom.ngsild.names import check_uri
from cityloom.ngsild.temporal_parse import check_instance_id, parse_temporal_entity, parse_temporal_instance
from cityloom.web.addresses import address
from cityloom.web.ngsild.exchange import ROOT, Exchange, Reply
from cityloom.web.ngsild.provision import (
    attribute_name_of,
    check_models,
    check_times,
    entity_id_of,
    trace,
)


async def write_evolution(exchange: Exchange) -> Reply:
    """POST /temporal/entities: 201 for one that begins, 204 for one that goes on (5.6.11)."""
    document = parse_temporal_entity(await _object(exchange), exchange.context)
    _check(exchange, document)
    begun = await exchange.services.past.add(
        exchange.actor, document, create=True, trace=trace(exchange), tenant=exchange.tenant
    )
    if not begun:
        return Reply(204)
    if not exchange.services.has_tenant(exchange.actor, exchange.tenant):
        # Of a tenant that begins with a past nobody knows before history does.
        await exchange.services.remembered()
    location = ROOT + address("temporal", "entities", document["id"])
    return Reply(201, headers=[(b"location", location.encode())])


async def add_to_evolution(exchange: Exchange) -> Reply:
    """POST /temporal/entities/{entityId}/attrs (5.6.12)."""
    entity_id = entity_id_of(exchange)
    document = parse_temporal_entity(await _object(exchange), exchange.context, fragment=True)
    if document.setdefault("id", entity_id) != entity_id:
        raise BadRequestData(
            "The id in the body is not the one in the path", hint="Leave the id out of the body.", where="id"
        )
    _check(exchange, document)
    await exchange.services.past.add(
        exchange.actor, document, create=False, trace=trace(exchange), tenant=exchange.tenant
    )
    return Reply(204)


async def delete_evolution(exchange: Exchange) -> Reply:
    """DELETE /temporal/entities/{entityId} (5.6.16)."""
    await exchange.services.past.delete(
        exchange.actor, entity_id_of(exchange), trace=trace(exchange), tenant=exchange.tenant
    )
    return Reply(204)


async def delete_attribute_evolution(exchange: Exchange) -> Reply:
    """DELETE /temporal/entities/{entityId}/attrs/{attrId} (5.6.13)."""
    entity_id = entity_id_of(exchange)
    name = _attribute_name(exchange)
    dataset = exchange.parameters.text("datasetId")
    every = exchange.parameters.flag("deleteAll")
    if dataset is not None and dataset != "@none":
        check_uri(dataset, "datasetId")
    await exchange.services.past.delete_attribute(
        exchange.actor,
        entity_id,
        name,
        dataset=None if dataset == "@none" else dataset,
        every=every,
        trace=trace(exchange),
        tenant=exchange.tenant,
    )
    return Reply(204)


async def replace_attribute_instance(exchange: Exchange) -> Reply:
    """PATCH /temporal/entities/{entityId}/attrs/{attrId}/{instanceId} (5.6.14)."""
    entity_id = entity_id_of(exchange)
    payload = await _object(exchange)
    name = _attribute_name(exchange)
    identifier = check_instance_id(exchange.variables["instanceId"])
    instance = parse_temporal_instance(payload, name, exchange.context)
    document = {"id": entity_id, "attrs": {name: [instance]}}
    _check(exchange, document)
    await exchange.services.past.replace_instance(
        exchange.actor,
        entity_id,
        name,
        identifier,
        instance,
        trace=trace(exchange),
        tenant=exchange.tenant,
    )
    return Reply(204)


async def delete_attribute_instance(exchange: Exchange) -> Reply:
    """DELETE /temporal/entities/{entityId}/attrs/{attrId}/{instanceId} (5.6.15)."""
    await exchange.services.past.delete_instance(
        exchange.actor,
        entity_id_of(exchange),
        _attribute_name(exchange),
        check_instance_id(exchange.variables["instanceId"]),
        trace=trace(exchange),
        tenant=exchange.tenant,
    )
    return Reply(204)


def _check(exchange: Exchange, document: Document) -> None:
    """Clocks that are plainly wrong and values that the data models refuse, as in any other write."""
    check_times(exchange, document)
    said: dict[str, list[Instance]] = {}
    for name, items in document["attrs"].items():
        kept = [item for item in items if "deletedAt" not in item]
        if kept and name != "scope":
            said[name] = kept
    check_models(exchange, {**document, "attrs": said})


def _attribute_name(exchange: Exchange) -> str:
    return "scope" if exchange.variables["attrId"] == "scope" else attribute_name_of(exchange)


async def _object(exchange: Exchange) -> Any:
    payload = await exchange.payload()
    if not isinstance(payload, dict):
        raise InvalidRequest("The body is not a JSON object", hint="Send one entity over time: { … }.")
    return payload
