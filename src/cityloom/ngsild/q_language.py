"""The query language of `q`: its grammar (ETSI GS CIM 009, 4.9). What a query means stands in `q_matching`.

Precedence: parentheses, then `;` (and), then `|` (or). Beyond the standard's grammar, `!path` asks that an
attribute is absent, and a bare word is taken as a text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from math import isfinite
from typing import Any, Literal

import msgspec
import orjson
import re2

from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import BadRequestData, TooComplexQuery
from cityloom.ngsild.geo_query import GeoQuery
from cityloom.ngsild.model import CONTENT_MEMBER

MAX_QUERY = 8_000
MAX_TERMS = 200
MAX_PARENTHESES = 20
MAX_PATTERN = 1_000

Operator = Literal["==", "!=", ">", ">=", "<", "<="]
Kind = Literal["number", "string", "boolean", "datetime", "date", "time", "uri"]

#: Members of an attribute that are no attributes and may end a path.
MEMBERS = frozenset(
    {"observedAt", "unitCode", "datasetId", "createdAt", "modifiedAt", "expiresAt", "deletedAt", "objectType"}
)


#: Names of a path that no text of `q` can hold, for the other languages that are translated into terms: the
#: entity's id, and the newest observedAt of its attributes.
ID = "@id"
NEWEST = "@observedAt"


class Hop(msgspec.Struct, frozen=True):
    """A Relationship that is followed: name{…}. `types` are those that the entity pointed at may have."""

    name: str
    types: tuple[str, ...] = ()


class Path(msgspec.Struct, frozen=True):
    """What a term looks at: hops, then attributes of attributes, then members of the value."""

    names: tuple[str, ...]
    members: tuple[str, ...] = ()
    hops: tuple[Hop, ...] = ()


class Value(msgspec.Struct, frozen=True):
    """A literal. `value` is a float, str, bool; date-times and the like stay text."""

    kind: Kind
    value: Any
    #: The IRI a text stands for when the attribute's values are expanded (expandValues).
    iri: str | None = None


class Range(msgspec.Struct, frozen=True):
    """low..high, both included."""

    low: Value
    high: Value


class Exists(msgspec.Struct, frozen=True, tag=True):
    """The path leads somewhere, whatever stands there."""

    path: Path
    negated: bool = False


class Compare(msgspec.Struct, frozen=True, tag=True):
    """path operator value. Several values mean any of them, with == and != alone."""

    path: Path
    operator: Operator
    values: tuple[Value, ...] | Range


class Pattern(msgspec.Struct, frozen=True, tag=True):
    """path ~= "regular expression", found anywhere in the text."""

    path: Path
    pattern: str
    negated: bool = False


class Located(msgspec.Struct, frozen=True, tag=True):
    """A geoquery among the terms: no text of `q` holds one, the other languages do."""

    geo: GeoQuery


class And(msgspec.Struct, frozen=True, tag=True):
    """All of them."""

    terms: tuple[Term, ...]


class Or(msgspec.Struct, frozen=True, tag=True):
    """Any of them."""

    terms: tuple[Term, ...]


Term = Exists | Compare | Pattern | Located | And | Or

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,6})?Z", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d\d:\d\d:\d\d(?:[.,]\d{1,6})?Z", re.ASCII)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BARE = re.compile(r"[^\W_][^;|(),\"\s<>]*?(?=\.\.|[;|(),\s]|\Z)")
_RAW_PATTERN = re.compile(r"[^;|()\s]+")
_NAME = re.compile(r"[^\W\d_]\w*(?::(?!//)[^\W\d_]\w*)?")
_TYPES = re.compile(r"([^\W\d_]\w*(?:,[^\W\d_]\w*)*):(?=[^\W\d_])")
_MEMBER = re.compile(r"[^\[\].]+")
_OPERATORS: tuple[Operator | Literal["~=", "!~="], ...] = ("==", "!~=", "!=", "~=", ">=", "<=", ">", "<")
_ORDERED: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (_DATE_TIME, "datetime"),
    (_DATE, "date"),
    (_TIME, "time"),
    (_NUMBER, "number"),
)


def parse_q(text: str, context: Context = CORE, *, expand_values: Collection[str] = ()) -> Term:
    """The query behind the text of `q`, its names expanded.

    `expand_values` are names of attributes whose texts stand for IRIs. Raises BadRequestData with the place
    of the fault, TooComplexQuery beyond the limits.
    """
    _check_length(text)
    return _Parser(text, context, frozenset(expand_values)).query()


def parse_path(text: str, context: Context = CORE) -> Path:
    """A path alone, such as orderBy names: name.part[member]. Raises BadRequestData, TooComplexQuery."""
    _check_length(text)
    parser = _Parser(text, context, frozenset())
    path = parser.path()
    if parser.at < len(text) or path.hops:
        raise parser.wrong("a path ends")
    return path


def _check_length(text: str) -> None:
    if len(text) > MAX_QUERY:
        raise TooComplexQuery(
            f"The query has more than {MAX_QUERY} characters", hint="Ask several shorter ones.", where="q"
        )


def names_of(term: Term) -> Iterator[str]:
    """The attributes of the entity itself that a query looks at."""
    if isinstance(term, And | Or):
        for part in term.terms:
            yield from names_of(part)
    elif isinstance(term, Located):
        yield term.geo.geoproperty
    else:
        yield term.path.hops[0].name if term.path.hops else term.path.names[0]


class _Parser:
    def __init__(self, text: str, context: Context, expanded: frozenset[str]) -> None:
        self.text = text
        self.at = 0
        self.context = context
        self.expanded = expanded
        self.terms = 0
        self.depth = 0

    def query(self) -> Term:
        if not self.text.isascii() and any("\ud800" <= mark <= "\udfff" for mark in self.text):
            raise self.wrong("half a character (a lone surrogate) stands somewhere")
        term = self.alternatives()
        if self.at < len(self.text):
            raise self.wrong("; or | is missing")
        return term

    def alternatives(self) -> Term:
        found = [self.conjunction()]
        while self.take("|"):
            found.append(self.conjunction())
        return found[0] if len(found) == 1 else Or(tuple(found))

    def conjunction(self) -> Term:
        found = [self.term()]
        while self.take(";"):
            found.append(self.term())
        return found[0] if len(found) == 1 else And(tuple(found))

    def term(self) -> Term:
        self.terms += 1
        if self.terms > MAX_TERMS or self.depth > MAX_PARENTHESES:
            raise TooComplexQuery(
                f"The query has more than {MAX_TERMS} terms, or {MAX_PARENTHESES} parentheses in one another",
                hint="Ask several shorter ones.",
                where="q",
            )
        if self.take("("):
            self.depth += 1
            term = self.alternatives()
            self.depth -= 1
            if not self.take(")"):
                raise self.wrong("a closing parenthesis is missing")
            return term
        if self.text.startswith("!", self.at):
            self.at += 1
            return Exists(self.path(), negated=True)
        return self.comparison(self.path())

    def comparison(self, path: Path) -> Term:
        operator = next((one for one in _OPERATORS if self.take(one)), None)
        if operator is None:
            return Exists(path)
        if operator == "~=" or operator == "!~=":
            return Pattern(path, self.pattern(), negated=operator == "!~=")
        first = self.value(path)
        if operator in ("==", "!="):
            return Compare(path, operator, self.equality(path, first))
        if first.kind in ("boolean", "uri"):
            raise self.wrong(f"{operator} wants a number, a text or a time")
        return Compare(path, operator, (first,))

    def equality(self, path: Path, first: Value) -> tuple[Value, ...] | Range:
        if self.take(".."):
            last = self.value(path)
            if first.kind != last.kind or first.kind in ("boolean", "uri"):
                raise self.wrong("both ends of a range must be numbers, texts or times alike")
            return Range(first, last)
        values = [first]
        while self.take(","):
            values.append(self.value(path))
        return tuple(values)

    # Paths

    def path(self) -> Path:
        hops: list[Hop] = []
        names = self.names()
        while len(names) == 1 and self.take("{"):
            types = self.types()
            hops.append(Hop(names[0], types))
            names = self.names()
        members = self.members()
        for _ in hops:
            if not self.take("}"):
                raise self.wrong("a closing brace is missing")
        return Path(tuple(names), members, tuple(hops))

    def types(self) -> tuple[str, ...]:
        found = _TYPES.match(self.text, self.at)
        if found is None:
            return ()
        self.at = found.end()
        return tuple(map(self.context.expand, found.group(1).split(",")))

    def names(self) -> list[str]:
        names = [self.name(first=True)]
        while self.text.startswith(".", self.at) and not self.text.startswith("..", self.at):
            self.at += 1
            names.append(self.name(first=False))
        return names

    def name(self, *, first: bool) -> str:
        found = _NAME.match(self.text, self.at)
        if found is None:
            raise self.wrong("the name of an attribute is missing")
        self.at = found.end()
        term = found.group()
        if term in MEMBERS or (not first and term in CONTENT_MEMBER.values()):
            return term
        return self.context.expand(term)

    def members(self) -> tuple[str, ...]:
        if not self.take("["):
            return ()
        found: list[str] = []
        while True:
            member = _MEMBER.match(self.text, self.at)
            if member is None:
                raise self.wrong("the name of a member is missing")
            self.at = member.end()
            found.append(member.group())
            if self.take("]"):
                return tuple(found)
            if not self.take("."):
                raise self.wrong("a closing bracket is missing")

    # Values

    def value(self, path: Path) -> Value:
        quoted = self.quoted()
        if quoted is not None:
            return self.text_value(quoted, path, "string")
        for form, kind in _ORDERED:
            found = form.match(self.text, self.at)
            if found is not None and self.ends_at(found.end()):
                self.at = found.end()
                said = found.group()
                return Value(kind, self.number(said) if kind == "number" else said.replace(",", "."))
        found = _BARE.match(self.text, self.at)
        if found is None:
            raise self.wrong("a value is missing")
        self.at = found.end()
        word = found.group()
        if word in ("true", "false"):
            return Value("boolean", word == "true")
        return self.text_value(word, path, "uri")

    def number(self, said: str) -> float:
        number = float(said)
        if not isfinite(number):
            raise self.wrong("a number is too large")
        return number

    def text_value(self, text: str, path: Path, kind: Kind) -> Value:
        if path.names[-1] not in self.expanded:
            return Value(kind, text)
        return Value(kind, text, self.context.expand_iri(text))

    def pattern(self) -> str:
        pattern = self.quoted()
        if pattern is None:
            found = _RAW_PATTERN.match(self.text, self.at)
            if found is None:
                raise self.wrong("a regular expression is missing; put it in double quotes")
            self.at = found.end()
            pattern = found.group()
        compile_pattern(pattern, where="q")
        return pattern

    def quoted(self) -> str | None:
        if not self.text.startswith('"', self.at):
            return None
        found = _STRING.match(self.text, self.at)
        if found is None:
            raise self.wrong("a closing double quote is missing")
        try:
            text = orjson.loads(found.group().encode())
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            raise self.wrong("the text in double quotes is not written as in JSON") from None
        self.at = found.end()
        return str(text)

    # The text

    def take(self, token: str) -> bool:
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def ends_at(self, place: int) -> bool:
        return place == len(self.text) or self.text[place] in ";|),}" or self.text.startswith("..", place)

    def wrong(self, why: str) -> BadRequestData:
        return BadRequestData(
            f"In q, at character {self.at + 1}, {why}: …{ascii(self.text[self.at : self.at + 30])[1:-1]}",
            hint='Write terms such as temperature>20;name=="Aarhus", joined by ; (and) or | (or).',
            where="q",
        )


def compile_pattern(pattern: str, *, where: str) -> Any:
    """A regular expression that takes time in proportion to the text. Raises BadRequestData."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        if len(pattern) > MAX_PATTERN:
            raise re2.error("it is too long")
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        raise BadRequestData(
            f"{ascii(pattern)[:60]} is not a regular expression that can be used here: {_reason(error)}",
            hint="Use RE2 syntax: no look-around and no back-references.",
            where=where,
        ) from None


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
