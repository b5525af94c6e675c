"""Where rows lie: the box around each, and the boxes that touch another without looking at all of them.

Most boxes are points. These are sorted by the cell of a fine grid, along parallels, so that those in a box
are a run of the sorted list on each parallel of cells. What was added or moved since the sorting is looked at
one by one, until it is so much that sorting anew is cheaper. Many are sorted in a thread, since others wait
for the event loop; until it is done, the order before it serves, or, where there is none, rows may lie
anywhere.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from math import floor, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cityloom.context.ports import Bounds

Rows = NDArray[np.intp]
#: Rows: a slice, or their numbers.
Selection = slice | Rows
#: Boxes below each other: west, south, east, north.
Boxes = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Cells in a degree, and the number that lies between two parallels of cells.
_CELLS = 512
_PARALLEL = 1 << 20
#: Parallels of cells in a box; a higher one holds so much that everything may be looked at.
_MOST_PARALLELS = 2_048
#: Rows that are looked at one by one sooner than sorted.
FEW = 2_000
#: One row in so many was put since the sorting: whoever asks has them sorted anew.
_SMALL_PART = 64
#: One row in so many, and nobody has asked: they are no longer remembered.
_LARGE_PART = 8
#: Rows that are sorted at once; more would keep the event loop too long.
SORTED_AT_ONCE = 65_536
#: A box that touches no box.
_NOWHERE: Bounds = (nan, nan, nan, nan)
_NONE: Rows = np.empty(0, np.intp)


class _Order(NamedTuple):
    """Rows by where they lay when they were sorted."""

    #: The cells of those that were points, in order, and their rows.
    cells: NDArray[np.int64]
    points: Rows
    #: Rows whose box was no point.
    wide: Rows


class Places:
    """A box a row: west, south, east, north in degrees; not a number where a row lies nowhere."""

    def __init__(self) -> None:
        self._boxes = array("d")
        #: How many boxes are wider than a point.
        self._wide = 0
        #: None while nobody has asked since too much was put.
        self._order: _Order | None = _Order(_NONE.astype(np.int64), _NONE, _NONE)
        #: The next order, while it is made.
        self._coming: Future[_Order] | None = None
        #: Rows that were put since the order was begun, and since the coming one was.
        self._put: set[int] = set()
        self._later: set[int] = set()

    def add(self, row: int, bounds: Bounds | None) -> None:
        """The box of the next row."""
        self._boxes.extend(bounds or _NOWHERE)
        if bounds is not None:
            self._wide += not _is_point(bounds)
            self._remember(row)

    @property
    def are_points(self) -> bool:
        """Whether no box is wider than a point."""
        return not self._wide

    def move(self, row: int, bounds: Bounds | None) -> None:
        """Another box for a row."""
        start = 4 * row
        boxes = self._boxes
        if (before := self.box(row)) is not None:
            self._wide -= not _is_point(before)
        boxes[start], boxes[start + 1], boxes[start + 2], boxes[start + 3] = bounds or _NOWHERE
        if bounds is not None:
            self._wide += not _is_point(bounds)
            self._remember(row)

    def box(self, row: int) -> Bounds | None:
        """The box of a row."""
        west, south, east, north = self._boxes[4 * row : 4 * row + 4]
        return None if west != west else (west, south, east, north)

    def within(self, bounds: Bounds) -> Rows:
        """The rows whose box touches `bounds`, in their order."""
        rows = self.candidates(bounds)
        if rows is None:
            return np.flatnonzero(touching(self.boxes(slice(None)), bounds))
        return np.sort(rows[touching(self.boxes(rows), bounds)])

    def candidates(self, bounds: Bounds) -> Rows | None:
        """Rows among which all that touch `bounds` are, each once; None where they may be any."""
        order = self._ordered()
        if order is None:
            return None
        west, south, east, north = bounds
        lowest, highest = _cell(south, 90), _cell(north, 90)
        if highest - lowest >= _MOST_PARALLELS:
            return None
        parallels = np.arange(lowest, highest + 1, dtype=np.int64) * _PARALLEL
        starts = order.cells.searchsorted(parallels + _cell(west, 180)).tolist()
        ends = order.cells.searchsorted(parallels + _cell(east, 180), side="right").tolist()
        runs = [order.points[start:end] for start, end in zip(starts, ends, strict=True) if start < end]
        if len(order.wide):
            runs.append(order.wide[touching(self.boxes(order.wide), bounds)])
        if self._put:
            runs.append(np.fromiter(self._put, np.intp, len(self._put)))
            return np.unique(np.concatenate(runs))
        return np.concatenate(runs) if runs else _NONE

    def boxes(self, rows: Selection) -> Boxes:
        """The boxes of these rows."""
        return np.frombuffer(self._boxes).reshape(-1, 4)[rows]

    def extent(self, rows: Iterable[int]) -> Bounds | None:
        """The box around the boxes of some rows; None when none of them has one."""
        boxes = self.boxes(np.fromiter(rows, np.intp))
        boxes = boxes[~np.isnan(boxes[:, 0])]
        if not len(boxes):
            return None
        west, south = boxes[:, :2].min(axis=0).tolist()
        east, north = boxes[:, 2:].max(axis=0).tolist()
        return (west, south, east, north)

    def sort(self) -> None:
        """Begin to sort, so that the first question needs not."""
        self._ordered()

    def _remember(self, row: int) -> None:
        many = max(FEW, len(self._boxes) // (4 * _LARGE_PART))
        if self._order is not None:
            self._put.add(row)
            if len(self._put) > many:
                self._order, self._put = None, set()
        if self._coming is not None:
            self._later.add(row)
            if len(self._later) > many:
                self._coming, self._later = None, set()

    def _ordered(self) -> _Order | None:
        """The order, with `_put` beside it; None while the first one is made."""
        if self._coming is not None and self._coming.done():
            self._order, self._coming = self._coming.result(), None
            self._put, self._later = self._later, set()
        many = max(FEW, len(self._boxes) // (4 * _SMALL_PART))
        if self._coming is None and (self._order is None or len(self._put) > many):
            self._begin_sorting()
        return self._order

    def _begin_sorting(self) -> None:
        boxes = self.boxes(slice(None)).copy()
        if len(boxes) <= SORTED_AT_ONCE:
            self._order, self._put = _sorted(boxes), set()
        else:
            sorting = ThreadPoolExecutor(1, "places")
            self._coming = sorting.submit(_sorted, boxes)
            sorting.shutdown(wait=False)


def _sorted(boxes: Boxes) -> _Order:
    placed = ~np.isnan(boxes[:, 0])
    point = being_points(boxes)
    rows = np.flatnonzero(point)
    cells = _cells(boxes[rows, 1], 90) * _PARALLEL + _cells(boxes[rows, 0], 180)
    order = np.argsort(cells, kind="stable")
    return _Order(cells[order], rows[order], np.flatnonzero(placed & ~point))


def touching(boxes: Boxes, bounds: Bounds) -> Mask:
    """Which boxes touch `bounds`."""
    west, south, east, north = bounds
    touch: Mask = boxes[:, 0] <= east
    touch &= boxes[:, 2] >= west
    touch &= boxes[:, 1] <= north
    touch &= boxes[:, 3] >= south
    return touch


def lying_within(boxes: Boxes, bounds: Bounds) -> Mask:
    """Which boxes lie wholly within `bounds`."""
    west, south, east, north = bounds
    within: Mask = boxes[:, 0] >= west
    within &= boxes[:, 2] <= east
    within &= boxes[:, 1] >= south
    within &= boxes[:, 3] <= north
    return within


def being_points(boxes: Boxes) -> Mask:
    """Which boxes are a point each."""
    points: Mask = boxes[:, 0] == boxes[:, 2]
    points &= boxes[:, 1] == boxes[:, 3]
    return points


def _is_point(bounds: Bounds) -> bool:
    west, south, east, north = bounds
    return west == east and south == north


def _cell(degrees: float, most: int) -> int:
    return floor((min(max(degrees, -most), most) + most) * _CELLS)


def _cells(degrees: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    return np.floor((degrees + most) * _CELLS).astype(np.int64)
