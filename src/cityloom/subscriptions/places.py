"""Where subscriptions stand: tenants of the city, and snapshots (ETSI GS CIM 009, 4.14, 5.5.15).

Each has Entities of its own. What is in a snapshot is as secret as it is there and in the city now.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from cityloom.context.broker import Broker
from cityloom.context.querying import QueryPage
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document
from cityloom.ngsild.query import EntityQuery

_BETWEEN = "/"


def place_of(tenant: str, snapshot: str) -> str:
    """The name under which what stands in a snapshot is kept; no tenant is called so. `snapshot` is the name
    of its stores, which is never given twice."""
    return f"{tenant}{_BETWEEN}{snapshot}"


def tenant_in(place: str) -> str:
    """The tenant that a place is, or is in."""
    return place.partition(_BETWEEN)[0]


def is_snapshot(place: str) -> bool:
    """Whether a place is a snapshot."""
    return _BETWEEN in place


#: Has a snapshot's Entities become as secret as they are in the city.
KeepSecret = Callable[[], Awaitable[None]]


class _World(NamedTuple):
    broker: Broker
    tenant: str
    keep_secret: KeepSecret | None


class Places:
    """What subscriptions ask about Entities, in a tenant of the city or in a snapshot that is open.

    Lives on the event loop. `tenant` is a place throughout. Of a snapshot that is not open nothing is found.
    """

    def __init__(self, city: Broker) -> None:
        self.city = city
        self._worlds: dict[str, _World] = {}

    def enter(self, place: str, broker: Broker, tenant: str, keep_secret: KeepSecret | None = None) -> None:
        """A snapshot is open. What is searched in it is looked at after `keep_secret`."""
        self._worlds[place] = _World(broker, tenant, keep_secret)

    def leave(self, place: str) -> None:
        """A snapshot is closed, or gone."""
        self._worlds.pop(place, None)

    def __contains__(self, place: object) -> bool:
        return place in self._worlds

    def broker(self, place: str) -> Broker | None:
        """What has the Entities of a place; None for a snapshot that is not open."""
        if not is_snapshot(place):
            return self.city
        world = self._worlds.get(place)
        return None if world is None else world.broker

    def class_of(self, actor: Actor, entity_id: str, *, tenant: str = DEFAULT_TENANT) -> InformationClass:
        """The class of an Entity now. Raises ResourceNotFound where the actor sees none."""
        if not is_snapshot(tenant):
            return self.city.class_of(actor, entity_id, tenant=tenant)
        world = self._worlds.get(tenant)
        known = (
            []
            if world is None
            else [_class_in(one, entity_id, world.tenant) for one in (world.broker, self.city)]
        )
        found = [one for one in known if one is not None]
        if not found or not actor.sees(max(found)):
            raise ResourceNotFound(f"There is no entity {entity_id}", hint="Check its id.", where="id")
        return max(found)

    def find(self, actor: Actor, entity_id: str, *, tenant: str = DEFAULT_TENANT) -> Document | None:
        """An Entity that the actor may see."""
        if not is_snapshot(tenant):
            return self.city.find(actor, entity_id, tenant=tenant)
        world = self._worlds.get(tenant)
        found = None if world is None else world.broker.find(actor, entity_id, tenant=world.tenant)
        if found is None or not actor.sees(self.class_of(CITY, entity_id, tenant=tenant)):
            return None
        return found

    async def search(self, actor: Actor, query: EntityQuery, *, tenant: str = DEFAULT_TENANT) -> QueryPage:
        """Entities that match, as they are in that place alone; so are those that are linked to them, of
        which the query may tell as well."""
        if not is_snapshot(tenant):
            return await self.city.search(actor, query, tenant=tenant)
        world = self._worlds.get(tenant)
        if world is None:
            return QueryPage([], 0)
        if world.keep_secret is not None:
            await world.keep_secret()
        return await world.broker.search(actor, query, tenant=world.tenant)


def _class_in(broker: Broker, entity_id: str, tenant: str) -> InformationClass | None:
    try:
        return broker.class_of(CITY, entity_id, tenant=tenant)
    except ResourceNotFound:
        return None
