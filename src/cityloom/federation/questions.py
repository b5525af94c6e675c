"""What a source is asked: no more than it has registered, in names that it knows (4.3.6.1, 4.3.6.6). Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from cityloom.federation.model import Origin, Question, Wire
from cityloom.kernel.media_types import JSON
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.query import EntityQuery, EntitySelector
from cityloom.ngsild.query_writing import write_geo, write_q, write_scopes, write_types
from cityloom.ngsild.registrations import EntityInfo, Registration, RegistrationInfo
from cityloom.ngsild.source_matching import entity_matches, sought_by
from cityloom.ngsild.type_selection import TypeSelection

#: Entities that a source is asked for at once.
MOST_ASKED = 1_000


def wire_of(registration: Registration, origin: Origin, own: Context | None) -> Wire:
    """How to speak to a source: with the @context that it wants, that of the request, or the core's alone.

    `own` is the Context behind the registration's jsonldContext.
    """
    if own is not None:
        return Wire(own, registration.told("jsonldContext"))
    if origin.context_address is not None:
        return Wire(origin.context, origin.context_address)
    return Wire(CORE)


def attributes_asked(infos: tuple[RegistrationInfo, ...], wanted: frozenset[str]) -> frozenset[str] | None:
    """The attributes to ask for: those wanted that are registered; None where all are."""
    if any(not info.attributes for info in infos):
        return wanted or None
    registered = frozenset(name for info in infos for name in info.attributes)
    return registered & wanted if wanted else registered


def retrieval(
    registration: Registration,
    entity_id: str,
    infos: tuple[RegistrationInfo, ...],
    wanted: frozenset[str],
    dataset_ids: tuple[str, ...],
    wire: Wire,
) -> Question:
    """Ask for one Entity by the operation that the source offers (5.7.1, or else 5.7.2)."""
    names = attributes_asked(infos, wanted)
    shown = [] if names is None else sorted(map(wire.context.compact, names))
    if "retrieveEntity" in registration.operations:
        parameters = [("attrs", ",".join(shown))] if shown else []
        if dataset_ids:
            parameters.append(("datasetId", ",".join(dataset_ids)))
        path = f"/entities/{quote(entity_id, safe=':')}"
        return Question("GET", path, (*parameters, ("options", "sysAttrs")), may_be_kept=True)
    types = _types_of(infos)
    query = EntityQuery(ids=(entity_id,), type_expression=types, limit=1)
    return _query_question(registration, query, infos, names, wire, filtered=False, count=False)


def querying(
    registration: Registration,
    query: EntityQuery,
    infos: tuple[RegistrationInfo, ...],
    wanted: frozenset[str],
    wire: Wire,
    *,
    filtered: bool,
) -> Question:
    """Ask for Entities by the operation that the source offers (5.7.2). `filtered`: the source applies the
    filters, since no Entity is split (4.3.6.7)."""
    names = attributes_asked(infos, wanted)
    return _query_question(registration, query, infos, names, wire, filtered=filtered, count=query.count)


def _query_question(
    registration: Registration,
    query: EntityQuery,
    infos: tuple[RegistrationInfo, ...],
    names: frozenset[str] | None,
    wire: Wire,
    *,
    filtered: bool,
    count: bool,
) -> Question:
    context = wire.context
    selectors = narrowed(query, infos)
    shared: dict[str, Any] = {}
    if names is not None:
        shared["attrs"] = sorted(map(context.compact, names))
    if filtered:
        shared |= _filters(query, context)
    if query.dataset_id:
        shared["datasetId"] = list(query.dataset_id)
    limit = min(query.offset + query.limit, MOST_ASKED) or 1
    common = [("limit", str(limit)), ("options", "sysAttrs")]
    if count:
        common.append(("count", "true"))
    if "queryEntity" in registration.operations:
        parameters = _as_parameters(selectors, shared, context)
        return Question("GET", "/entities", (*parameters, *common), may_be_kept=True)
    body = {"type": "Query", "entities": [_selector(one, context) for one in selectors] or None, **shared}
    geo = {
        name: body.pop(name) for name in ("georel", "geometry", "coordinates", "geoproperty") if name in body
    }
    if geo:
        body["geoQ"] = geo
    return Question(
        "POST",
        "/entityOperations/query",
        tuple(common),
        orjson.dumps({name: value for name, value in body.items() if value is not None}),
        JSON,
    )


def purging(
    query: EntityQuery, infos: tuple[RegistrationInfo, ...], wire: Wire, members: dict[str, list[str]]
) -> Question:
    """Ask to delete what matches (5.6.21). `members` names what is kept or dropped, if not all."""
    shared: dict[str, Any] = {**_filters(query, wire.context), **members}
    if query.attrs:
        shared["attrs"] = [wire.context.compact(name) for name in query.attrs]
    return Question(
        "DELETE", "/entities", tuple(_as_parameters(narrowed(query, infos), shared, wire.context))
    )


def write_selectors(
    selectors: list[EntitySelector], query: EntityQuery, context: Context
) -> list[tuple[str, str]]:
    """Which Entities are meant, and the filters that they must pass, as parameters."""
    return _as_parameters(selectors, _filters(query, context), context)


def narrowed(query: EntityQuery, infos: tuple[RegistrationInfo, ...]) -> list[EntitySelector]:
    """The Entities to ask for: what was asked for, cut down to what is registered."""
    asked = list(sought_by(query).selectors) or [EntitySelector()]
    found: dict[EntitySelector, None] = {}
    for info in infos:
        if not info.entities:
            found.update(dict.fromkeys(asked))
        for entity in info.entities:
            for one in asked:
                if entity_matches(entity, one):
                    found[_narrower(one, entity)] = None
    return list(found)


def _narrower(asked: EntitySelector, info: EntityInfo) -> EntitySelector:
    types = asked.type_expression
    if info.types:
        alternatives = types.alternatives if types is not None else tuple((name,) for name in info.types)
        kept = tuple(names for names in alternatives if set(names).issubset(info.types))
        types = TypeSelection(kept)
    identifier = asked.id or info.id
    pattern = None if identifier else (asked.id_pattern or info.id_pattern)
    return EntitySelector(types, identifier, pattern)


def _as_parameters(
    selectors: list[EntitySelector], shared: dict[str, Any], context: Context
) -> list[tuple[str, str]]:
    """Several selectors as one GET: types, ids and a pattern of all of them; what comes back is looked at
    again."""
    parameters: list[tuple[str, str]] = []
    expressions = [one.type_expression for one in selectors]
    if expressions and None not in expressions:
        alternatives = dict.fromkeys(
            names for one in expressions if one is not None for names in one.alternatives
        )
        parameters.append(("type", write_types(TypeSelection(tuple(alternatives)), context)))
    ids = [one.id for one in selectors]
    if ids and None not in ids:
        parameters.append(("id", ",".join(dict.fromkeys(one for one in ids if one is not None))))
    patterns = {one.id_pattern for one in selectors}
    if len(patterns) == 1 and None not in patterns and None in ids:
        parameters.append(("idPattern", patterns.pop() or ""))
    for name, value in shared.items():
        if name == "coordinates":
            parameters.append((name, orjson.dumps(value).decode()))
        else:
            parameters.append((name, ",".join(value) if isinstance(value, list) else str(value)))
    return parameters


def _selector(one: EntitySelector, context: Context) -> dict[str, str]:
    found = {"type": "*" if one.type_expression is None else write_types(one.type_expression, context)}
    if one.id is not None:
        found["id"] = one.id
    elif one.id_pattern is not None:
        found["idPattern"] = one.id_pattern
    return found


def _filters(query: EntityQuery, context: Context) -> dict[str, Any]:
    found: dict[str, Any] = {}
    q = None if query.q is None else write_q(query.q, context)
    if q is not None:
        found["q"] = q
    if query.scope_q is not None:
        found["scopeQ"] = write_scopes(query.scope_q)
    if query.geo is not None:
        found |= write_geo(query.geo, context)
    return found


def _types_of(infos: tuple[RegistrationInfo, ...]) -> TypeSelection | None:
    types = dict.fromkeys(name for info in infos for one in info.entities for name in one.types)
    return TypeSelection(tuple((name,) for name in types)) if types else None
