"""Subscriptions (ETSI GS CIM 009, 5.8): kept, changed and ended by whoever may, and served from the feed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
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
from cityloom.kernel.time import Clock, format_instant, now_millis
from cityloom.ngsild.attribute_changes import waited_for
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document
from cityloom.ngsild.q_matching import Lookup
from cityloom.ngsild.subscription import Subscription
from cityloom.subscriptions.backlog import Notifying
from cityloom.subscriptions.delivery import Delivery
from cityloom.subscriptions.matching import Happened, Matcher, Rule, query_of
from cityloom.subscriptions.model import Health, Kept, Pending, Tally, bounded
from cityloom.subscriptions.periodic import Intervals
from cityloom.subscriptions.ports import Outbox, Publisher
from cityloom.subscriptions.rendering import Rendered, Rendering
from cityloom.subscriptions.secrecy import Secrecy
from cityloom.subscriptions.sending import Sender

_log = logging.getLogger(__name__)

STAGE = "subscriptions"
EDIT = "subscriptions:edit"
#: Seconds of looking at changes before others get their turn on the event loop.
TURN_SECONDS = 0.005
#: Entities in one page of what is told at intervals.
PAGE = 100

#: The Context behind what was given as @context. Raises LdContextNotAvailable, BadRequestData.
Contexts = Callable[[Any], Awaitable[Context]]
#: Somebody as they are now, by `Actor.id`; None when they are nobody any more.
Actors = Callable[[str], Actor | None]
#: Told of every change of a subscription.
Changed = Callable[[Kept], None]


async def _core(_source: Any) -> Context:
    return CORE


class Subscriptions:
    """Lives on the event loop. `actors` tells who somebody is now: rights are looked at when something is
    sent, not when it was subscribed to."""

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
        self._actors = actors
        self._clock = clock
        #: Resolves @contexts. Whoever runs the house sets it.
        self.contexts: Contexts = _core
        self._kept = Registered(register, "subscription", Kept, quota, lambda one: one.owner)
        self._outbox = outbox
        self._publisher = publisher
        self._sender = Sender(outbound, publisher)
        self._secrecy = Secrecy(broker)
        self._delivery = Delivery(
            outbox,
            self._sender,
            clock,
            find=lambda key: self._kept.find(*key),
            owner=self._owner,
            reference=lambda kept: self._context_of(kept).reference(),
            secrecy=self._secrecy,
            bounds=bounds,
        )
        self._matchers: dict[str, Matcher] = {}
        self._renderings: dict[tuple[str, str], Rendering] = {}
        #: The Contexts of what is served, by their sources, so that equal ones are one.
        self._resolved: WeakValueDictionary[bytes, Context] = WeakValueDictionary()
        self._intervals = Intervals(self._tell_all, bounds)
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
            self._serve(one, context)
        await self._delivery.start()
        self._broker.follow(STAGE, self._follow, durable=True)

    async def stop(self) -> None:
        """Give up what is on its way, once the broker has stopped. What waits is sent at the next start."""
        self._intervals.stop()
        await self._delivery.stop()
        await self._publisher.close()

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
    ) -> None:
        """Keep a new subscription (5.8.1). `source` is the @context of its notifications, `link` its address,
        `via` the Context Sources that it came through.

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
            self._broker.last_sequence,
            now,
            now,
            via,
        )
        self._intervals.check(kept)
        await self._kept.add(tenant, wanted.id, kept)
        self._serve(kept, context)
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
        context = self._context_of(old)
        if link is not None:
            context = await self._resolve(source)
            kept = msgspec.structs.replace(kept, context=source, link=link)
        self._intervals.check(kept)
        await self._kept.replace(old.tenant, wanted.id, kept)
        self._serve(kept, context)
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
        self._cease(kept)
        self._tell_of_change(kept)
        await self._delivery.forget([kept.key])

    async def pause(self, actor: Actor, id: str, *, tenant: str, paused: bool) -> None:
        """Let a subscription rest, or go on. It stays its owner's, who may undo it. ResourceNotFound."""
        kept = self.retrieve(actor, id, tenant=tenant)
        wanted = msgspec.structs.replace(kept.wanted, is_active=not paused)
        kept = msgspec.structs.replace(kept, wanted=wanted, modified_at=self.now())
        await self._kept.replace(tenant, id, kept)
        self._serve(kept, self._context_of(kept))
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
        return self._owner(kept)

    async def pass_on(self, kept: Kept, told: Sequence[tuple[Document, InformationClass]]) -> None:
        """Notify of Entities as a source tells them, each with the class of all that it says; on return it
        is sent, or kept to be sent."""
        owner = self._owner(kept)
        rendering = self._renderings.get(kept.key)
        if owner is None or rendering is None or kept.wanted.status(self.now()) != "active":
            return
        offered = [
            self._offer(kept, document["id"], rendering.of_document(document, secrecy, owner))
            for document, secrecy in told
            if owner.sees(secrecy)
        ]
        await self._delivery.keep(offered)

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

    # Serving them

    def _serve(self, kept: Kept, context: Context) -> None:
        self._cease(kept)
        if kept.wanted.time_interval is None:
            self._matchers.setdefault(kept.tenant, Matcher(self._lookup_of)).add(kept)
        else:
            self._intervals.add(kept)
        mask = waited_for(kept.wanted.triggers)
        self._renderings[kept.key] = Rendering(kept, context, mask, self._linked)
        self._delivery.forgive(lane_of(kept))

    def _cease(self, kept: Kept) -> None:
        matcher = self._matchers.get(kept.tenant)
        if matcher is not None:
            matcher.remove(kept.wanted.id)
        self._intervals.remove(kept.key)
        self._renderings.pop(kept.key, None)

    async def _follow(self, changes: list[Change]) -> None:
        """Offer what changes tell to the endpoints' queues; on return it is sent, or kept to be sent."""
        found: list[Pending] = []
        turn = perf_counter()
        for change in changes:
            self._secrecy.note(change)
            matcher = self._matchers.get(change.tenant)
            if matcher:
                happened = Happened(change)
                for rule in matcher.concerned(happened):
                    found += self._told(rule, happened)
                if perf_counter() - turn > TURN_SECONDS:
                    await asyncio.sleep(0)
                    turn = perf_counter()
        if found:
            await self._delivery.keep(found)

    def _told(self, rule: Rule, happened: Happened) -> list[Pending]:
        change = happened.change
        now = self.now()
        rendered: dict[Any, Rendered] = {}
        today: dict[str, Actor | None] = {}
        found = []
        for kept in rule.asked_by.values():
            if kept.since >= change.sequence or kept.wanted.status(now) != "active":
                continue
            if kept.owner not in today:
                today[kept.owner] = self._actors(kept.owner)
            owner = self._bounded(kept, today[kept.owner])
            if owner is None or not owner.sees(change.information_class):
                continue
            rendering = self._renderings[kept.key]
            shown = rendered.get(rendering.key)
            if shown is None:
                shown = rendered[rendering.key] = rendering.of_change(happened, owner)
            found.append(self._offer(kept, change.entity_id, shown))
        return found

    def _offer(self, kept: Kept, entity_id: str, rendered: Rendered) -> Pending:
        item = Pending(
            self._delivery.next_place(),
            lane_of(kept),
            kept.tenant,
            kept.wanted.id,
            entity_id,
            rendered.classes,
            now_millis(),
            rendered.shown,
        )
        self._delivery.offer(item)
        return item

    async def _tell_all(self, kept: Kept) -> None:
        """Everything that matches, page by page; nothing while the last is still on its way."""
        owner = self._owner(kept)
        now = self.now()
        if owner is None or kept.wanted.status(now) != "active" or self._delivery.waits(lane_of(kept)):
            return
        rendering = self._renderings[kept.key]
        query = msgspec.structs.replace(query_of(kept.wanted), limit=PAGE)
        while True:
            page = await self._broker.search(owner, query, tenant=kept.tenant)
            offered = []
            for document in page.documents:
                secrecy = self._class_of(owner, document["id"], kept.tenant)
                if secrecy is not None:
                    shown = rendering.of_document(document, secrecy, owner)
                    offered.append(self._offer(kept, document["id"], shown))
            await self._delivery.keep(offered)
            if len(page.texts) < PAGE:
                return
            query = msgspec.structs.replace(query, offset=query.offset + PAGE)

    # Who sees what

    def _owner(self, kept: Kept) -> Actor | None:
        """The owner as they are now, if they may still subscribe."""
        return self._bounded(kept, self._actors(kept.owner))

    def _bounded(self, kept: Kept, owner: Actor | None) -> Actor | None:
        return None if owner is None or not owner.may(EDIT) else bounded(owner, kept)

    def _lookup_of(self, kept: Kept) -> Lookup:
        def lookup(entity_id: str) -> Document | None:
            owner = self._owner(kept)
            return None if owner is None else self._broker.find(owner, entity_id, tenant=kept.tenant)

        return lookup

    def _linked(self, owner: Actor, tenant: str, entity_id: str) -> tuple[Document, InformationClass] | None:
        secrecy = self._class_of(owner, entity_id, tenant)
        document = self._broker.find(owner, entity_id, tenant=tenant)
        return None if secrecy is None or document is None else (document, secrecy)

    def _class_of(self, owner: Actor, entity_id: str, tenant: str) -> InformationClass | None:
        try:
            return self._broker.class_of(owner, entity_id, tenant=tenant)
        except ResourceNotFound:
            return None

    # @contexts

    async def _resolve(self, source: Any) -> Context:
        found, key = await self.contexts(source), _key(source)
        known = self._resolved.get(key)
        if known is not None and known.says_the_same(found):
            return known
        self._resolved[key] = found
        return found

    def _context_of(self, kept: Kept) -> Context:
        rendering = self._renderings.get(kept.key)
        return CORE if rendering is None else rendering.context


def lane_of(kept: Kept) -> str:
    """The queue of a subscription: its endpoint's; its own where sending is throttled."""
    uri = kept.wanted.notification.endpoint.uri
    if kept.wanted.throttling is None and kept.wanted.time_interval is None:
        return uri
    return f"{uri} {kept.tenant} {kept.wanted.id}"


def _sees(actor: Actor, kept: Kept) -> bool:
    return tends(actor, "subscription", kept.owner)


def _not_found(id: str) -> ResourceNotFound:
    return ResourceNotFound(
        f"There is no subscription {id[:200]!a}", hint="GET /subscriptions lists yours.", where="id"
    )


def _key(source: Any) -> bytes:
    return msgspec.json.encode(source, order="sorted")
