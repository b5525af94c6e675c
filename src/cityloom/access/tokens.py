"""API tokens: keys for programs, with a part of their owner's rights, for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.access.authority import require
from cityloom.access.credentials import API_TOKEN_PREFIX, digest, new_api_token, new_id
from cityloom.access.model import ApiToken
from cityloom.access.ports import AccountStore
from cityloom.access.roles import PERMISSIONS, SESSION_ONLY
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed, NotFound, NotReady
from cityloom.kernel.time import Clock

LONGEST_DAYS = 366
_PER_ACCOUNT = 50
_LONGEST_TOKEN = 128
_LONGEST_LABEL = 80
_USED_EVERY = timedelta(minutes=1)


class NewToken(msgspec.Struct, frozen=True):
    """A token with its secret, which is shown this once."""

    secret: str
    token: ApiToken

    def __repr__(self) -> str:
        return f"NewToken(id={self.token.id!r})"


class ApiTokens:
    """Makes, finds and revokes tokens. The secret is kept as its digest alone."""

    def __init__(self, store: AccountStore, audit: AuditLog, clock: Clock) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock

    async def create(
        self,
        actor: Actor,
        label: str,
        *,
        permissions: Iterable[str],
        clearance: Iterable[InformationClass] = (InformationClass.OPEN,),
        days: int = 90,
        asked_by: Actor | None = None,
    ) -> NewToken:
        """A token with no more than the actor's own rights; it loses what its owner loses.

        `asked_by` is who stands in the audit log where that is another than the owner.
        Raises BadInput for a label, a permission or a life that cannot be, NotAllowed for more than one has.
        """
        require(actor, "tokens:own")
        if self._store.account(actor.id) is None:
            raise NotAllowed("A token belongs to an account", hint="Sign in with an account first.")
        wanted, cleared = frozenset(permissions), frozenset(clearance)
        _check_rights(actor, wanted, cleared)
        named = _check_label(label)
        if not 1 <= days <= LONGEST_DAYS:
            hint = f"Choose 1 to {LONGEST_DAYS} days; make a new one then."
            raise BadInput(f"A token cannot live {days} days", hint=hint, where="days")
        if len(self._store.tokens_of(actor.id)) >= _PER_ACCOUNT:
            hint = "Revoke those that are no longer used."
            raise Conflict(f"There are {_PER_ACCOUNT} tokens already", hint=hint, where="tokens")
        secret, now = new_api_token(), self._clock.now()
        token = ApiToken(
            digest=digest(secret),
            id=new_id("token:"),
            account_id=actor.id,
            label=named,
            permissions=wanted,
            clearance=cleared,
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        detail = {"label": named, "permissions": sorted(wanted), "classes": sorted(c.label for c in cleared)}
        await self._audit.record(asked_by or actor, "token.create", token.id, detail)
        await asyncio.to_thread(self._store.add_token, token)
        return NewToken(secret, token)

    async def find(self, secret: str) -> ApiToken | None:
        """The live token of a secret. Its use is written down, at most once a minute."""
        if not secret.startswith(API_TOKEN_PREFIX) or len(secret) > _LONGEST_TOKEN:
            return None
        token = self._store.token(digest(secret))
        now = self._clock.now()
        if token is None or now >= token.expires_at:
            return None
        if token.last_used_at is None or now - token.last_used_at >= _USED_EVERY:
            # A full disk keeps nobody from reading.
            with suppress(NotReady):
                await asyncio.to_thread(self._store.touch_token, token.digest, now)
        return token

    async def own(self, actor: Actor) -> list[ApiToken]:
        """The actor's tokens, expired ones too, the newest first."""
        require(actor, "tokens:own")
        return await asyncio.to_thread(self._store.tokens_of, actor.id)

    async def revoke(self, actor: Actor, token_id: str, *, account_id: str = "") -> None:
        """Revoke one token, one's own or (with accounts:manage) somebody else's. It holds at once."""
        owner = account_id or actor.id
        require(actor, "tokens:own" if owner == actor.id else "accounts:manage")
        for token in await asyncio.to_thread(self._store.tokens_of, owner):
            if token.id == token_id:
                await self._audit.record(actor, "token.revoke", token.id)
                await asyncio.to_thread(self._store.delete_token, token.digest)
                return
        raise NotFound("There is no such token", hint="It may be revoked already.", where="token")


def _check_rights(actor: Actor, wanted: frozenset[str], cleared: frozenset[InformationClass]) -> None:
    for name in sorted(wanted):
        if name not in PERMISSIONS or name in SESSION_ONLY:
            offered = sorted(actor.permissions - SESSION_ONLY)
            hint = f"Choose from: {', '.join(offered)}."
            raise BadInput(f"{name!r} is not a permission of tokens", hint=hint, where="permissions")
    beyond = sorted(wanted - actor.permissions) + sorted(c.label for c in cleared - actor.clearance)
    if beyond:
        raise NotAllowed(
            f"You do not have {', '.join(beyond)} yourself",
            hint="A token has no more than its owner's rights.",
            where="permissions",
        )


def _check_label(label: str) -> str:
    named = label.strip()
    if not 0 < len(named) <= _LONGEST_LABEL or not named.isprintable():
        hint = "Say what it is for: the program, the machine."
        raise BadInput(f"A label has 1 to {_LONGEST_LABEL} characters", hint=hint, where="label")
    return named
