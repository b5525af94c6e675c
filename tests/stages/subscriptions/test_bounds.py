"""What telling others may cost: what waits, in bytes; and how often everything is looked at anew."""

from __future__ import annotations

import asyncio

import pytest

from cityloom.access.errors import OverQuota
from cityloom.kernel.actor import Actor
from cityloom.ngsild.model import entity, prop
from cityloom.subscriptions.backlog import Backlog, Notifying
from cityloom.subscriptions.model import Pending
from cityloom.subscriptions.owners import EDIT
from cityloom.subscriptions.periodic import Intervals
from loopback_servers import hang, serving
from subscribing import OWNER

OTHER = Actor("other", permissions=frozenset({EDIT}))


def road(number: int, size: int = 1_000):
    return entity("Road", f"urn:ngsi-ld:Road:{number}", {"name": prop("x" * size)})


def waiting(town, id: str = "urn:s:1") -> list[str]:
    """The numbers of the roads of which a subscription is still to be told, as they lie on disk."""
    delivery = town.subscriptions._delivery
    done = delivery._done
    items = delivery._outbox.oldest(("", id), 1_000)
    return [one.entity_id.rpartition(":")[2] for one in items if one.place not in done]


@pytest.mark.parametrize("bounds", [Notifying(subscription_bytes=5_500)])
async def test_what_is_too_much_for_one_subscription_makes_room_by_its_oldest_and_says_so(town, bounds):
    async with serving(hang) as (bad, asked):
        await town.subscribe(bad)
        await town.subscribe(bad, id="urn:s:2", q='name=="z"')
        await town.broker.create(OWNER, road(0))
        async with asyncio.timeout(20):
            while not asked:
                await asyncio.sleep(0)
        for number in range(1, 12):
            await town.broker.create(OWNER, road(number))
        await town.broker.caught_up()
        # What is on its way is not given up.
        assert waiting(town) == ["0", "8", "9", "10", "11"]
        tally = town.tally()
        assert (tally.missed, tally.status) == (7, "failed") and "given up" in tally.last_error
        assert town.subscriptions.health()[0].failing
        assert town.subscriptions._delivery.waiting()[bad] == 5


@pytest.mark.parametrize("bounds", [Notifying(owner_bytes=7_500)])
async def test_an_owner_has_so_many_bytes_and_takes_no_place_of_others(town, bounds):
    async with serving(hang) as (bad, _):
        await town.subscribe(f"{bad}/other", id="urn:s:other", actor=OTHER, q='name~="^x*$"')
        await town.broker.create(OWNER, road(0))
        await town.subscribe(f"{bad}/1", id="urn:s:1")
        await town.subscribe(f"{bad}/2", id="urn:s:2")
        for number in range(1, 4):
            await town.broker.create(OWNER, road(number, 1_500))
            await town.broker.caught_up()
        assert waiting(town, "urn:s:other") == ["0", "1", "2", "3"]
        left = len(waiting(town, "urn:s:1")) + len(waiting(town, "urn:s:2"))
        assert left == 4 and town.tally("urn:s:1").missed + town.tally("urn:s:2").missed == 2


@pytest.mark.parametrize("bounds", [Notifying(subscription_bytes=3_500)])
async def test_what_is_given_up_at_hand_and_on_disk_is_not_sent_later(town, monkeypatch, bounds):
    from cityloom.subscriptions import lane
    from loopback_servers import well

    monkeypatch.setattr(lane, "AT_HAND", 2)
    mood = {"answer": hang}

    async def moody(asked, writer):
        return await mood["answer"](asked, writer)

    monkeypatch.setattr("cityloom.subscriptions.sending.USUAL_DEADLINE", 0.2)
    async with serving(moody) as (address, asked):
        await town.subscribe(address)
        for number in range(20):
            await town.broker.create(OWNER, road(number))
            await town.broker.caught_up()
        mood["answer"] = well()
        delivery = town.subscriptions._delivery
        async with asyncio.timeout(20):
            while delivery.waits(address):
                await asyncio.sleep(0.005)
        assert town.tally().missed >= 16
        assert b"Road:19" in asked[-1].body and not waiting(town)


async def test_what_waited_before_a_restart_counts_after_it(lasting):
    async with serving(hang) as (bad, _):
        async with lasting() as town:
            await town.subscribe(bad)
            for number in range(5):
                await town.broker.create(OWNER, road(number))
            await town.broker.caught_up()
            before = town.subscriptions._delivery._backlog._all
        async with lasting() as town:
            assert town.subscriptions._delivery._backlog._all == before > 5_000


def _item(place: int, subscription: str, size: int) -> Pending:
    return Pending(place, "lane", "", subscription, "urn:e:1", (), 0, b"x" * size)


def test_in_all_whoever_has_most_waiting_makes_room():
    backlog = Backlog(Notifying(all_bytes=100))
    for place, (subscription, owner, size) in enumerate(
        [("a", "ann", 40), ("b", "ben", 30), ("c", "ben", 25)]
    ):
        backlog.add(("", subscription), owner, size)
        assert backlog.excess() is None, place
    backlog.add(("", "a"), "ann", 6)
    assert backlog.excess() == ("", "b")
    backlog.remove(_item(1, "b", 30))
    assert backlog.excess() is None
    backlog.add(("", "c"), "ben", 30)
    assert backlog.excess() == ("", "c")
    backlog.forget(("", "c"))
    backlog.remove(_item(2, "c", 30))
    backlog.add(("", "c"), "ben", 54)
    assert backlog.excess() is None


# At intervals


@pytest.mark.parametrize("bounds", [Notifying(at_intervals=1)])
async def test_an_owner_has_so_many_subscriptions_at_intervals(town, bounds):
    await town.subscribe("https://receiver.example/", id="urn:s:1", timeInterval=60)
    with pytest.raises(OverQuota):
        await town.subscribe("https://receiver.example/", id="urn:s:2", timeInterval=60)
    assert [one.wanted.id for one in town.subscriptions.all(OWNER, tenant="")] == ["urn:s:1"]
    await town.subscribe("https://receiver.example/", id="urn:s:3", timeInterval=60, actor=OTHER)
    await town.subscribe("https://receiver.example/", id="urn:s:4")
    await town.change("urn:s:1", timeInterval=30)
    await town.subscriptions.delete(OWNER, "urn:s:1", tenant="")
    await town.subscribe("https://receiver.example/", id="urn:s:2", timeInterval=60)


class _Kept:
    def __init__(self, id: str, owner: str) -> None:
        self.key, self.owner, self.wanted = ("", id), owner, self
        self.id, self.time_interval = id, 5.0


async def test_owners_take_turns_and_rest_after_each_look():
    told: list[str] = []
    rests: list[float] = []
    looking = 0

    async def tell(kept) -> None:
        nonlocal looking
        looking += 1
        assert looking == 1, "one after the other"
        for _ in range(3):
            await asyncio.sleep(0)
        looking -= 1
        told.append(kept.owner)

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        await asyncio.sleep(0)

    intervals = Intervals(tell, Notifying(share_of_time=0.25, shortest_interval=1), rest)
    for number in range(20):
        intervals.add(_Kept(f"urn:s:{number}", "ann"))
    intervals.add(_Kept("urn:s:ben", "ben"))
    async with asyncio.timeout(20):
        while len(told) < 20:
            await asyncio.sleep(0)
    intervals.stop()
    assert told.count("ben") >= 9, told
    # Between two looks of the same subscription lies its interval, after each look three times its time.
    assert set(rests) > {5.0} and all(one == 5.0 or 0 < one < 5 for one in rests)
