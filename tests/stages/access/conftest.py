"""A small access room: accounts in memory, a clock that is moved by hand, hashing that costs nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher

from cityloom.access.accounts import Accounts
from cityloom.access.audit import AuditLog
from cityloom.access.passwords import Passwords
from cityloom.access.throttle import SignInThrottle
from cityloom.adapters.memory.accounts import MemoryAccountStore, MemoryAuditStore
from cityloom.kernel.actor import Actor

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ADMIN = Actor(id="person:root", name="Root", permissions=frozenset({"accounts:manage", "audit:read"}))


class MovedClock:
    def __init__(self) -> None:
        self.at = datetime(2026, 4, 12, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def pass_by(self, **time: float) -> None:
        self.at += timedelta(**time)

    def seconds(self) -> float:
        return self.at.timestamp()


class Room:
    """Everything of one access room, in reach of a test."""

    admin = ADMIN

    def __init__(self) -> None:
        self.clock = MovedClock()
        self.store = MemoryAccountStore()
        self.audit_store = MemoryAuditStore()
        self.audit = AuditLog(self.audit_store, self.clock)
        self.accounts = Accounts(
            self.store,
            self.audit,
            self.clock,
            passwords=Passwords(CHEAP),
            throttle=SignInThrottle(timer=self.clock.seconds),
        )

    async def member(self, name: str, *roles: str, password: str = "Seven quiet herons 7") -> str:
        """An account that has changed its first password; returns a session's token."""
        made = await self.accounts.create(ADMIN, name, roles=roles)
        first = await self.accounts.authenticate(name, made.password)
        actor = await self.accounts.actor_for_session(first.token)
        changed = await self.accounts.change_password(actor, made.password, password)
        return changed.token

    def actions(self) -> list[str]:
        return [entry.action for entry in self.audit_store.read(0, 1000)]


@pytest.fixture
def room() -> Room:
    return Room()
