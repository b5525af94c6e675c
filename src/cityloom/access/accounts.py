"""Accounts: who may sign in, as whom, and for how long."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Iterable
from datetime import timedelta

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.access.authority import require
from cityloom.access.credentials import new_id
from cityloom.access.errors import NotSignedIn
from cityloom.access.model import Account
from cityloom.access.passwords import Passwords, check_password, generate_password
from cityloom.access.ports import AccountStore
from cityloom.access.roles import (
    FOR_PROGRAMS,
    PASSWORD_CHANGE_DUE,
    SESSION_ONLY,
    check_roles,
    clearance_of,
    permissions_of,
)
from cityloom.access.sessions import SessionRules, Sessions, SignedIn
from cityloom.access.throttle import SignInThrottle, network_of
from cityloom.access.tokens import ApiTokens, NewToken
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed, NotFound
from cityloom.kernel.time import Clock, WallClock

#: How long a password that somebody else set waits for its first use.
FIRST_PASSWORD_LASTS = timedelta(days=7)

_NAME = re.compile(r"[a-z0-9æøåäöüéèß][a-z0-9æøåäöüéèß._@+-]{1,63}")
_REFUSED = "The user name or the password is not right"

#: Who acts when a city is set up, before there is anybody.
SET_UP = Actor(id="set-up", name="Set-up", permissions=frozenset({"accounts:manage"}))


class NewPassword(msgspec.Struct, frozen=True):
    """A password that the city made: shown once, to be changed at first use."""

    account_id: str
    name: str
    password: str

    def __repr__(self) -> str:
        return f"NewPassword(name={self.name!r})"


def fold_name(name: str) -> str:
    """The user name as it is compared: case and composition make no difference."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


class Accounts:
    """Creates, changes and opens accounts. Each act is written into the audit log before it is done.

    `clock` is the wall clock also in a city that replays the past: sessions expire in the real world.
    """

    def __init__(
        self,
        store: AccountStore,
        audit: AuditLog,
        clock: Clock | None = None,
        *,
        passwords: Passwords | None = None,
        throttle: SignInThrottle | None = None,
        rules: SessionRules | None = None,
    ) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock or WallClock()
        self._passwords = passwords or Passwords()
        self._throttle = throttle or SignInThrottle()
        # Between looking ("is this the last administrator?") and acting nobody else may act.
        self._changing = asyncio.Lock()
        self.sessions = Sessions(store, audit, self._clock, rules or SessionRules())
        self.tokens = ApiTokens(store, audit, self._clock)

    # -- who is it -------------------------------------------------------------------------------------

    async def authenticate(
        self, name: str, password: str, *, address: str = "", browser: str = ""
    ) -> SignedIn:
        """Sign in. Raises NotSignedIn, in the same time and words whatever was wrong, or TooManyAttempts."""
        folded = fold_name(name)[:64]
        account = self._store.account_named(folded) if _NAME.fullmatch(folded) else None
        known = account is not None and self._known_at(account.id, address)
        self._throttle.attempt(folded, address, known=known)
        right = await self._passwords.verify(account.password_hash if account else None, password)
        if account is None or not right or not self._may_enter(account):
            await self._record_refusal(account, address)
            raise NotSignedIn(_REFUSED, hint="Check both. An administrator can set a new password.")
        self._throttle.succeeded(folded, address, known=known)
        await self._renew_hash(account, password)
        return await self.sessions.open(account, address=address, browser=browser)

    async def actor_for_session(self, token: str, *, seen: bool = True) -> Actor | None:
        """Who holds a session's token; None when it has expired, was revoked, or never was."""
        session = await self.sessions.find(token, seen=seen)
        account = self._store.account(session.account_id) if session else None
        if account is None or account.disabled:
            return None
        return actor_of(account)

    async def actor_for_token(self, token: str) -> Actor | None:
        """Who holds an API token: its owner with the part of the owner's rights that the token has."""
        found = await self.tokens.find(token)
        account = self._store.account(found.account_id) if found else None
        if found is None or account is None or account.disabled or account.must_change_password:
            return None
        owner = actor_of(account)
        return Actor(
            id=owner.id,
            name=f"{owner.name} ({found.label})",
            roles=frozenset({"token"}),
            permissions=owner.permissions & found.permissions,
            clearance=owner.clearance & found.clearance,
        )

    def actor_now(self, actor_id: str) -> Actor | None:
        """An account's Actor with the rights it has now; None when it is gone or closed."""
        account = self._store.account(actor_id)
        return None if account is None or account.disabled else actor_of(account)

    def id_of(self, name: str) -> str | None:
        """The id of the account that signs in with a name; None where there is none."""
        folded = fold_name(name)[:64]
        account = self._store.account_named(folded) if _NAME.fullmatch(folded) else None
        return account.id if account else None

    def user_name(self, actor_id: str) -> str:
        """The name that an account signs in with; the id itself where it is no account's."""
        account = self._store.account(actor_id)
        return actor_id if account is None else account.name

    def display_name(self, actor_id: str) -> str:
        """The name of an account for pages; the id itself for others, and for accounts that are gone."""
        account = self._store.account(actor_id)
        return account.display_name if account else actor_id

    # -- one's own -------------------------------------------------------------------------------------

    async def change_password(
        self, actor: Actor, current: str, wanted: str, *, address: str = "", browser: str = ""
    ) -> SignedIn:
        """Choose a password. All sessions of the account end; the one returned takes their place."""
        require(actor, "password:change")
        account = self._own(actor)
        chosen = check_password(wanted, user_name=account.name, where="password")
        known = self._known_at(account.id, address)
        self._throttle.attempt(account.name, address, known=known)
        if not await self._passwords.verify(account.password_hash, current):
            raise BadInput("The current password is not right", hint="Type it again.", where="current")
        self._throttle.succeeded(account.name, address, known=known)
        if await self._passwords.verify(account.password_hash, chosen):
            raise BadInput("That is the password you have", hint="Choose another.", where="password")
        hashed = await self._passwords.hash(chosen)
        await self._audit.record(actor, "password.change", account.id)
        async with self._changing:
            account = msgspec.structs.replace(
                self._own(actor),
                password_hash=hashed,
                must_change_password=False,
                password_lapses_at=None,
            )
            await asyncio.to_thread(self._store.save_account, account)
        await asyncio.to_thread(self._store.delete_sessions_of, account.id)
        return await self.sessions.open(account, address=address, browser=browser)

    # -- administration --------------------------------------------------------------------------------

    async def first_administrator(self, name: str = "admin") -> NewPassword | None:
        """Make the first account, when there is none yet; None otherwise. Its password does not lapse."""
        if self._store.accounts():
            return None
        made = await self.create(SET_UP, name, display_name="Administrator", roles=["administrator"])
        account = self._existing(made.account_id)
        await asyncio.to_thread(
            self._store.save_account, msgspec.structs.replace(account, password_lapses_at=None)
        )
        return made

    async def create(
        self, actor: Actor, name: str, *, display_name: str = "", roles: Iterable[str]
    ) -> NewPassword:
        """A new account with a made password that must be changed at first use. Needs accounts:manage."""
        require(actor, "accounts:manage")
        folded = fold_name(name)
        if not _NAME.fullmatch(folded):
            raise BadInput(
                f"{name[:64]!r} cannot be a user name",
                hint="Use 2 to 64 letters, digits and . _ @ + -, beginning with a letter or a digit.",
                where="name",
            )
        held = check_roles(roles)
        if self._store.account_named(folded) is not None:
            raise Conflict(f"There is an account {folded!r}", hint="Choose another name.", where="name")
        password = generate_password()
        now = self._clock.now()
        account = Account(
            id=new_id("person:"),
            name=folded,
            display_name=_check_display_name(display_name) or folded,
            roles=held,
            password_hash=await self._passwords.hash(password),
            must_change_password=True,
            created_at=now,
            password_lapses_at=now + FIRST_PASSWORD_LASTS,
        )
        await self._audit.record(actor, "account.create", account.id, {"name": folded, "roles": sorted(held)})
        await asyncio.to_thread(self._store.add_account, account)
        return NewPassword(account.id, folded, password)

    async def change_roles(self, actor: Actor, account_id: str, roles: Iterable[str]) -> Account:
        """Give other roles; they hold from the account's next request on. Needs accounts:manage."""
        require(actor, "accounts:manage")
        held = check_roles(roles)
        async with self._changing:
            account = self._existing(account_id)
            if "administrator" not in held:
                self._keep_an_administrator(account)
            detail = {"from": sorted(account.roles), "to": sorted(held)}
            await self._audit.record(actor, "account.roles", account.id, detail)
            changed = msgspec.structs.replace(account, roles=held)
            await asyncio.to_thread(self._store.save_account, changed)
        return changed

    async def disable(self, actor: Actor, account_id: str, *, disabled: bool = True) -> Account:
        """Close an account, or open it again. Its sessions end at once. Needs accounts:manage."""
        require(actor, "accounts:manage")
        async with self._changing:
            account = self._existing(account_id)
            if disabled:
                self._keep_an_administrator(account)
            await self._audit.record(actor, "account.disable" if disabled else "account.enable", account.id)
            changed = msgspec.structs.replace(account, disabled=disabled)
            await asyncio.to_thread(self._store.save_account, changed)
        if disabled:
            await asyncio.to_thread(self._store.delete_sessions_of, account.id)
        return changed

    async def reset_password(self, actor: Actor, account_id: str) -> NewPassword:
        """Make a password for somebody who lost theirs; their sessions end. Needs accounts:manage."""
        require(actor, "accounts:manage")
        password = generate_password()
        hashed = await self._passwords.hash(password)
        async with self._changing:
            account = self._existing(account_id)
            await self._audit.record(actor, "password.reset", account.id)
            changed = msgspec.structs.replace(
                account,
                password_hash=hashed,
                must_change_password=True,
                password_lapses_at=self._clock.now() + FIRST_PASSWORD_LASTS,
            )
            await asyncio.to_thread(self._store.save_account, changed)
        await asyncio.to_thread(self._store.delete_sessions_of, account.id)
        return NewPassword(account.id, account.name, password)

    async def token_of_a_program(self, actor: Actor, name: str, label: str, *, days: int) -> NewToken:
        """A token with which the account of a device or an edge delivers, and reads nothing.

        Nobody has to sign in as a program: a first password that was never used is replaced by one that
        nobody knows. Needs accounts:manage. Raises NotFound, BadInput where the account is a person's,
        NotAllowed where it is closed.
        """
        account = await self.named(actor, name)
        if not account.roles or not account.roles <= FOR_PROGRAMS:
            hint = (
                f"Their owners make theirs on the page Your account. Here: {', '.join(sorted(FOR_PROGRAMS))}."
            )
            raise BadInput(f"{account.name!r} is a person's account", hint=hint, where="name")
        if account.disabled:
            raise NotAllowed(
                f"The account {account.name!r} is closed", hint="Open it again first.", where="name"
            )
        if account.must_change_password:
            hashed = await self._passwords.hash(generate_password())
            await self._audit.record(actor, "password.reset", account.id)
            settled = {"password_hash": hashed, "must_change_password": False, "password_lapses_at": None}
            async with self._changing:
                account = msgspec.structs.replace(self._existing(account.id), **settled)
                await asyncio.to_thread(self._store.save_account, account)
            await asyncio.to_thread(self._store.delete_sessions_of, account.id)
        owner = actor_of(account)
        permissions = owner.permissions - SESSION_ONLY - {"entities:read"}
        return await self.tokens.create(
            owner, label, permissions=permissions, clearance=owner.clearance, days=days, asked_by=actor
        )

    async def erase(self, actor: Actor, account_id: str) -> None:
        """Remove an account with its sessions and tokens. Needs accounts:manage."""
        require(actor, "accounts:manage")
        async with self._changing:
            account = self._existing(account_id)
            self._keep_an_administrator(account)
            await self._audit.record(actor, "account.erase", account.id)
            await asyncio.to_thread(self._store.delete_account, account.id)

    def check_may_go(self, actor: Actor, account_id: str) -> None:
        """Raise where an account may not be removed at this actor's wish, whoever does it then: Conflict for
        the last administrator, NotAllowed for one whom the actor has no power over."""
        account = self._existing(account_id)
        if "accounts:manage" in permissions_of(account.roles):
            require(actor, "accounts:manage")
        self._keep_an_administrator(account)

    async def all(self, actor: Actor) -> list[Account]:
        """Every account, by name. Needs accounts:manage."""
        require(actor, "accounts:manage")
        return await asyncio.to_thread(self._store.accounts)

    async def named(self, actor: Actor, name: str) -> Account:
        """The account of a user name. Needs accounts:manage; raises NotFound."""
        require(actor, "accounts:manage")
        account = self._store.account_named(fold_name(name))
        if account is None:
            raise NotFound(f"There is no account {name[:64]!r}", hint="List the accounts.", where="name")
        return account

    # -- inside ----------------------------------------------------------------------------------------

    def _existing(self, account_id: str) -> Account:
        account = self._store.account(account_id)
        if account is None:
            raise NotFound(f"There is no account {account_id!r}", hint="List the accounts.", where="account")
        return account

    def _own(self, actor: Actor) -> Account:
        account = self._store.account(actor.id)
        if account is None:
            raise NotAllowed("Whoever has no account has no password", hint="Sign in first.")
        return account

    def _may_enter(self, account: Account) -> bool:
        lapses = account.password_lapses_at
        return not account.disabled and (lapses is None or self._clock.now() < lapses)

    def _known_at(self, account_id: str, address: str) -> bool:
        network = network_of(address)
        return any(network_of(session.address) == network for session in self._store.sessions_of(account_id))

    def _keep_an_administrator(self, leaving: Account) -> None:
        if "administrator" not in leaving.roles or leaving.disabled:
            return
        for account in self._store.accounts():
            if account.id != leaving.id and "administrator" in account.roles and not account.disabled:
                return
        raise Conflict(
            "This is the last administrator",
            hint="Make somebody else an administrator first.",
            where="roles",
        )

    async def _renew_hash(self, account: Account, password: str) -> None:
        if not self._passwords.outdated(account.password_hash):
            return
        hashed = await self._passwords.hash(password)
        async with self._changing:
            today = self._store.account(account.id)
            if today is not None and today.password_hash == account.password_hash:
                renewed = msgspec.structs.replace(today, password_hash=hashed)
                await asyncio.to_thread(self._store.save_account, renewed)

    async def _record_refusal(self, account: Account | None, address: str) -> None:
        # A name that is no account is not written down: people type their password there.
        who = Actor(id=account.id, name=account.display_name) if account else Actor(id="anonymous")
        await self._audit.record(who, "session.refuse", account.id if account else "", {"address": address})


def _check_display_name(name: str) -> str:
    shown = name.strip()
    if len(shown) > 100 or not shown.isprintable():
        hint = "Use up to 100 letters, digits, signs and spaces."
        raise BadInput("The name cannot be shown on a page", hint=hint, where="displayName")
    return shown


def actor_of(account: Account) -> Actor:
    """The Actor that an account's session is: what its roles allow, or, while its first password waits to
    be changed, that alone."""
    if account.must_change_password:
        return Actor(
            id=account.id,
            name=account.display_name,
            roles=frozenset({PASSWORD_CHANGE_DUE.name}),
            permissions=frozenset({"password:change"}),
        )
    return Actor(
        id=account.id,
        name=account.display_name,
        roles=account.roles,
        permissions=permissions_of(account.roles),
        clearance=clearance_of(account.roles),
    )
