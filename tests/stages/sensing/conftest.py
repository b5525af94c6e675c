"""A broker in memory, and people with and without leave."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cityloom.adapters.memory.device_records import MemoryDeviceStore
from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context.broker import Broker
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.sensing.devices import DeviceRegistry

NOON = datetime(2014, 8, 1, 12, 0, tzinfo=UTC)
ENGINEER = Actor(
    "person:1",
    "Anna",
    frozenset({"engineer"}),
    frozenset({"devices:admit", "parked:read", "connectors:manage", "entities:read"}),
    frozenset(InformationClass),
)
CITIZEN = Actor("person:2", "Bo", frozenset({"citizen"}), frozenset({"entities:read"}))


class StandingClock:
    """The city's time, moved by hand."""

    def __init__(self, at=NOON):
        self.at = at

    def now(self):
        return self.at

    def go(self, **how):
        self.at += timedelta(**how)


@pytest.fixture
def clock():
    return StandingClock()


@pytest.fixture
def engineer():
    return ENGINEER


@pytest.fixture
def citizen():
    return CITIZEN


@pytest.fixture
def feed():
    return MemoryFeed()


@pytest.fixture
async def broker(clock, feed):
    made = Broker(feed, MemoryStateTable(), clock)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def device_store():
    return MemoryDeviceStore()


@pytest.fixture
async def registry(device_store, broker, clock):
    made = DeviceRegistry(device_store, broker, clock)
    await made.start()
    return made
