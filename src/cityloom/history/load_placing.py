"""Where what a load brings belongs: the types and the class that Entities have now."""

from __future__ import annotations

from collections.abc import Generator, Iterable

import msgspec

from cityloom.access.authority import TERMINAL, may_write
from cityloom.access.ownership import check_write
from cityloom.context.broker import Broker
from cityloom.history.loads import Bringing
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.errors import NotFound
from cityloom.ngsild.model import Instance


def writer_of(actor: Actor) -> Actor:
    """Who writes: whoever owns the city's folder could put there what a room says, and brings it back so."""
    return may_write(actor, classify=True) if actor.id == TERMINAL.id else actor


class Placing:
    """Looks at the Entities that the series of a portion are of."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def placed(
        self, actor: Actor, series: Iterable[Bringing], *, whole: bool
    ) -> Generator[None, None, list[Bringing]]:
        """The series with the types and the class that their Entities have now, in turns.

        Raises NotFound for an Entity that is not there, NotAllowed for one that the actor may not write.
        """
        found: list[Bringing] = []
        checked: set[tuple[str, ...]] = set()
        standing: dict[str, tuple[tuple[str, ...], InformationClass]] = {}
        for one in series:
            entity_id = one.key.entity_id
            if one.key.tenant != DEFAULT_TENANT:
                raise NotFound(
                    "Tables are for the default tenant", hint="Load it without.", where=one.key.tenant
                )
            if entity_id not in standing:
                standing[entity_id] = self._stands(actor, one, whole=whole)
            types, information_class = standing[entity_id]
            what = (*types, one.key.attribute, one.key.dataset)
            if what not in checked:
                checked.add(what)
                said: Instance = {"type": one.key.attribute_type, "value": None}
                if one.key.dataset:
                    said["datasetId"] = one.key.dataset
                check_write(writer_of(actor), None, {"type": types, "attrs": {one.key.attribute: [said]}})
            found.append(msgspec.structs.replace(one, types=types, information_class=information_class))
            yield
        return found

    def _stands(
        self, actor: Actor, one: Bringing, *, whole: bool
    ) -> tuple[tuple[str, ...], InformationClass]:
        """Types and class of an Entity; of one that is not there those that a whole history tells."""
        entity_id = one.key.entity_id
        document = self._broker.find(actor, entity_id)
        if document is not None:
            return tuple(document["type"]), self._broker.class_of(actor, entity_id)
        hidden = self._broker.find(CITY, entity_id) is not None
        if hidden or not whole or not actor.sees(one.information_class):
            raise NotFound("There is no such Entity", hint="Write it before its readings.", where=entity_id)
        return one.types, one.information_class
