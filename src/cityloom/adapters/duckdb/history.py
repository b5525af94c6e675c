"""HistoryStore in a DuckDB file.

Readings lie in the order of their arrival, without an index, and those of days that are over in the order of
questions (`settling`); a time range or a series is found by the minimum and maximum that DuckDB keeps of each
row group. A reading that a later one corrects is marked at the
time of writing, so that no query has to look for the newest of several.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from cityloom.adapters.duckdb import columns, pools, settling, statements
from cityloom.adapters.duckdb.connection import DuckFile
from cityloom.adapters.duckdb.corrections import Corrections
from cityloom.adapters.duckdb.loads import DuckLoads
from cityloom.adapters.duckdb.newest_rows import newest_rows
from cityloom.adapters.duckdb.retention import DuckRetention
from cityloom.adapters.sql.reading_columns import number_columns, past_columns
from cityloom.history.directory import SeriesDirectory
from cityloom.history.model import (
    Floats,
    Integers,
    PastColumn,
    ReadingBatch,
    Readings,
    Series,
    Statistics,
    Window,
)
from cityloom.history.planning import Plan
from cityloom.history.pools import CellSummary, Held, Holding, Pool, Presence
from cityloom.history.ports import COUNTS
from cityloom.history.shapes import GroupedSeries
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadConfig, BadInput

#: Series that are read at once.
_SERIES_AT_ONCE = 122_880


class DuckHistory(DuckLoads, DuckRetention):
    """One file, one writer at a time, readers beside it with cursors of their own.

    DuckDB may read and write nothing but its file and the exports folder, and cannot be told otherwise
    while it runs. `memory_limit` is DuckDB's own ("256MB").
    """

    formats = frozenset({"csv", "parquet"})

    def __init__(self, file: Path, exports: Path, *, memory_limit: str = "256MB", threads: int = 2) -> None:
        exports.mkdir(parents=True, exist_ok=True)
        self._exports = exports.resolve()
        self._remove_leftovers()
        self._archive = file.resolve().with_name("archive")
        self._file = DuckFile(file, self._exports, self._archive, memory_limit=memory_limit, threads=threads)
        self._file.when_opened_again(self._read_series)
        self._writing = threading.Lock()
        self._corrections = Corrections(self._file, self._writing)
        self._file.when_read(self._corrections.begin_reading)
        self._prepare(file)
        self._settle_archive()
        self._read_series()

    def last_sequence(self) -> int:
        with self._file.cursor() as cursor:
            return int(_one(cursor.execute("SELECT last_sequence FROM progress"))[0])

    def record(self, batch: ReadingBatch, through: int) -> None:
        with self._writing:
            last = self.last_sequence()
            if through <= last:
                return
            plan = self._directory.plan([news for news in batch if news.sequence > last])
            with self._archive_settled(), self._file.transaction() as cursor:
                self._write_plan(cursor, plan)
                self._write_progress(cursor, through)
            self._directory.apply(plan)

    def load(self, past: Sequence[PastColumn]) -> int:
        with self._writing:
            planned = self._directory.plan_past(past)
            if not planned:
                return 0
            with self._file.transaction() as cursor:
                self._create_series(cursor, [one for one, _ in planned])
                cursor.register("numbers", past_columns(planned))
                cursor.execute(statements.INSERT_NUMBERS)
            self._directory.apply_past(planned)
            return sum(len(column.at) for _, column in planned)

    def series(
        self,
        tenant: str,
        *,
        entity_ids: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        attributes: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
    ) -> list[Series]:
        return self._directory.select(
            tenant, entity_ids=entity_ids, types=types, attributes=attributes, datasets=datasets
        )

    def grouped(
        self,
        tenant: str,
        *,
        entity_ids: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        attributes: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
    ) -> GroupedSeries:
        return self._directory.grouped(
            tenant, entity_ids=entity_ids, types=types, attributes=attributes, datasets=datasets
        )

    def entities(self, tenant: str) -> list[str]:
        return self._directory.entities(tenant)

    def raw(self, window: Window) -> Readings:
        with self._file.reading() as cursor:
            return _raw(cursor, window)

    def aggregate(
        self, window: Window, edges: Integers, methods: Sequence[str], *, pooled: bool = False
    ) -> dict[str, Floats]:
        rows = np.zeros(len(window.series), np.int64) if pooled else np.arange(len(window.series))
        shape = (1 if pooled else len(rows), len(edges) - 1)
        result = {name: np.full(shape, 0.0 if name in COUNTS else np.nan) for name in methods}
        by_another_time = window.by_recorded or window.by_created
        rolled = self._has_rollups and window.last_n is None and not by_another_time
        with self._file.reading() as cursor:
            cursor.register("wanted", {"series": window.series, "row": rows})
            cursor.register("edges", {"edge": edges[:-1], "bucket": np.arange(len(edges) - 1)})
            found = cursor.execute(
                statements.aggregate(window, edges, methods, rolled=rolled), statements.bounds(window)
            ).fetchnumpy()
        row, bucket = columns.cells(found)
        for name in methods:
            result[name][row, bucket] = columns.numbers(found[name])
        return result

    def cells(
        self,
        pool: Pool,
        edges: Integers,
        *,
        chosen: NDArray[np.bool_] | None = None,
        above: float | None = None,
        medians: bool = False,
    ) -> CellSummary:
        with self._file.reading() as cursor:
            return pools.cells(cursor, pool, edges, chosen, above, medians=medians, rolled=self._has_rollups)

    def held(self, pool: Pool, holding: Holding) -> Held:
        with self._file.reading() as cursor:
            files = self._archive_of(cursor, pool.window)
            return pools.held(cursor, pool, holding, files)

    def presence(self, pool: Pool, edges: Integers) -> Presence:
        with self._file.reading() as cursor:
            return pools.presence(cursor, pool, edges, rolled=self._has_rollups)

    def time_weighted(
        self, series: Integers, edges: Integers, *, since: int, hold: int | None, pooled: bool = False
    ) -> tuple[Floats, Floats]:
        with self._file.reading() as cursor:
            files = self._archive_of(cursor, Window(series, since, int(edges[-1])))
            return pools.time_weighted(cursor, series, edges, since, hold, pooled=pooled, files=files)

    def extent(self, window: Window) -> tuple[int, int] | None:
        with self._file.reading() as cursor:
            cursor.register("wanted", {"series": window.series})
            found = _one(cursor.execute(statements.extent(window), statements.bounds(window)))
        return None if found[0] is None else (int(found[0]), int(found[1]))

    def statistics(self, series: Integers) -> list[Statistics]:
        with self._file.reading() as cursor:
            cursor.register("wanted", {"series": series})
            return [Statistics(*map(int, row)) for row in cursor.execute(statements.STATISTICS).fetchall()]

    def export(self, window: Window, format_name: str) -> Path:
        if format_name not in self.formats:
            raise BadInput(
                f"{format_name!r} is not a format of export", hint="Ask for csv or parquet.", where="format"
            )
        path = self._exports / f"{uuid.uuid4().hex}.{format_name}"
        try:
            with self._file.reading() as cursor:
                cursor.register("wanted", {"series": window.series})
                cursor.execute(statements.export(window, path, format_name), statements.bounds(window))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def forget(self, series: Integers) -> int:
        with self._writing, self._archive_settled(), self._file.transaction() as cursor:
            gone = _forget(cursor, series)
            self._forget_old(cursor, series)
        self._directory.forget(int(number) for number in series)
        return gone

    def settle(self, before: int) -> int:
        with self._writing:
            self._corrections.mark()
            with self._file.cursor() as cursor:
                one = settling.find(cursor, before)
            if one is None:
                return 0
            with self._file.transaction() as cursor:
                settling.move(cursor, one)
        return one.readings

    def interrupt_reading(self) -> None:
        """End the queries that run: nobody waits for them any more, and writing waits behind them."""
        self._file.interrupt_reading()

    def close(self) -> None:
        with self._writing:
            self._file.close()
        self._remove_leftovers()

    # Writing

    def _write_plan(self, cursor: duckdb.DuckDBPyConnection, plan: Plan) -> None:
        if plan.begun:
            runs = list(plan.begun.values())
            columns.lay_out(cursor, "begun", *columns.kind_columns(runs))
            source, values = columns.beside(cursor, *columns.run_columns(runs))
            cursor.execute(statements.begin_runs(source), values)
        if plan.added:
            self._create_series(cursor, list(plan.added.values()))
        if plan.changed:
            columns.lay_out(cursor, "moved", *columns.series_columns(list(plan.changed.values())))
            cursor.execute(statements.UPDATE_SERIES)
        if plan.numbers:
            cursor.register("numbers", number_columns(plan.numbers))
            cursor.execute(statements.INSERT_NUMBERS)
        if plan.rows:
            source, values = columns.beside(cursor, *columns.text_columns(plan.rows))
            cursor.execute(statements.insert_texts(source), values)
        if plan.late:
            self._corrections.note(cursor, plan.late)
        if plan.erased:
            cursor.register("erased", columns.erased_columns(plan.erased))
            cursor.execute(statements.ERASE)
        if plan.forgotten:
            forgotten = np.array(sorted(plan.forgotten), np.int64)
            _forget(cursor, forgotten)
            self._forget_old(cursor, forgotten)

    def _create_series(self, cursor: duckdb.DuckDBPyConnection, series: list[Series]) -> None:
        columns.lay_out(cursor, "fresh", *columns.series_columns(series))
        cursor.execute("INSERT INTO series BY NAME SELECT * FROM fresh")

    def _write_progress(self, cursor: duckdb.DuckDBPyConnection, through: int) -> None:
        cursor.execute("UPDATE progress SET last_sequence = ?", [through])

    # Reading

    def _newest_of(self, series: list[int], ahead: Integers) -> Readings:
        # A part of writing, which goes on to its end. Of those that stand at one instant the last one counts.
        window = Window(np.array(series, np.int64), last_n=1, marks="with")
        with self._file.cursor() as cursor:
            return newest_rows(window, _last_instant(cursor), partial(_read, cursor), ahead)

    def _read_series(self) -> None:
        """Hold in memory what the file says of its series."""
        with self._file.cursor() as cursor:
            self._has_rollups = bool(_one(cursor.execute("SELECT count(*) FROM hourly"))[0])
            directory = SeriesDirectory(self._newest_of)
            for statement in statements.COMMON_TABLES:
                cursor.execute(statement)
            kinds, rows = (cursor.execute(statement).fetchall() for statement in statements.COMMON_ROWS)
            standings = [(tuple(types.split()), InformationClass(secrecy)) for types, secrecy in rows]
            last = _one(cursor.execute("SELECT coalesce(max(id), 0) FROM series"))[0]
            for first in range(1, last + 1, _SERIES_AT_ONCE):
                cursor.execute(statements.KNOWN_SERIES, [first, first + _SERIES_AT_ONCE - 1])
                directory.load(columns.known_series(cursor.fetchnumpy(), kinds, standings))
        self._directory = directory

    def _prepare(self, file: Path) -> None:
        with self._file.transaction() as cursor:
            for statement in statements.SCHEMA:
                cursor.execute(statement)
            version = int(_one(cursor.execute("SELECT schema_version FROM progress"))[0])
        while version in range(1, statements.SCHEMA_VERSION):
            version += 1
            self._migrate(version)
        if version != statements.SCHEMA_VERSION:
            raise BadConfig(
                f"{file} was written by another version of CityLoom (schema {version})",
                hint="Run the version that wrote it, or move the file away to begin a new history.",
                where=str(file),
            )

    def _migrate(self, version: int) -> None:
        """From the version before: all of it or nothing, so that it may be cut off at any moment."""
        with self._file.transaction() as cursor:
            for statement in statements.MIGRATIONS[version]:
                cursor.execute(statement)
            cursor.execute("UPDATE progress SET schema_version = ?", [version])


def _raw(cursor: duckdb.DuckDBPyConnection, window: Window) -> Readings:
    by_another_time = window.by_recorded or window.by_created
    if window.last_n != 1 or by_another_time or window.by_time or window.limit is not None:
        return _read(cursor, window)
    return newest_rows(window, _last_instant(cursor), partial(_read, cursor))


def _last_instant(cursor: duckdb.DuckDBPyConnection) -> int | None:
    """Looked for after what is in order first: DuckDB reads all that it takes a maximum of."""
    (since,) = _one(cursor.execute("SELECT max(until) FROM settled"))
    for bound in (since, None):
        where = "" if bound is None else f" WHERE observed_at >= {int(bound)}"
        (found,) = _one(cursor.execute(f"SELECT max(observed_at) FROM reading{where}"))  # noqa: S608 - a number
        if found is not None:
            return int(found)
    return None


def _read(cursor: duckdb.DuckDBPyConnection, window: Window) -> Readings:
    cursor.register("wanted", {"series": window.series})
    return columns.readings(cursor.execute(statements.raw(window), statements.bounds(window)).fetchnumpy())


def _forget(cursor: duckdb.DuckDBPyConnection, series: Integers) -> int:
    """Remove series with their readings; returns how many readings went."""
    cursor.register("wanted", {"series": series})
    readings, *more = statements.FORGET
    gone = _one(cursor.execute(readings))
    for statement in more:
        cursor.execute(statement)
    return int(gone[0])


def _one(result: duckdb.DuckDBPyConnection) -> tuple[Any, ...]:
    row = result.fetchone()
    assert row is not None, "the statement gives one row"
    return tuple(row)
