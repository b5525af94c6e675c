"""Documents that never change again: kept by the digest of their content, told by an Entity beside them.

What such an Entity says can be held against the content at any time: whoever changes one of them shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import orjson

from cityloom.access.authority import may_write
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing
from cityloom.context.publishing import Publishing, working_id
from cityloom.context.reading import instant, language_property, texts, word
from cityloom.indicators.ports import EvidenceStore
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.canonical import canonical
from cityloom.kernel.errors import Conflict
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document, Instance, entity, prop, value_of

_SIGNED = "frozenBy"


class Frozen(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a frozen document."""

    id: str
    name: Mapping[str, str]
    #: Counted from one in the order of freezing.
    number: int
    #: SHA-256 of its canonical text, in hexadecimal.
    digest: str
    frozen_at: datetime | None
    #: An actor's id; "" for who may not know.
    by: str
    origin: str
    document: Document


class FrozenDocuments:
    """The frozen documents of one type. What they hold is open: only what everybody may see goes in."""

    def __init__(self, broker: Broker, clock: Clock, store: EvidenceStore, type_name: str) -> None:
        self._broker = broker
        self._clock = clock
        self._store = store
        self._type_name = type_name
        self._editing = Editing(broker)
        self._publishing = Publishing(broker, self._editing, "planning")

    async def freeze(
        self,
        actor: Actor,
        content: Mapping[str, Any],
        name: Mapping[str, str],
        more: Mapping[str, Instance],
        *,
        origin: str = "entered",
    ) -> Frozen:
        """Keep a content for good. Its number must be `next_number`; two at once do not get the same."""
        number = int(content["number"])
        # By its number, so that the same number is never given twice.
        entity_id = f"urn:ngsi-ld:{self._type_name}:{number}"
        async with self._editing.turn(self._type_name):
            if number != self.next_number(actor):
                raise Conflict(
                    Worded("Another one was made meanwhile"), hint=Worded("Look at it first."), where="number"
                )
            digest = await asyncio.to_thread(lambda: self._store.put(canonical(content)))
            attributes: dict[str, Any] = {
                "name": language_property(name),
                "number": prop(number),
                "digest": prop(digest),
                "frozenAt": prop(format_instant(self._clock.now())),
                "dataOrigin": prop(origin),
                **more,
            }
            document = entity(self._type_name, entity_id, attributes)
            writer = may_write(actor, classify=True)
            trace = f"planning:freeze:{self._type_name}"
            await self._broker.create(writer, document, information_class=InformationClass.OPEN, trace=trace)
            await self._publishing.sign(actor, document, _SIGNED)
        return self.get(actor, entity_id)

    def next_number(self, actor: Actor) -> int:
        """The number that the next one gets."""
        return max((one.number for one in self.list(actor)), default=0) + 1

    def get(self, actor: Actor, entity_id: str) -> Frozen:
        """What is told of one. Raises ResourceNotFound."""
        document = self._broker.find(actor, entity_id)
        if document is None or self._type_name not in document["type"] or _is_beside(document):
            raise ResourceNotFound(
                Worded("There is no record %(id)s", id=entity_id[:200]),
                hint=Worded("See the list of them."),
                where="id",
            )
        return self._read(actor, document)

    def list(self, actor: Actor) -> Sequence[Frozen]:
        """All of them, the newest first."""
        found = [one for one in self._broker.of_type(actor, self._type_name) if not _is_beside(one)]
        return sorted((self._read(actor, one) for one in found), key=lambda one: -one.number)

    def newest(self, actor: Actor) -> Frozen | None:
        """The one that was frozen last; None where there is none."""
        return next(iter(self.list(actor)), None)

    async def content(self, one: Frozen) -> dict[str, Any] | None:
        """What was frozen; None where it is gone or is not what it was."""
        raw = await self.text(one)
        if raw is None:
            return None
        content: dict[str, Any] = await asyncio.to_thread(orjson.loads, raw)
        return content

    async def text(self, one: Frozen) -> bytes | None:
        """Its canonical text; None where it is gone or is not what it was."""
        return await asyncio.to_thread(self._store.get, one.digest) if _is_digest(one.digest) else None

    def _read(self, actor: Actor, document: Document) -> Frozen:
        return _frozen(document, self._publishing.signed(actor, document, _SIGNED))


def _is_beside(document: Document) -> bool:
    """Whether it says who froze another one."""
    found: bool = document["id"] == working_id(document["id"])
    return found


def _frozen(document: Document, by: str) -> Frozen:
    number = value_of(document, "number")
    return Frozen(
        id=document["id"],
        name=texts(document, "name"),
        number=int(number) if isinstance(number, int | float) else 0,
        digest=word(document, "digest"),
        frozen_at=instant(document, "frozenAt"),
        by=by,
        origin=word(document, "dataOrigin"),
        document=document,
    )


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")
