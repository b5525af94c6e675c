"""A query for entities (ETSI GS CIM 009, 5.7.2), and what it means for one document."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cityloom.ngsild.geo_query import GeoQuery, compile_geo
from cityloom.ngsild.model import Document
from cityloom.ngsild.ordering import OrderBy
from cityloom.ngsild.q_language import Term, compile_pattern
from cityloom.ngsild.q_matching import Lookup, compile_q
from cityloom.ngsild.scope_query import ScopeQuery, compile_scopes
from cityloom.ngsild.type_selection import TypeSelection, compile_types

Predicate = Callable[[Document], bool]

#: Entities on a page when nobody says how many, and at most (5.5.9).
DEFAULT_LIMIT = 20
MAX_LIMIT = 1_000


class EntitySelector(msgspec.Struct, frozen=True):
    """Entities of certain types, with an id or a pattern of ids (5.2.33)."""

    type_expression: TypeSelection | None = None
    id: str | None = None
    id_pattern: str | None = None


class EntityQuery(msgspec.Struct, frozen=True):
    """What is asked. All names are expanded; every condition that is given must hold.

    `pick`, `omit` and `dataset_id` say what is shown of a match; see `representation`.
    """

    ids: tuple[str, ...] = ()
    id_pattern: str | None = None
    type_expression: TypeSelection | None = None
    #: Of several selectors a match meets one at least.
    selectors: tuple[EntitySelector, ...] = ()
    q: Term | None = None
    geo: GeoQuery | None = None
    scope_q: ScopeQuery | None = None
    #: Attributes of which a match has one at least.
    attrs: tuple[str, ...] = ()
    pick: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    #: Datasets of the instances shown, "@none" for the default; empty shows all.
    dataset_id: tuple[str, ...] = ()
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    #: Whether the number of all matches is wanted.
    count: bool = False
    order_by: tuple[OrderBy, ...] = ()


def compile(query: EntityQuery, lookup: Lookup | None = None) -> Predicate:
    """A predicate on documents, cheap conditions first. Limit, offset and order are the caller's.

    `lookup` finds linked entities for a `q` that follows Relationships; without it such a query raises
    OperationNotSupported.
    """
    parts: list[Predicate] = []
    if query.ids:
        parts.append(_having_id(frozenset(query.ids)))
    elif query.id_pattern is not None:
        parts.append(_having_id_like(query.id_pattern))
    if query.type_expression is not None:
        parts.append(compile_types(query.type_expression))
    if query.selectors:
        parts.append(_selected(query.selectors))
    if query.attrs:
        parts.append(_having_attribute(query.attrs))
    if query.scope_q is not None:
        parts.append(compile_scopes(query.scope_q))
    if query.q is not None:
        parts.append(compile_q(query.q, lookup))
    if query.geo is not None:
        parts.append(compile_geo(query.geo))
    if len(parts) == 1:
        return parts[0]
    return lambda document: all(part(document) for part in parts)


def _selected(selectors: tuple[EntitySelector, ...]) -> Predicate:
    tests = [
        compile(
            EntityQuery(
                ids=() if one.id is None else (one.id,),
                id_pattern=one.id_pattern,
                type_expression=one.type_expression,
            )
        )
        for one in selectors
    ]
    return lambda document: any(test(document) for test in tests)


def _having_id(wanted: frozenset[str]) -> Predicate:
    return lambda document: document["id"] in wanted


def _having_id_like(pattern: str) -> Predicate:
    search = compile_pattern(pattern, where="idPattern").search
    return lambda document: search(document["id"]) is not None


def _having_attribute(names: tuple[str, ...]) -> Predicate:
    wanted = frozenset(names)
    return lambda document: not wanted.isdisjoint(document["attrs"])
