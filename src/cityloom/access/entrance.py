"""The entrance: from what a request shows to the Actor it acts as."""

from __future__ import annotations

import secrets

from cityloom.access.accounts import Accounts
from cityloom.access.authority import OPEN_ACCESS, TERMINAL
from cityloom.access.errors import NotSignedIn
from cityloom.kernel.actor import ANONYMOUS, Actor
from cityloom.kernel.time import to_millis


class Access:
    """Tells who asks. With `open_access` everybody may do everything; `authority.check_open_access` says
    where that may be served. `local_key` is the bearer that the owner of the city's folder can read there."""

    def __init__(self, accounts: Accounts, *, open_access: bool = False, local_key: str = "") -> None:
        self.accounts = accounts
        self.open_access = open_access
        self._local_key = local_key

    async def actor_for(self, *, session: str | None = None, bearer: str | None = None) -> Actor:
        """The Actor of a request that shows a session's cookie, an API token, or nothing.

        A token that opens nothing raises NotSignedIn: a program must learn that its key is dead. A cookie
        that opens nothing makes a visitor: what is open stays open to a browser that slept too long.
        """
        if bearer is not None:
            if self._local_key and secrets.compare_digest(bearer.encode(), self._local_key.encode()):
                return TERMINAL
            actor = await self.accounts.actor_for_token(bearer)
            if actor is None:
                raise NotSignedIn(
                    "The token opens nothing here",
                    hint="It may have expired or been revoked; make a new one.",
                    where="Authorization",
                )
            return actor
        if session is not None and (holder := await self.accounts.actor_for_session(session)):
            return holder
        return OPEN_ACCESS if self.open_access else ANONYMOUS

    async def is_still(self, actor: Actor, *, session: str | None = None, bearer: str | None = None) -> bool:
        """Whether what was shown when something long began still makes the same Actor with the same rights.

        Asking is no sign of life: a page that is left open keeps no session from ending by rest.
        """
        if bearer is not None:
            try:
                return await self.actor_for(bearer=bearer) == actor
            except NotSignedIn:
                return False
        if session and (holder := await self.accounts.actor_for_session(session, seen=False)):
            return holder == actor
        return actor == (OPEN_ACCESS if self.open_access else ANONYMOUS)

    async def token_ends(self, bearer: str) -> int:
        """When an API token ends that was shown, milliseconds since 1970; 0 for anything else."""
        found = await self.accounts.tokens.find(bearer)
        return 0 if found is None else to_millis(found.expires_at)

    def now(self, actor_id: str) -> Actor | None:
        """Who an `Actor.id` stands for now, with today's rights; None when nobody may act under it."""
        if actor_id == TERMINAL.id:
            return TERMINAL
        if actor_id == OPEN_ACCESS.id:
            return OPEN_ACCESS if self.open_access else None
        return self.accounts.actor_now(actor_id)
