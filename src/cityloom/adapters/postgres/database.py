"""A city's schema in one database: its connections, its versions, and whom it belongs to.

A city has at most twelve connections: the feed's writer and reader, the states', the records' writer and
reader, that of what is to be told, the history's writer, its three readers and its keeper, and the lease's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from cityloom.adapters.postgres.address import Address
from cityloom.adapters.postgres.connection import Connection, Line, connect
from cityloom.adapters.postgres.sessions import end_overdue, new_token
from cityloom.kernel.errors import AlreadyRunning, BadConfig, NotReady

#: Seconds to wait for a process that has ended to be forgotten by the server.
CLAIM_PATIENCE_S = 5.0

#: Any number, the same for every city: what is locked is told apart by the second one, the schema's.
_MIGRATING, _RUNNING = 0x43697479, 0x4C6F6F6D
_LOCK: LiteralString = "SELECT pg_try_advisory_lock(%s, hashtext(%s))"


class Database:
    """The schema of one city. From any thread."""

    def __init__(self, address: Address) -> None:
        """Raises BadConfig when the server cannot be reached, or is none that keeps what it acknowledges."""
        connect(address, "start").close()
        self.address = address
        #: Ends the names of this process' sessions.
        self.token = new_token()
        self._lines: list[Line] = []
        self._look: Callable[[Connection], None] = _unseen
        self._claimed = False
        self._writer = self.line("records", made=self._claim_again)
        self._reader = self.line("records, reading")

    def line(self, name: str, *, made: Callable[[Connection], None] | None = None) -> Line:
        """A further connection, closed with the database."""

        def seen(connection: Connection) -> None:
            self._look(connection)
            if made is not None:
                made(connection)

        one = Line(self.address, self._named(name), made=seen)
        self._lines.append(one)
        return one

    def look_at_sessions(self, look: Callable[[Connection], None]) -> None:
        """From now on `look` is shown each connection before it is used."""
        self._look = look

    def prepare(self, parts: Mapping[str, Sequence[LiteralString]]) -> None:
        """Bring the schema up to date, in one transaction and by one process at a time.

        Each part has versions of its own: script n leads from version n to n + 1, and a released one is
        never edited. Where nothing is to be done, no right to change the schema is needed.
        Raises BadConfig when a newer CityLoom wrote a part, or the user may not make what is missing.
        """
        try:
            with self._writer.transaction() as connection:
                connection.execute(
                    "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_MIGRATING, self._schema)
                )
                kept = _versions(connection, self._schema)
                for part, scripts in parts.items():
                    self._migrate(connection, part, scripts, kept.get(part, 0))
        except psycopg.errors.InsufficientPrivilege as error:
            raise BadConfig(
                f"The database does not let this user make its tables: {error.diag.message_primary}",
                hint="Make the user the owner of the database, or of a schema of this name in it.",
                where=self.address.shown,
            ) from None

    def claim(self, *, overdue_too: bool = False) -> None:
        """Take the city for this process, until it ends. Raises AlreadyRunning when another one runs it.

        With `overdue_too` one that did not renew its lease in time is shut out: for who takes the lease then,
        since that one would go on otherwise.
        """
        until = time.monotonic() + CLAIM_PATIENCE_S
        while not self._try_to_claim():
            if time.monotonic() > until:
                raise AlreadyRunning(
                    "This city is running already, in another process or on another machine",
                    hint="Stop it first, or name another schema.",
                    where=self.address.shown,
                )
            if overdue_too:
                end_overdue(self._writer)
            time.sleep(0.1)
        self._claimed = True

    def write(self) -> AbstractContextManager[Connection]:
        """One durable transaction on the records, whole or not at all. Raises StorageFull, NotReady."""
        return self._writer.transaction()

    def execute(self, statement: LiteralString, *values: Any) -> int:
        """One statement as a transaction of its own; how many rows it touched."""
        with self.write() as connection:
            return connection.execute(statement, values).rowcount

    def rows(self, statement: LiteralString, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query on the records, as of the newest commit."""
        return self._reader.rows(statement, values)

    def row(self, statement: LiteralString, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query on the records, or None."""
        return self._reader.row(statement, values)

    @property
    def trouble(self) -> str:
        """Why the database does not answer, for the operator's eyes; empty while it does. Quick."""
        troubled = [line for line in self._lines if line.trouble]
        if not troubled:
            return ""
        # Somebody must find out that it answers again, though nobody may be writing.
        threading.Thread(target=_try_again, args=(troubled[0],), daemon=True).start()
        return troubled[0].trouble

    @contextmanager
    def own_connection(self, name: str) -> Iterator[Connection]:
        """A connection for one long reading, closed afterwards. Raises BadConfig."""
        connection = connect(self.address, self._named(name))
        try:
            self._look(connection)
            yield connection
        finally:
            connection.close()

    def close(self) -> None:
        for line in self._lines:
            line.close()

    @property
    def _schema(self) -> str:
        return self.address.schema

    def _named(self, name: str) -> str:
        return f"{name}@{self.token}"

    def _try_to_claim(self) -> bool:
        with self._writer.held() as connection:
            found = connection.execute(_LOCK, (_RUNNING, self._schema)).fetchone()
        return bool(found and found[0])

    def _claim_again(self, connection: Connection) -> None:
        """After a connection was lost. Should another process have the city now, its feed refuses ours."""
        if self._claimed:
            connection.execute(_LOCK, (_RUNNING, self._schema))

    def _migrate(
        self, connection: Connection, part: str, scripts: Sequence[LiteralString], version: int
    ) -> None:
        if version > len(scripts):
            raise BadConfig(
                f"The database was written by a newer CityLoom ({part} {version})",
                hint="Install the newer CityLoom again, or restore the backup made before.",
                where=self.address.shown,
            )
        for script in scripts[version:]:
            connection.execute(script)
        if version < len(scripts):
            connection.execute(
                "INSERT INTO part VALUES (%s, %s)"
                " ON CONFLICT (name) DO UPDATE SET version = excluded.version",
                (part, len(scripts)),
            )


def _unseen(_: Connection) -> None:
    """Nobody looks."""


def _try_again(line: Line) -> None:
    with suppress(NotReady), line.held():
        pass


def _versions(connection: Connection, schema: str) -> dict[str, int]:
    """The versions of the parts, after making what keeps them where it is missing."""
    found = connection.execute(
        "SELECT to_regnamespace(%s) IS NOT NULL, to_regclass(%s) IS NOT NULL", (schema, f"{schema}.part")
    ).fetchone()
    has_schema, has_parts = found or (False, False)
    if not has_schema:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    if not has_parts:
        connection.execute("CREATE TABLE part (name text PRIMARY KEY, version integer NOT NULL)")
    return dict(connection.execute("SELECT name, version FROM part").fetchall())


def look_at(address: Address, parts: Mapping[str, Sequence[str]]) -> list[BadConfig]:
    """What keeps a city from running on this database; nothing is changed."""
    try:
        connection = connect(address, "check")
    except BadConfig as error:
        return [error]
    with connection:
        try:
            return list(_lacking(connection, address, parts))
        except psycopg.Error as error:
            said = error.diag.message_primary or type(error).__name__
            return [BadConfig(f"The database refuses: {said}", hint="See the rights.", where=address.shown)]


def _lacking(
    connection: Connection, address: Address, parts: Mapping[str, Sequence[str]]
) -> Iterator[BadConfig]:
    schema = address.schema
    found = connection.execute(
        "SELECT to_regnamespace(%(s)s) IS NOT NULL, to_regclass(%(s)s || '.part') IS NOT NULL,"
        " has_database_privilege(current_database(), 'CREATE')",
        {"s": schema},
    ).fetchone()
    has_schema, has_parts, may_make_schema = found or (False, False, False)
    if not has_schema:
        if not may_make_schema:
            yield _lacks(f"There is no schema {schema!r}, and this user may not make it", address)
        return
    kept: dict[str, int] = {}
    if has_parts:
        kept = dict(connection.execute("SELECT name, version FROM part").fetchall())
    if any(kept.get(part, 0) < len(scripts) for part, scripts in parts.items()):
        may = connection.execute("SELECT has_schema_privilege(%s, 'CREATE')", (schema,)).fetchone()
        if not (may and may[0]):
            yield _lacks(
                f"Tables are missing in the schema {schema!r}, and this user may not make them", address
            )
    for part, version in kept.items():
        if part in parts and version > len(parts[part]):
            yield _lacks(f"The database was written by a newer CityLoom ({part} {version})", address)


def _lacks(message: str, address: Address) -> BadConfig:
    return BadConfig(
        message,
        hint="docs/guides/run_at_scale.md says which rights a city needs.",
        where=address.shown,
    )
