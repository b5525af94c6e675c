"""History that other processes remember: what they do with parcels, and how the city waits for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import msgspec

from cityloom.context.parcels import HOME, UNKNOWN, Parcel, Stays, newest_by_partition, partition_of
from cityloom.history.extraction import news_of
from cityloom.history.model import ReadingBatch
from cityloom.history.ports import HistoryStore
from cityloom.history.stage import HistoryStage
from cityloom.kernel.change import Change
from cityloom.kernel.errors import NotReady

#: Seconds between two looks at how far the others are: from the first to the last.
FIRST_LOOK, LAST_LOOK = 0.05, 0.4
#: Seconds without progress after which what is missing is looked for.
PATIENCE = 4.0
#: Seconds without news after which whoever follows a partition looks into the feed itself.
STILL_S = 2.0


class Portion(msgspec.Struct, frozen=True):
    """News of one partition, to be kept where the partition stands at `before`, which makes it `through`."""

    partition: int
    before: int
    through: int
    news: ReadingBatch


class PartsStore(Protocol):
    """The history, as those keep it who remember partitions of the feed. Blocking."""

    def cursors(self) -> dict[int, int]:
        """The sequence through which each partition is remembered. Raises NotReady where none is."""
        ...

    def record(self, portions: Sequence[Portion]) -> None:
        """Keep portions of different partitions and move their cursors, all or nothing.

        Raises NotReady where a cursor stands elsewhere: somebody else was quicker.
        """
        ...


class PartsFeed(Protocol):
    """The feed, as far as a partition is looked up in it. Blocking."""

    def last_sequence(self) -> int:
        """The sequence of the newest change."""
        ...

    def read_part(self, partition: int, parts: int, after: int, through: int) -> list[Change]:
        """The changes of a partition with after < sequence <= through, in order."""
        ...


class SplitHistory(HistoryStore, Protocol):
    """A store whose partitions are written by other processes."""

    #: How many partitions there are; 0: this process writes all by itself.
    parts: int

    def cursors(self) -> dict[int, int]:
        """The sequence through which each partition is remembered."""
        ...

    def followers(self) -> dict[str, int]:
        """How many processes follow each stage now."""
        ...

    def learn(self, through: int) -> None:
        """Take in what others have stored, all partitions being remembered through this sequence."""
        ...


def parts_of(cursors: Mapping[int, int]) -> int:
    """How many partitions there are for followers."""
    return sum(partition != HOME for partition in cursors)


class PartsKeeper:
    """Takes parcels into the store, exactly once and in the order of each partition."""

    def __init__(self, store: PartsStore, feed: PartsFeed) -> None:
        self._store = store
        self._feed = feed
        #: Changes that were kept, and those of them that were looked up in the feed.
        self.kept = 0
        self.looked_up = 0

    def take(self, parcels: Iterable[Parcel]) -> None:
        """Remember parcels in whatever order they came; returns once that is durable. Blocks.

        Raises NotReady or StorageFull when nothing was kept: then try again.
        """
        cursors, last = self._store.cursors(), self._feed.last_sequence()
        sorted_out: dict[int, list[Parcel]] = {}
        for parcel in parcels:
            # What stays at home is never sent, nor what is not yet in the feed: a message that says so is
            # nobody's of the city, and would have changes passed over.
            if parcel.partition != HOME and parcel.through <= last:
                sorted_out.setdefault(parcel.partition, []).append(parcel)
        portions = [
            portion
            for partition, found in sorted_out.items()
            if partition in cursors
            and (portion := self._portion(partition, cursors, found)).through > portion.before
        ]
        if portions:
            self._store.record(portions)
            self.kept += sum(len(one.news) for one in portions)

    def _portion(self, partition: int, cursors: Mapping[int, int], parcels: list[Parcel]) -> Portion:
        begin = cursor = cursors[partition]
        news: ReadingBatch = []
        for parcel in sorted(parcels, key=lambda one: one.through):
            if parcel.through > cursor:
                news += self._news(parcel, cursor, parts_of(cursors))
                cursor = parcel.through
        return Portion(partition, begin, cursor, news)

    def _news(self, parcel: Parcel, cursor: int, parts: int) -> ReadingBatch:
        """What is new in a parcel; where something before it is missing, with that. What a parcel may not
        hold, or what nobody can read, is looked up instead."""
        if parcel.before != UNKNOWN and parcel.before <= cursor and _is_whole(parcel, parts):
            # Of what others wrote into a document nothing is known until it is read.
            with suppress(ValueError, TypeError, LookupError, AttributeError):
                return [news_of(one) for one in parcel.changes or () if one.sequence > cursor]
        found = self._feed.read_part(parcel.partition, parts, cursor, parcel.through)
        self.looked_up += len(found)
        return [news_of(one) for one in found]


class _Seen(msgspec.Struct):
    """A partition as it was looked at last."""

    at: int
    #: When something came, or all that there was had been looked up.
    since: float
    #: Through where it was looked up last; UNKNOWN where it was not.
    asked: int = UNKNOWN


class Stillness:
    """Tells which partitions stand still though the feed goes on: nobody brings what is in it. Pure."""

    def __init__(self, most: int) -> None:
        """`most` changes of the feed are to be looked through for a partition at a time."""
        self._most = most
        self._seen: dict[int, _Seen] = {}
        #: The newest change when it was looked at before: what is as old as that should have come.
        self._last = 0

    def behind(
        self, share: Collection[int], cursors: Mapping[int, int], last: int, now: float
    ) -> list[Parcel]:
        """What is to be looked up now, of the partitions that are this process' share.

        `cursors` tell where partitions stand, `last` the newest change of the feed, `now` seconds.
        """
        due, self._last = self._last, last
        self._seen = {one: seen for one, seen in self._seen.items() if one in share}
        found = (self._of(one, cursors[one], due, now) for one in sorted(share) if one in cursors)
        return [one for one in found if one is not None]

    def _of(self, partition: int, at: int, due: int, now: float) -> Parcel | None:
        seen = self._seen.get(partition)
        if seen is None or at not in (seen.at, seen.asked):
            self._seen[partition] = _Seen(at, now)
            return None
        seen.at = at
        if at >= due or now - seen.since < STILL_S:
            return None
        seen.asked = min(due, at + self._most)
        if seen.asked == due:
            seen.since = now
        return Parcel(partition, UNKNOWN, seen.asked, None)


def _is_whole(parcel: Parcel, parts: int) -> bool:
    """Whether a parcel holds changes, all of its partition and between its bounds."""
    return parcel.changes is not None and all(
        parcel.before < one.sequence <= parcel.through
        and partition_of(one.entity_id, parts) == parcel.partition
        for one in parcel.changes
    )


class HistoryElsewhere(HistoryStage):
    """Follows the feed in place of `HistoryStage` where other processes remember: it waits until they have
    committed. So the feed keeps what they lack, and whoever waits for history waits for them."""

    def __init__(
        self,
        store: SplitHistory,
        home: PartsStore,
        stays: Stays,
        missing: Callable[[Mapping[int, tuple[int, int]]], Awaitable[None]],
    ) -> None:
        """What stays in this process goes into `home`. `missing` is told, by partition, where it stands and
        where it should, when nothing moves."""
        super().__init__(store)
        self._home = home
        self._stays = stays
        self._split = store
        self._missing = missing
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Wait for nobody any more: the city stops."""
        self._leaving.set()

    async def handle(self, changes: list[Change]) -> None:
        """Wait until others have remembered a batch. Raises NotReady when the city stops before."""
        fresh = [change for change in changes if change.sequence > self._through]
        if not fresh:
            return
        own = [one for one in fresh if self._stays(one.types)]
        if own:
            await asyncio.to_thread(self._keep, own)
        going = [one for one in fresh if not self._stays(one.types)]
        await self._remembered(newest_by_partition(going, self._split.parts))
        last = fresh[-1].sequence
        await asyncio.to_thread(self._split.learn, last)
        async with self._advanced:
            self._through = last
            self._advanced.notify_all()

    def _keep(self, changes: list[Change]) -> None:
        """Remember what stays here, exactly once as the others do."""
        cursor, last = self._home.cursors()[HOME], changes[-1].sequence
        if last > cursor:
            news = [news_of(one) for one in changes if one.sequence > cursor]
            self._home.record([Portion(HOME, cursor, last, news)])

    async def _remembered(self, wanted: Mapping[int, int]) -> None:
        look, moved = FIRST_LOOK, time.monotonic()
        before: dict[int, int] = {}
        while True:
            cursors = await asyncio.to_thread(self._split.cursors)
            lacking = {
                one: (cursors.get(one, 0), until)
                for one, until in wanted.items()
                if cursors.get(one, 0) < until
            }
            if not lacking:
                return
            if cursors != before:
                moved, before = time.monotonic(), cursors
            elif time.monotonic() - moved > PATIENCE:
                moved = time.monotonic()
                await self._missing(lacking)
            await self._rest_until_leaving(look)
            look = min(2 * look, LAST_LOOK)

    async def _rest_until_leaving(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._leaving.wait()
        if self._leaving.is_set():
            raise NotReady("The city stops before history has come as far", hint="It goes on from there.")
