"""What sources are asked for their part of a batch (ETSI GS CIM 009, 5.6.7 to 5.6.10, 5.6.20)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from cityloom.federation.model import Question, Wire
from cityloom.kernel.media_types import JSON, JSON_LD
from cityloom.ngsild.recompaction import recompacted_entity
from cityloom.ngsild.registrations import Registration
from cityloom.web.ngsild.batches import (
    create_entities,
    delete_entities,
    merge_entities,
    update_entities,
    upsert_entities,
)
from cityloom.web.ngsild.distributed_provision import conforming_to, written
from cityloom.web.ngsild.exchange import Exchange
from cityloom.web.ngsild.operations import Handler


@dataclass
class Part:
    """What one source gets of a batch."""

    registration: Registration
    ids: list[str] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """A kind of batch: its own name, that of the operation on one Entity, and how that is asked for."""

    operation: str
    single: str
    handler: Handler
    path: str
    one: Callable[[str], tuple[str, str]]
    #: Status of a good answer where something was created.
    status: int = 204


def _of_entity(method: str, below: str = "") -> Callable[[str], tuple[str, str]]:
    return lambda entity_id: (method, f"/entities/{quote(entity_id, safe=':')}{below}")


CREATE = Batch("createBatch", "createEntity", create_entities, "create", lambda _: ("POST", "/entities"), 201)
UPSERT = Batch("upsertBatch", "createEntity", upsert_entities, "upsert", lambda _: ("POST", "/entities"), 201)
UPDATE = Batch("updateBatch", "appendAttrs", update_entities, "update", _of_entity("POST", "/attrs"))
MERGE = Batch("mergeBatch", "mergeEntity", merge_entities, "merge", _of_entity("PATCH"))
DELETE = Batch("deleteBatch", "deleteEntity", delete_entities, "delete", _of_entity("DELETE"))
_UPDATE_ONE = _of_entity("PATCH", "/attrs")
_REPLACE_ONE = _of_entity("PUT")


def operation_over(exchange: Exchange) -> str:
    """The operation that writes over an Entity which a source has already (5.6.8.4)."""
    return "updateEntity" if "update" in exchange.parameters.listed("options") else "replaceEntity"


async def question_over(
    exchange: Exchange, registration: Registration, wire: Wire, item: dict[str, Any]
) -> Question:
    """Ask a source to write over an Entity that it has."""
    is_update = operation_over(exchange) == "updateEntity"
    method, path = (_UPDATE_ONE if is_update else _REPLACE_ONE)(item["id"])
    body, content_type = await _body(exchange, registration, wire, item)
    return Question(method, path, (), body, content_type)


async def batch_question(exchange: Exchange, batch: Batch, part: Part, wire: Wire) -> Question:
    """Ask a source for its part as a batch."""
    path = f"/entityOperations/{batch.path}"
    parameters = _parameters(exchange)
    if batch is DELETE:
        return Question("POST", path, parameters, orjson.dumps(part.ids), JSON)
    bodies = [await _body(exchange, part.registration, wire, item) for item in part.items]
    content_type = bodies[0][1]
    body = b"[" + b",".join(text for text, _ in bodies) + b"]"
    return Question("POST", path, parameters, body, content_type)


async def single_question(
    exchange: Exchange, batch: Batch, registration: Registration, wire: Wire, entity_id: str, item: Any
) -> Question:
    """Ask a source that offers no batches for one Entity."""
    if batch is UPSERT and batch.single not in registration.operations:
        return await question_over(exchange, registration, wire, item)
    method, path = batch.one(entity_id)
    if batch is DELETE:
        return Question(method, path)
    body, content_type = await _body(exchange, registration, wire, item)
    # The options of an upsert are none of a creation.
    parameters = () if batch is UPSERT else _parameters(exchange)
    return Question(method, path, parameters, body, content_type)


async def _body(
    exchange: Exchange, registration: Registration, wire: Wire, item: dict[str, Any]
) -> tuple[bytes, str]:
    """One Entity as the source wants it: plain where its @context can be linked or is the source's."""
    if not exchange.is_json_ld:
        return written(exchange, registration, wire, item, recompacted_entity)
    context = await exchange.own_context(item)
    wants = registration.told("contentType")
    linked = wire.context is context or registration.told("jsonldContext") is not None
    if wants == JSON_LD or (wants is None and not linked):
        return orjson.dumps(conforming_to(exchange, registration, item, recompacted_entity)), JSON_LD
    plain = recompacted_entity(item, context, wire.context)
    return orjson.dumps(conforming_to(exchange, registration, plain, recompacted_entity)), JSON


def _parameters(exchange: Exchange) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in exchange.parameters.items() if name != "local")
