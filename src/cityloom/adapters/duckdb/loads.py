"""Whole tables of the past, brought into the history's DuckDB file and taken out again."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from cityloom.adapters.duckdb import columns, load_statements, whole_histories
from cityloom.adapters.duckdb.connection import DuckFile
from cityloom.adapters.duckdb.corrections import Corrections
from cityloom.adapters.sql import whole_tables
from cityloom.adapters.sql.whole_tables import WholeTables, record_of, row_of
from cityloom.history import load_planning
from cityloom.history.directory import SeriesDirectory
from cityloom.history.loads import Brought, LoadRecord, Portion
from cityloom.history.model import Integers, Series
from cityloom.history.newest import Newest
from cityloom.kernel.errors import NotFound

_FIND, _SERIES_OF_LOAD, _TAKE_OUT, _CREATED = (
    statement.replace("%s", "?")
    for statement in (
        whole_tables.FIND,
        whole_tables.SERIES_OF_LOAD,
        whole_tables.TAKE_OUT,
        whole_tables.CREATED,
    )
)


class DuckLoads(WholeTables):
    """The part of the history that takes whole tables (`LoadStore`)."""

    _file: DuckFile
    _directory: SeriesDirectory
    _writing: threading.Lock
    _corrections: Corrections
    _exports: Path

    def loads(self) -> list[LoadRecord]:
        with self._file.cursor() as cursor:
            found = cursor.execute(whole_tables.RECORDS).fetchall()
        return [record_of(said) for (said,) in found]

    def find_load(self, identifier: str) -> LoadRecord | None:
        with self._file.cursor() as cursor:
            return _find(cursor, identifier)

    def keep_load(self, record: LoadRecord) -> LoadRecord:
        with self._writing, self._file.transaction() as cursor:
            there = _find(cursor, record.id)
            last = cursor.execute(whole_tables.LAST_NUMBER).fetchone()
            kept = load_planning.kept_as(record, there, int((last or (0,))[0]))
            _keep(cursor, kept)
        return kept

    def add_created(self, number: int, entity_ids: Sequence[str]) -> None:
        with self._writing, self._file.transaction() as cursor:
            cursor.execute("INSERT INTO load_entity SELECT ?, unnest(?)", [number, list(entity_ids)])

    def created(self, number: int) -> list[str]:
        with self._file.cursor() as cursor:
            return [str(one) for (one,) in cursor.execute(_CREATED, [number]).fetchall()]

    def bring(self, portion: Portion) -> Brought:
        with self._writing:
            self._corrections.mark()
            with self._file.transaction() as cursor:
                record = _find(cursor, portion.load)
                if record is None:
                    raise NotFound("There is no such load", hint="Begin it first.", where=portion.load)
                if record.rows != portion.first:
                    return whole_tables.NOTHING
                created, numbers = load_planning.resolve(self._directory, portion.series)
                brought, newest = self._insert(cursor, record, portion, created, numbers)
                _keep(cursor, load_planning.advanced(record, portion, brought))
            self._directory.apply_brought(created, newest)
        return brought

    def brought(self, number: int) -> Integers:
        with self._file.cursor() as cursor:
            found = cursor.execute(_SERIES_OF_LOAD, [number]).fetchnumpy()
        return np.asarray(found["series"]).astype(np.int64)

    def take_out(self, number: int) -> int:
        with self._writing:
            self._corrections.mark()
            with self._file.transaction() as cursor:
                series = np.asarray(cursor.execute(_SERIES_OF_LOAD, [number]).fetchnumpy()["series"]).astype(
                    np.int64
                )
                cursor.execute(load_statements.REMEMBER_INSTANTS, [number])
                gone = cursor.execute(_TAKE_OUT, [number]).fetchone()
                cursor.execute(load_statements.LET_COUNT_AGAIN)
                empty = [int(one) for (one,) in cursor.execute(load_statements.EMPTY_SERIES).fetchall()]
                cursor.execute(load_statements.FORGET_EMPTY)
                cursor.execute("DROP TABLE taken")
            self._directory.forget(empty)
            self._directory.unmeet(int(one) for one in series)
        return int((gone or (0,))[0])

    def _write_whole(self, series: Integers, since: int, until: int, path: Path, format_name: str) -> int:
        with self._file.reading() as cursor:
            cursor.register("wanted", {"series": series})
            found = cursor.execute(whole_histories.export(path, format_name), [since, until]).fetchone()
        return int((found or (0,))[0])

    def _insert(
        self,
        cursor: duckdb.DuckDBPyConnection,
        record: LoadRecord,
        portion: Portion,
        created: list[Series],
        numbers: list[int],
    ) -> tuple[Brought, dict[int, Newest | None]]:
        if created:
            columns.lay_out(cursor, "fresh", *columns.series_columns(created))
            cursor.execute("INSERT INTO series BY NAME SELECT * FROM fresh")
        cursor.register(
            "places",
            {"place": np.arange(len(numbers), dtype=np.int32), "series": np.array(numbers, np.int32)},
        )
        file = str(self._exports / Path(portion.file).name)
        cursor.execute(load_statements.PORTION, [file])
        span = cursor.execute(load_statements.SPAN).fetchall()
        firsts = {numbers[place]: int(first) for place, first, *_ in span}
        found = self._compared(cursor, firsts, created)
        insert = whole_tables.insert("progress", compared=found).replace("%s", "?")
        (kept,) = cursor.execute(insert, [record.number]).fetchone() or (0,)
        known, corrected = (0, 0)
        if found:
            known, corrected = cursor.execute(whole_tables.TALLY).fetchone() or (0, 0)
            cursor.execute(load_statements.GIVE_WAY)
        siblings = load_planning.siblings(self._directory, created, numbers)
        if siblings:
            cursor.register("siblings", {"series": siblings[0], "sibling": siblings[1]})
            cursor.execute(load_statements.SUPERSEDE_SIBLINGS)
        cursor.execute("DROP TABLE portion")
        return Brought(int(kept), int(known), int(corrected)), dict(_newest(numbers, span))

    def _compared(
        self, cursor: duckdb.DuckDBPyConnection, firsts: dict[int, int], created: Iterable[Series]
    ) -> bool:
        """Lay what is there already beside the portion; False where all of it is newer than what is there."""
        late = load_planning.late(self._directory, firsts, created)
        if not late:
            return False
        cursor.register("late_series", {"series": np.array(late, np.int32)})
        cursor.execute(load_statements.COMPARE, [min(firsts[number] for number in late)])
        return True


def _newest(numbers: Sequence[int], span: Iterable[tuple[Any, ...]]) -> Iterable[tuple[int, Newest | None]]:
    """The last reading of each series; None where it is to be looked up."""
    for place, _, last, kind, number, odd in span:
        plain = None if odd else (int(last), int(kind), float(number))
        yield numbers[place], plain


def _find(cursor: duckdb.DuckDBPyConnection, identifier: str) -> LoadRecord | None:
    found = cursor.execute(_FIND, [identifier]).fetchone()
    return None if found is None else record_of(found[0])


def _keep(cursor: duckdb.DuckDBPyConnection, record: LoadRecord) -> None:
    cursor.execute("DELETE FROM load WHERE id = ?", [record.id])
    cursor.execute("INSERT INTO load VALUES (?, ?, ?)", row_of(record))
