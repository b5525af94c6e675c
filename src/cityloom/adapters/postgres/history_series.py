"""What the database says of series, held in memory and kept up with what another process stores.

A process that stands by reads all of them once, and then what is new: series with ids beyond those it has,
and those that the news name (`history_shared`). So when it takes the city over, only that tail is left.
"""

from __future__ import annotations

import time
from collections import deque
from typing import LiteralString

import psycopg

from cityloom.adapters.postgres import history_columns as columns
from cityloom.adapters.postgres import history_shared as shared
from cityloom.adapters.postgres import history_statements as statements
from cityloom.adapters.postgres.connection import Connection, Line
from cityloom.adapters.postgres.history_statements import SERIES_COLUMNS
from cityloom.history.directory import SeriesDirectory
from cityloom.history.model import Integers, Readings

#: Series that come from the server at a time.
_AT_ONCE = 50_000
#: Seconds for which news are kept for those who stand by, and between two times at which old ones go.
KEPT_S, TRIMMED_S = 600.0, 60.0

_OF_SERIES = SERIES_COLUMNS.replace("id,", "series.id,", 1)
#: Bound: the greatest id that is known, the horizon, and that id again.
_TAIL: LiteralString = f"""
    SELECT series.id AS named, {_OF_SERIES} FROM series WHERE id > %s
    UNION ALL
    SELECT news.id, {_OF_SERIES} FROM series_news AS news LEFT JOIN series ON series.id = news.id
    WHERE news.told >= %s::text::xid8 AND news.id <= %s
    ORDER BY named
"""
#: Whether news since a horizon are all there, and from where ids were never given to a series.
_SINCE: LiteralString = "SELECT told_from <= %s::text::xid8, next_series FROM history_shared"
_FORGET_NEWS: LiteralString = "DELETE FROM series_news WHERE told < %s::text::xid8"
_FORGOTTEN: LiteralString = "UPDATE history_shared SET told_from = greatest(told_from, %s::text::xid8)"
#: The id of a series that is gone is given to no other: who has it in memory would take one for the other.
_NEVER_AGAIN: LiteralString = "UPDATE history_shared SET next_series = %s WHERE next_series < %s"


class StoredSeries:
    """All series of a history. Blocking, for one thread at a time."""

    def __init__(self) -> None:
        self._begin()
        #: Rows that came from the server.
        self.rows_read = 0

    def follow(self, line: Line) -> None:
        """Come as far as the newest commit. Raises NotReady."""
        if self.horizon:
            self._read_tail(line)
            if self._is_whole(line):
                return
        self._begin()
        self._read_all(line)

    def follow_another(self, line: Line) -> None:
        """The same of a city that another process runs: where that is of an earlier release, which tells no
        news, nothing is held. Raises NotReady."""
        try:
            self.follow(line)
        except psycopg.errors.UndefinedColumn:
            self._begin()

    def _begin(self) -> None:
        self.directory = SeriesDirectory(_nobody)
        #: From where on news were not looked at; "" before the series were read.
        self.horizon = self._looked_from = ""
        self._last = 0

    def _read_all(self, line: Line) -> None:
        horizon = shared.horizon_of(line)
        found = line.row(_SINCE, (horizon,))
        known = columns.KnownSeries()
        with line.transaction() as connection, connection.cursor(name="series", binary=True) as cursor:
            cursor.execute(statements.ALL_SERIES)
            while rows := cursor.fetchmany(_AT_ONCE):
                self.directory.load(known.columns(rows))
                self.rows_read += len(rows)
                self._last = int(rows[-1][0])
        assert found is not None, "the row is made with its table"
        self.directory.number_from(max(self.directory.next_id, int(found[1])))
        self.horizon = horizon

    def _read_tail(self, line: Line) -> None:
        horizon = shared.horizon_of(line)
        rows = line.rows(_TAIL, (self._last, self.horizon, self._last))
        self.rows_read += len(rows)
        self.directory.forget(int(row[0]) for row in rows if row[1] is None)
        self.directory.learn(shared.series_of(row[1:]) for row in rows if row[1] is not None)
        if rows:
            self._last = max(self._last, int(rows[-1][0]))
        self.horizon, self._looked_from = horizon, self.horizon

    def _is_whole(self, line: Line) -> bool:
        """Whether no news were forgotten before they were looked at. Asked after that."""
        found = line.row(_SINCE, (self._looked_from,))
        assert found is not None, "the row is made with its table"
        self.directory.number_from(max(self.directory.next_id, int(found[1])))
        return bool(found[0])


class Trimming:
    """Forgets news of series once everybody knows them, some minutes after they were told."""

    def __init__(self, line: Line) -> None:
        self._line = line
        #: When was which horizon.
        self._marks: deque[tuple[float, str]] = deque()

    def trim(self, now: float | None = None) -> None:
        """Forget what is old; most times nothing is looked for. Raises NotReady."""
        now = time.monotonic() if now is None else now
        if self._marks and now - self._marks[-1][0] < TRIMMED_S:
            return
        self._marks.append((now, shared.horizon_of(self._line)))
        old = ""
        while now - self._marks[0][0] >= KEPT_S:
            old = self._marks.popleft()[1]
        if old:
            with self._line.transaction() as connection:
                connection.execute(_FORGET_NEWS, (old,))
                connection.execute(_FORGOTTEN, (old,))


def tell(connection: Connection, changed: list[int], forgotten: list[int]) -> None:
    """Let others know of series in the transaction that changes or forgets them."""
    if changed or forgotten:
        connection.execute(shared.TELL_NEWS, ([*changed, *forgotten],))
    if forgotten:
        following = max(forgotten) + 1
        connection.execute(_NEVER_AGAIN, (following, following))


def _nobody(_series: list[int], _ahead: Integers) -> Readings:
    raise AssertionError("nothing is remembered while another process runs the city")
