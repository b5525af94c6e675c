"""What is known of who signs in. None of it is an entity; passwords and tokens are kept as digests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from cityloom.kernel.actor import InformationClass


class Account(msgspec.Struct, frozen=True):
    """Somebody who may sign in. `id` stands in entities and logs and tells nothing of the person."""

    id: str
    #: What is typed at sign-in; folded by `accounts.fold_name`.
    name: str
    display_name: str
    roles: frozenset[str]
    #: The argon2id hash in its own encoding.
    password_hash: str
    must_change_password: bool
    created_at: datetime
    #: From when on a password that somebody else set no longer opens anything; None for a chosen one.
    password_lapses_at: datetime | None = None
    disabled: bool = False


class Session(msgspec.Struct, frozen=True):
    """A browser that has signed in. `digest` is that of its token."""

    digest: str
    id: str
    account_id: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str = ""
    browser: str = ""


class ApiToken(msgspec.Struct, frozen=True):
    """A key for a program: some of its owner's rights, for a time."""

    digest: str
    id: str
    account_id: str
    label: str
    permissions: frozenset[str]
    clearance: frozenset[InformationClass]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None


class AuditEntry(msgspec.Struct, frozen=True):
    """One thing somebody did, chained to the entry before it."""

    sequence: int
    at: datetime
    actor_id: str
    actor_name: str
    #: What was done, as "thing.verb": "account.create", "device.admit".
    action: str
    #: To what: an id.
    subject: str
    detail: dict[str, Any]
    #: Digest of the entry before; 64 zeros for the first.
    previous: str
    digest: str
