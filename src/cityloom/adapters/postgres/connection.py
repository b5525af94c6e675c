"""One connection to PostgreSQL: made when it is needed, and made again after it was lost.

Every connection has the same bounds: times after which a statement, a lock or a forgotten transaction is
given up, a fixed search path, and times in UTC. A server that would lose acknowledged commits in a power
cut (`fsync`, `full_page_writes` or `synchronous_commit` off) is refused each time a connection is made.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.pq import TransactionStatus

from cityloom.adapters.postgres.address import Address
from cityloom.kernel.errors import BadConfig, BadInput, CityError, NotReady, StorageFull, TakenOver

Connection = psycopg.Connection[tuple[Any, ...]]

#: The oldest server that is spoken to, as `server_version_num` counts.
OLDEST_VERSION = 150000
#: Bounds of every session, in milliseconds.
STATEMENT_PATIENCE_MS = 30_000
LOCK_PATIENCE_MS = 5_000
FORGOTTEN_TRANSACTION_MS = 60_000
#: Seconds for which nobody tries again after a connection could not be made.
PAUSE_S = 0.5

_SETTINGS = (
    "SELECT set_config('search_path', %s, false), set_config('statement_timeout', %s, false),"
    " set_config('lock_timeout', %s, false), set_config('idle_in_transaction_session_timeout', %s, false),"
    " set_config('TimeZone', 'UTC', false),"
    # What was found sound when the connection was made stays so, whatever is configured later.
    " set_config('synchronous_commit', current_setting('synchronous_commit'), false)"
)
_FOUND = (
    "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),"
    " current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')"
)
#: Beginnings of SQLSTATE of what passes by itself: lost connections, deadlocks and conflicts, no memory or
#: connection left, a lock that is held, an operator who stops the server.
_PASSING = ("08", "40", "53", "55P03", "57")
_READ_ONLY = "25006"


class Line:
    """One connection, used by one thread at a time."""

    def __init__(
        self, address: Address, name: str, *, made: Callable[[Connection], None] | None = None
    ) -> None:
        """`name` is what the server's list of sessions shows; `made` is called with each new connection."""
        self.address = address
        self._name = name
        self._made = made
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._pause_until = 0.0
        #: Why there is no connection, in words for the operator; empty while there is one.
        self.trouble = ""

    @contextmanager
    def held(self) -> Iterator[Connection]:
        """The connection for as long as it is needed. Raises NotReady when none can be made.

        What the server refuses is told in the city's errors; a connection that was lost is let go.
        """
        with self._lock:
            connection = self._open()
            try:
                yield connection
            except psycopg.Error as error:
                if connection.closed:
                    self._let_go(connection)
                    raise ConnectionLost("The database does not answer", hint=GOES_ON) from error
                told = told_in_words(error)
                if told is None:
                    raise
                raise told from error

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One durable transaction, whole or not at all. Raises NotReady, StorageFull.

        A connection that was lost before it began is made again. When it is lost while the server commits,
        nobody knows what is stored: InDoubt says so.
        """
        with self._lock:
            self._begin()
            with self.held() as connection:
                try:
                    yield connection
                except BaseException:
                    self._roll_back(connection)
                    raise
                commit(connection)

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query, as of the newest commit; asked again when the connection had been lost.

        A text with the character NUL cannot be kept, so nothing is found for it.
        """
        if any(isinstance(value, str) and "\0" in value for value in values):
            return []
        try:
            return self._rows(statement, values)
        except ConnectionLost:
            return self._rows(statement, values)

    def row(self, statement: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        found = self.rows(statement, values)
        return found[0] if found else None

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self.held() as connection:
            # Statements are constants of the adapters; values are bound.
            return connection.execute(statement.encode(), values, binary=True).fetchall()

    def _begin(self) -> None:
        for last in (False, True):
            try:
                with self.held() as connection:
                    connection.execute("BEGIN")
                    return
            except ConnectionLost:
                if last:
                    raise

    def _roll_back(self, connection: Connection) -> None:
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            self._let_go(connection)

    def _open(self) -> Connection:
        if self._connection is not None and _is_there(self._connection):
            return self._connection
        if time.monotonic() < self._pause_until:
            raise NotReady("The database does not answer", hint=GOES_ON)
        try:
            self._connection = connect(self.address, self._name)
            if self._made is not None:
                self._made(self._connection)
        except TakenOver:
            self.close()
            raise
        except (BadConfig, psycopg.Error) as error:
            self._pause_until = time.monotonic() + PAUSE_S
            self.trouble = str(error) if isinstance(error, BadConfig) else type(error).__name__
            self.close()
            raise NotReady("The database does not answer", hint=GOES_ON) from error
        self.trouble = ""
        return self._connection

    def _let_go(self, connection: Connection) -> None:
        connection.close()
        if self._connection is connection:
            self._connection = None


def _is_there(connection: Connection) -> bool:
    """Whether the server has not taken leave meanwhile, as far as this machine has heard."""
    if not connection.closed and connection.pgconn.transaction_status == TransactionStatus.IDLE:
        with suppress(psycopg.OperationalError):
            # First its last words, then the end.
            connection.pgconn.consume_input()
            connection.pgconn.consume_input()
    return not connection.closed


class ConnectionLost(NotReady):
    """The connection ended while it was used."""


class InDoubt(NotReady):
    """The connection ended while the server committed: it may be stored or not."""


#: What whoever could not write is told.
GOES_ON = "Nothing of this was stored. Writing goes on by itself once the database is there; try again then."


def connect(address: Address, name: str) -> Connection:
    """A connection with the bounds of all. Raises BadConfig when there is none to be had, or no sound one."""
    try:
        # Not `with`: the connection outlives this function.
        connection: Connection = psycopg.connect(
            **{**address.parameters, "application_name": f"cityloom {name}", "client_encoding": "utf8"},
            autocommit=True,
        )
    except psycopg.Error as error:
        said = " ".join(address.without_password(str(error)).split())[:300]
        raise BadConfig(
            f"The database cannot be reached: {said or type(error).__name__}",
            hint="Check that the server runs and lets this machine in, the address, user and password.",
            where=address.shown,
        ) from None
    try:
        _set_up(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: Connection, address: Address) -> None:
    path = sql.Identifier(address.schema).as_string(connection) + ", pg_temp"
    bounds = map(str, (STATEMENT_PATIENCE_MS, LOCK_PATIENCE_MS, FORGOTTEN_TRANSACTION_MS))
    connection.execute(_SETTINGS, (path, *bounds))
    found = connection.execute(_FOUND).fetchone()
    assert found is not None, "a SELECT without FROM has one row"
    version, encoding, *durable = found
    if version < OLDEST_VERSION:
        raise BadConfig(
            f"The database is PostgreSQL {version // 10000}, which is too old",
            hint=f"Use PostgreSQL {OLDEST_VERSION // 10000} or newer.",
            where=address.shown,
        )
    if encoding != "UTF8":
        raise BadConfig(
            f"The database keeps texts as {encoding}",
            hint="Make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.",
            where=address.shown,
        )
    for setting, value in zip(("fsync", "full_page_writes", "synchronous_commit"), durable, strict=True):
        if value == "off":
            raise BadConfig(
                f"The database would lose what it acknowledged in a power cut: {setting} is off",
                hint=f"Set {setting} = on in postgresql.conf, and for this user and database.",
                where=address.shown,
            )


def commit(connection: Connection) -> None:
    """Commit. Raises InDoubt when the connection was lost meanwhile."""
    try:
        connection.execute("COMMIT")
    except psycopg.OperationalError as error:
        if connection.closed:
            raise InDoubt(
                "The database went away while it was storing this",
                hint="Look whether it was stored once the database is back, and try again if it was not.",
            ) from error
        raise


def told_in_words(error: psycopg.Error) -> CityError | None:
    """The city's error for one of the driver's; None for a defect of ours or of the server's disk."""
    state = error.sqlstate or ""
    if isinstance(error, errors.DiskFull):
        return StorageFull(
            "The database's disk is full; nothing was stored",
            hint="Make room on the disk of the database; writing goes on by itself.",
        )
    if isinstance(error, psycopg.DataError) and not state:
        return BadInput("A text here cannot be kept", hint="Leave out the character NUL.")
    if state.startswith(_PASSING) or state == _READ_ONLY:
        return NotReady(f"The database is busy or away ({state})", hint=GOES_ON)
    return None
