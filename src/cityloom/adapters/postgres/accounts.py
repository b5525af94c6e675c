"""Accounts, sessions and API tokens in PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, LiteralString

from psycopg import errors

from cityloom.access.model import Account, ApiToken, Session
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


class PostgresAccountStore:
    """An `AccountStore` in one schema."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_account(self, account: Account) -> None:
        try:
            self._database.execute(
                f"INSERT INTO account ({_OF_ACCOUNTS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                *_account_row(account),
            )
        except errors.UniqueViolation:
            raise _taken(account) from None

    def save_account(self, account: Account) -> None:
        try:
            found = self._database.execute(
                "UPDATE account SET (name, display_name, roles, password_hash, must_change_password,"
                " created_at, password_lapses_at, disabled) = ROW (%s, %s, %s, %s, %s, %s, %s, %s)"
                " WHERE id = %s",
                *_account_row(account)[1:],
                account.id,
            )
        except errors.UniqueViolation:
            raise _taken(account) from None
        if found == 0:
            raise _gone(account.id)

    def delete_account(self, account_id: str) -> None:
        self._database.execute("DELETE FROM account WHERE id = %s", account_id)

    def account(self, account_id: str) -> Account | None:
        row = self._database.row(f"SELECT {_OF_ACCOUNTS} FROM account WHERE id = %s", (account_id,))
        return _account(row) if row else None

    def account_named(self, name: str) -> Account | None:
        row = self._database.row(f"SELECT {_OF_ACCOUNTS} FROM account WHERE name = %s", (name,))
        return _account(row) if row else None

    def accounts(self) -> list[Account]:
        rows = self._database.rows(f'SELECT {_OF_ACCOUNTS} FROM account ORDER BY name COLLATE "C"')
        return [_account(row) for row in rows]

    def add_session(self, session: Session) -> None:
        self._add_owned(
            session.account_id,
            f"INSERT INTO session ({_OF_SESSIONS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            session.digest,
            session.id,
            session.account_id,
            session.created_at,
            session.seen_at,
            session.expires_at,
            session.address,
            session.browser,
        )

    def session(self, digest: str) -> Session | None:
        row = self._database.row(f"SELECT {_OF_SESSIONS} FROM session WHERE digest = %s", (digest,))
        return _session(row) if row else None

    def sessions_of(self, account_id: str) -> list[Session]:
        rows = self._database.rows(
            f"SELECT {_OF_SESSIONS} FROM session WHERE account_id = %s ORDER BY created_at DESC, id",
            (account_id,),
        )
        return [_session(row) for row in rows]

    def touch_session(self, digest: str, seen_at: datetime) -> None:
        self._database.execute("UPDATE session SET seen_at = %s WHERE digest = %s", seen_at, digest)

    def delete_session(self, digest: str) -> None:
        self._database.execute("DELETE FROM session WHERE digest = %s", digest)

    def delete_sessions_of(self, account_id: str) -> None:
        self._database.execute("DELETE FROM session WHERE account_id = %s", account_id)

    def delete_sessions_before(self, expired: datetime) -> int:
        return self._database.execute("DELETE FROM session WHERE expires_at < %s", expired)

    def add_token(self, token: ApiToken) -> None:
        self._add_owned(
            token.account_id,
            f"INSERT INTO api_token ({_OF_TOKENS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
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

    def token(self, digest: str) -> ApiToken | None:
        row = self._database.row(f"SELECT {_OF_TOKENS} FROM api_token WHERE digest = %s", (digest,))
        return _token(row) if row else None

    def tokens_of(self, account_id: str) -> list[ApiToken]:
        rows = self._database.rows(
            f"SELECT {_OF_TOKENS} FROM api_token WHERE account_id = %s ORDER BY created_at DESC, id",
            (account_id,),
        )
        return [_token(row) for row in rows]

    def touch_token(self, digest: str, used_at: datetime) -> None:
        self._database.execute("UPDATE api_token SET last_used_at = %s WHERE digest = %s", used_at, digest)

    def delete_token(self, digest: str) -> None:
        self._database.execute("DELETE FROM api_token WHERE digest = %s", digest)

    def _add_owned(self, account_id: str, statement: LiteralString, *values: Any) -> None:
        try:
            self._database.execute(statement, *values)
        except errors.ForeignKeyViolation:
            raise _gone(account_id) from None


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
