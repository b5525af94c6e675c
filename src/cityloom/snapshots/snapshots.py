"""All snapshots of the city: who has how many, how long they are kept, and how they stand (5.5.15, 5.16).

How each stands is kept in the register, what it is made of in stores of its own; both survive a restart.
Whoever looks at one sees what they may see now.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec

from cityloom.access.ownership import check_tends, tends
from cityloom.access.quotas import SNAPSHOTS, Holdings, Quota
from cityloom.context.broker import Broker
from cityloom.context.classes import ClassPolicy
from cityloom.context.ports import Entry, Feed, Register
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import CityError, Conflict
from cityloom.kernel.time import Clock
from cityloom.ngsild.errors import AlreadyExists, ResourceNotFound
from cityloom.snapshots.model import Snapshot, Wish, snapshot_of
from cityloom.snapshots.ports import SnapshotStores, Subscribing
from cityloom.snapshots.telling import Telling
from cityloom.snapshots.world import BoundedFeed, Grow, World, copy_feed

_log = logging.getLogger(__name__)

_KIND = "snapshot"
#: Seconds after which an expired snapshot that could not be removed is tried again.
TRY_AGAIN_S = 60.0
#: What is told of a snapshot that was being filled when the city ended.
CUT_OFF: dict[str, Any] = {
    "type": "https://uri.etsi.org/ngsi-ld/errors/InternalError",
    "title": "The city was stopped while the snapshot was made",
    "detail": "The city was stopped while the snapshot was made, and what it had so far is gone",
    "hint": "Make it anew.",
}
_Key = tuple[str, str]


class Snapshots:
    """Lives on the event loop. Whoever needs room gives up a snapshot of their own, never another's."""

    def __init__(
        self,
        register: Register,
        stores: SnapshotStores,
        city: Broker,
        clock: Clock,
        telling: Telling,
        subscriptions: Subscribing,
        *,
        classes: ClassPolicy | None = None,
        quota: Quota = SNAPSHOTS,
    ) -> None:
        self._register = register
        self._stores = stores
        self._city = city
        self._clock = clock
        self._classes = classes
        self._telling = telling
        self._subscriptions = subscriptions
        subscriptions.open_snapshot = self._open
        self._told_of_ends: list[Callable[[str], None]] = []
        self._expiring: asyncio.Task[None] | None = None
        self._something_changed = asyncio.Event()
        self._kept: dict[_Key, Snapshot] = {}
        self._worlds: dict[_Key, World] = {}
        self._sizes: dict[_Key, int] = {}
        self._holdings = Holdings(_KIND, quota)
        #: What changes which snapshots there are goes one after the other.
        self._changing = asyncio.Lock()
        self._opening = asyncio.Lock()

    def tell(self, ended: Callable[[str], None]) -> None:
        """Call this after a snapshot has ended, with its place."""
        self._told_of_ends.append(ended)

    async def start(self) -> None:
        """Load how they stood; what was being made ended with the city. Stores of none are removed, and a
        snapshot whose stores are not there, as of one begun while a backup was made, is forgotten."""
        there = set(await asyncio.to_thread(self._stores.names))
        for entry in await asyncio.to_thread(self._register.load, _KIND):
            one = msgspec.json.decode(entry.document, type=Snapshot)
            size = await asyncio.to_thread(self._stores.size, one.name)
            self._hold(one, size)
            if one.status == "preparing":
                await self._empty(one)
                one.fail(CUT_OFF)
                await self.settled(one)
        living = {one.name for one in self._kept.values()}
        for name in there - living:
            await asyncio.to_thread(self._stores.remove, name)
        async with self._changing:
            lost = [one for one in self._kept.values() if one.status != "failure" and one.name not in there]
            await self._drop(lost)
            await self._forget_expired()
        self._expiring = asyncio.create_task(self._expire(), name="snapshots expire")

    async def stop(self) -> None:
        if self._expiring is not None:
            self._expiring.cancel()
            with suppress(asyncio.CancelledError):
                await self._expiring
        await self._telling.stop()
        for key, world in list(self._worlds.items()):
            await world.stop()
            self._subscriptions.leave(self._kept[key].place)
        self._worlds.clear()

    def all(self, tenant: str) -> list[Snapshot]:
        """Those of a tenant whose time is not over."""
        now = datetime.now(UTC)
        return [one for one in self._kept.values() if one.tenant == tenant and one.expires_at > now]

    def get(self, tenant: str, snapshot_id: str) -> Snapshot:
        """How a snapshot stands. Raises ResourceNotFound."""
        found = self._kept.get((tenant, snapshot_id))
        if found is None or found.expires_at <= datetime.now(UTC):
            raise ResourceNotFound(
                f"There is no snapshot {snapshot_id[:200]!a}",
                hint="Make a new one: they are kept for a while.",
            )
        return found

    def check_writable(self, actor: Actor, one: Snapshot) -> None:
        """Whether somebody may write into it now. Raises NotAllowed for somebody else's, Conflict while it
        is being made."""
        check_tends(actor, _KIND, one.owner)
        self.check_made(one)

    def check_made(self, one: Snapshot) -> None:
        """Raises Conflict while a snapshot is being made."""
        if one.status == "preparing":
            raise Conflict(
                "The snapshot is still being made", hint="Wait until its snapshotStatus says so.", where="id"
            )

    async def look(self, tenant: str, snapshot_id: str) -> World:
        """What a snapshot is made of, to be asked; as secret as it is in the city now.

        Raises ResourceNotFound.
        """
        one = self.get(tenant, snapshot_id)
        one.last_used_at = datetime.now(UTC)
        world = await self.world(one)
        await world.keep_secret()
        return world

    async def world(self, one: Snapshot) -> World:
        """What a snapshot is made of, read where that was not done yet. Raises ResourceNotFound."""
        async with self._opening:
            self._check_there(one)
            found = self._worlds.get(one.key)
            if found is None:
                stores = await asyncio.to_thread(self._stores.open, one.name)
                found = World(one.tenant, stores, self._city, self._clock, self._classes, self._growing(one))
                await found.start()
                self._worlds[one.key] = found
                self._subscriptions.enter(one.place, found.broker, one.tenant, found.keep_secret)
            return found

    async def _open(self, place: str) -> bool:
        """Open what somebody has subscribed to; False where it is gone."""
        found = next((one for one in self._kept.values() if one.place == place), None)
        if found is None or found.expires_at <= datetime.now(UTC):
            return False
        await self.world(found)
        return True

    async def make(self, actor: Actor, tenant: str, snapshot_id: str, wish: Wish) -> Snapshot:
        """A new, empty one. Raises AlreadyExists; OverQuota when none of one's own may be given up for it."""
        self._check_endpoint(wish)
        async with self._changing:
            await self._forget_expired()
            if (tenant, snapshot_id) in self._kept:
                raise AlreadyExists(
                    f"There is a snapshot {snapshot_id[:200]!a} already",
                    hint="Choose another id.",
                    where="id",
                )
            made = snapshot_of(snapshot_id, tenant, actor.id, uuid4().hex, wish)
            if self._holdings.excess(actor.id, 0):
                await self._make_room(actor.id, made.priority)
            self._holdings.check(actor.id, 0)
            await self._save(made)
            self._hold(made, 0)
        return made

    async def copy(self, found: Snapshot, made: Snapshot) -> None:
        """Take all that one is made of into a new one. Raises OverQuota: the new one is empty."""
        source = (await self.world(found)).feed
        try:
            await asyncio.to_thread(self._copy, source, made, self._growing(made))
        except BaseException:
            await self._empty(made)
            raise

    def _copy(self, source: Feed, made: Snapshot, grow: Grow) -> None:
        stores = self._stores.open(made.name)
        try:
            copy_feed(source, BoundedFeed(stores.feed, grow))
        finally:
            stores.close()

    async def settled(self, one: Snapshot) -> None:
        """Keep how a snapshot stands now, and tell it (5.16.6). One that is gone stays gone."""
        async with self._changing:
            if self._kept.get(one.key) is one:
                await self._save(one)
                self._telling.tell(one)

    async def change(self, actor: Actor, tenant: str, snapshot_id: str, wish: Wish) -> Snapshot:
        """Another priority or lifetime. Raises ResourceNotFound, NotAllowed for somebody else's."""
        self._check_endpoint(wish)
        found = self.get(tenant, snapshot_id)
        check_tends(actor, _KIND, found.owner)
        found.wish(wish, datetime.now(UTC))
        self._something_changed.set()
        await self.settled(found)
        return found

    async def remove(self, actor: Actor, tenant: str, snapshot_id: str) -> None:
        """Forget one. Raises ResourceNotFound, NotAllowed for somebody else's."""
        async with self._changing:
            found = self.get(tenant, snapshot_id)
            check_tends(actor, _KIND, found.owner)
            await self._drop([found])

    async def purge(self, actor: Actor, tenant: str, matches: Callable[[Snapshot], bool]) -> None:
        """Forget those that match, of one's own; who may administer, those of all (5.16.7)."""
        async with self._changing:
            await self._drop(
                [one for one in self.all(tenant) if tends(actor, _KIND, one.owner) and matches(one)]
            )

    # Keeping

    def _hold(self, one: Snapshot, size: int) -> None:
        self._something_changed.set()
        self._kept[one.key] = one
        self._sizes[one.key] = size
        self._holdings.add(one.owner, size)

    async def _save(self, one: Snapshot) -> None:
        entry = Entry(one.tenant, one.id, msgspec.json.encode(one))
        await asyncio.to_thread(self._register.put, _KIND, entry)

    async def _drop(self, gone: Iterable[Snapshot]) -> None:
        for one in gone:
            await asyncio.to_thread(self._register.remove, _KIND, one.tenant, [one.id])
            del self._kept[one.key]
            await self._subscriptions.ended(one.place)
            await self._empty(one)
            for ended in self._told_of_ends:
                ended(one.place)
            self._holdings.release(one.owner, self._sizes.pop(one.key))
            now = datetime.now(UTC)
            # An end before the moment of telling says that it is gone (5.3.4).
            one.expires_at = min(one.expires_at, now)
            one.status = "failure" if one.status == "preparing" else one.status
            self._telling.tell(one)

    async def _empty(self, one: Snapshot) -> None:
        """Remove what a snapshot is made of; how it stands is kept."""
        async with self._opening:
            world = self._worlds.pop(one.key, None)
            if world is not None:
                self._subscriptions.leave(one.place)
                await world.stop()
            await asyncio.to_thread(self._stores.remove, one.name)
        if one.key in self._kept:
            self._holdings.grow(one.owner, -self._sizes[one.key])
            self._sizes[one.key] = 0

    async def _expire(self) -> None:
        """Forget each snapshot when its time is over."""
        while True:
            self._something_changed.clear()
            first = min((one.expires_at for one in self._kept.values()), default=None)
            left = None if first is None else max((first - datetime.now(UTC)).total_seconds(), 0.0)
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._something_changed.wait()
                continue
            try:
                async with self._changing:
                    await self._forget_expired()
            except CityError as refused:
                _log.warning("A snapshot cannot be forgotten yet: %s", refused)
                await asyncio.sleep(TRY_AGAIN_S)

    async def _forget_expired(self) -> None:
        now = datetime.now(UTC)
        await self._drop([one for one in self._kept.values() if one.expires_at <= now])

    async def _make_room(self, owner: str, priority: int) -> None:
        """Give up the owner's least important one, the longest unused among equals (5.5.15)."""
        own = [one for one in self._kept.values() if one.owner == owner and one.priority <= priority]
        if own:
            await self._drop([min(own, key=lambda one: (one.priority, one.last_used_at))])

    # Room

    def _growing(self, one: Snapshot) -> Grow:
        """Asked by the thread that writes: who keeps how much is known to the event loop."""
        loop = asyncio.get_running_loop()

        def grow(size: int) -> None:
            asyncio.run_coroutine_threadsafe(self._grow(one, size), loop).result()

        return grow

    async def _grow(self, one: Snapshot, size: int) -> None:
        self._check_there(one)
        before = self._sizes[one.key]
        self._holdings.check(one.owner, before + size, before=before)
        self._holdings.grow(one.owner, size)
        self._sizes[one.key] = before + size

    def _check_there(self, one: Snapshot) -> None:
        if self._kept.get(one.key) is not one:
            raise ResourceNotFound("The snapshot was ended meanwhile", hint="Make it anew.")

    def _check_endpoint(self, wish: Wish) -> None:
        if wish.endpoint is not None:
            self._telling.check(wish.endpoint)
