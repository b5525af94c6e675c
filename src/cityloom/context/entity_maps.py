"""Entity maps (ETSI GS CIM 009, 4.5.25, 5.5.14): which Entities a sequence of requests is about.

They are caches: kept in memory for a while, the oldest given up when there are too many. Their ids cannot be
guessed; what a map lists is looked at again with the rights of whoever reads it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec

from cityloom.kernel.actor import Actor, InformationClass
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.query import EntityQuery

#: Maps that are kept, Entities in one, and Entities in all of them.
MAX_MAPS = 1_000
MAX_IDS = 100_000
MAX_IDS_IN_ALL = 1_000_000
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
        """Of how many Entities it tells, each counted again for each source."""
        return len(self.ids) + sum(map(len, self.sources.values()))

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
    """Lives on the event loop."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], EntityMap] = {}

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
        """Keep a new one. The lifetime is a wish."""
        made = EntityMap(
            f"urn:ngsi-ld:EntityMap:{uuid4()}",
            actor,
            query,
            tuple(ids),
            _until(datetime.now(UTC) + (USUAL_LIFETIME if lifetime is None else lifetime)),
            recheck,
            sources or {},
        )
        self._kept[tenant, made.id] = made
        self._forget_some()
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

    def keep_until(self, tenant: str, map_id: str, expires: datetime) -> None:
        """Wish for another end of its time. Raises ResourceNotFound."""
        self.get(tenant, map_id).expires = _until(expires)

    def remove(self, tenant: str, map_id: str) -> None:
        """Forget one. Raises ResourceNotFound."""
        self.get(tenant, map_id)
        del self._kept[tenant, map_id]

    def _forget_some(self) -> None:
        now = datetime.now(UTC)
        for key in [key for key, one in self._kept.items() if one.expires <= now]:
            del self._kept[key]
        while len(self._kept) > MAX_MAPS or sum(one.size for one in self._kept.values()) > MAX_IDS_IN_ALL:
            del self._kept[next(iter(self._kept))]


def _until(wished: datetime) -> datetime:
    return min(wished, datetime.now(UTC) + LONGEST_LIFETIME)
