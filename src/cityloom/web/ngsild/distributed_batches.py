"""Batches of Entities of which sources hold a part (ETSI GS CIM 009, 5.6.7 to 5.6.10, 5.6.20, 5.6.21)."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

from cityloom.federation.model import Origin, Question, Wire
from cityloom.federation.model import Reply as SourceReply
from cityloom.federation.sharing import Directory, Shares, share_out
from cityloom.kernel.errors import CityError
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import ResourceNotFound, TooComplexQuery
from cityloom.ngsild.json_text import decode_json
from cityloom.ngsild.names import is_uri
from cityloom.ngsild.registrations import Registration
from cityloom.web.errors import told
from cityloom.web.ngsild.batch_questions import (
    CREATE,
    DELETE,
    MERGE,
    UPDATE,
    UPSERT,
    Batch,
    Part,
    batch_question,
    operation_over,
    question_over,
    single_question,
)
from cityloom.web.ngsild.batches import check_array
from cityloom.web.ngsild.distributed_provision import kept_of
from cityloom.web.ngsild.distribution import origin_of, wire_to
from cityloom.web.ngsild.exchange import Exchange, Reply, plain_reply
from cityloom.web.ngsild.outcomes import BatchResult, failure_of, looped, unsupported

#: Entities that are looked at before others get their turn on the event loop.
_TURN = 100
#: Seconds of sharing out before they do.
_TURN_SECONDS = 0.005
#: Pairs of an Entity and a source that may hold a part of it, in one batch.
MOST_PAIRS = 100_000

#: How it is told that something is not there.
_ABSENT = told(ResourceNotFound("", hint="")).type


async def create_batch_everywhere(exchange: Exchange) -> Reply:
    """POST /entityOperations/create (5.6.7)."""
    return await _everywhere(exchange, CREATE)


async def upsert_batch_everywhere(exchange: Exchange) -> Reply:
    """POST /entityOperations/upsert (5.6.8)."""
    return await _everywhere(exchange, UPSERT)


async def update_batch_everywhere(exchange: Exchange) -> Reply:
    """POST /entityOperations/update (5.6.9)."""
    return await _everywhere(exchange, UPDATE)


async def merge_batch_everywhere(exchange: Exchange) -> Reply:
    """POST /entityOperations/merge (5.6.20)."""
    return await _everywhere(exchange, MERGE)


async def delete_batch_everywhere(exchange: Exchange) -> Reply:
    """POST /entityOperations/delete (5.6.10)."""
    return await _everywhere(exchange, DELETE)


async def _everywhere(exchange: Exchange, batch: Batch) -> Reply:
    payload = await exchange.payload()
    check_array(payload, "ids" if batch is DELETE else "entities")
    if exchange.is_json_ld and batch is not DELETE:
        exchange.context = await _common_context(exchange, payload)
    origin = origin_of(exchange)
    result = BatchResult()
    parts: dict[str, Part] = {}
    here, shared = await _shared_out(exchange, batch, payload, origin, parts, result)
    theirs = _ask(exchange, batch, parts, origin, result)
    if here:
        await asyncio.gather(theirs, _locally(exchange, batch, here, shared, result))
    else:
        await theirs
    if not result.errors:
        if batch.status == 201 and (result.created or batch is CREATE):
            return plain_reply(list(result.created), status=201)
        return Reply(204)
    return plain_reply(
        {"success": [*dict.fromkeys([*result.created, *result.done])], "errors": result.errors}, status=207
    )


async def _common_context(exchange: Exchange, payload: list[Any]) -> Context:
    """The @context of every item when all have the same, else the core's."""
    found = CORE
    for place, item in enumerate(payload):
        if place % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        try:
            one = await exchange.own_context(item)
        except CityError:
            continue
        if found is not CORE and one is not found:
            return CORE
        found = one
    return found


async def _shared_out(
    exchange: Exchange,
    batch: Batch,
    payload: list[Any],
    origin: Origin,
    parts: dict[str, Part],
    result: BatchResult,
) -> tuple[list[Any], set[str]]:
    """Fill what each source gets; returns what is left for the city, and the ids that are held by sources
    alone, in whole or in part."""
    federation = exchange.services.federation
    directory = Directory(federation.candidates(origin, looping=True))
    pairs, turn = 0, perf_counter()
    came_around = federation.came_around(origin)
    operations = frozenset(
        {batch.operation, batch.single, *((operation_over(exchange),) if batch is UPSERT else ())}
    )
    here: list[Any] = []
    proxied: set[str] = set()
    for item in payload:
        if perf_counter() - turn > _TURN_SECONDS:
            await asyncio.sleep(0)
            turn = perf_counter()
        known = await _known(exchange, batch, item)
        if known is None:
            # What cannot be read is told of by the city itself.
            here.append(item)
            continue
        entity_id, types, names, context = known
        registrations = directory.about(entity_id, types)
        pairs += len(registrations)
        if pairs > MOST_PAIRS:
            raise TooComplexQuery(
                f"This batch and the sources that may hold parts of it make more than {MOST_PAIRS} pairs",
                hint="Send fewer entities at once, or with local=true. Nothing has been written.",
            )
        shares = share_out(
            federation.may_be_told(origin, registrations, entity_id, types),
            operations,
            entity_id,
            types,
            names,
            via=origin.via,
            came_around=came_around,
            whole=batch is DELETE,
        )
        _hand_out(shares, batch, item, entity_id, context, parts, result)
        if any(one.registration.proxied for one in (*shares.forwarded, *shares.refused, *shares.looping)):
            proxied.add(entity_id)
        if not shares.elsewhere:
            here.append(item if batch is DELETE else kept_of(item, context, shares.local))
    return here, proxied


def _hand_out(
    shares: Shares,
    batch: Batch,
    item: Any,
    entity_id: str,
    context: Context,
    parts: dict[str, Part],
    result: BatchResult,
) -> None:
    for share in shares.forwarded:
        part = parts.setdefault(share.registration.id, Part(share.registration))
        part.ids.append(entity_id)
        part.items.append(item if batch is DELETE else kept_of(item, context, share.attributes))
    for share in shares.refused:
        result.fail(unsupported(share.registration), [entity_id], share.registration)
    for share in shares.looping:
        result.fail(looped(share.registration), [entity_id], share.registration)


async def _known(
    exchange: Exchange, batch: Batch, item: Any
) -> tuple[str, tuple[str, ...], frozenset[str], Context] | None:
    """Id, types, attributes and Context of an item; None where they cannot be read."""
    if batch is DELETE:
        return (item, _types(exchange, item), frozenset(), exchange.context) if is_uri(item) else None
    if not isinstance(item, dict) or not is_uri(item.get("id")):
        return None
    try:
        context = await exchange.own_context(item) if exchange.is_json_ld else exchange.context
        raw = item.get("type", [])
        types = tuple(context.expand(one) for one in (raw if isinstance(raw, list) else [raw]))
        named = kept_of(item, context, frozenset())
        names = frozenset(context.expand(key) for key in item if key not in named)
    except (CityError, TypeError):
        return None
    return item["id"], types or _types(exchange, item["id"]), names, context


def _types(exchange: Exchange, entity_id: str) -> tuple[str, ...]:
    document = exchange.services.broker.find(exchange.actor, entity_id, tenant=exchange.tenant)
    return () if document is None else tuple(document["type"])


# Asking


async def _ask(
    exchange: Exchange, batch: Batch, parts: dict[str, Part], origin: Origin, result: BatchResult
) -> None:
    asked: list[tuple[Registration, Question, Wire]] = []
    ids: list[list[str]] = []
    singles: dict[int, Any] = {}
    for part in parts.values():
        wire = await wire_to(exchange, origin, part.registration)
        if batch.operation in part.registration.operations:
            asked.append((part.registration, await batch_question(exchange, batch, part, wire), wire))
            ids.append(part.ids)
            continue
        for entity_id, item in zip(part.ids, part.items, strict=True):
            question = await single_question(exchange, batch, part.registration, wire, entity_id, item)
            singles[len(asked)] = item
            asked.append((part.registration, question, wire))
            ids.append([entity_id])
    replies = await exchange.services.federation.ask(asked, origin)
    for place, (reply, those) in enumerate(zip(replies, ids, strict=True)):
        if batch is UPSERT and place in singles and reply.status == 409:
            _, _, wire = asked[place]
            await _write_over(exchange, origin, (reply.registration, wire), singles[place], result)
        else:
            _take(reply, those, batch, result)


async def _write_over(
    exchange: Exchange,
    origin: Origin,
    source: tuple[Registration, Wire],
    item: dict[str, Any],
    result: BatchResult,
) -> None:
    """Replace what a source without batches has, or update it with options=update (5.6.8.4)."""
    registration, wire = source
    entity_id = item["id"]
    if operation_over(exchange) not in registration.operations:
        result.fail(unsupported(registration), [entity_id], registration)
        return
    question = await question_over(exchange, registration, wire, item)
    (reply,) = await exchange.services.federation.ask([(registration, question, wire)], origin)
    _take(reply, [entity_id], UPSERT, result)


def _take(reply: SourceReply, ids: list[str], batch: Batch, result: BatchResult) -> None:
    """What one source answered for these Entities."""
    if reply.status == 207:
        told = _decoded(reply.body)
        if isinstance(told, dict):
            errors = [one for one in told.get("errors", []) if isinstance(one, dict)]
            result.errors += [{**one, "registrationId": reply.registration.id} for one in errors]
            failed = {one.get("entityId") for one in errors}
            result.done.update(dict.fromkeys(one for one in ids if one not in failed))
            return
    if reply.good:
        made = ids if batch.status == 201 and reply.status == 201 else []
        result.created.update(dict.fromkeys(made))
        result.done.update(dict.fromkeys(ids))
        return
    result.fail(failure_of(reply), ids, reply.registration)


# The city's own part


async def _locally(
    exchange: Exchange, batch: Batch, items: list[Any], proxied: set[str], result: BatchResult
) -> None:
    reply = await batch.handler(exchange.carrying(items))
    told = _decoded(reply.body) if reply.body else None
    if isinstance(told, list):
        result.created.update(dict.fromkeys(told))
        return
    if told is None:
        result.done.update(dict.fromkeys(_ids(items)))
        return
    for one in told["errors"]:
        absent = one["error"].get("type") == _ABSENT
        # What is held by sources alone need not be here.
        if not (absent and one["entityId"] in proxied):
            result.errors.append(one)
    result.done.update(dict.fromkeys(told["success"]))


def _ids(items: list[Any]) -> list[str]:
    return [one if isinstance(one, str) else one["id"] for one in items]


def _decoded(body: bytes) -> Any:
    try:
        return decode_json(body)
    except CityError:
        return None
