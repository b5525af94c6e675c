"""Whole tables of the past, brought into the history in PostgreSQL and taken out again.

A portion is copied into a table of its transaction, and compared with what is there at its instants.
Rows are told apart by where they lie (`tableoid`, `ctid`), which holds for the transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, LiteralString

import duckdb
import numpy as np

from cityloom.adapters.postgres import history_statements
from cityloom.adapters.postgres.connection import Connection, Line
from cityloom.adapters.postgres.history_copy import READING, copy_readings
from cityloom.adapters.postgres.history_export import write_whole
from cityloom.adapters.postgres.history_months import Months
from cityloom.adapters.postgres.history_series import tell
from cityloom.adapters.sql import whole_tables
from cityloom.adapters.sql.whole_tables import WholeTables, record_of, row_of
from cityloom.history import load_planning
from cityloom.history.directory import SeriesDirectory
from cityloom.history.loads import Brought, LoadRecord, Portion
from cityloom.history.model import Integers, Series
from cityloom.history.newest import Newest
from cityloom.kernel.errors import NotFound

_PORTION: LiteralString = "CREATE TEMP TABLE portion (LIKE reading) ON COMMIT DROP"
#: Of each series: the first instant, the last one with kind and number; whether not all are plain numbers.
_SPAN: LiteralString = """
    SELECT series, min(observed_at), max(observed_at), (array_agg(kind ORDER BY observed_at DESC))[1],
      (array_agg(number ORDER BY observed_at DESC))[1],
      bool_or(kind > 2 OR details IS NOT NULL OR superseded)
    FROM portion GROUP BY series
"""
#: Bound: series, and the first instant.
_COMPARE: LiteralString = f"""
    CREATE TEMP TABLE standing ON COMMIT DROP AS
    SELECT p.series, p.observed_at, p.recorded_at, p.kind = 5 AS mark, r.tableoid AS part, r.ctid AS place,
      {whole_tables.COMPARED}
    FROM reading r JOIN portion p USING (series, observed_at)
    WHERE r.series = ANY(%s) AND r.observed_at >= %s
"""
_NO_STANDING: LiteralString = """
    CREATE TEMP TABLE standing ON COMMIT DROP AS
    SELECT series, observed_at, recorded_at, false AS mark, tableoid AS part, ctid AS place,
      false AS same, false AS rival, false AS newer
    FROM portion WHERE false
"""
_INSERT: LiteralString = whole_tables.insert(
    "(SELECT greatest(last_sequence, (SELECT max(last) FROM history_part)) AS last_sequence"
    " FROM history_progress) AS reach"
)
#: What was recorded before counts no longer, where the portion says something else.
_GIVE_WAY: LiteralString = """
    UPDATE reading SET superseded = true FROM standing s
    WHERE s.rival AND NOT s.same AND NOT s.newer AND reading.series = s.series
      AND reading.observed_at = s.observed_at AND reading.tableoid = s.part AND reading.ctid = s.place
"""
#: Bound: series, and their siblings.
_SUPERSEDE_SIBLINGS: LiteralString = whole_tables.supersede_siblings(
    "unnest(%s::int4[], %s::int4[]) AS b (series, sibling)"
)
_TAKEN: LiteralString = """
    CREATE TEMP TABLE taken ON COMMIT DROP AS
    SELECT DISTINCT series, observed_at FROM reading WHERE load = %s AND kind < 5 AND NOT superseded
"""
#: Of what the removed readings had corrected, the newest is the value again.
_COUNT_AGAIN: LiteralString = """
    UPDATE reading SET superseded = false FROM (
      SELECT DISTINCT ON (series, observed_at) series, observed_at, r.tableoid AS part, r.ctid AS place
      FROM reading r JOIN taken USING (series, observed_at) WHERE r.kind < 5
      ORDER BY series, observed_at, r.recorded_at DESC, r.sequence DESC
    ) AS again
    WHERE reading.series = again.series AND reading.observed_at = again.observed_at AND reading.superseded
      AND reading.tableoid = again.part AND reading.ctid = again.place
"""
_EMPTY: LiteralString = """
    SELECT DISTINCT series FROM taken
    WHERE NOT EXISTS (SELECT FROM reading WHERE reading.series = taken.series)
"""
_ADD_CREATED: LiteralString = "INSERT INTO load_entity SELECT %s, unnest(%s::text[])"


class PostgresLoads(WholeTables):
    """The part of the history that takes whole tables (`LoadStore`)."""

    _writer: Line
    _directory: SeriesDirectory
    _writing: threading.RLock
    _exports: Path
    _months: Months
    _believe_the_database: Callable[[], None]
    _stored: Callable[[], AbstractContextManager[Connection]]
    _question: Callable[[], AbstractContextManager[Connection]]
    _create_series: Callable[[Connection, list[Series]], None]
    _hold: Callable[[Connection], None]
    _number_series: Callable[[int], None]

    def loads(self) -> list[LoadRecord]:
        return [record_of(said) for (said,) in self._writer.rows(whole_tables.RECORDS)]

    def find_load(self, identifier: str) -> LoadRecord | None:
        found = self._writer.row(whole_tables.FIND, (identifier,))
        return None if found is None else record_of(found[0])

    def keep_load(self, record: LoadRecord) -> LoadRecord:
        with self._writing, self._stored() as connection:
            connection.execute(history_statements.HOLD)
            there = _find(connection, record.id)
            last = connection.execute(whole_tables.LAST_NUMBER).fetchone()
            kept = load_planning.kept_as(record, there, int((last or (0,))[0]))
            _keep(connection, kept)
        return kept

    def add_created(self, number: int, entity_ids: Sequence[str]) -> None:
        with self._writing, self._stored() as connection:
            connection.execute(_ADD_CREATED, (number, list(entity_ids)))

    def created(self, number: int) -> list[str]:
        return [str(one) for (one,) in self._writer.rows(whole_tables.CREATED, (number,))]

    def bring(self, portion: Portion) -> Brought:
        with self._writing:
            self._believe_the_database()
            self._number_series(len(portion.series))
            created, numbers = load_planning.resolve(self._directory, portion.series)
            found = _read(self._exports / Path(portion.file).name, numbers)
            self._months.make([found["observed_at"]])
            with self._stored() as connection:
                self._hold(connection)
                record = _find(connection, portion.load)
                if record is None:
                    raise NotFound("There is no such load", hint="Begin it first.", where=portion.load)
                if record.rows != portion.first:
                    return whole_tables.NOTHING
                self._create_series(connection, created)
                brought, newest = self._insert(connection, record, found, created, numbers)
                _keep(connection, load_planning.advanced(record, portion, brought))
            self._directory.apply_brought(created, newest)
        return brought

    def brought(self, number: int) -> Integers:
        return np.array(
            [one for (one,) in self._writer.rows(whole_tables.SERIES_OF_LOAD, (number,))], np.int64
        )

    def take_out(self, number: int) -> int:
        with self._writing:
            self._believe_the_database()
            with self._stored() as connection:
                self._hold(connection)
                rows = connection.execute(whole_tables.SERIES_OF_LOAD, (number,)).fetchall()
                connection.execute(_TAKEN, (number,))
                gone = connection.execute(whole_tables.TAKE_OUT, (number,)).rowcount
                connection.execute(_COUNT_AGAIN)
                empty = [int(one) for (one,) in connection.execute(_EMPTY).fetchall()]
                connection.execute(history_statements.FORGET_SERIES, (empty,))
                tell(connection, [], empty)
            series = np.array([one for (one,) in rows], np.int64)
            self._directory.forget(empty)
            self._directory.unmeet(int(one) for one in series)
        return gone

    def _write_whole(self, series: Integers, since: int, until: int, path: Path, format_name: str) -> int:
        with self._question() as connection:
            return write_whole(connection, series, since, until, path, format_name)

    def _insert(
        self,
        connection: Connection,
        record: LoadRecord,
        found: dict[str, Any],
        created: list[Series],
        numbers: list[int],
    ) -> tuple[Brought, dict[int, Newest | None]]:
        connection.execute(_PORTION)
        copy_readings(connection, found, "portion")
        connection.execute("ANALYZE portion")
        span = connection.execute(_SPAN).fetchall()
        firsts = {int(series): int(first) for series, first, *_ in span}
        late = load_planning.late(self._directory, firsts, created)
        if late:
            connection.execute(_COMPARE, (late, min(firsts[number] for number in late)))
        else:
            connection.execute(_NO_STANDING)
        kept = connection.execute(_INSERT, (record.number,)).rowcount
        known, corrected = connection.execute(whole_tables.TALLY).fetchone() or (0, 0)
        connection.execute(_GIVE_WAY)
        siblings = load_planning.siblings(self._directory, created, numbers)
        if siblings is not None:
            connection.execute(_SUPERSEDE_SIBLINGS, tuple(one.tolist() for one in siblings))
        return Brought(kept, int(known), int(corrected)), dict(_newest(span))


def _read(file: Path, numbers: Sequence[int]) -> dict[str, Any]:
    """The columns of a portion, as those of `READING`."""
    with duckdb.connect(":memory:", config={"threads": 1}) as reader:
        found = reader.execute(
            "SELECT *, 0::BIGINT AS sequence, NULL::INTEGER AS load FROM read_parquet(?)", [str(file)]
        ).fetchnumpy()
    found["series"] = np.array(numbers, np.int32)[np.asarray(found["place"])]
    return {name: found[name] for name in READING.split(", ")}


def _newest(span: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, Newest | None]]:
    """The last reading of each series; None where it is to be looked up."""
    for series, _, last, kind, number, odd in span:
        yield int(series), None if odd else (int(last), int(kind), float(number))


def _find(connection: Connection, identifier: str) -> LoadRecord | None:
    found = connection.execute(whole_tables.FIND, (identifier,)).fetchone()
    return None if found is None else record_of(found[0])


def _keep(connection: Connection, record: LoadRecord) -> None:
    connection.execute(
        "INSERT INTO load VALUES (%s, %s, %s) ON CONFLICT (id) DO UPDATE"
        " SET number = excluded.number, said = excluded.said",
        row_of(record),
    )
