"""Subscriptions as they are kept, and what waits to be sent."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from cityloom.kernel.actor import Actor, InformationClass
from cityloom.ngsild.subscription import Subscription


class Kept(msgspec.Struct, frozen=True):
    """A subscription with whose it is."""

    #: Where it stands: a tenant, or a snapshot (`places.place_of`).
    tenant: str
    #: Who made it: `Actor.id`, and what they were cleared for then. What is sent is bound by that, and by
    #: what they are cleared for when it is sent.
    owner: str
    clearance: tuple[InformationClass, ...]
    wanted: Subscription
    #: The @context that notifications are written with, as it was given, and its address.
    context: Any
    link: str
    #: The change after which it was made: earlier ones are not told.
    since: int
    created_at: str
    modified_at: str
    #: The pseudonyms of the Context Sources that it came through (6.3.18): none of them is handed a copy.
    via: tuple[str, ...] = ()
    #: The id of the snapshot in which it stands; "" for the city.
    snapshot: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return (self.tenant, self.wanted.id)


class Pending(msgspec.Struct, frozen=True, gc=False):
    """One Entity that is to be told of in a notification."""

    #: Its place in the order in which things came about.
    place: int
    #: The queue it waits in: the endpoint's address.
    lane: str
    tenant: str
    subscription: str
    entity_id: str
    #: The classes of what it tells.
    classes: tuple[InformationClass, ...]
    #: Milliseconds since 1970.
    at_millis: int
    #: The Entity as it is shown: JSON.
    shown: bytes


class Tally(msgspec.Struct, omit_defaults=True):
    """How notifying went (5.2.14.2). Instants are texts in UTC."""

    times_sent: int = 0
    times_failed: int = 0
    #: Entities that were to be told of and never will be: too many waited, or too long.
    missed: int = 0
    last_notification: str | None = None
    last_success: str | None = None
    last_failure: str | None = None
    last_error: str = ""
    #: Whether the last attempt failed; None before the first.
    failed: bool | None = None

    def members(self) -> dict[str, Any]:
        """The members that are shown with the subscription."""
        said: dict[str, Any] = {
            "status": self.status,
            "timesSent": self.times_sent or None,
            "timesFailed": self.times_failed or None,
            "lastNotification": self.last_notification,
            "lastSuccess": self.last_success,
            "lastFailure": self.last_failure,
        }
        return {key: value for key, value in said.items() if value is not None}

    @property
    def status(self) -> Literal["ok", "failed"] | None:
        return None if self.failed is None else "failed" if self.failed else "ok"


class Health(msgspec.Struct, frozen=True):
    """How one subscription is doing, for staff."""

    id: str
    tenant: str
    owner: str
    #: What the owner was cleared for: who is not cleared for as much need not know what is told.
    clearance: tuple[InformationClass, ...]
    name: str
    endpoint: str
    status: Literal["active", "paused", "expired"]
    #: Of which types and attributes it tells; empty: of any.
    types: tuple[str, ...]
    attributes: tuple[str, ...]
    tally: Tally
    waiting: int

    @property
    def failing(self) -> bool:
        """Whether it would send, and what it sent last did not get through."""
        return self.status == "active" and self.tally.failed is True


def bounded(owner: Actor, kept: Kept) -> Actor:
    """The owner as they are now, cleared for no more than when they subscribed."""
    return msgspec.structs.replace(owner, clearance=owner.clearance & frozenset(kept.clearance))
