"""HistoryStore in a DuckDB file.

Readings lie in the order of their arrival, eight columns without an index; a time range is found by the
minimum and maximum that DuckDB keeps of each row group. A reading that a later one corrects is marked at the
time of writing, so that no query has to look for the newest of several.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from cityloom.adapters.duckdb import statements
from cityloom.history.directory import Newest, Plan, Row, SeriesDirectory
from cityloom.history.model import (
    Floats,
    Integers,
    PastColumn,
    ReadingBatch,
    Readings,
    Series,
    SeriesKey,
    Statistics,
    ValueKind,
    Window,
)
from cityloom.history.ports import COUNTS
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadConfig, BadInput, NotReady, StorageFull
from cityloom.kernel.time import now_millis


class DuckHistory:
    """One file, one writer at a time, readers beside it with cursors of their own.

    DuckDB may read and write nothing but its file and the exports folder, and cannot be told otherwise
    while it runs. `memory_limit` is DuckDB's own ("256MB").
    """

    formats = frozenset({"csv", "parquet"})

    def __init__(self, file: Path, exports: Path, *, memory_limit: str = "256MB", threads: int = 2) -> None:
        exports.mkdir(parents=True, exist_ok=True)
        self._exports = exports.resolve()
        self._remove_leftovers()
        self._connection = _open(file, self._exports, memory_limit, threads)
        self._writing = threading.Lock()
        self._prepare(file)
        self._directory = SeriesDirectory(self._load_series(), self._newest_of)

    def last_sequence(self) -> int:
        with self._reader() as cursor:
            return int(_one(cursor.execute("SELECT last_sequence FROM progress"))[0])

    def record(self, batch: ReadingBatch, through: int) -> None:
        with self._writing:
            last = self.last_sequence()
            if through <= last:
                return
            plan = self._directory.plan([news for news in batch if news.sequence > last])
            with self._transaction() as cursor:
                self._write_plan(cursor, plan)
                self._write_progress(cursor, through)
            self._directory.apply(plan)

    def load(self, columns: Sequence[PastColumn]) -> int:
        with self._writing:
            planned = self._directory.plan_past(columns)
            if not planned:
                return 0
            with self._transaction() as cursor:
                cursor.register("fresh", _series_columns([one for one, _ in planned]))
                cursor.execute("INSERT INTO series SELECT * FROM fresh")
                cursor.register("numbers", _past_columns(planned))
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

    def raw(self, window: Window) -> Readings:
        with self._reader() as cursor:
            cursor.register("wanted", {"series": window.series})
            found = cursor.execute(statements.raw(window), statements.bounds(window)).fetchnumpy()
        return Readings(
            series=_filled(found["series"]).astype(np.int64),
            at=_filled(found["observed_at"]).astype(np.int64),
            kind=_filled(found["kind"]).astype(np.uint8),
            number=_numbers(found["number"]),
            text=_texts(found["text"]),
            sequence=_filled(found["sequence"]).astype(np.int64),
            recorded_at=_filled(found["recorded_at"]).astype(np.int64),
            observed=_filled(found["observed"]).astype(np.bool_),
        )

    def aggregate(
        self, window: Window, edges: Integers, methods: Sequence[str], *, pooled: bool = False
    ) -> dict[str, Floats]:
        rows = np.zeros(len(window.series), np.int64) if pooled else np.arange(len(window.series))
        shape = (1 if pooled else len(rows), len(edges) - 1)
        result = {name: np.full(shape, 0.0 if name in COUNTS else np.nan) for name in methods}
        with self._reader() as cursor:
            cursor.register("wanted", {"series": window.series, "row": rows})
            cursor.register("edges", {"edge": edges[:-1], "bucket": np.arange(len(edges) - 1)})
            found = cursor.execute(
                statements.aggregate(window, edges, methods), statements.bounds(window)
            ).fetchnumpy()
        place = (_filled(found["row"]).astype(np.int64), _filled(found["bucket"]).astype(np.int64))
        for name in methods:
            result[name][place] = _numbers(found[name])
        return result

    def statistics(self, series: Integers) -> list[Statistics]:
        with self._reader() as cursor:
            cursor.register("wanted", {"series": series})
            return [Statistics(*map(int, row)) for row in cursor.execute(statements.STATISTICS).fetchall()]

    def export(self, window: Window, format_name: str) -> Path:
        if format_name not in self.formats:
            raise BadInput(
                f"{format_name!r} is not a format of export", hint="Ask for csv or parquet.", where="format"
            )
        path = self._exports / f"{uuid.uuid4().hex}.{format_name}"
        with self._reader() as cursor:
            cursor.register("wanted", {"series": window.series})
            cursor.execute(statements.export(window, path, format_name), statements.bounds(window))
        return path

    def forget(self, series: Integers) -> int:
        with self._writing, self._transaction() as cursor:
            cursor.register("wanted", {"series": series})
            gone = _one(cursor.execute("DELETE FROM reading WHERE series IN (SELECT series FROM wanted)"))
            cursor.execute("DELETE FROM series WHERE id IN (SELECT series FROM wanted)")
        self._directory.forget(int(number) for number in series)
        return int(gone[0])

    def close(self) -> None:
        with self._writing:
            self._connection.close()
        self._remove_leftovers()

    # Writing

    def _write_plan(self, cursor: duckdb.DuckDBPyConnection, plan: Plan) -> None:
        if plan.created:
            cursor.register("fresh", _series_columns(list(plan.created.values())))
            cursor.execute("INSERT INTO series SELECT * FROM fresh")
        if plan.changed:
            cursor.register("moved", _series_columns(list(plan.changed.values())))
            cursor.execute(statements.UPDATE_SERIES)
        # Apart, since a column of texts may hold no None when DuckDB reads it from numpy.
        if numbers := [row for row in plan.rows if row.text is None]:
            cursor.register("numbers", _row_columns(numbers) | _number_column(numbers))
            cursor.execute(statements.INSERT_NUMBERS)
        if texts := [row for row in plan.rows if row.text is not None]:
            cursor.register("texts", _row_columns(texts) | {"text": _objects([row.text for row in texts])})
            cursor.execute(statements.INSERT_TEXTS)
        if plan.late:
            late = np.array(plan.late, np.int64)
            cursor.register("late", {"series": late[:, 0], "observed_at": late[:, 1], "sequence": late[:, 2]})
            cursor.execute(statements.SUPERSEDE, [int(late[:, 1].min()), int(late[:, 1].max())])

    def _write_progress(self, cursor: duckdb.DuckDBPyConnection, through: int) -> None:
        cursor.execute("UPDATE progress SET last_sequence = ?", [through])

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._reader() as cursor:
            cursor.begin()
            try:
                yield cursor
                cursor.commit()
            except BaseException:
                _roll_back(cursor)
                raise

    # Reading

    @contextmanager
    def _reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            with self._connection.cursor() as cursor:
                yield cursor
        except duckdb.OperationalError as error:
            raise _as_city_error(error) from error

    def _newest_of(self, series: list[int]) -> dict[int, Newest | None]:
        window = Window(np.array(series, np.int64), last_n=1)
        found = self.raw(window)
        newest: dict[int, Newest | None] = {}
        for row, number in enumerate(found.series.tolist()):
            text = found.text[row]
            value = None if text is not None else float(found.number[row])
            newest[number] = (int(found.at[row]), ValueKind(int(found.kind[row])), value, text)
        return newest

    def _load_series(self) -> list[Series]:
        with self._reader() as cursor:
            rows = cursor.execute("SELECT * FROM series ORDER BY id").fetchall()
        return [
            Series(
                id=row[0],
                key=SeriesKey(*row[1:7]),
                types=tuple(row[7].split()),
                information_class=InformationClass(row[8]),
                retired=row[9],
            )
            for row in rows
        ]

    def _prepare(self, file: Path) -> None:
        with self._reader() as cursor:
            for statement in statements.SCHEMA:
                cursor.execute(statement)
            version = _one(cursor.execute("SELECT schema_version FROM progress"))[0]
        if version != statements.SCHEMA_VERSION:
            raise BadConfig(
                f"{file} was written by another version of CityLoom (schema {version})",
                hint="Run the version that wrote it, or move the file away to begin a new history.",
                where=str(file),
            )

    def _remove_leftovers(self) -> None:
        """Exports that nobody came for."""
        for path in self._exports.iterdir():
            if path.is_file() and path.suffix in (".csv", ".parquet"):
                path.unlink()


def _open(file: Path, exports: Path, memory_limit: str, threads: int) -> duckdb.DuckDBPyConnection:
    try:
        connection = duckdb.connect(str(file), config={"memory_limit": memory_limit, "threads": threads})
    except duckdb.Error as error:
        raise BadConfig(
            f"The history cannot be opened: {error}",
            hint="Is another CityLoom running on this folder? Only one may write to a city.",
            where=str(file),
        ) from error
    folder = str(exports).replace("'", "''")
    for setting in (
        f"allowed_directories = ['{folder}']",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "python_enable_replacements = false",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")
    return connection


def _as_city_error(error: duckdb.OperationalError) -> NotReady | StorageFull:
    text = str(error)
    if "No space left" in text or "disk full" in text.lower():
        return StorageFull("The disk is full: no history was stored", hint="Make room; it goes on by itself.")
    return NotReady(f"History did not answer: {text.splitlines()[0]}", hint="It is tried again.")


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.rollback()
    except duckdb.Error:  # the transaction is gone already, with the connection or by its own failure
        return


def _one(result: duckdb.DuckDBPyConnection) -> tuple[Any, ...]:
    row = result.fetchone()
    assert row is not None, "the statement gives one row"
    return tuple(row)


def _series_columns(series: list[Series]) -> dict[str, np.ndarray[Any, Any]]:
    columns: dict[str, np.ndarray[Any, Any]] = {"id": np.array([one.id for one in series], np.int32)}
    for place, name in enumerate(SeriesKey._fields):
        columns[name] = _objects([one.key[place] for one in series])
    columns["types"] = _objects([" ".join(one.types) for one in series])
    columns["information_class"] = np.array([int(one.information_class) for one in series], np.uint8)
    columns["retired"] = np.array([one.retired for one in series], np.bool_)
    return columns


def _row_columns(rows: list[Row]) -> dict[str, np.ndarray[Any, Any]]:
    return {
        "series": np.array([row.series for row in rows], np.int32),
        "observed_at": np.array([row.at for row in rows], np.int64),
        "kind": np.array([row.kind for row in rows], np.uint8),
        "sequence": np.array([row.sequence for row in rows], np.int64),
        "recorded_at": np.array([row.recorded_at for row in rows], np.int64),
        "observed": np.array([row.observed for row in rows], np.bool_),
    }


def _past_columns(planned: Sequence[tuple[Series, PastColumn]]) -> dict[str, np.ndarray[Any, Any]]:
    lengths = [len(column.at) for _, column in planned]
    total = sum(lengths)
    return {
        "series": np.repeat(np.array([one.id for one, _ in planned], np.int32), lengths),
        "observed_at": np.concatenate([column.at for _, column in planned]),
        "kind": np.repeat(np.array([column.kind for _, column in planned], np.uint8), lengths),
        "number": np.concatenate([column.number for _, column in planned]),
        # Before every change of the feed, so that any of them corrects it.
        "sequence": np.zeros(total, np.int64),
        "recorded_at": np.full(total, now_millis(), np.int64),
        "observed": np.ones(total, np.bool_),
    }


def _number_column(rows: list[Row]) -> dict[str, np.ndarray[Any, Any]]:
    return {"number": np.array([row.number for row in rows], np.float64)}


def _objects(values: list[Any]) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _filled(column: Any) -> np.ndarray[Any, Any]:
    return np.asarray(column)


def _numbers(column: Any) -> Floats:
    return np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)


def _texts(column: Any) -> np.ndarray[Any, np.dtype[np.object_]]:
    values = np.ma.asarray(column)
    texts = np.asarray(values.data, object)
    mask = np.ma.getmaskarray(values)
    if mask.any():
        texts = texts.copy()
        texts[mask] = None
    return texts
