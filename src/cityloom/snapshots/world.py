"""The Entities of one snapshot and their past: a small city of its own (ETSI GS CIM 009, 4.3.7, 5.5.15).

It is what the city is, a feed and what is folded from it; so all that may be asked of the city and written
into it may be asked of a snapshot and written into it, by the same code. Its feed is never trimmed: after a
restart everything is read from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Sequence

from cityloom.context.broker import Broker
from cityloom.context.classes import ClassPolicy
from cityloom.context.consumption import Consumption, in_turns
from cityloom.context.ports import Feed
from cityloom.context.querying import TURN_SECONDS
from cityloom.context.refusals import not_found
from cityloom.context.writes import PastWrite
from cityloom.history.past import Past, encode_past
from cityloom.history.past_writing import PastWriting
from cityloom.history.queries import History
from cityloom.history.stage import STAGE, HistoryStage
from cityloom.history.temporal import TemporalHistory
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT, Change
from cityloom.kernel.time import Clock
from cityloom.ngsild.errors import AlreadyExists, TooManyResults
from cityloom.ngsild.model import Document
from cityloom.snapshots.ports import Stores

#: Entities in one snapshot; how many are kept is said by a quota.
MAX_ENTITIES = 20_000
#: Changes that a copy takes over at a time.
_PAGE = 1_000

#: Asked before so many bytes more are written. Called in a thread; raises what there is to be told.
Grow = Callable[[int], None]


class World:
    """Lives on the event loop. Who may do what is said by rights and classes, as in the city."""

    def __init__(
        self, tenant: str, stores: Stores, city: Broker, clock: Clock, classes: ClassPolicy | None, grow: Grow
    ) -> None:
        self.tenant = tenant
        self._stores = stores
        self.feed = stores.feed
        self._city = city
        self.broker = Broker(BoundedFeed(stores.feed, grow), stores.table, clock, classes)
        self._stage = HistoryStage(stores.history, pause=0.0)
        history = History(stores.history, _BothClasses(city, self.broker))
        self.temporal = TemporalHistory(history)
        self.past = PastWriting(history, self.broker, self.remembered)
        #: Of Entities that came by queries.
        self._count = 0
        #: The city's change through which classes were compared.
        self._looked_through = -1

    async def start(self) -> None:
        """Read what there is. Raises BadConfig when that cannot be."""
        await self.broker.start()
        self.broker.follow(STAGE, self._stage.handle, durable=True, after=self._stage.through, past=True)
        await self._stage.reached(self.broker.last_sequence)

    async def stop(self) -> None:
        """Everything that was acknowledged is kept."""
        await self.broker.stop()
        await asyncio.to_thread(self._stores.close)

    async def remembered(self) -> None:
        """Return once its history tells what it says. Raises NotReady when that takes too long."""
        await self._stage.caught_up(self.broker.last_sequence)

    # How it is filled

    async def add(self, documents: Iterable[tuple[Document, InformationClass]]) -> int:
        """Take Entities in as they are; one that is there already stays as it is. How many there were.

        Raises TooManyResults, OverQuota, StorageFull.
        """
        taken = list(documents)
        self._count += len(taken)
        if self._count > MAX_ENTITIES:
            raise TooManyResults(
                f"More than {MAX_ENTITIES} entities match", hint="Narrow the queries of the snapshot."
            )
        outcome = await self.broker.take_over(CITY, taken, trace="snapshot", tenant=self.tenant)
        for _, error in outcome.errors:
            if not isinstance(error, AlreadyExists):
                raise error
        return len(taken)

    async def add_past(self, document: Document, kept_as: InformationClass) -> None:
        """Take in what was remembered of an Entity. Raises OverQuota, StorageFull."""
        past = PastWrite(
            types=tuple(document["type"]),
            told=encode_past(Past(document["attrs"])),
            attributes=tuple(document["attrs"]),
            before=None,
            after=document,
            information_class=kept_as,
        )
        await self.broker.write_past(CITY, document["id"], past, trace="snapshot", tenant=self.tenant)

    # Secrecy

    async def keep_secret(self) -> None:
        """Raise the class of what has become more secret in the city since it was last asked for."""
        newest = self._city.last_sequence
        if newest == self._looked_through:
            return
        for entity_id, now in await in_turns(self._raised(), TURN_SECONDS):
            await self.broker.classify(CITY, entity_id, now, trace="snapshot", tenant=self.tenant)
        self._looked_through = newest

    def _raised(self) -> Generator[None, None, list[tuple[str, InformationClass]]]:
        found = []
        for entity_id, kept_as in self.broker.classes(self.tenant):
            now = _class_in(self._city, entity_id, self.tenant)
            if now is not None and now > kept_as:
                found.append((entity_id, now))
            yield
        return found


def copy_feed(of: Feed, to: Feed) -> None:
    """Write into an empty feed what another has told until now. Blocks; raises OverQuota, StorageFull."""
    after, last = 0, of.last_sequence()
    while after < last:
        changes = of.read(after, min(_PAGE, last - after))
        to.append(changes)
        after = changes[-1].sequence


class BoundedFeed:
    """A feed that asks before it grows, and forgets nothing."""

    def __init__(self, feed: Feed, grow: Grow) -> None:
        self._feed = feed
        self._grow = grow
        self.where = feed.where

    def append(self, changes: Sequence[Change]) -> None:
        self._grow(sum(len(change.document) + len(change.before) for change in changes))
        self._feed.append(changes)

    def read(self, after: int, limit: int) -> list[Change]:
        return self._feed.read(after, limit)

    def last_sequence(self) -> int:
        return self._feed.last_sequence()

    def trim(self, through: int) -> int:  # noqa: ARG002 - a port's method
        return 0

    def cursor(self, stage: str) -> int:
        return self._feed.cursor(stage)

    def set_cursor(self, stage: str, sequence: int) -> None:
        self._feed.set_cursor(stage, sequence)

    def close(self) -> None:
        self._feed.close()


class _BothClasses:
    """The class of an Entity: that of the snapshot or of the city, whichever is more secret."""

    def __init__(self, city: Consumption, here: Consumption) -> None:
        self._sights = (city, here)

    def class_of(self, actor: Actor, entity_id: str, *, tenant: str = DEFAULT_TENANT) -> InformationClass:
        found = [_class_in(sight, entity_id, tenant) for sight in self._sights]
        known = [one for one in found if one is not None]
        if not known or not actor.sees(max(known)):
            raise not_found(entity_id)
        return max(known)


def _class_in(sight: Consumption, entity_id: str, tenant: str) -> InformationClass | None:
    if sight.raw(CITY, entity_id, tenant=tenant) is None:
        return None
    return sight.class_of(CITY, entity_id, tenant=tenant)
