"""What a CQL2 expression asks of Entities: the terms of the broker's own query language. Pure.

So there is one engine, and what serves `q` serves this too. NOT is carried inwards to the comparisons; as in
CQL2, and as in `q`, what is compared with a property that is not there does not match, negated or not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Literal, cast

from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import format_instant, parse_instant
from cityloom.ngsild.errors import BadRequestData, OperationNotSupported
from cityloom.ngsild.geo_query import GeoQuery, Relation, check_reference
from cityloom.ngsild.names import is_name
from cityloom.ngsild.q_language import (
    ID,
    NEWEST,
    And,
    Compare,
    Exists,
    Located,
    Or,
    Path,
    Pattern,
    Range,
    Term,
    Value,
)
from cityloom.ngsild.q_language import Operator as TermOperator
from cityloom.web.ogc import cql2_expressions as cql

#: Names by which the geometry that is drawn goes, beside its own.
GEOMETRY_NAMES = frozenset({"geometry", "geom", "location"})
_OF_THE_ENTITY: Mapping[str, str] = {
    "id": ID,
    "observedAt": NEWEST,
    "createdAt": "createdAt",
    "modifiedAt": "modifiedAt",
}
_OPERATORS: Mapping[cql.Operator, TermOperator] = {
    "=": "==",
    "<>": "!=",
    "<": "<",
    ">": ">",
    "<=": "<=",
    ">=": ">=",
}
_OPPOSITE: Mapping[TermOperator, TermOperator] = {
    "==": "!=",
    "!=": "==",
    "<": ">=",
    ">": "<=",
    "<=": ">",
    ">=": "<",
}
#: The relation, and its opposite for those that have one.
_RELATIONS: Mapping[str, tuple[Relation, Relation | None]] = {
    "S_INTERSECTS": ("intersects", "disjoint"),
    "S_DISJOINT": ("disjoint", "intersects"),
    "S_WITHIN": ("within", None),
    "S_CONTAINS": ("contains", None),
    "S_EQUALS": ("equals", None),
    "S_OVERLAPS": ("overlaps", None),
}


def term_of(expression: cql.Expression, *, negated: bool = False) -> Term:
    """The term that matches what the expression matches.

    Raises BadRequestData for a name, instant or geometry that is none, OperationNotSupported for what `q`
    cannot tell, TooComplexQuery for a geometry with too many positions.
    """
    if isinstance(expression, cql.Not):
        return term_of(expression.part, negated=not negated)
    if isinstance(expression, cql.And | cql.Or):
        parts = tuple(term_of(part, negated=negated) for part in expression.parts)
        return And(parts) if isinstance(expression, cql.And) is not negated else Or(parts)
    # Each kind has its own reader; the table is typed by what it is asked with.
    return cast(_Reader, _READERS[type(expression)])(expression, negated)


def path_of(name: str) -> Path:
    """The path of a property: an attribute, or a member of its value after a point."""
    if name in _OF_THE_ENTITY:
        return Path((_OF_THE_ENTITY[name],))
    head, *members = name.split(".") if ":" not in name else [name]
    if not is_name(head) or not all(members):
        raise BadRequestData(
            f"{name[:60]!a} is not the name of a property",
            hint="The collection's queryables list those that are known.",
            where="filter",
        )
    return Path((head,), tuple(members))


def located(geometry: object, relation: Relation = "intersects", name: str = "location") -> Located:
    """Where a geometry must lie. Raises BadRequestData, TooComplexQuery."""
    return Located(GeoQuery(relation, check_reference(geometry), name))


def during(first: datetime | None, last: datetime | None, path: Path) -> Term:
    """There, not before `first` and not after `last`."""
    if first is None and last is None:
        return Exists(path)
    terms: list[Term] = []
    if first is not None:
        terms.append(_compare(path, ">=", first))
    if last is not None:
        terms.append(_compare(path, "<=", last))
    return And(tuple(terms)) if len(terms) != 1 else terms[0]


_Reader = Callable[[cql.Expression, bool], Term]


def _comparison(asked: cql.Comparison, negated: bool) -> Term:
    operator = _OPERATORS[asked.operator]
    operator = _OPPOSITE[operator] if negated else operator
    path = path_of(asked.property.name)
    if asked.property.any_case:
        if not isinstance(asked.value, str) or operator not in ("==", "!="):
            raise _unknown("CASEI is understood in equalities of texts and in LIKE")
        return Pattern(path, f"(?is)^{re.escape(asked.value)}$", negated=operator == "!=")
    if isinstance(asked.value, cql.Instant) and asked.value.is_date and path.names[0] in _TIMES:
        return _compared_with_day(path, operator, asked.value)
    return Compare(path, operator, (_value(asked.value),))


def _like(asked: cql.Like, negated: bool) -> Term:
    parts = re.findall(r"\\.|[%_]|[^\\%_]+|\\", asked.pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    written = "".join(wild.get(part) or re.escape(_unescaped(part)) for part in parts)
    any_case = "i" if asked.property.any_case else ""
    return Pattern(path_of(asked.property.name), f"(?s{any_case})^{written}$", negated=negated)


def _unescaped(part: str) -> str:
    return part[1:] if part.startswith("\\") and len(part) == 2 else part


def _between(asked: cql.Between, negated: bool) -> Term:
    low, high = _value(asked.low), _value(asked.high)
    if low.kind != high.kind or low.kind == "boolean":
        raise BadRequestData(
            "Both ends of BETWEEN must be numbers, texts or times alike", hint="Correct one.", where="filter"
        )
    return Compare(path_of(asked.property.name), "!=" if negated else "==", Range(low, high))


def _in(asked: cql.In, negated: bool) -> Term:
    path = path_of(asked.property.name)
    if asked.property.any_case:
        alternatives = "|".join(re.escape(str(one)) for one in asked.values)
        return Pattern(path, f"(?is)^(?:{alternatives})$", negated=negated)
    return Compare(path, "!=" if negated else "==", tuple(map(_value, asked.values)))


def _is_null(asked: cql.IsNull, negated: bool) -> Term:
    return Exists(path_of(asked.property.name), negated=not negated)


def _spatial(asked: cql.Spatial, negated: bool) -> Term:
    relation, opposite = _RELATIONS[asked.function]
    if negated:
        if opposite is None:
            raise _unknown(f"NOT {asked.function} is not understood")
        relation = opposite
    name = "location" if asked.property.name in GEOMETRY_NAMES else path_of(asked.property.name).names[0]
    try:
        return located(asked.geometry, relation, name)
    except BadRequestData as error:
        error.where = "filter"
        raise


# Time

_TIMES = frozenset({NEWEST, "createdAt", "modifiedAt"})


def _temporal(asked: cql.Temporal, negated: bool) -> Term:
    path = path_of(asked.property.name)
    first, last = _bounds(asked.when)
    function = asked.function
    if negated:
        opposites = {"T_INTERSECTS": "T_DISJOINT", "T_DISJOINT": "T_INTERSECTS", "T_EQUALS": "T_DISJOINT"}
        if function in opposites:
            function = opposites[function]
        else:
            return _not_so(path, function, first, last)
    return _so(path, function, first, last)


def _so(path: Path, function: str, first: datetime | None, last: datetime | None) -> Term:
    if function == "T_AFTER":
        return _never(path) if last is None else _compare(path, ">", last)
    if function == "T_BEFORE":
        return _never(path) if first is None else _compare(path, "<", first)
    if function == "T_DISJOINT":
        outside = [_compare(path, "<", first)] if first else []
        outside += [_compare(path, ">", last)] if last else []
        return Or(tuple(outside)) if outside else _never(path)
    if function == "T_DURING":
        inside = [_compare(path, ">", first)] if first else []
        inside += [_compare(path, "<", last)] if last else []
        return And((Exists(path), *inside))
    return during(first, last, path)


def _not_so(path: Path, function: str, first: datetime | None, last: datetime | None) -> Term:
    """T_AFTER, T_BEFORE and T_DURING negated: where the property is there."""
    if function == "T_AFTER":
        return Exists(path) if last is None else _compare(path, "<=", last)
    if function == "T_BEFORE":
        return Exists(path) if first is None else _compare(path, ">=", first)
    outside = [_compare(path, "<=", first)] if first else []
    outside += [_compare(path, ">=", last)] if last else []
    return Or(tuple(outside)) if outside else _never(path)


def _never(path: Path) -> Term:
    return And((Exists(path), Exists(path, negated=True)))


def _compare(path: Path, operator: Literal["<", "<=", ">", ">="], instant: datetime) -> Term:
    return Compare(path, operator, (Value("datetime", format_instant(instant)),))


def _compared_with_day(path: Path, operator: TermOperator, day: cql.Instant) -> Term:
    first, last = _bounds(day)
    assert first is not None and last is not None, "a day has both its ends"
    if operator == "==":
        return during(first, last, path)
    if operator == "!=":
        return Or((_compare(path, "<", first), _compare(path, ">", last)))
    return _compare(path, operator, last if operator in (">", "<=") else first)


def _bounds(when: cql.Instant | cql.Interval) -> tuple[datetime | None, datetime | None]:
    """The first and the last instant; None is open."""
    if isinstance(when, cql.Interval):
        return _bounds(when.first)[0], _bounds(when.last)[1]
    if when.text == "..":
        return None, None
    if not when.is_date:
        instant = instant_of(when.text)
        return instant, instant
    first = instant_of(f"{when.text}T00:00:00Z")
    return first, first + timedelta(days=1) - timedelta(milliseconds=1)


def instant_of(text: str, where: str = "filter") -> datetime:
    """A date-time with its zone. Raises BadRequestData."""
    try:
        return parse_instant(text, where=where)
    except BadInput as error:
        raise BadRequestData(error.message, hint=error.hint, where=where) from None


# Values


def _value(value: cql.Scalar) -> Value:
    if isinstance(value, bool):
        return Value("boolean", value)
    if isinstance(value, str):
        return Value("string", value)
    if isinstance(value, cql.Instant):
        if value.is_date:
            return Value("date", value.text)
        return Value("datetime", format_instant(instant_of(value.text)))
    return Value("number", value)


def _unknown(what: str) -> OperationNotSupported:
    return OperationNotSupported(what, hint="Ask in another way.", where="filter")


_READERS: Mapping[type, object] = {
    cql.Comparison: _comparison,
    cql.Like: _like,
    cql.Between: _between,
    cql.In: _in,
    cql.IsNull: _is_null,
    cql.Spatial: _spatial,
    cql.Temporal: _temporal,
}
