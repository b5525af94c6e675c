"""A broker that tells others what changed: in memory, and on files that can be opened again."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from cityloom.adapters.http.outbound import HttpOutbound
from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.outbox import MemoryOutbox
from cityloom.adapters.memory.register import MemoryRegister
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.adapters.mqtt.publisher import MqttPublisher
from cityloom.adapters.network.reach import Reach
from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.adapters.sqlite.outbox import SqliteOutbox
from cityloom.adapters.sqlite.records import Records
from cityloom.adapters.sqlite.register import SqliteRegister
from cityloom.adapters.sqlite.state_table import SqliteStateTable
from cityloom.context.broker import Broker
from cityloom.context.classes import ClassPolicy
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.time import WallClock
from cityloom.ngsild.subscription_reading import parse_subscription, patch_subscription
from cityloom.subscriptions import lane
from cityloom.subscriptions.backlog import Notifying
from cityloom.subscriptions.owners import EDIT
from cityloom.subscriptions.subscriptions import Subscriptions

POLICY = ClassPolicy({"Camera": InformationClass.SECURITY, "Meter": InformationClass.INTERNAL})
OWNER = Actor("owner", permissions=frozenset({EDIT, "entities:write"}), clearance=frozenset(InformationClass))


class Town:
    """A broker, its subscriptions, and those who subscribe."""

    def __init__(self, feed, table, register, outbox, bounds=None) -> None:
        self.people = {OWNER.id: OWNER}
        self.broker = Broker(feed, table, WallClock(), POLICY)
        self.outbound = HttpOutbound(Reach(inside=True))
        self.subscriptions = Subscriptions(
            self.broker,
            register,
            outbox,
            self.outbound,
            MqttPublisher(Reach(inside=True)),
            self.people.get,
            WallClock(),
            bounds=bounds,
        )

    async def start(self) -> None:
        await self.broker.start()
        await self.subscriptions.start()

    async def stop(self) -> None:
        await self.broker.stop()
        await self.subscriptions.stop()
        await self.outbound.close()

    async def subscribe(self, uri: str, *, actor: Actor = OWNER, id: str = "urn:s:1", **members) -> None:
        self.people[actor.id] = actor
        endpoint = {"uri": uri, **members.pop("endpoint", {})}
        notification = {"endpoint": endpoint, **members.pop("notification", {})}
        payload = {"type": "Subscription", "entities": [{"type": "Road"}], "notification": notification}
        wanted = parse_subscription({**payload, **members}, id=id, now=self.subscriptions.now())
        await self.subscriptions.create(actor, wanted, None, "https://context.example/", tenant="")

    async def change(self, id: str, actor: Actor = OWNER, **members) -> None:
        kept = self.subscriptions.retrieve(actor, id, tenant="")
        wanted, _ = patch_subscription(kept.wanted, members, now=self.subscriptions.now())
        await self.subscriptions.replace(actor, kept, wanted)

    def tally(self, id: str = "urn:s:1"):
        return self.subscriptions.tally(self.subscriptions.retrieve(OWNER, id, tenant=""))


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Failed notifications are tried again soon."""
    monkeypatch.setattr(lane, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(lane, "LAST_PAUSE", 0.1)


@pytest.fixture
def bounds():
    """What telling others may cost; tests that need less say so."""
    return Notifying()


@pytest.fixture
async def town(bounds):
    made = Town(MemoryFeed(), MemoryStateTable(), MemoryRegister(), MemoryOutbox(), bounds)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def lasting(tmp_path):
    """`async with lasting() as town`; entering again is a restart. `crash` leaves without a word."""

    @asynccontextmanager
    async def running(*, crash: bool = False):
        records = Records(tmp_path / "records.db")
        stores = SqliteFeed(tmp_path / "feed.db"), SqliteStateTable(tmp_path / "state.db")
        outbox = SqliteOutbox(tmp_path / "notifications.db")
        made = Town(*stores, SqliteRegister(records), outbox)
        try:
            await made.start()
            yield made
        finally:
            if crash:
                # What is noted on the way out is what a crash does not note.
                made.subscriptions._delivery._done.clear()
            await made.stop()
            for store in (*stores, outbox, records):
                store.close()

    return running
