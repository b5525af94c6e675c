"""Two people for an erasure: one asks, another confirms. What is erased does not come back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import Conflict, NotAllowed, NotFound
from cityloom.kernel.worded import Worded
from cityloom.people.ports import ErasureOrder, PersonalKeys

#: Erasures that wait at a time.
MOST_WAITING = 200


class Asked(msgspec.Struct, frozen=True):
    """An erasure that waits for a second person: how much it would erase, never whose."""

    id: str
    at: str
    #: `Actor.id` of who asked.
    by: str
    entities: int
    account: bool
    #: Tells it from what was erased, where either may be the answer.
    waits: bool = True


class Asking:
    """Keeps what was asked for, with the keys: it names Entities by their ids alone."""

    def __init__(self, keys: PersonalKeys, audit: AuditLog) -> None:
        self._keys = keys
        self._audit = audit

    async def ask(self, order: ErasureOrder, actor: Actor) -> Asked:
        """Write down that somebody asks for it. Raises Conflict where too many wait."""
        if len(await asyncio.to_thread(self._keys.asked)) >= MOST_WAITING:
            raise Conflict(
                Worded("Too many erasures wait for a second person"),
                hint=Worded("Confirm or refuse some of them first."),
                where="act",
            )
        await self._audit.record(actor, "person.ask-erasure", order.id, {"entities": len(order.entities)})
        await asyncio.to_thread(self._keys.ask, order)
        return _told(order)

    async def waiting(self) -> Sequence[Asked]:
        """What waits, the oldest first."""
        orders = await asyncio.to_thread(self._keys.asked)
        return sorted(map(_told, orders), key=lambda one: one.at)

    async def to_confirm(self, actor: Actor, order_id: str) -> ErasureOrder:
        """What a second person confirms. Raises NotFound, and NotAllowed for who asked for it."""
        order = await self._waiting(order_id)
        if order.by == actor.id:
            raise NotAllowed(
                Worded("Who asked for an erasure does not confirm it"),
                hint=Worded(
                    "Ask a second person who may erase; or see [erasure] alone in city.toml, for a city with "
                    "one."
                ),
            )
        return order

    async def refuse(self, actor: Actor, order_id: str) -> None:
        """Nothing is erased: by whoever may erase, who asked among them. Raises NotFound."""
        order = await self._waiting(order_id)
        await self._audit.record(actor, "person.refuse-erasure", order.id, {"entities": len(order.entities)})
        await asyncio.to_thread(self._keys.unask, order.id)

    async def settled(self, order_id: str) -> None:
        """It waits no longer."""
        await asyncio.to_thread(self._keys.unask, order_id)

    async def _waiting(self, order_id: str) -> ErasureOrder:
        for one in await asyncio.to_thread(self._keys.asked):
            if one.id == order_id:
                return one
        raise NotFound(Worded("No such erasure waits"), hint=Worded("Look at those that wait."), where="id")


def _told(order: ErasureOrder) -> Asked:
    return Asked(order.id, order.at, order.by, len(order.entities), bool(order.account))
