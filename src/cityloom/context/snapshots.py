"""Snapshots (ETSI GS CIM 009, 4.3.7, 5.5.15): how Entities were at one moment, to be looked at in peace.

They are kept in memory for a while, and read only. Whoever looks at one sees what they may see now: an
Entity whose class was raised since is as secret in the snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

import msgspec
import orjson

from cityloom.access.ownership import check_tends, tends
from cityloom.access.quotas import SNAPSHOTS, Holdings, Quota
from cityloom.context.consumption import Consumption
from cityloom.context.revision import revise
from cityloom.context.state import CurrentState
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.time import now_millis
from cityloom.ngsild.errors import AlreadyExists, ResourceNotFound, TooManyResults
from cityloom.ngsild.model import Document

#: Entities in one snapshot; how many are kept is said by a quota.
MAX_ENTITIES = 20_000
USUAL_LIFETIME = timedelta(hours=1)
LONGEST_LIFETIME = timedelta(days=1)
USUAL_PRIORITY = 5
_KIND = "snapshot"

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

    def __init__(self, snapshot_id: str, tenant: str, owner: str, wish: Wish) -> None:
        """`owner` is the `Actor.id` of who makes it."""
        now = datetime.now(UTC)
        self.id = snapshot_id
        self.tenant = tenant
        self.owner = owner
        #: Bytes of its Entities.
        self.size = 0
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
        #: Asked before so many bytes more are taken in. Raises what there is to be told.
        self.grow: Callable[[int], None] = lambda _: None

    def __len__(self) -> int:
        return self._count

    def add(self, document: Document, information_class: InformationClass) -> None:
        """Take an Entity in; one that is there already stays as it is. Raises TooManyResults, OverQuota."""
        if self._state.find(self.tenant, document["id"], tuple(InformationClass)) is not None:
            return
        if self._count >= MAX_ENTITIES:
            raise TooManyResults(
                f"More than {MAX_ENTITIES} entities match", hint="Narrow the queries of the snapshot."
            )
        written = orjson.dumps(document)
        self.grow(len(written))
        self._count += 1
        self.size += len(written)
        self._put(document, written, self._count, self._count, information_class)

    def fail(self, problem: dict[str, Any]) -> None:
        """It could not be made: the queries that were not carried out tell why (5.2.41)."""
        self.status = "failure"
        failed = {"resultStatus": "failure", "problemDetails": problem}
        self.details += [failed] * (len(self.queries) - len(self.details))
        self.temporal_details += [failed] * (len(self.temporal_queries) - len(self.temporal_details))

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
                self._put(orjson.loads(held.document), held.document, self._count, held.created, now)
        return Consumption(self._state)

    def _put(
        self, document: Document, written: bytes, sequence: int, created: int, kept_as: InformationClass
    ) -> None:
        change = Change(
            sequence,
            self.tenant,
            document["id"],
            tuple(document["type"]),
            ChangeKind.CREATED,
            kept_as,
            written,
            tuple(document["attrs"]),
            now_millis(),
            CITY.id,
            f"snapshot:{self.id}",
        )
        self._state.apply(revise(change, created, document))


class Snapshots:
    """Lives on the event loop. Whoever needs room gives up a snapshot of their own, never another's."""

    def __init__(self, quota: Quota = SNAPSHOTS) -> None:
        self._kept: dict[tuple[str, str], Snapshot] = {}
        self._holdings = Holdings(_KIND, quota)

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

    def make(self, actor: Actor, tenant: str, snapshot_id: str, wish: Wish) -> Snapshot:
        """A new, empty one. Raises AlreadyExists; OverQuota when none of one's own may be given up for it."""
        self._forget_expired()
        if (tenant, snapshot_id) in self._kept:
            raise AlreadyExists(
                f"There is a snapshot {snapshot_id[:200]!a} already", hint="Choose another id.", where="id"
            )
        made = Snapshot(snapshot_id, tenant, actor.id, wish)
        if self._holdings.excess(actor.id, 0):
            self._make_room(actor.id, made.priority)
        self._holdings.check(actor.id, 0)
        self._kept[tenant, snapshot_id] = made
        self._holdings.add(actor.id, 0)
        made.grow = partial(self._grow, made)
        return made

    def change(self, actor: Actor, tenant: str, snapshot_id: str, wish: Wish) -> Snapshot:
        """Another priority or lifetime. Raises ResourceNotFound, NotAllowed for somebody else's."""
        found = self.get(tenant, snapshot_id)
        check_tends(actor, _KIND, found.owner)
        found.modified_at = datetime.now(UTC)
        found.priority = wish.priority or found.priority
        if wish.lifetime is not None:
            found.lifetime = wish.lifetime
            found.expires_at = found.modified_at + _bounded(wish.lifetime)
        return found

    def remove(self, actor: Actor, tenant: str, snapshot_id: str) -> None:
        """Forget one. Raises ResourceNotFound, NotAllowed for somebody else's."""
        check_tends(actor, _KIND, self.get(tenant, snapshot_id).owner)
        self._drop((tenant, snapshot_id))

    def purge(self, actor: Actor, tenant: str, matches: Callable[[Snapshot], bool]) -> None:
        """Forget those that match, of one's own; who may administer, those of all (5.16.7)."""
        for one in self.all(tenant):
            if tends(actor, _KIND, one.owner) and matches(one):
                self._drop((tenant, one.id))

    def _drop(self, key: tuple[str, str]) -> None:
        gone = self._kept.pop(key)
        self._holdings.release(gone.owner, gone.size)

    def _grow(self, one: Snapshot, size: int) -> None:
        if self._kept.get((one.tenant, one.id)) is not one:
            raise ResourceNotFound("The snapshot was ended while it was made", hint="Make it anew.")
        self._holdings.check(one.owner, one.size + size, before=one.size)
        self._holdings.grow(one.owner, size)

    def _forget_expired(self) -> None:
        now = datetime.now(UTC)
        for key in [key for key, one in self._kept.items() if one.expires_at <= now]:
            self._drop(key)

    def _make_room(self, owner: str, priority: int) -> None:
        """Give up the owner's least important one, the longest unused among equals (5.5.15)."""
        own = [one for one in self._kept.values() if one.owner == owner and one.priority <= priority]
        if own:
            least = min(own, key=lambda one: (one.priority, one.last_used_at))
            self._drop((least.tenant, least.id))


def _bounded(lifetime: timedelta | None) -> timedelta:
    return USUAL_LIFETIME if lifetime is None else min(lifetime, LONGEST_LIFETIME)
