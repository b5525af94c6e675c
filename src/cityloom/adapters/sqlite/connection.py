"""How CityLoom opens a SQLite file: durable, versioned, and refusing what it cannot read.

WAL with `synchronous=FULL` is the one mode that loses no acknowledged commit in a power cut and stays fast
(NORMAL loses the last commits, a rollback journal with FULL may lose the last one). Each file has one
writing connection. `mmap_size` stays 0, since a fault in a mapped page cannot be reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from cityloom.kernel.errors import BadConfig, NotReady, StorageFull

#: Bytes in the write-ahead log before it is copied back into the file.
CHECKPOINT_BYTES = 16 * 1024 * 1024
#: A page of a new file, in bytes; a file that is there keeps its own.
PAGE_BYTES = 4096
#: What is left of the write-ahead log on disk after it was copied back, bytes.
LOG_FILE_LIMIT = 64 * 1024 * 1024
#: How long a connection waits for another process' lock, milliseconds.
LOCK_PATIENCE = 2000


def open_writer(path: Path, migrations: Sequence[str], *, page_bytes: int = PAGE_BYTES) -> apsw.Connection:
    """The one connection that writes to `path`; creates the file and brings its schema up to date.

    `migrations` are SQL scripts; the n-th leads from schema version n to n + 1 and is never edited once
    released. Raises BadConfig when the file was written by a newer CityLoom or is no database, and
    StorageFull when there is no room even to open it.
    """
    try:
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(LOCK_PATIENCE)
        if connection.readonly("main"):
            # SQLite opens it all the same, to be read.
            raise apsw.ReadOnlyError
        connection.pragma("page_size", page_bytes)
        _configure(connection, path)
        _migrate(connection, path, migrations)
    except apsw.NotADBError:
        raise BadConfig(
            f"{path.name} is not a database of CityLoom",
            hint="Restore the city's folder from its backup, or name another folder.",
            where=str(path),
        ) from None
    except apsw.CorruptError as error:
        raise _damaged(path, error) from error
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        raise BadConfig(
            f"{path.name} cannot be opened for writing",
            hint="Check that the folder exists and that this user may write in it.",
            where=str(path),
        ) from None
    except apsw.BusyError:
        raise BadConfig(
            f"{path.name} is in use by another process",
            hint="Stop the other CityLoom that runs on this folder.",
            where=str(path),
        ) from None
    except apsw.Error as error:
        if _is_full(error):
            raise _full() from error
        raise
    return connection


def open_reader(path: Path) -> apsw.Connection:
    """A connection that only reads; it sees every commit and holds nobody up."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(LOCK_PATIENCE)
    return connection


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """Tell a damaged file, wherever that comes to light. Raises BadConfig naming it."""
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise _damaged(path, error) from error


@contextmanager
def storing(connection: apsw.Connection) -> Iterator[None]:
    """Roll back what failed inside, and tell a full disk (StorageFull) and a lock (NotReady) from the rest.

    Other errors of the disk pass through as they are: after a failed fsync nobody knows what is stored.
    """
    try:
        yield
    except apsw.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if _is_full(error):
            raise _full() from error
        if isinstance(error, apsw.BusyError | apsw.LockedError):
            raise NotReady(
                "The store is held by another process",
                hint="Stop the other program that uses this city's folder.",
            ) from error
        raise


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """One durable transaction, whole or not at all, with the errors of `storing`."""
    with storing(connection):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except apsw.Error:
            raise
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _damaged(path: Path, error: apsw.Error) -> BadConfig:
    return BadConfig(
        f"{path.name} is damaged ({error})",
        hint="Check the disk, then restore the city's whole folder from its backup. Nothing was changed.",
        where=str(path),
    )


def _full() -> StorageFull:
    return StorageFull(
        "The disk is full; nothing was stored",
        hint="Make room on the city's disk; writing goes on by itself.",
    )


def _is_full(error: apsw.Error) -> bool:
    if isinstance(error, apsw.FullError):
        return True
    # The index of the write-ahead log could not grow: that happens before a commit, so nothing is in doubt.
    return getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE


def _configure(connection: apsw.Connection, path: Path) -> None:
    mode = connection.pragma("journal_mode", "wal")
    if mode != "wal":
        raise BadConfig(
            f"The file system of {path.name} cannot hold a write-ahead log (it offers {mode!r})",
            hint="Put the city's folder on a local disk, not on a network share.",
            where=str(path),
        )
    connection.pragma("synchronous", "full")
    connection.pragma("wal_autocheckpoint", CHECKPOINT_BYTES // int(connection.pragma("page_size")))
    connection.pragma("journal_size_limit", LOG_FILE_LIMIT)
    connection.pragma("foreign_keys", "on")
    connection.pragma("cell_size_check", "on")


def _migrate(connection: apsw.Connection, path: Path, migrations: Sequence[str]) -> None:
    version = int(connection.pragma("user_version"))
    if version > len(migrations):
        raise BadConfig(
            f"{path.name} was written by a newer CityLoom (schema {version} over {len(migrations)})",
            hint="Install the newer CityLoom again, or restore the backup made before it was installed.",
            where=str(path),
        )
    for number in range(version, len(migrations)):
        with transaction(connection):
            connection.execute(migrations[number])
            connection.pragma("user_version", number + 1)
