"""Editing by people: on what they saw, one after the other, and not at all when it has changed since."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from weakref import WeakValueDictionary

import orjson

from cityloom.context.broker import Broker
from cityloom.context.reading import bare
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import Conflict
from cityloom.ngsild.model import Document, Instance, entity, prop
from cityloom.ngsild.names import NULL

#: What an edit writes: new instances by attribute name; None removes the attribute.
Edits = Mapping[str, Instance | None]


class Editing:
    """Edits one Entity at a time: an edit sees everything that the edit before it wrote."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def edit(
        self, actor: Actor, entity_id: str, decide: Callable[[Document], Edits], *, trace: str
    ) -> Document:
        """Write what `decide` makes of the Entity as it stands; returns the Entity after it.

        Nothing is written when `decide` raises or has nothing to write. Raises ResourceNotFound.
        """
        async with self.turn(entity_id):
            document = self._broker.retrieve(actor, entity_id)
            edits = decide(document)
            if not edits:
                return document
            instances = {name: prop(NULL) if item is None else item for name, item in edits.items()}
            fragment = entity(document["type"][0], entity_id, instances)
            await self._broker.update(actor, entity_id, fragment, trace=trace)
            return self._broker.retrieve(actor, entity_id)

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Wait until nobody else is at work on this name."""
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        async with lock:
            yield


def version_of(document: Document, names: Iterable[str]) -> str:
    """A tag of what these attributes say; it changes when one of them says something else."""
    said = [[name, [bare(item) for item in document["attrs"].get(name, ())]] for name in sorted(names)]
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def check_version(seen: str, document: Document, names: Iterable[str]) -> None:
    """Raise Conflict when the Entity has changed since it was seen. "" stands for "however it is"."""
    if seen and seen != version_of(document, names):
        raise Conflict(
            "It has been changed by somebody else meanwhile",
            hint="Look at it as it is now, then decide again.",
            where="version",
        )
