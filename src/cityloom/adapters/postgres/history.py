"""HistoryStore in PostgreSQL.

A reading is a row, and how far the feed is remembered stands in the same transaction: exactly once. The table
is spread by series and parted by months; one index, series and instant, finds what is asked for. Numbers go
and come as binary COPY, straight from and into columns.

In doubt. When the connection is lost while a batch commits, nobody knows whether it is stored. The batch then
comes again: it waits for a commit that is still under way, and what was stored is passed over.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import LifoQueue
from typing import Any

import numpy as np
import psycopg

from cityloom.adapters.postgres import history_columns as columns
from cityloom.adapters.postgres import history_statements as statements
from cityloom.adapters.postgres.connection import Connection, InDoubt, Line
from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.history_export import write_export
from cityloom.adapters.postgres.history_loads import PostgresLoads
from cityloom.adapters.postgres.history_months import Months
from cityloom.adapters.sql.reading_columns import Columns, number_columns, past_columns
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
from cityloom.history.newest import Newest, said
from cityloom.history.planning import Plan
from cityloom.history.portions import AskedInPortions
from cityloom.history.ports import COUNTS
from cityloom.kernel.errors import BadInput, NotReady

MIGRATIONS = statements.MIGRATIONS

#: Questions that are worked on at the same time.
_READERS = 3
#: A question over years may take longer than any write.
_QUESTION_PATIENCE_MS = 300_000
#: Series that come from the server at a time.
_SERIES_AT_ONCE = 50_000


class PostgresHistory(PostgresLoads, AskedInPortions):
    """One writer at a time, readers beside it."""

    formats = frozenset({"csv", "parquet"})

    def __init__(self, database: Database, exports: Path) -> None:
        exports.mkdir(parents=True, exist_ok=True)
        self._exports = exports.resolve()
        self._remove_leftovers()
        self._database = database
        self._writer = database.line("history", made=_for_writing)
        self._readers = [
            database.line(f"history, reading {number}", made=_for_questions)
            for number in range(1, _READERS + 1)
        ]
        self._free: LifoQueue[Line] = LifoQueue()
        for line in self._readers:
            self._free.put(line)
        self._asking: set[Connection] = set()
        self._writing = threading.RLock()
        #: Whether what is held in memory may not be what is stored.
        self._in_doubt = False
        self._months = Months(self._writer)
        self._read_series()

    def last_sequence(self) -> int:
        found = self._writer.row(statements.LAST_SEQUENCE)
        assert found is not None, "the row is made with its table"
        return int(found[0])

    def record(self, batch: ReadingBatch, through: int) -> None:
        with self._writing:
            self._believe_the_database()
            last = self.last_sequence()
            if through <= last:
                return
            plan = self._directory.plan([news for news in batch if news.sequence > last])
            self._months.make(_instants(plan))
            with self._stored() as connection:
                if connection.execute(statements.ADVANCE, (through, last)).rowcount != 1:
                    self._in_doubt = True
                    raise NotReady("History was stored meanwhile", hint="It is tried again.")
                self._write_plan(connection, plan)
            self._directory.apply(plan)

    def load(self, past: Sequence[PastColumn]) -> int:
        with self._writing:
            self._believe_the_database()
            planned = self._directory.plan_past(past)
            if not planned:
                return 0
            found = past_columns(planned)
            self._months.make([found["observed_at"]])
            with self._stored() as connection:
                connection.execute(statements.HOLD)
                self._create_series(connection, [one for one, _ in planned])
                _copy_numbers(connection, found)
            self._directory.apply_past(planned)
            return len(found["series"])

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

    def entities(self, tenant: str) -> list[str]:
        return self._directory.entities(tenant)

    def raw(self, window: Window) -> Readings:
        with self._question() as connection:
            return _raw(connection, window)

    def aggregate(
        self, window: Window, edges: Integers, methods: Sequence[str], *, pooled: bool = False
    ) -> dict[str, Floats]:
        shape = (1 if pooled else len(window.series), len(edges) - 1)
        result = {name: np.full(shape, 0.0 if name in COUNTS else np.nan) for name in methods}
        statement = statements.aggregate(window, edges, methods, pooled=pooled)
        with self._question() as connection:
            sent = _copied(connection, statement, statements.bound(window))
        found = columns.table(sent, columns.cells_layout(len(methods)))
        row, bucket = columns.whole(found["row"]), columns.whole(found["bucket"])
        for number, name in enumerate(methods):
            result[name][row, bucket] = found[f"method{number}"]
        return result

    def extent(self, window: Window) -> tuple[int, int] | None:
        times = 2 if window.last_n is None else 1
        with self._question() as connection:
            found = connection.execute(
                statements.extent(window).encode(), statements.bound(window, times) or None
            ).fetchone()
        return None if found is None or found[0] is None else (int(found[0]), int(found[1]))

    def statistics(self, series: Integers) -> list[Statistics]:
        with self._question() as connection:
            found = connection.execute(statements.statistics(series).encode()).fetchall()
        return [Statistics(*map(int, row)) for row in found]

    def export(self, window: Window, format_name: str) -> Path:
        if format_name not in self.formats:
            raise BadInput(
                f"{format_name!r} is not a format of export", hint="Ask for csv or parquet.", where="format"
            )
        path = self._exports / f"{uuid.uuid4().hex}.{format_name}"
        try:
            with self._question() as connection:
                write_export(connection, window, path, format_name)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def forget(self, series: Integers) -> int:
        with self._writing:
            self._believe_the_database()
            with self._stored() as connection:
                gone = _forget(connection, series)
            self._directory.forget(int(number) for number in series)
        return gone

    def settle(self, before: int) -> int:  # noqa: ARG002 - the port's
        return 0  # they are kept by series

    def interrupt_reading(self) -> None:
        """End the questions that are worked on: nobody waits for them any more."""
        for connection in list(self._asking):
            connection.cancel()

    def close(self) -> None:
        with self._writing:
            for line in (self._writer, *self._readers):
                line.close()
        self._remove_leftovers()

    # Writing

    @contextmanager
    def _stored(self) -> Iterator[Connection]:
        """A transaction; when its end is not known, what is held in memory is read again before the next."""
        try:
            with self._writer.transaction() as connection:
                yield connection
        except InDoubt:
            self._in_doubt = True
            raise

    def _believe_the_database(self) -> None:
        """After a transaction that failed: it may be stored, and one that is cut off may still end."""
        if not self._in_doubt:
            return
        with self._writer.transaction() as connection:
            connection.execute(statements.HOLD)
        self._months = Months(self._writer)
        self._read_series()
        self._in_doubt = False

    def _write_plan(self, connection: Connection, plan: Plan) -> None:
        if plan.created:
            self._create_series(connection, list(plan.created.values()))
        if plan.changed:
            moved = list(plan.changed.values())
            connection.execute(
                statements.MOVE_SERIES,
                (
                    [one.id for one in moved],
                    [columns.without_nul(" ".join(one.types)) for one in moved],
                    [int(one.information_class) for one in moved],
                    [one.retired for one in moved],
                ),
            )
        if plan.numbers:
            _copy_numbers(connection, number_columns(plan.numbers))
        if plan.rows:
            with connection.cursor() as cursor, cursor.copy(statements.COPY_ROWS) as copy:
                copy.set_types(statements.ROW_TYPES)
                for row in plan.rows:
                    copy.write_row(columns.row_values(row))
        if plan.late:
            instants = [at for _, at, _ in plan.late]
            connection.execute(statements.SUPERSEDE, (*_apart(plan.late), min(instants), max(instants)))
        if plan.erased:
            connection.execute(statements.ERASE, _apart(plan.erased))
        if plan.forgotten:
            _forget(connection, np.array(sorted(plan.forgotten), np.int64))

    def _create_series(self, connection: Connection, series: list[Series]) -> None:
        with connection.cursor() as cursor, cursor.copy(statements.COPY_SERIES) as copy:
            copy.set_types(statements.SERIES_TYPES)
            for one in series:
                copy.write_row(columns.series_values(one))

    # Reading

    @contextmanager
    def _question(self) -> Iterator[Connection]:
        """A connection for one question that `interrupt_reading` may end. Raises NotReady, BadInput."""
        line = self._free.get()
        try:
            with line.held() as connection:
                self._asking.add(connection)
                try:
                    yield connection
                except psycopg.errors.QueryCanceled as error:
                    raise NotReady(
                        "The question was ended: the city is stopping, or it took too long",
                        hint="Ask for a shorter time or fewer series.",
                    ) from error
                except psycopg.errors.NumericValueOutOfRange as error:
                    raise BadInput(
                        "The numbers of this series are too great to be worked with",
                        hint="Ask for the readings themselves.",
                    ) from error
                finally:
                    self._asking.discard(connection)
        finally:
            self._free.put(line)

    def _newest_of(self, series: list[int], _ahead: list[int]) -> dict[int, Newest]:
        # A part of writing, which goes on to its end. Each series is found by an index: none is met ahead.
        with self._writer.held() as connection:
            found = _raw(connection, Window(np.array(series, np.int64), last_n=1, marks="with"))
        return {
            number: (int(found.at[row]), *said(*columns.plain_value(found, row)))
            for row, number in enumerate(found.series.tolist())
        }

    def _read_series(self) -> None:
        """Hold in memory what the database says of its series."""
        directory = SeriesDirectory(self._newest_of)
        known = columns.KnownSeries()
        with (
            self._writer.transaction() as connection,
            connection.cursor(name="series", binary=True) as cursor,
        ):
            cursor.execute(statements.ALL_SERIES)
            while rows := cursor.fetchmany(_SERIES_AT_ONCE):
                directory.load(known.columns(rows))
        self._directory = directory

    def _remove_leftovers(self) -> None:
        """Exports that nobody came for."""
        for path in self._exports.iterdir():
            if path.is_file() and path.suffix in (".csv", ".parquet", ".json"):
                path.unlink()


def _for_writing(connection: Connection) -> None:
    connection.execute("SELECT set_config('jit', 'off', false)")


def _for_questions(connection: Connection) -> None:
    connection.execute(
        # What is asked for is told with each question: a plan for any would look at every month.
        "SELECT set_config('jit', 'off', false), set_config('plan_cache_mode', 'force_custom_plan', false),"
        " set_config('statement_timeout', %s, false),"
        " set_config('default_transaction_read_only', 'on', false)",
        (str(_QUESTION_PATIENCE_MS),),
    )


def _instants(plan: Plan) -> Iterator[Integers]:
    yield np.array([row[1] for row in plan.numbers], np.int64)
    yield np.array([row.at for row in plan.rows], np.int64)


def _copied(connection: Connection, statement: str, values: Sequence[Any]) -> list[bytes]:
    """What a query gives, as messages of binary COPY."""
    copying = f"COPY ({statement}) TO STDOUT (FORMAT binary)".encode()
    with connection.cursor() as cursor, cursor.copy(copying, values or None) as copy:
        return [bytes(message) for message in copy]


def _raw(connection: Connection, window: Window) -> Readings:
    return columns.readings(_copied(connection, statements.raw(window), statements.bound(window)))


def _copy_numbers(connection: Connection, found: Columns) -> None:
    with connection.cursor() as cursor, cursor.copy(statements.COPY_NUMBERS) as copy:
        copy.write(columns.number_copy(found))


def _forget(connection: Connection, series: Integers) -> int:
    """Remove series with their readings; returns how many readings went."""
    wanted = series.tolist()
    gone = connection.execute(statements.FORGET_READINGS, (wanted,)).rowcount
    connection.execute(statements.FORGET_SERIES, (wanted,))
    return gone


def _apart(rows: Sequence[tuple[int, int, int]]) -> tuple[list[int], list[int], list[int]]:
    series, at, sequence = zip(*rows, strict=True)
    return list(series), list(at), list(sequence)
