"""What lists need of each Entity of a type, and what follows from all of them: made anew only where the
Entities have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable, Sequence
from time import perf_counter
from typing import Generic, TypeVar

import orjson

from cityloom.context.broker import Broker
from cityloom.context.keeping import Kept, unpack
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.ngsild.model import Document

_Summary = TypeVar("_Summary")
_Made = TypeVar("_Made")
#: Seconds of reading before others get their turn on the event loop.
TURN_SECONDS = 0.005

_Stamp = tuple[int, ...]
_Clearance = Collection[InformationClass]


class Summaries(Generic[_Summary]):
    """Summaries of the Entities of one type, kept in memory. `read` makes one from a document."""

    def __init__(self, broker: Broker, type_name: str, read: Callable[[Document], _Summary]) -> None:
        self._broker = broker
        self._type_name = type_name
        self._read = read
        #: By the Entity as it is kept, which is another one once it has changed.
        self._summaries: dict[Kept, _Summary] = {}
        self._lists = Derived(broker, (type_name,), self._all)
        self._read_at: _Stamp = ()
        self._most = 1000

    def all(self, actor: Actor) -> Sequence[_Summary]:
        """Of the Entities that the actor may see, oldest first."""
        return self._lists.of(actor)

    def find(self, actor: Actor, entity_id: str) -> _Summary | None:
        """Of one Entity; None where there is none of this type."""
        lying = self._broker.kept(actor, entity_id)
        return self._summary(lying.kept) if lying is not None and self._type_name in lying.types else None

    async def read(self) -> None:
        """Read what was not read yet, in turns between which others are answered. To be awaited before `all`
        is asked: after a start, or once a whole table was brought in, that takes seconds."""
        stamp = self._broker.stamp(CITY, self._type_name)
        if stamp == self._read_at:
            return
        until = perf_counter() + TURN_SECONDS
        for kept in self._broker.kept_of_type(CITY, self._type_name):
            if kept not in self._summaries:
                self._summary(kept)
                if perf_counter() > until:
                    await asyncio.sleep(0)
                    until = perf_counter() + TURN_SECONDS
        self._read_at = stamp

    def _all(self, actor: Actor) -> Sequence[_Summary]:
        self._most = 2 * self._broker.types(CITY).get(self._type_name, 0) + 1000
        self._forget_what_is_gone()
        found = self._broker.kept_of_type(actor, self._type_name)
        return [self._summary(kept) for kept in found]

    def _summary(self, kept: Kept) -> _Summary:
        try:
            return self._summaries[kept]
        except KeyError:
            self._forget_what_is_gone()
            made = self._summaries[kept] = self._read(orjson.loads(unpack(kept)))
            return made

    def _forget_what_is_gone(self) -> None:
        if len(self._summaries) <= self._most:
            return
        there = set(self._broker.kept_of_type(CITY, self._type_name))
        self._summaries = {kept: made for kept, made in self._summaries.items() if kept in there}
        self._most = 2 * len(there) + 1000


class Derived(Generic[_Made]):
    """What is made of the Entities of some types, kept until one of them changes.

    It is the same for whoever is cleared for the same: `make` looks at nothing else of the actor. What it
    makes is changed by nobody.
    """

    def __init__(self, broker: Broker, types: Sequence[str], make: Callable[[Actor], _Made]) -> None:
        self._broker = broker
        self._types = types
        self._make = make
        self._made: dict[_Clearance, tuple[Hashable, _Made]] = {}

    def of(self, actor: Actor, also: Hashable = None) -> _Made:
        """As it is now. `also` is what else it follows from, such as the day."""
        stamp = (also, *(self._broker.stamp(actor, name) for name in self._types))
        known = self._made.get(actor.clearance)
        if known is not None and known[0] == stamp:
            return known[1]
        made = self._make(actor)
        self._made[actor.clearance] = (stamp, made)
        return made

    def forget(self, actor: Actor) -> None:
        """Make it anew when it is asked for next."""
        self._made.pop(actor.clearance, None)


class WorkedOut(Generic[_Made]):
    """The same of what takes long: worked out in a thread, once for everybody who waits for it.

    `gather` collects on the event loop what is needed, and gives the work, which looks at nothing else.
    """

    def __init__(
        self, broker: Broker, types: Sequence[str], gather: Callable[[Actor], Callable[[], _Made]]
    ) -> None:
        self._tasks = Derived(broker, types, self._begun)
        self._gather = gather

    async def of(self, actor: Actor, also: Hashable = None) -> _Made:
        """As it is now; see `Derived.of`."""
        task = self._tasks.of(actor, also)
        if task.done() and (task.cancelled() or task.exception() is not None):
            # It failed for whoever asked before, and is tried again.
            self._tasks.forget(actor)
            task = self._tasks.of(actor, also)
        # Whoever goes away takes nothing from the others who wait.
        return await asyncio.shield(task)

    def _begun(self, actor: Actor) -> asyncio.Task[_Made]:
        return asyncio.create_task(asyncio.to_thread(self._gather(actor)), name="working out")
