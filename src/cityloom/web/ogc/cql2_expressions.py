"""What an expression of CQL2 says, as data (OGC 21-065r2)."""

from __future__ import annotations

from typing import Literal

import msgspec

Operator = Literal["=", "<>", "<", ">", "<=", ">="]
SPATIAL = (
    "S_INTERSECTS",
    "S_DISJOINT",
    "S_WITHIN",
    "S_CONTAINS",
    "S_EQUALS",
    "S_OVERLAPS",
)
TEMPORAL = (
    "T_AFTER",
    "T_BEFORE",
    "T_DURING",
    "T_EQUALS",
    "T_INTERSECTS",
    "T_DISJOINT",
)


class Property(msgspec.Struct, frozen=True):
    """A property of a feature. `any_case`: capital and small letters are alike (CASEI)."""

    name: str
    any_case: bool = False


class Instant(msgspec.Struct, frozen=True):
    """TIMESTAMP('…') or DATE('…'), as written; `text` is ".." for an open end of an interval."""

    text: str
    is_date: bool = False


class Interval(msgspec.Struct, frozen=True):
    """INTERVAL('…', '…')."""

    first: Instant
    last: Instant


#: A literal: number, text, truth, instant.
Scalar = float | str | bool | Instant


class Comparison(msgspec.Struct, frozen=True):
    """property operator literal."""

    property: Property
    operator: Operator
    value: Scalar


class Like(msgspec.Struct, frozen=True):
    """property LIKE 'pattern': % stands for any text, _ for one character."""

    property: Property
    pattern: str


class Between(msgspec.Struct, frozen=True):
    """property BETWEEN low AND high, both included."""

    property: Property
    low: Scalar
    high: Scalar


class In(msgspec.Struct, frozen=True):
    """property IN (…)."""

    property: Property
    values: tuple[Scalar, ...]


class IsNull(msgspec.Struct, frozen=True):
    """property IS NULL."""

    property: Property


class Spatial(msgspec.Struct, frozen=True):
    """FUNCTION(property, geometry). The geometry is GeoJSON, not checked."""

    function: str
    property: Property
    geometry: dict[str, object]


class Temporal(msgspec.Struct, frozen=True):
    """FUNCTION(property, instant or interval)."""

    function: str
    property: Property
    when: Instant | Interval


class Not(msgspec.Struct, frozen=True):
    """The opposite."""

    part: Expression


class And(msgspec.Struct, frozen=True):
    """All of them."""

    parts: tuple[Expression, ...]


class Or(msgspec.Struct, frozen=True):
    """Any of them."""

    parts: tuple[Expression, ...]


Expression = Comparison | Like | Between | In | IsNull | Spatial | Temporal | Not | And | Or
