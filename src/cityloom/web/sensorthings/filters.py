"""The language of $filter (OData 4.0 as OGC 18-088, 9.3.3.5 takes it): its grammar. Pure and bounded.

Comparisons, and, or, not, arithmetic, and the functions that clients use. What an expression says of one row
stands in `evaluation`.
"""

from __future__ import annotations

import re
from datetime import datetime
from math import isfinite
from typing import Any

import msgspec
import shapely

from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import parse_instant
from cityloom.ngsild.errors import BadRequestData, TooComplexQuery
from cityloom.ngsild.geo_query import check_reference

MAX_FILTER = 8_000
MAX_TERMS = 200
MAX_DEPTH = 20


class Path(msgspec.Struct, frozen=True):
    """A member, perhaps of what is linked: Thing/@iot.id."""

    names: tuple[str, ...]


class Literal(msgspec.Struct, frozen=True):
    """A number, text, truth, instant, GeoJSON geometry, or None."""

    value: float | str | bool | datetime | dict[str, Any] | None


class Call(msgspec.Struct, frozen=True):
    """A function of its arguments."""

    name: str
    arguments: tuple[Expression, ...]


class Binary(msgspec.Struct, frozen=True):
    """left operator right."""

    operator: str
    left: Expression
    right: Expression


class Not(msgspec.Struct, frozen=True):
    """The opposite."""

    part: Expression


Expression = Path | Literal | Call | Binary | Not

#: How many arguments each function has.
FUNCTIONS = {
    "substringof": 2,
    "contains": 2,
    "startswith": 2,
    "endswith": 2,
    "indexof": 2,
    "concat": 2,
    "length": 1,
    "tolower": 1,
    "toupper": 1,
    "trim": 1,
    "round": 1,
    "floor": 1,
    "ceiling": 1,
    "year": 1,
    "month": 1,
    "day": 1,
    "hour": 1,
    "minute": 1,
    "second": 1,
    "now": 0,
    "geo.distance": 2,
    "geo.intersects": 2,
    "st_within": 2,
    "st_contains": 2,
    "st_intersects": 2,
    "st_equals": 2,
    "st_disjoint": 2,
    "st_overlaps": 2,
}
#: Operators from the loosest binding to the tightest.
_LEVELS = (
    ("or",),
    ("and",),
    ("eq", "ne", "gt", "ge", "lt", "le"),
    ("add", "sub"),
    ("mul", "div", "mod"),
)
_TOKEN = re.compile(
    r"""(?P<geography>(?:geography|geometry)'[^']*')
      | (?P<text>'(?:[^']|'')*')
      | (?P<instant>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))
      | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<word>[@A-Za-z_][\w.@]*(?:/[@A-Za-z_][\w.@]*)*)
      | (?P<mark>[(),])""",
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*")
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def parse_filter(text: str) -> Expression:
    """The expression behind the text. Raises BadRequestData with the place of the fault, TooComplexQuery."""
    if len(text) > MAX_FILTER:
        raise _too_complex(f"$filter has more than {MAX_FILTER} characters")
    return _Parser(text).whole()


def conjuncts(expression: Expression | None) -> list[Expression]:
    """The parts that must all hold."""
    if expression is None:
        return []
    if isinstance(expression, Binary) and expression.operator == "and":
        return [*conjuncts(expression.left), *conjuncts(expression.right)]
    return [expression]


def _too_complex(message: str) -> TooComplexQuery:
    return TooComplexQuery(message, hint="Ask several times, or more simply.", where="$filter")


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.terms = 0
        self.depth = 0
        self.kind = self.word = ""
        self.next_at = 0
        self.advance()

    def advance(self) -> None:
        """Look at the next token."""
        self.at = _SPACE.match(self.text, self.next_at).end()  # type: ignore[union-attr]  # it matches nothing too
        if self.at == len(self.text):
            self.kind, self.word = "end", ""
            return
        found = _TOKEN.match(self.text, self.at)
        if found is None:
            raise self.wrong("this is not understood")
        self.kind, self.word, self.next_at = str(found.lastgroup), found.group(), found.end()

    def whole(self) -> Expression:
        found = self.level(0)
        if self.kind != "end":
            raise self.wrong("and or or is missing")
        return found

    def level(self, number: int) -> Expression:
        if number == len(_LEVELS):
            return self.unary()
        left = self.level(number + 1)
        while self.kind == "word" and self.word in _LEVELS[number]:
            operator = self.word
            self.count()
            self.advance()
            left = Binary(operator, left, self.level(number + 1))
        return left

    def unary(self) -> Expression:
        self.count()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _too_complex(f"$filter has more than {MAX_DEPTH} expressions in one another")
        found = self.negation() if self.kind == "word" and self.word == "not" else self.operand()
        self.depth -= 1
        return found

    def negation(self) -> Expression:
        self.advance()
        # not binds looser than a comparison where people write "not a eq b".
        return Not(self.level(2))

    def operand(self) -> Expression:
        kind, word = self.kind, self.word
        if kind == "mark" and word == "(":
            self.advance()
            found = self.level(0)
            self.need(")")
            return found
        if kind == "word" and word not in _CONSTANTS:
            self.advance()
            return self.call(word) if self.word == "(" else Path(tuple(word.split("/")))
        literal = self.literal(kind, word)
        self.advance()
        return literal

    def literal(self, kind: str, word: str) -> Literal:
        if kind == "word":
            return Literal(_CONSTANTS[word])
        if kind == "text":
            return Literal(word[1:-1].replace("''", "'"))
        if kind == "number":
            if not isfinite(float(word)):
                raise self.wrong("a number is too large")
            return Literal(float(word))
        if kind == "instant":
            try:
                return Literal(parse_instant(word, where="$filter"))
            except BadInput:
                raise self.wrong("this is no date-time") from None
        if kind == "geography":
            return Literal(self.geometry(word.partition("'")[2][:-1]))
        raise self.wrong("a value is missing")

    def geometry(self, text: str) -> dict[str, Any]:
        try:
            drawn = shapely.from_wkt(text)
            found: dict[str, Any] = msgspec.json.decode(shapely.to_geojson(drawn)) if drawn else {}
        except shapely.errors.GEOSException:
            raise self.wrong("this is no geometry in WKT") from None
        try:
            return check_reference(found)
        except BadRequestData as error:
            error.where = "$filter"
            raise

    def call(self, name: str) -> Call:
        wanted = FUNCTIONS.get(name)
        if wanted is None:
            raise self.wrong(f"{name} is no function here")
        self.advance()
        arguments: list[Expression] = []
        while self.word != ")" and self.kind != "end":
            arguments.append(self.level(0))
            if self.word != ")":
                self.need(",")
        self.need(")")
        if len(arguments) != wanted:
            raise self.wrong(f"{name} takes {wanted} arguments")
        return Call(name, tuple(arguments))

    def count(self) -> None:
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise _too_complex(f"$filter has more than {MAX_TERMS} terms")

    def need(self, mark: str) -> None:
        if self.kind != "mark" or self.word != mark:
            raise self.wrong(f"{mark} is missing")
        self.advance()

    def wrong(self, why: str) -> BadRequestData:
        here = ascii(self.text[self.at : self.at + 30])[1:-1]
        return BadRequestData(
            f"In $filter, at character {self.at + 1}, {why}: …{here}",
            hint="Write such as: result gt 20 and phenomenonTime ge 2026-04-12T00:00:00Z.",
            where="$filter",
        )
