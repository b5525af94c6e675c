"""CQL2 Text (OGC 21-065r2): its grammar. What it says becomes `cql2_expressions`, and
those a query of Entities in `cql2_query`.

Offered: AND, OR, NOT, comparisons of a property with a literal, LIKE, BETWEEN, IN, IS NULL, CASEI, and the
spatial and temporal functions named there. Length, terms and depth are bounded. Pure.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import cast

import msgspec

from cityloom.ngsild.errors import BadRequestData, TooComplexQuery
from cityloom.web.ogc.bounding_box import box
from cityloom.web.ogc.cql2_expressions import (
    SPATIAL,
    TEMPORAL,
    And,
    Between,
    Comparison,
    Expression,
    In,
    Instant,
    Interval,
    IsNull,
    Like,
    Not,
    Operator,
    Or,
    Property,
    Scalar,
    Spatial,
    Temporal,
)

MAX_FILTER = 8_000
MAX_TERMS = 200
MAX_DEPTH = 20

_TOKEN = re.compile(
    r"""(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<text>'(?:[^'\\]|''|\\.)*')
      | (?P<quoted>"(?:[^"]|"")+")
      | (?P<word>[^\W\d][\w.:]*)
      | (?P<mark><>|<=|>=|[=<>(),])""",
    re.VERBOSE | re.DOTALL,
)
_SPACE = re.compile(r"\s*")
_OPERATORS = ("=", "<>", "<", ">", "<=", ">=")
_FLIPPED = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_KEYWORDS = frozenset({"AND", "OR", "NOT", "LIKE", "BETWEEN", "IN", "IS", "NULL", "TRUE", "FALSE"})
#: GeoJSON's name and how deep the positions lie, by the name in WKT.
_GEOMETRIES = {
    "POINT": ("Point", 0),
    "LINESTRING": ("LineString", 1),
    "POLYGON": ("Polygon", 2),
    "MULTIPOINT": ("MultiPoint", 1),
    "MULTILINESTRING": ("MultiLineString", 2),
    "MULTIPOLYGON": ("MultiPolygon", 3),
}


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    at: int


_END = _Token("end", "", -1)


def parse_cql2(text: str) -> Expression:
    """The expression behind the text. Raises BadRequestData with the place of the fault, TooComplexQuery."""
    if len(text) > MAX_FILTER:
        raise _too_complex(f"The filter has more than {MAX_FILTER} characters")
    return _Parser(text).whole()


def _too_complex(message: str) -> TooComplexQuery:
    return TooComplexQuery(message, hint="Ask several times, or more simply.", where="filter")


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._tokens()
        self.at = 0
        self.terms = 0
        self.depth = 0

    def _tokens(self) -> list[_Token]:
        found: list[_Token] = []
        at = _SPACE.match(self.text, 0).end()  # type: ignore[union-attr]  # it matches nothing too
        while at < len(self.text):
            match = _TOKEN.match(self.text, at)
            if match is None:
                raise self._wrong_at(at, "this is not understood")
            found.append(_Token(str(match.lastgroup), match.group(), at))
            at = _SPACE.match(self.text, match.end()).end()  # type: ignore[union-attr]  # as above
        return found

    def whole(self) -> Expression:
        found = self.alternatives()
        if self.at < len(self.tokens):
            raise self.wrong("AND or OR is missing")
        return found

    def alternatives(self) -> Expression:
        parts = [self.conjunction()]
        while self.take_word("OR"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def conjunction(self) -> Expression:
        parts = [self.factor()]
        while self.take_word("AND"):
            parts.append(self.factor())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def factor(self) -> Expression:
        self.terms += 1
        self.depth += 1
        if self.terms > MAX_TERMS or self.depth > MAX_DEPTH:
            raise _too_complex(f"The filter has more than {MAX_TERMS} terms, or {MAX_DEPTH} in one another")
        if self.take_word("NOT"):
            found: Expression = Not(self.factor())
        elif self.take("("):
            found = self.alternatives()
            self.need(")")
        else:
            found = self.predicate()
        self.depth -= 1
        return found

    def predicate(self) -> Expression:
        function = self.peek().text.upper()
        if self.peek().kind == "word" and self.peek(1).text == "(":
            if function in SPATIAL:
                return self.spatial(function)
            if function in TEMPORAL:
                return self.temporal(function)
        if self.is_literal():
            return self.flipped()
        subject = self.subject()
        if self.take_word("IS"):
            negated = self.take_word("NOT")
            self.need_word("NULL")
            return _negated(IsNull(subject), negated)
        negated = self.take_word("NOT")
        if self.take_word("LIKE"):
            return _negated(Like(subject, self.pattern()), negated)
        if self.take_word("BETWEEN"):
            low = self.scalar()
            self.need_word("AND")
            return _negated(Between(subject, low, self.scalar()), negated)
        if self.take_word("IN"):
            return _negated(In(subject, self.several()), negated)
        if negated:
            raise self.wrong("LIKE, BETWEEN or IN is missing")
        return Comparison(subject, self.operator(), self.scalar())

    def flipped(self) -> Expression:
        """literal operator property."""
        value = self.scalar()
        operator = cast(Operator, _FLIPPED[self.operator()])
        return Comparison(self.subject(), operator, value)

    def operator(self) -> Operator:
        token = self.peek()
        if token.text not in _OPERATORS or token.kind != "mark":
            raise self.wrong("a comparison is missing")
        self.at += 1
        return cast(Operator, token.text)

    def several(self) -> tuple[Scalar, ...]:
        self.need("(")
        found = [self.scalar()]
        while self.take(","):
            found.append(self.scalar())
        self.need(")")
        return tuple(found)

    # Operands

    def subject(self) -> Property:
        if self.is_function("CASEI"):
            self.at += 2
            found = self.name()
            self.need(")")
            return Property(found, any_case=True)
        return Property(self.name())

    def name(self) -> str:
        token = self.peek()
        if token.kind == "quoted":
            self.at += 1
            return token.text[1:-1].replace('""', '"')
        if token.kind != "word" or token.text.upper() in _KEYWORDS:
            raise self.wrong("the name of a property is missing")
        self.at += 1
        return token.text

    def is_function(self, *names: str) -> bool:
        return self.peek().kind == "word" and self.peek().text.upper() in names and self.peek(1).text == "("

    def is_literal(self) -> bool:
        token = self.peek()
        if token.kind in ("number", "text") or self.is_function("TIMESTAMP", "DATE"):
            return True
        return token.kind == "word" and token.text.upper() in ("TRUE", "FALSE")

    def scalar(self) -> Scalar:
        if self.is_function("CASEI"):
            self.at += 2
            found = self.characters()
            self.need(")")
            return found
        if self.is_function("TIMESTAMP", "DATE"):
            return self.instant()
        token = self.peek()
        if token.kind == "number":
            return self.number()
        if token.kind == "text":
            return self.characters()
        if token.kind == "word" and token.text.upper() in ("TRUE", "FALSE"):
            self.at += 1
            return token.text.upper() == "TRUE"
        raise self.wrong("a value is missing: 5, 'text', TRUE, TIMESTAMP('…')")

    def pattern(self) -> str:
        found = self.scalar()
        if not isinstance(found, str):
            raise self.wrong("a pattern is a text")
        return found

    def characters(self) -> str:
        token = self.peek()
        if token.kind != "text":
            raise self.wrong("a text in single quotes is missing")
        self.at += 1
        return re.sub(r"''|\\'", "'", token.text[1:-1])

    def number(self) -> float:
        token = self.peek()
        if token.kind != "number" or not isfinite(float(token.text)):
            raise self.wrong("a number is missing")
        self.at += 1
        return float(token.text)

    # Time

    def temporal(self, function: str) -> Temporal:
        self.at += 2
        first = self.moment()
        self.need(",")
        second = self.moment()
        self.need(")")
        if isinstance(first, Property) and not isinstance(second, Property):
            return Temporal(function, first, second)
        if isinstance(second, Property) and not isinstance(first, Property):
            turned = {"T_AFTER": "T_BEFORE", "T_BEFORE": "T_AFTER"}.get(function, function)
            if turned != "T_DURING":
                return Temporal(turned, second, first)
        raise self.wrong(f"{function} compares a property with an instant or an interval")

    def moment(self) -> Property | Instant | Interval:
        if self.is_function("INTERVAL"):
            self.at += 2
            first = self.bound()
            self.need(",")
            last = self.bound()
            self.need(")")
            return Interval(first, last)
        if self.is_function("TIMESTAMP", "DATE"):
            return self.instant()
        return Property(self.name())

    def instant(self) -> Instant:
        is_date = self.peek().text.upper() == "DATE"
        self.at += 2
        text = self.characters()
        self.need(")")
        return Instant(text, is_date)

    def bound(self) -> Instant:
        if self.is_function("TIMESTAMP", "DATE"):
            return self.instant()
        text = self.characters()
        return Instant(text, is_date=len(text) == 10)

    # Space

    def spatial(self, function: str) -> Spatial:
        self.at += 2
        if self.is_geometry():
            geometry = self.geometry()
            self.need(",")
            subject = Property(self.name())
            function = {"S_WITHIN": "S_CONTAINS", "S_CONTAINS": "S_WITHIN"}.get(function, function)
        else:
            subject = Property(self.name())
            self.need(",")
            geometry = self.geometry()
        self.need(")")
        return Spatial(function, subject, geometry)

    def is_geometry(self) -> bool:
        of_heights = self.peek().text.upper() in _GEOMETRIES and self.peek(1).text.upper() == "Z"
        return of_heights or self.is_function("BBOX", *_GEOMETRIES)

    def geometry(self) -> dict[str, object]:
        kind = self.peek().text.upper()
        if self.is_function("BBOX"):
            self.at += 2
            numbers = [self.number()]
            while self.take(","):
                numbers.append(self.number())
            self.need(")")
            return box(numbers, "filter")
        if self.peek().kind != "word" or kind not in _GEOMETRIES:
            raise self.wrong(f"a geometry is missing: {', '.join(_GEOMETRIES)} or BBOX")
        self.at += 1
        self.take_word("Z")
        name, depth = _GEOMETRIES[kind]
        if depth == 0:
            self.need("(")
            coordinates: object = self.position()
            self.need(")")
        else:
            coordinates = self.positions(depth, loose=kind == "MULTIPOINT")
        return {"type": name, "coordinates": coordinates}

    def positions(self, depth: int, *, loose: bool = False) -> list[object]:
        self.need("(")
        found = [self.inner(depth, loose=loose)]
        while self.take(","):
            found.append(self.inner(depth, loose=loose))
        self.need(")")
        return found

    def inner(self, depth: int, *, loose: bool) -> object:
        if depth > 1:
            return self.positions(depth - 1)
        if loose and self.take("("):
            position = self.position()
            self.need(")")
            return position
        return self.position()

    def position(self) -> list[float]:
        found = [self.number(), self.number()]
        if self.peek().kind == "number":
            found.append(self.number())
        return found

    # The tokens

    def peek(self, ahead: int = 0) -> _Token:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else _END

    def take(self, mark: str) -> bool:
        if self.peek().kind == "mark" and self.peek().text == mark:
            self.at += 1
            return True
        return False

    def take_word(self, word: str) -> bool:
        if self.peek().kind == "word" and self.peek().text.upper() == word:
            self.at += 1
            return True
        return False

    def need(self, mark: str) -> None:
        if not self.take(mark):
            raise self.wrong(f"{mark} is missing")

    def need_word(self, word: str) -> None:
        if not self.take_word(word):
            raise self.wrong(f"{word} is missing")

    def wrong(self, why: str) -> BadRequestData:
        token = self.peek()
        return self._wrong_at(token.at if token is not _END else len(self.text), why)

    def _wrong_at(self, at: int, why: str) -> BadRequestData:
        return BadRequestData(
            f"In filter, at character {at + 1}, {why}: …{ascii(self.text[at : at + 30])[1:-1]}",
            hint="Write CQL2 such as temperature > 20 AND S_INTERSECTS(location, BBOX(10, 56, 10.3, 56.3)).",
            where="filter",
        )


def _negated(part: Expression, negated: bool) -> Expression:
    return Not(part) if negated else part
