"""Entity maps (ETSI GS CIM 009, 4.5.25, 5.5.14): which Entities a sequence of requests is about.

They are caches: kept in memory for a while, the oldest given up when there are too many. Their ids cannot be
guessed; what a map lists is looked at again with the rights of whoever reads it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec

from cityloom.access.ownership import check_tends
from cityloom.access.quotas import ENTITY_MAPS, Holdings, Quota
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.query import EntityQuery

#: Entities in one map; how many maps are kept is said by a quota.
MAX_IDS = 100_000
#: Bytes that the id of an Entity takes in a map beside its letters, and that each source takes that knows it.
_BESIDE = 64
_KIND = "entity map"
#: How long a map is kept when nobody says, and at most.
USUAL_LIFETIME = timedelta(minutes=10)
LONGEST_LIFETIME = timedelta(hours=1)


#: Which of some Entities still match the query over time of which a map was made.
Recheck = Callable[[tuple[str, ...]], Awaitable[Sequence[str]]]


class Elsewhere(msgspec.Struct, frozen=True):
    """A source that told of an Entity, and the class of what it told."""

    registration_id: str
    information_class: InformationClass


class EntityMap(msgspec.Struct):
    """The Entities that matched `query` for `actor`; those that no longer do are taken out."""

    id: str
    actor: Actor
    query: EntityQuery
    ids: tuple[str, ...]
    expires: datetime
    #: Of Entities over time alone.
    recheck: Recheck | None = None
    #: By Entity the sources that know of it; those that none knows are left out.
    sources: Mapping[str, tuple[Elsewhere, ...]] = {}

    @property
    def size(self) -> int:
        """The bytes that it takes, roughly."""
        told = sum(map(len, self.sources.values()))
        return sum(map(len, self.ids)) + _BESIDE * (len(self.ids) + 2 * told)

    @property
    def is_temporal(self) -> bool:
        """Whether it is of Entities over time."""
        return self.recheck is not None


def within(one: EntityMap, query: EntityQuery) -> EntityQuery:
    """The query among the Entities of a map."""
    asked = frozenset(query.ids)
    ids = tuple(entity_id for entity_id in one.ids if not asked or entity_id in asked)
    # A map without Entities is not a query without ids.
    return msgspec.structs.replace(query, ids=ids or ("urn:ngsi-ld:null",))


class EntityMaps:
    """Lives on the event loop. A tenant is that of the city, or the place of a snapshot in one."""

    def __init__(self, quota: Quota = ENTITY_MAPS) -> None:
        self._kept: dict[tuple[str, str], EntityMap] = {}
        #: As they were when they were made: a map only becomes smaller.
        self._sizes: dict[tuple[str, str], int] = {}
        self._holdings = Holdings(_KIND, quota)

    def add(
        self,
        tenant: str,
        actor: Actor,
        query: EntityQuery,
        ids: Iterable[str],
        *,
        lifetime: timedelta | None = None,
        recheck: Recheck | None = None,
        sources: Mapping[str, tuple[Elsewhere, ...]] | None = None,
    ) -> EntityMap:
        """Keep a new one; the oldest of the same owner's make room. The lifetime is a wish.

        Raises TooLargeToKeep, OverQuota.
        """
        made = EntityMap(
            f"urn:ngsi-ld:EntityMap:{uuid4()}",
            actor,
            query,
            tuple(ids),
            _until(datetime.now(UTC) + (USUAL_LIFETIME if lifetime is None else lifetime)),
            recheck,
            sources or {},
        )
        size = made.size
        if size <= self._holdings.quota.largest:
            self._make_room(actor.id, size)
        self._holdings.check(actor.id, size)
        self._holdings.add(actor.id, size)
        self._kept[tenant, made.id] = made
        self._sizes[tenant, made.id] = size
        return made

    def find(self, tenant: str, map_id: str) -> EntityMap | None:
        """The map, when it is there and its time is not over."""
        found = self._kept.get((tenant, map_id))
        return None if found is None or found.expires <= datetime.now(UTC) else found

    def get(self, tenant: str, map_id: str) -> EntityMap:
        """The map. Raises ResourceNotFound."""
        found = self.find(tenant, map_id)
        if found is None:
            raise ResourceNotFound(
                f"There is no entity map {map_id[:200]!a}", hint="Make a new one: they are kept for a while."
            )
        return found

    def tended(self, actor: Actor, tenant: str, map_id: str) -> EntityMap:
        """The map, for who may change it. Raises ResourceNotFound, NotAllowed for somebody else's."""
        found = self.get(tenant, map_id)
        check_tends(actor, _KIND, found.actor.id)
        return found

    def keep_until(self, actor: Actor, tenant: str, map_id: str, expires: datetime) -> None:
        """Wish for another end of its time. Raises as `tended` does."""
        self.tended(actor, tenant, map_id).expires = _until(expires)

    def remove(self, actor: Actor, tenant: str, map_id: str) -> None:
        """Forget one. Raises as `tended` does."""
        self.tended(actor, tenant, map_id)
        self._drop((tenant, map_id))

    def forget(self, place: str) -> None:
        """A snapshot is gone, and the maps in it with it."""
        for key in [key for key in self._kept if key[0] == place]:
            self._drop(key)

    def _make_room(self, owner: str, size: int) -> None:
        now = datetime.now(UTC)
        for key in [key for key, one in self._kept.items() if one.expires <= now]:
            self._drop(key)
        own = [key for key, one in self._kept.items() if one.actor.id == owner]
        while own and self._holdings.excess(owner, size):
            self._drop(own.pop(0))

    def _drop(self, key: tuple[str, str]) -> None:
        gone = self._kept.pop(key)
        self._holdings.release(gone.actor.id, self._sizes.pop(key))


def _until(wished: datetime) -> datetime:
    return min(wished, datetime.now(UTC) + LONGEST_LIFETIME)
