"""Delivery: every endpoint has a queue of its own, and none waits for another.

What waits is kept in the outbox before the stage that found it goes on; so it is sent at least once, also
after a crash, and in the order of the changes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import CityError, NotReady
from cityloom.kernel.spans import remember, span
from cityloom.kernel.time import Clock, format_instant, to_millis
from cityloom.subscriptions.backlog import Backlog, Notifying
from cityloom.subscriptions.lane import AT_HAND, Lane
from cityloom.subscriptions.model import Kept, Pending, Tally
from cityloom.subscriptions.ports import Key, Outbox
from cityloom.subscriptions.secrecy import Secrecy
from cityloom.subscriptions.sending import Sender
from cityloom.subscriptions.spare_time import SpareTime

_log = logging.getLogger(__name__)

#: Hours for which somebody who cannot be reached is waited for.
PATIENCE_HOURS = 24
#: Notifications on their way at once to those who answered last, and to those who did not.
TRUSTED_AT_ONCE = 1_000
SUSPECTS_AT_ONCE = 100
#: Seconds between two notes of what has been sent, and of how it went.
SETTLING = 0.25
TALLYING = 5.0
#: Answers that mean: this notification, never. Others mean: not now.
GIVEN_UP = "Too much waited, or too long: the oldest was given up"
_REFUSALS = frozenset({400, 406, 413, 415, 422})


class Delivery:
    """Lives on the event loop. `find` gives the subscription that something waits for, `owner` its owner as
    they are now, bounded by what they subscribed with; None: nothing may be sent any more."""

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        clock: Clock,
        *,
        find: Callable[[Key], Kept | None],
        owner: Callable[[Kept], Actor | None],
        reference: Callable[[Kept], Any],
        secrecy: Secrecy,
        bounds: Notifying,
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._clock = clock
        self._find = find
        self._owner = owner
        self._reference = reference
        #: Notifications since the start that were taken and that failed, and Entities that were never told.
        self.outcomes: Counter[str] = Counter()
        self._secrecy = secrecy
        self._backlog = Backlog(bounds)
        self._lanes: dict[str, Lane] = {}
        #: The places of what is on its way.
        self._sending: set[int] = set()
        self._tallies: dict[Key, Tally] = {}
        self._changed: set[Key] = set()
        self._done: set[int] = set()
        self._writing = asyncio.Lock()
        #: How much was offered and is not known to be durable.
        self._unkept = 0
        self._place = 0
        self._trusted = asyncio.Semaphore(TRUSTED_AT_ONCE)
        self._suspects = asyncio.Semaphore(SUSPECTS_AT_ONCE)
        self._spare_time = SpareTime()
        self._settling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on with what waits."""
        self._place = await asyncio.to_thread(self._outbox.newest)
        self._tallies = dict(await asyncio.to_thread(self._outbox.tallies))
        for key, size in (await asyncio.to_thread(self._outbox.sizes)).items():
            self._backlog.add(key, self._owner_of(key), size)
        for name, count in (await asyncio.to_thread(self._outbox.lanes)).items():
            lane = self._lane(name)
            lane.on_disk = count
            self._run(lane)
        self._settling = asyncio.create_task(self._settle_now_and_then(), name="notifications settle")

    async def stop(self) -> None:
        """Give up what is on its way; it is sent again."""
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        for task in [*tasks, self._settling]:
            if task is not None:
                task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        with suppress(CityError):
            await self._settle(tallies=True)

    def next_place(self) -> int:
        self._place += 1
        return self._place

    def offer(self, item: Pending) -> None:
        """Queue something; `keep` must follow, and makes it durable."""
        self._unkept += 1
        key = (item.tenant, item.subscription)
        self._backlog.add(key, self._owner_of(key), len(item.shown))
        remember(("pending", item.place))
        lane = self._lane(item.lane)
        lane.offer(item)
        self._run(lane)

    async def keep(self, items: Sequence[Pending]) -> None:
        """Return once what of this is not sent yet is durable."""
        while True:
            try:
                async with self._writing:
                    left = [item for item in items if item.place not in self._done]
                    if left:
                        await asyncio.to_thread(self._outbox.add, left)
                    for name in {item.lane for item in items}:
                        await self._make_room(name)
                    while (key := self._backlog.excess()) is not None and await self._give_up_oldest(key):
                        pass
                break
            except NotReady as refused:
                _log.warning("What is to be notified cannot be kept yet: %s", refused)
                await asyncio.sleep(1)
        self._unkept -= len(items)
        for name in {item.lane for item in items}:
            if name in self._lanes:
                self._lanes[name].wake.set()

    def waits(self, name: str) -> bool:
        """Whether anything waits in a queue, or is on its way from it."""
        lane = self._lanes.get(name)
        return lane is not None and lane.waiting + lane.on_its_way > 0

    def waiting(self) -> Counter[str]:
        """How many wait in each queue."""
        return Counter({name: lane.waiting + lane.on_its_way for name, lane in self._lanes.items()})

    def tally(self, key: Key) -> Tally:
        """How notifying went."""
        return self._tallies.setdefault(key, Tally())

    def forgive(self, name: str) -> None:
        """An endpoint was named anew: it is tried at once."""
        lane = self._lanes.get(name)
        if lane is not None:
            lane.forgive()

    async def forget(self, keys: Iterable[Key]) -> None:
        """Subscriptions that are gone."""
        gone = list(keys)
        for key in gone:
            self._tallies.pop(key, None)
            self._changed.discard(key)
            self._backlog.forget(key)
        async with self._writing:
            await asyncio.to_thread(self._outbox.forget, gone)

    # One endpoint

    def _lane(self, name: str) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name, self._lost)
        return lane

    def _run(self, lane: Lane) -> None:
        if lane.task is None:
            lane.task = asyncio.create_task(self._empty(lane), name=f"notify {lane.name[:80]}")

    async def _empty(self, lane: Lane) -> None:
        try:
            while lane.waiting:
                if not lane.at_hand:
                    await self._refill(lane)
                    continue
                kept = self._find((lane.at_hand[0].tenant, lane.at_hand[0].subscription))
                if kept is not None:
                    lane.throttling = kept.wanted.throttling or 0.0
                    await lane.may_send()
                await self._send_next(lane)
        finally:
            lane.task = None
            if lane.is_forgettable:
                self._lanes.pop(lane.name, None)

    async def _refill(self, lane: Lane) -> None:
        async with self._writing:
            page = await asyncio.to_thread(self._outbox.read, lane.name, lane.reach, AT_HAND)
        if page:
            lane.refill([item for item in page if item.place not in self._done])
            lane.reach = page[-1].place
            return
        lane.wake.clear()
        try:
            async with asyncio.timeout(1):
                await lane.wake.wait()
        except TimeoutError:
            if not self._unkept:
                # Nothing of it is there any more: those it was for are gone.
                lane.on_disk = 0

    async def _make_room(self, name: str) -> None:
        """Let the oldest of a queue go that lies on disk and is too long, while nothing of it is at hand."""
        lane = self._lanes.get(name)
        if lane is None or not lane.excess:
            return
        page = await asyncio.to_thread(self._outbox.read, name, lane.reach, lane.excess)
        fresh = [item for item in page if item.place not in self._done]
        if page:
            lane.pass_over(len(fresh), page[-1].place)
        for item in fresh:
            self._lost(item)

    async def _give_up_oldest(self, key: Key) -> bool:
        """Let the oldest of a subscription go for which too much waits; whether there was any."""
        page = await asyncio.to_thread(self._outbox.oldest, key, AT_HAND)
        found = False
        for item in page:
            if item.place in self._done or item.place in self._sending:
                continue
            lane = self._lanes.get(item.lane)
            if lane is not None:
                lane.drop(item.place)
            self._lost(item)
            found = True
            if self._backlog.excess() != key:
                break
        else:
            # What was read is noted as done later; until then it would be read again.
            await self._settle_done()
        return found

    async def _send_next(self, lane: Lane) -> None:
        if not lane.at_hand:
            return
        first = lane.at_hand[0]
        kept = self._find((first.tenant, first.subscription))
        throttled = kept is not None and kept.wanted.throttling is not None
        taken = lane.take(throttled)
        if kept is None or not (items := self._still_wanted(kept, taken)):
            self._settled(taken)
            return
        if throttled:
            items = list({item.entity_id: item for item in items}.values())
        gate = self._suspects if lane.is_suspect else self._trusted
        lane.on_its_way = len(taken)
        self._sending.update(item.place for item in taken)
        try:
            async with gate:
                if lane.is_suspect:
                    await self._spare_time.turn()
                outcome = await self._attempt(kept, items)
        finally:
            lane.on_its_way = 0
            self._sending.difference_update(item.place for item in taken)
        self._conclude(lane, kept, taken, outcome)

    def _still_wanted(self, kept: Kept, items: list[Pending]) -> list[Pending]:
        """What may be sent now: to whom it may be shown still, and not too late."""
        now = self._clock.now()
        owner = self._owner(kept)
        if owner is None or kept.wanted.status(format_instant(now)) != "active":
            return []
        oldest = to_millis(now) - PATIENCE_HOURS * 3_600_000
        late = [item for item in items if item.at_millis < oldest]
        self._note_missed(kept.key, len(late))
        return [
            item for item in items if item.at_millis >= oldest and self._secrecy.may_learn(owner, kept, item)
        ]

    async def _attempt(self, kept: Kept, items: list[Pending]) -> int | CityError:
        """The status of the answer, or why there is none."""
        at = format_instant(self._clock.now())
        tally = self._noted(kept.key)
        tally.times_sent += 1
        tally.last_notification = at
        try:
            shown = [item.shown for item in items]
            with span("notify", {"cityloom.entities": len(items)}, cause=("pending", items[0].place)):
                status = await self._sender.send(kept, shown, at, self._reference(kept))
        except CityError as error:
            return error
        except Exception as defect:  # noqa: BLE001 - one notification must not end an endpoint's queue
            _log.exception("A notification of %s could not be made", kept.wanted.id)
            return NotReady(f"{type(defect).__name__}: {defect}", hint="Tell the operator.")
        return status

    def _conclude(self, lane: Lane, kept: Kept, taken: list[Pending], outcome: int | CityError) -> None:
        tally = self._noted(kept.key)
        at = format_instant(self._clock.now())
        taken_well = isinstance(outcome, int) and 200 <= outcome < 300
        self.outcomes["delivered" if taken_well else "failed"] += 1
        if taken_well:
            tally.last_success, tally.failed, tally.last_error = at, False, ""
            lane.succeeded()
            self._settled(taken)
            return
        tally.times_failed += 1
        tally.last_failure, tally.failed = at, True
        tally.last_error = f"It answers {outcome}" if isinstance(outcome, int) else outcome.message
        if outcome not in _REFUSALS:
            lane.put_back(taken)
            lane.failed((kept.wanted.notification.endpoint.cooldown or 0.0) / 1000)
        elif len(taken) > 1 and kept.wanted.throttling is None:
            lane.put_back(taken)
            lane.one_by_one = len(taken)
        else:
            lane.succeeded()
            tally.missed += len(taken)
            self.outcomes["missed"] += len(taken)
            self._settled(taken)

    # What has been sent

    def _settled(self, items: list[Pending]) -> None:
        for item in items:
            self._done.add(item.place)
            self._backlog.remove(item)

    def _lost(self, item: Pending) -> None:
        self._note_missed((item.tenant, item.subscription), 1)
        self._settled([item])

    def _note_missed(self, key: Key, count: int) -> None:
        if count:
            tally = self._noted(key)
            tally.missed += count
            self.outcomes["missed"] += count
            tally.failed, tally.last_failure = True, format_instant(self._clock.now())
            tally.last_error = GIVEN_UP

    def _noted(self, key: Key) -> Tally:
        self._changed.add(key)
        return self.tally(key)

    async def _settle_now_and_then(self) -> None:
        elapsed = 0.0
        while True:
            await asyncio.sleep(SETTLING)
            elapsed += SETTLING
            try:
                await self._settle(tallies=elapsed >= TALLYING)
            except CityError as refused:
                _log.warning("What was notified is noted later: %s", refused)
            if elapsed >= TALLYING:
                elapsed = 0.0

    async def _settle(self, *, tallies: bool) -> None:
        async with self._writing:
            await self._settle_done(tallies=tallies)

    async def _settle_done(self, *, tallies: bool = False) -> None:
        done = sorted(self._done)
        changed = [key for key in self._changed if key in self._tallies] if tallies else []
        if not done and not changed:
            return
        rows = [(key, self._tallies[key]) for key in changed]
        await asyncio.to_thread(self._outbox.settle, done, rows)
        self._done.difference_update(done)
        self._changed.difference_update(changed)

    def _owner_of(self, key: Key) -> str:
        kept = self._find(key)
        return "" if kept is None else kept.owner
