"""Group commit: what goes together, what a failure takes with it, what ends the process."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context.broker import Broker
from cityloom.context.commit import Committer
from cityloom.kernel.actor import CITY
from cityloom.kernel.errors import NotReady, StorageFull
from cityloom.kernel.time import WallClock
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import entity, prop, value_of


class Gate(MemoryFeed):
    """A feed whose commits wait until they are let through, and fail when told to."""

    def __init__(self):
        super().__init__()
        self.commits: list[int] = []
        self.entered = threading.Semaphore(0)
        self.leave = threading.Semaphore(0)
        self.closed = False
        self.error: BaseException | None = None

    def append(self, changes):
        self.entered.release()
        if self.closed:
            self.leave.acquire()
        if self.error is not None:
            raise self.error
        self.commits.append(len(changes))
        super().append(changes)

    async def wait_for_a_commit(self):
        await asyncio.to_thread(self.entered.acquire)


@pytest.fixture
async def gate():
    feed = Gate()
    ended: list[BaseException] = []
    broker = Broker(feed, MemoryStateTable(), WallClock(), fail_stop=ended.append)
    await broker.start()
    feed.ended = ended
    yield feed, broker
    if not ended:
        feed.closed = False
        feed.leave.release(100)
        await broker.stop()


def road(number: int, speed: float = 1.0):
    return entity("Road", f"urn:ngsi-ld:Road:{number}", {"speed": prop(speed)})


def start(*commands):
    return [asyncio.ensure_future(one) for one in commands]


async def test_writes_that_wait_go_into_one_commit(gate):
    feed, broker = gate
    feed.closed = True
    first = start(broker.create(CITY, road(0)))
    await feed.wait_for_a_commit()
    rest = start(*(broker.create(CITY, road(number)) for number in range(1, 31)))
    await asyncio.sleep(0)
    feed.leave.release(2)
    await asyncio.gather(*first, *rest)
    assert feed.commits == [1, 30]


async def test_a_full_disk_refuses_what_waits_and_what_builds_on_it(gate):
    feed, broker = gate
    await broker.create(CITY, road(0, speed=1.0))
    await feed.wait_for_a_commit()
    feed.closed, feed.error = True, StorageFull("full", hint="make room")
    first = start(broker.update(CITY, "urn:ngsi-ld:Road:0", road(0, speed=2.0)))
    await feed.wait_for_a_commit()
    later = start(broker.update(CITY, "urn:ngsi-ld:Road:0", road(0, speed=3.0)), broker.create(CITY, road(1)))
    await asyncio.sleep(0)
    feed.leave.release()
    results = await asyncio.gather(*first, *later, return_exceptions=True)
    assert [type(one) for one in results] == [StorageFull] * 3
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Road:0"), "speed") == 1.0
    assert broker.backlog == 0


async def test_after_a_full_disk_writing_goes_on_without_a_hole(gate):
    feed, broker = gate
    feed.error = StorageFull("full", hint="make room")
    with pytest.raises(StorageFull):
        await broker.create(CITY, road(1))
    with pytest.raises(ResourceNotFound):
        broker.retrieve(CITY, "urn:ngsi-ld:Road:1")
    feed.error = None
    change = await broker.create(CITY, road(1))
    assert change.sequence == 1
    assert [one.sequence for one in feed.read(0, 10)] == [1]


async def test_each_waiter_gets_an_error_of_its_own(gate):
    feed, broker = gate
    feed.error = NotReady("locked", hint="wait")
    results = await asyncio.gather(
        *start(broker.create(CITY, road(1)), broker.create(CITY, road(2))), return_exceptions=True
    )
    assert results[0] is not results[1]
    assert {str(one) for one in results} == {"locked. wait"}


async def test_a_batch_on_a_full_disk_raises_when_nothing_was_stored(gate):
    feed, broker = gate
    feed.error = StorageFull("full", hint="make room")
    with pytest.raises(StorageFull):
        await broker.upsert_many(CITY, [road(number) for number in range(2500)], update=True)
    assert broker.types(CITY) == {}


async def test_a_batch_that_was_stored_in_part_says_which_part(gate):
    feed, broker = gate
    feed.closed = True
    batch = start(broker.upsert_many(CITY, [road(number) for number in range(1500)], update=True))
    await feed.wait_for_a_commit()
    feed.leave.release()
    await feed.wait_for_a_commit()
    feed.error = StorageFull("full", hint="make room")
    feed.leave.release()
    (outcome,) = await asyncio.gather(*batch)
    assert len(outcome.created) == 1000
    assert len(outcome.errors) == 500
    assert outcome.errors[0][0] == "urn:ngsi-ld:Road:1000"
    assert broker.types(CITY) == {"Road": 1000}


async def test_an_error_of_the_disk_ends_the_process_and_acknowledges_nothing(gate):
    feed, broker = gate
    feed.error = OSError("Input/output error")
    (writing,) = start(broker.create(CITY, road(1)))
    await feed.wait_for_a_commit()
    while not feed.ended:
        await asyncio.sleep(0.001)
    assert feed.ended == [feed.error]
    assert not writing.done()
    writing.cancel()


async def test_a_defect_after_the_commit_ends_the_process_and_acknowledges_nothing(gate, monkeypatch):
    feed, broker = gate
    defect = KeyError("index")

    def fail(revision):
        raise defect

    monkeypatch.setattr(broker._state, "apply", fail)
    (writing,) = start(broker.create(CITY, road(1)))
    while not feed.ended:
        await asyncio.sleep(0.001)
    assert feed.ended == [defect]
    assert not writing.done()
    writing.cancel()


async def test_a_waiter_that_went_away_does_not_stop_the_others(gate):
    feed, broker = gate
    feed.closed = True
    gone, stays = start(broker.create(CITY, road(1)), broker.create(CITY, road(2)))
    await feed.wait_for_a_commit()
    gone.cancel()
    await asyncio.sleep(0)
    feed.leave.release()
    await stays
    assert broker.types(CITY) == {"Road": 2}


async def test_too_long_a_queue_refuses_and_stores_nothing():
    held = threading.Event()
    told: list[int] = []
    committer = Committer(
        lambda changes: held.wait(),
        committed=lambda revisions: told.append(len(revisions)),
        failed=lambda: None,
        backlog_limit=3,
    )
    revision = type("Revision", (), {"change": None})()
    waiting = [committer.submit([revision, revision]), committer.submit([revision])]
    with pytest.raises(NotReady, match="More arrives"):
        committer.check_room()
    held.set()
    await asyncio.gather(*waiting)
    committer.check_room()
    assert told == [2, 1]
    await committer.stop()


async def test_a_commit_that_does_not_end_lets_nobody_queue_behind_it(gate, monkeypatch):
    feed, broker = gate
    feed.closed = True
    first = asyncio.ensure_future(broker.create(CITY, road(0)))
    await feed.wait_for_a_commit()
    monkeypatch.setattr("cityloom.context.commit.STALLED_AFTER", 0.0)
    with pytest.raises(NotReady, match="does not answer"):
        await broker.create(CITY, road(1))
    feed.closed = False
    feed.leave.release()
    await first
    await broker.create(CITY, road(1))
    assert feed.commits == [1, 1]


async def test_stop_commits_what_waits(city):
    async with city() as broker:
        writing = start(*(broker.create(CITY, road(number)) for number in range(50)))
        await asyncio.sleep(0)
        await broker.stop()
        assert all(one.done() and one.exception() is None for one in writing)
    async with city() as broker:
        assert broker.types(CITY) == {"Road": 50}
