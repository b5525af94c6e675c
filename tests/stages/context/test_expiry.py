"""What is to expire goes when the city's clock says so, also after a restart."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context.broker import Broker
from cityloom.context.expiry import Expired, Expiry, Sweeper
from cityloom.context.state import CurrentState
from cityloom.kernel.actor import CITY
from cityloom.kernel.change import ChangeKind
from cityloom.kernel.errors import StorageFull
from cityloom.ngsild.model import entity, prop, rel

NOON = datetime(2014, 8, 1, 12, tzinfo=UTC)
ROAD = "urn:ngsi-ld:Road:1"


class StoppedClock:
    """The city's time is what the test says."""

    def __init__(self):
        self.time = NOON

    def now(self):
        return self.time


def road(expires: str | None = None, **attributes):
    document = entity("Road", ROAD, attributes)
    return document | {"expiresAt": expires} if expires else document


def passing(value: float, expires: str, dataset: str | None = None):
    return prop(value, dataset=dataset) | {"expiresAt": expires}


@pytest.fixture
async def rig():
    clock = StoppedClock()
    broker = Broker(MemoryFeed(), MemoryStateTable(), clock)
    await broker.start()
    yield broker, clock
    await broker.stop()


async def test_due_names_an_entity_at_its_instant_and_not_before(rig):
    broker, _ = rig
    await broker.create(CITY, road("2014-08-01T13:00:00Z"))
    assert broker._expiry.due(NOON) == []
    assert broker._expiry.due(NOON.replace(hour=13)) == [Expired("", ROAD)]


async def test_due_names_single_instances_of_attributes(rig):
    broker, _ = rig
    there = passing(1.0, "2014-08-01T13:00:00Z"), passing(2.0, "2014-08-01T14:00:00Z", "urn:b")
    await broker.create(CITY, road(speed=list(there), name=prop("a")))
    assert broker._expiry.due(NOON.replace(hour=13)) == [Expired("", ROAD, "speed", None)]
    await broker.delete_attribute(CITY, ROAD, "speed")
    assert broker._expiry.due(NOON.replace(hour=14)) == [Expired("", ROAD, "speed", "urn:b")]


async def test_due_names_an_entity_alone_when_its_attributes_expire_too(rig):
    broker, _ = rig
    when = "2014-08-01T13:00:00Z"
    await broker.create(CITY, road(when, speed=passing(1.0, when)))
    assert broker._expiry.due(NOON.replace(hour=13)) == [Expired("", ROAD)]


async def test_due_leaves_alone_what_got_a_later_time(rig):
    broker, _ = rig
    await broker.create(CITY, road("2014-08-01T13:00:00Z"))
    await broker.replace(CITY, ROAD, road("2014-08-01T15:00:00Z"))
    assert broker._expiry.due(NOON.replace(hour=14)) == []
    assert broker._expiry.due(NOON.replace(hour=15)) == [Expired("", ROAD)]


async def test_due_leaves_alone_what_is_gone(rig):
    broker, _ = rig
    await broker.create(CITY, road("2014-08-01T13:00:00Z"))
    await broker.delete(CITY, ROAD)
    assert broker._expiry.due(NOON.replace(hour=14)) == []


async def test_again_tries_once_more(rig):
    broker, _ = rig
    await broker.create(CITY, road("2014-08-01T13:00:00Z"))
    later = NOON.replace(hour=13)
    (expired,) = broker._expiry.due(later)
    assert broker._expiry.due(later) == []
    broker._expiry.again(expired, later)
    assert broker._expiry.due(later) == [expired]


async def test_an_expired_entity_is_deleted_and_the_change_says_why(rig):
    broker, clock = rig
    deleted = asyncio.Event()
    seen = []

    async def follow(batch):
        seen.extend(batch)
        if batch[-1].kind is ChangeKind.DELETED:
            deleted.set()

    broker.follow("follower", follow, durable=False)
    await broker.create(CITY, road("2014-08-01T13:00:00Z"))
    clock.time = NOON.replace(hour=14)
    await asyncio.wait_for(deleted.wait(), 20)
    assert seen[-1].trace == "expiry:expiresAt"
    assert broker.find(CITY, ROAD) is None


async def test_sweep_leaves_nothing_that_has_expired(rig):
    broker, clock = rig
    when = "2014-08-01T13:00:00Z"
    for number in range(20):
        document = entity("Road", f"urn:ngsi-ld:Road:{number}", {"name": prop("a"), "refDevice": rel(ROAD)})
        await broker.create(CITY, document | {"expiresAt": when} if number else document)
    clock.time = NOON.replace(hour=13)
    # A second asker waits for the sweep that the first began.
    await asyncio.gather(broker.sweep(), one := asyncio.ensure_future(broker.sweep()))
    assert one.done()
    assert broker.types(CITY) == {"Road": 1}
    assert [document["id"] for document in broker.of_type(CITY, "Road")] == ["urn:ngsi-ld:Road:0"]
    assert broker.referrers(CITY, ROAD) == ["urn:ngsi-ld:Road:0"]


async def test_sweep_keeps_what_cannot_be_removed_for_later(caplog):
    clock, tried = StoppedClock(), []

    async def refuse(expired):
        tried.append(expired)
        raise StorageFull("The disk is full", hint="Make room.")

    state = CurrentState()
    expiry = Expiry(state)
    expiry.due = lambda now: [expiry_of_road] if expiry.is_due(now) and expiry._agenda.pop() else []
    expiry_of_road = Expired("", ROAD)
    expiry.again(expiry_of_road, NOON)
    sweeper = Sweeper(expiry, clock, refuse)
    await sweeper.sweep()
    await sweeper.sweep()
    assert tried == [expiry_of_road]
    clock.time = NOON.replace(minute=1)
    await sweeper.sweep()
    assert tried == [expiry_of_road] * 2
    assert "stays for now" in caplog.text


async def test_an_expired_attribute_is_deleted_alone(rig):
    broker, clock = rig
    await broker.create(CITY, road(speed=passing(1.0, "2014-08-01T13:00:00Z"), name=prop("a")))
    clock.time = NOON.replace(hour=14)
    await broker.sweep()
    assert set(broker.retrieve(CITY, ROAD)["attrs"]) == {"name"}


async def test_a_restart_remembers_what_is_to_expire(city):
    async with city() as broker:
        await broker.create(CITY, road("2114-08-01T13:00:00Z"), tenant="north")
    async with city() as broker:
        assert Expiry(broker._state).due(datetime(2115, 1, 1, tzinfo=UTC)) == [Expired("north", ROAD)]
        assert broker._expiry.due(datetime(2115, 1, 1, tzinfo=UTC)) == [Expired("north", ROAD)]


def part(value: float, expires: str | None = None, **inner):
    item = prop(value) | ({"expiresAt": expires} if expires else {})
    return item | ({"attrs": {name: [one] for name, one in inner.items()}} if inner else {})


async def test_what_expires_within_an_attribute_goes_alone(rig):
    broker, clock = rig
    speed = part(
        50.0,
        accuracy=part(1.0, "2014-08-01T13:00:00Z"),
        source=part(2.0, checked=part(3.0, "2014-08-01T14:00:00Z")),
    )
    await broker.create(CITY, road(speed=[speed], name=[part(1.0, note=part(4.0, "2014-08-01T13:00:00Z"))]))
    before = broker.retrieve(CITY, ROAD)
    clock.time = NOON.replace(hour=13)
    assert broker._expiry.is_due(clock.time)
    await broker.sweep()
    told = broker.retrieve(CITY, ROAD)["attrs"]
    assert told["speed"][0]["attrs"].keys() == {"source"}
    assert "attrs" not in told["name"][0]
    assert told["speed"][0]["createdAt"] == before["attrs"]["speed"][0]["createdAt"]
    assert told["speed"][0]["modifiedAt"] >= before["attrs"]["speed"][0]["modifiedAt"]
    clock.time = NOON.replace(hour=14)
    await broker.sweep()
    told = broker.retrieve(CITY, ROAD)["attrs"]
    assert "attrs" not in told["speed"][0]["attrs"]["source"][0]
    assert (told["speed"][0]["value"], told["name"][0]["value"]) == (50.0, 1.0)
    assert not broker._expiry.is_due(NOON.replace(year=2100))


async def test_an_attribute_that_expires_takes_what_is_within_along(rig):
    broker, clock = rig
    late = part(1.0, "2014-08-01T13:00:00Z", accuracy=part(1.0, "2014-08-01T12:30:00Z"))
    await broker.create(CITY, road(speed=[late], name=[part(1.0)]))
    clock.time = NOON.replace(hour=13)
    await broker.sweep()
    assert broker.retrieve(CITY, ROAD)["attrs"].keys() == {"name"}
