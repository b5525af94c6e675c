"""Copies of subscriptions at sources: what is kept of them, and where each stands or is to (5.8.1.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from cityloom.access.quotas import Quota
from cityloom.context.ports import Register
from cityloom.context.registered import Registered
from cityloom.federation.copies import Copy
from cityloom.ngsild.registrations import Registration, RegistrationDocument, compile_registration

#: Copies at sources; they count against the subscription's owner.
QUOTA = Quota(5_000, 20_000, 1_000_000, 64_000_000, 256_000_000)
#: Members of a registration that say how its source is reached.
_REACH = frozenset(
    {"id", "endpoint", "tenant", "contextSourceAlias", "contextSourceInfo", "management", "operations"}
)

#: A subscription and a registration: tenant, the one's id, the other's.
Pair = tuple[str, str, str]


class Leg(msgspec.Struct, frozen=True):
    """A copy of a subscription at a source."""

    #: Opens the endpoint at which the source notifies this city, and stands in the copy's id. Secret.
    token: str
    tenant: str
    subscription: str
    #: Whose subscription it is: `Actor.id`.
    owner: str
    #: The source, as it was registered when it was last told: what it takes to reach it.
    registration: RegistrationDocument
    #: The copy's id there.
    remote: str
    #: What the source was last told; None: nothing that is known to have arrived.
    copy: Copy | None = None
    #: Since when the copy is to go; "": it is to stay.
    ending_since: str = ""

    @property
    def pair(self) -> Pair:
        """Tenant, subscription, registration."""
        return self.tenant, self.subscription, self.registration["id"]


class Legs:
    """Lives on the event loop. Changes are kept before they count."""

    def __init__(self, register: Register) -> None:
        self._kept = Registered(register, "copy of a subscription", Leg, QUOTA, lambda leg: leg.owner)
        self._by_token: dict[str, Leg] = {}
        #: Tokens of the copies that are to stay, by tenant and subscription, then by registration.
        self._standing: dict[tuple[str, str], dict[str, str]] = {}

    async def start(self) -> list[Leg]:
        """Take up what is kept; returns all of it."""
        await self._kept.start()
        for tenant in self._kept.tenants():
            for leg in self._kept.all(tenant):
                self._hold(leg)
        return list(self._by_token.values())

    def __contains__(self, token: str) -> bool:
        return token in self._by_token

    def __getitem__(self, token: str) -> Leg:
        return self._by_token[token]

    def find(self, token: str) -> Leg | None:
        """The copy whose source has this token."""
        return self._by_token.get(token)

    def subscriptions(self) -> Iterable[tuple[str, str]]:
        """Tenant and id of each subscription of which copies stand."""
        return self._standing.keys()

    def of_subscription(self, tenant: str, subscription: str) -> Iterable[str]:
        """The registrations at whose sources copies stand or are to stand."""
        return self._standing.get((tenant, subscription), {}).keys()

    def at(self, pair: Pair) -> Leg | None:
        """The copy of a subscription that stands, or is to stand, at a source."""
        token = self._standing.get(pair[:2], {}).get(pair[2])
        return None if token is None else self._by_token[token]

    def count(self, tenant: str, subscription: str) -> int:
        """At how many sources a subscription stands or is to stand."""
        return len(self._standing.get((tenant, subscription), ()))

    async def add(self, leg: Leg) -> None:
        """Keep a new one. Raises OverQuota."""
        await self._kept.add(leg.tenant, leg.token, leg)
        self._hold(leg)

    async def change(self, leg: Leg, **changed: Any) -> None:
        """Keep what has become of a copy; meanwhile it may have been decided that it is to go."""
        made = msgspec.structs.replace(self._by_token.get(leg.token, leg), **changed)
        await self._kept.replace(leg.tenant, leg.token, made)
        self._hold(made)

    async def remove(self, leg: Leg) -> None:
        """Forget one that is gone."""
        await self._kept.remove(leg.tenant, [leg.token])
        self._by_token.pop(leg.token, None)

    def _hold(self, leg: Leg) -> None:
        self._by_token[leg.token] = leg
        key, registration = leg.pair[:2], leg.registration["id"]
        if not leg.ending_since:
            self._standing.setdefault(key, {})[registration] = leg.token
            return
        standing = self._standing.get(key, {})
        if standing.get(registration) == leg.token:
            del standing[registration]
            if not standing:
                del self._standing[key]


def reach_of(registration: Registration) -> RegistrationDocument:
    """What it takes to reach a source, without what it has registered."""
    known = {name: said for name, said in registration.document.items() if name in _REACH}
    return {**known, "information": [{}]}


def has_moved(leg: Leg, registration: Registration) -> bool:
    """Whether the source is another one than the copy stands at."""
    before = compile_registration(leg.registration)
    return (before.endpoint, before.tenant) != (registration.endpoint, registration.tenant)
