"""What sources are asked about the past, and what of their answers is taken (ETSI GS CIM 009, 4.3.6.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from cityloom.federation.discovering import Json, renamed_evolution
from cityloom.federation.model import Origin, Question, Reply, Wire
from cityloom.federation.questions import attributes_asked, narrowed, write_selectors
from cityloom.federation.view import is_registered
from cityloom.kernel.errors import CityError
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.json_text import decode_json
from cityloom.ngsild.names import is_uri
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.registrations import Registration, RegistrationInfo
from cityloom.ngsild.source_matching import Sought, matching_information, sought_by
from cityloom.ngsild.temporal_query import parse_temporal_window
from cityloom.web.ngsild.asking import names
from cityloom.web.ngsild.distribution import wire_to
from cityloom.web.ngsild.exchange import Exchange
from cityloom.web.ngsild.temporal import Wanted
from cityloom.web.ngsild.temporal_asking import written_as_parameters

EVOLUTIONS = "/temporal/entities"
_MEMBERS = frozenset({"id", "type", "scope"})
#: Parameters that say the same to everybody.
_HANDED_ON = ("format", "options", "limit")

#: What one source is asked.
Asked = tuple[Registration, Question, Wire]
#: Codes of warnings, and whom they are about.
Warnings = list[tuple[str, Registration]]


def told_by(
    exchange: Exchange,
    origin: Origin,
    registration: Registration,
    wire: Wire,
    reply: Reply,
    warnings: Warnings,
) -> list[Json]:
    """The Entities of one answer; what is wrong with it is added to the warnings."""
    if reply.warning:
        warnings.append((reply.warning, registration))
    if not reply.good:
        return []
    try:
        taken = items_taken(exchange, origin, registration, wire, items_in(reply.body))
        return [renamed_evolution(item, wire.context, exchange.context) for item in taken]
    except CityError:
        warnings.append(("111", registration))
        return []


async def questions_over_time(
    exchange: Exchange,
    origin: Origin,
    operation: str,
    path: str,
    query: EntityQuery,
    asked: Wanted,
    known: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Asked]:
    """What each source is asked; `known` are the ids for each registration, None: those of the query."""
    temporal = asked.temporal
    window = parse_temporal_window(
        temporal.timerel, temporal.time_at, temporal.end_time_at, temporal.timeproperty
    )
    terms = [term for term in asked.asked.attrs or asked.asked.pick if term not in _MEMBERS]
    wanted = frozenset(names("attrs", terms, exchange.context))
    sought = Sought(sought_by(query).selectors, wanted, window=window)
    federation = exchange.services.federation
    found: list[Asked] = []
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


def items_in(body: bytes) -> list[Any]:
    """What an answer tells of. Raises BadRequestData, InvalidRequest."""
    decoded = decode_json(body)
    return decoded if isinstance(decoded, list) else [decoded]


def items_taken(
    exchange: Exchange, origin: Origin, registration: Registration, wire: Wire, items: list[Any]
) -> Iterator[Json]:
    """The Entities of an answer that the source has registered and that the asker may see, as they came.

    Raises BadRequestData for what is none.
    """
    for item in items:
        if not isinstance(item, dict) or not is_uri(item.get("id")) or not _is_typed(item.get("type")):
            raise BadRequestData("This is no Entity over time", hint="Look at the source.")
        names_of_types = item["type"] if isinstance(item["type"], list) else [item["type"]]
        types = [wire.context.expand(name) for name in names_of_types]
        if any(is_registered(info, item["id"], tuple(types)) for info in registration.information) and (
            exchange.services.federation.may_be_shown(origin, registration, {"type": types})
        ):
            yield item


def _is_typed(value: Any) -> bool:
    names_of_types = value if isinstance(value, list) else [value]
    return bool(names_of_types) and all(isinstance(name, str) for name in names_of_types)
