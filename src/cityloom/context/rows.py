"""The Entities of a partition as rows, most in the order of creation, with what queries look at in columns.

A column is made when the first query asks for its path, and costs as much as looking at every document once.
From then on a change marks its row, and the next query reads the marked rows before it looks at the columns.
What is asked for least lately makes room: columns together take a bounded part of the memory.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import orjson
from numpy.typing import NDArray

from cityloom.context.keeping import Kept, unpack, without_times
from cityloom.context.places import Places
from cityloom.context.ports import Bounds
from cityloom.ngsild.model import Document
from cityloom.ngsild.q_columns import Column, Selection, reader_of
from cityloom.ngsild.q_language import Path

_by_creation = attrgetter("created")

if TYPE_CHECKING:
    from cityloom.context.state import Held

#: Bytes that all columns of a partition may take, and how many there may be in any case.
COLUMN_BYTES = 96 * 1024 * 1024
LEAST_COLUMNS, MOST_COLUMNS = 8, 64
_BYTES_A_ROW = 9
#: What is cut out of documents that are kept.
_TIMES = frozenset({"createdAt", "modifiedAt"})
#: Reads what columns look at of a document that is kept.
_Reader = Callable[[Kept], Document]
#: Rows that are free before those behind them move up.
_MANY_FREE = 4_096
#: Rows that may stand out of order before all are put in order.
_MANY_LATE = 4_096
#: Turns without progress after which a query no longer waits for columns that another one makes.
_PATIENCE = 3
#: Rows that are read before others get their turn, and seconds at most: a request takes some turns, and each
#: that waits does so for all of them.
_TURN = 2_000
_TURN_SECONDS = 0.003


class Rows:
    """Rows of Entities. `Held.place` is an Entity's row."""

    def __init__(self) -> None:
        self._columns: dict[Path, Column] = {}
        #: Columns that are being made: changes reach them, questions do not.
        self._making: dict[int, Column] = {}
        #: Counts how often the rows were numbered anew.
        self._numbering = 0
        #: Counts the turns in which columns were made.
        self._progress = 0
        self._begin()

    def _begin(self) -> None:
        self.held: list[Held | None] = []
        self.places = Places()
        self._types = array("i")
        self._codes: dict[tuple[str, ...], int] = {}
        self._free = 0
        self._created = array("q")
        self._newest = 0
        #: Rows of Entities that are older than one before them: they came from another class.
        self._late = 0
        self._columns.clear()
        self._making.clear()
        #: Rows that changed since the columns were read.
        self._marked: set[int] = set()

    def __len__(self) -> int:
        return len(self.held)

    def put(self, held: Held, bounds: Bounds | None) -> None:
        """A row for an Entity that has none."""
        row = held.place = len(self.held)
        self.held.append(held)
        self._types.append(self._code_of(held.types))
        self.places.add(row, bounds)
        self._created.append(held.created)
        if held.created < self._newest:
            self._late += 1
        else:
            self._newest = held.created
        self._mark(row)

    def change(self, held: Held) -> None:
        """The Entity's document, and maybe its types, are others."""
        self._mark(held.place)

    def retype(self, held: Held) -> None:
        self._types[held.place] = self._code_of(held.types)

    def remove(self, held: Held) -> None:
        row, held.place = held.place, -1
        self.held[row] = None
        self._types[row] = -1
        self.places.move(row, None)
        self._mark(row)
        self._free += 1

    # What queries ask

    def types(self, wanted: Iterable[tuple[str, ...]], rows: Selection) -> NDArray[np.bool_]:
        """Of which rows the types are among the wanted."""
        codes = {self._codes[types] for types in wanted}
        given = np.frombuffer(self._types, np.int32)[rows]
        if len(codes) == len(self._codes) and not self._free:
            return np.ones(len(given), bool)
        found: NDArray[np.bool_]
        if len(codes) == 1:
            found = given == codes.pop()
        else:
            right = np.zeros(len(self._codes) + 1, bool)
            right[list(codes)] = True
            found = right[given]
        return found

    def all_types(self) -> Iterable[tuple[str, ...]]:
        """The combinations of types that some row has, or had."""
        return self._codes

    @property
    def are_in_order(self) -> bool:
        """Whether rows are in the order of creation."""
        return not self._late

    def in_order(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """How to put these rows in the order of creation: the places of the oldest, the next, …"""
        return np.argsort(np.frombuffer(self._created, np.int64)[rows])

    def column(self, path: Path) -> Column | None:
        """The column of a path, when it is read."""
        return self._columns.get(path)

    def tidy(self) -> None:
        """Few free rows, and few that are out of order. Numbers of rows from before are void."""
        many_free, many_late = max(_MANY_FREE, len(self.held) // 2), max(_MANY_LATE, len(self.held) // 8)
        if self._free <= many_free and self._late <= many_late:
            return
        standing = sorted((held for held in self.held if held is not None), key=_by_creation)
        boxes = [self.places.box(held.place) for held in standing]
        self._numbering += 1
        self._begin()
        for held, bounds in zip(standing, boxes, strict=True):
            self.put(held, bounds)

    def read(self, paths: Iterable[Path], *, patient: bool) -> Iterator[None]:
        """Bring columns for these paths up to date. Yields now and then; they are so at the end, and until
        something changes. Columns that another query makes are waited for (`patient`) or missing."""
        wanted = dict.fromkeys(paths)
        while True:
            numbering = self._numbering
            for _ in self._read(wanted, patient):
                yield
                if self._numbering != numbering:
                    break
            else:
                return

    def _read(self, wanted: Iterable[Path], patient: bool) -> Iterator[None]:
        if patient:
            yield from self._wait_for_making(wanted)
        making = {column.path for column in self._making.values()}
        fresh: list[Column] = []
        for path in wanted:
            if path in self._columns:
                # What was asked for last stands last.
                self._columns[path] = self._columns.pop(path)
            elif path not in making:
                fresh.append(Column(path))
        if fresh:
            self._make_room(len(fresh))
            yield from self._make(fresh)
        yield from self._read_marked()

    def _wait_for_making(self, wanted: Iterable[Path]) -> Iterator[None]:
        """Let another query finish the columns that this one wants, as long as it gets on with them."""
        paths, stalled = set(wanted), 0
        while stalled < _PATIENCE and not paths.isdisjoint(one.path for one in self._making.values()):
            before = self._progress
            yield
            stalled = stalled + 1 if self._progress == before else 0

    def _make(self, fresh: list[Column]) -> Iterator[None]:
        """Read every document for new columns. What changes meanwhile is marked, and read again."""
        numbering = self._numbering
        for column in fresh:
            column.grow(len(self.held))
            self._making[id(column)] = column
        try:
            yield from self._read_all(fresh)
            if self._numbering == numbering:
                self._columns.update((column.path, column) for column in fresh)
        finally:
            for column in fresh:
                self._making.pop(id(column), None)

    def _read_all(self, fresh: list[Column]) -> Iterator[None]:
        needles = [orjson.dumps(column.path.names[0]) + b":" for column in fresh]
        read = _reader_of(fresh)
        numbering, row, end = self._numbering, 0, len(self.held)
        while (row := self._read_some(fresh, needles, read, row, end)) < end:
            self._progress += 1
            yield
            if self._numbering != numbering:
                return

    def _read_some(
        self, columns: list[Column], needles: list[bytes], read: _Reader, row: int, end: int
    ) -> int:
        """Read rows from one on to before `end`, for a turn; the one before which it ended."""
        until = perf_counter() + _TURN_SECONDS
        for number in range(row, min(row + _TURN, end)):
            held = self.held[number]
            if held is not None and any(held.kept.find(needle) >= 0 for needle in needles):
                document = read(held.kept)
                for column in columns:
                    column.put(number, document)
                if perf_counter() > until:
                    return number + 1
        return min(row + _TURN, end)

    def _read_marked(self) -> Iterator[None]:
        while self._marked:
            columns = (*self._columns.values(), *self._making.values())
            for column in columns:
                column.grow(len(self.held))
            self._read_some_marked(columns)
            if self._marked:
                yield

    def _read_some_marked(self, columns: Sequence[Column]) -> None:
        """Read rows that changed, for a turn."""
        read = _reader_of(columns)
        until = perf_counter() + _TURN_SECONDS
        for _ in range(min(_TURN, len(self._marked))):
            row = self._marked.pop()
            held = self.held[row]
            document = None if held is None else read(held.kept)
            for column in columns:
                column.put(row, document)
            if perf_counter() > until:
                return

    def _mark(self, row: int) -> None:
        if self._columns or self._making:
            self._marked.add(row)

    def _make_room(self, more: int) -> None:
        room = COLUMN_BYTES // (_BYTES_A_ROW * max(1, len(self.held)))
        most = min(max(room, LEAST_COLUMNS), MOST_COLUMNS)
        while self._columns and len(self._columns) + more > most:
            del self._columns[next(iter(self._columns))]

    @property
    def asked(self) -> tuple[Path, ...]:
        """The paths whose columns are read, what was asked for last at the end."""
        return tuple(self._columns)

    def _code_of(self, types: tuple[str, ...]) -> int:
        return self._codes.setdefault(types, len(self._codes))


def _reader_of(columns: Sequence[Column]) -> _Reader:
    """Reads what these columns look at. Attributes' times that nobody asks for need not be put back."""
    paths = tuple(column.path for column in columns)
    read = reader_of(paths)
    if any(not _TIMES.isdisjoint((*path.names[1:], *path.members)) for path in paths):
        return lambda kept: read(unpack(kept))
    return lambda kept: read(without_times(kept))
