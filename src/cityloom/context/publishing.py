"""What is written inside and shown in the open: the working copy of the staff, and what everybody sees of it.

They are two Entities. The working copy (`…:draft-…`) is internal; others point at the open one, whether it is
there or not. So nobody outside sees an edit, or that there is one, and what was struck out stays inside.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress
from functools import partial

import msgspec

from cityloom.access.authority import may_write
from cityloom.access.credentials import new_id
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, Edits
from cityloom.context.reading import says, word
from cityloom.kernel.actor import ANONYMOUS, Actor, InformationClass
from cityloom.ngsild.errors import AlreadyExists
from cityloom.ngsild.model import Document, entity, prop

_DRAFT = "draft-"


def public_id(entity_id: str) -> str:
    """The id by which something is pointed at, of its own or its working copy's."""
    head, colon, name = entity_id.rpartition(":")
    return f"{head}{colon}{name.removeprefix(_DRAFT)}"


def working_id(entity_id: str) -> str:
    """The id of the working copy."""
    head, colon, name = entity_id.rpartition(":")
    return f"{head}{colon}{_DRAFT}{name.removeprefix(_DRAFT)}"


def new_working_id(type_name: str) -> str:
    """An id for a new working copy."""
    return new_id(f"urn:ngsi-ld:{type_name}:{_DRAFT}")


class Publishing:
    """Writes both, for a room that has checked its own permission. `room` stands before each act's trace."""

    def __init__(self, broker: Broker, editing: Editing, room: str) -> None:
        self._broker = broker
        self._editing = editing
        self._room = room

    def turn(self, entity_id: str) -> AbstractAsyncContextManager[None]:
        """A turn for what changes both: what is taken back while it is being published does not stay."""
        return self._editing.turn(f"both: {public_id(entity_id)}")

    async def draft(
        self,
        actor: Actor,
        working: Document,
        did: str = "draft",
        *,
        secrecy: InformationClass = InformationClass.INTERNAL,
    ) -> None:
        """Keep a new working copy, for the staff."""
        await self._create(actor, working, secrecy, did)

    async def show(
        self,
        actor: Actor,
        type_name: str,
        entity_id: str,
        said: Edits,
        *,
        origin: str = "",
        did: str = "publish",
    ) -> None:
        """Let everybody see this from now on; None is no longer said. `origin`: where it comes from.

        Nothing is written where all of it is seen: a room may say it again to mend what a crash left behind.
        """
        if self._broker.find(actor, entity_id) is None:
            attributes = {name: item for name, item in said.items() if item is not None}
            attributes["dataOrigin"] = prop(origin or "entered")
            document = entity(type_name, entity_id, attributes)
            # Somebody else may show it meanwhile.
            with suppress(AlreadyExists):
                await self._create(actor, document, InformationClass.OPEN, did)
                return
        unsaid = partial(_unsaid, said=said)
        await self._editing.edit(may_write(actor), entity_id, unsaid, trace=self._trace(did))

    async def move(self, actor: Actor, working: str, public: Document, did: str = "publish") -> None:
        """Let everybody see this in place of a working copy, which goes; what stands in the open stays."""
        try:
            await self._create(actor, public, InformationClass.OPEN, did)
        except AlreadyExists:
            # A crash came between showing it and removing the draft: it is shown already.
            self._broker.retrieve(actor, public["id"])
        await self._broker.delete(may_write(actor), working, trace=self._trace(did))

    async def sign(self, actor: Actor, public: Document, attribute: str, did: str = "sign") -> None:
        """Keep for the staff who made an open Entity: accounts are not named in the open."""
        said = {"name": public["attrs"]["name"][0], attribute: prop(actor.id)}
        beside = entity(public["type"][0], working_id(public["id"]), said)
        staff = msgspec.structs.replace(actor, clearance=actor.clearance | {InformationClass.INTERNAL})
        await self._create(staff, beside, InformationClass.INTERNAL, did)

    def signed(self, actor: Actor, document: Document, attribute: str) -> str:
        """The account that made an open Entity, for whoever may know; "" for others."""
        beside = self._broker.find(actor, working_id(document["id"]))
        return word(document if beside is None else beside, attribute)

    async def hide(self, actor: Actor, entity_id: str, did: str = "withdraw") -> bool:
        """Take it out of the open; whether it was there."""
        async with self._editing.turn(entity_id):
            if self._broker.find(actor, entity_id) is None:
                return False
            await self._broker.delete(may_write(actor), entity_id, trace=self._trace(did))
        return True

    def is_open(self, entity_id: str) -> bool:
        """Whether everybody may see an Entity. What they may not is not named in the open either."""
        return self._broker.find(ANONYMOUS, entity_id) is not None

    async def _create(self, actor: Actor, document: Document, secrecy: InformationClass, did: str) -> None:
        writer = may_write(actor, classify=True)
        await self._broker.create(writer, document, information_class=secrecy, trace=self._trace(did))

    def _trace(self, did: str) -> str:
        return f"{self._room}:{did}"


def _unsaid(document: Document, said: Edits) -> Edits:
    return {name: item for name, item in said.items() if not says(document, name, item)}
