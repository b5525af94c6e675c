"""Answering a query (ETSI GS CIM 009, 5.7.2): candidates from an index, then the rest of the conditions.

Order, when none is asked for: oldest Entity first, which stays the same from page to page. A scan looks at
the state as it was when it began, also when it gives way to others on the event loop.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from time import perf_counter

import msgspec
import orjson
from msgspec.structs import replace

from cityloom.context.revision import INDEXED_GEOMETRY
from cityloom.context.state import Clearance, CurrentState, Held
from cityloom.ngsild.errors import TooManyResults
from cityloom.ngsild.model import DEFAULT_VOCABULARY, Document
from cityloom.ngsild.ordering import in_order
from cityloom.ngsild.q_language import And, Compare, Exists, Located, Or, Path, Term
from cityloom.ngsild.q_matching import Lookup
from cityloom.ngsild.query import EntityQuery, Predicate, compile

#: Documents looked at before others get their turn on the event loop, and seconds spent with them at most:
#: one document may cost as much as a thousand others.
TURN = 1000
TURN_SECONDS = 0.01


class QueryPage(msgspec.Struct):
    """One page of Entities; `total` is the number of all matches when it was asked for."""

    documents: list[Document]
    total: int | None


def answer(
    state: CurrentState, tenant: str, clearance: Clearance, query: EntityQuery, lookup: Lookup
) -> Generator[None, None, QueryPage]:
    """The answer, as a generator that yields now and then and returns the page.

    Raises what compiling the query raises: BadRequestData, TooComplexQuery, OperationNotSupported.
    """
    compiled = compile(query, lookup)
    candidates = _candidates(state, tenant, clearance, query)
    if _is_answered_by_index(query):
        return _page_of_all(state, tenant, clearance, query, candidates)
    snapshot = [held.document for held in candidates]
    matches = _matches(snapshot, compiled, _needles(query))
    if query.order_by:
        return (yield from _sorted_page(matches, query))
    return (yield from _page(matches, query))


def ids_of_all(
    state: CurrentState,
    tenant: str,
    clearance: Clearance,
    query: EntityQuery,
    lookup: Lookup,
    most: int | None,
) -> Generator[None, None, list[str]]:
    """The ids of all matches, oldest first, as a generator that yields now and then and returns them.

    Raises TooManyResults for more than `most`, and what compiling the query raises.
    """
    compiled = compile(query, lookup)
    candidates = _candidates(state, tenant, clearance, query)
    if _is_answered_by_index(query):
        found = [held.entity_id for held in candidates]
        _check_number(found, most)
        return found
    found = []
    for document in _matches([held.document for held in candidates], compiled, _needles(query)):
        if document is None:
            yield
        else:
            found.append(document["id"])
            _check_number(found, most)
    return found


def _check_number(found: list[str], most: int | None) -> None:
    if most is not None and len(found) > most:
        raise TooManyResults(
            f"More than {most} entities match", hint="Narrow the query: by type, value or place."
        )


#: Members of a query that say what is shown of the matches, not which Entities match.
_SHOWING = {"type_expression": None, "pick": (), "omit": (), "dataset_id": (), "limit": 0, "offset": 0}


def _is_answered_by_index(query: EntityQuery) -> bool:
    """Whether every candidate matches: nothing but types that stand alone is asked for."""
    types = query.type_expression
    if types is not None and any(len(names) > 1 for names in types.alternatives):
        return False
    # Compared with a query that asks nothing, so that a condition the standard adds is not overlooked.
    return replace(query, **_SHOWING, count=False) == EntityQuery(limit=0)


def _candidates(state: CurrentState, tenant: str, clearance: Clearance, query: EntityQuery) -> Iterable[Held]:
    """Entities among which all matches are, oldest first."""
    if query.ids:
        found = (state.find(tenant, one, clearance) for one in dict.fromkeys(query.ids))
        return sorted((held for held in found if held is not None), key=lambda held: held.created)
    names = _types_asked_for(query)
    bounds = None
    if query.geo is not None and query.geo.geoproperty == INDEXED_GEOMETRY:
        bounds = query.geo.bounds()
    if bounds is not None:
        near = state.within(tenant, bounds, clearance)
        return near if names is None else [held for held in near if not set(names).isdisjoint(held.types)]
    if names is None:
        return state.all(tenant, clearance)
    return state.of_types(tenant, names, clearance)


def _types_asked_for(query: EntityQuery) -> tuple[str, ...] | None:
    """Types of which every match has one; None when it may be of any type."""
    if query.type_expression is not None:
        return query.type_expression.candidates()
    selections = [selector.type_expression for selector in query.selectors]
    if not selections or None in selections:
        return None
    return tuple(dict.fromkeys(name for one in selections if one is not None for name in one.candidates()))


def _page_of_all(
    state: CurrentState, tenant: str, clearance: Clearance, query: EntityQuery, candidates: Iterable[Held]
) -> QueryPage:
    total = _count_of_all(state, tenant, clearance, query) if query.count else None
    page = islice(candidates, query.offset, query.offset + query.limit)
    return QueryPage([orjson.loads(held.document) for held in page], total)


def _count_of_all(state: CurrentState, tenant: str, clearance: Clearance, query: EntityQuery) -> int:
    if query.type_expression is None:
        return state.count(tenant, clearance)
    names = query.type_expression.candidates()
    if len(names) == 1:
        return state.count(tenant, clearance, names[0])
    return sum(1 for _ in state.of_types(tenant, names, clearance))


def _matches(
    snapshot: Sequence[bytes], compiled: Predicate, needles: Sequence[bytes]
) -> Iterator[Document | None]:
    """The documents that match; None once in a while, when it is others' turn."""
    until = perf_counter() + TURN_SECONDS
    for number, text in enumerate(snapshot, 1):
        if number % TURN == 0 or perf_counter() > until:
            yield None
            until = perf_counter() + TURN_SECONDS
        if all(needle in text for needle in needles):
            document = orjson.loads(text)
            if compiled(document):
                yield document


def _page(matches: Iterator[Document | None], query: EntityQuery) -> Generator[None, None, QueryPage]:
    page: list[Document] = []
    total = 0
    end = query.offset + query.limit
    for document in matches:
        if document is None:
            yield
            continue
        if query.offset <= total < end:
            page.append(document)
        total += 1
        if total >= end and not query.count:
            break
    return QueryPage(page, total if query.count else None)


def _sorted_page(matches: Iterator[Document | None], query: EntityQuery) -> Generator[None, None, QueryPage]:
    found: list[Document] = []
    for document in matches:
        if document is None:
            yield
        else:
            found.append(document)
    ordered = in_order(found, query.order_by)
    page = ordered[query.offset : query.offset + query.limit]
    return QueryPage(page, len(found) if query.count else None)


# Needles: bytes that stand in every document that matches, so that others need not be parsed


def _needles(query: EntityQuery) -> list[bytes]:
    needles: dict[bytes, None] = {}
    if len(query.attrs) == 1:
        needles[_member(query.attrs[0])] = None
    if query.q is not None:
        _collect(query.q, needles)
    return list(needles)


def _collect(term: Term, needles: dict[bytes, None]) -> None:
    if isinstance(term, And):
        for part in term.terms:
            _collect(part, needles)
    elif isinstance(term, Or) or (isinstance(term, Exists) and term.negated):
        return
    elif isinstance(term, Located):
        needles[_member(term.geo.geoproperty)] = None
    else:
        needles[_member(_first_name(term.path).removeprefix("@"))] = None
        if isinstance(term, Compare) and (text := _text_wanted(term)) is not None:
            needles[orjson.dumps(text)] = None


def _first_name(path: Path) -> str:
    return path.hops[0].name if path.hops else path.names[0]


def _text_wanted(term: Compare) -> str | None:
    """The text that an equality asks for, when it must stand in the document as it is."""
    if term.operator != "==" or term.path.hops or not isinstance(term.values, tuple) or len(term.values) != 1:
        return None
    (value,) = term.values
    if value.kind not in ("string", "uri") or value.iri is not None:
        return None
    # Terms of the default vocabulary are kept short.
    text: str = value.value
    return None if text.startswith(DEFAULT_VOCABULARY) else text


def _member(name: str) -> bytes:
    return orjson.dumps(name) + b":"
