"""How secret Entities are when they are told, which may be more than when they changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.subscriptions.model import Kept, Pending
from cityloom.subscriptions.places import Places

#: Entities that are gone of which it is known how secret they were; the oldest are forgotten.
MOST_GONE = 100_000


class Secrecy:
    """Lives on the event loop."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._gone: dict[tuple[str, str], InformationClass] = {}

    def note(self, change: Change) -> None:
        """Remember how secret an Entity was that is deleted."""
        key = (change.tenant, change.entity_id)
        self._gone.pop(key, None)
        if change.kind is ChangeKind.DELETED and change.information_class > InformationClass.OPEN:
            self._gone[key] = change.information_class
            if len(self._gone) > MOST_GONE:
                del self._gone[next(iter(self._gone))]

    def may_learn(self, owner: Actor, kept: Kept, item: Pending) -> bool:
        """Whether somebody may be told now what waits for their subscription: they are cleared for it as it
        was, and for the Entity, and those that are linked to it, as they are."""
        if not owner.clearance.issuperset(item.classes):
            return False
        if owner.clearance.issuperset(InformationClass):
            return True
        ids = {item.entity_id}
        if kept.wanted.notification.join:
            ids.update(_ids_in(orjson.loads(b"[" + item.shown + b"]")))
        return all(owner.sees(self._now(item.tenant, entity_id)) for entity_id in ids)

    def _now(self, tenant: str, entity_id: str) -> InformationClass:
        try:
            return self._places.class_of(CITY, entity_id, tenant=tenant)
        except ResourceNotFound:
            return self._gone.get((tenant, entity_id), InformationClass.OPEN)


def _ids_in(shown: Any) -> Iterator[str]:
    """The ids of all Entities that are told of somewhere in JSON."""
    waiting = [shown]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if isinstance(part.get("id"), str):
                yield part["id"]
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
