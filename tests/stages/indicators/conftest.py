"""A small city with history, and people who enter and verify."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cityloom.access.roles import ROLES
from cityloom.adapters.memory.evidence import MemoryEvidenceStore
from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.history import MemoryHistory
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context.broker import Broker
from cityloom.history.model import PastColumn, SeriesKey, ValueKind
from cityloom.history.queries import History
from cityloom.history.stage import STAGE, HistoryStage
from cityloom.indicators.indicators import Indicators
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.time import to_millis
from cityloom.ngsild.model import entity, prop

ZONE = ZoneInfo("Europe/Copenhagen")


class StandingClock:
    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant


@dataclass
class City:
    broker: Broker
    history: History
    store: MemoryHistory
    stage: HistoryStage
    clock: StandingClock
    evidence: MemoryEvidenceStore = field(default_factory=MemoryEvidenceStore)

    def indicators(self, *frameworks, figures=None):
        return Indicators(
            self.broker, self.history, self.clock, frameworks, self.evidence, zone=ZONE, figures=figures
        )

    async def write(self, document, *, information_class=None):
        change = await self.broker.upsert(CITY, document, information_class=information_class)
        await self.stage.reached(change.sequence)

    async def thing(self, type, key, *, origin="measured", information_class=None, **attributes):
        """An Entity with fixed attributes."""
        entity_id = f"urn:ngsi-ld:{type}:{key}"
        document = entity(type, entity_id, {name: prop(value) for name, value in attributes.items()})
        document["attrs"]["dataOrigin"] = [prop(origin)]
        await self.write(document, information_class=information_class)
        return entity_id

    def past(self, entity_id, attribute, unit, readings, *, information_class=InformationClass.OPEN):
        """Readings as (instant, number) pairs, straight into history."""
        import numpy as np

        key = SeriesKey("", entity_id, attribute, "", "Property", unit)
        at = np.array([to_millis(instant) for instant, _ in readings], np.int64)
        numbers = np.array([number for _, number in readings], np.float64)
        types = (entity_id.split(":")[2],)
        self.store.load([PastColumn(key, types, information_class, at, numbers, ValueKind.NUMBER)])


@pytest.fixture
async def city(tmp_path):
    store = MemoryHistory(tmp_path)
    stage = HistoryStage(store, pause=0)
    # A Monday, two in the afternoon in Copenhagen.
    clock = StandingClock(datetime(2014, 9, 29, 12, tzinfo=UTC))
    broker = Broker(MemoryFeed(), MemoryStateTable(), clock)
    await broker.start()
    broker.follow(STAGE, stage.handle, durable=True, after=store.last_sequence())
    yield City(broker, History(store, broker), store, stage, clock)
    await broker.stop()


def person(name: str, *roles: str) -> Actor:
    held = [ROLES[role] for role in roles]
    return Actor(
        id=f"person:{name}",
        name=name,
        roles=frozenset(roles),
        permissions=frozenset().union(*(role.permissions for role in held)),
        clearance=frozenset().union(*(role.clearance for role in held)),
    )


@pytest.fixture
def planner():
    return person("planner", "planner")


@pytest.fixture
def auditor():
    return person("auditor", "auditor", "planner")


def hours(first: datetime, count: int, step: timedelta = timedelta(hours=1)) -> list[datetime]:
    return [first + place * step for place in range(count)]
