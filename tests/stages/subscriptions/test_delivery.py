"""Notifications reach those who subscribed, whatever the others do."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest

from cityloom.adapters.http.outbound import HttpOutbound
from cityloom.adapters.network.reach import Reach
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import NotAllowed
from cityloom.kernel.outbound import AddressNotAllowed
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import entity, prop, rel, text
from cityloom.subscriptions import delivery, lane, sending
from cityloom.subscriptions import spare_time as spare_time_module
from cityloom.subscriptions.owners import EDIT
from cityloom.subscriptions.spare_time import SpareTime
from loopback_servers import bomb, drip, hang, redirect, reset, serving, well
from subscribing import OWNER


def road(number: int = 1, speed: float = 50.0, kind: str = "Road"):
    return entity(kind, f"urn:ngsi-ld:Road:{number}", {"speed": prop(speed)})


async def until(condition) -> None:
    """Wait for something that the event loop is about to bring."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def entities(asked) -> list[dict]:
    return [one for request in asked for one in json.loads(request.body)["data"]]


def speeds(asked) -> list[float]:
    return [one["speed"]["value"] for one in entities(asked)]


async def test_a_change_is_told_to_who_subscribed(town):
    async with serving(well()) as (address, asked):
        await town.subscribe(
            f"{address}/here", endpoint={"receiverInfo": [{"key": "Authorization", "value": "Bearer x"}]}
        )
        await town.broker.create(OWNER, road())
        await until(lambda: asked)
        await until(lambda: town.tally().last_success)
    (request,) = asked
    told = json.loads(request.body)
    assert (request.method, request.path) == ("POST", "/here")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == "Bearer x"
    assert request.headers["link"].startswith("<https://context.example/>")
    assert (told["type"], told["subscriptionId"]) == ("Notification", "urn:s:1")
    assert told["data"] == [
        {
            "id": "urn:ngsi-ld:Road:1",
            "type": "Road",
            "speed": {"type": "Property", "value": 50.0},
        }
    ]
    assert (town.tally().times_sent, town.tally().status) == (1, "ok")


async def test_readers_of_an_earlier_version_understand_what_they_are_told(town):
    """A LanguageProperty was unknown to 1.3: it is told as a Property (4.3.6.8)."""
    async with serving(well()) as (address, asked):
        await town.subscribe(address, ngsildConformance="1.3")
        await town.broker.create(
            OWNER, entity("Road", "urn:ngsi-ld:Road:1", {"name": text(en="High Street")})
        )
        await until(lambda: asked)
    assert entities(asked)[0]["name"]["type"] == "Property"


async def test_what_was_before_the_subscription_is_not_told(town):
    async with serving(well()) as (address, asked):
        await town.broker.create(OWNER, road(1))
        await town.subscribe(address)
        await town.broker.create(OWNER, road(2))
        await until(lambda: asked)
        await town.broker.caught_up()
    assert [one["id"] for one in entities(asked)] == ["urn:ngsi-ld:Road:2"]


async def test_what_was_before_is_not_told_by_a_stage_that_comes_to_it_later(town, monkeypatch):
    """The stage is with the first change when the second becomes durable, and then somebody subscribes."""
    go_on, follow, reached = asyncio.Event(), town.subscriptions._delivery.keep, []

    async def held_back(found):
        reached.append(found)
        await go_on.wait()
        await follow(found)

    monkeypatch.setattr(town.subscriptions._delivery, "keep", held_back)
    async with serving(well()) as (address, asked):
        await town.subscribe(f"{address}/first", id="urn:s:0")
        await town.broker.create(OWNER, road(1))
        await until(lambda: reached)
        await town.broker.create(OWNER, road(2))
        await town.subscribe(f"{address}/second")
        go_on.set()
        await town.broker.create(OWNER, road(3))
        await until(lambda: any(one.path == "/second" for one in asked))
        await town.broker.caught_up()
    assert [one["id"][-1] for one in entities([one for one in asked if one.path == "/second"])] == ["3"]


@pytest.mark.parametrize("hostile", [hang, drip, reset, bomb(50), redirect("http://127.0.0.1:1/")])
async def test_a_hostile_endpoint_delays_nobody_and_misses_nothing_once_it_is_well(
    town, hostile, monkeypatch
):
    monkeypatch.setattr(sending, "USUAL_DEADLINE", 0.5)
    mood = {"answer": hostile}

    async def moody(asked, writer):
        return await mood["answer"](asked, writer)

    async with serving(moody) as (bad, got), serving(well()) as (good, told):
        await town.subscribe(bad, id="urn:s:bad")
        await town.subscribe(good, id="urn:s:good")
        await town.broker.create(OWNER, road(speed=0))
        for speed in range(1, 20):
            await town.broker.append(OWNER, "urn:ngsi-ld:Road:1", {"attrs": {"speed": [prop(float(speed))]}})
        await until(lambda: len(entities(told)) == 20)
        await until(lambda: town.tally("urn:s:bad").times_failed)
        assert town.tally("urn:s:bad").status == "failed"
        refused = len(got)
        mood["answer"] = well()
        await until(lambda: town.tally("urn:s:bad").status == "ok")
        await until(lambda: not town.subscriptions._delivery.waits(bad))
        assert sorted(set(speeds(got[refused:]))) == [float(one) for one in range(20)]
        assert speeds(told) == sorted(speeds(told))
        after = speeds(got[refused:])
        assert after == sorted(after), "in order"


async def test_many_hostile_endpoints_keep_no_healthy_one_waiting(town):
    """Hundreds hang at once: those who answer are told meanwhile."""
    async with serving(hang) as (bad, _), serving(well()) as (good, told):
        for number in range(300):
            await town.subscribe(f"{bad}/{number}", id=f"urn:s:bad{number}")
        for number in range(50):
            await town.subscribe(f"{good}/{number}", id=f"urn:s:good{number}")
        await town.broker.create(OWNER, road())
        await until(lambda: len(told) == 50)
        assert all(town.tally(f"urn:s:good{number}").times_failed == 0 for number in range(50))


async def test_a_full_queue_lets_the_oldest_go_and_says_so(town, monkeypatch):
    monkeypatch.setattr(lane, "MAX_WAITING", 5)
    async with serving(hang) as (bad, _):
        await town.subscribe(bad)
        for number in range(12):
            await town.broker.create(OWNER, road(number))
        await town.broker.caught_up()
        # Five wait, one is on its way.
        assert town.tally().missed == 6
        assert town.subscriptions._delivery.waiting()[bad] == 6


async def test_a_queue_of_which_nothing_is_at_hand_grows_no_further_either(town, monkeypatch):
    """While it waits for its next attempt the newest lie on disk alone, and are bounded there too."""
    monkeypatch.setattr(lane, "MAX_WAITING", 5)
    monkeypatch.setattr(lane, "AT_HAND", 2)
    async with serving(hang) as (bad, _):
        await town.subscribe(bad)
        for number in range(40):
            await town.broker.create(OWNER, road(number))
            await town.broker.caught_up()
        delivery = town.subscriptions._delivery
        assert delivery.waiting()[bad] <= 6
        assert town.tally().missed >= 34
        await until(lambda: delivery._outbox.lanes().get(bad, 0) <= 6)
        # The newest are those that are left.
        newest = delivery._outbox.read(bad, 0, 100)[-1]
        assert newest.entity_id == "urn:ngsi-ld:Road:39"


async def test_what_is_refused_is_not_sent_for_ever(town):
    async with serving(well("400 Bad Request")) as (address, asked):
        await town.subscribe(address)
        await town.broker.create(OWNER, road(1))
        await until(lambda: town.tally().missed == 1)
        assert len(asked) == 1
        assert town.tally().last_error == "It answers 400"
        assert not town.subscriptions._delivery.waits(address)


async def test_entities_that_wait_go_together_each_once(town):
    """While one notification is on its way the next gather; an Entity never stands twice in one."""
    gate = asyncio.Event()

    async def slow(asked, writer):
        await gate.wait()
        return await well()(asked, writer)

    async with serving(slow) as (address, asked):
        await town.subscribe(address)
        for number in (1, 2, 3, 2):
            await town.broker.upsert(OWNER, road(number, speed=float(len(asked) + number * 10)))
            await town.broker.append(
                OWNER, f"urn:ngsi-ld:Road:{number}", {"attrs": {"speed": [prop(number + 0.5)]}}
            )
        await town.broker.caught_up()
        gate.set()
        await until(lambda: not town.subscriptions._delivery.waits(address) and len(entities(asked)) >= 7)
    for request in asked:
        ids = [one["id"] for one in json.loads(request.body)["data"]]
        assert len(ids) == len(set(ids))
    assert len(asked) < len(entities(asked))


async def test_throttling_holds_back_and_tells_the_newest(town):
    async with serving(well()) as (address, asked):
        await town.subscribe(address, throttling=0.4)
        await town.broker.create(OWNER, road(speed=0.0))
        await until(lambda: asked)
        for speed in (1.0, 2.0, 3.0):
            await town.broker.append(OWNER, "urn:ngsi-ld:Road:1", {"attrs": {"speed": [prop(speed)]}})
        await town.broker.caught_up()
        assert len(asked) == 1
        await until(lambda: len(asked) == 2)
    assert speeds(asked) == [0.0, 3.0]


async def test_at_intervals_everything_that_matches_is_told(town, monkeypatch):
    async with serving(well()) as (address, asked):
        for number in range(3):
            await town.broker.create(OWNER, road(number, speed=10.0 * number))
        await town.subscribe(address, timeInterval=0.01, q="speed>5")
        await until(lambda: len(asked) >= 2)
    assert {one["id"] for one in json.loads(asked[0].body)["data"]} == {
        "urn:ngsi-ld:Road:1",
        "urn:ngsi-ld:Road:2",
    }


async def test_at_intervals_all_of_many_are_told(town):
    async with serving(well()) as (address, asked):
        for number in range(250):
            await town.broker.create(OWNER, road(number))
        await town.subscribe(address, timeInterval=0.01)
        await until(lambda: len({one["id"] for one in entities(asked)}) == 250)


async def test_who_pauses_or_ends_a_subscription_is_told_no_more(town):
    async with serving(well()) as (address, asked):
        await town.subscribe(address, id="urn:s:1")
        await town.subscribe(f"{address}/on", id="urn:s:2")
        await town.change("urn:s:1", isActive=False)
        await town.broker.create(OWNER, road(1))
        await until(lambda: len(asked) == 1)
        await town.change("urn:s:1", isActive=True)
        await town.broker.create(OWNER, road(2))
        await until(lambda: len(asked) == 3)
        await town.subscriptions.delete(OWNER, "urn:s:1", tenant="")
        await town.broker.create(OWNER, road(3))
        await until(lambda: len(asked) == 4)
        await town.broker.caught_up()
    paths = [(request.path, [one["id"][-1] for one in json.loads(request.body)["data"]]) for request in asked]
    assert sorted(paths) == [("/", ["2"]), ("/on", ["1"]), ("/on", ["2"]), ("/on", ["3"])]


# Rights


async def test_nobody_is_told_of_what_they_are_not_cleared_for(town):
    clerk = Actor("clerk", permissions=frozenset({EDIT}))
    anything = {"entities": [{"type": "*"}]}
    async with serving(well()) as (address, asked):
        await town.subscribe(f"{address}/clerk", actor=clerk, id="urn:s:clerk", **anything)
        await town.subscribe(f"{address}/owner", id="urn:s:owner", **anything)
        await town.broker.create(OWNER, road(1, kind="Camera"))
        await town.broker.create(OWNER, road(2, kind="Meter"))
        await town.broker.create(OWNER, road(3))
        await until(lambda: any(request.path == "/clerk" for request in asked))
        await until(lambda: len(entities(r for r in asked if r.path == "/owner")) == 3)
    assert [one["id"][-1] for one in entities(r for r in asked if r.path == "/clerk")] == ["3"]


async def test_who_did_not_answer_is_tried_again_in_spare_time_and_keeps_nobody_waiting(
    town, impatient, monkeypatch
):
    spare_time, asked_for = asyncio.Event(), []

    async def turn(_self):
        asked_for.append(1)
        await spare_time.wait()

    monkeypatch.setattr(SpareTime, "turn", turn)
    async with serving(reset) as (bad, refused), serving(well()) as (good, asked):
        await town.subscribe(bad, id="urn:s:bad")
        await town.subscribe(good, id="urn:s:good")
        for number in range(3):
            await town.broker.create(OWNER, road(number))
            await until(lambda: len(entities(asked)) == number + 1)  # noqa: B023 - waited for here
        await until(lambda: asked_for)
        assert len(refused) == 1
        spare_time.set()
        await until(lambda: len(refused) > 1)


async def test_attempts_in_spare_time_begin_one_after_another_with_the_loop_free_between():
    spare, passed, begun = SpareTime(), 0, []

    async def others():
        nonlocal passed
        while True:
            passed += 1
            await asyncio.sleep(0)

    async def attempt(number):
        await spare.turn()
        begun.append((number, passed))

    busy = asyncio.create_task(others())
    await asyncio.gather(*map(attempt, range(5)))
    busy.cancel()
    assert [number for number, _ in begun] == [0, 1, 2, 3, 4]
    assert all(one < following for (_, one), (_, following) in pairwise(begun))


async def test_a_loop_that_is_never_idle_is_not_waited_for_for_ever(monkeypatch):
    waits = 0
    monkeypatch.setattr(spare_time_module, "STEP", 0.0)

    async def sleep(_seconds):
        nonlocal waits
        waits += 1

    monkeypatch.setattr(spare_time_module.asyncio, "sleep", sleep)
    await SpareTime().turn()
    assert waits == spare_time_module.LONGEST_WAIT


async def test_rights_are_looked_at_again_when_something_is_sent(town):
    """What waits for an endpoint is not sent once its owner may not see it any more."""
    gate = asyncio.Event()

    async def slow(asked, writer):
        await gate.wait()
        return await well()(asked, writer)

    async with serving(slow) as (address, asked):
        await town.subscribe(address, entities=[{"type": "*"}])
        await town.broker.create(OWNER, road(1))
        await until(lambda: asked)
        await town.broker.create(OWNER, road(2, kind="Camera"))
        await town.broker.create(OWNER, road(3))
        await town.broker.caught_up()
        town.people[OWNER.id] = Actor(OWNER.id, permissions=OWNER.permissions)
        gate.set()
        await until(lambda: len(entities(asked)) >= 2)
        await until(lambda: not town.subscriptions._delivery.waits(address))
        assert [one["id"][-1] for one in entities(asked)] == ["1", "3"]
        town.people.clear()
        town.people["other"] = OWNER
        await town.broker.create(OWNER, road(4))
        await town.broker.caught_up()
        assert len(entities(asked)) == 2


async def test_a_subscription_shows_no_more_than_when_it_was_made(town):
    """Who is promoted later subscribes anew: an old subscription does not grow by itself."""
    clerk = Actor("clerk", permissions=frozenset({EDIT}))
    async with serving(well()) as (address, asked):
        await town.subscribe(address, actor=clerk, entities=[{"type": "*"}])
        town.people["clerk"] = Actor(
            "clerk", permissions=frozenset({EDIT}), clearance=frozenset(InformationClass)
        )
        await town.broker.create(OWNER, road(1, kind="Camera"))
        await town.broker.create(OWNER, road(2))
        await until(lambda: asked)
    assert [one["id"][-1] for one in entities(asked)] == ["2"]


async def test_subscriptions_belong_to_who_made_them(town):
    other = Actor("other", permissions=frozenset({EDIT}))
    overseer = Actor("overseer", permissions=frozenset({EDIT, "accounts:manage"}))
    await town.subscribe("https://receiver.example/")
    for nobody in (other, Actor("nobody")):
        expected = ResourceNotFound if nobody is other else NotAllowed
        with pytest.raises(expected):
            town.subscriptions.retrieve(nobody, "urn:s:1", tenant="")
        with pytest.raises(expected):
            await town.subscriptions.delete(nobody, "urn:s:1", tenant="")
    assert town.subscriptions.all(other, tenant="") == []
    assert len(town.subscriptions.all(overseer, tenant="")) == 1
    with pytest.raises(ResourceNotFound):
        await town.change("urn:s:1", overseer, isActive=False)
    await town.subscriptions.delete(overseer, "urn:s:1", tenant="")
    assert town.subscriptions.all(OWNER, tenant="") == []


async def test_an_address_inside_is_refused_when_it_is_subscribed(town):
    town.subscriptions._sender._outbound = HttpOutbound(Reach())
    with pytest.raises(AddressNotAllowed):
        await town.subscribe("http://127.0.0.1/")


# Restarts


async def test_what_was_not_sent_is_sent_after_a_restart_in_order(lasting):
    async with serving(hang) as (address, hung), lasting() as town:
        await town.subscribe(address)
        await town.broker.create(OWNER, road(speed=0.0))
        for speed in range(1, 150):
            await town.broker.append(OWNER, "urn:ngsi-ld:Road:1", {"attrs": {"speed": [prop(float(speed))]}})
        await town.broker.caught_up()
        await until(lambda: hung)
    async with serving(well()) as (well_again, asked), lasting() as town:
        await town.change("urn:s:1", notification={"endpoint": {"uri": well_again}})
        await town.broker.append(OWNER, "urn:ngsi-ld:Road:1", {"attrs": {"speed": [prop(150.0)]}})
        await until(lambda: 150.0 in speeds(asked) and len(set(speeds(asked))) == 151)
    assert set(speeds(asked)) == {float(one) for one in range(151)}


async def test_what_a_crash_leaves_unknown_is_told_again(lasting, monkeypatch):
    """At least once: what was sent and not noted yet comes a second time, and nothing is missing."""
    monkeypatch.setattr(delivery, "SETTLING", 3600.0)
    async with serving(well()) as (address, asked):
        async with lasting(crash=True) as town:
            await town.subscribe(address)
            for number in range(5):
                await town.broker.create(OWNER, road(number))
            await town.broker.caught_up()
            await until(lambda: len(entities(asked)) == 5)
        first = len(asked)
        async with lasting() as town:
            await until(lambda: len(entities(asked[first:])) >= 1)
            await until(lambda: not town.subscriptions._delivery.waits(address))
    assert {one["id"] for one in entities(asked)} == {f"urn:ngsi-ld:Road:{n}" for n in range(5)}


async def test_a_subscription_and_how_it_went_survive_a_restart(lasting):
    async with serving(well()) as (address, asked):
        async with lasting() as town:
            await town.subscribe(address, q="speed>40", notification={"pick": ["id", "speed"]})
            await town.broker.create(OWNER, road(1, speed=50.0))
            await until(lambda: town.tally().last_success)
        async with lasting() as town:
            assert town.tally().times_sent == 1
            await town.broker.create(OWNER, road(2, speed=30.0))
            await town.broker.create(OWNER, road(3, speed=60.0))
            await until(lambda: len(asked) == 2)
    assert entities(asked)[1] == {"id": "urn:ngsi-ld:Road:3", "speed": {"type": "Property", "value": 60.0}}


CLERK = Actor("clerk", permissions=frozenset({EDIT}))


def held_back():
    """A server that answers once the gate is open, and the gate."""
    gate = asyncio.Event()

    async def slow(asked, writer):
        await gate.wait()
        return await well()(asked, writer)

    return slow, gate


@pytest.mark.parametrize("gone", [False, True])
async def test_an_entity_that_became_secret_while_it_waited_is_not_told(town, gone):
    slow, gate = held_back()
    async with serving(slow) as (address, asked):
        await town.subscribe(address, actor=CLERK)
        await town.broker.create(OWNER, road(0))
        await until(lambda: asked)
        await town.broker.create(OWNER, road(1))
        await town.broker.create(OWNER, road(2))
        await town.broker.caught_up()
        chief = Actor(
            "chief", permissions=OWNER.permissions | {"entities:classify"}, clearance=OWNER.clearance
        )
        await town.broker.classify(chief, "urn:ngsi-ld:Road:1", InformationClass.SECURITY)
        if gone:
            await town.broker.delete(chief, "urn:ngsi-ld:Road:1")
            await town.broker.caught_up()
        gate.set()
        await until(lambda: len(asked) == 2)
        await until(lambda: not town.subscriptions._delivery.waits(address))
    assert [one["id"][-1] for one in entities(asked)] == ["0", "2"]


async def test_a_linked_entity_that_became_secret_while_it_waited_is_not_told(town):
    slow, gate = held_back()
    linked = entity("Road", "urn:ngsi-ld:Road:1", {"next": rel("urn:ngsi-ld:House:1")})
    async with serving(slow) as (address, asked):
        await town.subscribe(address, actor=CLERK, notification={"join": "inline", "joinLevel": 1})
        await town.broker.create(OWNER, entity("House", "urn:ngsi-ld:House:1", {}))
        await town.broker.create(OWNER, road(0))
        await until(lambda: asked)
        await town.broker.create(OWNER, linked)
        await town.broker.caught_up()
        chief = Actor(
            "chief", permissions=OWNER.permissions | {"entities:classify"}, clearance=OWNER.clearance
        )
        await town.broker.classify(chief, "urn:ngsi-ld:House:1", InformationClass.SECURITY)
        gate.set()
        await until(lambda: not town.subscriptions._delivery.waits(address))
    assert [one["id"][-1] for one in entities(asked)] == ["0"]
