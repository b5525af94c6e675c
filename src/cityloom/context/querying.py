"""Answering a query (ETSI GS CIM 009, 5.7.2): candidates from an index, then the rest of the conditions.

Order, when none is asked for: oldest Entity first, which stays the same from page to page. A scan looks at
the state as it was when it began, also when it gives way to others on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from itertools import islice
from operator import attrgetter
from sys import maxsize
from time import perf_counter, thread_time
from typing import Any, Protocol

import msgspec
import orjson
from msgspec.structs import replace

from cityloom.context.sifting import Lot, Sifting
from cityloom.context.state import Clearance, CurrentState
from cityloom.ngsild.errors import TooManyResults
from cityloom.ngsild.model import DEFAULT_VOCABULARY, Document
from cityloom.ngsild.ordering import sort_key
from cityloom.ngsild.q_language import And, Compare, Exists, Located, Or, Path, Term
from cityloom.ngsild.q_matching import Lookup
from cityloom.ngsild.query import EntityQuery, compile

#: Documents looked at before others get their turn on the event loop, and seconds spent with them at most:
#: one document may cost as much as a thousand others.
TURN = 1000
TURN_SECONDS = 0.01
#: The last place in an order that is asked for.
MOST_ORDERED = 50_000

_by_creation = attrgetter("created")


class QueryPage(msgspec.Struct):
    """One page of Entities, as JSON in the internal form; `total` is the number of all matches when it was
    asked for."""

    texts: list[bytes]
    total: int | None

    @classmethod
    def of(cls, documents: list[Document], total: int | None) -> QueryPage:
        """A page of what is not kept here."""
        return cls([orjson.dumps(document) for document in documents], total)

    @property
    def documents(self) -> list[Document]:
        """The Entities, read anew each time."""
        return [orjson.loads(text) for text in self.texts]


def answer(
    state: CurrentState, tenant: str, clearance: Clearance, query: EntityQuery, lookup: Lookup
) -> Generator[None, None, QueryPage]:
    """The answer, as a generator that yields now and then and returns the page.

    Raises what compiling the query raises: BadRequestData, TooComplexQuery, OperationNotSupported.
    """
    if _is_page_of_all(query):
        return _page_of_all(state, tenant, clearance, query)
    page = _Ordered(query) if query.order_by else _Page(query)
    yield from _gather(state, tenant, clearance, query, lookup, page)
    return page.told()


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
    ids = _Ids(most)
    yield from _gather(state, tenant, clearance, query, lookup, ids)
    return ids.found


#: Members of a query that say what is shown of the matches, not which Entities match.
_SHOWING = {"pick": (), "omit": (), "dataset_id": (), "limit": 0, "offset": 0}


def _is_page_of_all(query: EntityQuery) -> bool:
    """Whether everything matches, and the page is among the first Entities."""
    # Compared with a query that asks nothing, so that a condition the standard adds is not overlooked.
    return query.offset <= TURN and replace(query, **_SHOWING, count=False) == EntityQuery(limit=0)


def _page_of_all(state: CurrentState, tenant: str, clearance: Clearance, query: EntityQuery) -> QueryPage:
    total = state.count(tenant, clearance) if query.count else None
    page = islice(state.all(tenant, clearance), query.offset, query.offset + query.limit)
    return QueryPage([held.document for held in page], total)


class _Wanted(Protocol):
    """What is made of the matches."""

    @property
    def is_full(self) -> bool:
        """Whether no further match changes anything."""
        ...

    def take(self, text: bytes, match: Document, /) -> None:
        """A match, as it is kept and read."""
        ...

    def take_sure(self, lot: Lot, begin: int, end: int) -> None:
        """Matches of a lot that need not be looked at, from one place to before another."""
        ...


class _Page:
    """The matches of a query, as far as its page needs them."""

    def __init__(self, query: EntityQuery) -> None:
        self._query = query
        self._total = 0
        self._found: list[bytes] = []
        self._first = query.offset
        self._end = query.offset + query.limit

    @property
    def is_full(self) -> bool:
        return self._total >= self._end and not self._query.count

    def take(self, text: bytes, _match: Document, /) -> None:
        if self._first <= self._total < self._end:
            self._found.append(text)
        self._total += 1

    def take_sure(self, lot: Lot, begin: int, end: int) -> None:
        first = begin + max(self._first - self._total, 0)
        last = min(begin + self._end - self._total, end)
        self._found += [lot.document(place) for place in range(first, last)]
        self._total += end - begin

    def told(self) -> QueryPage:
        return QueryPage(self._found, self._total if self._query.count else None)


class _Ordered:
    """A page in order. Of the matches only those are kept that can still be on it, so that no sort takes
    long. Raises TooManyResults for a page too deep down."""

    is_full = False

    def __init__(self, query: EntityQuery) -> None:
        self._query = query
        self._total = 0
        self._end = query.offset + query.limit
        if self._end > MOST_ORDERED:
            raise TooManyResults(
                f"An order reaches {MOST_ORDERED} entities deep",
                hint="Narrow the query, or page through it unordered.",
                where="offset",
            )
        self._key_of = sort_key(query.order_by)
        self._kept: list[tuple[Any, int, bytes]] = []

    def take(self, text: bytes, match: Document, /) -> None:
        self._kept.append((self._key_of(match), self._total, text))
        self._total += 1
        if len(self._kept) >= 2 * self._end + TURN:
            self._kept = sorted(self._kept, key=_in_place)[: self._end]

    def take_sure(self, lot: Lot, begin: int, end: int) -> None:
        _take_each(self, lot, begin, end)

    def told(self) -> QueryPage:
        page = sorted(self._kept, key=_in_place)[self._query.offset : self._end]
        found = [text for _, _, text in page]
        return QueryPage(found, self._total if self._query.count else None)


def _in_place(entry: tuple[Any, int, bytes]) -> tuple[Any, int]:
    """Key, and what was found first among equals."""
    return entry[:2]


class _Ids:
    """The ids of all matches. Raises TooManyResults for more than `most`."""

    is_full = False

    def __init__(self, most: int | None) -> None:
        self.found: list[str] = []
        self._most = maxsize if most is None else most

    def take(self, _text: bytes, match: Document, /) -> None:
        self.found.append(match["id"])
        if len(self.found) > self._most:
            raise TooManyResults(
                f"More than {self._most} entities match", hint="Narrow the query: by type, value or place."
            )

    def take_sure(self, lot: Lot, begin: int, end: int) -> None:
        _take_each(self, lot, begin, end)


def _take_each(wanted: _Wanted, lot: Lot, begin: int, end: int) -> None:
    """Look at matches that are sure, too."""
    for place in range(begin, end):
        text = lot.document(place)
        wanted.take(text, orjson.loads(text))


def _gather(
    state: CurrentState,
    tenant: str,
    clearance: Clearance,
    query: EntityQuery,
    lookup: Lookup,
    wanted: _Wanted,
) -> Generator[None, None, None]:
    """Hand the matches to whoever wants them, oldest first, until they have enough."""
    passing = _passing(query, lookup)
    lots: Iterator[Lot]
    if query.ids:
        found = (state.find(tenant, one, clearance) for one in dict.fromkeys(query.ids))
        lots = iter([Lot.of(sorted((held for held in found if held is not None), key=_by_creation))])
    else:
        sifting = Sifting(state.rows(tenant, clearance), query)
        yield from sifting.prepare()
        lots = sifting.lots()
    yield from _look(lots, passing, wanted)


def _look(lots: Iterator[Lot], passing: Passing, wanted: _Wanted) -> Generator[None, None, None]:
    turn = _Turn()
    for lot in (waiting := _Waiting(lots)):
        step = TURN if lot.all_sure else 1
        for place in range(0, len(lot), step):
            if lot.all_sure or lot.is_sure(place):
                wanted.take_sure(lot, place, min(place + step, len(lot)))
            elif (match := passing(text := lot.document(place))) is not None:
                wanted.take(text, match)
            if wanted.is_full:
                return
            if place % TURN == TURN - 1 or turn.is_over():
                # Others' turn. What they change is not to be seen here.
                lot.keep()
                waiting.keep()
                yield
                turn = _Turn()


class _Turn:
    """Time on the event loop. A processor that works for other processes does not use it up: keeping what is
    still to be looked at costs more than the rest of most pages."""

    def __init__(self) -> None:
        self._soonest = perf_counter() + TURN_SECONDS
        self._used_up = thread_time() + TURN_SECONDS

    def is_over(self) -> bool:
        return perf_counter() > self._soonest and thread_time() > self._used_up


class _Waiting:
    """Lots that are still to come."""

    def __init__(self, lots: Iterator[Lot]) -> None:
        self._lots = lots
        self._are_kept = False

    def __iter__(self) -> Iterator[Lot]:
        while (lot := next(self._lots, None)) is not None:
            yield lot

    def keep(self) -> None:
        """Make all of them, as they are now."""
        if not self._are_kept:
            self._are_kept = True
            lots = list(self._lots)
            for lot in lots:
                lot.keep()
            self._lots = iter(lots)


#: The document, when it matches.
Passing = Callable[[bytes], Document | None]


def _passing(query: EntityQuery, lookup: Lookup) -> Passing:
    compiled = compile(query, lookup)
    needles = _needles(query)

    def passing(text: bytes) -> Document | None:
        for needle in needles:
            if needle not in text:
                return None
        document: Document = orjson.loads(text)
        return document if compiled(document) else None

    return passing


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
