"""Writing one Entity of which sources hold a part (ETSI GS CIM 009, 5.6.1 to 5.6.6, 5.6.17 to 5.6.19)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import orjson

from cityloom.federation.model import Origin, Question, Wire
from cityloom.federation.sharing import Share, Shares, share_out
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import CityError
from cityloom.kernel.media_types import JSON, JSON_LD
from cityloom.ngsild.contexts import Context
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.fallbacks import SEVERAL, conforming_attribute, conforming_payload, version_of
from cityloom.ngsild.parse import parse_attribute, parse_entity, parse_entity_fragment
from cityloom.ngsild.recompaction import recompacted_attribute, recompacted_entity
from cityloom.ngsild.registrations import Registration
from cityloom.web.addresses import address
from cityloom.web.ngsild.asking import type_selection
from cityloom.web.ngsild.distribution import origin_of, wire_to
from cityloom.web.ngsild.exchange import ROOT, Exchange, Reply
from cityloom.web.ngsild.operations import Handler
from cityloom.web.ngsild.outcomes import (
    Outcome,
    looped,
    outcome_of,
    settled,
    settled_attributes,
    unsupported,
)
from cityloom.web.ngsild.provision import (
    append_attributes,
    attribute_name_of,
    create_entity,
    delete_attribute,
    delete_entity,
    entity_id_of,
    merge_entity,
    object_of,
    replace_attribute,
    replace_entity,
    update_attribute,
    update_attributes,
)

#: Members of a fragment that are about the Entity as such, and go to everybody.
_OF_ALL = frozenset(
    {"id", "@id", "type", "@type", "scope", "expiresAt", "createdAt", "modifiedAt", "@context"}
)
#: Writes an Entity's fragment, or one attribute, with another @context.
_Recompact = Callable[[Any, Context, Context], Any]


async def create_everywhere(exchange: Exchange) -> Reply:
    """POST /entities (5.6.1)."""
    payload = await object_of(exchange)
    document = parse_entity(payload, exchange.context)
    entity_id, names = document["id"], frozenset(document["attrs"])
    origin = origin_of(exchange)
    shares = shares_of(exchange, origin, "createEntity", entity_id, tuple(document["type"]), names)
    outcomes = await done_everywhere(exchange, origin, shares, create_entity, "/entities", payload)
    location = (ROOT + address("entities", entity_id)).encode()
    return settled(outcomes, entity_id, Reply(201, headers=[(b"location", location)]))


async def replace_everywhere(exchange: Exchange) -> Reply:
    """PUT /entities/{entityId} (5.6.18)."""
    return await _write_fragment(exchange, "replaceEntity", replace_entity, "append")


async def merge_everywhere(exchange: Exchange) -> Reply:
    """PATCH /entities/{entityId} (5.6.17)."""
    return await _write_fragment(exchange, "mergeEntity", merge_entity, "merge")


async def append_everywhere(exchange: Exchange) -> Reply:
    """POST /entities/{entityId}/attrs (5.6.3)."""
    return await _write_fragment(exchange, "appendAttrs", append_attributes, "append")


async def update_everywhere(exchange: Exchange) -> Reply:
    """PATCH /entities/{entityId}/attrs (5.6.2)."""
    return await _write_fragment(exchange, "updateEntity", update_attributes, "update")


async def update_attribute_everywhere(exchange: Exchange) -> Reply:
    """PATCH /entities/{entityId}/attrs/{attrId} (5.6.4)."""
    return await _write_attribute(exchange, "updateAttrs", update_attribute)


async def replace_attribute_everywhere(exchange: Exchange) -> Reply:
    """PUT /entities/{entityId}/attrs/{attrId} (5.6.19)."""
    return await _write_attribute(exchange, "replaceAttrs", replace_attribute)


async def delete_attribute_everywhere(exchange: Exchange) -> Reply:
    """DELETE /entities/{entityId}/attrs/{attrId} (5.6.5)."""
    entity_id, name = entity_id_of(exchange), attribute_name_of(exchange)
    origin = origin_of(exchange)
    shares = shares_of(
        exchange, origin, "deleteAttrs", entity_id, _types(exchange, entity_id), frozenset({name})
    )
    path = _path(entity_id, name)
    outcomes = await done_everywhere(exchange, origin, shares, delete_attribute, path, None)
    return settled(without_absence(outcomes), entity_id, Reply(204))


async def delete_everywhere(exchange: Exchange) -> Reply:
    """DELETE /entities/{entityId} (5.6.6)."""
    entity_id = entity_id_of(exchange)
    origin = origin_of(exchange)
    types = _types(exchange, entity_id)
    shares = shares_of(exchange, origin, "deleteEntity", entity_id, types, frozenset(), whole=True)
    outcomes = await done_everywhere(exchange, origin, shares, delete_entity, _path(entity_id), None)
    return settled(without_absence(outcomes), entity_id, Reply(204))


async def _write_fragment(exchange: Exchange, operation: str, handler: Handler, purpose: Any) -> Reply:
    entity_id = entity_id_of(exchange)
    payload = await object_of(exchange)
    fragment = parse_entity_fragment(payload, exchange.context, purpose=purpose)
    names = frozenset(fragment["attrs"])
    types = tuple(fragment.get("type", ())) or _types(exchange, entity_id)
    origin = origin_of(exchange)
    shares = shares_of(exchange, origin, operation, entity_id, types, names)
    whole_entity = operation in ("replaceEntity", "mergeEntity")
    path = _path(entity_id) if whole_entity else f"{_path(entity_id)}/attrs"
    outcomes = without_absence(await done_everywhere(exchange, origin, shares, handler, path, payload))
    return settled(outcomes, entity_id, Reply(204)) if whole_entity else settled_attributes(outcomes)


async def _write_attribute(exchange: Exchange, operation: str, handler: Handler) -> Reply:
    entity_id = entity_id_of(exchange)
    payload = await object_of(exchange)
    name = attribute_name_of(exchange)
    parse_attribute(
        {key: value for key, value in payload.items() if key != "@context"},
        exchange.context,
        partial=operation == "updateAttrs",
    )
    origin = origin_of(exchange)
    shares = shares_of(exchange, origin, operation, entity_id, _types(exchange, entity_id), frozenset({name}))
    outcomes = await done_everywhere(
        exchange, origin, shares, handler, _path(entity_id, name), payload, recompact=recompacted_attribute
    )
    return settled(without_absence(outcomes), entity_id, Reply(204))


# Sharing out


def shares_of(
    exchange: Exchange,
    origin: Origin,
    operation: str,
    entity_id: str,
    types: tuple[str, ...],
    attributes: frozenset[str],
    *,
    whole: bool = False,
    remembered: InformationClass = InformationClass.OPEN,
) -> Shares:
    """Who gets which part of what is written of one Entity."""
    federation = exchange.services.federation
    return share_out(
        federation.may_be_told(origin, federation.about(origin, entity_id), entity_id, types, remembered),
        frozenset({operation}),
        entity_id,
        types,
        attributes,
        via=origin.via,
        came_around=federation.came_around(origin),
        whole=whole,
    )


def _types(exchange: Exchange, entity_id: str) -> tuple[str, ...]:
    """The types of an Entity as far as they are known: those that are asked for, or those it has here."""
    selection = type_selection(exchange.parameters.text("type"), exchange.context)
    if selection is not None:
        return selection.candidates()
    document = exchange.services.broker.find(exchange.actor, entity_id, tenant=exchange.tenant)
    return () if document is None else tuple(document["type"])


async def done_everywhere(
    exchange: Exchange,
    origin: Origin,
    shares: Shares,
    handler: Handler,
    path: str | Callable[[Wire], str],
    payload: Any,
    *,
    recompact: _Recompact = recompacted_entity,
) -> list[Outcome]:
    """Do each part where it belongs, all at the same time; what is here comes first in what is returned."""
    asked = []
    for share in shares.forwarded:
        wire = await wire_to(exchange, origin, share.registration)
        part = payload
        if payload is not None and recompact is recompacted_entity:
            part = part_of(payload, exchange.context, share)
        where = path(wire) if callable(path) else path
        question = question_of(exchange, share.registration, wire, where, part, recompact)
        asked.append((share.registration, question, wire))
    theirs = exchange.services.federation.ask(asked, origin)
    if shares.elsewhere:
        replies, own = await theirs, []
    else:
        replies, mine = await asyncio.gather(theirs, _here(exchange, shares, handler, payload, recompact))
        own = [mine]
    told = zip(replies, shares.forwarded, strict=True)
    return [
        *own,
        *(_failed(one, unsupported(one.registration)) for one in shares.refused),
        *(_failed(one, looped(one.registration)) for one in shares.looping),
        *(outcome_of(reply, share.attributes) for reply, share in told),
    ]


def _failed(share: Share, error: CityError) -> Outcome:
    return Outcome(share.registration, error, attributes=share.attributes)


async def _here(
    exchange: Exchange, shares: Shares, handler: Handler, payload: Any, recompact: _Recompact
) -> Outcome:
    """The city's own part."""
    part = payload
    if payload is not None and recompact is recompacted_entity:
        part = kept_of(payload, exchange.context, shares.local)
    try:
        reply = await handler(exchange.carrying(part) if payload is not None else exchange)
    except CityError as error:
        return Outcome(error=error, attributes=shares.local)
    return Outcome(reply=reply, attributes=shares.local)


def without_absence(outcomes: list[Outcome]) -> list[Outcome]:
    """That something is not here is no fault where it is held by sources alone (5.6.4.4)."""
    if not any(one.registration is not None and one.registration.proxied for one in outcomes):
        return outcomes
    return [
        one for one in outcomes if one.registration is not None or not isinstance(one.error, ResourceNotFound)
    ]


# What is sent


def part_of(payload: dict[str, Any], context: Context, share: Share) -> dict[str, Any]:
    """What a source gets of a fragment."""
    return kept_of(payload, context, share.attributes)


def question_of(
    exchange: Exchange,
    registration: Registration,
    wire: Wire,
    path: str,
    payload: Any,
    recompact: _Recompact,
) -> Question:
    """The request that is handed on: what was asked for here, in names that the source knows."""
    parameters = tuple(
        (name, value) for name, value in exchange.parameters.items() if name not in ("local", "type")
    )
    selection = type_selection(exchange.parameters.text("type"), exchange.context)
    if selection is not None:
        names = [wire.context.compact(name) for name in selection.candidates()]
        parameters = (*parameters, ("type", ",".join(names)))
    method = exchange.operation.method
    if payload is None:
        return Question(method, path, parameters)
    body, content_type = written(exchange, registration, wire, payload, recompact)
    return Question(method, path, parameters, body, content_type)


def written(
    exchange: Exchange, registration: Registration, wire: Wire, payload: dict[str, Any], recompact: _Recompact
) -> tuple[bytes, str]:
    """A body for a source and its Content-Type (4.3.6.6)."""
    usual = JSON_LD if exchange.is_json_ld else JSON
    content_type = registration.told("contentType") or usual
    if registration.told("jsonldContext") is not None:
        content_type = JSON
    source = exchange.context
    plain: Any = {key: value for key, value in payload.items() if key != "@context"}
    if content_type != JSON_LD and wire.context is not source:
        plain = recompact(plain, source, wire.context)
    plain = conforming_to(exchange, registration, plain, recompact)
    if content_type == JSON_LD:
        return orjson.dumps({**plain, "@context": source.reference()}), JSON_LD
    return orjson.dumps(plain), JSON


def conforming_to(
    exchange: Exchange, registration: Registration, payload: dict[str, Any], kind: _Recompact
) -> Any:
    """A payload as the version has it that the source speaks (4.3.6.6, 4.3.6.8)."""
    told = registration.told("ngsildConformance")
    if told is None:
        return payload
    version = version_of(told)
    if exchange.operation.path.startswith("/temporal"):
        # The instances of an attribute are those of its time: none of them is left out.
        version = max(version, SEVERAL)
    conform = conforming_payload if kind is recompacted_entity else conforming_attribute
    return conform(payload, version)


def kept_of(payload: dict[str, Any], context: Context, names: frozenset[str]) -> dict[str, Any]:
    """A fragment with these attributes alone, and what is said of the Entity as such."""
    return {key: value for key, value in payload.items() if key in _OF_ALL or context.expand(key) in names}


def _path(entity_id: str, attribute: str | None = None) -> Any:
    path = f"/entities/{quote(entity_id, safe=':')}"
    if attribute is None:
        return path
    return lambda wire: f"{path}/attrs/{quote(wire.context.compact(attribute), safe='')}"
