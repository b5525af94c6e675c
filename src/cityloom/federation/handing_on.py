"""Subscriptions at sources: a copy of each stands where what it asks for may be (ETSI GS CIM 009, 5.8.1.4).

What should stand where follows from the subscriptions, the registrations and the rights of now; what does
stand where is kept. A `Leg` is one copy, and a task of its own brings it from the one to the other, again and
again until that is done. A leg is kept before its source hears of it and forgotten after: so a restart
leaves no copy behind of which nobody knows.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from cityloom.context.ports import Register
from cityloom.federation.copies import Copy, change, creation, ending, identifier_in
from cityloom.federation.federation import Federation
from cityloom.federation.legs import Leg, Legs, Pair, has_moved, reach_of
from cityloom.federation.model import Origin, Question, Reply, Wire
from cityloom.federation.questions import wire_of
from cityloom.federation.wanted_copies import Wanted, WantedCopies
from cityloom.kernel.actor import ANONYMOUS
from cityloom.kernel.backoff import pause_after
from cityloom.kernel.errors import CityError
from cityloom.kernel.time import Clock, format_instant, parse_instant
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.registrations import Registration, compile_registration
from cityloom.subscriptions.model import Kept
from cityloom.subscriptions.subscriptions import Subscriptions

_log = logging.getLogger(__name__)

#: Below the city's address: where sources notify it.
NOTIFIED_AT = "/ngsi-ld/ex/remote-notify"
#: Questions to sources at once: in all, and to one of them, so that none that is slow keeps others waiting.
AT_ONCE = 32
AT_ONE = 4
#: Seconds before a source is tried again that could not be told: doubled from the first to the last; and
#: before one that has refused.
FIRST_PAUSE = 0.5
LAST_PAUSE = 60.0
REFUSED_PAUSE = 600.0
#: Seconds between two looks at what has expired and at whose rights have changed.
LOOK_AGAIN = 60.0
#: For which a source that cannot be reached is asked to forget a copy.
PATIENCE = timedelta(hours=24)
#: Pairs of a subscription and a registration that are looked at before others get their turn.
_TURN = 50
#: Not now; other refusals mean: not as long as nothing changes.
_NOT_NOW = frozenset({408, 425, 429, 500, 502, 503, 504})
_LOOPING = 508

Contexts = Callable[[Any], Awaitable[Context]]


class Trouble(msgspec.Struct, frozen=True):
    """What keeps a copy from being as it should."""

    registration: Registration
    #: An instant.
    at: str
    error: str


class _Look(msgspec.Struct, frozen=True):
    """A subscription or a registration that is to be looked at."""

    tenant: str
    id: str
    is_registration: bool = False
    #: Whether something has changed, so that sources are tried at once that failed before.
    hasten: bool = True


class HandedOn:
    """Lives on the event loop."""

    def __init__(
        self, register: Register, federation: Federation, subscriptions: Subscriptions, clock: Clock
    ) -> None:
        """`clock` is the wall's: other systems live in its time."""
        self._legs = Legs(register)
        self.federation = federation
        self.subscriptions = subscriptions
        self._wanted_copies = WantedCopies(federation, subscriptions, self.wire_to)
        self._clock = clock
        #: Where sources reach this city: its address without a path. Empty: it is not known, and nothing is
        #: handed on. Whoever runs the house sets it, and `contexts`, which resolves @contexts.
        self.address = ""
        self.contexts: Contexts = _core
        #: What a source would not take, since it leads back here.
        self._declined: dict[str, Copy] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._wake: dict[str, asyncio.Event] = {}
        self._troubles: dict[str, Trouble] = {}
        self._changed: deque[_Look] = deque()
        self._something_changed = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._at_once = asyncio.Semaphore(AT_ONCE)
        #: By tenant and registration, for as long as somebody holds it.
        self._at_one: WeakValueDictionary[tuple[str, str], asyncio.Semaphore] = WeakValueDictionary()
        subscriptions.tell(self._subscription_changed)
        federation.sources.tell(self._registration_changed)

    async def start(self) -> None:
        """Go on where it was left, once subscriptions and registrations are there."""
        for leg in await self._legs.start():
            self._work(leg.token)
        self._look_at_all()
        self._looking = asyncio.create_task(self._look(), name="subscriptions handed on")

    async def stop(self) -> None:
        """Leave it where it is; the next start goes on."""
        for task in (self._looking, *self._workers.values()):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    # What others may know of it

    def leg(self, token: str) -> Leg | None:
        """The copy whose source has this token, if it is to stay."""
        leg = self._legs.find(token)
        return None if leg is None or leg.ending_since else leg

    def troubles(self, tenant: str, subscription: str) -> list[Trouble]:
        """What keeps copies of a subscription from being as they should, by source."""
        if not self._troubles:
            return []
        return [
            trouble
            for token, trouble in self._troubles.items()
            if (leg := self.leg(token)) is not None and leg.pair[:2] == (tenant, subscription)
        ]

    def is_handed_on(self, kept: Kept) -> bool:
        """Whether sources are told of a subscription, as soon as there are some (5.8.1.4)."""
        return not kept.wanted.local_only

    def count(self, tenant: str, subscription: str) -> int:
        """At how many sources a subscription stands or is to stand."""
        return self._legs.count(tenant, subscription)

    # What should stand where

    def _subscription_changed(self, kept: Kept) -> None:
        self._look_at(_Look(kept.tenant, kept.wanted.id))

    def _registration_changed(
        self, tenant: str, before: Registration | None, after: Registration | None
    ) -> None:
        one = after or before
        if one is not None:
            self._look_at(_Look(tenant, one.id, is_registration=True))

    def _look_at(self, look: _Look) -> None:
        self._changed.append(look)
        self._something_changed.set()

    def _look_at_all(self) -> None:
        for tenant in self.federation.sources.tenants():
            for kept in self.subscriptions.of_tenant(tenant):
                self._changed.append(_Look(tenant, kept.wanted.id, hasten=False))
        self._changed.extend(_Look(*key, hasten=False) for key in self._legs.subscriptions())

    async def _look(self) -> None:
        """Compare what should stand where with what does, whenever something has changed."""
        while True:
            self._something_changed.clear()
            while self._changed:
                look = self._changed.popleft()
                try:
                    await self._settle_all(self._pairs_of(look), look.hasten)
                except CityError as refused:
                    _log.warning("A subscription is not handed on yet: %s", refused)
                except Exception:  # noqa: BLE001 - what one subscription says must not keep back all others
                    _log.exception("A subscription cannot be handed on")
            try:
                async with asyncio.timeout(LOOK_AGAIN):
                    await self._something_changed.wait()
            except TimeoutError:
                self._look_at_all()

    def _pairs_of(self, look: _Look) -> list[Pair]:
        tenant = look.tenant
        if look.is_registration:
            return [(tenant, kept.wanted.id, look.id) for kept in self.subscriptions.of_tenant(tenant)]
        there = self._legs.of_subscription(tenant, look.id)
        new = (one.id for one in self.federation.sources.living(tenant))
        return [(tenant, look.id, registration) for registration in dict.fromkeys((*there, *new))]

    async def _settle_all(self, pairs: list[Pair], hasten: bool) -> None:
        for place, pair in enumerate(pairs):
            if place % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            await self._settle(pair, hasten)

    async def _settle(self, pair: Pair, hasten: bool) -> None:
        standing = self._legs.at(pair)
        wanted = await self._wanted(pair)
        if standing is not None:
            token = standing.token
            # What is kept of it may have changed meanwhile.
            leg = self._legs[token]
            if wanted is not None and not has_moved(leg, wanted.registration):
                self._work(token, hasten=hasten)
                return
            await self._legs.change(leg, ending_since=self._now())
            self._work(token)
        if wanted is not None:
            token = secrets.token_urlsafe(24)
            remote = f"urn:ngsi-ld:Subscription:distsub-{token}"
            leg = Leg(token, pair[0], pair[1], wanted.owner, reach_of(wanted.registration), remote)
            await self._legs.add(leg)
            self._work(token)

    async def _wanted(self, pair: Pair, token: str = "") -> Wanted | None:
        """The copy of a subscription that a source should have now; None: none."""
        if not self.address:
            return None
        return await self._wanted_copies.find(pair, f"{self.address}{NOTIFIED_AT}/{token}")

    async def wire_to(self, registration: Registration, origin: Origin) -> Wire:
        """How a source is spoken to."""
        own = registration.told("jsonldContext")
        try:
            context = None if own is None else await self.contexts(own)
        except CityError:
            # It cannot be had: names go out in full.
            context = None
        return wire_of(registration, origin, context)

    # Bringing it about

    def _work(self, token: str, *, hasten: bool = True) -> None:
        if token in self._workers:
            if hasten:
                self._wake[token].set()
            return
        self._wake[token] = asyncio.Event()
        self._workers[token] = asyncio.create_task(self._bring_about(token), name="a copy of a subscription")

    async def _bring_about(self, token: str) -> None:
        """Tell a source until it knows what it should."""
        failures = 0
        try:
            while token in self._legs:
                wake = self._wake[token]
                wake.clear()
                try:
                    pause = await self._step(self._legs[token])
                except CityError as refused:
                    # What happened cannot be noted; it is asked for again.
                    _log.warning("A copy of a subscription is not noted: %s", refused)
                    pause = FIRST_PAUSE
                if pause is None and not wake.is_set():
                    return
                failures = failures + 1 if pause else 0
                if pause:
                    longest = max(pause, pause_after(failures, first=FIRST_PAUSE, longest=LAST_PAUSE))
                    with suppress(TimeoutError):
                        async with asyncio.timeout(longest):
                            await wake.wait()
        finally:
            self._workers.pop(token, None)
            self._wake.pop(token, None)

    async def _step(self, leg: Leg) -> float | None:
        """Tell a source what it does not know yet. Seconds before that is tried again, None: it is done."""
        if leg.ending_since:
            return await self._end(leg)
        wanted = await self._wanted(leg.pair, leg.token)
        if wanted is None or wanted.copy in (leg.copy, self._declined.get(leg.token)):
            # Where it is to go, that comes from `_settle`.
            self._troubles.pop(leg.token, None)
            return None
        if leg.copy is None:
            return await self._make(leg, wanted)
        return await self._change(leg, leg.copy, wanted)

    async def _make(self, leg: Leg, wanted: Wanted) -> float | None:
        reply = await self._ask(wanted.registration, creation(wanted.copy, leg.remote), wanted.origin)
        if reply.status == 409:
            # It arrived before, and the answer did not come through.
            await self._legs.change(leg, copy={})
            return FIRST_PAUSE
        if reply.status == _LOOPING:
            # It leads back here, where what it has is known already.
            self._declined[leg.token] = wanted.copy
            self._troubles.pop(leg.token, None)
            return None
        if not reply.good:
            return self._failed(leg, wanted.registration, reply)
        remote = identifier_in(reply, leg.remote)
        await self._noted(leg, wanted, remote)
        return None

    async def _change(self, leg: Leg, before: Copy, wanted: Wanted) -> float | None:
        offers = wanted.registration.operations
        if "updateSubscription" not in offers:
            if "deleteSubscription" in offers:
                reply = await self._ask(wanted.registration, ending(leg.remote), wanted.origin)
                if not reply.good and reply.status != 404:
                    return self._failed(leg, wanted.registration, reply)
                return await self._begin_anew(leg)
            # It stays as it is: what comes of it is looked at here.
            self._troubles.pop(leg.token, None)
            return None
        reply = await self._ask(wanted.registration, change(before, wanted.copy, leg.remote), wanted.origin)
        if reply.status == 404:
            return await self._begin_anew(leg)
        if not reply.good:
            return self._failed(leg, wanted.registration, reply)
        await self._noted(leg, wanted, leg.remote)
        return None

    async def _begin_anew(self, leg: Leg) -> float:
        """The source does not have the copy any more."""
        await self._legs.change(leg, copy=None)
        return FIRST_PAUSE

    async def _end(self, leg: Leg) -> float | None:
        registration = compile_registration(leg.registration)
        # A copy that was never confirmed may have arrived all the same.
        if "deleteSubscription" in registration.operations:
            late = self._clock.now() - parse_instant(leg.ending_since, where="endingSince") > PATIENCE
            if not (await self._is_forgotten(leg, registration) or late):
                return FIRST_PAUSE
        await self._legs.remove(leg)
        self._troubles.pop(leg.token, None)
        self._declined.pop(leg.token, None)
        if self.federation.sources.find(leg.tenant, registration.id) is None:
            self.federation.peers.forget(leg.tenant, registration.id, for_good=True)
        return None

    async def _is_forgotten(self, leg: Leg, registration: Registration) -> bool:
        """Ask a source to forget a copy, where it was and, if it has moved, where it is; whether one of the
        two has answered."""
        current = self.federation.sources.find(leg.tenant, registration.id)
        places = [registration]
        if current is not None and has_moved(leg, current):
            places.append(current)
        origin = Origin(ANONYMOUS, leg.tenant)
        replies = [await self._ask(place, ending(leg.remote), origin) for place in places]
        return any(reply.status not in _NOT_NOW for reply in replies)

    async def _ask(self, registration: Registration, question: Question, origin: Origin) -> Reply:
        wire = await self.wire_to(registration, origin)
        source = (origin.tenant, registration.id)
        at_one = self._at_one.get(source)
        if at_one is None:
            at_one = self._at_one[source] = asyncio.Semaphore(AT_ONE)
        async with at_one, self._at_once:
            (reply,) = await self.federation.ask([(registration, question, wire)], origin)
        return reply

    def _failed(self, leg: Leg, registration: Registration, reply: Reply) -> float:
        error = self.federation.standing(leg.tenant, registration).last_error or "It does not answer"
        self._troubles[leg.token] = Trouble(registration, self._now(), error)
        return FIRST_PAUSE if reply.status in _NOT_NOW else REFUSED_PAUSE

    async def _noted(self, leg: Leg, wanted: Wanted, remote: str) -> None:
        self._troubles.pop(leg.token, None)
        await self._legs.change(
            leg, copy=wanted.copy, remote=remote, registration=reach_of(wanted.registration)
        )

    def _now(self) -> str:
        return format_instant(self._clock.now())


async def _core(_source: Any) -> Context:
    return CORE
