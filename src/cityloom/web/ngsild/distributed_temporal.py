"""The past as the city and its sources remember it (ETSI GS CIM 009, 5.7.3, 5.7.4, 4.3.6.7)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from cityloom.context.entity_maps import Elsewhere
from cityloom.federation.discovering import Json, evolutions_together, last_of, renamed_evolution
from cityloom.federation.model import Origin, Question, Wire
from cityloom.federation.model import Reply as SourceReply
from cityloom.federation.questions import attributes_asked, narrowed, write_selectors
from cityloom.kernel.errors import CityError
from cityloom.ngsild.errors import BadRequestData, TooManyResults
from cityloom.ngsild.json_text import decode_json
from cityloom.ngsild.names import NULL, is_uri
from cityloom.ngsild.query import MAX_LIMIT, EntityQuery
from cityloom.ngsild.registrations import Registration, RegistrationInfo
from cityloom.ngsild.source_matching import Sought, matching_information, sought_by
from cityloom.ngsild.temporal_query import parse_temporal_window
from cityloom.web.ngsild.application import refused
from cityloom.web.ngsild.asking import entity_query, names, page_of
from cityloom.web.ngsild.distribution import origin_of, warned, wire_to
from cityloom.web.ngsild.entity_maps import (
    ENTITY_MAP,
    location_of,
    make_temporal_map,
    named_temporal_map,
    without_misfits,
)
from cityloom.web.ngsild.exchange import Exchange, Headers, Reply
from cityloom.web.ngsild.operations import Handler
from cityloom.web.ngsild.paging import page_headers
from cityloom.web.ngsild.provision import entity_id_of
from cityloom.web.ngsild.temporal import (
    Wanted,
    create_map_for,
    evolution,
    evolutions,
    query_of,
    wanted_by,
    wanted_in,
)
from cityloom.web.ngsild.temporal_asking import named_as_parameters, written_as_parameters

_MEMBERS = frozenset({"id", "type", "scope"})
#: Parameters that say the same to everybody.
_HANDED_ON = ("format", "options", "limit")
_EVOLUTIONS = "/temporal/entities"


async def retrieve_evolution_everywhere(exchange: Exchange) -> Reply:
    """GET /temporal/entities/{entityId} (5.7.3)."""
    entity_id = entity_id_of(exchange)
    query = EntityQuery(ids=(entity_id,))
    path = f"/temporal/entities/{quote(entity_id, safe=':')}"
    own = partial(evolution, mapped=False)
    return await _everywhere(exchange, "retrieveTemporal", own, path, query, wanted_by(exchange))


async def query_evolutions_everywhere(exchange: Exchange) -> Reply:
    """GET /temporal/entities (5.7.4)."""
    return await _query(exchange, wanted_by(exchange))


async def query_evolutions_everywhere_by_post(exchange: Exchange) -> Reply:
    """POST /temporal/entityOperations/query (5.7.4): sources are asked by GET."""
    return await _query(exchange, await wanted_in(exchange))


async def create_map_over_time_everywhere(exchange: Exchange) -> Reply:
    """GET /temporal/entityMaps (5.14.5)."""
    wanted = wanted_by(exchange)
    return await create_map_for(exchange, wanted, await _known_elsewhere(exchange, wanted))


async def create_map_over_time_everywhere_by_post(exchange: Exchange) -> Reply:
    """POST /temporal/entityMaps (5.14.5)."""
    wanted = await wanted_in(exchange)
    return await create_map_for(exchange, wanted, await _known_elsewhere(exchange, wanted))


async def _query(exchange: Exchange, wanted: Wanted) -> Reply:
    if exchange.header(ENTITY_MAP) or wanted.asked.entity_map:
        return await _mapped_page(exchange, wanted)
    return await _page_of(exchange, wanted)


async def _page_of(
    exchange: Exchange, wanted: Wanted, known: Mapping[str, tuple[str, ...]] | None = None
) -> Reply:
    """A page of the answer; `known` are the ids that each registration is asked for, None: all that match."""
    own = partial(evolutions, wanted=wanted, mapped=False)
    query = _entities_of(exchange, wanted)
    return await _everywhere(exchange, "queryTemporal", own, _EVOLUTIONS, query, wanted, known)


async def _mapped_page(exchange: Exchange, wanted: Wanted) -> Reply:
    """A page of the Entities of a map, of which those sources are asked that know of them (5.5.14)."""
    found = named_temporal_map(exchange)
    is_new = found is None
    if found is None:
        query, _ = query_of(exchange, wanted)
        await exchange.services.remembered()
        elsewhere = await _known_elsewhere(exchange, wanted)
        with named_as_parameters():
            found = await make_temporal_map(exchange, wanted.asked, query, elsewhere)
    else:
        await without_misfits(exchange, found)
    limit, offset, count = page_of(exchange.parameters)
    ids = found.ids[offset : offset + limit]
    among = msgspec.structs.replace(wanted.asked, ids=ids or (NULL,))
    known: dict[str, tuple[str, ...]] = {}
    for one in ids:
        for told in found.sources.get(one, ()):
            known[told.registration_id] = (*known.get(told.registration_id, ()), one)
    page = exchange.paged(max(1, len(ids)))
    reply = await _page_of(page, msgspec.structs.replace(wanted, asked=among), known)
    headers = [one for one in reply.headers or [] if one[0] != b"ngsild-results-count"]
    more, total = len(found.ids) > offset + limit, len(found.ids) if count else None
    headers += [*location_of(found), *page_headers(exchange, more=more, total=total)]
    status = 201 if is_new and reply.status == 200 else reply.status
    return Reply(status, reply.body, reply.media, headers)


async def _known_elsewhere(exchange: Exchange, wanted: Wanted) -> dict[str, tuple[Elsewhere, ...]]:
    """The Entities that sources know of over time."""
    origin = origin_of(exchange, wanted.asked.csf)
    query = _entities_of(exchange, wanted)
    whole = exchange.paged(MAX_LIMIT)
    questions = await _questions(whole, origin, "queryTemporal", _EVOLUTIONS, query, wanted)
    found: dict[str, tuple[Elsewhere, ...]] = {}
    federation = exchange.services.federation
    replies = await federation.ask(questions, origin)
    for (registration, _, wire), reply in zip(questions, replies, strict=True):
        for entity in _told(exchange, origin, registration, wire, reply, []):
            types = entity["type"] if isinstance(entity["type"], list) else [entity["type"]]
            document = {"type": [exchange.context.expand(name) for name in types]}
            told = Elsewhere(registration.id, federation.class_told(registration, document))
            found[entity["id"]] = (*found.get(entity["id"], ()), told)
    return found


def _entities_of(exchange: Exchange, wanted: Wanted) -> EntityQuery:
    local = wanted.asked.type == "*"
    return entity_query(wanted.asked, exchange.context, exchange.parameters, local=local)


async def _everywhere(
    exchange: Exchange,
    operation: str,
    handler: Handler,
    path: str,
    query: EntityQuery,
    wanted: Wanted,
    known: Mapping[str, tuple[str, ...]] | None = None,
) -> Reply:
    origin = origin_of(exchange, wanted.asked.csf)
    single = operation == "retrieveTemporal"
    # A page of all is among the first pages of each; one more tells whether there is another.
    whole = exchange if single else exchange.paged(min(_reach(exchange) + 1, MAX_LIMIT))
    questions = await _questions(whole, origin, operation, path, query, wanted, known)
    if not questions:
        return await handler(exchange)
    if not single and _reach(exchange) > MAX_LIMIT:
        raise TooManyResults(
            f"What sources tell over time is paged {MAX_LIMIT} Entities deep",
            hint="Narrow the query, or add local=true for what is here.",
            where="offset",
        )
    theirs, (mine, own) = await asyncio.gather(
        exchange.services.federation.ask(questions, origin), _own(whole, handler)
    )
    found = {entity["id"]: entity for entity in mine}
    warnings: list[tuple[str, Registration]] = []
    for (registration, _, wire), reply in zip(questions, theirs, strict=True):
        for entity in _told(exchange, origin, registration, wire, reply, warnings):
            one = entity["id"]
            if single and one != query.ids[0]:
                continue
            found[one] = evolutions_together(found[one], entity) if one in found else entity
    if own.status >= 400 and (own.status != 404 or not found):
        return warned(exchange, own, warnings)
    last_n, time_property = wanted.temporal.last_n, wanted.temporal.timeproperty or "observedAt"
    if last_n is not None and not wanted.temporal.methods:
        found = {one: last_of(entity, last_n, time_property) for one, entity in found.items()}
    others = [one for one in own.headers or [] if one[0] == b"content-range"]
    status = own.status if own.status < 400 else 200
    if single:
        merged = exchange.reply(next(iter(found.values())), status=status, headers=others)
    else:
        headers = others + _page_headers(exchange, own, len(mine), len(found))
        merged = exchange.reply(_page(exchange, list(found.values())), status=status, headers=headers)
    return warned(exchange, merged, warnings)


def _reach(exchange: Exchange) -> int:
    """How many Entities there are up to the end of the page."""
    limit, offset, _ = page_of(exchange.parameters)
    return offset + limit


def _page(exchange: Exchange, found: list[Json]) -> list[Json]:
    limit, offset, _ = page_of(exchange.parameters)
    return found[offset : offset + limit]


def _page_headers(exchange: Exchange, own: Reply, mine: int, found: int) -> Headers:
    """Links to other pages and the count: all that is here, and of sources what they were asked for."""
    _, _, count = page_of(exchange.parameters)
    here = [int(value) for name, value in own.headers or [] if name == b"ngsild-results-count"]
    total = max([found, *(number + found - mine for number in here)])
    return page_headers(exchange, more=found > _reach(exchange), total=total if count else None)


def _told(
    exchange: Exchange,
    origin: Origin,
    registration: Registration,
    wire: Wire,
    reply: SourceReply,
    warnings: list[tuple[str, Registration]],
) -> list[Json]:
    """The Entities of one answer; what is wrong with it is added to the warnings."""
    if reply.warning:
        warnings.append((reply.warning, registration))
    if not reply.good:
        return []
    try:
        return _entities(exchange, origin, registration, wire, reply)
    except CityError:
        warnings.append(("111", registration))
        return []


async def _questions(
    exchange: Exchange,
    origin: Origin,
    operation: str,
    path: str,
    query: EntityQuery,
    asked: Wanted,
    known: Mapping[str, tuple[str, ...]] | None = None,
) -> list[tuple[Registration, Question, Wire]]:
    """What each source is asked; `known` are the ids for each registration, None: those of the query."""
    temporal = asked.temporal
    window = parse_temporal_window(
        temporal.timerel, temporal.time_at, temporal.end_time_at, temporal.timeproperty
    )
    terms = [term for term in asked.asked.attrs or asked.asked.pick if term not in _MEMBERS]
    wanted = frozenset(names("attrs", terms, exchange.context))
    sought = Sought(sought_by(query).selectors, wanted, window=window)
    federation = exchange.services.federation
    found: list[tuple[Registration, Question, Wire]] = []
    if federation.came_around(origin):
        return found
    shared = _shared(exchange, asked)
    for registration in federation.usable(origin, [operation], timed=True):
        # Who names no time but the operation may know of any.
        asking = sought if registration.is_timed else msgspec.structs.replace(sought, window=None)
        ids = query.ids if known is None else known.get(registration.id, ())
        told = tuple(one for one in ids if federation.covers(origin, registration, one))
        places = matching_information(registration, asking)
        if places and (told or (known is None and not ids)):
            infos = tuple(registration.information[place] for place in places)
            wire = await wire_to(exchange, origin, registration)
            one = msgspec.structs.replace(query, ids=told)
            parameters = [*shared, *_narrowed(operation, one, infos, wanted, wire)]
            found.append((registration, Question("GET", path, tuple(parameters)), wire))
    return found


def _shared(exchange: Exchange, wanted: Wanted) -> list[tuple[str, str]]:
    """What every source is asked alike."""
    given = {
        name: exchange.parameters.text(name) for name in _HANDED_ON if name in exchange.parameters
    } | written_as_parameters(wanted.temporal)
    if wanted.by_body and wanted.temporal.methods:
        given["format"] = "aggregatedValues"
    given |= {"datasetId": ",".join(wanted.asked.dataset_id), "lang": wanted.asked.lang}
    return [(name, value) for name, value in given.items() if value]


def _narrowed(
    operation: str,
    query: EntityQuery,
    infos: tuple[RegistrationInfo, ...],
    wanted: frozenset[str],
    wire: Wire,
) -> list[tuple[str, str]]:
    """What one source is asked: no more than it has registered."""
    found = []
    attributes = attributes_asked(infos, wanted)
    if attributes is not None:
        found.append(("attrs", ",".join(sorted(map(wire.context.compact, attributes)))))
    if operation == "queryTemporal":
        found += write_selectors(narrowed(query, infos), query, wire.context)
    return found


async def _own(exchange: Exchange, handler: Handler) -> tuple[list[Json], Reply]:
    """What the city itself remembers, its @context left out."""
    try:
        reply = await handler(exchange)
    except CityError as error:
        return [], refused(error, exchange.scope)
    found = decode_json(reply.body)
    entities = found if isinstance(found, list) else [found]
    return [{key: value for key, value in one.items() if key != "@context"} for one in entities], reply


def _entities(
    exchange: Exchange, origin: Origin, registration: Registration, wire: Wire, reply: SourceReply
) -> list[Json]:
    """The Entities of an answer that the asker may see. Raises BadRequestData, InvalidRequest."""
    decoded = decode_json(reply.body)
    found = []
    for item in decoded if isinstance(decoded, list) else [decoded]:
        if not isinstance(item, dict) or not is_uri(item.get("id")) or not _is_typed(item.get("type")):
            raise BadRequestData("This is no Entity over time", hint="Look at the source.")
        names_of_types = item["type"] if isinstance(item["type"], list) else [item["type"]]
        types = [wire.context.expand(name) for name in names_of_types]
        if exchange.services.federation.may_be_shown(origin, registration, {"type": types}):
            found.append(renamed_evolution(item, wire.context, exchange.context))
    return found


def _is_typed(value: Any) -> bool:
    names_of_types = value if isinstance(value, list) else [value]
    return bool(names_of_types) and all(isinstance(name, str) for name in names_of_types)
