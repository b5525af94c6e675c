"""The query language of `q` over columns: which rows match, told without looking at their documents.

A `Column` holds what one path of `q` leads to in each of many documents. Comparing it tells of most rows
whether they match; of the others (several instances, texts in several languages, objects) that they may. So
an answer is a pair of masks: the rows that surely match, and those that match at most. What is said here must
be what `q_matching` says of the documents; a test compares the two.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache, reduce
from typing import Any, TypedDict, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.ngsild.model import Document
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
from cityloom.ngsild.q_matching import ENTITY_TIMES, comparison_test, instant_of, values_at

#: Texts of a column that are told apart; of further ones it is only known that they are texts.
MAX_TEXTS = 100_000
#: Characters of such a text.
MAX_TEXT = 200

Mask = NDArray[np.bool_]
#: The rows that surely match, and those that may.
Bounds = tuple[Mask, Mask]
#: Rows: a slice, or their numbers.
Selection = slice | NDArray[np.intp]

_ABSENT, _NUMBER, _BOOLEAN, _TEXT, _INSTANT, _OTHER = range(6)
#: A target of each kind that can be compared, to try a test on where all of a kind are treated alike.
_SAMPLES: dict[int, Any] = {_NUMBER: 0.0, _BOOLEAN: True, _TEXT: "", _INSTANT: "2026-01-01T00:00:00Z"}
_COMPARED = {
    "number": {_NUMBER},
    "boolean": {_BOOLEAN},
    "datetime": {_INSTANT},
    "date": {_TEXT},
    "time": {_TEXT},
    "string": {_TEXT, _INSTANT},
    "uri": {_TEXT, _INSTANT},
}
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


#: Makes a type of members that may be missing, by their names.
_members: Any = cast(Any, TypedDict)


@lru_cache(64)
def reader_of(paths: tuple[Path, ...]) -> Callable[[bytes], Document]:
    """Reads of a document's JSON what columns of these paths look at, in half the time of reading all."""
    names = [path.names[0] for path in paths]
    attributes = _members("Attributes", dict.fromkeys(names, list[Any]), total=False)
    times = {name: str for name in names if name in ENTITY_TIMES}
    read = msgspec.json.Decoder(_members("Entity", times | {"attrs": attributes}, total=False)).decode
    return cast(Callable[[bytes], Document], read)


class Column:
    """What a path leads to, by row: its kind, and a number that stands for it.

    9 bytes a row. A row that was never put counts as leading nowhere.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name = path.names[0]
        #: Whether it leads to the values of an attribute, and to nothing in them.
        self._is_plain = len(path.names) == 1 and not path.members and self._name not in ENTITY_TIMES
        self._kinds = bytearray()
        self._numbers = array("d")
        self._texts: dict[str, int] = {}
        #: Kinds that some row has or had.
        self.seen: set[int] = set()

    def grow(self, rows: int) -> None:
        """Have at least so many rows."""
        more = rows - len(self._kinds)
        if more > 0:
            self._kinds.extend(bytes(more))
            self._numbers.extend(array("d", bytes(8 * more)))

    def put(self, row: int, document: Document | None) -> None:
        """What the path leads to in a row's document; None: the row is empty."""
        kind, number = _ABSENT, 0.0
        if document is not None:
            target = self._plain(document)
            if target is not None:
                kind, number = _NUMBER, target
            else:
                kind, number = self._found(document)
            self.seen.add(kind)
        self._kinds[row] = kind
        self._numbers[row] = number

    def kinds(self, rows: Selection) -> NDArray[np.uint8]:
        return np.frombuffer(self._kinds, np.uint8)[rows]

    def numbers(self, rows: Selection) -> NDArray[np.float64]:
        return np.frombuffer(self._numbers)[rows]

    def number_of(self, text: str) -> float | None:
        """The number that stands for a text; None: no row is known to have it."""
        return self._texts.get(text)

    def _plain(self, document: Document) -> float | None:
        """The number of an attribute that has one instance, as most have; None: look closer."""
        if self._is_plain:
            instances = document["attrs"].get(self._name)
            if instances is not None and len(instances) == 1 and instances[0]["type"] == "Property":
                value = instances[0]["value"]
                if type(value) is float or type(value) is int:
                    return value
        return None

    def _found(self, document: Document) -> tuple[int, float]:
        targets = list(values_at(self.path, document))
        if not targets:
            return _ABSENT, 0.0
        return (_OTHER, 0.0) if len(targets) > 1 else self._read(targets[0])

    def _read(self, target: Any) -> tuple[int, float]:
        kind = type(target)
        if kind is float or kind is int:
            return _NUMBER, target
        if kind is bool:
            return _BOOLEAN, float(target)
        if kind is not str or len(target) > MAX_TEXT:
            return _OTHER, 0.0
        instant = instant_of(target)
        if instant is not None:
            return _INSTANT, _micros(instant)
        if target not in self._texts and len(self._texts) >= MAX_TEXTS:
            return _OTHER, 0.0
        return _TEXT, self._texts.setdefault(target, len(self._texts))


def paths_of(term: Term) -> Iterator[Path]:
    """The paths of a query that a column can hold: those that stay in the document."""
    if isinstance(term, And | Or):
        for part in term.terms:
            yield from paths_of(part)
    elif not isinstance(term, Located) and not term.path.hops and term.path.names[0] not in (ID, NEWEST):
        yield term.path


def judge(term: Term, column_of: Callable[[Path], Column | None], rows: Selection, size: int) -> Bounds:
    """Which of `rows` (there are `size`) match a query. A path without a column may lead anywhere."""
    if isinstance(term, And | Or):
        judged = (judge(part, column_of, rows, size) for part in term.terms)
        return reduce(both if isinstance(term, And) else _either, judged)
    if isinstance(term, Located) or term.path.hops or (column := column_of(term.path)) is None:
        return np.zeros(size, bool), np.ones(size, bool)
    kinds = column.kinds(rows)
    if isinstance(term, Exists):
        there = (kinds != _ABSENT) != term.negated
        return there, there
    if isinstance(term, Pattern):
        return np.zeros(size, bool), (kinds == _TEXT) | (kinds == _INSTANT) | (kinds == _OTHER)
    return _compared(term, column, kinds, rows)


def both(one: Bounds, other: Bounds) -> Bounds:
    """Where both hold. Of what is known exactly, both masks are the same object."""
    low = one[0] & other[0]
    return low, low if one[0] is one[1] and other[0] is other[1] else one[1] & other[1]


def _either(one: Bounds, other: Bounds) -> Bounds:
    low = one[0] | other[0]
    return low, low if one[0] is one[1] and other[0] is other[1] else one[1] | other[1]


def _compared(term: Compare, column: Column, kinds: NDArray[np.uint8], rows: Selection) -> Bounds:
    values = (term.values.low, term.values.high) if isinstance(term.values, Range) else term.values
    if any(value.iri is not None for value in values):
        return np.zeros(len(kinds), bool), kinds != _ABSENT
    test = comparison_test(term)
    comparable = set().union(*(_COMPARED[value.kind] for value in values))
    sure: Mask | None = None
    unsure = kinds == _OTHER if _OTHER in column.seen else None
    for kind, sample in _SAMPLES.items():
        if kind not in column.seen or (kind not in comparable and not test(sample)):
            continue
        those = kinds == kind
        wanted = _wanted(kind, term, column) if kind in comparable else []
        if wanted is None:
            unsure = those if unsure is None else unsure | those
            continue
        if kind in comparable:
            those &= _holds(term, wanted, column.numbers(rows))
        sure = those if sure is None else sure | those
    if sure is None:
        sure = np.zeros(len(kinds), bool)
    return sure, sure if unsure is None else sure | unsure


def _wanted(kind: int, term: Compare, column: Column) -> list[float] | None:
    """The numbers that stand for the values a kind is compared with; None where that is not enough."""
    if isinstance(term.values, Range):
        return None if kind == _TEXT else _numbers(kind, (term.values.low, term.values.high), column)
    if kind == _TEXT and term.operator not in ("==", "!="):
        return None
    return _numbers(kind, [value for value in term.values if kind in _COMPARED[value.kind]], column)


def _numbers(kind: int, values: Iterable[Value], column: Column) -> list[float] | None:
    found: list[float] = []
    for value in values:
        if value.kind in ("number", "boolean"):
            found.append(float(value.value))
        elif kind == _TEXT and value.kind in ("string", "uri"):
            number = column.number_of(value.value)
            if number is not None:
                found.append(number)
        elif kind == _INSTANT and value.kind == "datetime" and (instant := instant_of(value.value)):
            found.append(_micros(instant))
        else:
            return None
    return found


def _holds(term: Compare, wanted: list[float], numbers: NDArray[np.float64]) -> Mask:
    if isinstance(term.values, Range):
        equal = (numbers >= wanted[0]) & (numbers <= wanted[1])
    elif term.operator in _ORDERS:
        ordered: Mask = _ORDERS[term.operator](numbers, wanted[0])
        return ordered
    else:
        equal = np.zeros(len(numbers), bool)
        for one in wanted:
            equal |= numbers == one
    return equal if term.operator == "==" else ~equal


_ORDERS: dict[str, Any] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
}


def _micros(instant: datetime) -> float:
    """Microseconds since 1970, which a float holds exactly for some centuries around."""
    return float((instant - _BEGIN) // _MICROSECOND)
