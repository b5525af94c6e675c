"""A frost night in a village: from readings at six in the evening to the receipt, and the morning after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.history import MemoryHistory
from cityloom.adapters.memory.parameters import MemoryParameterStore
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.app.plugins import find_plugins
from cityloom.context.broker import Broker
from cityloom.history.follow import Lineage
from cityloom.history.queries import History
from cityloom.history.stage import STAGE, HistoryStage
from cityloom.kernel.actor import ANONYMOUS, CITY, Actor, InformationClass
from cityloom.ngsild.model import entity, instance_of, point, prop, value_of
from cityloom.operations.alerts import Alerts
from cityloom.people.deliveries import Deliveries
from cityloom.people.delivery import Channel, Recipient
from cityloom.sensing.commands import CommandDesk
from cityloom.services.host import ServiceHost
from cityloom.services.plugin import load_service

SIX = datetime(2026, 4, 12, 16, 0, tzinfo=UTC)
FARM_7 = "urn:ngsi-ld:WeatherObserved:farm-7"
COAST = "urn:ngsi-ld:WeatherObserved:coast"
STAFF = Actor(
    id="person:staff",
    permissions=frozenset({"alerts:handle", "entities:read"}),
    clearance=frozenset({InformationClass.OPEN, InformationClass.INTERNAL}),
)
#: By local hour: a day of sun between two nights of frost.
CLEAR = [0.5, 0.0, -0.4, -0.8, -1.0, -1.2, -1.0, 0.5, 2.5, 4.5, 6.0, 7.2, 8.0, 8.6, 9.0, 8.8, 8.0, 6.6, 5.0]
CLEAR += [3.6, 2.6, 2.0, 1.4, 0.9]
ZONE = ZoneInfo("Europe/Copenhagen")


class Village:
    """Everything between a reading and a receipt, on stores in memory and a clock that the test moves."""

    def __init__(self) -> None:
        # Late in the evening before: it is too late to judge that night.
        self.at = SIX - timedelta(hours=22)
        self.broker = Broker(MemoryFeed(), MemoryStateTable(), self)
        store = MemoryHistory()
        self.remembering = HistoryStage(store, pause=0.0)
        self.history = History(store, self.broker)
        self.alerts = Alerts(self.broker, self)
        self.deliveries = Deliveries(self.broker, self, self.alerts, tick_s=3600)
        self.commands = CommandDesk(self.broker, self)
        frost = next(plugin for plugin in find_plugins(["cityloom_catalogue"]) if plugin.id == "frost")
        self.services = ServiceHost(
            self.broker,
            self.history,
            self,
            [load_service(frost)],
            zone=ZONE,
            store=MemoryParameterStore(),
            remembered=lambda: self.remembering.reached(self.broker.last_sequence),
            tick_s=3600,
        )

    def now(self) -> datetime:
        return self.at

    async def wake(self) -> None:
        await self.broker.start()
        self.broker.follow(STAGE, self.remembering.handle, durable=True, past=True)
        await self.deliveries.start()
        await self.services.prepare()

    async def sleep(self) -> None:
        await self.deliveries.stop()
        await self.broker.stop()

    async def live_until(self, until: datetime) -> None:
        """Hourly readings of both stations; services decide after each."""
        while self.at < until:
            self.at += timedelta(hours=1)
            hour = self.at.astimezone(ZONE).hour
            await self.broker.upsert_many(
                CITY,
                [self.reading(FARM_7, CLEAR[hour], 45), self.reading(COAST, 7.0, 90)],
                update=True,
                trace="mqtt:farm",
            )
            self.at += timedelta(minutes=6)
            await self.services.run_due()
            await self.broker.caught_up()
            self.at -= timedelta(minutes=6)

    def reading(self, station: str, temperature: float, humidity: float) -> dict:
        return entity(
            "WeatherObserved",
            station,
            {
                "name": prop("Farm 7" if station == FARM_7 else "The coast"),
                "location": point(9.0, 56.0),
                "temperature": prop(temperature, at=self.at, unit="CEL"),
                "relativeHumidity": prop(humidity, at=self.at, unit="P1"),
                "windSpeed": prop(1.0, at=self.at, unit="MTS"),
            },
        )

    def status(self) -> str:
        return self.services.status()[0].error


@pytest.fixture
async def village():
    village = Village()
    await village.wake()
    await village.deliveries.register(
        CITY_DESK,
        Recipient(
            id="urn:ngsi-ld:WarningRecipient:anna",
            name="Farm 7",
            audience=("growers",),
            channels=(Channel("page"), Channel("device", "urn:ngsi-ld:Device:siren-7")),
            language="da",
            watches=(FARM_7,),
        ),
    )
    yield village
    await village.sleep()


CITY_DESK = Actor(
    id="desk", permissions=frozenset({"alerts:handle", "entities:write"}), clearance=STAFF.clearance
)


async def test_a_grower_is_warned_and_confirms(village):
    await village.live_until(SIX)
    assert village.status() == ""

    # What people see.
    (alert,) = village.alerts.list(STAFF).alerts
    assert alert.about == (FARM_7,)
    assert alert.description["en"].startswith(
        "Frost tonight at Farm 7: the lowest temperature is expected at -"
    )
    village.commands.start()
    (wish,) = village.commands.waiting("siren-7")
    assert wish.value["text"].startswith("Frost i nat ved Farm 7")

    # The forecast stands beside the measurement, and everybody may see both.
    farm = village.broker.retrieve(ANONYMOUS, FARM_7)
    assert value_of(farm, "temperature") == 5.0
    forecast = instance_of(farm, "temperature", "urn:ngsi-ld:Dataset:forecast:night-minimum")
    assert (
        forecast["attrs"]["low"][0]["value"] < forecast["value"] < 0 < forecast["attrs"]["high"][0]["value"]
    )
    assert village.broker.find(ANONYMOUS, alert.id) is None

    # The grower confirms in time: nobody else is told.
    village.at += timedelta(minutes=20)
    await village.deliveries.confirm(wish.value["confirm"])
    village.at += timedelta(hours=1)
    assert await village.deliveries.escalate(village.at) == []
    assert [item.category for item in village.alerts.list(STAFF).alerts] == ["weather"]


async def test_a_warning_that_nobody_confirms_reaches_the_operators_and_ends_with_the_night(village):
    await village.live_until(SIX)
    village.at += timedelta(minutes=55)
    await village.deliveries.escalate(village.at)
    chase = next(item for item in village.alerts.list(STAFF).alerts if item.category == "warning")
    assert "Farm 7" in chase.description["en"]
    village.at -= timedelta(minutes=55)

    await village.live_until(datetime(2026, 4, 13, 7, 0, tzinfo=UTC))
    alerts = village.alerts.list(STAFF).alerts
    assert all(item.is_cleared for item in alerts)
    frost = next(item for item in alerts if item.category == "weather")
    assert value_of(frost.document, "outcome")["en"] == "The lowest temperature of the night was -1.2 °C."


async def test_how_do_we_know_leads_from_the_warning_to_the_readings(village):
    await village.live_until(SIX)
    (alert,) = village.alerts.list(STAFF).alerts
    told = {item["attribute"]: item for item in value_of(alert.document, "because") if item.get("since")}
    assert told["temperature"]["about"] == FARM_7
    readings = village.history.raw(
        STAFF, FARM_7, ["temperature"], SIX - timedelta(days=1), SIX + timedelta(minutes=1), dataset=""
    )
    # One reading an hour since the village began.
    assert told["temperature"]["count"] == len(readings) == 22
    assert [reading.value for reading in readings][-1] == 5.0
    way = await Lineage(village.broker, village.history).back(STAFF, alert.id)
    assert FARM_7 in {link.entity_id for link in way.children}


async def test_a_station_that_falls_silent_is_not_guessed_at(village):
    await village.live_until(SIX - timedelta(hours=3))
    village.at = SIX + timedelta(minutes=6)
    await village.services.run_due()
    await village.broker.caught_up()
    found = village.alerts.list(STAFF).alerts
    assert {item.sub_category for item in found} == {"frostNotJudged"}
    assert len(found) == 2
    farm = village.broker.retrieve(ANONYMOUS, FARM_7)
    assert instance_of(farm, "temperature", "urn:ngsi-ld:Dataset:forecast:night-minimum") is None
