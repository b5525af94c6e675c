"""Looks into the databases of a city that does not run. Opens them to be read alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cityloom.app.folder import CityFolder
from cityloom.kernel.errors import CityError
from cityloom.kernel.findings import Finding, found

#: Of SQLite: older ones can damage what they write.
SAFE_SQLITE = (3, 51, 3)


def database_findings(folder: CityFolder) -> Iterator[Finding]:
    """Of databases that are missing, damaged or too new."""
    yield from sqlite_findings()
    if not folder.feed.exists():
        return
    try:
        folder.check_whole(folder.records, folder.history)
    except CityError as error:
        yield found("file-missing", error.message, error.where or "")
    snapshots = sorted(folder.snapshots.glob("*.db"))
    for path in (folder.feed, folder.state, folder.records, folder.notifications, *snapshots):
        if path.exists():
            yield from _sqlite(path, _newest_schema(folder, path))
    if folder.history.exists() and folder.history.stat().st_size:
        yield from _duckdb(folder.history)


def sqlite_findings() -> Iterator[Finding]:
    """Of the SQLite that is installed."""
    import apsw

    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < SAFE_SQLITE:
        yield found("sqlite-too-old", f"SQLite {apsw.sqlite_lib_version()} is used")


def _newest_schema(folder: CityFolder, path: Path) -> int | None:
    """The version up to which this CityLoom reads a file; None where its parts have versions of their own."""
    from cityloom.adapters.sqlite import feed, state_table

    if path == folder.feed or path.parent == folder.snapshots:
        return len(feed.MIGRATIONS)
    return len(state_table.MIGRATIONS) if path == folder.state else None


def _sqlite(path: Path, newest: int | None) -> Iterator[Finding]:
    import apsw

    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            wrong = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
            schema = int(connection.pragma("user_version"))
        finally:
            connection.close()
    except apsw.CantOpenError:
        # The rights of the folder are told elsewhere.
        return
    except apsw.Error as error:
        yield found("database-damaged", f"{path.name}: {error}", str(path))
        return
    if wrong != ["ok"]:
        yield found("database-damaged", f"{path.name}: {'; '.join(wrong)}", str(path))
    if newest is not None and schema > newest:
        yield found(
            "written-by-newer", f"{path.name} has schema {schema}, this CityLoom reads {newest}", str(path)
        )


def _duckdb(path: Path) -> Iterator[Finding]:
    import duckdb

    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
            for (table,) in tables:
                connection.execute(f'SELECT count(*) FROM "{table}"')  # noqa: S608 - a name out of the catalog
    except duckdb.Error as error:
        said = str(error).splitlines()[0][:300]
        yield found("database-damaged", f"{path.name}: {said}", str(path))
