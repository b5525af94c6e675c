"""Accounts and the audit log in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import msgspec

from cityloom.access.model import Account, ApiToken, AuditEntry, Session
from cityloom.kernel.errors import Conflict, NotFound


class MemoryAccountStore:
    """An `AccountStore` that survives nothing."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._accounts: dict[str, Account] = {}
        #: Ids by name.
        self._names: dict[str, str] = {}
        self._sessions: dict[str, Session] = {}
        self._tokens: dict[str, ApiToken] = {}

    def add_account(self, account: Account) -> None:
        with self._lock:
            if account.id in self._accounts or self.account_named(account.name):
                raise _taken(account)
            self._keep(account)

    def save_account(self, account: Account) -> None:
        with self._lock:
            self._owned(account.id)
            namesake = self.account_named(account.name)
            if namesake is not None and namesake.id != account.id:
                raise _taken(account)
            del self._names[self._accounts[account.id].name]
            self._keep(account)

    def delete_account(self, account_id: str) -> None:
        with self._lock:
            gone = self._accounts.pop(account_id, None)
            if gone is not None:
                del self._names[gone.name]
            self.delete_sessions_of(account_id)
            for token in self.tokens_of(account_id):
                del self._tokens[token.digest]

    def account(self, account_id: str) -> Account | None:
        return self._accounts.get(account_id)

    def account_named(self, name: str) -> Account | None:
        with self._lock:
            return self._accounts.get(self._names.get(name, ""))

    def _keep(self, account: Account) -> None:
        self._accounts[account.id] = account
        self._names[account.name] = account.id

    def accounts(self) -> list[Account]:
        with self._lock:
            return sorted(self._accounts.values(), key=lambda account: account.name)

    def add_session(self, session: Session) -> None:
        with self._lock:
            self._owned(session.account_id)
            self._sessions[session.digest] = session

    def session(self, digest: str) -> Session | None:
        return self._sessions.get(digest)

    def sessions_of(self, account_id: str) -> list[Session]:
        with self._lock:
            own = [session for session in self._sessions.values() if session.account_id == account_id]
        return sorted(own, key=lambda session: session.created_at, reverse=True)

    def touch_session(self, digest: str, seen_at: datetime) -> None:
        with self._lock:
            if kept := self._sessions.get(digest):
                self._sessions[digest] = msgspec.structs.replace(kept, seen_at=seen_at)

    def delete_session(self, digest: str) -> None:
        with self._lock:
            self._sessions.pop(digest, None)

    def delete_sessions_of(self, account_id: str) -> None:
        with self._lock:
            for session in self.sessions_of(account_id):
                del self._sessions[session.digest]

    def delete_sessions_before(self, expired: datetime) -> int:
        with self._lock:
            gone = [digest for digest, session in self._sessions.items() if session.expires_at < expired]
            for digest in gone:
                del self._sessions[digest]
        return len(gone)

    def add_token(self, token: ApiToken) -> None:
        with self._lock:
            self._owned(token.account_id)
            self._tokens[token.digest] = token

    def token(self, digest: str) -> ApiToken | None:
        return self._tokens.get(digest)

    def tokens_of(self, account_id: str) -> list[ApiToken]:
        with self._lock:
            own = [token for token in self._tokens.values() if token.account_id == account_id]
        return sorted(own, key=lambda token: token.created_at, reverse=True)

    def touch_token(self, digest: str, used_at: datetime) -> None:
        with self._lock:
            if kept := self._tokens.get(digest):
                self._tokens[digest] = msgspec.structs.replace(kept, last_used_at=used_at)

    def delete_token(self, digest: str) -> None:
        with self._lock:
            self._tokens.pop(digest, None)

    def _owned(self, account_id: str) -> None:
        if account_id not in self._accounts:
            raise NotFound(f"There is no account {account_id!r}", hint="List the accounts.")


class MemoryAuditStore:
    """An `AuditStore` that survives nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[AuditEntry] = []

    def append(self, make: Callable[[AuditEntry | None], AuditEntry]) -> AuditEntry:
        with self._lock:
            entry = make(self._entries[-1] if self._entries else None)
            self._entries.append(entry)
            return entry

    def read(self, after: int, limit: int) -> list[AuditEntry]:
        with self._lock:
            return [entry for entry in self._entries if entry.sequence > after][:limit]

    def last(self) -> AuditEntry | None:
        with self._lock:
            return self._entries[-1] if self._entries else None


def _taken(account: Account) -> Conflict:
    return Conflict(f"There is an account {account.name!r}", hint="Choose another name.", where="name")
