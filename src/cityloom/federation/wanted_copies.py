"""Which copy of a subscription should stand at a source now (ETSI GS CIM 009, 5.8.1.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from cityloom.federation.copies import Copy, concerned, reduced
from cityloom.federation.federation import Federation
from cityloom.federation.legs import Pair
from cityloom.federation.model import Origin, Wire
from cityloom.ngsild.registrations import Registration
from cityloom.subscriptions.subscriptions import Subscriptions

#: How a source is spoken to.
WireTo = Callable[[Registration, Origin], Awaitable[Wire]]


class Wanted(msgspec.Struct, frozen=True):
    """A copy as it should be."""

    registration: Registration
    copy: Copy
    origin: Origin

    @property
    def owner(self) -> str:
        return self.origin.actor.id


class WantedCopies:
    """Follows from the subscriptions, the registrations and the rights of now. Lives on the event loop."""

    def __init__(self, federation: Federation, subscriptions: Subscriptions, wire_to: WireTo) -> None:
        self._federation = federation
        self._subscriptions = subscriptions
        self._wire_to = wire_to

    async def find(self, pair: Pair, endpoint: str) -> Wanted | None:
        """The copy of a subscription that a source should have, with the address at which it notifies; None:
        none."""
        tenant, subscription, identifier = pair
        kept = self._subscriptions.find(tenant, subscription)
        registration = self._federation.sources.find(tenant, identifier)
        if kept is None or registration is None or kept.wanted.local_only:
            return None
        owner = self._subscriptions.owner(kept)
        infos = concerned(kept.wanted, registration)
        if owner is None or not infos or kept.wanted.status(self._subscriptions.now()) == "expired":
            return None
        csf = None if kept.wanted.csf is None else kept.wanted.csf.term
        origin = Origin(owner, tenant, kept.via, csf=csf)
        if not self._federation.may_be_subscribed_to(origin, registration):
            return None

        def may_hear_of(entity_id: str) -> bool:
            return self._federation.covers(origin, registration, entity_id)

        wire = await self._wire_to(registration, origin)
        copy = reduced(kept.wanted, registration, infos, wire, endpoint, may_hear_of)
        return None if copy is None else Wanted(registration, copy, origin)
