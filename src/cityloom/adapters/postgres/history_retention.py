"""Roll-ups in place of readings that are old, and the archive into which those are written before.

The archive lies in the folder of the process that runs the city; which files it has stands in the database:
see `adapters.files.archive`. What is forgotten by whatever process is owed to it until the city's own has
written the files anew.

What retires has a connection of its own, so that it keeps nobody from remembering: rows are taken out and
rolled up by the same statements, and what comes for them meanwhile is late.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from cityloom.adapters.duckdb import retention_statements as files
from cityloom.adapters.duckdb.table_source import quoted
from cityloom.adapters.files import archive
from cityloom.adapters.postgres import retention_statements as statements
from cityloom.adapters.postgres.connection import Connection, Line
from cityloom.adapters.postgres.history_export import copy_out, read_csv
from cityloom.history.directory import SeriesDirectory
from cityloom.history.model import Integers, Window
from cityloom.history.retention import Archived, Due, Outgoing
from cityloom.kernel.errors import CityError, NotReady
from cityloom.kernel.time import months_later, parse_instant, to_millis

_log = logging.getLogger(__name__)


class PostgresRetention:
    """The part of the history that forgets single readings (`RetainingStore`)."""

    _directory: SeriesDirectory
    _archive: Path
    _keeper: Line
    #: Held while files of the archive, or what says of them, are written.
    _retiring: threading.Lock
    #: Whether there is any roll-up.
    _has_rollups: bool

    @abstractmethod
    def _question(self) -> AbstractContextManager[Connection]: ...

    def tenants(self) -> list[str]:
        return self._directory.tenants

    def rolled(self, window: Window) -> tuple[int, int] | None:
        if not self._has_rollups:
            return None
        with self._question() as connection:
            found = connection.execute(statements.rolled(window).encode()).fetchone()
        return None if found is None or found[0] is None else (int(found[0]), int(found[1]))

    def outgoing(self, due: Sequence[Due]) -> list[Outgoing]:
        with self._keeper.held() as connection:
            return [one for one, _ in _outgoing(connection, due)]

    def retire(self, due: Sequence[Due]) -> Outgoing | None:
        self._try_to_write_owed()
        with self._retiring:
            with self._keeper.held() as connection:
                one, place = next(_outgoing(connection, due), (None, 0))
            if one is None:
                return None
            since, until = _bounds(one.month)
            series = due[place].series
            file = ""
            with self._keeper.transaction() as connection:
                # A month of a large city takes longer than a write may.
                connection.execute("SELECT set_config('statement_timeout', '0', true)")
                before = self._files_of(connection, one.month)
                connection.execute(statements.GOING)
                count = connection.execute(statements.GO, (series.tolist(), since, until)).rowcount
                connection.execute(statements.FROM_ARCHIVE)
                self._tell_known_hours(connection, before, since, until)
                connection.execute(statements.ROLL_UP.encode())
                if due[place].archive:
                    file = self._write(connection, one, count)
            self._has_rollups = True
            archive.list_checksums(self._archive, self.archived())
        return Outgoing(one.type, one.information_class, one.month, count, file)

    def archived(self) -> list[Archived]:
        with self._keeper.held() as connection:
            return _archived(connection)

    def _files_of(self, connection: Connection, month: str) -> list[str]:
        """The files of a month: of all classes, for an Entity may have been of another one. Raises NotReady
        where the archive is not here: what is written to it now would lie elsewhere."""
        listed = _archived(connection)
        if listed and not self._archive.is_dir():
            raise NotReady(
                "The archive of this city is not here",
                hint=f"Mount it, or link it, as {self._archive}; readings are kept until then.",
            )
        return [one.file for one in listed if f"/month={month}/" in one.file]

    # Asking

    @contextmanager
    def _with_archive(self, window: Window) -> Iterator[tuple[Connection, bool]]:
        """A connection for one question over single readings, and whether the table `from_archive` has those
        of the window that are in the archive. Raises NotReady."""
        with self._question() as connection:
            if not self._has_rollups:
                yield connection, False
                return
            with connection.transaction():
                # Which files there are and which readings is told of one instant.
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE")
                asked = self._files_for(connection, window)
                if asked:
                    connection.execute(statements.FROM_ARCHIVE)
                    self._read(connection, asked, window.series, window.since, window.until)
                yield connection, bool(asked)

    def _files_for(self, connection: Connection, window: Window) -> list[str]:
        """The files that a question over single readings may need.

        Whoever asks is cleared for the series. A file of a higher class than any of these stays closed: it
        was written when an Entity was of that class, and what it holds of then is told by roll-ups alone.
        """
        found = connection.execute(statements.HIGHEST_CLASS, (np.unique(window.series).tolist(),)).fetchone()
        highest = -1 if found is None or found[0] is None else int(found[0])
        return [one.file for one in _archived(connection) if archive.is_asked(one.file, window, highest)]

    # Writing

    def _begin_archive(self) -> None:
        """What was cut off is finished, or let go."""
        self._retiring = threading.Lock()
        with self._keeper.held() as connection:
            found = connection.execute(statements.HAS_ROLLUPS).fetchone()
        self._has_rollups = bool(found and found[0])
        if not self._archive.exists():
            # A process that stood by on another machine, or a city that keeps all.
            return
        archive.settle(self._archive, self.archived())
        self._try_to_write_owed()

    def _try_to_write_owed(self) -> None:
        """The same as `_write_owed` where it can be; otherwise it stays owed until the next time."""
        try:
            self._write_owed()
        except (CityError, OSError) as error:
            _log.error("The archive still has what was forgotten: %s", error)

    def _write_owed(self) -> None:
        """Let nothing of series that are gone be left in the archive. Raises NotReady."""
        with self._retiring:
            with self._keeper.held() as connection:
                owed = [int(number) for (number,) in connection.execute(statements.OWED).fetchall()]
                listed = _archived(connection) if owed else []
            if not owed:
                return
            anew = [(one, *told) for one in listed if (told := self._without(one.file, owed)) is not None]
            with self._keeper.transaction() as connection:
                for one, count, checksum in anew:
                    connection.execute(statements.NOTE_WRITTEN_ANEW, (checksum, count, one.file))
                connection.execute(statements.PAID, (owed,))
            archive.settle(self._archive, self.archived())

    def _without(self, file: str, series: Sequence[int]) -> tuple[int, str] | None:
        """How many rows of some series a file has, and the checksum of it without them; None: it has none."""
        path = self._archive / file
        with self._duck() as cursor:
            cursor.register("wanted", {"series": np.array(series, np.int64)})
            found = cursor.execute(files.HAS_ANY, [str(path)]).fetchone()
            if found is None or not found[0]:
                return None
            checksum = archive.written(path, lambda new: cursor.execute(files.without(path, new)))
        return int(found[0]), checksum

    def _write(self, connection: Connection, one: Outgoing, count: int) -> str:
        """A file that is there whole; what a power cut leaves of it is overwritten the next time."""
        folder = archive.folder_of(one)
        found = connection.execute(statements.PARTS, (f"{folder}/",)).fetchone()
        file = f"{folder}/part-{(found or (0,))[0] + 1}.parquet"
        path = self._archive / file
        checksum = archive.written(path, partial(self._write_parquet, connection))
        # Nothing knows of it before the transaction is there; what lies here then is written over.
        archive.put_in_place(path)
        connection.execute(statements.NOTE_FILE, (file, checksum, count))
        return f"{self._archive.name}/{file}"

    def _write_parquet(self, connection: Connection, path: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="going-", dir=path.parent) as folder:
            rows = Path(folder) / "going.csv"
            copy_out(connection, statements.ARCHIVE, rows)
            with self._duck() as cursor:
                cursor.execute(
                    f"COPY (FROM {read_csv(rows, statements.ARCHIVE_COLUMNS)}) TO {quoted(str(path))}"
                    " (FORMAT parquet, COMPRESSION zstd)"
                )

    def _tell_known_hours(
        self, connection: Connection, before: Sequence[str], since: int, until: int
    ) -> None:
        """Have what the archive knows of hours that have a roll-up already in `from_archive`."""
        rows = connection.execute(statements.KNOWN_HOURS.encode()).fetchall() if before else []
        if rows:
            series, hours = (np.array(column, np.int64) for column in zip(*rows, strict=True))
            self._read(connection, before, series, since, until, hours)

    def _read(
        self,
        connection: Connection,
        named: Sequence[str],
        series: Integers,
        since: int | None,
        until: int | None,
        hours: Integers | None = None,
    ) -> None:
        """Put what stands in files of the archive into `from_archive`: of series, or of hours of each."""
        conditions = ["kind < 5", "NOT superseded"]
        if since is not None:
            conditions.append(f"observed_at >= {int(since)}")
        if until is not None:
            conditions.append(f"observed_at < {int(until)}")
        wanted: dict[str, Any] = {"series": np.unique(series) if hours is None else series}
        using = "series"
        if hours is not None:
            wanted["hour"], using = hours, "series, hour"
        paths = ", ".join(quoted(str(self._archive / one)) for one in named)
        asked = (
            "SELECT series, observed_at, sequence, number FROM"
            f" (SELECT *, observed_at // {files.HOUR} * {files.HOUR} AS hour"
            f" FROM read_parquet([{paths}], hive_partitioning = false))"
            f" SEMI JOIN wanted USING ({using}) WHERE {' AND '.join(conditions)}"
        )
        with tempfile.TemporaryDirectory(prefix="question-") as folder, self._duck() as cursor:
            told = Path(folder) / "told.csv"
            cursor.register("wanted", wanted)
            cursor.execute(f"COPY ({asked}) TO {quoted(str(told))} (FORMAT csv, HEADER false)")
            with (
                told.open("rb") as file,
                connection.cursor() as sending,
                sending.copy(statements.COPY_FROM_ARCHIVE) as copy,
            ):
                while part := file.read(1 << 20):
                    copy.write(part)

    @contextmanager
    def _duck(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Reads and writes Parquet. Raises NotReady where the archive is not here or is damaged."""
        settings: dict[str, Any] = {"memory_limit": "256MB", "threads": 1}
        with duckdb.connect(":memory:", config=settings) as writer:
            try:
                yield writer
            except duckdb.Error as error:
                raise NotReady(
                    f"The archive cannot be read here: {str(error).splitlines()[0]}",
                    hint=f"It is to lie in {self._archive}, on whatever machine the city runs.",
                ) from error


def _archived(connection: Connection) -> list[Archived]:
    return [Archived(*row) for row in connection.execute(statements.ARCHIVED).fetchall()]


def _outgoing(connection: Connection, due: Sequence[Due]) -> Iterator[tuple[Outgoing, int]]:
    """What goes, and of which of these it is."""
    for place, one in enumerate(due):
        rows = connection.execute(statements.OUTGOING, (one.series.tolist(), one.before)).fetchall()
        for month, count in rows:
            yield Outgoing(one.type, one.information_class, str(month), int(count)), place


def _bounds(month: str) -> tuple[int, int]:
    """From when until when a month is, in milliseconds."""
    begins = parse_instant(f"{month}-01T00:00:00Z", where="month")
    return to_millis(begins), to_millis(months_later(begins, 1))
