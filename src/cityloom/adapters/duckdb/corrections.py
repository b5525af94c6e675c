"""Readings that give way to later ones, marked for many at once and before anybody reads.

What a late reading corrects is found by a scan of its time, and costs as much for thousands as for one. So
what is to give way is noted with the readings themselves, and marked when somebody asks, or when it is much.
"""

from __future__ import annotations

import threading

import duckdb

from cityloom.adapters.duckdb import columns
from cityloom.adapters.duckdb.connection import DuckFile
from cityloom.kernel.errors import NotReady, StorageFull

#: So many are marked by whoever writes.
AT_ONCE = 20_000
#: Seconds for which somebody who reads waits for somebody who writes.
PATIENCE_S = 1.0

SCHEMA = """
    CREATE TABLE IF NOT EXISTS correction (
      series INTEGER NOT NULL, observed_at BIGINT NOT NULL, sequence BIGINT NOT NULL
    )
"""
_NOTE = "INSERT INTO correction SELECT series, observed_at, sequence FROM late"
_COUNT = "SELECT count(*) FROM correction"
_SPAN = "SELECT min(observed_at), max(observed_at) FROM correction"
#: Bound: the earliest and the latest instant, which keep the scan to their row groups.
_MARK = """
    UPDATE reading SET superseded = true FROM correction AS late
    WHERE reading.observed_at BETWEEN ? AND ? AND NOT reading.superseded
      AND reading.series = late.series AND reading.observed_at = late.observed_at
      AND reading.sequence < late.sequence
"""
_WHICH = "SELECT current_database()"


def _set_aside(database: str) -> str:
    """What stands before the table of this name, for one who reads."""
    return f"""
        CREATE TEMP VIEW reading AS
        SELECT r.* REPLACE (r.superseded OR coalesce(r.sequence < late.sequence, false) AS superseded)
        FROM "{database}".main.reading AS r LEFT JOIN (
          SELECT series, observed_at, max(sequence) AS sequence FROM correction GROUP BY ALL
        ) AS late USING (series, observed_at)
    """  # noqa: S608 - the name of our own file


class Corrections:
    """What is noted and not marked yet. `writing` is held by whoever writes readings."""

    def __init__(self, file: DuckFile, writing: threading.Lock) -> None:
        self._file = file
        self._writing = writing

    def note(self, cursor: duckdb.DuckDBPyConnection, late: list[tuple[int, int, int]]) -> None:
        """Let what stands at (series, observed_at) give way that is older than a sequence."""
        cursor.register("late", columns.late_columns(late))
        cursor.execute(_NOTE)
        if _count(cursor) >= AT_ONCE:
            _mark(cursor)

    def mark(self) -> None:
        """Mark what is noted; within `writing`. Raises StorageFull, NotReady."""
        with self._file.cursor() as cursor:
            if not _count(cursor):
                return
        with self._file.transaction() as cursor:
            _mark(cursor)

    def begin_reading(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Begin a transaction in which nothing counts that is corrected.

        Whoever reads waits for nobody long: while the file is held, or full, they read round what is noted.
        """
        cursor.begin()
        if not _count(cursor):
            return
        cursor.rollback()
        self._mark_at_once()
        cursor.begin()
        if _count(cursor):
            (database,) = cursor.execute(_WHICH).fetchone() or ("",)
            cursor.execute(_set_aside(database))

    def _mark_at_once(self) -> None:
        if not self._writing.acquire(timeout=PATIENCE_S):
            return
        try:
            with self._file.transaction(at_once=True) as cursor:
                _mark(cursor)
        except (NotReady, StorageFull):
            return
        finally:
            self._writing.release()


def _count(cursor: duckdb.DuckDBPyConnection) -> int:
    found = cursor.execute(_COUNT).fetchone()
    return 0 if found is None else int(found[0])


def _mark(cursor: duckdb.DuckDBPyConnection) -> None:
    span = cursor.execute(_SPAN).fetchone()
    if span is None or span[0] is None:
        return
    cursor.execute(_MARK, list(span))
    cursor.execute("DELETE FROM correction")
