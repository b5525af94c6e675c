"""Carries a village's tables into PostgreSQL, portion by portion; what was carried is passed over."""
# ruff: noqa: S608 - statements are put together from this package's own words alone

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cityloom.adapters.postgres import history_columns, history_statements, moving
from cityloom.adapters.postgres.connection import Connection, Line
from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.history_copy import READING, copy_readings, copy_rows
from cityloom.adapters.postgres.history_months import Months
from cityloom.app.move.tables import Row, Table
from cityloom.app.move.village import Village

#: Rows in one transaction.
_ROWS_AT_ONCE = 5_000
_READINGS_AT_ONCE = 122_880
#: `progress(label, done, total)`.
Progress = Callable[[str, int, int], None]

_SERIES: dict[str, str] = dict(
    zip(history_statements.SERIES_COLUMNS.split(", "), history_statements.SERIES_TYPES, strict=True)
)
ARCHIVED = Table(
    "archived",
    "files of the archive",
    "history",
    {"file": "text", "sha256": "text", "readings": "int8"},
    order="file",
)
#: The history's small tables, as those of the other files.
HISTORY_TABLES = (
    Table("series", "series", "history", _SERIES, key="id"),
    Table("load", "loaded tables", "history", {"id": "text", "number": "int4", "said": "text"}),
    Table("load_entity", "Entities of loaded tables", "history", {"number": "int4", "entity_id": "text"}),
    ARCHIVED,
)
#: As great as the readings were that it stands for.
HOURS = Table(
    "hourly",
    "hourly roll-ups",
    "history",
    {
        **{"series": "int4", "hour": "int8", "count": "int4", "numbers": "int4"},
        **dict.fromkeys(("mean", "sumsq", "min", "max", "last"), "float8"),
        "covered": "int2",
    },
)


class Carrier:
    """Writes into one schema through a connection of its own."""

    def __init__(self, village: Village, database: Database, progress: Progress) -> None:
        self._village = village
        self._database = database
        self._progress = progress
        self.line: Line = database.line("moving", made=_patiently)

    def carry(self, *, history_alone: bool = False) -> None:
        """All tables, then what each says of itself as a whole. Raises NotReady, StorageFull."""
        if not history_alone:
            for table in self._village.tables:
                self._carry(table, self._village.count(table), self._portions(table))
            self._set_heads()
        if self._village.history is not None:
            for table in HISTORY_TABLES:
                self._carry(table, self._village.remembers(table.name), self._remembered(table))
            self._carry_readings()
            self._carry_hours()
            self._set_remembered()

    def _portions(self, table: Table) -> Iterator[list[Row]]:
        """What is left of a table, as rows of the target."""
        if not table.key:
            yield [table.row(row) for row in self._village.rows(table)]
            return
        place = list(table.columns).index(table.key)
        there = moving.place_of(self._database, table.name)
        after = None if there is None else there[0]
        while rows := [table.row(row) for row in self._village.rows(table, after, _ROWS_AT_ONCE)]:
            yield rows
            after = rows[-1][place]

    def _remembered(self, table: Table) -> Iterator[list[Row]]:
        there = moving.place_of(self._database, table.name)
        columns = ", ".join(table.columns)
        if not table.key:
            yield self._village.asked(
                f"SELECT {columns} FROM {table.name} ORDER BY {table.order or 'number'}"
            )
            return
        after = 0 if there is None else there[0]
        statement = f"SELECT {columns} FROM {table.name} WHERE id > ? ORDER BY id LIMIT {_ROWS_AT_ONCE}"
        while rows := self._village.asked(statement, [after]):
            yield [tuple(_storable(value) for value in row) for row in rows]
            after = rows[-1][0]

    def _carry(self, table: Table, total: int, portions: Iterator[list[Row]]) -> None:
        there = moving.place_of(self._database, table.name)
        done = 0 if there is None else there[1]
        if there is not None and not table.key:
            self._progress(table.title, total, total)
            return
        self._progress(table.title, done, total)
        for rows in portions:
            with self.line.transaction() as connection:
                copy_rows(connection, table.name, list(table.columns), list(table.columns.values()), rows)
                place = rows[-1][list(table.columns).index(table.key)] if table.key and rows else 0
                moving.carried(connection, table.name, place, len(rows))
            done += len(rows)
            self._progress(table.title, done, total)

    def _carry_readings(self) -> None:
        first, last, total = self._village.asked("SELECT min(rowid), max(rowid), count(*) FROM reading")[0]
        if not total:
            return
        there = moving.place_of(self._database, "reading")
        after, done = (first - 1, 0) if there is None else there
        months = Months(self.line)
        self._progress("readings", done, total)
        while after < last:
            until = after + _READINGS_AT_ONCE
            assert self._village.history is not None
            found = self._village.history.execute(
                f"SELECT {READING} FROM reading WHERE rowid > ? AND rowid <= ?", [after, until]
            ).fetchnumpy()
            rows = len(found["series"])
            months.make([np.asarray(found["observed_at"], np.int64)])
            with self.line.transaction() as connection:
                copy_readings(connection, found)
                moving.carried(connection, "reading", until, rows)
            after, done = until, done + rows
            self._progress("readings", done, total)

    def _carry_hours(self) -> None:
        first, last, total = self._village.asked("SELECT min(rowid), max(rowid), count(*) FROM hourly")[0]
        if not total:
            return
        there = moving.place_of(self._database, HOURS.name)
        after, done = (first - 1, 0) if there is None else there
        names, kinds = list(HOURS.columns), list(HOURS.columns.values())
        statement = f"SELECT {', '.join(names)} FROM hourly WHERE rowid > ? AND rowid <= ?"
        while after < last:
            until = after + _ROWS_AT_ONCE
            rows = self._village.asked(statement, [after, until])
            with self.line.transaction() as connection:
                copy_rows(connection, HOURS.name, names, kinds, rows)
                moving.carried(connection, HOURS.name, until, len(rows))
            after, done = until, done + len(rows)
            self._progress(HOURS.title, done, total)

    def _set_heads(self) -> None:
        through, newest, oldest = self._village.head("feed")
        last = max(through, newest)
        with self.line.transaction() as connection:
            connection.execute(
                "UPDATE feed_head SET last = %s, trimmed = %s", (last, oldest - 1 if oldest else last)
            )
            for file, statement in (
                ("state", "UPDATE folded SET through = %s"),
                ("notifications", "UPDATE newest SET place = %s"),
                ("records", "UPDATE parked_tally SET readings = %s, bytes = %s, forgotten = %s"),
            ):
                if head := self._village.head(file):
                    connection.execute(statement.encode(), head)
            connection.execute(
                "SELECT setval(pg_get_serial_sequence('parked', 'id'), max(id)) FROM parked"
                " HAVING count(*) > 0"
            )

    def _set_remembered(self) -> None:
        self._database.execute("UPDATE history_progress SET last_sequence = %s", self._village.remembered())


def _patiently(connection: Connection) -> None:
    """A table may take longer to be carried and compared than a city's write may take."""
    connection.execute("SELECT set_config('statement_timeout', '0', false)")


def _storable(value: Any) -> Any:
    return history_columns.without_nul(value) if isinstance(value, str) else value
