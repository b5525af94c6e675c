"""Subscriptions in a snapshot: whose Entities they see, how secret those are, and what a restart leaves."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.time import WallClock
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import entity, prop
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.subscription_reading import parse_subscription
from cityloom.subscriptions.places import Places, is_snapshot, place_of, tenant_in
from cityloom.subscriptions.subscriptions import Subscriptions
from loopback_servers import serving, well
from subscribing import OWNER

OPEN, SECURITY = InformationClass.OPEN, InformationClass.SECURITY
PLACE = place_of("", "abc")


def road(number: int = 1, speed: float = 50.0):
    return entity("Road", f"urn:ngsi-ld:Road:{number}", {"speed": prop(speed)})


@pytest.fixture
async def world(town):
    """The Entities of a snapshot of the town, which is open."""
    made = Broker(MemoryFeed(), MemoryStateTable(), WallClock())
    await made.start()
    town.subscriptions.enter(PLACE, made, "")
    yield made
    await made.stop()


async def subscribe(town, uri, *, actor=OWNER, id="urn:s:1", **members):
    town.people[actor.id] = actor
    payload = {
        "type": "Subscription",
        "entities": [{"type": "Road"}],
        "notification": {"endpoint": {"uri": uri}},
    }
    wanted = parse_subscription({**payload, **members}, id=id, now=town.subscriptions.now())
    await town.subscriptions.create(
        actor, wanted, None, "https://context.example/", tenant=PLACE, snapshot="urn:x:snapshot"
    )


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def told(asked):
    return [one["id"][-1] for request in asked for one in json.loads(request.body)["data"]]


async def test_a_change_in_a_snapshot_is_told_as_secret_as_its_entity_is_in_the_city(town, world):
    for number in (1, 2, 3):
        await town.broker.create(OWNER, road(number))
        await world.create(OWNER, road(number))
    cleared = msgspec.structs.replace(OWNER, id="cleared", clearance=frozenset({OPEN}))
    await town.broker.classify(CITY, road(1)["id"], SECURITY)
    await world.classify(CITY, road(2)["id"], SECURITY)
    async with serving(well()) as (address, asked):
        await subscribe(town, address, actor=cleared)
        for number in (1, 2, 3):
            await world.append(OWNER, road(number)["id"], {"attrs": {"speed": [prop(7.0)]}})
        await until(lambda: told(asked))
        await world.append(OWNER, road(3)["id"], {"attrs": {"speed": [prop(8.0)]}})
        await until(lambda: len(told(asked)) == 2)
        assert set(told(asked)) == {"3"}


async def test_what_was_there_before_is_not_told_and_what_is_elsewhere_neither(town, world):
    await world.create(OWNER, road(1))
    async with serving(well()) as (address, asked):
        await subscribe(town, address)
        await town.broker.create(OWNER, road(2))
        await world.create(OWNER, road(3))
        await until(lambda: told(asked))
        await until(lambda: town.subscriptions.find(PLACE, "urn:s:1") is not None)
        assert told(asked) == ["3"]
        await town.subscriptions.ended(PLACE)
        assert town.subscriptions.find(PLACE, "urn:s:1") is None
        assert PLACE not in town.subscriptions.tenants()


async def test_subscriptions_in_a_snapshot_that_is_gone_end_at_the_next_start(lasting):
    async with lasting() as town:
        world = Broker(MemoryFeed(), MemoryStateTable(), WallClock())
        await world.start()
        town.subscriptions.enter(PLACE, world, "")
        await subscribe(town, "http://127.0.0.1:9/")
        await world.stop()
    async with lasting() as town:
        assert town.subscriptions.find(PLACE, "urn:s:1") is None


async def test_what_changed_before_a_restart_is_told_after_it(lasting, monkeypatch):
    feed = MemoryFeed()
    worlds = []

    async def opened(self, place):
        world = Broker(feed, MemoryStateTable(), WallClock())
        await world.start()
        worlds.append(world)
        self.enter(place, world, "")
        return True

    async with serving(well()) as (address, asked):
        async with lasting() as town:
            await opened(town.subscriptions, PLACE)
            await subscribe(town, address)
            await worlds[0].leave("subscriptions")
            await worlds[0].create(OWNER, road(1))
            await worlds[0].stop()
        monkeypatch.setattr(Subscriptions, "start", opening(Subscriptions.start, opened))
        async with lasting():
            await until(lambda: told(asked))
            assert told(asked) == ["1"]
            await worlds[1].stop()


def opening(start, opened):
    async def begin(self):
        async def open_snapshot(place):
            return await opened(self, place)

        self.open_snapshot = open_snapshot
        await start(self)

    return begin


def test_places_are_no_tenants(town):
    assert (tenant_in(PLACE), tenant_in(place_of("south", "abc")), tenant_in("south")) == (
        "",
        "south",
        "south",
    )
    assert is_snapshot(PLACE) and not is_snapshot("south")


async def test_nothing_is_found_in_a_snapshot_that_is_not_open(town):
    places = Places(town.broker)
    await town.broker.create(OWNER, road(1))
    assert places.find(OWNER, road(1)["id"], tenant=PLACE) is None
    with pytest.raises(ResourceNotFound):
        places.class_of(OWNER, road(1)["id"], tenant=PLACE)
    assert (await places.search(OWNER, EntityQuery(), tenant=PLACE)).texts == []


async def test_what_is_in_a_snapshot_is_as_secret_as_it_is_there_or_in_the_city(town, world):
    places = Places(town.broker)
    places.enter(PLACE, world, "")
    cleared = msgspec.structs.replace(OWNER, clearance=frozenset({OPEN}))
    for number, place in ((1, town.broker), (2, world)):
        await town.broker.create(OWNER, road(number))
        await world.create(OWNER, road(number))
        await place.classify(CITY, road(number)["id"], SECURITY)
        assert places.class_of(OWNER, road(number)["id"], tenant=PLACE) is SECURITY
        assert places.find(OWNER, road(number)["id"], tenant=PLACE) is not None
        assert places.find(cleared, road(number)["id"], tenant=PLACE) is None
        with pytest.raises(ResourceNotFound):
            places.class_of(cleared, road(number)["id"], tenant=PLACE)
    await world.create(OWNER, road(3))
    assert places.class_of(cleared, road(3)["id"], tenant=PLACE) is OPEN
