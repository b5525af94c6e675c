"""The query language of `q`: which entities match (ETSI GS CIM 009, 4.9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from functools import lru_cache, partial
from operator import ge, gt, le, lt
from typing import Any

from cityloom.ngsild.contexts import iri_of
from cityloom.ngsild.errors import OperationNotSupported
from cityloom.ngsild.geo_query import compile_geo
from cityloom.ngsild.model import CONTENT_MEMBER, Document, Instance
from cityloom.ngsild.q_language import (
    ID,
    MEMBERS,
    NEWEST,
    And,
    Compare,
    Exists,
    Hop,
    Located,
    Or,
    Path,
    Pattern,
    Range,
    Term,
    Value,
    compile_pattern,
)

Predicate = Callable[[Document], bool]
#: Finds the entity that a Relationship points at, None when it is not there for the asker.
Lookup = Callable[[str], Document | None]
#: Whether one target value matches.
_Test = Callable[[Any], bool]

_POINTERS = frozenset({"Relationship", "ListRelationship"})
ENTITY_TIMES = frozenset({"createdAt", "modifiedAt", "expiresAt", "deletedAt"})
_OF_THE_WHOLE = frozenset({ID, NEWEST})
_ORDERS = {">": gt, ">=": ge, "<": lt, "<=": le}


class _Each(tuple[Any, ...]):
    """Values of which each may match: the languages of a LanguageProperty."""


def compile_q(term: Term, lookup: Lookup | None = None) -> Predicate:
    """A predicate on documents.

    `lookup` follows Relationships; without it a query that needs it raises OperationNotSupported.
    """
    if isinstance(term, And):
        return _all([compile_q(part, lookup) for part in term.terms])
    if isinstance(term, Or):
        return _any([compile_q(part, lookup) for part in term.terms])
    if isinstance(term, Located):
        return compile_geo(term.geo)
    targets = _targets(term.path, lookup)
    if isinstance(term, Exists):
        wanted = not term.negated
        return lambda document: any(True for _ in targets(document)) is wanted
    test = _test_pattern(term) if isinstance(term, Pattern) else comparison_test(term)
    return lambda document: any(map(test, targets(document)))


def _all(parts: list[Predicate]) -> Predicate:
    return lambda document: all(part(document) for part in parts)


def _any(parts: list[Predicate]) -> Predicate:
    return lambda document: any(part(document) for part in parts)


# What a path leads to


def values_at(path: Path, document: Document) -> Iterator[Any]:
    """The values that a path without hops leads to in a document."""
    return _in_document(document, path)


def _targets(path: Path, lookup: Lookup | None) -> Callable[[Document], Iterator[Any]]:
    """The target values of a path in a document, one for each instance that is there."""
    if path.hops:
        if lookup is None:
            raise OperationNotSupported(
                "Linked entities cannot be followed here", hint="Leave out the {…} in q.", where="q"
            )
        return lambda document: _linked(document, path, 0, lookup)
    return lambda document: _in_document(document, path)


def _linked(document: Document, path: Path, depth: int, lookup: Lookup) -> Iterator[Any]:
    if depth == len(path.hops):
        yield from _in_document(document, path)
        return
    hop = path.hops[depth]
    for instance in document["attrs"].get(hop.name, ()):
        for target in _pointed_at(instance):
            linked = lookup(target)
            if linked is not None and _is_of(linked, hop):
                yield from _linked(linked, path, depth + 1, lookup)


def _pointed_at(instance: Instance) -> list[str]:
    if instance["type"] not in _POINTERS:
        return []
    said = instance[CONTENT_MEMBER[instance["type"]]]
    return said if isinstance(said, list) else [said]


def _is_of(document: Document, hop: Hop) -> bool:
    return not hop.types or any(name in document["type"] for name in hop.types)


def newest_observation(document: Document) -> str | None:
    """The newest observedAt of the entity's attributes, forecasts and other datasets left out."""
    return max(
        (
            item["observedAt"]
            for items in document["attrs"].values()
            for item in items
            if "observedAt" in item and "datasetId" not in item
        ),
        key=lambda text: text.removesuffix("Z"),
        default=None,
    )


def _in_document(document: Document, path: Path) -> Iterator[Any]:
    name = path.names[0]
    if name in _OF_THE_WHOLE:
        found = document["id"] if name == ID else newest_observation(document)
        if found is not None:
            yield found
        return
    if name in ENTITY_TIMES:
        if len(path.names) == 1 and name in document:
            yield document[name]
        return
    for instance in document["attrs"].get(name, ()):
        yield from _in_instance(instance, path, 1)


def _in_instance(instance: Instance, path: Path, depth: int) -> Iterator[Any]:
    if depth == len(path.names):
        target = _target(instance, path.members)
        if target is not _NOTHING:
            yield target
        return
    name = path.names[depth]
    if name in MEMBERS:
        if name in instance and depth == len(path.names) - 1:
            yield instance[name]
        return
    for item in instance.get("attrs", {}).get(name, ()):
        yield from _in_instance(item, path, depth + 1)


_NOTHING = object()


class _Pointers(tuple[str, ...]):
    """The objects of a Relationship, which can only be equal or unequal."""


def _target(instance: Instance, members: tuple[str, ...]) -> Any:
    kind = instance["type"]
    said = instance[CONTENT_MEMBER[kind]]
    if kind == "LanguageProperty":
        return _said_in(said, members)
    if kind in _POINTERS:
        return _NOTHING if members else _Pointers(said if isinstance(said, list) else [said])
    if kind == "VocabProperty":
        return [iri_of(name) for name in said] if isinstance(said, list) else iri_of(said)
    for member in members:
        if not isinstance(said, dict) or member not in said:
            return _NOTHING
        said = said[member]
    return _plain(said)


def _said_in(languages: dict[str, Any], members: tuple[str, ...]) -> Any:
    """The text in one language, or the texts in all of them."""
    if members and members != ("*",):
        return languages.get(members[0], _NOTHING) if len(members) == 1 else _NOTHING
    texts: list[str] = []
    for said in languages.values():
        texts.extend(said if isinstance(said, list) else [said])
    return _Each(texts)


def _plain(said: Any) -> Any:
    """A JSON-LD typed value without its type (4.6.3)."""
    if isinstance(said, dict) and "@value" in said:
        return said["@value"]
    return said


# Whether a target value matches


def _test_pattern(term: Pattern) -> _Test:
    search = compile_pattern(term.pattern, where="q").search
    wanted = not term.negated

    def test(target: Any) -> bool:
        if isinstance(target, _Each):
            found = any(search(text) is not None for text in target)
            return found is wanted
        return isinstance(target, str) and (search(target) is not None) is wanted

    return test


def comparison_test(term: Compare) -> _Test:
    """Whether one target value of a comparison's path matches."""
    if term.operator in _ORDERS:
        assert isinstance(term.values, tuple), "the grammar gives one value here"
        return _test_order(term.operator, term.values[0])
    equal = _test_range(term.values) if isinstance(term.values, Range) else _test_values(term.values)
    if term.operator == "==":
        return lambda target: _holds(target, equal)
    return lambda target: not _holds(target, equal)


def _holds(target: Any, equal: _Test) -> bool:
    """Equal, or an array that has an equal item."""
    if isinstance(target, list | tuple):
        return any(map(equal, target)) or equal(target)
    return equal(target)


def _test_values(values: tuple[Value, ...]) -> _Test:
    tests = [_test_value(value) for value in values]
    return tests[0] if len(tests) == 1 else lambda target: any(test(target) for test in tests)


def _test_value(value: Value) -> _Test:
    key = _KEYS[value.kind]
    wanted = key(value.value)
    if wanted is None:
        return lambda _target: False
    if value.iri is not None:
        return lambda target: key(target) == wanted or target == value.iri
    return lambda target: key(target) == wanted


def _test_range(limits: Range) -> _Test:
    key = _KEYS[limits.low.kind]
    low, high = key(limits.low.value), key(limits.high.value)

    def test(target: Any) -> bool:
        found = key(target)
        return found is not None and low is not None and high is not None and low <= found <= high

    return test


def _test_order(operator: str, value: Value) -> _Test:
    order = _ORDERS[operator]
    # A date-time in quotes is compared as a time with what is a time.
    kind = "datetime" if value.kind == "string" and instant_of(value.value) is not None else value.kind
    key = _KEYS[kind]
    # No inner function that names itself: each query would leave a ring to the garbage collector.
    return partial(_is_in_order, order, key, key(value.value))


def _is_in_order(
    order: Callable[[Any, Any], bool], key: Callable[[Any], Any], limit: Any, target: Any
) -> bool:
    """Whether a value, or one of many, stands to the limit as asked."""
    if isinstance(target, _Each):
        return any(_is_in_order(order, key, limit, one) for one in target)
    found = key(target)
    return found is not None and limit is not None and order(found, limit)


# Values that can be compared, by kind; None is of another kind


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def instant_of(value: Any) -> datetime | None:
    """The instant that a text is, None for what is none."""
    return _parsed_instant(value) if isinstance(value, str) and len(value) <= 40 else None


def _date(value: Any) -> date | None:
    return _parsed_date(value) if isinstance(value, str) and len(value) == 10 else None


def _time(value: Any) -> time | None:
    return _parsed_time(value) if isinstance(value, str) and len(value) <= 20 else None


@lru_cache(8192)
def _parsed_instant(text: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if "T" in text and instant.tzinfo is UTC else None


@lru_cache(1024)
def _parsed_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


@lru_cache(1024)
def _parsed_time(text: str) -> time | None:
    try:
        return time.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return None


_KEYS: dict[str, Callable[[Any], Any]] = {
    "number": _number,
    "string": _text,
    "uri": _text,
    "boolean": _boolean,
    "datetime": instant_of,
    "date": _date,
    "time": _time,
}
