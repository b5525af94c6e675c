"""The subscription to registrations that goes with each subscription to Entities (ETSI GS CIM 009, 5.8.1.4).

The standard has one made for every subscription that is not of local scope, so that its copies follow the
registrations. Here it follows from the subscription itself: it is there as long as that is, says what that
says, and nobody can change or end it alone.
"""

from __future__ import annotations

import hashlib

import msgspec

from cityloom.access.authority import require
from cityloom.federation.handing_on import NOTIFIED_AT, HandedOn
from cityloom.federation.watching import EDIT, WatchedKept
from cityloom.kernel.actor import Actor
from cityloom.ngsild.subscription import Endpoint, Notification, Subscription
from cityloom.subscriptions.model import Kept


class Derived:
    """Lives on the event loop."""

    def __init__(self, handed_on: HandedOn) -> None:
        self._handed_on = handed_on
        self._subscriptions = handed_on.subscriptions

    def all(self, actor: Actor, *, tenant: str) -> list[WatchedKept]:
        """Those that go with one's own subscriptions, oldest first."""
        require(actor, EDIT)
        return [
            self._of(kept)
            for kept in self._subscriptions.of_tenant(tenant)
            if kept.owner == actor.id and self._handed_on.is_handed_on(kept)
        ]

    def find(self, actor: Actor, identifier: str, *, tenant: str) -> WatchedKept | None:
        """The one with this id."""
        found = self.all(actor, tenant=tenant)
        return next((one for one in found if one.base.wanted.id == identifier), None)

    def _of(self, kept: Kept) -> WatchedKept:
        wanted = kept.wanted
        endpoint = Endpoint(f"{self._handed_on.address or 'urn:ngsi-ld:here'}{NOTIFIED_AT}")
        about = Subscription(
            id=_id_of(wanted.id),
            notification=Notification(endpoint, attributes=wanted.notification.attributes),
            entities=wanted.entities,
            watched=wanted.watched,
            geo=wanted.geo,
            scopes=wanted.scopes,
            csf=wanted.csf,
            datasets=wanted.datasets,
            expires_at=wanted.expires_at,
            is_active=wanted.is_active,
        )
        return WatchedKept(msgspec.structs.replace(kept, wanted=about))


def _id_of(subscription: str) -> str:
    digest = hashlib.sha256(subscription.encode()).hexdigest()[:32]
    return f"urn:ngsi-ld:Subscription:follows:{digest}"
