"""Tells subscribers which registered sources begin, change or cease to match (ETSI GS CIM 009, 5.11)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Literal
from uuid import uuid4

import msgspec
import orjson

from cityloom.access.authority import require
from cityloom.access.ownership import tends
from cityloom.access.quotas import REGISTRATION_SUBSCRIPTIONS, Quota
from cityloom.context.ports import Register
from cityloom.context.registered import Registered
from cityloom.federation.sources import Sources
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import CityError
from cityloom.kernel.media_types import JSON_LD
from cityloom.kernel.outbound import plain_address
from cityloom.kernel.time import Clock, format_instant
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import BadRequestData, ResourceNotFound
from cityloom.ngsild.query import EntitySelector
from cityloom.ngsild.registrations import Registration, represent_registration
from cityloom.ngsild.source_matching import Sought, context_source_filter, matching_information
from cityloom.ngsild.subscription import Subscription
from cityloom.ngsild.temporal_query import TemporalWindow, parse_temporal_window
from cityloom.subscriptions.delivery import GIVEN_UP
from cityloom.subscriptions.model import Health, Kept, Tally
from cityloom.subscriptions.sending import Sender

Reason = Literal["newlyMatching", "updated", "noLongerMatching"]

#: Notifications that wait for one subscription.
MOST_WAITING = 1_000
EDIT = "subscriptions:edit"
READ = "sources:read"
_KIND = "subscription to registrations"
#: Seconds between two notifications at intervals at least.
SHORTEST_INTERVAL_S = 0.5
#: Registrations in one notification.
PAGE = 100

#: The rights of a subscriber as they are now, None for one who is gone.
Actors = Callable[[str], Actor | None]
Contexts = Callable[[Any], Awaitable[Context]]
_Key = tuple[str, str]


class WatchedKept(msgspec.Struct, frozen=True):
    """A subscription to registrations as it is kept, with its temporal query as it was written."""

    base: Kept
    temporal: dict[str, Any] | None = None

    @property
    def key(self) -> _Key:
        return self.base.key


class Watching:
    """Lives on the event loop. It takes `sources:read`, and `subscriptions:edit` since the city sends what is
    subscribed to wherever the subscriber says; what is told is what its owner may see when it is sent."""

    def __init__(
        self,
        register: Register,
        sources: Sources,
        sender: Sender,
        actors: Actors,
        clock: Clock,
        quota: Quota = REGISTRATION_SUBSCRIPTIONS,
    ) -> None:
        self._kept = Registered(register, _KIND, WatchedKept, quota, lambda one: one.base.owner)
        self._sources = sources
        self._sender = sender
        self._actors = actors
        self._clock = clock
        #: Resolves @contexts. Whoever runs the house sets it.
        self.contexts: Contexts = _core
        self._tallies: dict[_Key, Tally] = {}
        self._waiting: dict[_Key, deque[tuple[Reason, list[dict[str, Any]]]]] = {}
        self._working: dict[_Key, asyncio.Task[None]] = {}
        self._intervals: dict[_Key, asyncio.Task[None]] = {}
        sources.tell(self._changed)

    async def start(self) -> None:
        """Load what there is."""
        await self._kept.start()
        for tenant in self._kept.tenants():
            for one in self._kept.all(tenant):
                self._begin_interval(one)

    async def stop(self) -> None:
        for task in (*self._working.values(), *self._intervals.values()):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    # 5.11.2 to 5.11.6

    async def add(
        self,
        actor: Actor,
        wanted: Subscription,
        temporal: dict[str, Any] | None,
        source: Any,
        link: str,
        *,
        tenant: str,
    ) -> None:
        """Keep a subscription and tell what matches now. Raises BadRequestData, AlreadyExists."""
        require(actor, EDIT)
        require(actor, READ)
        self._sender.check(wanted.notification.endpoint)
        window_of(temporal)
        now = format_instant(self._clock.now())
        base = Kept(tenant, actor.id, tuple(sorted(actor.clearance)), wanted, source, link, 0, now, now)
        kept = WatchedKept(base, temporal)
        await self._kept.add(tenant, wanted.id, kept)
        self._begin_interval(kept)
        await self._tell_all(kept)

    async def replace(
        self, actor: Actor, old: WatchedKept, wanted: Subscription, temporal: dict[str, Any] | None
    ) -> None:
        """Keep a subscription as its owner has changed it (5.11.3)."""
        if self.get(actor, wanted.id, tenant=old.base.tenant).base.owner != actor.id:
            raise _not_found(wanted.id)
        self._sender.check(wanted.notification.endpoint)
        window_of(temporal)
        base = msgspec.structs.replace(old.base, wanted=wanted, modified_at=format_instant(self._clock.now()))
        kept = WatchedKept(base, temporal)
        await self._kept.replace(base.tenant, wanted.id, kept)
        self._begin_interval(kept)
        await self._tell_all(kept)

    def get(self, actor: Actor, identifier: str, *, tenant: str) -> WatchedKept:
        """A subscription of one's own, or of anybody's for who may administer. Raises ResourceNotFound."""
        require(actor, EDIT)
        found = self._kept.find(tenant, identifier)
        if found is None or not tends(actor, _KIND, found.base.owner):
            raise _not_found(identifier)
        return found

    def all(self, actor: Actor, *, tenant: str) -> list[WatchedKept]:
        """The subscriptions that somebody may see, oldest first."""
        require(actor, EDIT)
        return [one for one in self._kept.all(tenant) if tends(actor, _KIND, one.base.owner)]

    async def remove(self, actor: Actor, identifier: str, *, tenant: str) -> None:
        """End a subscription. Raises ResourceNotFound."""
        kept = self.get(actor, identifier, tenant=tenant)
        await self._kept.remove(tenant, [identifier])
        self._end(kept.key)

    def tally(self, kept: WatchedKept) -> Tally:
        """How notifying went since the city began."""
        return self._tallies.get(kept.key) or Tally()

    def health(self) -> list[Health]:
        """How all of them are doing, for staff: without what they carry to their receivers."""
        now = self.now()
        return [
            Health(
                one.base.wanted.id,
                tenant,
                one.base.owner,
                one.base.clearance,
                one.base.wanted.name or "",
                plain_address(one.base.wanted.notification.endpoint.uri),
                one.base.wanted.status(now),
                one.base.wanted.types(),
                one.base.wanted.watched or (),
                self.tally(one),
                len(self._waiting.get(one.key, ())),
            )
            for tenant in self._kept.tenants()
            for one in self._kept.all(tenant)
        ]

    def now(self) -> str:
        """The city's time as documents hold it."""
        return format_instant(self._clock.now())

    # What happens

    def _changed(self, tenant: str, before: Registration | None, after: Registration | None) -> None:
        for kept in self._kept.all(tenant):
            if kept.base.wanted.time_interval is not None:
                continue
            sought = sought_of(kept)
            was = () if before is None else _places(before, sought)
            places = () if after is None else _places(after, sought)
            if after is not None and places:
                self._offer(kept, "updated" if was else "newlyMatching", [(after, places)])
            elif before is not None and was:
                # What no longer matches is told as it last did.
                self._offer(kept, "noLongerMatching", [(before, was)])

    async def _tell_all(self, kept: WatchedKept) -> None:
        found = self._sources.discover(sought_of(kept), kept.base.tenant)
        for begin in range(0, len(found), PAGE):
            self._offer(kept, "newlyMatching", found[begin : begin + PAGE])

    def _begin_interval(self, kept: WatchedKept) -> None:
        task = self._intervals.pop(kept.key, None)
        if task is not None:
            task.cancel()
        if kept.base.wanted.time_interval is not None:
            self._intervals[kept.key] = asyncio.create_task(
                self._at_intervals(kept, kept.base.wanted.time_interval), name="registrations at intervals"
            )

    async def _at_intervals(self, kept: WatchedKept, interval: float) -> None:
        while True:
            await asyncio.sleep(max(interval, SHORTEST_INTERVAL_S))
            if kept.key not in self._working:
                await self._tell_all(kept)

    def _end(self, key: _Key) -> None:
        for task in (self._working.pop(key, None), self._intervals.pop(key, None)):
            if task is not None:
                task.cancel()
        self._waiting.pop(key, None)
        self._tallies.pop(key, None)

    # Sending: one after the other for each subscription, so that a slow receiver holds up itself alone

    def _offer(
        self, kept: WatchedKept, reason: Reason, found: Sequence[tuple[Registration, tuple[int, ...]]]
    ) -> None:
        if kept.base.wanted.status(self.now()) != "active":
            return
        shown = [{"registration": one.document, "places": places} for one, places in found]
        waiting = self._waiting.setdefault(kept.key, deque(maxlen=MOST_WAITING))
        if len(waiting) == waiting.maxlen:
            # The oldest makes room, which is said.
            tally = self._tallies.setdefault(kept.key, Tally())
            tally.missed += len(waiting[0][1])
            tally.failed, tally.last_failure, tally.last_error = True, self.now(), GIVEN_UP
        waiting.append((reason, shown))
        if kept.key not in self._working:
            self._working[kept.key] = asyncio.create_task(
                self._send_waiting(kept.key), name="registrations told"
            )

    async def _send_waiting(self, key: _Key) -> None:
        waiting = self._waiting[key]
        while waiting:
            reason, shown = waiting.popleft()
            kept = self._kept.find(*key)
            owner = None if kept is None else self._actors(kept.base.owner)
            if kept is not None and owner is not None and owner.may(EDIT) and owner.may(READ):
                await self._send(kept, owner, reason, shown)
        del self._working[key]

    async def _send(
        self, kept: WatchedKept, owner: Actor, reason: Reason, shown: list[dict[str, Any]]
    ) -> None:
        at = self.now()
        tally = self._tallies.setdefault(kept.key, Tally())
        tally.times_sent += 1
        tally.last_notification = at
        try:
            status = await self._sender.dispatch(kept.base, await self._body(kept, owner, reason, shown, at))
            tally.failed = not 200 <= status < 300
        except CityError as error:
            tally.failed = True
            tally.last_error = error.message
        if tally.failed:
            tally.times_failed += 1
            tally.last_failure = at
        else:
            tally.last_success = at

    async def _body(
        self, kept: WatchedKept, owner: Actor, reason: Reason, shown: list[dict[str, Any]], at: str
    ) -> bytes:
        try:
            context = await self.contexts(kept.base.context)
        except CityError:
            context = CORE
        notification: dict[str, Any] = {
            "id": f"urn:ngsi-ld:Notification:{uuid4()}",
            "type": "ContextSourceNotification",
            "subscriptionId": kept.base.wanted.id,
            "notifiedAt": at,
            "triggerReason": reason,
            "data": [
                represent_registration(
                    one["registration"],
                    context,
                    information=one["places"],
                    secrets=owner.may("sources:register"),
                    types_listed=True,
                )
                for one in shown
            ],
        }
        if kept.base.wanted.notification.endpoint.accept == JSON_LD:
            notification["@context"] = context.reference()
        return orjson.dumps(notification)


def window_of(temporal: dict[str, Any] | None) -> TemporalWindow | None:
    """The interval of a temporalQ (5.2.21). Raises BadRequestData."""
    if temporal is None:
        return None
    known = ("timerel", "timeAt", "endTimeAt", "timeproperty")
    if not all(isinstance(temporal.get(name, ""), str) for name in known) or "timerel" not in temporal:
        raise BadRequestData("This is no temporal query", hint="Give timerel and timeAt.", where="temporalQ")
    return parse_temporal_window(*(temporal.get(name) for name in known))


def sought_of(kept: WatchedKept) -> Sought:
    """What a subscription seeks, in terms of sources (5.12)."""
    wanted = kept.base.wanted
    selectors = []
    for one in wanted.entities or ():
        ids = one.ids or (None,)
        selectors += [EntitySelector(one.types, identifier, one.id_pattern) for identifier in ids]
    notified = wanted.notification.attributes or ()
    both = frozenset((*(wanted.watched or ()), *notified)) if wanted.watched and notified else frozenset()
    return Sought(
        selectors=tuple(selectors),
        attributes=both or frozenset(wanted.watched or ()),
        dataset_ids=frozenset(wanted.datasets or ()),
        window=window_of(kept.temporal),
        csf=None if wanted.csf is None else wanted.csf.term,
        scope_q=None if wanted.scopes is None else wanted.scopes.query,
        geo=None if wanted.geo is None else wanted.geo.query,
    )


def _places(registration: Registration, sought: Sought) -> tuple[int, ...]:
    places = matching_information(registration, sought)
    return places if places and context_source_filter(sought)(registration) else ()


def _not_found(identifier: str) -> ResourceNotFound:
    return ResourceNotFound(
        f"There is no subscription to registrations {identifier[:200]!a}",
        hint="GET /csourceSubscriptions lists yours.",
        where="id",
    )


async def _core(_source: Any) -> Context:
    return CORE
