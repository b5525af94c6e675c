"""Sifting: which rows of the partitions can match a query, told by columns and places, in lots.

A lot is a run of rows in the order of creation. Of each of its rows it is told whether it surely matches; the
others have to be looked at. Lots are made one by one, so that a page near the beginning costs little, however
many there are; and without a pause between them, since a pause lets the rows change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from cityloom.context.keeping import Kept, unpack
from cityloom.context.places import Places, being_points, lying_within, touching
from cityloom.context.ports import Bounds
from cityloom.context.revision import INDEXED_GEOMETRY
from cityloom.context.rows import LEAST_COLUMNS, Rows
from cityloom.context.state import Held
from cityloom.ngsild.geo_query import nearness_of_points
from cityloom.ngsild.q_columns import Mask, Selection, both, judge, paths_of
from cityloom.ngsild.q_language import MEMBERS, And, Exists, Or, Path, Term
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.type_selection import compile_types

#: Rows in a partition for which columns are worth while.
WORTH_COLUMNS = 200
#: Rows in the first lot, and at most in a later one; each is twice as large as the one before.
_FIRST_LOT, _LARGEST_LOT = 1 << 11, 1 << 16
#: Where fewer than one row in so many touches what is asked for, the others are left out at once.
_MANY_TOUCH = 8
#: Rows in the first lot of those that lie near.
_FIRST_NEAR = 1 << 8
#: So many that only the first lot of them is put in order at first.
_MANY_NEAR = 1 << 11

_by_creation = attrgetter("created")


#: Numbers of rows that may match, and which of them surely do; None: of none it is known.
_Sifted = tuple[Rows, NDArray[np.intp], NDArray[np.bool_] | None]


class Lot:
    """Rows among which matches are, oldest first."""

    def __init__(
        self,
        held: Sequence[Held | None],
        rows: Sequence[int] | NDArray[np.intp],
        sure: NDArray[np.bool_] | None,
    ) -> None:
        """`sure`: which rows match without being looked at; None for none of them."""
        self._held = held
        self._sure = sure
        self._kept: list[Kept] | None = None
        self.all_sure = sure is not None and bool(sure.all())
        # Of a lot that is sure the page's rows alone are looked at: a count makes no number an object.
        self._rows = rows.tolist() if isinstance(rows, np.ndarray) and not self.all_sure else rows

    @classmethod
    def of(cls, held: Sequence[Held]) -> Lot:
        """These Entities, none of them sure."""
        return cls(held, range(len(held)), None)

    def __len__(self) -> int:
        return len(self._rows)

    def document(self, place: int) -> bytes:
        return unpack(self._kept_at(place) if self._kept is None else self._kept[place])

    def is_sure(self, place: int) -> bool:
        return self._sure is not None and bool(self._sure[place])

    def keep(self) -> None:
        """Hold on to the documents as they are now: rows may change from here on."""
        if self._kept is None:
            if isinstance(self._rows, np.ndarray):
                self._rows = self._rows.tolist()
            self._kept = [self._kept_at(place) for place in range(len(self))]

    def _kept_at(self, place: int) -> Kept:
        held = self._held[self._rows[place]]
        assert held is not None, "a lot has no empty rows"
        return held.kept


class Sifting:
    """A query over the rows of some partitions."""

    def __init__(self, parts: Sequence[Rows], query: EntityQuery) -> None:
        self._parts = parts
        self._query = query
        self._term, self._is_exact = _told_by_columns(query)
        found = () if self._term is None else paths_of(self._term)
        self._paths = list(dict.fromkeys(found))[:LEAST_COLUMNS]
        self._bounds: Bounds | None = None
        if query.geo is not None and query.geo.geoproperty == INDEXED_GEOMETRY:
            self._bounds = query.geo.bounds()
        #: Whether what lies wholly within the bounds needs not be looked at.
        self._is_box = query.geo is not None and self._bounds is not None and query.geo.is_box()
        #: Tells of points alone, which most places are, whether they are near enough.
        self._nearness = None
        if query.geo is not None and self._bounds is not None:
            self._nearness = nearness_of_points(query.geo)
        self._is_exact &= query.geo is None or self._is_box or self._nearness is not None

    def prepare(self) -> Iterator[None]:
        """Bring what is looked at up to date; yields now and then. Right after it, `lots` is."""
        again = patient = True
        while again:
            again = False
            for rows in self._parts:
                rows.tidy()
                if len(rows) >= WORTH_COLUMNS:
                    for _ in rows.read(self._paths, patient=patient):
                        again = True
                        yield
            patient = False

    def lots(self) -> Iterator[Lot]:
        if len(self._parts) == 1:
            (rows,) = self._parts
            lots = self._sifted(rows) if rows.are_in_order else self._in_one(rows)
            for _, numbers, sure in lots:
                yield Lot(rows.held, numbers, sure)
            return
        found: list[tuple[Held, bool]] = []
        for part in self._parts:
            for rows, numbers, sure in self._sifted(part):
                known = [False] * len(numbers) if sure is None else sure.tolist()
                several = (rows.held[number] for number in numbers.tolist())
                found += [
                    (one, is_sure) for one, is_sure in zip(several, known, strict=True) if one is not None
                ]
        found.sort(key=lambda pair: pair[0].created)
        yield Lot([one for one, _ in found], range(len(found)), np.array([sure for _, sure in found], bool))

    def _in_one(self, rows: Rows) -> Iterator[_Sifted]:
        """What is sifted, in one piece and in the order of creation."""
        found = list(self._sifted(rows))
        if found:
            numbers = np.concatenate([numbers for _, numbers, _ in found])
            sure = np.concatenate([one for _, _, one in found if one is not None]) if self._is_exact else None
            order = rows.in_order(numbers)
            yield rows, numbers[order], None if sure is None else sure[order]

    def _sifted(self, rows: Rows) -> Iterator[_Sifted]:
        """Numbers of rows that may match, in their order, and which of them surely do."""
        types = self._types(rows)
        for selection, size in self._selections(rows):
            mask = rows.types(types, selection)
            known = mask, mask
            if self._term is not None:
                known = both(known, judge(self._term, rows.column, selection, size))
            if self._bounds is not None:
                known = both(known, self._placed(rows.places, selection, self._bounds))
            low, high = known
            hits = np.flatnonzero(high)
            if len(hits):
                numbers = hits + selection.start if isinstance(selection, slice) else selection[hits]
                yield rows, numbers, low[hits] if self._is_exact else None

    def _placed(self, places: Places, selection: Selection, bounds: Bounds) -> tuple[Mask, Mask]:
        """What surely and what maybe matches by where it lies."""
        boxes = places.boxes(selection)
        if self._nearness is None:
            touch = touching(boxes, bounds)
            return (lying_within(boxes, bounds) if self._is_box else touch), touch
        surely, maybe = self._nearness(boxes[:, 0], boxes[:, 1])
        if places.are_points or (points := being_points(boxes)).all():
            return surely, maybe
        return points & surely, np.where(points, maybe, touching(boxes, bounds))

    def _selections(self, rows: Rows) -> Iterator[tuple[Selection, int]]:
        """Rows that are looked at together, in their order."""
        near = None if self._bounds is None else rows.places.candidates(self._bounds)
        if near is not None:
            yield from ((near[one], one.stop - one.start) for one in _in_order(near))
        else:
            yield from self._slices_of(rows)

    def _slices_of(self, rows: Rows) -> Iterator[tuple[Selection, int]]:
        for one in _slices(0, len(rows), _FIRST_LOT):
            size = one.stop - one.start
            if self._bounds is not None:
                touch = np.flatnonzero(touching(rows.places.boxes(one), self._bounds))
                if len(touch) < size // _MANY_TOUCH:
                    yield touch + one.start, len(touch)
                    continue
            yield one, size

    def _types(self, rows: Rows) -> list[tuple[str, ...]]:
        """The combinations of types that a match may have."""
        query = self._query
        if query.type_expression is not None:
            wanted = compile_types(query.type_expression)
            return [types for types in rows.all_types() if wanted({"type": types})]
        selections = [selector.type_expression for selector in query.selectors]
        if not selections or None in selections:
            return list(rows.all_types())
        names = {name for one in selections if one is not None for name in one.candidates()}
        return [types for types in rows.all_types() if not names.isdisjoint(types)]


def _slices(start: int, end: int, size: int) -> Iterator[slice]:
    """From `start` to before `end`, the first of a size, each twice as large as the one before."""
    while start < end:
        yield slice(start, min(start + size, end))
        start, size = start + size, min(2 * size, _LARGEST_LOT)


def _in_order(rows: NDArray[np.intp]) -> Iterator[slice]:
    """Slices in which the rows, now, are in their order. All of them are put in order when more than the
    first are wanted."""
    if len(rows) > _MANY_NEAR:
        rows.partition(_FIRST_NEAR)
        rows[:_FIRST_NEAR].sort()
        yield slice(0, _FIRST_NEAR)
        rows[_FIRST_NEAR:].sort()
        yield from _slices(_FIRST_NEAR, len(rows), 2 * _FIRST_NEAR)
    else:
        rows.sort()
        yield from _slices(0, len(rows), _FIRST_NEAR)


def _told_by_columns(query: EntityQuery) -> tuple[Term | None, bool]:
    """What columns can tell of a query, and whether that, the types and a place are all that it asks."""
    terms: list[Term] = [] if query.q is None else [query.q]
    is_exact = query.scope_q is None and query.id_pattern is None and not query.selectors
    if query.attrs:
        if MEMBERS.isdisjoint(query.attrs):
            terms.append(Or(tuple(Exists(Path((name,))) for name in query.attrs)))
        else:
            is_exact = False
    if not terms:
        return None, is_exact
    return terms[0] if len(terms) == 1 else And(tuple(terms)), is_exact
