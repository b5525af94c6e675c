"""Consumption of context information (ETSI GS CIM 009, 5.7): what may be asked about how the city is now.

Everything is answered from memory, from what is committed, and from the partitions the actor may see.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from time import perf_counter
from typing import NamedTuple, TypeVar

import orjson

from cityloom.context.keeping import Kept, unpack
from cityloom.context.ports import Bounds
from cityloom.context.querying import TURN, TURN_SECONDS, QueryPage, answer, ids_of_all
from cityloom.context.refusals import not_found
from cityloom.context.rows import LEAST_COLUMNS, Rows
from cityloom.context.sifting import WORTH_COLUMNS
from cityloom.context.state import CurrentState, Held
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.ngsild.model import Document
from cityloom.ngsild.q_language import Path
from cityloom.ngsild.query import EntityQuery

_Found = TypeVar("_Found")


class Lying(NamedTuple):
    """An Entity that nobody has read yet."""

    types: tuple[str, ...]
    kept: Kept


class Consumption:
    """The queries of the broker."""

    def __init__(self, state: CurrentState) -> None:
        self._state = state

    def retrieve(self, actor: Actor, entity_id: str, *, tenant: str = DEFAULT_TENANT) -> Document:
        """The Entity. Raises ResourceNotFound when it is not there or the actor is not cleared for it."""
        document: Document = orjson.loads(self.retrieve_text(actor, entity_id, tenant=tenant))
        return document

    def retrieve_text(self, actor: Actor, entity_id: str, *, tenant: str = DEFAULT_TENANT) -> bytes:
        """The Entity as JSON in the internal form. Raises ResourceNotFound."""
        return self._held(actor, entity_id, tenant).document

    def find(self, actor: Actor, entity_id: str, *, tenant: str = DEFAULT_TENANT) -> Document | None:
        """The Entity, or None."""
        document = self.raw(actor, entity_id, tenant=tenant)
        return None if document is None else orjson.loads(document)

    def raw(self, actor: Actor, entity_id: str, *, tenant: str = DEFAULT_TENANT) -> bytes | None:
        """The Entity as JSON in the internal form, or None."""
        held = self._state.find(tenant, entity_id, actor.clearance)
        return None if held is None else held.document

    def class_of(self, actor: Actor, entity_id: str, *, tenant: str = DEFAULT_TENANT) -> InformationClass:
        """The Entity's information class. Raises ResourceNotFound."""
        return self._held(actor, entity_id, tenant).information_class

    def classes(self, tenant: str) -> Iterator[tuple[str, InformationClass]]:
        """The id and the class of every Entity, for the house itself."""
        for held in list(self._state.all(tenant, tuple(InformationClass))):
            yield held.entity_id, held.information_class

    def of_type(self, actor: Actor, type_name: str, *, tenant: str = DEFAULT_TENANT) -> list[Document]:
        """All Entities of a type that the actor may see, oldest first."""
        held = self._state.of_type(tenant, type_name, actor.clearance)
        return [orjson.loads(one.document) for one in held]

    def first_of_type(self, actor: Actor, type_name: str, *, tenant: str = DEFAULT_TENANT) -> Document | None:
        """The oldest Entity of a type that the actor may see, or None."""
        held = next(self._state.of_type(tenant, type_name, actor.clearance), None)
        return None if held is None else orjson.loads(held.document)

    def kept_of_type(self, actor: Actor, type_name: str, *, tenant: str = DEFAULT_TENANT) -> list[Kept]:
        """All Entities of a type that the actor may see, oldest first, as they are kept: see `unpack`.

        One that has not changed is the same object as before.
        """
        return [held.kept for held in self._state.of_type(tenant, type_name, actor.clearance)]

    def kept(self, actor: Actor, entity_id: str, *, tenant: str = DEFAULT_TENANT) -> Lying | None:
        """The Entity's types, and itself as it is kept; None where there is none. See `kept_of_type`."""
        held = self._state.find(tenant, entity_id, actor.clearance)
        return None if held is None else Lying(held.types, held.kept)

    def stamp(self, actor: Actor, type_name: str, *, tenant: str = DEFAULT_TENANT) -> tuple[int, ...]:
        """Another one once an Entity of a type, of those that the actor may see, is different from before."""
        return self._state.stamp(tenant, type_name, actor.clearance)

    def query(self, actor: Actor, query: EntityQuery, *, tenant: str = DEFAULT_TENANT) -> QueryPage:
        """The Entities that match, oldest first unless ordered otherwise; nothing the actor may not see.

        Keeps the event loop for as long as it takes: for small questions of the house itself. What comes
        from outside goes through `search`.
        """
        steps = self._answer(actor, query, tenant)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                page: QueryPage = done.value
                return page

    async def search(self, actor: Actor, query: EntityQuery, *, tenant: str = DEFAULT_TENANT) -> QueryPage:
        """The same answer as `query`, letting others have their turn on the event loop meanwhile."""
        return await in_turns(self._answer(actor, query, tenant))

    async def search_ids(
        self, actor: Actor, query: EntityQuery, *, most: int | None = None, tenant: str = DEFAULT_TENANT
    ) -> list[str]:
        """The ids of all Entities that match, oldest first, whatever `limit` and `offset` say.

        Raises TooManyResults for more than `most` of them.
        """

        def lookup(entity_id: str) -> Document | None:
            return self.find(actor, entity_id, tenant=tenant)

        return await in_turns(ids_of_all(self._state, tenant, actor.clearance, query, lookup, most))

    async def each(
        self,
        actor: Actor,
        *,
        type_name: str | None = None,
        attribute: str | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> AsyncIterator[Document]:
        """Every Entity that the actor may see, oldest first, as they were when it began; or those of a type,
        or those that may have an attribute. One after the other, since a million at once are gigabytes; and
        others have their turn on the event loop meanwhile.
        """
        clearance = actor.clearance
        if type_name is None:
            found = self._state.all(tenant, clearance)
        else:
            found = self._state.of_type(tenant, type_name, clearance)
        member = b"" if attribute is None else orjson.dumps(attribute) + b":"
        until = perf_counter() + TURN_SECONDS
        for number, kept in enumerate([held.kept for held in found], 1):
            if number % TURN == 0 or perf_counter() > until:
                await asyncio.sleep(0)
                until = perf_counter() + TURN_SECONDS
            if kept.find(member) >= 0:
                yield orjson.loads(unpack(kept))

    def referrers(self, actor: Actor, target: str, *, tenant: str = DEFAULT_TENANT) -> list[str]:
        """The ids of the Entities that point at `target` (an id, or "type:Name"), oldest first."""
        return [held.entity_id for held in self._state.referrers(tenant, target, actor.clearance)]

    def types(self, actor: Actor, *, tenant: str = DEFAULT_TENANT) -> dict[str, int]:
        """How many Entities of each type the actor may see."""
        return self._state.types(tenant, actor.clearance)

    def extent(self, actor: Actor, type_name: str, *, tenant: str = DEFAULT_TENANT) -> Bounds | None:
        """West, south, east, north of the locations of a type that the actor may see; None without any."""
        return self._state.extent(tenant, type_name, actor.clearance)

    def tenants(self, actor: Actor) -> list[str]:
        """The tenants in which the actor may see anything at all."""
        return self._state.tenants(actor.clearance)

    def columns(self) -> list[tuple[str, InformationClass, tuple[Path, ...]]]:
        """For the house itself: of which paths queries look at columns, by tenant and class."""
        return [(tenant, of, rows.asked) for tenant, of, rows in self._state.shelves() if rows.asked]

    async def make_columns(
        self, tenant: str, information_class: InformationClass, paths: Iterable[Path]
    ) -> None:
        """Make what the first query would wait for, with others' turn on the event loop meanwhile."""
        for rows in self._state.rows(tenant, (information_class,)):
            if len(rows) >= WORTH_COLUMNS:
                await in_turns(_made(rows, list(paths)))

    def _answer(self, actor: Actor, query: EntityQuery, tenant: str) -> Generator[None, None, QueryPage]:
        return answer(
            self._state,
            tenant,
            actor.clearance,
            query,
            lambda entity_id: self.find(actor, entity_id, tenant=tenant),
        )

    def _held(self, actor: Actor, entity_id: str, tenant: str) -> Held:
        held = self._state.find(tenant, entity_id, actor.clearance)
        if held is None:
            raise not_found(entity_id)
        return held


def _made(rows: Rows, paths: list[Path]) -> Generator[None, None, None]:
    rows.places.sort()
    for first in range(0, len(paths), LEAST_COLUMNS):
        yield from rows.read(paths[first : first + LEAST_COLUMNS], patient=True)


async def in_turns(steps: Generator[None, None, _Found], seconds: float = 0.0) -> _Found:
    """What the steps return, with others' turn on the event loop between them: after each, or after those
    that have taken `seconds`."""
    until = perf_counter() + seconds
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: _Found = done.value
            return found
        if perf_counter() >= until:
            await asyncio.sleep(0)
            until = perf_counter() + seconds
