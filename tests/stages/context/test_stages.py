"""Following the feed: in order, at least once, each at its own pace."""

from __future__ import annotations

import asyncio

import pytest

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context import stages
from cityloom.context.broker import Broker
from cityloom.context.stages import Recent, Stages
from cityloom.context.writes import PastWrite
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import BadConfig, Conflict, NotReady
from cityloom.kernel.time import WallClock
from cityloom.ngsild.model import entity, prop


def road(number: int):
    return entity("Road", f"urn:ngsi-ld:Road:{number}", {"speed": prop(1.0)})


def change(sequence: int) -> Change:
    return Change(
        sequence, "", "urn:x", ("T",), ChangeKind.UPDATED, InformationClass.OPEN, b"{}", (), 0, "city", ""
    )


class Listener:
    """A handler that remembers what it got, and fails when told to."""

    def __init__(self, failures: int = 0):
        self.got: list[int] = []
        self.sizes: list[int] = []
        self.failures = failures

    async def __call__(self, batch):
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the store is away")
        self.got += [one.sequence for one in batch]
        self.sizes.append(len(batch))


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(stages, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(stages, "LAST_PAUSE", 0.002)


async def write(broker, count, first=1):
    await broker.upsert_many(CITY, [road(number) for number in range(first, first + count)], update=True)


async def test_follow_gets_every_change_in_order(broker):
    listener = Listener()
    broker.follow("a", listener, durable=True)
    for first in (1, 11, 21):
        await write(broker, 10, first)
    await broker.caught_up()
    assert listener.got == list(range(1, 31))


async def test_follow_gets_batches_of_at_most_5000(city):
    async with city() as broker:
        await write(broker, 12_000)
        listener = Listener()
        broker.follow("late", listener, durable=True)
        await broker.caught_up()
        assert listener.got == list(range(1, 12_001))
        assert max(listener.sizes) <= 5000


async def test_follow_goes_on_after_a_restart_where_it_was(city):
    first, second = Listener(), Listener()
    async with city() as broker:
        broker.follow("a", first, durable=True)
        await write(broker, 10)
        await broker.caught_up()
    async with city() as broker:
        await write(broker, 5, first=11)
        broker.follow("a", second, durable=True)
        await broker.caught_up()
    assert first.got == list(range(1, 11))
    assert second.got == list(range(11, 16))


async def test_follow_before_the_start_begins_with_it():
    broker = Broker(MemoryFeed(), MemoryStateTable(), WallClock())
    listener = Listener()
    broker.follow("a", listener, durable=True)
    await broker.start()
    await write(broker, 3)
    await broker.caught_up()
    assert listener.got == [1, 2, 3]
    await broker.stop()


async def test_follow_live_gets_what_comes_from_now_on(broker):
    await write(broker, 10)
    listener = Listener()
    broker.follow("live", listener, durable=False)
    await write(broker, 2, first=11)
    await broker.caught_up()
    assert listener.got == [11, 12]


async def test_follow_after_begins_where_the_stage_says(broker):
    await write(broker, 10)
    listener = Listener()
    broker.follow("history", listener, durable=True, after=7)
    await broker.caught_up()
    assert listener.got == [8, 9, 10]


async def test_follow_after_more_than_the_feed_has_is_refused(broker):
    await write(broker, 3)
    with pytest.raises(BadConfig, match="the feed ends at 3"):
        broker.follow("history", Listener(), durable=True, after=4)
    assert broker.stages() == []


async def test_follow_under_a_taken_name_is_refused(broker):
    broker.follow("a", Listener(), durable=True)
    with pytest.raises(Conflict):
        broker.follow("a", Listener(), durable=False)


async def test_a_failing_handler_gets_the_same_batch_again(broker, quick):
    listener = Listener(failures=3)
    broker.follow("a", listener, durable=True)
    await write(broker, 4)
    await broker.caught_up()
    assert listener.got == [1, 2, 3, 4]
    (status,) = broker.stages()
    assert (status.failures, status.last_error, status.lag) == (0, "", 0)


async def test_a_failing_handler_is_shown_and_holds_nobody_up(broker):
    broken, well = Listener(failures=10**9), Listener()
    broker.follow("broken", broken, durable=True)
    broker.follow("well", well, durable=True)
    await write(broker, 4)
    while well.got != [1, 2, 3, 4]:
        await asyncio.sleep(0)
    by_name = {status.name: status for status in broker.stages()}
    assert by_name["broken"].last_error == "RuntimeError: the store is away"
    assert by_name["broken"].failures >= 1
    assert (by_name["broken"].lag, by_name["well"].lag) == (4, 0)
    await broker.create(CITY, road(9))


async def test_a_stage_that_failed_gets_its_batch_after_a_restart(city):
    async with city() as broker:
        broker.follow("a", Listener(failures=10**9), durable=True)
        await write(broker, 4)
    listener = Listener()
    async with city() as broker:
        broker.follow("a", listener, durable=True)
        await broker.caught_up()
    assert listener.got == [1, 2, 3, 4]


async def test_leave_ends_a_stage_and_frees_its_name(broker):
    listener = Listener()
    broker.follow("a", listener, durable=True)
    await write(broker, 2)
    await broker.caught_up()
    await broker.leave("a")
    await write(broker, 2, first=3)
    again = Listener()
    broker.follow("a", again, durable=True)
    await broker.caught_up()
    assert (listener.got, again.got) == ([1, 2], [3, 4])


async def test_stop_lets_a_handler_finish_its_batch(city):
    entered, leave, finished = asyncio.Event(), asyncio.Event(), []

    async def slow(batch):
        entered.set()
        await leave.wait()
        finished.extend(one.sequence for one in batch)

    async with city() as broker:
        broker.follow("slow", slow, durable=True)
        await write(broker, 3)
        await entered.wait()
        stopping = asyncio.ensure_future(broker.stop())
        while not broker._stages._stages["slow"]._stopping:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        leave.set()
        await stopping
    assert finished == [1, 2, 3]
    listener = Listener()
    async with city() as broker:
        broker.follow("slow", listener, durable=True)
        await broker.caught_up()
    assert listener.got == []


async def test_a_slow_durable_stage_reads_the_feed_and_misses_nothing(monkeypatch):
    feed = MemoryFeed()
    following = Stages(feed)
    following.start(0)
    following._recent._keep = 10
    leave, got = asyncio.Event(), []

    async def slow(batch):
        await leave.wait()
        got.extend(one.sequence for one in batch)

    following.follow("slow", slow, durable=True)
    for first in range(1, 200, 5):
        changes = [change(number) for number in range(first, first + 5)]
        feed.append(changes)
        following.committed(changes)
        await asyncio.sleep(0)
    leave.set()
    await following.reached(200)
    assert got == list(range(1, 201))
    await following.stop()


async def test_a_stage_that_cannot_read_the_feed_for_a_while_misses_nothing(quick, monkeypatch):
    feed = MemoryFeed()
    feed.append([change(number) for number in range(1, 21)])
    read, refusals = feed.read, [NotReady("The database does not answer", hint="")] * 3

    def away(after, limit):
        if refusals:
            raise refusals.pop()
        return read(after, limit)

    monkeypatch.setattr(feed, "read", away)
    following, listener = Stages(feed), Listener()
    following.follow("one", listener, durable=True, after=0)
    following.start(20)
    await following.reached(20)
    assert listener.got == list(range(1, 21))
    assert following.status(20)[0].last_error == ""
    await following.stop()


async def test_a_slow_live_stage_skips_and_says_how_many(monkeypatch):
    following = Stages(MemoryFeed())
    following.start(0)
    following._recent._keep = 10
    entered, leave, got = asyncio.Event(), asyncio.Event(), []

    async def slow(batch):
        entered.set()
        await leave.wait()
        got.extend(one.sequence for one in batch)

    following.follow("live", slow, durable=False)
    following.committed([change(1)])
    await entered.wait()
    for number in range(2, 101):
        following.committed([change(number)])
    leave.set()
    await following.reached(100)
    (status,) = following.status(100)
    assert got == [1, *range(2 + status.skipped, 101)]
    assert status.skipped >= 70
    await following.stop()


def test_recent_keeps_the_newest_changes_without_a_hole():
    recent = Recent(100, keep=5)
    for number in range(101, 140):
        recent.add([change(number)])
        assert recent.last == number
        kept = recent.after(recent.before, 100)
        assert [one.sequence for one in kept] == list(range(recent.before + 1, number + 1))
        assert len(kept) <= 10
    assert recent.before > 100


def test_recent_keeps_no_more_than_its_bytes():
    recent = Recent(0, keep=1000, keep_bytes=20)
    for number in range(1, 100):
        recent.add([change(number)])
    kept = recent.after(recent.before, 1000)
    assert sum(len(one.document) for one in kept) <= 40
    assert [one.sequence for one in kept] == list(range(recent.before + 1, 100))


@pytest.mark.parametrize(
    ("trimmed", "kept", "refused"),
    [
        (6, 1, True),
        (6, 5, True),
        (6, 6, False),
        (6, 0, False),
        (10, 5, True),
        (10, 10, False),
        (10, 0, False),
    ],
)
async def test_a_stage_whose_store_is_older_than_what_is_left_of_the_feed_is_refused(trimmed, kept, refused):
    feed, table, listener = MemoryFeed(), MemoryStateTable(), Listener()
    broker = Broker(feed, table, WallClock())
    await broker.start()
    broker.follow("history", Listener(), durable=True, after=0)
    await write(broker, 10)
    await broker.caught_up()
    await broker.stop()
    feed.trim(trimmed)
    again = Broker(feed, table, WallClock())
    await again.start()
    try:
        if refused:
            with pytest.raises(
                BadConfig, match=f"ends at change {kept}; the feed begins at {trimmed + 1}"
            ) as told:
                again.follow("history", listener, durable=True, after=kept)
            assert "one and the same backup" in told.value.hint
            assert again.stages() == []
        else:
            # Who goes on misses nothing, and who begins anew takes what there is.
            again.follow("history", listener, durable=True, after=kept)
            await again.caught_up()
            assert listener.got == list(range(trimmed + 1, 11))
    finally:
        await again.stop()


async def test_a_write_to_the_past_is_told_to_those_who_asked_for_it_and_changes_no_state(broker):
    now, history = Listener(), Listener()
    broker.follow("now", now, durable=True)
    broker.follow("history", history, durable=True, past=True)
    await write(broker, 1)
    before = broker.retrieve(CITY, "urn:ngsi-ld:Road:1")
    past = PastWrite(("Road",), b'{"attrs":{}}', (), None, None, None)
    told = await broker.write_past(CITY, "urn:ngsi-ld:Road:1", past)
    await write(broker, 1, first=2)
    await broker.caught_up()
    assert (now.got, history.got) == ([1, 3], [1, 2, 3])
    assert (told.kind, told.by) == (ChangeKind.PAST, CITY.id)
    assert broker.retrieve(CITY, "urn:ngsi-ld:Road:1") == before


async def test_stage_that_waits_for_another_system_is_told_in_a_line(broker, quick, caplog):
    tries = []

    async def waits(batch):
        tries.append(batch)
        if len(tries) == 1:
            raise NotReady("The cluster does not answer", hint="It goes on by itself.")

    broker.follow("relay", waits, durable=True)
    await write(broker, 1)
    await broker.caught_up()
    (told,) = [one for one in caplog.records if "Stage relay" in one.getMessage()]
    assert "The cluster does not answer" in told.getMessage() and not told.exc_info
