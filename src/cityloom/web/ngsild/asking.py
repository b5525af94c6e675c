"""From parameters and Query bodies to what the rooms are asked (ETSI GS CIM 009, 5.2.23, 6.4.3.2, 6.3.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from cityloom.ngsild.collation import parse_collation
from cityloom.ngsild.contexts import Context
from cityloom.ngsild.errors import (
    BadRequestData,
    InvalidRequest,
    TooComplexQuery,
    TooManyResults,
)
from cityloom.ngsild.geo_query import GeoQuery, check_reference, parse_geo_query
from cityloom.ngsild.json_text import decode_json
from cityloom.ngsild.linking import Join
from cityloom.ngsild.names import check_uri
from cityloom.ngsild.ordering import parse_order_by
from cityloom.ngsild.projection import MAX_LEVELS, Projection, parse_projection, split_terms
from cityloom.ngsild.q_language import MEMBERS, And, Located, Or, Term, names_of, parse_q
from cityloom.ngsild.query import DEFAULT_LIMIT, MAX_LIMIT, EntityQuery, EntitySelector
from cityloom.ngsild.representation import Format
from cityloom.ngsild.scope_query import parse_scope_query
from cityloom.ngsild.type_selection import MAX_ALTERNATIVES, TypeSelection, parse_type_selection
from cityloom.web.ngsild.parameters import Parameters, few

T = TypeVar("T")

IDENTITY = frozenset({"id", "type", "scope"})
FORMATS: dict[str, Format] = {
    "normalized": "normalized",
    "concise": "concise",
    "simplified": "simplified",
    "keyValues": "simplified",
}


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """A query as it was written, from parameters or from the body of a POST; nothing is expanded."""

    ids: tuple[str, ...] = ()
    id_pattern: str | None = None
    type: str | None = None
    selectors: tuple[tuple[str | None, str | None, str | None], ...] = ()
    attrs: tuple[str, ...] = ()
    pick: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    dataset_id: tuple[str, ...] = ()
    expand_values: tuple[str, ...] = ()
    q: str | None = None
    scope_q: str | None = None
    lang: str | None = None
    georel: str | None = None
    geometry: str | None = None
    coordinates: Any = None
    geoproperty: str | None = None
    order_by: str | None = None
    order_from: Any = None
    order_geometry: str | None = None
    collation: str | None = None
    csf: str | None = None
    json_keys: tuple[str, ...] = ()
    join: str | None = None
    join_level: int | None = None
    contained_by: tuple[str, ...] = ()
    entity_map: bool = False
    entity_map_lifetime: str | None = None


#: What a request without parameters asks.
_NOTHING = Asked()


def asked_by(parameters: Parameters) -> Asked:
    """A query from the parameters of a GET."""
    if parameters.are_none:
        return _NOTHING
    given = {name: _READERS[name] for name in parameters.names() if name in _READERS}
    return Asked(**{field: read(parameters, name) for name, (field, read) in given.items()})


def _terms(parameters: Parameters, name: str) -> tuple[str, ...]:
    text = parameters.text(name)
    return () if text is None else few(named(name, lambda: split_terms(text)), name)


def _scopes(parameters: Parameters, name: str) -> str | None:
    text = parameters.text(name)
    # A plus that was not percent-encoded arrives as a space, which no scope has.
    return None if text is None else text.replace(" ", "+")


def _level(parameters: Parameters, name: str) -> int:
    return parameters.number(name, 1, least=1)


#: By parameter the member of `Asked`, and how it is read.
_READERS: dict[str, tuple[str, Callable[[Parameters, str], Any]]] = {
    "id": ("ids", Parameters.listed),
    "idPattern": ("id_pattern", Parameters.text),
    "type": ("type", Parameters.text),
    "attrs": ("attrs", Parameters.listed),
    "pick": ("pick", _terms),
    "omit": ("omit", _terms),
    "datasetId": ("dataset_id", Parameters.listed),
    "expandValues": ("expand_values", Parameters.listed),
    "q": ("q", Parameters.text),
    "scopeQ": ("scope_q", _scopes),
    "lang": ("lang", Parameters.text),
    "georel": ("georel", Parameters.text),
    "geometry": ("geometry", Parameters.text),
    "coordinates": ("coordinates", Parameters.text),
    "geoproperty": ("geoproperty", Parameters.text),
    "orderBy": ("order_by", Parameters.text),
    "orderFrom": ("order_from", Parameters.text),
    "orderGeometry": ("order_geometry", Parameters.text),
    "collation": ("collation", Parameters.text),
    "csf": ("csf", Parameters.text),
    "jsonKeys": ("json_keys", Parameters.listed),
    "join": ("join", Parameters.text),
    "joinLevel": ("join_level", _level),
    "containedBy": ("contained_by", Parameters.listed),
    "entityMap": ("entity_map", Parameters.flag),
    "entityMapLifetime": ("entity_map_lifetime", Parameters.text),
}


def entity_query(
    asked: Asked, context: Context, parameters: Parameters, *, local: bool = False
) -> EntityQuery:
    """The query with its names expanded. Raises BadRequestData naming the parameter, TooManyResults."""
    limit, offset, count = page_of(parameters)
    query = EntityQuery(
        ids=tuple(check_uri(one, "id") for one in asked.ids),
        id_pattern=asked.id_pattern,
        type_expression=type_selection(asked.type, context),
        selectors=_selectors(asked, context),
        q=_query_term(asked, context),
        geo=_geo_query(asked, context),
        scope_q=None if asked.scope_q is None else parse_scope_query(asked.scope_q),
        attrs=tuple(_attributes_wanted(asked, context)),
        dataset_id=tuple(datasets(asked.dataset_id)),
        limit=limit,
        offset=offset,
        count=count,
        order_by=_order(asked, context),
    )
    if not local and _is_too_wide(asked, query):
        raise BadRequestData(
            "The query is too wide",
            hint="Give one of type, attrs, q or georel; or local=true for everything that is here.",
        )
    return query


def _is_too_wide(asked: Asked, query: EntityQuery) -> bool:
    """Whether nothing narrows the query down but ids, patterns and the system's times (5.7.2.4)."""
    by_type = asked.type is not None or bool(asked.selectors)
    by_attribute = bool(set(asked.attrs) - MEMBERS)
    by_value = query.q is not None and not MEMBERS.issuperset(names_of(query.q))
    return not (by_type or by_attribute or by_value or query.geo is not None)


def _attributes_wanted(asked: Asked, context: Context) -> list[str]:
    """Attributes of which an entity must have one: those of attrs, or of a pick that takes nothing else."""
    if asked.attrs or not asked.pick or not IDENTITY.isdisjoint(asked.pick):
        return names("attrs", asked.attrs, context)
    return sorted(projection("pick", asked.pick, context).members)


def projection(parameter: str, terms: Sequence[str], context: Context) -> Projection:
    return named(parameter, lambda: parse_projection(",".join(terms), context))


def join_of(asked: Asked) -> Join | None:
    """How linked entities are put into the answer; None: they are not. Raises BadRequestData."""
    if asked.join not in (None, "@none", "flat", "inline"):
        raise BadRequestData(
            f"{asked.join[:40]!a} is no way to join", hint="Write flat, inline or @none.", where="join"
        )
    levels = 1 if asked.join_level is None else asked.join_level
    if not 0 < levels <= MAX_LEVELS:
        raise BadRequestData(
            f"joinLevel is from 1 to {MAX_LEVELS}", hint="Leave it out for 1.", where="joinLevel"
        )
    contained_by = frozenset(check_uri(one, "containedBy") for one in asked.contained_by)
    if asked.join == "flat":
        return Join("flat", levels, contained_by)
    return Join("inline", levels, contained_by) if asked.join == "inline" else None


def format_of(parameters: Parameters, formats: dict[str, T], default: T) -> tuple[T, set[str]]:
    """The format that `format`, or else `options`, asks for, and the other options."""
    options = set(parameters.listed("options"))
    unknown = options - formats.keys() - {"sysAttrs"}
    if unknown:
        raise InvalidRequest(
            f"{min(unknown)[:40]!a} is not an option of this operation",
            hint=f"Options are {', '.join([*formats, 'sysAttrs'])}.",
            where="options",
        )
    wanted = parameters.text("format")
    if wanted is not None and wanted not in formats:
        raise InvalidRequest(
            f"{wanted[:40]!a} is not a format of this operation",
            hint=f"Formats are {', '.join(formats)}.",
            where="format",
        )
    chosen = {formats[name] for name in ([wanted] if wanted is not None else options & formats.keys())}
    if len(chosen) > 1:
        raise BadRequestData("The options name several formats", hint="Name one.", where="options")
    return (chosen.pop() if chosen else default), options - formats.keys()


def page_of(parameters: Parameters) -> tuple[int, int, bool]:
    """limit, offset and count (6.3.10, 6.3.13). Raises BadRequestData, TooManyResults."""
    count = parameters.flag("count")
    limit = parameters.number("limit", DEFAULT_LIMIT)
    if limit == 0 and not count:
        raise BadRequestData(
            "limit=0 asks for nothing", hint="Add count=true to get the count alone.", where="limit"
        )
    if limit > MAX_LIMIT:
        raise TooManyResults(
            f"limit is more than {MAX_LIMIT}", hint="Ask page by page, with limit and offset.", where="limit"
        )
    return limit, parameters.number("offset", 0), count


def type_selection(text: str | None, context: Context) -> TypeSelection | None:
    """The selection of types, None where any will do. Raises BadRequestData."""
    return None if text is None else named("type", lambda: parse_type_selection(text, context))


def names(parameter: str, terms: Iterable[str], context: Context) -> list[str]:
    """Names of attributes, expanded. Raises BadRequestData naming the parameter."""
    return named(parameter, lambda: [context.expand(term) for term in terms])


def datasets(values: Sequence[str]) -> list[str]:
    """datasetIds, "@none" for the default. Raises BadRequestData."""
    return [value if value == "@none" else check_uri(value, "datasetId") for value in values]


def _selectors(asked: Asked, context: Context) -> tuple[EntitySelector, ...]:
    found = tuple(
        EntitySelector(
            type_expression=type_selection(kind, context),
            id=None if identifier is None else check_uri(identifier, "entities.id"),
            id_pattern=pattern,
        )
        for kind, identifier, pattern in asked.selectors
    )
    if sum(len(one.type_expression.alternatives) for one in found if one.type_expression) > MAX_ALTERNATIVES:
        raise TooComplexQuery(
            f"entities has more than {MAX_ALTERNATIVES} types in all",
            hint="Ask several times.",
            where="entities",
        )
    return found


def _query_term(asked: Asked, context: Context) -> Term | None:
    if asked.csf is not None:
        # There is one source here; the filter is checked and passes over nothing.
        named("csf", lambda: parse_q(asked.csf or "", context))
    if asked.q is None:
        return None
    # What jsonKeys names is JSON and no vocabulary: its values stay as they are.
    expanded = set(names("expandValues", asked.expand_values, context)) if asked.expand_values else set()
    expanded.difference_update(names("jsonKeys", asked.json_keys, context) if expanded else ())
    text = asked.q
    term = named("q", lambda: parse_q(text, context, expand_values=expanded))
    join = join_of(asked)
    if depth_of(term) > (0 if join is None else join.levels):
        raise BadRequestData(
            "q reaches further into linked entities than join and joinLevel ask for",
            hint="Ask for attributes of the entity itself, or with join and a joinLevel as deep.",
            where="q",
        )
    return term


def depth_of(term: Term) -> int:
    """How many Relationships a query follows one after the other."""
    if isinstance(term, And | Or):
        return max(map(depth_of, term.terms), default=0)
    return 0 if isinstance(term, Located) else len(term.path.hops)


def _geo_query(asked: Asked, context: Context) -> GeoQuery | None:
    given = {"georel": asked.georel, "geometry": asked.geometry, "coordinates": asked.coordinates}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        return None
    if asked.georel is None or asked.geometry is None or missing:
        raise BadRequestData(
            f"The geoquery lacks {' and '.join(missing)}",
            hint="A geoquery has georel, geometry and coordinates.",
            where=missing[0],
        )
    return parse_geo_query(asked.georel, asked.geometry, asked.coordinates, asked.geoproperty, context)


def _order(asked: Asked, context: Context) -> tuple[Any, ...]:
    if asked.order_by is None:
        return ()
    place = None
    if asked.order_from is not None:
        position = asked.order_from
        coordinates = decode_json(position, where="orderFrom") if isinstance(position, str) else position
        kind = asked.order_geometry or "Point"
        place = named("orderFrom", lambda: check_reference({"type": kind, "coordinates": coordinates}))
    text, collation = asked.order_by, asked.collation
    if collation is not None:
        named("collation", lambda: parse_collation(collation))
    return named("orderBy", lambda: parse_order_by(text, context, place, collation))


def named(parameter: str, read: Callable[[], T]) -> T:
    """What `read` gives; its errors name the parameter."""
    try:
        return read()
    except (BadRequestData, TooComplexQuery) as error:
        error.where = parameter
        raise
