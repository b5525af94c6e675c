"""Readings that were wrong: kept with their reason and shown; never dropped in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cityloom.access.authority import require
from cityloom.context.classes import ClassPolicy
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import CityError, NotFound
from cityloom.sensing.model import Message, ParkedReading
from cityloom.sensing.ports import ParkedStore, Room

#: Bytes of a message that are kept.
LONGEST_BODY = 65_536
_LONGEST_WORDS = 1_000


class ParkedReadings:
    """The list of what could not be understood or stored. Each keeps the information class that its reading
    would have had, and is there only for those who are cleared for it."""

    def __init__(
        self, store: ParkedStore, room: Room | None = None, classes: ClassPolicy | None = None
    ) -> None:
        self._store = store
        self._room = room or Room()
        self._classes = classes or ClassPolicy()

    async def park(self, parked: Sequence[tuple[Message, CityError]]) -> None:
        """Keep messages with their reasons; returns once that is durable. Raises StorageFull, NotReady."""
        readings = [_reading(message, error, self.class_of(message)) for message, error in parked]
        await asyncio.to_thread(self._store.add, readings, self._room)

    def class_of(self, message: Message) -> InformationClass:
        """The class of what is parked: its device's, or that of the type; internal where neither is known."""
        device = message.device
        if device is not None and device.information_class is not None:
            return device.information_class
        types = message.entity_types
        if device is not None and device.profile is not None:
            types = (device.profile.entity_type,)
        return self._classes.class_for(types) if types else InformationClass.INTERNAL

    async def newest(
        self, actor: Actor, *, limit: int = 100, before: int = 0, connector: str = ""
    ) -> list[ParkedReading]:
        """The newest first; `before` an id to page on."""
        require(actor, "parked:read")
        return await asyncio.to_thread(self._store.newest, actor.clearance, limit, before, connector)

    async def find(self, actor: Actor, reading_id: int) -> ParkedReading:
        """One of them. Raises NotFound."""
        require(actor, "parked:read")
        found = await asyncio.to_thread(self._store.find, actor.clearance, reading_id)
        if found is None:
            raise NotFound(
                f"There is no parked reading {reading_id}",
                hint="It was discarded or tried again.",
                where="id",
            )
        return found

    async def discard(self, actor: Actor, reading_ids: Sequence[int]) -> int:
        """Forget these; returns how many there were."""
        require(actor, "parked:read")
        return await asyncio.to_thread(self._store.remove, actor.clearance, reading_ids)

    async def count(self, actor: Actor) -> int:
        """How many there are for this reader."""
        return await asyncio.to_thread(self._store.count, actor.clearance)

    async def forgotten(self) -> int:
        """How many went because there was no room for more."""
        return await asyncio.to_thread(self._store.forgotten)


def _reading(message: Message, error: CityError, secrecy: InformationClass) -> ParkedReading:
    return ParkedReading(
        id=0,
        at=message.received_at,
        connector=message.connector,
        address=message.address,
        device=message.device.id if message.device else "",
        reason=error.message[:_LONGEST_WORDS],
        hint=error.hint[:_LONGEST_WORDS],
        where=(error.where or "")[:_LONGEST_WORDS],
        body=message.body[:LONGEST_BODY],
        content_type=message.content_type,
        truncated=len(message.body) > LONGEST_BODY,
        information_class=secrecy,
    )
