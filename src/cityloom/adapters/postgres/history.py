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

import numpy as np
import psycopg

from cityloom.adapters.postgres import history_columns as columns
from cityloom.adapters.postgres import history_shared as shared
from cityloom.adapters.postgres import history_statements as statements
from cityloom.adapters.postgres import retention_statements
from cityloom.adapters.postgres.connection import Connection, InDoubt, Line
from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.history_export import write_export
from cityloom.adapters.postgres.history_loads import PostgresLoads
from cityloom.adapters.postgres.history_months import Months
from cityloom.adapters.postgres.history_pools import PostgresPools
from cityloom.adapters.postgres.history_reading import copied, newest_of, raw
from cityloom.adapters.postgres.history_retention import PostgresRetention
from cityloom.adapters.postgres.history_series import StoredSeries, Trimming, tell
from cityloom.adapters.postgres.history_writing import (
    copy_numbers,
    create_series,
    forget_series,
    instants_of,
    write_plan,
)
from cityloom.adapters.postgres.membership import followers_of
from cityloom.adapters.sql.reading_columns import past_columns
from cityloom.context.parcels import partition_of
from cityloom.history.model import (
    EntityNews,
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
from cityloom.history.ports import COUNTS
from cityloom.history.shapes import GroupedSeries
from cityloom.kernel.errors import BadInput, NotReady

MIGRATIONS = statements.MIGRATIONS

#: Questions that are worked on at the same time.
_READERS = 3
#: A question over years may take longer than any write.
_QUESTION_PATIENCE_MS = 300_000


class PostgresHistory(PostgresLoads, PostgresRetention, PostgresPools):
    """One writer at a time, readers beside it."""

    formats = frozenset({"csv", "parquet"})

    def __init__(
        self, database: Database, exports: Path, *, parts: int = 0, known: StoredSeries | None = None
    ) -> None:
        """`parts`: in so many partitions other processes remember the feed; 0: this one does. `known`: the
        series as this process has followed them while it stood by."""
        exports.mkdir(parents=True, exist_ok=True)
        self._exports = exports.resolve()
        self._remove_leftovers()
        self._database = database
        self._archive = self._exports.with_name("archive")
        self._writer = database.line("history", made=_for_writing)
        self._keeper = database.line("history, keeping", made=_for_writing)
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
        self.parts = parts
        #: Where the partitions stand that were remembered further than all, when others did it.
        self._ahead: dict[int, int] = {}
        self._ahead_of = 0
        #: From where on news of series are looked for.
        self._horizon = ""
        self._share()
        self._trimming = Trimming(self._writer)
        self._read_series(known or StoredSeries())
        self._begin_archive()

    def cursors(self) -> dict[int, int]:
        """The sequence through which each partition is remembered by others."""
        return shared.cursors_of(self._writer)

    def followers(self) -> dict[str, int]:
        """How many processes follow each stage now."""
        return followers_of(self._writer)

    def learn(self, through: int) -> None:
        """Take in what others have stored, all partitions being remembered through this sequence."""
        with self._writing:
            self._believe_the_database()
            self._learn()
            with self._writer.transaction() as connection:
                connection.execute(shared.ADVANCE_ALL, (through, through))

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
            plan = self._directory.plan([news for news in batch if news.sequence > self._last_of(news, last)])
            self._months.make(instants_of(plan))
            with self._stored() as connection:
                if connection.execute(statements.ADVANCE, (through, last)).rowcount != 1:
                    self._in_doubt = True
                    raise NotReady("History was stored meanwhile", hint="It is tried again.")
                self._write_plan(connection, plan)
            self._directory.apply(plan)
            if plan.forgotten:
                self._try_to_write_owed()

    def load(self, past: Sequence[PastColumn]) -> int:
        with self._writing:
            self._believe_the_database()
            self._number_series(len(past))
            planned = self._directory.plan_past(past)
            if not planned:
                return 0
            found = past_columns(planned)
            self._months.make([found["observed_at"]])
            with self._stored() as connection:
                self._hold(connection)
                self._create_series(connection, [one for one, _ in planned])
                copy_numbers(connection, found)
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
        with self._question() as connection:
            return raw(connection, window)

    def aggregate(
        self, window: Window, edges: Integers, methods: Sequence[str], *, pooled: bool = False
    ) -> dict[str, Floats]:
        shape = (1 if pooled else len(window.series), len(edges) - 1)
        result = {name: np.full(shape, 0.0 if name in COUNTS else np.nan) for name in methods}
        by_another_time = window.by_recorded or window.by_created
        rolled = self._has_rollups and window.last_n is None and not by_another_time
        asking = retention_statements if rolled else statements
        statement = asking.aggregate(window, edges, methods, pooled=pooled)
        with self._question() as connection:
            sent = copied(connection, statement, statements.bound(window))
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
                self._hold(connection)
                gone = forget_series(connection, series)
                tell(connection, [], series.tolist())
            self._directory.forget(int(number) for number in series)
            self._write_owed()
        return gone

    def settle(self, before: int) -> int:  # noqa: ARG002 - the port's
        return 0  # they are kept by series

    def interrupt_reading(self) -> None:
        """End the questions that are worked on: nobody waits for them any more."""
        for connection in list(self._asking):
            connection.cancel()

    def close(self) -> None:
        with self._writing:
            for line in (self._writer, self._keeper, *self._readers):
                line.close()
        self._remove_leftovers()

    # Sharing

    def _share(self) -> None:
        """Have the feed remembered in partitions by others, or take what they did upon oneself again."""
        with self._writer.transaction() as connection:
            if self.parts:
                shared.begin_sharing(connection, self.parts)
            else:
                self._ahead_of, self._ahead = shared.end_sharing(connection)

    def _learn(self) -> None:
        news = shared.news_since(self._writer, self._horizon)
        self._directory.forget(news.forgotten)
        self._directory.learn(news.stored)
        if news.forgotten:
            self._try_to_write_owed()
        self._horizon = news.horizon
        self._trimming.trim()

    def _last_of(self, news: EntityNews, last: int) -> int:
        """How far the partition of some news is remembered, where that is further than all."""
        if not self._ahead:
            return last
        return max(last, self._ahead.get(self._partition_of(news, self._ahead_of), 0))

    def _partition_of(self, news: EntityNews, parts: int) -> int:
        return partition_of(news.entity_id, parts)

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
            if self.parts:
                self._learn()
            else:
                self._trimming.trim()
            return
        with self._writer.transaction() as connection:
            connection.execute(statements.HOLD)
        self._months = Months(self._writer)
        self._read_series(StoredSeries())
        self._in_doubt = False

    def _write_plan(self, connection: Connection, plan: Plan) -> None:
        write_plan(connection, plan)
        tell(connection, list(plan.changed), list(plan.forgotten))

    def _create_series(self, connection: Connection, series: list[Series]) -> None:
        create_series(connection, series)
        if self.parts:
            # Their ids may be smaller than others that are known already.
            tell(connection, [one.id for one in series], [])

    def _hold(self, connection: Connection) -> None:
        """Keep everybody else who remembers waiting until the transaction ends. Raises NotReady where series
        were stored that this process has not met."""
        connection.execute(statements.HOLD)
        if self.parts:
            connection.execute(shared.NEW_ERA)
            news = shared.news_since(self._writer, self._horizon)
            gone = self._directory.known(np.array(news.forgotten, np.int64))
            if gone or not all(self._directory.known_as(one) for one in news.stored):
                raise NotReady("History was stored meanwhile", hint="Try again.")

    def _number_series(self, most: int) -> None:
        """Have ids for so many new series."""
        if self.parts:
            self._directory.number_from(shared.reserve(self._writer, most).start)

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

    def _newest_of(self, series: list[int], _ahead: Integers) -> Readings:
        # A part of writing, which goes on to its end. Each series is found by an index: none is met ahead.
        with self._writer.held() as connection:
            return newest_of(connection, series)

    def _read_series(self, known: StoredSeries) -> None:
        """Hold in memory what the database says of its series."""
        known.follow(self._writer)
        known.directory.ask(self._newest_of)
        self._directory = known.directory
        self._horizon = known.horizon


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
