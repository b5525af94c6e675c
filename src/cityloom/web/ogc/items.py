"""What the parameters of /items ask of the broker (OGC 17-069r4, 7.15; OGC 19-079r2). Pure."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any

import msgspec

from cityloom.ngsild.errors import BadRequestData, InvalidRequest
from cityloom.ngsild.names import is_uri
from cityloom.ngsild.q_language import (
    ID,
    NEWEST,
    And,
    Compare,
    Exists,
    Located,
    Or,
    Path,
    Term,
    Value,
)
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.type_selection import TypeSelection
from cityloom.web.ogc.bounding_box import box
from cityloom.web.ogc.cql2_query import during, instant_of, located, path_of, term_of
from cityloom.web.ogc.cql2_text import parse_cql2
from cityloom.web.ogc.features import LOCATION

DEFAULT_LIMIT = 100
MAX_LIMIT = 5_000
#: The one system of coordinates: longitude, latitude in degrees of WGS 84.
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
#: Parameters that are none of the features' properties.
OWN = ("bbox", "bbox-crs", "crs", "datetime", "f", "filter", "filter-crs", "filter-lang", "limit", "offset")


class Page(msgspec.Struct, frozen=True):
    """A query, and where the page stands."""

    query: EntityQuery
    limit: int
    offset: int


def page_asked_for(collection: str, parameters: dict[str, str], known: Collection[str]) -> Page:
    """The page that the parameters ask for; `known` are the properties of the collection.

    Raises BadRequestData naming the parameter, InvalidRequest for one that there is not, TooComplexQuery.
    """
    for name in ("crs", "bbox-crs", "filter-crs"):
        if parameters.get(name, CRS84).strip("[]<>") != CRS84:
            raise BadRequestData(
                f"{name} is longitude, latitude in WGS 84 alone",
                hint=f"Leave it out, or write {CRS84}.",
                where=name,
            )
    if parameters.get("filter-lang", "cql2-text") != "cql2-text":
        raise BadRequestData("The filter is CQL2 Text", hint="Write cql2-text.", where="filter-lang")
    terms = _terms(parameters, known)
    limit = min(_whole(parameters, "limit", DEFAULT_LIMIT, least=1), MAX_LIMIT)
    offset = _whole(parameters, "offset", 0, least=0)
    query = EntityQuery(
        type_expression=TypeSelection(((collection,),)),
        # One more than asked for tells whether there is a next page.
        limit=limit + 1,
        offset=offset,
        # To count the matches is to look at all of them: it is done on the first page, and where it is free.
        count=offset == 0 or not terms,
    )
    return Page(_narrowed(query, terms), limit, offset)


def _terms(parameters: dict[str, str], known: Collection[str]) -> list[Term]:
    terms: list[Term] = []
    for name, value in parameters.items():
        if name in OWN:
            continue
        if name not in known and name != "id":
            raise InvalidRequest(
                f"{name[:60]!a} is no parameter here, and no property of the collection",
                hint="The collection's queryables list its properties; filter takes any other attribute.",
                where=name[:60],
            )
        terms.append(_equal(path_of(name), value))
    if "bbox" in parameters:
        terms.append(_bbox(parameters["bbox"]))
    if "datetime" in parameters:
        terms.append(_datetime(parameters["datetime"]))
    if "filter" in parameters:
        terms.append(term_of(parse_cql2(parameters["filter"])))
    return terms


def _narrowed(query: EntityQuery, terms: list[Term]) -> EntityQuery:
    """The query with the terms, those that an index answers in its own members."""
    replace = msgspec.structs.replace
    rest: list[Term] = []
    for term in _flattened(terms):
        if isinstance(term, Located) and query.geo is None and term.geo.geoproperty == LOCATION:
            query = replace(query, geo=term.geo)
        elif not query.ids and (ids := _ids_asked_for(term)):
            query = replace(query, ids=ids)
        else:
            rest.append(term)
    if rest:
        query = replace(query, q=rest[0] if len(rest) == 1 else And(tuple(rest)))
    return query


def _flattened(terms: list[Term]) -> list[Term]:
    found: list[Term] = []
    for term in terms:
        found += _flattened(list(term.terms)) if isinstance(term, And) else [term]
    return found


def _ids_asked_for(term: Term) -> tuple[str, ...]:
    """The ids that an equality or IN asks for; empty for another term."""
    if not isinstance(term, Compare) or term.path.names != (ID,) or term.operator != "==":
        return ()
    if not isinstance(term.values, tuple):
        return ()
    return tuple(str(value.value) for value in term.values)


def _equal(path: Path, text: str) -> Term:
    """A property that is this text, or the number or truth that the text says."""
    values = [Value("string", text)]
    with suppress(ValueError):
        values.append(Value("number", float(text)))
    if text in ("true", "false"):
        values.append(Value("boolean", text == "true"))
    return Compare(path, "==", tuple(values))


def _bbox(text: str) -> Term:
    try:
        numbers = [float(part) for part in text.split(",", 7)]
    except ValueError:
        numbers = []
    geometry: Any = box(numbers)
    try:
        return located(geometry)
    except BadRequestData as error:
        error.where = "bbox"
        raise


def _datetime(text: str) -> Term:
    """An instant, or an interval with .. for an open end; what never was observed matches too (7.15.4)."""
    path = Path((NEWEST,))
    first, slash, last = text.partition("/")
    since = None if slash and first in ("", "..") else instant_of(_dated(first, "00:00:00"), "datetime")
    until = since
    if slash:
        until = None if last in ("", "..") else instant_of(_dated(last, "23:59:59.999"), "datetime")
    elif len(first) == 10:
        until = instant_of(_dated(first, "23:59:59.999"), "datetime")
    if since is not None and until is not None and since > until:
        raise BadRequestData("The interval ends before it begins", hint="Exchange the two.", where="datetime")
    return Or((Exists(path, negated=True), during(since, until, path)))


def _dated(text: str, time_of_day: str) -> str:
    return f"{text}T{time_of_day}Z" if len(text) == 10 else text


def _whole(parameters: dict[str, str], name: str, default: int, *, least: int) -> int:
    text = parameters.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12) or int(text) < least:
        raise BadRequestData(
            f"{name} is not a whole number from {least}", hint=f"Write {name}={max(least, 20)}.", where=name
        )
    return int(text)


def check_feature_id(text: str) -> str:
    """The id of an Entity. Raises BadRequestData."""
    if not is_uri(text):
        raise BadRequestData(
            f"{ascii(text)[:60]} is no id of an Entity",
            hint="An id is a URI, such as urn:ngsi-ld:Streetlight:12.",
            where="featureId",
        )
    return text
