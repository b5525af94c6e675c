"""What a $filter says of one row. Pure.

A path over a link to several rows has several values; a comparison holds when it holds for one of them. What
is not there is null: equal to null alone, and in no order.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from math import ceil, floor, fmod
from typing import Any

import shapely

from cityloom.kernel.errors import BadInput
from cityloom.kernel.numbers import is_number
from cityloom.kernel.time import parse_instant
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.geo_query import GeoQuery, Relation, compile_geo, distance_to
from cityloom.ngsild.geometry import check_geometry, is_geometry
from cityloom.web.sensorthings.filters import Binary, Call, Expression, Literal, Not, Path

#: The values to which a path leads from a row.
Look = Callable[[tuple[str, ...]], Iterator[Any]]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_RELATIONS: dict[str, Relation] = {
    "st_within": "within",
    "st_contains": "contains",
    "st_intersects": "intersects",
    "st_equals": "equals",
    "st_disjoint": "disjoint",
    "st_overlaps": "overlaps",
    "geo.intersects": "intersects",
}


def holds(expression: Expression, look: Look) -> bool:
    """Whether the expression holds for the row behind `look`."""
    if isinstance(expression, Not):
        return not holds(expression.part, look)
    if isinstance(expression, Binary):
        if expression.operator == "and":
            return holds(expression.left, look) and holds(expression.right, look)
        if expression.operator == "or":
            return holds(expression.left, look) or holds(expression.right, look)
    return any(value is True for value in values(expression, look))


def values(expression: Expression, look: Look) -> Iterator[Any]:
    """The values of an expression; None is null."""
    if isinstance(expression, Literal):
        yield expression.value
    elif isinstance(expression, Path):
        found = list(look(expression.names))
        yield from found or [None]
    elif isinstance(expression, Not) or (
        isinstance(expression, Binary) and expression.operator in ("and", "or")
    ):
        yield holds(expression, look)
    elif isinstance(expression, Binary):
        for left in values(expression.left, look):
            for right in values(expression.right, look):
                yield _binary(expression.operator, left, right)
    else:
        yield from _called(expression, look)


def _binary(name: str, left: Any, right: Any) -> Any:
    if isinstance(left, datetime) or isinstance(right, datetime):
        return _of_times(name, left, right)
    if name in ("eq", "ne"):
        return _equal(left, right) is (name == "eq")
    if name in _COMPARE:
        alike = (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str))
        return alike and _COMPARE[name](left, right)
    return _arithmetic(name, left, right)


def _equal(left: Any, right: Any) -> bool:
    return bool(isinstance(left, bool) is isinstance(right, bool) and left == right)


def _of_times(name: str, left: Any, right: Any) -> bool:
    """Instants and intervals compared: an interval lies before what begins after its end."""
    first, second = _interval(left), _interval(right)
    if first is None or second is None:
        return name == "ne"
    if name in ("eq", "ne"):
        return (first == second) is (name == "eq")
    if name == "gt":
        return first[0] > second[1]
    if name == "ge":
        return first[0] >= second[0]
    return first[1] < second[0] if name == "lt" else first[1] <= second[1]


def _interval(value: Any) -> tuple[datetime, datetime] | None:
    if isinstance(value, datetime):
        return value, value
    if not isinstance(value, str):
        return None
    first, _, last = value.partition("/")
    try:
        begins = parse_instant(first, where="time")
        return begins, parse_instant(last, where="time") if last else begins
    except BadInput:
        return None


def _arithmetic(name: str, left: Any, right: Any) -> float | None:
    if not (is_number(left) and is_number(right)):
        return None
    try:
        if name == "add":
            return float(left + right)
        if name == "sub":
            return float(left - right)
        if name == "mul":
            return float(left * right)
        return float(left / right) if name == "div" else fmod(left, right)
    except (ZeroDivisionError, OverflowError, ValueError):
        return None


# Functions


def _called(call: Call, look: Look) -> Iterator[Any]:
    if call.name == "now":
        yield datetime.now(UTC)
        return
    if len(call.arguments) == 1:
        one = _OF_ONE[call.name]
        for value in values(call.arguments[0], look):
            yield one(value)
        return
    for left in values(call.arguments[0], look):
        for right in values(call.arguments[1], look):
            yield _of_two(call.name, left, right)


def _of_two(name: str, left: Any, right: Any) -> Any:
    if name == "geo.distance":
        first, second = _geometry(left), _geometry(right)
        return None if first is None or second is None else distance_to(second)(first)
    if name in _RELATIONS:
        return _lies(_RELATIONS[name], left, right)
    if not (isinstance(left, str) and isinstance(right, str)):
        return None
    return _OF_TEXTS[name](left, right)


def _lies(relation: Relation, left: Any, right: Any) -> bool:
    first, second = _geometry(left), _geometry(right)
    if first is None or second is None:
        return False
    item = {"type": "GeoProperty", "value": first}
    try:
        return compile_geo(GeoQuery(relation, second))({"attrs": {"location": [item]}})
    except shapely.errors.GEOSException:
        return False


def _geometry(value: Any) -> dict[str, Any] | None:
    if isinstance(value, dict) and value.get("type") == "Feature":
        value = value.get("geometry")
    try:
        return check_geometry(value) if is_geometry(value) else None
    except BadRequestData:
        return None


_OF_TEXTS: dict[str, Callable[[str, str], Any]] = {
    "substringof": lambda part, whole: part in whole,
    "contains": lambda whole, part: part in whole,
    "startswith": str.startswith,
    "endswith": str.endswith,
    "indexof": str.find,
    "concat": operator.add,
}


def _of_text(function: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda value: function(value) if isinstance(value, str) else None


def _of_number(function: Callable[[float], Any]) -> Callable[[Any], Any]:
    return lambda value: function(value) if is_number(value) else None


def _of_time(member: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        found = _interval(value)
        return None if found is None else getattr(found[0], member)

    return read


_OF_ONE: dict[str, Callable[[Any], Any]] = {
    "length": _of_text(len),
    "tolower": _of_text(str.lower),
    "toupper": _of_text(str.upper),
    "trim": _of_text(str.strip),
    "round": _of_number(round),
    "floor": _of_number(floor),
    "ceiling": _of_number(ceil),
    **{name: _of_time(name) for name in ("year", "month", "day", "hour", "minute", "second")},
}
