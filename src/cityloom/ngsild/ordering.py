"""The order of entities in a list (ETSI GS CIM 009, 4.23)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Literal

import msgspec

from cityloom.ngsild.collation import key_of_texts, parse_collation
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.geo_query import distance_to
from cityloom.ngsild.geometry import check_geometry, is_geometry
from cityloom.ngsild.model import Document
from cityloom.ngsild.q_language import Path, parse_path
from cityloom.ngsild.q_matching import values_at

Direction = Literal["asc", "desc", "dist-asc", "dist-desc"]

_DIRECTIONS: tuple[Direction, ...] = ("asc", "desc", "dist-asc", "dist-desc")
_MEMBERS = frozenset({"id", "type", "createdAt", "modifiedAt", "expiresAt"})
MAX_ORDERS = 10
_ABSENT = (9,)


class OrderBy(msgspec.Struct, frozen=True):
    """What to sort by: a path, an attribute's name, or a member of the entity ("id", "createdAt", …).

    `geometry` is what distances are measured from.
    """

    path: Path | str
    direction: Direction = "asc"
    geometry: dict[str, Any] | None = None
    #: The tag of the collation that orders texts; None: the root order.
    collation: str | None = None


def parse_order_by(
    text: str,
    context: Context = CORE,
    geometry: dict[str, Any] | None = None,
    collation: str | None = None,
) -> tuple[OrderBy, ...]:
    """The order behind the text of `orderBy`: name or name;direction, joined by commas.

    Raises BadRequestData.
    """
    if collation is not None:
        parse_collation(collation)
    found: list[OrderBy] = []
    for part in text.split(","):
        name, _, direction = part.partition(";")
        chosen = next((one for one in _DIRECTIONS if one == (direction or "asc")), None)
        if chosen is None or len(found) >= MAX_ORDERS:
            raise BadRequestData(
                f"{part[:60]!a} cannot be an order",
                hint=f"Write name;desc. Directions are {', '.join(_DIRECTIONS)}; at most {MAX_ORDERS} names.",
                where="orderBy",
            )
        by_distance = chosen.startswith("dist")
        if by_distance and geometry is None:
            raise BadRequestData(
                "An order by distance needs a place",
                hint="Add orderFrom and orderGeometry.",
                where="orderFrom",
            )
        path = name if name in _MEMBERS else parse_path(name, context)
        found.append(OrderBy(path, chosen, geometry if by_distance else None, collation))
    return tuple(found)


def in_order(documents: Iterable[Document], orders: tuple[OrderBy, ...]) -> list[Document]:
    """The documents sorted; equal ones stay as they are, those without the attribute come last."""
    return sorted(documents, key=sort_key(orders))


def sort_key(orders: tuple[OrderBy, ...]) -> Callable[[Document], Any]:
    """What makes the key by which documents are sorted."""
    parts = [(_key(order), order.direction.endswith("desc")) for order in orders]

    def key(document: Document) -> tuple[Any, ...]:
        return tuple(_directed(key_of(document), descending) for key_of, descending in parts)

    return key


def _directed(key: tuple[Any, ...], descending: bool) -> tuple[Any, ...]:
    if key == _ABSENT:
        return (1,)
    return (0, _Descending(key) if descending else key)


class _Descending:
    """Sorts the other way round."""

    __slots__ = ("_key",)

    def __init__(self, key: Any) -> None:
        self._key = key

    def __lt__(self, other: _Descending) -> bool:
        return bool(other._key < self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and bool(other._key == self._key)

    __hash__ = None  # type: ignore[assignment]  # keys are compared, never kept in sets


def _key(order: OrderBy) -> Callable[[Document], tuple[Any, ...]]:
    path, collate = order.path, key_of_texts(order.collation)
    if order.geometry is None:
        return lambda document: _by_value(document, path, collate)
    measure = distance_to(order.geometry)

    def by_distance(document: Document) -> tuple[Any, ...]:
        geometry = _geometry(next(_values(document, path), None))
        return _by_value(document, path, collate) if geometry is None else (-1, measure(geometry))

    return by_distance


def _geometry(value: Any) -> dict[str, Any] | None:
    """The geometry that a value is; values of Properties may look like one and be none."""
    try:
        return check_geometry(value) if is_geometry(value) else None
    except BadRequestData:
        return None


def _values(document: Document, path: Path | str) -> Iterator[Any]:
    if isinstance(path, str) and path in _MEMBERS:
        return iter([str(document[path])] if path in document else [])
    return values_at(path if isinstance(path, Path) else Path((path,)), document)


def _by_value(document: Document, path: Path | str, collate: Callable[[str], Any]) -> tuple[Any, ...]:
    """A key that sorts kinds of values as 4.23.2 says: numbers, texts, objects, arrays, booleans, nothing."""
    found = list(islice(_values(document, path), 1))
    if not found:
        return _ABSENT
    value = found[0]
    if isinstance(value, bool):
        return (4, value)
    if isinstance(value, int | float):
        return (0, value)
    if isinstance(value, str):
        return (1, collate(value))
    return (2 if isinstance(value, dict) else 3, str(value))
