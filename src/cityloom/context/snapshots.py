"""Snapshots (ETSI GS CIM 009, 4.3.7, 5.5.15): how Entities were at one moment, to be looked at in peace.

They are kept in memory for a while, and read only. Whoever looks at one sees what they may see now: an
Entity whose class was raised since is as secret in the snapshot.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec
import orjson

from cityloom.context.consumption import Consumption
from cityloom.context.revision import revise
from cityloom.context.state import CurrentState
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import Conflict
from cityloom.kernel.time import now_millis
from cityloom.ngsild.errors import AlreadyExists, ResourceNotFound, TooManyResults
from cityloom.ngsild.model import Document

#: Snapshots that are kept, and Entities in one.
MAX_SNAPSHOTS = 20
MAX_ENTITIES = 20_000
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


class Snapshot:
    """The Entities of some queries as they were."""

    def __init__(self, snapshot_id: str, tenant: str, wish: Wish) -> None:
        now = datetime.now(UTC)
        self.id = snapshot_id
        self.tenant = tenant
        self.queries = wish.queries
        self.temporal_queries = wish.temporal_queries
        self.priority = wish.priority or USUAL_PRIORITY
        self.lifetime = wish.lifetime
        self.status: Status = "preparing"
        self.details: list[dict[str, Any]] = []
        self.temporal_details: list[dict[str, Any]] = []
        self.created_at = self.modified_at = self.last_used_at = now
        self.expires_at = now + _bounded(wish.lifetime)
        self._state = CurrentState()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, document: Document, information_class: InformationClass) -> None:
        """Take an Entity in; one that is there already stays as it is. Raises TooManyResults."""
        if self._state.find(self.tenant, document["id"], tuple(InformationClass)) is not None:
            return
        if self._count >= MAX_ENTITIES:
            raise TooManyResults(
                f"More than {MAX_ENTITIES} entities match", hint="Narrow the queries of the snapshot."
            )
        self._count += 1
        self._put(document, self._count, self._count, information_class)

    def copy_steps(self, other: Snapshot) -> Generator[None, None, None]:
        """Take in all Entities of another snapshot, one a step."""
        for held in list(other._state.all(other.tenant, tuple(InformationClass))):
            self.add(orjson.loads(held.document), held.information_class)
            yield

    def seen(self, city: Consumption) -> Consumption:
        """What is asked about the snapshot; its Entities are at least as secret as the city has them now."""
        self.last_used_at = datetime.now(UTC)
        for held in list(self._state.all(self.tenant, tuple(InformationClass))):
            if city.raw(CITY, held.entity_id, tenant=self.tenant) is None:
                continue
            now = city.class_of(CITY, held.entity_id, tenant=self.tenant)
            if now > held.information_class:
                self._count += 1
                self._put(orjson.loads(held.document), self._count, held.created, now)
        return Consumption(self._state)

    def _put(self, document: Document, sequence: int, created: int, kept_as: InformationClass) -> None:
        change = Change(
            sequence,
            self.tenant,
            document["id"],
            tuple(document["type"]),
            ChangeKind.CREATED,
            kept_as,
            orjson.dumps(document),
            tuple(document["attrs"]),
            now_millis(),
            CITY.id,
            f"snapshot:{self.id}",
        )
        self._state.apply(revise(change, created, document))


class Snapshots:
    """Lives on the event loop."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Snapshot] = {}

    def all(self, tenant: str) -> list[Snapshot]:
        """Those of a tenant whose time is not over."""
        self._forget_expired()
        return [one for (whose, _), one in self._kept.items() if whose == tenant]

    def get(self, tenant: str, snapshot_id: str) -> Snapshot:
        """The snapshot. Raises ResourceNotFound."""
        self._forget_expired()
        found = self._kept.get((tenant, snapshot_id))
        if found is None:
            raise ResourceNotFound(
                f"There is no snapshot {snapshot_id[:200]!a}",
                hint="Make a new one: they are kept for a while.",
            )
        return found

    def make(self, tenant: str, snapshot_id: str, wish: Wish) -> Snapshot:
        """A new, empty one. Raises AlreadyExists; Conflict when none may be given up for it."""
        self._forget_expired()
        if (tenant, snapshot_id) in self._kept:
            raise AlreadyExists(
                f"There is a snapshot {snapshot_id[:200]!a} already", hint="Choose another id.", where="id"
            )
        made = Snapshot(snapshot_id, tenant, wish)
        if len(self._kept) >= MAX_SNAPSHOTS:
            self._make_room(made.priority)
        self._kept[tenant, snapshot_id] = made
        return made

    def change(self, tenant: str, snapshot_id: str, wish: Wish) -> Snapshot:
        """Another priority or lifetime. Raises ResourceNotFound."""
        found = self.get(tenant, snapshot_id)
        found.modified_at = datetime.now(UTC)
        found.priority = wish.priority or found.priority
        if wish.lifetime is not None:
            found.lifetime = wish.lifetime
            found.expires_at = found.modified_at + _bounded(wish.lifetime)
        return found

    def remove(self, tenant: str, ids: Iterable[str]) -> None:
        """Forget some. Raises ResourceNotFound."""
        for snapshot_id in ids:
            self.get(tenant, snapshot_id)
            del self._kept[tenant, snapshot_id]

    def _forget_expired(self) -> None:
        now = datetime.now(UTC)
        for key in [key for key, one in self._kept.items() if one.expires_at <= now]:
            del self._kept[key]

    def _make_room(self, priority: int) -> None:
        """Give up the least important one, the longest unused among equals (5.5.15)."""
        key, least = min(self._kept.items(), key=lambda item: (item[1].priority, item[1].last_used_at))
        if least.priority > priority:
            raise Conflict(
                f"There are {MAX_SNAPSHOTS} snapshots already, all of them more important",
                hint="Delete one, or ask with a higher snapshotPriority.",
            )
        del self._kept[key]


def _bounded(lifetime: timedelta | None) -> timedelta:
    return USUAL_LIFETIME if lifetime is None else min(lifetime, LONGEST_LIFETIME)
