"""The past as the city and its sources remember it (ETSI GS CIM 009, 5.7.3, 5.7.4, 4.3.6.7)."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from cityloom.federation.discovering import Json, evolutions_together, last_of, renamed_evolution
from cityloom.federation.model import Origin, Question, Wire
from cityloom.federation.model import Reply as SourceReply
from cityloom.federation.questions import attributes_asked, narrowed, write_selectors
from cityloom.kernel.errors import CityError
from cityloom.ngsild.errors import BadRequestData, TooManyResults
from cityloom.ngsild.json_text import decode_json
from cityloom.ngsild.names import is_uri
from cityloom.ngsild.query import MAX_LIMIT, EntityQuery
from cityloom.ngsild.registrations import Registration, RegistrationInfo
from cityloom.ngsild.source_matching import Sought, matching_information, sought_by
from cityloom.ngsild.temporal_query import parse_temporal_window
from cityloom.web.ngsild.application import refused
from cityloom.web.ngsild.asking import entity_query, names, page_of
from cityloom.web.ngsild.distribution import origin_of, warned, wire_to
from cityloom.web.ngsild.exchange import Exchange, Headers, Reply
from cityloom.web.ngsild.operations import Handler
from cityloom.web.ngsild.paging import page_headers
from cityloom.web.ngsild.provision import entity_id_of
from cityloom.web.ngsild.temporal import Wanted, evolution, evolutions, wanted_by, wanted_in
from cityloom.web.ngsild.temporal_asking import written_as_parameters

_MEMBERS = frozenset({"id", "type", "scope"})
#: Parameters that say the same to everybody.
_HANDED_ON = ("format", "options", "limit")


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


async def _query(exchange: Exchange, wanted: Wanted) -> Reply:
    # What other sources know is not mapped: no map is told of then, as 5.5.14 has it.
    own = partial(evolutions, wanted=wanted, mapped=False)
    local = wanted.asked.type == "*"
    query = entity_query(wanted.asked, exchange.context, exchange.parameters, local=local)
    return await _everywhere(exchange, "queryTemporal", own, "/temporal/entities", query, wanted)


async def _everywhere(
    exchange: Exchange, operation: str, handler: Handler, path: str, query: EntityQuery, wanted: Wanted
) -> Reply:
    origin = origin_of(exchange, wanted.asked.csf)
    single = operation == "retrieveTemporal"
    # A page of all is among the first pages of each; one more tells whether there is another.
    whole = exchange if single else exchange.paged(min(_reach(exchange) + 1, MAX_LIMIT))
    questions = await _questions(whole, origin, operation, path, query, wanted)
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
    exchange: Exchange, origin: Origin, operation: str, path: str, query: EntityQuery, asked: Wanted
) -> list[tuple[Registration, Question, Wire]]:
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
        places = matching_information(registration, asking)
        if places:
            infos = tuple(registration.information[place] for place in places)
            wire = await wire_to(exchange, origin, registration)
            parameters = [*shared, *_narrowed(operation, query, infos, wanted, wire)]
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
