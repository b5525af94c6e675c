"""What access needs of the outside: a place for accounts, and one for the audit log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from cityloom.access.model import Account, ApiToken, AuditEntry, Session


class AccountStore(Protocol):
    """Accounts, their sessions and their tokens. Each call is one durable transaction.

    Reading is quick enough for the event loop (one indexed row); writing is called in a thread.
    """

    def add_account(self, account: Account) -> None:
        """Raises Conflict when the id or the name is taken."""
        ...

    def save_account(self, account: Account) -> None:
        """Raises NotFound when there is no account of that id, Conflict when the name is another's."""
        ...

    def delete_account(self, account_id: str) -> None:
        """Remove the account with its sessions and tokens; nothing happens when it is not there."""
        ...

    def account(self, account_id: str) -> Account | None: ...

    def account_named(self, name: str) -> Account | None: ...

    def accounts(self) -> list[Account]:
        """All accounts in the order of their names."""
        ...

    def add_session(self, session: Session) -> None:
        """Raises NotFound when its account is gone."""
        ...

    def session(self, digest: str) -> Session | None: ...

    def sessions_of(self, account_id: str) -> list[Session]:
        """The newest first."""
        ...

    def touch_session(self, digest: str, seen_at: datetime) -> None: ...

    def delete_session(self, digest: str) -> None: ...

    def delete_sessions_of(self, account_id: str) -> None: ...

    def delete_sessions_before(self, expired: datetime) -> int:
        """Forget the sessions that expired before an instant; returns how many went."""
        ...

    def add_token(self, token: ApiToken) -> None:
        """Raises NotFound when its account is gone."""
        ...

    def token(self, digest: str) -> ApiToken | None: ...

    def tokens_of(self, account_id: str) -> list[ApiToken]:
        """The newest first."""
        ...

    def touch_token(self, digest: str, used_at: datetime) -> None: ...

    def delete_token(self, digest: str) -> None: ...


class AuditStore(Protocol):
    """The audit log's entries. There is no way to change or remove one."""

    def append(self, make: Callable[[AuditEntry | None], AuditEntry]) -> AuditEntry:
        """Store durably what `make` returns for the newest entry (None: there is none yet).

        No other entry comes between, from this process or another.
        """
        ...

    def read(self, after: int, limit: int) -> list[AuditEntry]:
        """Up to `limit` entries with a sequence greater than `after`, in order."""
        ...

    def last(self) -> AuditEntry | None: ...
