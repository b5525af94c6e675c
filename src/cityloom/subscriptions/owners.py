"""What owners of subscriptions may see: looked at when something is sent, not when it was subscribed to."""

from __future__ import annotations

from collections.abc import Callable

from cityloom.kernel.actor import Actor, InformationClass
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document
from cityloom.ngsild.q_matching import Lookup
from cityloom.subscriptions.model import Kept, bounded
from cityloom.subscriptions.places import Places

#: The permission that it takes to have subscriptions.
EDIT = "subscriptions:edit"

#: Somebody as they are now, by `Actor.id`; None when they are nobody any more.
Actors = Callable[[str], Actor | None]


class Owners:
    """Lives on the event loop. `actors` tells who somebody is now."""

    def __init__(self, places: Places, actors: Actors) -> None:
        self._places = places
        self.today = actors

    def of(self, kept: Kept) -> Actor | None:
        """The owner as they are now, cleared for no more than when they subscribed; None: nothing may be
        sent any more."""
        return self.bounded(kept, self.today(kept.owner))

    def bounded(self, kept: Kept, owner: Actor | None) -> Actor | None:
        """The same of an owner who is known already."""
        return None if owner is None or not owner.may(EDIT) else bounded(owner, kept)

    def lookup(self, kept: Kept) -> Lookup:
        """Finds the Entities that the owner may see."""

        def find(entity_id: str) -> Document | None:
            owner = self.of(kept)
            return None if owner is None else self._places.find(owner, entity_id, tenant=kept.tenant)

        return find

    def linked(self, owner: Actor, tenant: str, entity_id: str) -> tuple[Document, InformationClass] | None:
        """An Entity and its class, where the owner may see it."""
        secrecy = self.class_of(owner, entity_id, tenant)
        document = self._places.find(owner, entity_id, tenant=tenant)
        return None if secrecy is None or document is None else (document, secrecy)

    def class_of(self, owner: Actor, entity_id: str, tenant: str) -> InformationClass | None:
        """The class of an Entity, where the owner may see it."""
        try:
            return self._places.class_of(owner, entity_id, tenant=tenant)
        except ResourceNotFound:
            return None
