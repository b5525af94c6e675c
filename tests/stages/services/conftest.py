"""A small city for services: the real broker in memory, a clock that tests set, a history of lists."""

from __future__ import annotations

import textwrap
import tomllib
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.parameters import MemoryParameterStore
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context.broker import Broker
from cityloom.history.answers import Matrix
from cityloom.kernel.time import to_millis
from cityloom.services.host import ServiceHost
from cityloom.services.manifest import read_manifest
from cityloom.services.plugin import CityService
from cityloom.services.words import Messages

COPENHAGEN = ZoneInfo("Europe/Copenhagen")

MANIFEST = """
id = "heat"
title = "Heat"
owner = "desk"
tells = ["growers", "operators"]
alerts = ["weather/heat"]
commands = ["open"]

[[needs]]
name = "stations"
type = "WeatherObserved"
attributes = ["temperature", "refRoof"]
series = ["temperature"]
history = "PT1H"
training = "P10D"
step = "PT10M"

[wakes-on]
every = "PT10M"

[[writes]]
type = "WeatherObserved"
attributes = ["temperature", "feltAs"]

[[writes]]
type = "Roof"
attributes = ["advice"]

[settings.limit_c]
unit = "CEL"
help = { en = "Warn from here on.", da = "Advar herfra." }
values = [
  { since = 2020-01-01, value = 30.0, source = "council 1/2020" },
  { since = 2025-01-01, value = 28.0, source = "council 7/2025" },
]
"""

TEXTS = {
    "en": {"title": "Heat", "summary": "Warns of heat.", "hot": "{degrees} °C at {when}"},
    "da": {"title": "Varme", "summary": "Advarer om varme.", "hot": "{degrees} °C kl. {when}"},
}


class SetClock:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


class ListSeries:
    """History for tests: (entity, attribute, dataset) -> {instant: value}."""

    def __init__(self) -> None:
        self.readings: dict[tuple[str, str, str | None], dict[datetime, float]] = {}
        self.asked: list[tuple] = []

    def add(self, entity_id, attribute, at, value, dataset=None):
        self.readings.setdefault((entity_id, attribute, dataset), {})[at] = value

    def matrix(self, actor, type_name, attribute, since, until, step, dataset=""):
        self.asked.append((actor.id, type_name, attribute, since, until, step, dataset))
        count = (until - since) // step
        ids = [key[0] for key in self.readings if key[1:] == (attribute, dataset or None)]
        values = np.full((len(ids), count), np.nan)
        for row, entity_id in enumerate(ids):
            for at, value in self.readings[(entity_id, attribute, dataset or None)].items():
                if since <= at < until:
                    values[row, (at - since) // step] = value
        times = to_millis(since) + np.arange(count) * (step // timedelta(milliseconds=1))
        return Matrix(ids, times, values, "")


def load(decide, manifest=MANIFEST, *, train=None, shipped=None, overrides=None, **changes):
    """A loaded service. `changes` replace top-level keys of the manifest."""
    raw = tomllib.loads(textwrap.dedent(manifest)) | changes
    module = SimpleNamespace(decide=decide)
    if train is not None:
        module.train = train
    return CityService(
        read_manifest(raw, where="manifest.toml"), module, Messages(TEXTS), shipped, overrides or {}
    )


@pytest.fixture
def service_of():
    return load


@pytest.fixture
def clock():
    return SetClock(datetime(2026, 4, 12, 12, 0, tzinfo=UTC))


@pytest.fixture
async def broker(clock):
    broker = Broker(MemoryFeed(), MemoryStateTable(), clock)
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture
def series():
    return ListSeries()


@pytest.fixture
def store():
    return MemoryParameterStore()


@pytest.fixture
def host_of(broker, series, clock, store):
    def build(*services, **options):
        return ServiceHost(broker, series, clock, services, zone=COPENHAGEN, store=store, **options)

    return build
