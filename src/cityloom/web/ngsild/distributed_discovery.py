"""Types and attributes that the city and its sources have (ETSI GS CIM 009, 5.7.5 to 5.7.10)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from cityloom.federation.discovering import kept, renamed, together
from cityloom.federation.model import Origin, Question, Wire
from cityloom.kernel.errors import CityError
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.json_text import decode_json
from cityloom.ngsild.names import check_name
from cityloom.ngsild.registrations import Registration
from cityloom.web.ngsild.application import refused
from cityloom.web.ngsild.discovery import list_attributes, list_types, retrieve_attribute, retrieve_type
from cityloom.web.ngsild.distribution import origin_of, warned, wire_to
from cityloom.web.ngsild.exchange import Exchange, Reply
from cityloom.web.ngsild.operations import Handler


async def list_types_everywhere(exchange: Exchange) -> Reply:
    """GET /types (5.7.5, 5.7.6)."""
    operation = "retrieveEntityTypeDetails" if exchange.parameters.flag("details") else "retrieveEntityTypes"
    return await _everywhere(exchange, operation, list_types, "/types", None)


async def retrieve_type_everywhere(exchange: Exchange) -> Reply:
    """GET /types/{type} (5.7.7)."""
    term = exchange.variables["type"]
    check_name(term, "type")
    name = exchange.context.expand(term)
    return await _everywhere(exchange, "retrieveEntityTypeInfo", retrieve_type, "/types", name)


async def list_attributes_everywhere(exchange: Exchange) -> Reply:
    """GET /attributes (5.7.8, 5.7.9)."""
    operation = "retrieveAttrTypeDetails" if exchange.parameters.flag("details") else "retrieveAttrTypes"
    return await _everywhere(exchange, operation, list_attributes, "/attributes", None)


async def retrieve_attribute_everywhere(exchange: Exchange) -> Reply:
    """GET /attributes/{attrId} (5.7.10)."""
    term = exchange.variables["attrId"]
    check_name(term, "attrId")
    name = exchange.context.expand(term)
    return await _everywhere(exchange, "retrieveAttrTypeInfo", retrieve_attribute, "/attributes", name)


async def _everywhere(
    exchange: Exchange, operation: str, handler: Handler, path: str, name: str | None
) -> Reply:
    origin = origin_of(exchange)
    federation = exchange.services.federation
    of_types = path == "/types"
    asked: list[tuple[Registration, Question, Wire]] = []
    if not federation.came_around(origin):
        for registration in federation.usable(origin, [operation]):
            if name is None or _knows(exchange, origin, registration, name, of_types=of_types):
                wire = await wire_to(exchange, origin, registration)
                below = "" if name is None else "/" + quote(wire.context.compact(name), safe="")
                parameters = (("details", "true"),) if "details" in exchange.parameters else ()
                asked.append((registration, Question("GET", path + below, parameters), wire))
    replies, (mine, refusal) = await asyncio.gather(federation.ask(asked, origin), _own(exchange, handler))
    found, warnings = mine, []
    for (registration, _, wire), reply in zip(asked, replies, strict=True):
        if reply.warning:
            warnings.append((reply.warning, registration))
        if not reply.good:
            continue
        try:
            told = renamed(_description(reply.body), wire.context, exchange.context)
        except CityError:
            warnings.append(("111", registration))
            continue
        if name is None:
            told = kept(told, _known_of(exchange, origin, registration, of_types=of_types))
        found = told if found is None else together(found, told)
    if found is None:
        assert refusal is not None, "what is not here was refused"
        return warned(exchange, refusal, warnings)
    return warned(exchange, exchange.reply(found), warnings)


async def _own(exchange: Exchange, handler: Handler) -> tuple[Any, Reply | None]:
    """What the city itself tells, its @context left out; or why not."""
    try:
        reply = await handler(exchange)
    except ResourceNotFound as error:
        return None, refused(error, exchange.scope)
    found = decode_json(reply.body)
    if isinstance(found, list):
        return [{key: value for key, value in one.items() if key != "@context"} for one in found], None
    return {key: value for key, value in found.items() if key != "@context"}, None


def _description(body: bytes) -> Any:
    found = decode_json(body)
    if not isinstance(found, dict | list):
        raise ResourceNotFound("This describes nothing", hint="Look at the source.")
    return found


def _known_of(
    exchange: Exchange, origin: Origin, registration: Registration, *, of_types: bool
) -> Callable[[str], bool]:
    def is_known(term: str) -> bool:
        try:
            name = exchange.context.expand(term)
        except CityError:
            return False
        return _knows(exchange, origin, registration, name, of_types=of_types)

    return is_known


def _knows(
    exchange: Exchange, origin: Origin, registration: Registration, name: str, *, of_types: bool
) -> bool:
    """Whether a source has registered the type or the attribute, and the asker may learn of it."""
    if not of_types:
        return any(not info.attributes or name in info.attributes for info in registration.information)
    if not exchange.services.federation.may_be_shown(origin, registration, {"type": [name]}):
        return False
    return any(
        not info.entities or any(not one.types or name in one.types for one in info.entities)
        for info in registration.information
    )
