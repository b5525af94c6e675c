"""Accounts, sessions and API tokens in PostgreSQL, and in memory for whoever asks.

Each request asks who acts, on the event loop: so all are held in memory, as one process runs a city, and a
database that is slow or away stops nobody. What is written stands in the database first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, LiteralString

from psycopg import errors

from cityloom.access.model import Account, ApiToken, Session
from cityloom.adapters.memory.accounts import MemoryAccountStore
from cityloom.adapters.postgres.connection import InDoubt
from cityloom.adapters.postgres.database import Database
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import Conflict, NotFound

MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE account (
        id text PRIMARY KEY,
        name text NOT NULL UNIQUE,
        display_name text NOT NULL,
        roles text[] NOT NULL,
        password_hash text NOT NULL,
        must_change_password boolean NOT NULL,
        created_at timestamptz NOT NULL,
        password_lapses_at timestamptz,
        disabled boolean NOT NULL
    );
    CREATE TABLE session (
        digest text PRIMARY KEY,
        id text NOT NULL,
        account_id text NOT NULL REFERENCES account ON DELETE CASCADE,
        created_at timestamptz NOT NULL,
        seen_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        address text NOT NULL,
        browser text NOT NULL
    );
    CREATE INDEX session_of ON session (account_id, created_at);
    CREATE INDEX session_that_ends ON session (expires_at);
    CREATE TABLE api_token (
        digest text PRIMARY KEY,
        id text NOT NULL,
        account_id text NOT NULL REFERENCES account ON DELETE CASCADE,
        label text NOT NULL,
        permissions text[] NOT NULL,
        clearance smallint[] NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        last_used_at timestamptz
    );
    CREATE INDEX api_token_of ON api_token (account_id, created_at);
    """,
)

_OF_ACCOUNTS: LiteralString = (
    "id, name, display_name, roles, password_hash, must_change_password, created_at, password_lapses_at,"
    " disabled"
)
_OF_SESSIONS: LiteralString = "digest, id, account_id, created_at, seen_at, expires_at, address, browser"
_OF_TOKENS: LiteralString = (
    "digest, id, account_id, label, permissions, clearance, created_at, expires_at, last_used_at"
)
#: Writers hold their locks until their commit can be seen.
_WAIT_FOR_WRITES: LiteralString = "LOCK TABLE account, session, api_token IN SHARE MODE"


class PostgresAccountStore:
    """An `AccountStore` in one schema."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: One write after another, so that memory follows the database; reading waits for none.
        self._writing = threading.Lock()
        #: Whether a write was cut off of which nobody knows if it is stored.
        self._in_doubt = False
        self._known = self._read()

    def add_account(self, account: Account) -> None:
        with self._written(), _or_raise(errors.UniqueViolation, _taken(account)):
            self._database.execute(
                f"INSERT INTO account ({_OF_ACCOUNTS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                *_account_row(account),
            )
            self._known.add_account(account)

    def save_account(self, account: Account) -> None:
        with self._written():
            with _or_raise(errors.UniqueViolation, _taken(account)):
                found = self._database.execute(
                    "UPDATE account SET (name, display_name, roles, password_hash, must_change_password,"
                    " created_at, password_lapses_at, disabled) = ROW (%s, %s, %s, %s, %s, %s, %s, %s)"
                    " WHERE id = %s",
                    *_account_row(account)[1:],
                    account.id,
                )
            if found == 0:
                raise _gone(account.id)
            self._known.save_account(account)

    def delete_account(self, account_id: str) -> None:
        with self._written():
            self._database.execute("DELETE FROM account WHERE id = %s", account_id)
            self._known.delete_account(account_id)

    def account(self, account_id: str) -> Account | None:
        return self._known.account(account_id)

    def account_named(self, name: str) -> Account | None:
        return self._known.account_named(name)

    def accounts(self) -> list[Account]:
        return self._known.accounts()

    def add_session(self, session: Session) -> None:
        with self._written(), _or_raise(errors.ForeignKeyViolation, _gone(session.account_id)):
            self._database.execute(
                f"INSERT INTO session ({_OF_SESSIONS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                *_session_row(session),
            )
            self._known.add_session(session)

    def session(self, digest: str) -> Session | None:
        return self._known.session(digest)

    def sessions_of(self, account_id: str) -> list[Session]:
        return self._known.sessions_of(account_id)

    def touch_session(self, digest: str, seen_at: datetime) -> None:
        with self._written():
            self._database.execute("UPDATE session SET seen_at = %s WHERE digest = %s", seen_at, digest)
            self._known.touch_session(digest, seen_at)

    def delete_session(self, digest: str) -> None:
        with self._written():
            self._database.execute("DELETE FROM session WHERE digest = %s", digest)
            self._known.delete_session(digest)

    def delete_sessions_of(self, account_id: str) -> None:
        with self._written():
            self._database.execute("DELETE FROM session WHERE account_id = %s", account_id)
            self._known.delete_sessions_of(account_id)

    def delete_sessions_before(self, expired: datetime) -> int:
        with self._written():
            gone = self._database.execute("DELETE FROM session WHERE expires_at < %s", expired)
            self._known.delete_sessions_before(expired)
            return gone

    def add_token(self, token: ApiToken) -> None:
        with self._written(), _or_raise(errors.ForeignKeyViolation, _gone(token.account_id)):
            self._database.execute(
                f"INSERT INTO api_token ({_OF_TOKENS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                *_token_row(token),
            )
            self._known.add_token(token)

    def token(self, digest: str) -> ApiToken | None:
        return self._known.token(digest)

    def tokens_of(self, account_id: str) -> list[ApiToken]:
        return self._known.tokens_of(account_id)

    def touch_token(self, digest: str, used_at: datetime) -> None:
        with self._written():
            self._database.execute(
                "UPDATE api_token SET last_used_at = %s WHERE digest = %s", used_at, digest
            )
            self._known.touch_token(digest, used_at)

    def delete_token(self, digest: str) -> None:
        with self._written():
            self._database.execute("DELETE FROM api_token WHERE digest = %s", digest)
            self._known.delete_token(digest)

    @contextmanager
    def _written(self) -> Iterator[None]:
        """One write to the database, then to memory."""
        with self._writing:
            if self._in_doubt:
                self._known = self._read_settled()
                self._in_doubt = False
            try:
                yield
            except InDoubt:
                self._in_doubt = True
                raise

    def _read(self) -> MemoryAccountStore:
        """All that the database knows."""
        return _all_of(self._database.rows)

    def _read_settled(self) -> MemoryAccountStore:
        """The same once no write is under way: the server may still be busy with a commit that was cut off
        here. Raises NotReady while it is."""
        with self._database.write() as connection:
            connection.execute(_WAIT_FOR_WRITES)
            return _all_of(lambda statement: connection.execute(statement).fetchall())


def _all_of(rows: Callable[[LiteralString], Iterable[tuple[Any, ...]]]) -> MemoryAccountStore:
    known = MemoryAccountStore()
    for row in rows(f"SELECT {_OF_ACCOUNTS} FROM account"):
        known.add_account(_account(row))
    for row in rows(f"SELECT {_OF_SESSIONS} FROM session"):
        known.add_session(_session(row))
    for row in rows(f"SELECT {_OF_TOKENS} FROM api_token"):
        known.add_token(_token(row))
    return known


@contextmanager
def _or_raise(violated: type[Exception], told: Exception) -> Iterator[None]:
    """The city's error for one of the database's."""
    try:
        yield
    except violated:
        raise told from None


def _gone(account_id: str) -> NotFound:
    return NotFound(f"There is no account {account_id!r}", hint="List the accounts.")


def _taken(account: Account) -> Conflict:
    return Conflict(f"There is an account {account.name!r}", hint="Choose another name.", where="name")


def _account_row(account: Account) -> tuple[Any, ...]:
    return (
        account.id,
        account.name,
        account.display_name,
        sorted(account.roles),
        account.password_hash,
        account.must_change_password,
        account.created_at,
        account.password_lapses_at,
        account.disabled,
    )


def _session_row(session: Session) -> tuple[Any, ...]:
    return (
        session.digest,
        session.id,
        session.account_id,
        session.created_at,
        session.seen_at,
        session.expires_at,
        session.address,
        session.browser,
    )


def _token_row(token: ApiToken) -> tuple[Any, ...]:
    return (
        token.digest,
        token.id,
        token.account_id,
        token.label,
        sorted(token.permissions),
        sorted(map(int, token.clearance)),
        token.created_at,
        token.expires_at,
        token.last_used_at,
    )


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


def _utc_or_none(at: datetime | None) -> datetime | None:
    return None if at is None else _utc(at)


def _account(row: tuple[Any, ...]) -> Account:
    account_id, name, display_name, roles, password_hash, must_change, created_at, lapses_at, disabled = row
    return Account(
        id=account_id,
        name=name,
        display_name=display_name,
        roles=frozenset(roles),
        password_hash=password_hash,
        must_change_password=must_change,
        created_at=_utc(created_at),
        password_lapses_at=_utc_or_none(lapses_at),
        disabled=disabled,
    )


def _session(row: tuple[Any, ...]) -> Session:
    digest, session_id, account_id, created_at, seen_at, expires_at, address, browser = row
    return Session(
        digest=digest,
        id=session_id,
        account_id=account_id,
        created_at=_utc(created_at),
        seen_at=_utc(seen_at),
        expires_at=_utc(expires_at),
        address=address,
        browser=browser,
    )


def _token(row: tuple[Any, ...]) -> ApiToken:
    digest, token_id, account_id, label, permissions, clearance, created_at, expires_at, used_at = row
    return ApiToken(
        digest=digest,
        id=token_id,
        account_id=account_id,
        label=label,
        permissions=frozenset(permissions),
        clearance=frozenset(map(InformationClass, clearance)),
        created_at=_utc(created_at),
        expires_at=_utc(expires_at),
        last_used_at=_utc_or_none(used_at),
    )
