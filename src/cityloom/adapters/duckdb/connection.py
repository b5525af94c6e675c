"""One DuckDB file: shut in, and opened again by itself after a failure that DuckDB does not survive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import duckdb

from cityloom.adapters.files.hold import writing, writing_at_once
from cityloom.adapters.files.whole_files import sync_folder
from cityloom.kernel.errors import BadConfig, NotReady, StorageFull


class DuckFile:
    """A DuckDB file with cursors for any thread.

    DuckDB may read and write nothing but its file and the folders; it cannot be told otherwise while it runs.
    When a commit meets a full disk, DuckDB may give the whole database up until it is opened again; that is
    done here, and `opened` told, so that what is held in memory is read again.

    While somebody holds `hold_of(file)` nothing is written: another process may then copy the file and its
    log. This one must never open the file beside DuckDB: closing it would end DuckDB's lock.
    """

    def __init__(self, file: Path, folder: Path, *more: Path, memory_limit: str, threads: int) -> None:
        self._file = file
        self._folders = (folder, *more)
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory_limit,
            "threads": threads,
            # DuckDB's allocator keeps what was freed until it works again; its thread gives it back.
            "allocator_background_threads": True,
        }
        self._opening = threading.RLock()
        self._broken = False
        self._opened: Callable[[], None] = lambda: None
        self._begin_reading: Callable[[duckdb.DuckDBPyConnection], object] = _begin
        self._reading: set[duckdb.DuckDBPyConnection] = set()
        self._connection = self._open()

    def when_opened_again(self, opened: Callable[[], None]) -> None:
        """Call this after the file was opened again."""
        self._opened = opened

    def when_read(self, begin: Callable[[duckdb.DuckDBPyConnection], object]) -> None:
        """Let this begin the transaction of each question."""
        self._begin_reading = begin

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor for a question that `interrupt_reading` may end. Raises StorageFull, NotReady."""
        with self.cursor() as cursor:
            self._begin_reading(cursor)
            self._reading.add(cursor)
            try:
                yield cursor
            except duckdb.InterruptException as error:
                raise NotReady("The city is stopping", hint="Ask again when it runs.") from error
            finally:
                self._reading.discard(cursor)

    def interrupt_reading(self) -> None:
        """End what is being read now."""
        for cursor in list(self._reading):
            # One that has ended in this moment is not there to be interrupted.
            with suppress(duckdb.Error):
                cursor.interrupt()

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own. Raises StorageFull, NotReady."""
        self._mend()
        try:
            with self._connection.cursor() as cursor:
                yield cursor
        except duckdb.FatalException as error:
            self._broken = True
            raise _as_city_error(error) from error
        except duckdb.OperationalError as error:
            raise _as_city_error(error) from error

    @contextmanager
    def transaction(self, *, at_once: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor whose work is durable at the end of the block, or undone when the block raises.

        With `at_once` it raises NotReady where another process holds the file, instead of waiting.
        """
        hold = writing_at_once if at_once else writing
        with hold(hold_of(self._file)), self.cursor() as cursor:
            cursor.begin()
            try:
                yield cursor
                cursor.commit()
            except BaseException:
                _roll_back(cursor)
                raise

    def undisturbed(self) -> AbstractContextManager[None]:
        """Nobody copies the file inside."""
        return writing(hold_of(self._file))

    def close(self) -> None:
        with writing(hold_of(self._file)):
            self._connection.close()

    def _mend(self) -> None:
        """Open the file again when DuckDB has given it up."""
        if not self._broken:
            return
        with self._opening:
            if not self._broken:
                return
            self._connection.close()
            try:
                self._connection = self._open()
            except BadConfig as error:
                raise NotReady(
                    "The history is being opened again",
                    hint="Look at the disk's free space; it is tried again.",
                    where=str(self._file),
                ) from error
            self._broken = False
            self._opened()

    def _open(self) -> duckdb.DuckDBPyConnection:
        try:
            _make_room_for_a_new_one(self._file)
            with writing(hold_of(self._file)):
                if not self._file.exists():
                    self._begin()
                connection = duckdb.connect(str(self._file), config=self._config)
        except (duckdb.Error, OSError) as error:
            raise self._cannot_be_opened(error) from error
        folders = ", ".join("'{}'".format(str(one).replace("'", "''")) for one in self._folders)
        for setting in (
            f"allowed_directories = [{folders}]",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "python_enable_replacements = false",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            connection.execute(f"SET {setting}")
        return connection

    def _begin(self) -> None:
        """Make a new file, which is there whole or not at all: DuckDB writes its heads one after another."""
        begun = self._file.with_name(f"{self._file.name}.new")
        begun.unlink(missing_ok=True)
        duckdb.connect(str(begun), config=self._config).close()
        begun.rename(self._file)
        sync_folder(self._file.parent)

    def _cannot_be_opened(self, error: Exception) -> BadConfig:
        said = str(error).splitlines()[0]
        if "Could not set lock" in said:
            hint = "Stop the other program that uses this city's folder; only one may write to a city."
        elif isinstance(error, duckdb.IOException | duckdb.FatalException | duckdb.SerializationException):
            hint = (
                "Check the disk and the file's rights. When the file is damaged, restore the city's whole "
                "folder from its backup. Nothing was changed."
            )
        else:
            hint = "Look at the disk, and whether a newer CityLoom wrote the file."
        return BadConfig(f"{self._file.name} cannot be opened: {said}", hint=hint, where=str(self._file))


def hold_of(file: Path) -> Path:
    """The lock by which another process holds a history still."""
    return file.with_suffix(".hold")


def _make_room_for_a_new_one(file: Path) -> None:
    """An empty file is what somebody put there who wants to begin a new history."""
    if file.exists() and file.stat().st_size == 0:
        file.unlink()


def _as_city_error(error: duckdb.Error) -> NotReady | StorageFull:
    text = str(error)
    if "No space left" in text:
        return StorageFull("The disk is full: no history was stored", hint="Make room; it goes on by itself.")
    if isinstance(error, duckdb.OutOfMemoryException):
        return NotReady(
            "This takes more memory than the history may use",
            hint="Nothing is damaged or lost. Ask for a shorter time or for less at once.",
        )
    return NotReady(
        f"History did not answer: {text.splitlines()[0]}",
        hint="It is tried again. If it stays so, history.duckdb is damaged: restore it with all the folder.",
    )


def _begin(cursor: duckdb.DuckDBPyConnection) -> None:
    cursor.begin()


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.rollback()
    except duckdb.Error:  # the transaction is gone already, with the connection or by its own failure
        return
