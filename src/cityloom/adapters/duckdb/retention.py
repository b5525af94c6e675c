"""Roll-ups in place of readings that are old, and the archive into which those are written before."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import duckdb
import numpy as np

from cityloom.adapters.duckdb import retention_statements as statements
from cityloom.adapters.duckdb.connection import DuckFile
from cityloom.adapters.files.whole_files import sync_folder, write_whole
from cityloom.history.directory import SeriesDirectory
from cityloom.history.file_names import file_name
from cityloom.history.model import Integers, Window
from cityloom.history.retention import Archived, Due, Outgoing

#: Lists the files as `sha256sum -c` reads it.
CHECKSUMS = "SHA256SUMS"
_DAY = 86_400_000


class DuckRetention:
    """The part of the history that forgets single readings (`RetainingStore`)."""

    _file: DuckFile
    _directory: SeriesDirectory
    _writing: threading.Lock
    _archive: Path
    #: Whether there is any roll-up.
    _has_rollups: bool

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
            with self._file.cursor() as cursor:
                found = _outgoing(cursor, due)
            if not found:
                return None
            one, place, bounds = found[0]
            with self._file.transaction() as cursor:
                cursor.register("wanted", {"series": due[place].series})
                file = self._write(cursor, one, bounds) if due[place].archive else ""
                cursor.execute(statements.ROLL_UP, [*bounds, *bounds])
                for statement in statements.REPLACE_ROLLED:
                    cursor.execute(statement)
                since, until = bounds
                for day in range(since, until, _DAY):
                    # In small pieces: what is removed at once is held in memory.
                    cursor.execute(statements.GO, [day, min(until, day + _DAY)])
            self._has_rollups = True
            self._list_checksums()
        return Outgoing(one.type, one.information_class, one.month, one.readings, file)

    def archived(self) -> list[Archived]:
        with self._file.cursor() as cursor:
            return [Archived(*row) for row in cursor.execute("FROM archived ORDER BY file").fetchall()]

    def _write(self, cursor: duckdb.DuckDBPyConnection, one: Outgoing, bounds: list[int]) -> str:
        """A file that is there whole; what a power cut leaves of it is overwritten the next time."""
        folder = (
            Path(f"class={one.information_class.name.lower()}")
            / f"type={file_name(one.type)}"
            / f"month={one.month}"
        )
        (self._archive / folder).mkdir(parents=True, exist_ok=True)
        parts = cursor.execute(
            "SELECT count(*) FROM archived WHERE starts_with(file, ?)", [f"{folder}/"]
        ).fetchone()
        file = folder / f"part-{(parts or (0,))[0] + 1}.parquet"
        checksum = _whole(self._archive / file, lambda path: cursor.execute(statements.archive(path), bounds))
        cursor.execute("INSERT INTO archived VALUES (?, ?, ?)", [str(file), checksum, one.readings])
        return f"{self._archive.name}/{file}"

    def _forget_old(self, cursor: duckdb.DuckDBPyConnection, series: Integers) -> None:
        """Let nothing of some series be left in roll-ups and archive, in the cursor's transaction."""
        cursor.register("wanted", {"series": series})
        cursor.execute("DELETE FROM hourly WHERE series IN (SELECT series FROM wanted)")
        for file, _, _ in cursor.execute("FROM archived").fetchall():
            path = self._archive / file
            count = cursor.execute(statements.HAS_ANY, [str(path)]).fetchone()
            if count is None or not count[0]:
                continue
            checksum = _whole(path, partial(_without, cursor, path))
            cursor.execute(
                "UPDATE archived SET sha256 = ?, readings = readings - ? WHERE file = ?",
                [checksum, count[0], file],
            )

    def _list_checksums(self) -> None:
        listed = self.archived()
        if listed or (self._archive / CHECKSUMS).exists():
            said = "".join(f"{one.sha256}  {one.file}\n" for one in listed)
            write_whole(
                self._archive / CHECKSUMS, said.encode(), when_full="The disk is full: no list was written"
            )


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


def _whole(path: Path, write: Callable[[Path], object]) -> str:
    """Have a file written beside and then renamed; returns its checksum."""
    unfinished = path.with_name(f"{path.name}.new")
    try:
        write(unfinished)
        with unfinished.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        unfinished.replace(path)
        sync_folder(path.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return checksum


def _without(cursor: duckdb.DuckDBPyConnection, old: Path, new: Path) -> None:
    cursor.execute(statements.without(old, new))
