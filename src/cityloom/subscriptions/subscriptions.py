"""Subscriptions (ETSI GS CIM 009, 5.8): kept, changed and ended by whoever may, and served from the feed."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from cityloom.access.authority import require
from cityloom.access.ownership import tends
from cityloom.access.quotas import SUBSCRIPTIONS, Quota
from cityloom.context.broker import Broker
from cityloom.context.ports import Register
from cityloom.context.registered import Registered
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.change import Change
from cityloom.kernel.outbound import Outbound, plain_address
from cityloom.kernel.time import Clock, format_instant
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document
from cityloom.ngsild.subscription import Subscription
from cityloom.subscriptions.backlog import Notifying
from cityloom.subscriptions.delivery import Delivery
from cityloom.subscriptions.model import Health, Kept, Tally
from cityloom.subscriptions.owners import EDIT, Actors, Owners
from cityloom.subscriptions.places import KeepSecret, Places, is_snapshot
from cityloom.subscriptions.ports import Outbox, Publisher
from cityloom.subscriptions.secrecy import Secrecy
from cityloom.subscriptions.sending import Sender
from cityloom.subscriptions.serving import Serving, lane_of

_log = logging.getLogger(__name__)

STAGE = "subscriptions"

#: The Context behind what was given as @context. Raises LdContextNotAvailable, BadRequestData.
Contexts = Callable[[Any], Awaitable[Context]]
#: Told of every change of a subscription.
Changed = Callable[[Kept], None]


async def _core(_source: Any) -> Context:
    return CORE


async def _none_there(_place: str) -> bool:
    return False


class Subscriptions:
    """Lives on the event loop. `actors` tells who somebody is now."""

    def __init__(
        self,
        broker: Broker,
        register: Register,
        outbox: Outbox,
        outbound: Outbound,
        publisher: Publisher,
        actors: Actors,
        clock: Clock,
        *,
        quota: Quota = SUBSCRIPTIONS,
        bounds: Notifying | None = None,
    ) -> None:
        bounds = bounds or Notifying()
        self._broker = broker
        self._places = Places(broker)
        self._owners = Owners(self._places, actors)
        self._clock = clock
        #: Opens a snapshot, and tells whether it is there still. Whoever has the snapshots sets it.
        self.open_snapshot: Callable[[str], Awaitable[bool]] = _none_there
        self._is_running = False
        #: The snapshots whose changes are followed.
        self._followed: set[str] = set()
        #: Resolves @contexts. Whoever runs the house sets it.
        self.contexts: Contexts = _core
        self._kept = Registered(register, "subscription", Kept, quota, lambda one: one.owner)
        self._outbox = outbox
        self._publisher = publisher
        self._sender = Sender(outbound, publisher)
        secrecy = Secrecy(self._places)
        self._delivery = Delivery(
            outbox,
            self._sender,
            clock,
            find=lambda key: self._kept.find(*key),
            owner=self._owners.of,
            reference=lambda kept: self._serving.context(kept).reference(),
            secrecy=secrecy,
            bounds=bounds,
        )
        self._serving = Serving(self._places, self._owners, self._delivery, secrecy, self.now, bounds)
        #: The Contexts of what is served, by their sources, so that equal ones are one.
        self._resolved: WeakValueDictionary[bytes, Context] = WeakValueDictionary()
        self._told_of_changes: list[Changed] = []

    def tell(self, changed: Changed) -> None:
        """Call this after a subscription was made, changed or ended, with what it is or last was."""
        self._told_of_changes.append(changed)

    async def start(self) -> None:
        """Go on where it was left: with what is kept, with what waits, and with the feed."""
        await self._kept.start()
        kept = [one for tenant in self._kept.tenants() for one in self._kept.all(tenant)]
        for one in kept:
            context = CORE
            try:
                context = await self._resolve(one.context)
            except Exception as error:  # noqa: BLE001 - names are then told in full, which means the same
                _log.warning("The @context of %s cannot be had: %s", one.wanted.id, error)
            self._serving.serve(one, context)
        for place in [one for one in self._kept.tenants() if is_snapshot(one)]:
            if not await self.open_snapshot(place):
                await self.ended(place)
        await self._delivery.start()
        self._broker.follow(STAGE, self._serving.follow, durable=True)
        self._is_running = True
        for place in self._kept.tenants():
            self._follow_in(place)

    async def stop(self) -> None:
        """Give up what is on its way, once the broker has stopped. What waits is sent at the next start."""
        self._serving.intervals.stop()
        await self._delivery.stop()
        await self._publisher.close()

    # Snapshots (5.5.15)

    def enter(self, place: str, broker: Broker, tenant: str, keep_secret: KeepSecret | None = None) -> None:
        """A snapshot is open: those who subscribed to what changes in it are told."""
        self._places.enter(place, broker, tenant, keep_secret)
        self._follow_in(place)

    def leave(self, place: str) -> None:
        """A snapshot is closed."""
        self._places.leave(place)
        self._followed.discard(place)

    async def ended(self, place: str) -> None:
        """A snapshot is gone, and the subscriptions in it with it; what waits for them is not sent."""
        self.leave(place)
        gone = self._kept.all(place)
        await self._kept.remove(place, [one.wanted.id for one in gone])
        for kept in gone:
            self._serving.cease(kept)
            self._tell_of_change(kept)
        if gone:
            await self._delivery.forget([one.key for one in gone])

    def _follow_in(self, place: str) -> None:
        """Follow what changes in a snapshot, from the first subscription in it on."""
        broker = self._places.broker(place) if is_snapshot(place) else None
        if broker is None or not self._is_running or place in self._followed or not self._kept.all(place):
            return
        self._followed.add(place)

        async def follow(changes: list[Change]) -> None:
            await self._serving.follow([msgspec.structs.replace(one, tenant=place) for one in changes])

        broker.follow(STAGE, follow, durable=True)

    def _last_sequence(self, place: str) -> int:
        broker = self._places.broker(place)
        return 0 if broker is None else broker.last_sequence

    # What may be asked of it (5.8.1 to 5.8.5)

    async def create(
        self,
        actor: Actor,
        wanted: Subscription,
        source: Any,
        link: str,
        *,
        tenant: str,
        via: tuple[str, ...] = (),
        snapshot: str = "",
    ) -> None:
        """Keep a new subscription (5.8.1). `source` is the @context of its notifications, `link` its address,
        `via` the Context Sources that it came through. In a snapshot, which is open, `tenant` is its place
        and `snapshot` its id.

        Raises NotAllowed, AlreadyExists, AddressNotAllowed, LdContextNotAvailable, TooLargeToKeep, OverQuota,
        StorageFull.
        """
        require(actor, EDIT)
        self._sender.check(wanted.notification.endpoint)
        context = await self._resolve(source)
        now = self.now()
        kept = Kept(
            tenant,
            actor.id,
            tuple(sorted(actor.clearance)),
            wanted,
            source,
            link,
            self._last_sequence(tenant),
            now,
            now,
            via,
            snapshot,
        )
        self._serving.intervals.check(kept)
        await self._kept.add(tenant, wanted.id, kept)
        self._serving.serve(kept, context)
        self._follow_in(tenant)
        self._tell_of_change(kept)

    async def replace(
        self, actor: Actor, old: Kept, wanted: Subscription, source: Any = None, link: str | None = None
    ) -> None:
        """Keep a subscription as its owner has changed it (5.8.2); another @context comes with its `link`.

        Raises NotAllowed, ResourceNotFound, AddressNotAllowed, LdContextNotAvailable, StorageFull.
        """
        require(actor, EDIT)
        if old.owner != actor.id:
            raise _not_found(old.wanted.id)
        self._sender.check(wanted.notification.endpoint)
        kept = msgspec.structs.replace(
            old,
            wanted=wanted,
            clearance=tuple(sorted(actor.clearance)),
            modified_at=self.now(),
        )
        context = self._serving.context(old)
        if link is not None:
            context = await self._resolve(source)
            kept = msgspec.structs.replace(kept, context=source, link=link)
        self._serving.intervals.check(kept)
        await self._kept.replace(old.tenant, wanted.id, kept)
        self._serving.serve(kept, context)
        self._tell_of_change(kept)

    def retrieve(self, actor: Actor, id: str, *, tenant: str) -> Kept:
        """A subscription of one's own, or of anybody's for who oversees them (5.8.3). ResourceNotFound."""
        require(actor, EDIT)
        kept = self._kept.find(tenant, id)
        if kept is None or not _sees(actor, kept):
            raise _not_found(id)
        return kept

    def all(self, actor: Actor, *, tenant: str) -> list[Kept]:
        """The subscriptions that somebody may see, oldest first (5.8.4)."""
        require(actor, EDIT)
        return [kept for kept in self._kept.all(tenant) if _sees(actor, kept)]

    async def delete(self, actor: Actor, id: str, *, tenant: str) -> None:
        """End a subscription (5.8.5); what waits for it is not sent any more. ResourceNotFound."""
        kept = self.retrieve(actor, id, tenant=tenant)
        await self._kept.remove(tenant, [id])
        self._serving.cease(kept)
        self._tell_of_change(kept)
        await self._delivery.forget([kept.key])

    async def pause(self, actor: Actor, id: str, *, tenant: str, paused: bool) -> None:
        """Let a subscription rest, or go on. It stays its owner's, who may undo it. ResourceNotFound."""
        kept = self.retrieve(actor, id, tenant=tenant)
        wanted = msgspec.structs.replace(kept.wanted, is_active=not paused)
        kept = msgspec.structs.replace(kept, wanted=wanted, modified_at=self.now())
        await self._kept.replace(tenant, id, kept)
        self._serving.serve(kept, self._serving.context(kept))
        self._tell_of_change(kept)

    # What sources tell of it (5.8.1.4, 5.8.6)

    def find(self, tenant: str, id: str) -> Kept | None:
        """A subscription, for the house itself."""
        return self._kept.find(tenant, id)

    def of_tenant(self, tenant: str) -> list[Kept]:
        """The subscriptions of a tenant, oldest first, for the house itself."""
        return self._kept.all(tenant)

    def owner(self, kept: Kept) -> Actor | None:
        """The owner as they are now, cleared for no more than when they subscribed; None: nothing may be
        sent any more."""
        return self._owners.of(kept)

    async def pass_on(self, kept: Kept, told: Sequence[tuple[Document, InformationClass]]) -> None:
        """Notify of Entities as a source tells them, each with the class of all that it says; on return it
        is sent, or kept to be sent."""
        await self._serving.pass_on(kept, told)

    def _tell_of_change(self, kept: Kept) -> None:
        for changed in self._told_of_changes:
            changed(kept)

    def tally(self, kept: Kept) -> Tally:
        """How notifying went."""
        return self._delivery.tally(kept.key)

    def now(self) -> str:
        """The instant by which subscriptions expire: the machine's, also in a city that replays the past."""
        return format_instant(self._clock.now())

    def __len__(self) -> int:
        """How many there are, of all tenants."""
        return len(self._kept)

    def tenants(self) -> list[str]:
        """The tenants that have subscriptions."""
        return self._kept.tenants()

    @property
    def outcomes(self) -> Mapping[str, int]:
        """Since the start: notifications `delivered` and `failed`, and Entities `missed`."""
        return self._delivery.outcomes

    @property
    def waiting(self) -> int:
        """Entities that wait to be told of."""
        return self._delivery.waiting().total()

    def health(self) -> list[Health]:
        """How all of them are doing, for staff: without what they carry to their receivers."""
        waiting = self._delivery.waiting()
        now = self.now()
        return [
            Health(
                kept.wanted.id,
                tenant,
                kept.owner,
                kept.clearance,
                kept.wanted.name or "",
                plain_address(kept.wanted.notification.endpoint.uri),
                kept.wanted.status(now),
                kept.wanted.types(),
                kept.wanted.notification.attributes or kept.wanted.watched or (),
                self.tally(kept),
                waiting[lane_of(kept)],
            )
            for tenant in self._kept.tenants()
            for kept in self._kept.all(tenant)
        ]

    # @contexts

    async def _resolve(self, source: Any) -> Context:
        found, key = await self.contexts(source), _key(source)
        known = self._resolved.get(key)
        if known is not None and known.says_the_same(found):
            return known
        self._resolved[key] = found
        return found


def _sees(actor: Actor, kept: Kept) -> bool:
    return tends(actor, "subscription", kept.owner)


def _not_found(id: str) -> ResourceNotFound:
    return ResourceNotFound(
        f"There is no subscription {id[:200]!a}", hint="GET /subscriptions lists yours.", where="id"
    )


def _key(source: Any) -> bytes:
    return msgspec.json.encode(source, order="sorted")
