"""The order of entities in a list (ETSI GS CIM 009, 4.23)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import itemgetter
from typing import Any, Literal

import msgspec

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


def parse_order_by(
    text: str, context: Context = CORE, geometry: dict[str, Any] | None = None
) -> tuple[OrderBy, ...]:
    """The order behind the text of `orderBy`: name or name;direction, joined by commas.

    Raises BadRequestData.
    """
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
        found.append(OrderBy(path, chosen, geometry if by_distance else None))
    return tuple(found)


def in_order(documents: Iterable[Document], orders: tuple[OrderBy, ...]) -> list[Document]:
    """The documents sorted; equal ones stay as they are, those without the attribute come last."""
    found = list(documents)
    for order in reversed(orders):
        key_of = _key(order)
        keyed = [(key_of(document), document) for document in found]
        there = [pair for pair in keyed if pair[0] != _ABSENT]
        there.sort(key=itemgetter(0), reverse=order.direction.endswith("desc"))
        found = [document for _, document in there] + [document for key, document in keyed if key == _ABSENT]
    return found


def _key(order: OrderBy) -> Callable[[Document], Any]:
    path = order.path
    if order.geometry is None:
        return lambda document: _by_value(document, path)
    measure = distance_to(order.geometry)

    def by_distance(document: Document) -> tuple[Any, ...]:
        geometry = _geometry(next(_values(document, path), None))
        return _by_value(document, path) if geometry is None else (-1, measure(geometry))

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


def _by_value(document: Document, path: Path | str) -> tuple[Any, ...]:
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
        return (1, value)
    return (2 if isinstance(value, dict) else 3, str(value))
