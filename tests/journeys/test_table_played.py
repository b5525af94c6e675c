"""A table of last summer is played into a living city: good rows become readings, wrong ones are shown."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cityloom_catalogue
from cityloom.adapters.memory.device_records import MemoryDeviceStore
from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.parked_readings import MemoryParkedStore
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.app.plugins import find_plugins
from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.time import WallClock
from cityloom.ngsild.model import value_of
from cityloom.sensing.connector_making import ConnectorPlugin
from cityloom.sensing.devices import DeviceRegistry
from cityloom.sensing.host import ConnectorHost
from cityloom.sensing.models import read_models
from cityloom.sensing.parked import ParkedReadings

TABLE = """station,observed,t,rh
harbour,2014-08-01 02:20:00,17.0,94
harbour,2014-08-01 02:50:00,warm,93
hill,2014-08-01 02:50:00,15.5
hill,2014-08-01 03:20:00,15.2,250
hill,2014-08-01 03:20:00,15.2,91
"""
SETTINGS = {
    "time": "observed",
    "time_zone": "Europe/Copenhagen",
    "type": "WeatherObserved",
    "id": "urn:ngsi-ld:WeatherObserved:{station}",
    "fields": {
        "t": {"attribute": "temperature", "unit": "CEL"},
        "rh": {"attribute": "relativeHumidity", "unit": "P1"},
    },
    "speed": 1440,
}
ENGINEER = Actor("person:1", permissions=frozenset({"parked:read"}), clearance=frozenset(InformationClass))


async def test_table_is_played_into_the_city(tmp_path: Path):
    table = tmp_path / "weather.csv"
    table.write_text(TABLE)
    clock = WallClock()
    broker = Broker(MemoryFeed(), MemoryStateTable(), clock)
    await broker.start()
    parked = ParkedReadings(MemoryParkedStore())
    plugin = next(one for one in find_plugins(["cityloom_catalogue"]) if one.id == "replay")
    host = ConnectorHost(
        broker,
        DeviceRegistry(MemoryDeviceStore(), broker, clock),
        parked,
        read_models([Path(cityloom_catalogue.__path__[0]) / "models"]),
        clock,
        [ConnectorPlugin(plugin.manifest, plugin.load("connector"), {**SETTINGS, "table": str(table)})],
    )
    await host.start()
    try:
        async with asyncio.timeout(20):
            while "end" not in host.statuses()[0].place:
                await asyncio.sleep(0.005)
        (status,) = host.statuses()
        assert (status.received, status.stored, status.parked, status.state) == (5, 2, 3, "running")
        harbour = broker.retrieve(CITY, "urn:ngsi-ld:WeatherObserved:harbour")
        assert (value_of(harbour, "temperature"), value_of(harbour, "dataOrigin")) == (17.0, "replayed")
        assert harbour["attrs"]["temperature"][0]["observedAt"] == "2014-08-01T00:20:00Z"
        wrong = await parked.newest(ENGINEER)
        assert [(one.address, one.where) for one in wrong] == [
            ("weather.csv line 5", "relativeHumidity"),
            ("weather.csv line 4", "row"),
            ("weather.csv line 3", "temperature"),
        ]
    finally:
        await host.stop()
        await broker.stop()
