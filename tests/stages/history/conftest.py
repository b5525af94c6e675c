"""A small city: a broker with a feed in memory, and the history that follows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.history import MemoryHistory
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context.broker import Broker
from cityloom.history.queries import History
from cityloom.history.stage import STAGE, HistoryStage
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.ngsild.model import entity, prop


class StandingClock:
    def __init__(self, now: datetime) -> None:
        self.instant = now

    def now(self) -> datetime:
        return self.instant


@dataclass
class City:
    broker: Broker
    history: History
    store: MemoryHistory
    stage: HistoryStage
    clock: StandingClock

    async def measure(self, entity_id, at, *, type="Weather", information_class=None, unit="CEL", **values):
        """Write readings and wait until they are remembered."""
        document = entity(
            type, entity_id, {name: prop(value, at=at, unit=unit) for name, value in values.items()}
        )
        await self.write(document, information_class=information_class)

    async def write(self, document, *, information_class=None):
        change = await self.broker.upsert(CITY, document, information_class=information_class)
        await self.stage.reached(change.sequence)

    async def settled(self):
        await self.stage.reached(self.broker.last_sequence)


@pytest.fixture
async def city(tmp_path):
    store = MemoryHistory(tmp_path)
    stage = HistoryStage(store, pause=0)
    clock = StandingClock(datetime(2014, 9, 1, 12, tzinfo=UTC))
    broker = Broker(MemoryFeed(), MemoryStateTable(), clock)
    await broker.start()
    broker.follow(STAGE, stage.handle, durable=True, after=store.last_sequence(), past=True)
    yield City(broker, History(store, broker), store, stage, clock)
    await broker.stop()


@pytest.fixture
def hour():
    """The n-th hour of 1 September 2014."""
    return lambda number: datetime(2014, 9, 1, tzinfo=UTC) + timedelta(hours=number)


SECURITY = InformationClass.SECURITY
