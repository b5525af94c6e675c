"""Sessions of browsers: opened by signing in, ended by rest, by age, by signing out or by being revoked."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.access.authority import require
from cityloom.access.credentials import digest, new_id, new_secret
from cityloom.access.model import Account, Session
from cityloom.access.ports import AccountStore
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import NotFound, NotReady
from cityloom.kernel.time import Clock

_LONGEST_TOKEN = 128
#: Ended sessions are remembered so long, for the networks that an account is known at.
_REMEMBERED = timedelta(days=30)


class SessionRules(msgspec.Struct, frozen=True):
    """How long a session lasts: without a request, and at most."""

    idle: timedelta = timedelta(hours=2)
    longest: timedelta = timedelta(hours=16)
    #: Being seen is written down this often, not at each request.
    seen_every: timedelta = timedelta(minutes=1)
    per_account: int = 20


class SignedIn(msgspec.Struct, frozen=True):
    """What a browser gets: the token for its cookie."""

    token: str
    expires_at: datetime
    account_id: str
    must_change_password: bool

    def __repr__(self) -> str:
        return f"SignedIn(account_id={self.account_id!r})"


class Sessions:
    """Opens, finds and ends sessions. The token is kept as its digest alone."""

    def __init__(self, store: AccountStore, audit: AuditLog, clock: Clock, rules: SessionRules) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._rules = rules

    async def open(self, account: Account, *, address: str, browser: str) -> SignedIn:
        """A new session of somebody whose password was right."""
        token, now = new_secret(), self._clock.now()
        session = Session(
            digest=digest(token),
            id=new_id("session:"),
            account_id=account.id,
            created_at=now,
            seen_at=now,
            expires_at=now + self._rules.longest,
            address=address[:64],
            browser=browser[:200].encode("utf-8", "replace").decode(),
        )
        who = Actor(id=account.id, name=account.display_name)
        await self._audit.record(who, "session.open", session.id, {"address": session.address})
        await asyncio.to_thread(self._store.add_session, session)
        await asyncio.to_thread(self._make_room, account.id, now)
        return SignedIn(
            token=token,
            expires_at=session.expires_at,
            account_id=account.id,
            must_change_password=account.must_change_password,
        )

    async def find(self, token: str, *, seen: bool = True) -> Session | None:
        """The live session of a token. Being `seen` keeps it from ending by rest."""
        if not 0 < len(token) <= _LONGEST_TOKEN:
            return None
        session = self._store.session(digest(token))
        now = self._clock.now()
        if session is None or not self._alive(session, now):
            return None
        if seen and now - session.seen_at >= self._rules.seen_every:
            # A full disk keeps nobody from reading.
            with suppress(NotReady):
                await asyncio.to_thread(self._store.touch_session, session.digest, now)
        return session

    async def sign_out(self, token: str) -> None:
        """End the session of a token, if there is one."""
        session = self._store.session(digest(token[:_LONGEST_TOKEN]))
        if session is not None:
            await self._end(Actor(id=session.account_id), session)

    async def own(self, actor: Actor) -> list[Session]:
        """The actor's live sessions, the newest first."""
        require(actor, "password:change")
        now = self._clock.now()
        kept = await asyncio.to_thread(self._store.sessions_of, actor.id)
        return [session for session in kept if self._alive(session, now)]

    async def revoke(self, actor: Actor, session_id: str, *, account_id: str = "") -> None:
        """End one session, one's own or (with accounts:manage) somebody else's. It holds at once."""
        owner = account_id or actor.id
        require(actor, "password:change" if owner == actor.id else "accounts:manage")
        for session in await asyncio.to_thread(self._store.sessions_of, owner):
            if session.id == session_id:
                await self._end(actor, session)
                return
        raise NotFound("There is no such session", hint="It may have ended already.", where="session")

    async def _end(self, actor: Actor, session: Session) -> None:
        await self._audit.record(actor, "session.end", session.id)
        await asyncio.to_thread(self._store.delete_session, session.digest)

    def _alive(self, session: Session, now: datetime) -> bool:
        return now < session.expires_at and now - session.seen_at < self._rules.idle

    def _make_room(self, account_id: str, now: datetime) -> None:
        self._store.delete_sessions_before(now - _REMEMBERED)
        for session in self._store.sessions_of(account_id)[self._rules.per_account :]:
            self._store.delete_session(session.digest)
