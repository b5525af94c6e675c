"""Roll-ups in place of readings that are old, and the archive into which those are written before.

Which files the archive has, with their checksums, stands in the database: see `adapters.files.archive`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import duckdb
import numpy as np

from cityloom.adapters.duckdb import retention_statements as statements
from cityloom.adapters.duckdb.connection import DuckFile
from cityloom.adapters.duckdb.corrections import Corrections
from cityloom.adapters.files import archive
from cityloom.history.directory import SeriesDirectory
from cityloom.history.model import Integers, Window
from cityloom.history.retention import Archived, Due, Outgoing

_DAY = 86_400_000


class DuckRetention:
    """The part of the history that forgets single readings (`RetainingStore`)."""

    _file: DuckFile
    _directory: SeriesDirectory
    _writing: threading.Lock
    _corrections: Corrections
    _archive: Path
    #: Whether there is any roll-up.
    _has_rollups: bool
    #: Whether files of the archive may wait to take their places.
    _is_unsettled = True

    def tenants(self) -> list[str]:
        return self._directory.tenants

    def rolled(self, window: Window) -> tuple[int, int] | None:
        if not self._has_rollups:
            return None
        with self._file.reading() as cursor:
            cursor.register("wanted", {"series": window.series})
            found = cursor.execute(statements.rolled(window.since, window.until)).fetchone()
        return None if found is None or found[0] is None else (int(found[0]), int(found[1]))

    def outgoing(self, due: Sequence[Due]) -> list[Outgoing]:
        with self._file.reading() as cursor:
            return [one for one, _, _ in _outgoing(cursor, due)]

    def retire(self, due: Sequence[Due]) -> Outgoing | None:
        with self._writing:
            self._corrections.mark()
            with self._file.cursor() as cursor:
                found = _outgoing(cursor, due)
            if not found:
                return None
            one, place, bounds = found[0]
            with self._file.transaction() as cursor:
                cursor.register("wanted", {"series": due[place].series})
                before = self._files_of(cursor, one.month)
                file = self._write(cursor, one, bounds) if due[place].archive else ""
                since, until = bounds
                cursor.execute(statements.roll_up(since, until, before))
                for statement in statements.REPLACE_ROLLED:
                    cursor.execute(statement)
                for day in range(since, until, _DAY):
                    # In small pieces: what is removed at once is held in memory.
                    cursor.execute(statements.GO, [day, min(until, day + _DAY)])
            self._has_rollups = True
            archive.list_checksums(self._archive, self.archived())
        return Outgoing(one.type, one.information_class, one.month, one.readings, file)

    def archived(self) -> list[Archived]:
        with self._file.cursor() as cursor:
            return [Archived(*row) for row in cursor.execute("FROM archived ORDER BY file").fetchall()]

    def _archive_of(self, cursor: duckdb.DuckDBPyConnection, window: Window) -> list[str]:
        """The files of the archive that a question over single readings may need.

        Whoever asks is cleared for the series. A file of a higher class than any of these stays closed: it
        was written when an Entity was of that class, and what it holds of then is told by roll-ups alone.
        """
        if not self._has_rollups:
            return []
        cursor.register("wanted", {"series": window.series})
        found = cursor.execute(statements.HIGHEST_CLASS).fetchone()
        highest = -1 if found is None or found[0] is None else int(found[0])
        files = (row[0] for row in cursor.execute("SELECT file FROM archived ORDER BY file").fetchall())
        return [str(self._archive / file) for file in files if archive.is_asked(file, window, highest)]

    def _files_of(self, cursor: duckdb.DuckDBPyConnection, month: str) -> list[str]:
        """The files of a month: of all classes, for an Entity may have been of another one."""
        found = cursor.execute("SELECT file FROM archived WHERE contains(file, ?)", [f"/month={month}/"])
        return [str(self._archive / file) for (file,) in found.fetchall()]

    def _write(self, cursor: duckdb.DuckDBPyConnection, one: Outgoing, bounds: list[int]) -> str:
        """A file that is there whole; what a power cut leaves of it is overwritten the next time."""
        folder = archive.folder_of(one)
        parts = cursor.execute(
            "SELECT count(*) FROM archived WHERE starts_with(file, ?)", [f"{folder}/"]
        ).fetchone()
        file = f"{folder}/part-{(parts or (0,))[0] + 1}.parquet"
        path = self._archive / file
        checksum = archive.written(path, lambda new: cursor.execute(statements.archive(new), bounds))
        # Nothing knows of it before the transaction is there; what lies here then is written over.
        archive.put_in_place(path)
        cursor.execute("INSERT INTO archived VALUES (?, ?, ?)", [file, checksum, one.readings])
        return f"{self._archive.name}/{file}"

    def _forget_old(self, cursor: duckdb.DuckDBPyConnection, series: Integers) -> None:
        """Let nothing of some series be left in roll-ups and archive, in the cursor's transaction.

        It is within `_archive_settled`.
        """
        cursor.register("wanted", {"series": series})
        cursor.execute("DELETE FROM hourly WHERE series IN (SELECT series FROM wanted)")
        for file, _, _ in cursor.execute("FROM archived").fetchall():
            path = self._archive / file
            count = cursor.execute(statements.HAS_ANY, [str(path)]).fetchone()
            if count is None or not count[0]:
                continue
            self._is_unsettled = True
            checksum = archive.written(path, partial(_without, cursor, path))
            cursor.execute(
                "UPDATE archived SET sha256 = ?, readings = readings - ? WHERE file = ?",
                [checksum, count[0], file],
            )

    @contextmanager
    def _archive_settled(self) -> Iterator[None]:
        """Round a transaction that may write files of the archive anew: after it each is in its place.

        Whoever copies the folder has both or neither.
        """
        with self._file.undisturbed():
            self._settle_archive()
            yield
            self._settle_archive()

    def _settle_archive(self) -> None:
        """Give each file that was written anew its place, or let it go where no transaction tells of it."""
        if not self._is_unsettled:
            return
        archive.settle(self._archive, self.archived())
        self._is_unsettled = False


def _outgoing(cursor: duckdb.DuckDBPyConnection, due: Sequence[Due]) -> list[tuple[Outgoing, int, list[int]]]:
    """What goes, of which of these it is, and since when until when it was read."""
    found = []
    for place, one in enumerate(due):
        cursor.register("wanted", {"series": one.series, "due": np.full(len(one.series), place)})
        for _, month, count, since, until in cursor.execute(statements.OUTGOING, [one.before]).fetchall():
            found.append(
                (Outgoing(one.type, one.information_class, month, int(count)), place, [since, until])
            )
    return found


def _without(cursor: duckdb.DuckDBPyConnection, old: Path, new: Path) -> None:
    cursor.execute(statements.without(old, new))
