"""What is kept of a snapshot beside its Entities (ETSI GS CIM 009, 5.2.41, 5.2.42)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from cityloom.kernel.time import format_instant
from cityloom.ngsild.subscription import Endpoint
from cityloom.subscriptions.places import place_of

USUAL_LIFETIME = timedelta(hours=1)
LONGEST_LIFETIME = timedelta(days=1)
USUAL_PRIORITY = 5

Status = Literal["preparing", "success", "partial", "failure", "empty"]


class Wish(msgspec.Struct, frozen=True):
    """What whoever makes or changes a snapshot may say of it; None: nothing."""

    id: str | None = None
    queries: tuple[Any, ...] = ()
    temporal_queries: tuple[Any, ...] = ()
    lifetime: timedelta | None = None
    priority: int | None = None
    #: Whom to tell how it stands, and what to tell them beside that.
    endpoint: Endpoint | None = None


class Snapshot(msgspec.Struct):
    """How a snapshot stands, as it is kept in the register."""

    id: str
    tenant: str
    #: The `Actor.id` of who made it.
    owner: str
    #: The name of its stores.
    name: str
    queries: list[Any]
    temporal_queries: list[Any]
    priority: int
    created_at: datetime
    modified_at: datetime
    #: Kept with the rest when that changes: a restart may know an older one.
    last_used_at: datetime
    expires_at: datetime
    endpoint: Endpoint | None = None
    status: Status = "preparing"
    #: One for each query that has been carried out.
    details: list[dict[str, Any]] = []
    temporal_details: list[dict[str, Any]] = []

    @property
    def place(self) -> str:
        """Where what others leave in it is kept: subscriptions, entity maps."""
        return place_of(self.tenant, self.name)

    @property
    def key(self) -> tuple[str, str]:
        return (self.tenant, self.id)

    def settle(self) -> None:
        """The status that follows from how the queries went (5.16.1.4)."""
        results = [one["resultStatus"] for one in (*self.details, *self.temporal_details)]
        if all(one == "success" for one in results):
            self.status = "success"
        elif "success" in results:
            self.status = "partial"
        else:
            self.status = "empty" if "empty" in results else "failure"

    def fail(self, problem: dict[str, Any]) -> None:
        """It could not be made: the queries that were not carried out tell why (5.2.41)."""
        self.status = "failure"
        failed = {"resultStatus": "failure", "problemDetails": problem}
        self.details += [failed] * (len(self.queries) - len(self.details))
        self.temporal_details += [failed] * (len(self.temporal_queries) - len(self.temporal_details))

    def wish(self, wish: Wish, now: datetime) -> None:
        """Another priority, lifetime or endpoint (5.16.4.4)."""
        self.modified_at = now
        self.priority = wish.priority or self.priority
        self.endpoint = wish.endpoint or self.endpoint
        if wish.lifetime is not None:
            self.expires_at = now + bounded(wish.lifetime)

    def notification(self, identifier: str, now: datetime) -> dict[str, Any]:
        """A SnapshotNotification (5.3.4)."""
        told: dict[str, Any] = {
            "id": identifier,
            "type": "SnapshotNotification",
            "notifiedAt": format_instant(now),
            "snapshotId": self.id,
            "snapshotStatus": self.status,
            "snapshotPriority": self.priority,
            "expiresAt": format_instant(self.expires_at),
        }
        lists = {
            "snapshotQueriesDetails": self.details,
            "temporalSnapshotQueriesDetails": self.temporal_details,
        }
        return told | {member: value for member, value in lists.items() if value}


def snapshot_of(identifier: str, tenant: str, owner: str, name: str, wish: Wish) -> Snapshot:
    """A new one, in preparation."""
    now = datetime.now(UTC)
    return Snapshot(
        id=identifier,
        tenant=tenant,
        owner=owner,
        name=name,
        queries=list(wish.queries),
        temporal_queries=list(wish.temporal_queries),
        priority=wish.priority or USUAL_PRIORITY,
        created_at=now,
        modified_at=now,
        last_used_at=now,
        expires_at=now + bounded(wish.lifetime),
        endpoint=wish.endpoint,
    )


def bounded(lifetime: timedelta | None) -> timedelta:
    """How long a snapshot is kept of which somebody wishes this."""
    return USUAL_LIFETIME if lifetime is None else min(lifetime, LONGEST_LIFETIME)
