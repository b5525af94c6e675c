"""Batches of entities (ETSI GS CIM 009, 6.14 to 6.17, 6.31): each entity on its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cityloom.context.batch import BatchOutcome
from cityloom.kernel.errors import CityError
from cityloom.ngsild.contexts import Context, iri_of
from cityloom.ngsild.errors import AlreadyExists, BadRequestData
from cityloom.ngsild.model import Document
from cityloom.ngsild.names import is_uri
from cityloom.ngsild.parse import parse_entity, parse_entity_fragment
from cityloom.web.errors import problem
from cityloom.web.limits import TooLarge
from cityloom.web.ngsild.exchange import Exchange, Reply, plain_reply, refuse_own_context
from cityloom.web.ngsild.provision import check_models, check_times, option, trace

#: Entities of one batch. A megabyte holds hundreds of thousands of brackets, each with its own answer.
MAX_BATCH = 10_000
#: Entities that are parsed before others get their turn on the event loop.
_TURN = 100

_Parse = Callable[[Any, Context, str], Document]


async def create_entities(exchange: Exchange) -> Reply:
    """POST /entityOperations/create."""
    documents, errors = await _documents(exchange, _whole)
    outcome = await exchange.services.broker.create_many(
        exchange.actor, documents, trace=trace(exchange), tenant=exchange.tenant
    )
    return batch_reply(outcome, errors, 201)


async def upsert_entities(exchange: Exchange) -> Reply:
    """POST /entityOperations/upsert; what exists is replaced, or updated with options=update."""
    update = option(exchange, "replace", "update") == "update"
    documents, errors = await _documents(exchange, _whole)
    outcome = await exchange.services.broker.upsert_many(
        exchange.actor, documents, update=update, trace=trace(exchange), tenant=exchange.tenant
    )
    return batch_reply(outcome, errors, 201 if outcome.created else 204)


async def update_entities(exchange: Exchange) -> Reply:
    """POST /entityOperations/update."""
    overwrite = option(exchange, "noOverwrite") is None
    documents, errors = await _documents(exchange, _to_append)
    left = [] if overwrite else _left_alone(exchange, documents)
    outcome = await exchange.services.broker.update_many(
        exchange.actor, documents, overwrite=overwrite, trace=trace(exchange), tenant=exchange.tenant
    )
    return batch_reply(outcome, errors + left, 204)


async def merge_entities(exchange: Exchange) -> Reply:
    """POST /entityOperations/merge."""
    documents, errors = await _documents(exchange, _to_merge)
    outcome = await exchange.services.broker.merge_many(
        exchange.actor, documents, trace=trace(exchange), tenant=exchange.tenant
    )
    return batch_reply(outcome, errors, 204)


async def delete_entities(exchange: Exchange) -> Reply:
    """POST /entityOperations/delete."""
    payload = await exchange.payload()
    check_array(payload, "ids")
    ids: list[str] = []
    errors: list[tuple[str, CityError]] = []
    for place, item in enumerate(payload):
        if is_uri(item):
            ids.append(item)
        else:
            error = BadRequestData("This is not the id of an entity", hint="Send URIs.", where=f"[{place}]")
            errors.append((str(item)[:200], error))
    outcome = await exchange.services.broker.delete_many(
        exchange.actor, ids, trace=trace(exchange), tenant=exchange.tenant
    )
    return batch_reply(outcome, errors, 204)


def _left_alone(exchange: Exchange, documents: list[Document]) -> list[tuple[str, CityError]]:
    """What noOverwrite leaves as it is, told as an error of the entity."""
    found: list[tuple[str, CityError]] = []
    for document in documents:
        present = exchange.services.broker.find(exchange.actor, document["id"], tenant=exchange.tenant)
        names = [name for name in document["attrs"] if present is not None and name in present["attrs"]]
        if names:
            error = AlreadyExists(
                f"These attributes are there already: {', '.join(map(iri_of, names))}",
                hint="Leave out noOverwrite to replace them.",
            )
            found.append((document["id"], error))
    return found


def _whole(item: Any, context: Context, where: str) -> Document:
    return parse_entity(item, context, where=where)


def _to_append(item: Any, context: Context, where: str) -> Document:
    return _with_id(parse_entity_fragment(item, context, where=where, purpose="append"), where)


def _to_merge(item: Any, context: Context, where: str) -> Document:
    return _with_id(parse_entity_fragment(item, context, where=where, purpose="merge"), where)


def _with_id(fragment: Document, where: str) -> Document:
    if "id" not in fragment:
        raise BadRequestData("The entity has no id", hint='Give it as "id".', where=f"{where}.id")
    return fragment


async def _documents(exchange: Exchange, parse: _Parse) -> tuple[list[Document], list[tuple[str, CityError]]]:
    """The entities that can be read, and why the others cannot."""
    payload = await exchange.payload()
    check_array(payload, "entities")
    documents: list[Document] = []
    errors: list[tuple[str, CityError]] = []
    own_contexts = exchange.is_json_ld
    replacing = parse is _whole and "update" not in exchange.parameters.listed("options")
    now = exchange.services.clock.now()
    for place, item in enumerate(payload):
        if place % _TURN == _TURN - 1:
            await asyncio.sleep(0)
            now = exchange.services.clock.now()
        where = f"[{place}]"
        try:
            context = exchange.context
            if own_contexts:
                context = await exchange.own_context(item)
            else:
                refuse_own_context(item, where)
            document = parse(item, context, where)
            check_times(exchange, document, where, now)
            check_models(exchange, document, where, merging=parse is _to_merge, alone=replacing)
            documents.append(document)
        except CityError as error:
            errors.append((_id_of(item, where), error))
    return documents, errors


def check_array(payload: Any, what: str) -> None:
    """Raises BadRequestData for what is no batch, TooLarge for too long a one."""
    if not isinstance(payload, list) or not payload or None in payload:
        raise BadRequestData(
            f"The body is not an array of {what}, or an empty one", hint=f"Send [ … ] with the {what}."
        )
    if len(payload) > MAX_BATCH:
        raise TooLarge(
            f"The batch has more than {MAX_BATCH} {what}", hint="Send them in several batches, one by one."
        )


def _id_of(item: Any, where: str) -> str:
    found = item.get("id", item.get("@id")) if isinstance(item, dict) else None
    return found if isinstance(found, str) else where


def batch_reply(outcome: BatchOutcome, errors: list[tuple[str, CityError]], status: int) -> Reply:
    """201 with what was created, 204, or 207 with what became of each (5.2.16)."""
    failed = [*errors, *outcome.errors]
    if not failed:
        return plain_reply(outcome.created, status=201) if status == 201 else Reply(204)
    return plain_reply(
        {
            "success": [*outcome.created, *outcome.updated, *outcome.deleted],
            "errors": [
                {"entityId": entity_id, "error": problem(error, instance=entity_id)}
                for entity_id, error in failed
            ],
        },
        status=207,
    )
