"""The file of what must not be an entity: `records.db`, shared by the stores of several rooms.

Each store brings a part of the schema with versions of its own, so that rooms change theirs independently.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from cityloom.adapters.sqlite.connection import open_reader, open_writer, sound, transaction
from cityloom.context.commit import end_process
from cityloom.kernel.errors import BadConfig

_MIGRATIONS = ("CREATE TABLE part (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID",)


class Records:
    """One writing and one reading connection to `records.db`. From any thread."""

    def __init__(self, path: Path, *, fail_stop: Callable[[BaseException], None] = end_process) -> None:
        """`fail_stop` is told of an error of the disk, after which nobody knows what is stored."""
        self._path = path
        self._fail_stop = fail_stop
        self._writer = open_writer(path, _MIGRATIONS)
        # What is removed here is somebody's: its bytes go too, not only the way to them.
        self._writer.pragma("secure_delete", "on")
        self._writing = threading.RLock()
        self._reader = open_reader(path)
        self._reading = threading.Lock()

    def prepare(self, part: str, migrations: Sequence[str]) -> None:
        """Bring one part of the schema up to date: script n leads from version n to n + 1.

        A released script is never edited. Raises BadConfig when a newer CityLoom wrote the part.
        """
        with self.write() as connection:
            kept = connection.execute("SELECT version FROM part WHERE name = ?", (part,)).get
            version = int(kept or 0)
            if version > len(migrations):
                raise BadConfig(
                    f"{self._path.name} was written by a newer CityLoom ({part} {version})",
                    hint="Install the newer CityLoom again, or restore the backup made before.",
                    where=str(self._path),
                )
            for script in migrations[version:]:
                connection.execute(script)
            connection.execute("REPLACE INTO part VALUES (?, ?)", (part, len(migrations)))

    @contextmanager
    def write(self) -> Iterator[apsw.Connection]:
        """One durable transaction, whole or not at all. Raises StorageFull and NotReady like the feed.

        An error of the disk ends the process, as one of the feed does: a flush that has failed must not be
        tried again, since the system may have thrown away what was to be flushed.
        """
        try:
            with self._writing, sound(self._path), transaction(self._writer):
                yield self._writer
        except apsw.IOError as error:
            self._fail_stop(error)
            raise

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query, as of the newest commit."""
        with self._reading, sound(self._path):
            return list(self._reader.execute(statement, values))

    def row(self, statement: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        found = self.rows(statement, values)
        return found[0] if found else None

    def close(self) -> None:
        with self._writing, self._reading:
            self._reader.close()
            self._writer.close()
