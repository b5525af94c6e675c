"""The table on disk and the restart: nothing is lost between the two, and torn files are refused."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.adapters.sqlite.state_table import SqliteStateTable
from cityloom.context import folding
from cityloom.context.broker import Broker
from cityloom.context.folding import INTERVAL, ROUNDS
from cityloom.context.recall import Recall
from cityloom.context.state import CurrentState
from cityloom.context.writes import PastWrite
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.errors import BadConfig, StorageFull
from cityloom.kernel.time import WallClock
from cityloom.ngsild.model import entity, point, prop, rel, value_of


def road(number: int, speed: float = 1.0, **attributes):
    return entity("Road", f"urn:ngsi-ld:Road:{number}", {"speed": prop(speed), **attributes})


async def fill(broker):
    """Entities with everything that a restart must bring back."""
    await broker.create(CITY, road(1, location=point(10.0, 56.0), refRoad=rel("urn:ngsi-ld:Road:2")))
    await broker.create(CITY, road(2), information_class=InformationClass.SECURITY)
    await broker.create(CITY, road(3), tenant="north")
    await broker.create(CITY, road(4))
    await broker.delete(CITY, "urn:ngsi-ld:Road:4")
    await broker.create(CITY, road(4, speed=4.0))
    await broker.update(CITY, "urn:ngsi-ld:Road:1", {"attrs": {"speed": [prop(9.0)]}})


def picture(broker):
    """Everything that can be asked, for comparison."""
    return {
        who.id: (
            broker.types(who),
            broker.types(who, tenant="north"),
            broker.of_type(who, "Road"),
            broker.referrers(who, "urn:ngsi-ld:Road:2"),
            [held.entity_id for held in broker._state.within("", (9.0, 55.0, 11.0, 57.0), who.clearance)],
        )
        for who in (CITY, ANONYMOUS)
    }


async def test_restart_finds_everything_as_it_was(city):
    async with city() as broker:
        await fill(broker)
        before = picture(broker)
    async with city() as broker:
        assert picture(broker) == before
        assert broker.last_sequence == 7
        assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Road:1"), "speed") == 9.0


async def test_restart_after_a_crash_replays_what_was_not_folded(tmp_path):
    feed = SqliteFeed(tmp_path / "feed.db")
    broker = Broker(feed, MemoryStateTable(), WallClock())
    await broker.start()
    await fill(broker)
    before = picture(broker)
    again = Broker(SqliteFeed(tmp_path / "feed.db"), SqliteStateTable(tmp_path / "state.db"), WallClock())
    await again.start()
    assert picture(again) == before
    await again.stop()
    await broker.stop()
    table = SqliteStateTable(tmp_path / "state.db")
    assert table.folded_through() == 7
    assert len(list(table.load())) == 4


async def test_restart_goes_on_with_the_next_sequence(city):
    async with city() as broker:
        await broker.create(CITY, road(1))
    async with city() as broker:
        change = await broker.create(CITY, road(2))
        assert change.sequence == 2


async def test_start_refuses_a_table_newer_than_the_feed(tmp_path):
    table = MemoryStateTable()
    table.fold([], [], 5)
    broker = Broker(MemoryFeed(), table, WallClock())
    with pytest.raises(BadConfig, match="do not belong together"):
        await broker.start()


async def test_start_refuses_a_table_that_misses_trimmed_changes(city, tmp_path):
    async with city() as broker:
        for number in range(5):
            await broker.create(CITY, road(number))
    feed = SqliteFeed(tmp_path / "feed.db")
    feed.trim(3)
    with pytest.raises(BadConfig, match="changes from 1 to 3 are missing"):
        await Broker(feed, MemoryStateTable(), WallClock()).start()
    feed.trim(5)
    with pytest.raises(BadConfig, match="changes from 1 to 5 are missing"):
        await Broker(feed, MemoryStateTable(), WallClock()).start()
    feed.close()


class Rig:
    """Folding with the stores at hand and a fold on demand."""

    def __init__(self, retention: int = 0, interval: float = INTERVAL):
        self.interval = interval
        self.feed, self.table = MemoryFeed(), MemoryStateTable()
        self.retention = retention

    async def __aenter__(self):
        self.broker = Broker(
            self.feed, self.table, WallClock(), retention=self.retention, fold_interval=self.interval
        )
        self.loop = asyncio.get_running_loop()
        await self.broker.start()
        return self

    async def __aexit__(self, *_):
        await self.broker.stop()

    async def fold(self):
        return await self.broker._folding._round()

    async def folds(self, rounds):
        """How often the table is written in the next rounds of the task itself, with a write before each."""
        folding, folded, left = self.broker._folding, [], [rounds]
        turn, fold, counted = folding._round, self.table.fold, self.loop.create_future()
        self.table.fold = lambda *given: (folded.append(given), fold(*given))

        async def counting(**how):
            await self.broker.upsert(CITY, road(1))
            pause = await turn(**how)
            left[0] -= 1
            if left[0] == 0:
                counted.set_result(len(folded))
            return pause

        folding._round = counting
        found = await asyncio.wait_for(counted, 30)
        folding._round = turn
        return found


async def test_folding_writes_the_newest_state_of_each_entity_once():
    async with Rig() as rig:
        for speed in range(20):
            await rig.broker.upsert(CITY, road(1, float(speed)))
        written = []
        fold = rig.table.fold
        rig.table.fold = lambda upserts, *rest: (written.extend(upserts), fold(upserts, *rest))
        await rig.fold()
        assert len(written) == 1
        (row,) = rig.table.load()
        assert row.sequence == 20 and b'"value":19.0' in row.document


async def test_one_in_some_rounds_folds():
    async with Rig(interval=0.001) as rig:
        assert await rig.folds(3 * ROUNDS) == 3


@pytest.mark.parametrize("limit", ["ENOUGH", "MOST_CHANGES"])
async def test_much_that_changed_is_folded_at_once(monkeypatch, limit):
    monkeypatch.setattr(folding, limit, 3)
    async with Rig(interval=3600) as rig:
        written = asyncio.Event()
        fold = rig.table.fold
        rig.table.fold = lambda *given: (fold(*given), rig.loop.call_soon_threadsafe(written.set))
        for number in (1, 2, 3):
            assert rig.table.folded_through() == 0
            await rig.broker.create(CITY, road(number))
        await asyncio.wait_for(written.wait(), 30)
        assert rig.table.folded_through() == 3


async def test_a_restart_folds_the_newest_state_of_each_entity_that_it_replayed():
    feed, table, state = MemoryFeed(), MemoryStateTable(), CurrentState()
    broker = Broker(feed, table, WallClock(), fold_interval=3600)
    await broker.start()
    for number in (1, 2, 1, 2, 1):
        await broker.upsert(CITY, road(number))
    count, replayed = Recall(feed, table, state).finish(feed, table)
    assert (count, [revision.change.sequence for revision in replayed]) == (5, [4, 5])
    again = Broker(feed, table, WallClock(), fold_interval=3600)
    await again.start()
    assert again._folding.lag == 5
    await again.stop()
    assert table.folded_through() == 5
    assert {row.created: row.sequence for row in table.load()} == {1: 5, 2: 4}
    await broker.stop()


async def test_a_restart_folds_no_entity_whose_id_another_one_got():
    feed, table = MemoryFeed(), MemoryStateTable()
    broker = Broker(feed, table, WallClock(), fold_interval=3600)
    await broker.start()
    await broker.create(CITY, road(1))
    await broker.delete(CITY, "urn:ngsi-ld:Road:1")
    await broker.create(CITY, road(1, 3.0))
    again = Broker(feed, table, WallClock(), fold_interval=3600)
    await again.start()
    await again.stop()
    assert {row.created: row.sequence for row in table.load()} == {3: 3}
    await broker.stop()


async def test_what_waits_to_be_folded_takes_no_second_document():
    async with Rig(interval=3600) as rig:
        await rig.broker.create(CITY, road(1, name=prop("x" * 500)))
        (waiting,) = rig.broker._folding._changed.values()
        held = rig.broker._state.find("", "urn:ngsi-ld:Road:1", (InformationClass.OPEN,))
        assert waiting.document is held.kept
        await rig.fold()
        (row,) = rig.table.load()
        assert row.document is held.kept


async def test_what_is_only_written_to_the_past_is_passed_by_the_table():
    async with Rig() as rig:
        past = PastWrite(("Road",), b"{}", (), None, None, None)
        await rig.broker.write_past(CITY, "urn:ngsi-ld:Road:1", past)
        await rig.fold()
        assert rig.table.folded_through() == 1
        assert rig.feed.read(0, 10) == []


async def test_folding_trims_what_is_folded_and_passed_but_keeps_the_retention():
    async with Rig(retention=4) as rig:
        for number in range(10):
            await rig.broker.create(CITY, road(number))
        await rig.fold()
        assert [one.sequence for one in rig.feed.read(0, 100)] == [7, 8, 9, 10]


async def test_folding_keeps_what_a_durable_stage_has_not_passed():
    async with Rig() as rig:
        leave = asyncio.Event()

        async def slow(batch):
            await leave.wait()

        rig.broker.follow("slow", slow, durable=True)
        for number in range(6):
            await rig.broker.create(CITY, road(number))
        await rig.fold()
        assert len(rig.feed.read(0, 100)) == 6
        leave.set()
        await rig.broker.caught_up()
        await rig.fold()
        assert rig.feed.cursor("slow") == 6
        assert rig.feed.read(0, 100) == []


class Held:
    """Stands before a table's fold: each waits until it is let through, with an error or without."""

    def __init__(self, table, monkeypatch):
        self._fold = table.fold
        self.entered = threading.Semaphore(0)
        self.leave = threading.Semaphore(0)
        self.error: Exception | None = None
        monkeypatch.setattr(table, "fold", self)

    def __call__(self, *given):
        self.entered.release()
        self.leave.acquire()
        if self.error is not None:
            raise self.error
        self._fold(*given)


async def test_folding_on_a_full_disk_tries_again_with_nothing_lost(monkeypatch):
    async with Rig() as rig:
        await rig.broker.create(CITY, road(1, 1.0))
        await rig.broker.create(CITY, road(2, 1.0))
        held = Held(rig.table, monkeypatch)
        held.error = StorageFull("full", hint="make room")
        folding = asyncio.ensure_future(rig.fold())
        await asyncio.to_thread(held.entered.acquire)
        await rig.broker.upsert(CITY, road(1, 2.0))
        held.leave.release()
        await folding
        assert rig.table.folded_through() == 0
        held.error = None
        held.leave.release(100)
        await rig.fold()
        assert [row.sequence for row in rig.table.load()] == [3, 2]
        assert rig.table.folded_through() == 3


async def test_stop_folds_also_what_came_while_it_was_folding(monkeypatch):
    async with Rig() as rig:
        await rig.broker.create(CITY, road(1))
        held = Held(rig.table, monkeypatch)
        monkeypatch.setattr(folding, "ROUNDS", 1)
        rig.broker._folding._enough.set()
        await asyncio.to_thread(held.entered.acquire)
        await rig.broker.create(CITY, road(2))
        held.leave.release(100)
        await rig.broker.stop()
        assert rig.table.folded_through() == 2


async def test_folding_ends_the_process_when_the_disk_fails(monkeypatch):
    ended = []
    feed, table = MemoryFeed(), MemoryStateTable()
    broker = Broker(feed, table, WallClock(), fail_stop=ended.append)
    await broker.start()
    broken = OSError("Input/output error")

    def fail(*_):
        raise broken

    await broker.create(CITY, road(1))
    with monkeypatch.context() as patch:
        patch.setattr(table, "fold", fail)
        await broker._folding._round()
    assert ended == [broken]
    await broker.stop()


async def test_folding_of_a_deleted_entity_removes_its_row():
    async with Rig() as rig:
        await rig.broker.create(CITY, road(1))
        await rig.fold()
        await rig.broker.delete(CITY, "urn:ngsi-ld:Road:1")
        await rig.broker.create(CITY, road(1, 5.0))
        await rig.fold()
        (row,) = rig.table.load()
        assert row.created == 3


async def test_a_state_that_followed_another_process_goes_on_where_that_one_ended():
    feed, table = MemoryFeed(), MemoryStateTable()
    broker = Broker(feed, table, WallClock(), fold_interval=3600)
    await broker.start()
    await broker.upsert(CITY, road(1))
    standby = Recall(feed, table)
    standby.follow()
    for number in (2, 3, 1):
        await broker.upsert(CITY, road(number))
    await broker.delete(CITY, road(3)["id"])
    standby.follow()
    await broker._folding._fold()
    standby.forget_folded()
    # What was folded is on the table; what comes now the next one folds.
    await broker.upsert(CITY, road(4))
    await broker.upsert(CITY, road(2))
    again = Broker(feed, table, WallClock(), fold_interval=3600, recalled=standby)
    await again.start()
    assert again._folding.lag == 2
    assert sorted(again._folding._changed) == [2, 6]
    assert [one.entity_id for one in again._state.all("", tuple(InformationClass))] == [
        road(number)["id"] for number in (1, 2, 4)
    ]
    await again.stop()
    assert {row.created: row.sequence for row in table.load()} == {1: 4, 2: 7, 6: 6}


async def test_a_standby_that_fell_behind_the_feed_says_so():
    feed, table = MemoryFeed(), MemoryStateTable()
    broker = Broker(feed, table, WallClock(), fold_interval=3600)
    await broker.start()
    await broker.upsert(CITY, road(1))
    standby = Recall(feed, table)
    standby.follow()
    for number in (2, 3, 4):
        await broker.upsert(CITY, road(number))
    feed.trim(3)
    with pytest.raises(BadConfig, match="from 2 to 3 are missing"):
        standby.follow()
    await broker.stop()


async def test_who_leaves_the_city_to_a_standby_folds_nothing_and_loses_nothing():
    feed, table = MemoryFeed(), MemoryStateTable()
    broker = Broker(feed, table, WallClock(), fold_interval=3600)
    await broker.start()
    for number in (1, 2, 1):
        await broker.upsert(CITY, road(number))
    standby = Recall(feed, table)
    standby.follow()
    await broker.stop(folding=False)
    assert table.folded_through() == 0
    again = Broker(feed, table, WallClock(), fold_interval=3600, recalled=standby)
    await again.start()
    assert again.last_sequence == again._folding.lag == 3
    await again.stop()
    assert {row.created: row.sequence for row in table.load()} == {1: 3, 2: 2}
