"""Accounts, sessions and API tokens in `records.db`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import apsw
import msgspec

from cityloom.access.model import Account, ApiToken, Session
from cityloom.adapters.sqlite.records import Records
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import Conflict, NotFound
from cityloom.kernel.time import from_millis, to_millis

MIGRATIONS = (
    """
    CREATE TABLE account (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        display_name TEXT NOT NULL,
        roles TEXT NOT NULL,
        password_hash TEXT NOT NULL,
        must_change_password INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        password_lapses_at INTEGER,
        disabled INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE session (
        digest TEXT PRIMARY KEY,
        id TEXT NOT NULL,
        account_id TEXT NOT NULL REFERENCES account ON DELETE CASCADE,
        created_at INTEGER NOT NULL,
        seen_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        address TEXT NOT NULL,
        browser TEXT NOT NULL
    ) STRICT;
    CREATE INDEX session_of ON session (account_id, created_at);
    CREATE TABLE api_token (
        digest TEXT PRIMARY KEY,
        id TEXT NOT NULL,
        account_id TEXT NOT NULL REFERENCES account ON DELETE CASCADE,
        label TEXT NOT NULL,
        permissions TEXT NOT NULL,
        clearance TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        last_used_at INTEGER
    ) STRICT;
    CREATE INDEX api_token_of ON api_token (account_id, created_at);
    """,
)

_Names = msgspec.json.Decoder(frozenset[str])
_Classes = msgspec.json.Decoder(frozenset[InformationClass])


class SqliteAccountStore:
    """An `AccountStore` in the file of records."""

    def __init__(self, records: Records) -> None:
        self._records = records
        records.prepare("accounts", MIGRATIONS)

    def add_account(self, account: Account) -> None:
        with self._records.write() as connection:
            try:
                connection.execute("INSERT INTO account VALUES (?,?,?,?,?,?,?,?,?)", _account_row(account))
            except apsw.ConstraintError:
                raise _taken(account) from None

    def save_account(self, account: Account) -> None:
        with self._records.write() as connection:
            try:
                connection.execute(
                    "UPDATE account SET name = ?2, display_name = ?3, roles = ?4, password_hash = ?5, "
                    "must_change_password = ?6, created_at = ?7, password_lapses_at = ?8, disabled = ?9 "
                    "WHERE id = ?1",
                    _account_row(account),
                )
            except apsw.ConstraintError:
                raise _taken(account) from None
            if connection.changes() == 0:
                raise _gone(account.id)

    def delete_account(self, account_id: str) -> None:
        self._execute("DELETE FROM account WHERE id = ?", account_id)

    def account(self, account_id: str) -> Account | None:
        row = self._records.row("SELECT * FROM account WHERE id = ?", (account_id,))
        return _account(row) if row else None

    def account_named(self, name: str) -> Account | None:
        row = self._records.row("SELECT * FROM account WHERE name = ?", (name,))
        return _account(row) if row else None

    def accounts(self) -> list[Account]:
        return [_account(row) for row in self._records.rows("SELECT * FROM account ORDER BY name")]

    def add_session(self, session: Session) -> None:
        self._add_owned(
            session.account_id,
            "INSERT INTO session VALUES (?,?,?,?,?,?,?,?)",
            session.digest,
            session.id,
            session.account_id,
            to_millis(session.created_at),
            to_millis(session.seen_at),
            to_millis(session.expires_at),
            session.address,
            session.browser,
        )

    def session(self, digest: str) -> Session | None:
        row = self._records.row("SELECT * FROM session WHERE digest = ?", (digest,))
        return _session(row) if row else None

    def sessions_of(self, account_id: str) -> list[Session]:
        statement = "SELECT * FROM session WHERE account_id = ? ORDER BY created_at DESC, id"
        return [_session(row) for row in self._records.rows(statement, (account_id,))]

    def touch_session(self, digest: str, seen_at: datetime) -> None:
        self._execute("UPDATE session SET seen_at = ? WHERE digest = ?", to_millis(seen_at), digest)

    def delete_session(self, digest: str) -> None:
        self._execute("DELETE FROM session WHERE digest = ?", digest)

    def delete_sessions_of(self, account_id: str) -> None:
        self._execute("DELETE FROM session WHERE account_id = ?", account_id)

    def delete_sessions_before(self, expired: datetime) -> int:
        with self._records.write() as connection:
            connection.execute("DELETE FROM session WHERE expires_at < ?", (to_millis(expired),))
            return int(connection.changes())

    def add_token(self, token: ApiToken) -> None:
        self._add_owned(
            token.account_id,
            "INSERT INTO api_token VALUES (?,?,?,?,?,?,?,?,?)",
            token.digest,
            token.id,
            token.account_id,
            token.label,
            _names(token.permissions),
            msgspec.json.encode(sorted(token.clearance)).decode(),
            to_millis(token.created_at),
            to_millis(token.expires_at),
            _millis(token.last_used_at),
        )

    def token(self, digest: str) -> ApiToken | None:
        row = self._records.row("SELECT * FROM api_token WHERE digest = ?", (digest,))
        return _token(row) if row else None

    def tokens_of(self, account_id: str) -> list[ApiToken]:
        statement = "SELECT * FROM api_token WHERE account_id = ? ORDER BY created_at DESC, id"
        return [_token(row) for row in self._records.rows(statement, (account_id,))]

    def touch_token(self, digest: str, used_at: datetime) -> None:
        self._execute("UPDATE api_token SET last_used_at = ? WHERE digest = ?", to_millis(used_at), digest)

    def delete_token(self, digest: str) -> None:
        self._execute("DELETE FROM api_token WHERE digest = ?", digest)

    def _execute(self, statement: str, *values: Any) -> None:
        with self._records.write() as connection:
            connection.execute(statement, values)

    def _add_owned(self, account_id: str, statement: str, *values: Any) -> None:
        try:
            self._execute(statement, *values)
        except apsw.ConstraintError:
            raise _gone(account_id) from None


def _gone(account_id: str) -> NotFound:
    return NotFound(f"There is no account {account_id!r}", hint="List the accounts.")


def _taken(account: Account) -> Conflict:
    return Conflict(f"There is an account {account.name!r}", hint="Choose another name.", where="name")


def _names(names: frozenset[str]) -> str:
    return msgspec.json.encode(sorted(names)).decode()


def _millis(at: datetime | None) -> int | None:
    return None if at is None else to_millis(at)


def _instant(millis: int | None) -> datetime | None:
    return None if millis is None else from_millis(millis)


def _account_row(account: Account) -> tuple[Any, ...]:
    return (
        account.id,
        account.name,
        account.display_name,
        _names(account.roles),
        account.password_hash,
        int(account.must_change_password),
        to_millis(account.created_at),
        _millis(account.password_lapses_at),
        int(account.disabled),
    )


def _account(row: tuple[Any, ...]) -> Account:
    account_id, name, display_name, roles, password_hash, must_change, created_at, lapses_at, disabled = row
    return Account(
        id=account_id,
        name=name,
        display_name=display_name,
        roles=_Names.decode(roles),
        password_hash=password_hash,
        must_change_password=bool(must_change),
        created_at=from_millis(created_at),
        password_lapses_at=_instant(lapses_at),
        disabled=bool(disabled),
    )


def _session(row: tuple[Any, ...]) -> Session:
    digest, session_id, account_id, created_at, seen_at, expires_at, address, browser = row
    return Session(
        digest=digest,
        id=session_id,
        account_id=account_id,
        created_at=from_millis(created_at),
        seen_at=from_millis(seen_at),
        expires_at=from_millis(expires_at),
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
        permissions=_Names.decode(permissions),
        clearance=_Classes.decode(clearance),
        created_at=from_millis(created_at),
        expires_at=from_millis(expires_at),
        last_used_at=_instant(used_at),
    )
