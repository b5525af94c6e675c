"""What of the past somebody may see: by the class that Entities have now, and by that of what is kept."""

from __future__ import annotations

import numpy as np

from cityloom.history.model import Series
from cityloom.history.ports import CurrentClasses
from cityloom.history.shapes import GroupedSeries
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.errors import NotFound


class Visibility:
    """Looks at series with somebody's eyes."""

    def __init__(self, broker: CurrentClasses) -> None:
        self._broker = broker

    def visible(self, actor: Actor, found: list[Series]) -> list[Series]:
        """What the actor may see: by the class the Entity has now, and by the class it was remembered with.

        The second covers Entities that are gone, and the moment between a change and its being remembered.
        """
        seen: dict[tuple[str, str], bool] = {}
        visible = []
        for one in found:
            entity = (one.key.tenant, one.key.entity_id)
            if entity not in seen:
                seen[entity] = self.sees_now(actor, *entity)
            if seen[entity] and actor.sees(one.information_class):
                visible.append(one)
        return visible

    def visible_among(self, actor: Actor, tenant: str, found: GroupedSeries) -> GroupedSeries:
        """The same of series in columns."""
        if all(map(actor.sees, InformationClass)):
            return found
        entities = np.array([self.sees_now(actor, tenant, one) for one in found.entity_ids], bool)
        standings = np.array([actor.sees(one) for _, one in found.standings], bool)
        return found.only(entities[found.group] & standings[found.standing])

    def sees_now(self, actor: Actor, tenant: str, entity_id: str) -> bool:
        """Whether somebody sees an Entity as it is now; one that is gone is judged by what is remembered."""
        try:
            return actor.sees(self._broker.class_of(CITY, entity_id, tenant=tenant))
        except NotFound:
            return True  # gone; the class it was remembered with decides

    def must_see(self, actor: Actor, entity_id: str, series: list[Series], tenant: str) -> None:
        """Raises NotFound when there is neither history nor an Entity that the actor sees."""
        if not series:
            self._broker.class_of(actor, entity_id, tenant=tenant)
