"""Subscriptions to registrations: who is told what when sources begin, change and cease to match."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
import orjson
import pytest

from cityloom.access.authority import OPEN_ACCESS
from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.register import MemoryRegister
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context.broker import Broker
from cityloom.federation import watching
from cityloom.federation.sources import Sources
from cityloom.federation.watching import Watching
from cityloom.kernel.actor import Actor
from cityloom.kernel.outbound import Answer, Unreachable
from cityloom.ngsild.contexts import CORE
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.registration_parsing import parse_registration
from cityloom.ngsild.subscription_reading import parse_subscription
from cityloom.subscriptions.sending import Sender

NOW = datetime(2026, 4, 10, 10, tzinfo=UTC)
READER = Actor(id="reader", permissions=frozenset({"sources:read", "subscriptions:edit"}))


class StandingClock:
    def now(self):
        return NOW


class Recording:
    """Takes what is sent; answers as `status` says, None for not at all."""

    def __init__(self):
        self.sent = []
        self.status = 200
        self.arrived = asyncio.Event()

    def check(self, url):
        pass

    async def send(self, method, url, headers, body=b"", *, deadline, largest):
        self.sent.append(orjson.loads(body))
        self.arrived.set()
        if self.status is None:
            raise Unreachable("Nobody is there", hint="Try again.")
        return Answer(self.status, {}, b"")

    async def next(self):
        await asyncio.wait_for(self.arrived.wait(), 5)
        self.arrived.clear()
        return self.sent[-1]


class House:
    def __init__(self):
        self.outbound = Recording()
        self.actors = {"reader": READER, OPEN_ACCESS.id: OPEN_ACCESS}
        broker = Broker(MemoryFeed(), MemoryStateTable(), StandingClock())
        register = MemoryRegister()
        self.sources = Sources(register, broker, self.outbound, StandingClock())
        self.watching = Watching(
            register, self.sources, Sender(self.outbound, self.outbound), self.actors.get, StandingClock()
        )
        self.broker = broker

    async def subscribe(self, actor=READER, temporal=None, **members):
        payload = {
            "type": "Subscription",
            "entities": [{"type": "Road"}],
            "notification": {"endpoint": {"uri": "http://receiver.example/"}},
            **members,
        }
        wanted = parse_subscription(payload, CORE, id="urn:x:subscription", now="2026-04-10T10:00:00Z")
        await self.watching.add(actor, wanted, temporal, None, "https://uri.example/", tenant="")

    async def register(self, **members):
        return await self.sources.add(OPEN_ACCESS, registration(**members), tenant="")

    async def update(self, identifier, **members):
        fragment = parse_registration(members, CORE, fragment=True)
        await self.sources.update(OPEN_ACCESS, identifier, fragment, tenant="")


def registration(**members):
    usual = {
        "type": "ContextSourceRegistration",
        "endpoint": "https://broker.example/",
        "information": [{"entities": [{"type": "Road"}]}, {"entities": [{"type": "House"}]}],
        "contextSourceInfo": [{"key": "X-Key", "value": "secret"}],
    }
    return parse_registration({**usual, **members}, CORE)


@pytest.fixture
async def house():
    made = House()
    await made.broker.start()
    await made.sources.start()
    await made.watching.start()
    yield made
    await made.watching.stop()
    await made.sources.stop()
    await made.broker.stop()


async def test_a_subscriber_is_told_when_a_source_begins_changes_and_ceases_to_match(house):
    await house.subscribe()
    identifier = await house.register()
    told = await house.outbound.next()
    assert (told["type"], told["triggerReason"]) == ("ContextSourceNotification", "newlyMatching")
    assert told["subscriptionId"] == "urn:x:subscription"
    (shown,) = told["data"]
    assert shown["id"] == identifier
    # What matches alone, and nothing that opens the source.
    assert shown["information"] == [{"entities": [{"type": ["Road"]}]}]
    assert "contextSourceInfo" not in shown

    await house.update(identifier, description="Roads")
    assert (await house.outbound.next())["triggerReason"] == "updated"
    await house.update(identifier, information=[{"entities": [{"type": "House"}]}])
    assert (await house.outbound.next())["triggerReason"] == "noLongerMatching"
    await house.update(identifier, information=[{"entities": [{"type": "Road"}]}])
    assert (await house.outbound.next())["triggerReason"] == "newlyMatching"
    await house.sources.remove(OPEN_ACCESS, identifier, tenant="")
    assert (await house.outbound.next())["triggerReason"] == "noLongerMatching"


async def test_what_matches_already_is_told_at_once(house):
    await house.register()
    await house.register(information=[{"entities": [{"type": "House"}]}])
    await house.subscribe()
    told = await house.outbound.next()
    assert [one["information"] for one in told["data"]] == [[{"entities": [{"type": ["Road"]}]}]]


async def test_a_temporal_query_is_for_sources_of_the_past(house):
    await house.subscribe(temporal={"timerel": "after", "timeAt": "2020-06-01T00:00:00Z"})
    await house.register()
    past = await house.register(observationInterval={"startAt": "2020-01-01T00:00:00Z"})
    told = await house.outbound.next()
    assert [one["id"] for one in told["data"]] == [past]
    assert len(house.outbound.sent) == 1


async def test_how_notifying_went_is_counted(house):
    await house.subscribe()
    house.outbound.status = None
    identifier = await house.register()
    await house.outbound.next()
    house.outbound.status = 200
    await house.update(identifier, description="Roads")
    await house.outbound.next()
    await asyncio.sleep(0)
    tally = house.watching.tally(house.watching.get(READER, "urn:x:subscription", tenant=""))
    assert (tally.times_sent, tally.times_failed, tally.status) == (2, 1, "ok")


async def test_who_has_lost_the_account_is_told_nothing_more(house):
    await house.subscribe()
    del house.actors["reader"]
    await house.register()
    for _ in range(20):
        await asyncio.sleep(0)
    assert house.outbound.sent == []


async def test_a_subscription_is_its_owners_alone(house):
    await house.subscribe()
    other = msgspec.structs.replace(READER, id="other")
    with pytest.raises(ResourceNotFound):
        house.watching.get(other, "urn:x:subscription", tenant="")
    assert house.watching.all(other, tenant="") == []
    await house.watching.remove(READER, "urn:x:subscription", tenant="")
    assert house.watching.all(READER, tenant="") == []


async def test_who_may_read_registrations_no_more_is_told_of_none(house):
    await house.subscribe()
    house.actors["reader"] = msgspec.structs.replace(READER, permissions=frozenset({"subscriptions:edit"}))
    await house.register()
    while house.watching._working:
        await asyncio.sleep(0)
    assert house.outbound.sent == []


async def test_what_waits_for_a_receiver_is_bounded_and_what_makes_room_is_told(house, monkeypatch):
    gate, send = asyncio.Event(), house.outbound.send

    async def slow(*asked, **bounds):
        await gate.wait()
        return await send(*asked, **bounds)

    monkeypatch.setattr(house.outbound, "send", slow)
    monkeypatch.setattr(watching, "MOST_WAITING", 3)
    await house.subscribe()
    for number in range(8):
        await house.register(id=f"urn:r:{number}")
    kept = house.watching.get(READER, "urn:x:subscription", tenant="")
    tally = house.watching.tally(kept)
    # One is on its way, three wait.
    assert (tally.missed, tally.status) == (4, "failed")
    gate.set()
    while house.watching._working:
        await asyncio.sleep(0)
    assert len(house.outbound.sent) == 4
