"""The folded state in SQLite: one row an Entity, keyed and ordered by its creation.

The key is the sequence of the change that created the Entity, so that new rows go to the end of the file,
a restart reads them in the order in which lists show them, and no index of texts must be kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import msgspec

from cityloom.adapters.sql.rows import state_of, state_row
from cityloom.adapters.sqlite.connection import open_reader, open_writer, sound, transaction
from cityloom.context.ports import Folded

MIGRATIONS = (
    """
    CREATE TABLE entity (
        created INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        entity_id TEXT NOT NULL,
        types TEXT NOT NULL,
        information_class INTEGER NOT NULL,
        document BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        west REAL, south REAL, east REAL, north REAL,
        reference TEXT NOT NULL
    ) STRICT;
    CREATE TABLE folded (one INTEGER PRIMARY KEY CHECK (one = 1), through INTEGER NOT NULL) STRICT;
    INSERT INTO folded VALUES (1, 0);
    """,
    # From here on documents may be packed (`context.keeping`), which CityLoom could not read before.
    "SELECT 1",
)

_INSERT = "INSERT INTO entity VALUES "
_ROW = "(?,?,?,?,?,?,?,?,?,?,?,?)"
#: What may change of an Entity. A REPLACE would take its row out first, and have the file's pages put in
#: balance for it: three times as dear where few of many Entities changed.
_CHANGING = (
    "types",
    "information_class",
    "document",
    "sequence",
    "west",
    "south",
    "east",
    "north",
    "reference",
)
_OR_UPDATE = " ON CONFLICT (created) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in _CHANGING
)
#: A page of a new file. Rows of a thousand bytes leave much of each small page empty.
_PAGE_BYTES = 16_384
#: Rows in one statement; see the feed for why.
_ROWS_A_STATEMENT = 500

_encode = msgspec.json.Encoder().encode


class SqliteStateTable:
    """A `StateTable` in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = open_writer(path, MIGRATIONS, page_bytes=_PAGE_BYTES)
        self._writing = threading.Lock()

    def load(self) -> Iterator[Folded]:
        reader = open_reader(self._path)
        try:
            known: dict[str, tuple[str, ...]] = {"[]": ()}
            with sound(self._path):
                for row in reader.execute("SELECT * FROM entity ORDER BY created"):
                    yield state_of(row, known)
        finally:
            reader.close()

    def folded_through(self) -> int:
        with self._writing, sound(self._path):
            return int(self._writer.execute("SELECT through FROM folded").get)

    def fold(self, upserts: Sequence[Folded], deletes: Sequence[int], through: int) -> None:
        with self._writing, transaction(self._writer):
            for start in range(0, len(upserts), _ROWS_A_STATEMENT):
                part = upserts[start : start + _ROWS_A_STATEMENT]
                statement = _INSERT + ",".join([_ROW] * len(part)) + _OR_UPDATE
                self._writer.execute(statement, tuple(chain.from_iterable(map(state_row, part))))
            if deletes:
                self._writer.execute(
                    "DELETE FROM entity WHERE created IN (SELECT value FROM json_each(?))",
                    (_encode(list(deletes)).decode(),),
                )
            self._writer.execute("UPDATE folded SET through = ?", (through,))

    def close(self) -> None:
        with self._writing:
            self._writer.close()
