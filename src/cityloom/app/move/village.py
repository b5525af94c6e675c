"""A stopped village's files, opened to be read alone."""
# ruff: noqa: S608 - statements are put together from this package's own words alone

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import apsw
import duckdb

from cityloom.app.folder import CityFolder
from cityloom.app.move.tables import TABLES, Row, Table
from cityloom.kernel.errors import BadConfig

_HEADS = {
    "feed": "SELECT through, ifnull((SELECT max(sequence) FROM change), 0),"
    " ifnull((SELECT min(sequence) FROM change), 0) FROM trimmed",
    "state": "SELECT through FROM folded",
    "notifications": "SELECT place FROM newest",
    "records": "SELECT readings, bytes, forgotten FROM parked_tally",
}


class Village:
    """The databases of one folder, as they are."""

    def __init__(self, folder: CityFolder, files: dict[str, apsw.Connection], history: Any) -> None:
        self.folder = folder
        self._files = files
        #: A connection of DuckDB; None where nothing was ever remembered.
        self.history: duckdb.DuckDBPyConnection | None = history

    @property
    def tables(self) -> list[Table]:
        """Those of the files that are there."""
        return [table for table in TABLES if table.file in self._files]

    def count(self, table: Table) -> int:
        return int(next(self._run(table.file, f"SELECT count(*) FROM {table.name}"))[0])

    def rows(self, table: Table, after: int | None = None, limit: int = -1) -> Iterator[Row]:
        """Rows as the village keeps them, in their order; of those with a key from after one on."""
        where, values = "", []
        order = table.key or table.order
        if table.key and after is not None:
            where, values = f"WHERE {table.key} > ?", [after]
        statement = f"SELECT {', '.join(table.taken)} FROM {table.name} {where}"
        if order:
            statement += f" ORDER BY {order}"
        return self._run(table.file, f"{statement} LIMIT {limit}", values)

    def head(self, file: str) -> tuple[int, ...]:
        """What a file says of itself as a whole: see `_HEADS`. Empty where there is no such file."""
        if file not in self._files:
            return ()
        return tuple(map(int, next(self._run(file, _HEADS[file]))))

    def remembered(self) -> int:
        """The sequence through which the feed is remembered."""
        return int(self.asked("SELECT last_sequence FROM progress")[0][0]) if self.history else 0

    def asked(self, statement: str, values: list[Any] | None = None) -> list[Row]:
        """Rows out of the history."""
        assert self.history is not None, "only asked where there is a history"
        return self.history.execute(statement, values or []).fetchall()

    def fingerprint(self) -> str:
        """What changes when the village lives on."""
        told = repr(
            (str(self.folder.home.resolve()), [self.head(file) for file in _HEADS], self.remembered())
        )
        audit = 0
        if "records" in self._files:
            audit = next(self._run("records", "SELECT ifnull(max(sequence), 0) FROM audit"))[0]
        return hashlib.sha256(f"{told} {audit}".encode()).hexdigest()

    def remembers(self, table: str) -> int:
        """How many rows a table of the history has."""
        return int(self.asked(f"SELECT count(*) FROM {table}")[0][0])

    def _run(self, file: str, statement: str, values: list[Any] | None = None) -> Iterator[Row]:
        try:
            yield from self._files[file].execute(statement, values or [])
        except apsw.Error as error:
            raise _unreadable(f"{file}.db", str(error)) from error


@contextmanager
def open_village(folder: CityFolder, *, history_alone: bool = False) -> Iterator[Village]:
    """A village that does not run. Raises BadConfig when it cannot be read.

    `history_alone`: the rest of it lies in its database already, and may never have been in the folder.
    """
    needed = folder.history if history_alone else folder.feed
    if not needed.exists():
        raise BadConfig(
            "There is nothing to carry here", hint="Name the village's folder with --home.", where=str(needed)
        )
    if not history_alone:
        folder.check_whole(folder.records, folder.history)
    with ExitStack() as opened:
        files: dict[str, apsw.Connection] = {}
        for name in _HEADS:
            path: Path = getattr(folder, name)
            if path.exists():
                files[name] = _sqlite(path)
                opened.callback(files[name].close)
        history = None
        if folder.history.exists() and folder.history.stat().st_size:
            history = opened.enter_context(_duckdb(folder.history))
        yield Village(folder, files, history)


def _sqlite(path: Path) -> apsw.Connection:
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except apsw.Error as error:
        raise _unreadable(path.name, str(error)) from error
    return connection


def _duckdb(path: Path) -> duckdb.DuckDBPyConnection:
    try:
        connection = duckdb.connect(str(path), read_only=True, config={"memory_limit": "512MB", "threads": 1})
        connection.execute("SELECT number FROM load_entity LIMIT 0")
        connection.execute("SELECT covered FROM hourly LIMIT 0")
    except duckdb.Error as error:
        raise _unreadable(path.name, str(error).splitlines()[0]) from error
    return connection


def _unreadable(name: str, said: str) -> BadConfig:
    return BadConfig(
        f"{name} cannot be read: {said}",
        hint="Start the village once with this CityLoom, and stop it: that brings its files up to date.",
        where=name,
    )
