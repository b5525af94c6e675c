"""Writing one entity and its attributes (ETSI GS CIM 009, 6.4.3.1, 6.5.3, 6.6.3, 6.7.3)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import EARLIEST_SECOND, check_observed, parse_instant, second_of
from cityloom.ngsild.contexts import iri_of
from cityloom.ngsild.errors import BadRequestData, InvalidRequest, OperationNotSupported, ResourceNotFound
from cityloom.ngsild.fragment_modes import Purpose
from cityloom.ngsild.model import Document, Instance
from cityloom.ngsild.names import NULL, check_name, check_uri
from cityloom.ngsild.parse import parse_attribute, parse_entity, parse_entity_fragment
from cityloom.ngsild.type_selection import compile_types
from cityloom.ngsild.values import check_instant, joined
from cityloom.web.addresses import address
from cityloom.web.ngsild.asking import type_selection
from cityloom.web.ngsild.exchange import ROOT, Exchange, Reply, plain_reply


async def create_entity(exchange: Exchange) -> Reply:
    """POST /entities."""
    payload = await object_of(exchange)
    document = parse_entity(payload, exchange.context)
    check_times(exchange, document)
    check_models(exchange, document, alone=True)
    await exchange.services.broker.create(
        exchange.actor, document, trace=trace(exchange), tenant=exchange.tenant
    )
    location = ROOT + address("entities", document["id"])
    return Reply(201, headers=[(b"location", location.encode())])


async def replace_entity(exchange: Exchange) -> Reply:
    """PUT /entities/{entityId}. Types stay when none are sent."""
    entity_id = entity_id_of(exchange)
    document = await _fragment(exchange, entity_id, "append")
    check_type(exchange, entity_id)
    if "type" not in document:
        document["type"] = find(exchange, entity_id)["type"]
    await exchange.services.broker.replace(
        exchange.actor, entity_id, document, trace=trace(exchange), tenant=exchange.tenant
    )
    return Reply(204)


async def merge_entity(exchange: Exchange) -> Reply:
    """PATCH /entities/{entityId}."""
    entity_id = entity_id_of(exchange)
    _refuse_simplified(exchange)
    observed_at = exchange.parameters.text("observedAt")
    if observed_at is not None:
        observed_at = _common_time(observed_at)
    fragment = await _fragment(exchange, entity_id, "merge")
    check_type(exchange, entity_id)
    await exchange.services.broker.merge(
        exchange.actor,
        entity_id,
        fragment,
        observed_at=observed_at,
        trace=trace(exchange),
        tenant=exchange.tenant,
    )
    return Reply(204)


async def delete_entity(exchange: Exchange) -> Reply:
    """DELETE /entities/{entityId}."""
    entity_id = entity_id_of(exchange)
    check_type(exchange, entity_id)
    await exchange.services.broker.delete(
        exchange.actor, entity_id, trace=trace(exchange), tenant=exchange.tenant
    )
    return Reply(204)


async def append_attributes(exchange: Exchange) -> Reply:
    """POST /entities/{entityId}/attrs. 207 tells what noOverwrite has left untouched."""
    entity_id = entity_id_of(exchange)
    overwrite = option(exchange, "noOverwrite") is None
    fragment = await _fragment(exchange, entity_id, "append")
    check_type(exchange, entity_id)
    change = await exchange.services.broker.append(
        exchange.actor,
        entity_id,
        fragment,
        overwrite=overwrite,
        trace=trace(exchange),
        tenant=exchange.tenant,
    )
    left = [name for name in fragment["attrs"] if name not in change.attributes]
    return _updated(fragment, left, "It is there already, and noOverwrite was asked for.")


async def update_attributes(exchange: Exchange) -> Reply:
    """PATCH /entities/{entityId}/attrs."""
    entity_id = entity_id_of(exchange)
    fragment = await _fragment(exchange, entity_id, "update")
    check_type(exchange, entity_id)
    await exchange.services.broker.update(
        exchange.actor, entity_id, fragment, trace=trace(exchange), tenant=exchange.tenant
    )
    scopeless = "scope" in fragment and "scope" not in find(exchange, entity_id)
    left = ["scope"] if scopeless and fragment["scope"] != [NULL] else []
    return _updated(fragment, left, "The entity has no scope that could be updated.")


async def update_attribute(exchange: Exchange) -> Reply:
    """PATCH /entities/{entityId}/attrs/{attrId}."""
    entity_id = entity_id_of(exchange)
    instance, name = await _instance(exchange, partial=True)
    check_type(exchange, entity_id)
    await exchange.services.broker.update_attribute(
        exchange.actor, entity_id, name, instance, trace=trace(exchange), tenant=exchange.tenant
    )
    return Reply(204)


async def replace_attribute(exchange: Exchange) -> Reply:
    """PUT /entities/{entityId}/attrs/{attrId}."""
    entity_id = entity_id_of(exchange)
    instance, name = await _instance(exchange, partial=False)
    check_type(exchange, entity_id)
    await exchange.services.broker.replace_attribute(
        exchange.actor, entity_id, name, instance, trace=trace(exchange), tenant=exchange.tenant
    )
    return Reply(204)


async def delete_attribute(exchange: Exchange) -> Reply:
    """DELETE /entities/{entityId}/attrs/{attrId}."""
    entity_id = entity_id_of(exchange)
    name = attribute_name_of(exchange)
    dataset = exchange.parameters.text("datasetId")
    every = exchange.parameters.flag("deleteAll")
    if dataset is not None and dataset != "@none":
        check_uri(dataset, "datasetId")
    check_type(exchange, entity_id)
    dataset = None if dataset == "@none" else dataset
    broker, actor, tenant = exchange.services.broker, exchange.actor, exchange.tenant
    said_by = trace(exchange)
    try:
        await broker.delete_attribute(
            actor, entity_id, name, dataset=dataset, all_instances=every, trace=said_by, tenant=tenant
        )
    except ResourceNotFound:
        # An Entity that was only ever told over time is held here too (5.6.5.4): its attribute ends now.
        is_here = broker.raw(actor, entity_id, tenant=tenant) is not None
        if is_here or not await exchange.services.past.end_attribute(
            actor, entity_id, name, dataset=dataset, every=every, trace=said_by, tenant=tenant
        ):
            raise
    return Reply(204)


def _updated(fragment: Document, left: list[str], reason: str) -> Reply:
    """204, or 207 with what was not updated (5.2.18)."""
    if not left:
        return Reply(204)
    return plain_reply(
        {
            "updated": [iri_of(name) for name in fragment["attrs"] if name not in left],
            "notUpdated": [{"attributeName": iri_of(name), "reason": reason} for name in left],
        },
        status=207,
    )


# What is common to writing


def entity_id_of(exchange: Exchange) -> str:
    """The entity's id in the path. Raises BadRequestData when it is no URI."""
    return check_uri(exchange.variables["entityId"], "entityId")


def attribute_name_of(exchange: Exchange) -> str:
    """The attribute's name in the path, expanded. Raises BadRequestData when it is none."""
    term = exchange.variables["attrId"]
    check_name(term, "attrId")
    return exchange.context.expand(term)


def find(exchange: Exchange, entity_id: str) -> Document:
    """The entity as it is, when it has the type that is asked for. Raises ResourceNotFound."""
    document = exchange.sight.retrieve(exchange.actor, entity_id, tenant=exchange.tenant)
    selection = type_selection(exchange.parameters.text("type"), exchange.context)
    if selection is not None and not compile_types(selection)(document):
        raise ResourceNotFound(
            f"There is no entity {entity_id} of this type",
            hint="Leave type out, or correct it.",
            where="type",
        )
    return document


def check_type(exchange: Exchange, entity_id: str) -> None:
    """Raises ResourceNotFound when a type is asked for and the entity has another."""
    if "type" in exchange.parameters:
        find(exchange, entity_id)


def trace(exchange: Exchange) -> str:
    """What set the change off, for the feed."""
    request_id = exchange.scope.get("state", {}).get("request_id", "")
    return f"request:{exchange.operation.method} {exchange.operation.path} {request_id}".rstrip()


def option(exchange: Exchange, *known: str) -> str | None:
    """The option among the known ones that is asked for. Raises BadRequestData for others."""
    given = exchange.parameters.listed("options")
    for one in given:
        if one not in known:
            raise InvalidRequest(
                f"{one[:40]!a} is not an option of this operation",
                hint=f"Options are {', '.join(known)}.",
                where="options",
            )
    if len(set(given)) > 1:
        raise BadRequestData("The options contradict each other", hint="Give one of them.", where="options")
    return given[0] if given else None


def check_times(exchange: Exchange, document: Document, where: str = "", now: datetime | None = None) -> None:
    """Refuse observations from a clock that is plainly wrong. Forecasts lie in datasets of their own.

    `now` is the city's time, where it was asked for just before.
    """
    if now is None:
        now = exchange.services.clock.now()
    # To the second, the texts of instants that are sound are in the order of their times.
    latest = second_of(now)
    for name, items in document["attrs"].items():
        for item in items:
            observed = item.get("observedAt")
            if observed is not None and not EARLIEST_SECOND < observed[:19] <= latest:
                place = f"{name}.observedAt"
                _check_time(item, now, joined(where, place) if where else place)


def check_models(
    exchange: Exchange, document: Document, where: str = "", *, merging: bool = False, alone: bool = False
) -> None:
    """Bring what is written into the units of its data models. Raises BadInput for what they refuse.

    `alone` is what takes the place of the entity that is there, whose types then no longer count.
    """
    models = exchange.services.models
    if models is None:
        return
    find_one = exchange.services.broker.find
    present = None if alone else find_one(exchange.actor, document["id"], tenant=exchange.tenant)
    try:
        models.fit_written(document, present, merging=merging)
    except BadInput as error:
        error.where = joined(where, error.where) if where else error.where
        raise


def _check_time(item: Instance, now: datetime, where: str) -> None:
    observed = item.get("observedAt")
    if observed is not None and observed != NULL and "datasetId" not in item:
        check_observed(parse_instant(observed, where=where), now=now, where=where)


async def _fragment(exchange: Exchange, entity_id: str, purpose: Purpose) -> Document:
    payload = await object_of(exchange)
    fragment = parse_entity_fragment(payload, exchange.context, purpose=purpose)
    if fragment.setdefault("id", entity_id) != entity_id:
        raise BadRequestData(
            "The id in the body is not the one in the path", hint="Leave the id out of the body.", where="id"
        )
    check_times(exchange, fragment)
    replacing = exchange.operation.method == "PUT" and "type" in fragment
    check_models(exchange, fragment, merging=purpose == "merge", alone=replacing)
    return fragment


async def object_of(exchange: Exchange) -> Any:
    """The body when it is one object. Raises InvalidRequest."""
    payload = await exchange.payload()
    if not isinstance(payload, dict):
        raise InvalidRequest(
            "The body is not a JSON object", hint="Send one entity: { … }. Several go to /entityOperations."
        )
    return payload


async def _instance(exchange: Exchange, *, partial: bool) -> tuple[Instance, str]:
    payload = await exchange.payload()
    name = attribute_name_of(exchange)
    if name in ("scope", "type", "id"):
        raise BadRequestData(
            f"{name} is not an attribute", hint="Change it with PATCH on the entity.", where="attrId"
        )
    if isinstance(payload, dict):
        payload = {key: value for key, value in payload.items() if key != "@context"}
    instance = parse_attribute(payload, exchange.context, partial=partial)
    _check_time(instance, exchange.services.clock.now(), "observedAt")
    written = {"id": entity_id_of(exchange), "attrs": {name: [instance]}}
    check_models(exchange, written)
    return instance, name


def _refuse_simplified(exchange: Exchange) -> None:
    known = ("keyValues", "simplified", "normalized", "concise")
    asked = exchange.parameters.text("format") or option(exchange, *known)
    if asked in ("keyValues", "simplified") or exchange.parameters.text("lang") is not None:
        raise OperationNotSupported(
            "Simplified fragments are not merged here",
            hint="Send the fragment normalized or concise, with languageMap for texts in languages.",
            where="format",
        )


def _common_time(text: str) -> str:
    try:
        return check_instant(text)
    except BadRequestData as error:
        error.where = "observedAt"
        raise
