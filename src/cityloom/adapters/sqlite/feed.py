"""The feed in SQLite: one row a change, one statement a commit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from cityloom.adapters.sql.rows import change_of
from cityloom.adapters.sqlite.connection import open_reader, open_writer, sound, storing, transaction
from cityloom.kernel.change import Change

MIGRATIONS = (
    """
    CREATE TABLE change (
        sequence INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        entity_id TEXT NOT NULL,
        types TEXT NOT NULL,
        kind INTEGER NOT NULL,
        information_class INTEGER NOT NULL,
        document BLOB NOT NULL,
        attributes TEXT NOT NULL,
        at_millis INTEGER NOT NULL,
        by TEXT NOT NULL,
        trace TEXT NOT NULL
    ) STRICT;
    CREATE TABLE stage (name TEXT PRIMARY KEY, cursor INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE trimmed (one INTEGER PRIMARY KEY CHECK (one = 1), through INTEGER NOT NULL) STRICT;
    INSERT INTO trimmed VALUES (1, 0);
    """,
    "ALTER TABLE change ADD COLUMN before BLOB NOT NULL DEFAULT x''",
)

_INSERT = "INSERT INTO change VALUES "
_ROW = "(?,?,?,?,?,?,?,?,?,?,?,?)"
#: Rows in one statement. Not one a row: each step of a statement gives the interpreter up and must win it
#: back from the event loop. And not all that there are: apsw keeps statements prepared whose text is shorter
#: than 16 KB, and to prepare one costs 2.5 µs a row, a quarter of storing it.
_ROWS_A_STATEMENT = 500
#: A page of the file. Rows of one or two thousand bytes leave a third of each small page empty, and each page
#: is a call of the system, in the log and once more when the log is copied.
_PAGE_BYTES = 16_384
#: Rows deleted in one transaction, so that a commit waits at most some milliseconds for trimming.
_ROWS_A_TRIM = 5000

_encode = msgspec.json.Encoder().encode


class SqliteFeed:
    """A `Feed` in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.where = path.name
        self._writer = open_writer(path, MIGRATIONS, page_bytes=_PAGE_BYTES)
        self._writing = threading.Lock()
        self._reader = open_reader(path)
        self._reading = threading.Lock()
        with sound(path):
            newest = self._writer.execute(
                "SELECT max(through, (SELECT ifnull(max(sequence), 0) FROM change)) FROM trimmed"
            ).get
        self._last = int(newest)

    def append(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        if changes[0].sequence != self._last + 1:
            raise ValueError(f"change {changes[0].sequence} does not follow {self._last}")
        with self._writing:
            if len(changes) <= _ROWS_A_STATEMENT:
                with storing(self._writer):
                    self._insert(changes)
            else:
                with transaction(self._writer):
                    for start in range(0, len(changes), _ROWS_A_STATEMENT):
                        self._insert(changes[start : start + _ROWS_A_STATEMENT])
        self._last = changes[-1].sequence

    def _insert(self, changes: Sequence[Change]) -> None:
        statement = _INSERT + ",".join([_ROW] * len(changes))
        self._writer.execute(statement, tuple(chain.from_iterable(map(_row, changes))))

    def read(self, after: int, limit: int) -> list[Change]:
        with self._reading, sound(self._path):
            rows = self._reader.execute(
                "SELECT * FROM change WHERE sequence > ? ORDER BY sequence LIMIT ?", (after, limit)
            ).fetchall()
        return [change_of(row) for row in rows]

    def last_sequence(self) -> int:
        return self._last

    def trim(self, through: int) -> int:
        gone = 0
        reached = min(through, self._last)
        while True:
            with self._writing, transaction(self._writer):
                self._writer.execute("UPDATE trimmed SET through = max(through, ?)", (reached,))
                self._writer.execute(
                    "DELETE FROM change WHERE sequence <= ?1 AND sequence < "
                    "(SELECT min(sequence) FROM change) + ?2",
                    (reached, _ROWS_A_TRIM),
                )
                went = self._writer.changes()
            gone += went
            if went < _ROWS_A_TRIM:
                return gone

    def cursor(self, stage: str) -> int:
        with self._reading, sound(self._path):
            found = self._reader.execute("SELECT cursor FROM stage WHERE name = ?", (stage,)).get
        return int(found or 0)

    def set_cursor(self, stage: str, sequence: int) -> None:
        with self._writing, storing(self._writer):
            self._writer.execute(
                "INSERT INTO stage VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor",
                (stage, sequence),
            )

    def close(self) -> None:
        with self._writing, self._reading:
            self._reader.close()
            self._writer.close()


def _row(change: Change) -> tuple[Any, ...]:
    return (
        change.sequence,
        change.tenant,
        change.entity_id,
        _encode(change.types).decode(),
        int(change.kind),
        int(change.information_class),
        change.document,
        _encode(change.attributes).decode(),
        change.at_millis,
        change.by,
        change.trace,
        change.before,
    )
