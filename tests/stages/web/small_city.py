"""A small city with pages: real rooms over memory, the invented town's things, a clock moved by hand.

    python tests/stages/web/small_city.py [PORT] [light|full]

serves it for looking at, its clock running.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
import tomllib
from collections.abc import Mapping
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import cityloom_catalogue
from cityloom.access.accounts import Accounts
from cityloom.access.audit import AuditLog
from cityloom.access.entrance import Access
from cityloom.access.passwords import Passwords
from cityloom.access.roles import ROLES
from cityloom.adapters.http.outbound import HttpOutbound
from cityloom.adapters.memory.accounts import MemoryAccountStore, MemoryAuditStore
from cityloom.adapters.memory.device_records import MemoryDeviceStore
from cityloom.adapters.memory.evidence import MemoryEvidenceStore
from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.history import MemoryHistory
from cityloom.adapters.memory.keys import MemoryKeys
from cityloom.adapters.memory.outbox import MemoryOutbox
from cityloom.adapters.memory.parameters import MemoryParameterStore
from cityloom.adapters.memory.parked_readings import MemoryParkedStore
from cityloom.adapters.memory.printer import MemoryPrinter
from cityloom.adapters.memory.register import MemoryRegister
from cityloom.adapters.memory.reporters import MemoryPhotoStore, MemoryReporterStore
from cityloom.adapters.memory.snapshot_stores import MemorySnapshotStores
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.adapters.mqtt.publisher import MqttPublisher
from cityloom.adapters.network.reach import Reach
from cityloom.context.broker import Broker
from cityloom.context.classes import ClassPolicy
from cityloom.edge.receiving import Receiving
from cityloom.edge.remembered import PastAlone
from cityloom.federation.federation import Federation
from cityloom.federation.handing_on import HandedOn
from cityloom.history.follow import Lineage
from cityloom.history.loading import Loading
from cityloom.history.queries import History
from cityloom.history.stage import STAGE, HistoryStage
from cityloom.indicators.framework import Framework, read_framework
from cityloom.indicators.indicators import Indicators
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.errors import BadInput
from cityloom.kernel.findings import Finding
from cityloom.kernel.measures import Growth
from cityloom.ngsild.model import Document, entity, prop
from cityloom.operations.alerts import Alerts
from cityloom.people.contributions import Contributions
from cityloom.people.deliveries import Deliveries
from cityloom.people.erasure import Erasure
from cityloom.people.notices import Notices
from cityloom.people.personal import PersonalTypes
from cityloom.people.reports import Reports
from cityloom.planning.assessments.assessments import Assessments
from cityloom.planning.assessments.reading import Library, read_library
from cityloom.planning.contracts.contracts import Contracts
from cityloom.planning.contracts.parties import Parties
from cityloom.planning.contracts.settlements import Settlements
from cityloom.planning.initiatives import Initiatives
from cityloom.planning.masterplan.plan import MasterPlan
from cityloom.planning.records.records import Records
from cityloom.planning.register import KINDS
from cityloom.sensing.connector_making import ConnectorPlugin
from cityloom.sensing.devices import DeviceRegistry
from cityloom.sensing.host import ConnectorHost
from cityloom.sensing.models import DataModels, read_models
from cityloom.sensing.parked import ParkedReadings
from cityloom.services.host import ServiceHost
from cityloom.snapshots.snapshots import Snapshots
from cityloom.snapshots.telling import Telling
from cityloom.subscriptions.sending import Sender
from cityloom.subscriptions.subscriptions import Subscriptions
from cityloom.web.rooms import City, FileFigures, Inside, MqttAddress, Rooms, StageFigures
from cityloom.web.site import Site, build

CATALOGUE = Path(cityloom_catalogue.__file__).parent
CENTRE = (8.95, 56.05)
BEGINS = datetime(2026, 4, 10, 10, tzinfo=UTC)


class HandClock:
    """The city's clock: moved by hand, or running at a speed once `run` was called. Also its pace."""

    def __init__(self, at: datetime = BEGINS) -> None:
        self._at = at
        self._since: float | None = None
        self.speed = 60.0
        self.paused = False

    def now(self) -> datetime:
        if self._since is None or self.paused:
            return self._at
        return self._at + timedelta(seconds=(time.monotonic() - self._since) * self.speed)

    def run(self) -> None:
        self._since = time.monotonic()

    def pass_by(self, **length: float) -> None:
        self._at += timedelta(**length)

    def set_speed(self, speed: float) -> None:
        if speed > 3600:
            raise BadInput("The city cannot keep that speed", hint="Choose 3600 or less.", where="speed")
        self._hold()
        self.speed = speed

    def pause(self) -> None:
        self._hold()
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        if self._since is not None:
            self._since = time.monotonic()

    def _hold(self) -> None:
        self._at = self.now()
        if self._since is not None:
            self._since = time.monotonic()


class Well:
    """A Health without troubles."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.found: list[Finding] = []
        self.growth = Growth(0.0, None, None)

    def findings(self, inside: Inside) -> list[Finding]:
        return self.found

    def troubles(self) -> list[str]:
        return self.said

    def figures(self) -> Mapping[str, str | int | float]:
        return {"folder": "in memory"}

    async def inside(self, actor: Actor) -> Inside:
        return Inside(
            stages=(StageFigures("history", 0.0),),
            files=(FileFigures("feed.db", 4096),),
            growth=self.growth,
            rates={"changes": 1.5, "requests": 12.0},
            parked=0,
            refused={"crowded": 2},
            commits=7,
            commit_s=0.005,
            commits_slow=0,
            commits_failed=0,
            commits_failing=0,
            commits_slow_ago_s=None,
            loop_lag_s=0.002,
            collecting_s=0.1,
            threads=9,
            children=0,
            descriptors=20,
            descriptors_most=1024,
            clock_moved_s=0.0,
        )

    async def metrics(self, actor: Actor, accept: str, *, readers: int) -> tuple[bytes, str]:
        return b"cityloom_changes_total 1.0\n", "text/plain; version=0.0.4; charset=utf-8"


class SmallCity:
    """Rooms, the site over them, and short ways to write into the city."""

    def __init__(
        self, *, open_access: bool = False, demo: bool = True, frameworks: tuple[str, ...] = ("city", "u4ssc")
    ) -> None:
        self.clock = HandClock()
        self.health = Well()
        self.broker = Broker(
            MemoryFeed(),
            MemoryStateTable(),
            self.clock,
            ClassPolicy({"Device": InformationClass.INTERNAL, "CitizenReport": InformationClass.INTERNAL}),
        )
        self.store = MemoryHistory()
        self.history_stage = HistoryStage(self.store, pause=0.0)
        self.audit = AuditLog(MemoryAuditStore())
        self.account_store = MemoryAccountStore()
        self.accounts = Accounts(self.account_store, self.audit, passwords=Passwords(_quick_hasher()))
        self.devices = DeviceRegistry(
            MemoryDeviceStore(), self.broker, self.clock, self.audit, open_access=open_access
        )
        self.parked = ParkedReadings(MemoryParkedStore())
        # A copy: they know the last instant that was found good.
        self.models = copy(_models())
        self.connectors = ConnectorHost(
            self.broker, self.devices, self.parked, self.models, self.clock, [_connector("http_push")]
        )
        history = History(self.store, self.broker)
        self.alerts = Alerts(self.broker, self.clock)
        self.deliveries = Deliveries(self.broker, self.clock, self.alerts)
        self.evidence = MemoryEvidenceStore()
        self.indicators = Indicators(
            self.broker,
            history,
            self.clock,
            [_framework(name) for name in frameworks],
            self.evidence,
            zone=ZoneInfo("Europe/Copenhagen"),
            figures={"inhabitants": 24300, "households": 11200},
        )
        federation = Federation(
            MemoryRegister(),
            self.broker,
            HttpOutbound(Reach(None, inside=True)),
            self.clock,
            publisher=MqttPublisher(Reach(None, inside=True)),
            actors=Access(self.accounts, open_access=open_access).now,
        )
        subscriptions = Subscriptions(
            self.broker,
            MemoryRegister(),
            MemoryOutbox(),
            HttpOutbound(Reach(None, inside=True)),
            MqttPublisher(Reach(None, inside=True)),
            Access(self.accounts, open_access=open_access).now,
            self.clock,
        )
        snapshots = Snapshots(
            MemoryRegister(),
            MemorySnapshotStores(),
            self.broker,
            self.clock,
            Telling(
                Sender(HttpOutbound(Reach(None, inside=True)), MqttPublisher(Reach(None, inside=True))),
                Access(self.accounts, open_access=open_access).now,
            ),
            subscriptions,
        )
        actors = Access(self.accounts, open_access=open_access).now
        contracts = Contracts(
            self.broker,
            self.clock,
            Parties(self.broker, self.clock, actors),
            actors,
            zone=ZoneInfo("Europe/Copenhagen"),
            audit=self.audit,
        )
        self.reporters, self.photos = MemoryReporterStore(), MemoryPhotoStore()
        self.printer = MemoryPrinter()
        self.initiatives = Initiatives(self.broker, self.clock, history)
        self.records = Records(self.broker, self.clock, KINDS)
        self.plan = MasterPlan(
            self.broker,
            self.clock,
            self.records,
            self.initiatives,
            self.indicators,
            self.evidence,
            city="Loomby",
            zone=ZoneInfo("Europe/Copenhagen"),
        )
        self.rooms = Rooms(
            city=City(
                name="Loomby",
                zone=ZoneInfo("Europe/Copenhagen"),
                languages=("en", "da"),
                currency="DKK",
                centre=CENTRE,
                demo="simulated" if demo else "",
                badge={"en": "simulated town", "da": "simuleret by"} if demo else {},
            ),
            clock=self.clock,
            access=Access(self.accounts, open_access=open_access),
            audit=self.audit,
            broker=self.broker,
            history=history,
            remembered=self.remembered,
            loading=Loading(self.store, self.broker, self.audit, self.history_stage),
            federation=federation,
            receiving=Receiving(
                self.broker,
                self.parked,
                {},
                self.clock,
                name_of=self.accounts.user_name,
                past=PastAlone(history, self.remembered),
            ),
            subscriptions=subscriptions,
            snapshots=snapshots,
            handed_on=HandedOn(MemoryRegister(), federation, subscriptions, self.clock),
            alerts=self.alerts,
            deliveries=self.deliveries,
            erasure=Erasure(
                self.broker,
                MemoryKeys(),
                PersonalTypes(),
                self.reporters,
                self.photos,
                self.store,
                self.accounts,
                self.account_store,
                self.audit,
                remembered=self.remembered,
            ),
            notices=Notices(self.broker, self.clock),
            reports=Reports(
                self.broker,
                self.clock,
                self.reporters,
                self.photos,
                self.audit,
                bounds=(8.8, 55.97, 9.1, 56.13),
            ),
            lineage=Lineage(self.broker, history),
            devices=self.devices,
            connectors=self.connectors,
            parked=self.parked,
            models=self.models,
            services=ServiceHost(
                self.broker,
                history,
                self.clock,
                [],
                zone=ZoneInfo("Europe/Copenhagen"),
                store=MemoryParameterStore(),
            ),
            initiatives=self.initiatives,
            records=self.records,
            plan=self.plan,
            assessments=Assessments(self.broker, self.clock, _library()),
            contracts=contracts,
            settlements=Settlements(
                self.broker,
                self.clock,
                history,
                contracts,
                self.evidence,
                remembered=self.remembered,
                audit=self.audit,
            ),
            contributions=Contributions(
                self.broker,
                self.clock,
                ZoneInfo("Europe/Copenhagen"),
                self.records,
                self.reporters,
                self.audit,
            ),
            indicators=self.indicators,
            health=self.health,
            printer=self.printer,
            mqtt=MqttAddress(port=1883),
            pace=self.clock if demo else None,
        )
        self.site: Site = build(self.rooms)

    async def remembered(self) -> None:
        """Return once history tells what the state tells now."""
        await self.history_stage.caught_up(self.broker.last_sequence)

    async def start(self) -> SmallCity:
        self.broker.follow(STAGE, self.history_stage.handle, durable=True, past=True)
        await self.broker.start()
        await self.devices.start()
        await self.indicators.start()
        await self.deliveries.start()
        await self.connectors.start()
        self.site.start()
        return self

    async def stop(self) -> None:
        self.site.close()
        await self.connectors.stop()
        await self.deliveries.stop()
        await self.indicators.stop()
        await self.broker.stop()

    async def write(self, *documents: Document, secrecy: InformationClass | None = None) -> None:
        """Entities, and wait until every stage has seen them."""
        outcome = await self.broker.upsert_many(CITY, documents, update=True, information_class=secrecy)
        assert not outcome.errors, outcome.errors
        await self.broker.caught_up()

    async def reading(self, entity_type: str, entity_id: str, **values: tuple[Any, str]) -> None:
        """New readings of one Entity at the city's now: temperature=(7.5, "CEL")."""
        attributes = {
            name: prop(value, at=self.clock.now(), unit=unit or None)
            for name, (value, unit) in values.items()
        }
        await self.write(entity(entity_type, entity_id, attributes))

    async def person(self, name: str, *roles: str) -> str:
        """An account that has chosen its password; returns the password."""
        from cityloom.access.accounts import SET_UP

        made = await self.accounts.create(SET_UP, name, display_name=name.title(), roles=roles or ["citizen"])
        opened = await self.accounts.authenticate(name, made.password)
        actor = await self.accounts.actor_for_session(opened.token)
        assert actor is not None
        wanted = f"harbour lantern {name[::-1]} seven"
        await self.accounts.change_password(actor, made.password, wanted)
        return wanted

    async def session(self, name: str, *roles: str) -> str:
        """The token of a session of somebody with these roles."""
        password = await self.person(name, *roles)
        return (await self.accounts.authenticate(name, password)).token

    async def fill(self, days: float = 2.0) -> None:
        """The invented town with its past of some days."""
        from cityloom_catalogue.cities.loomby.seeds import seeds
        from cityloom_catalogue.cities.loomby.source import LoombySource

        source = LoombySource(BEGINS)
        since = BEGINS - timedelta(days=days)
        await self.write(*seeds(since))
        for _, documents in source.batches(since):
            at = documents[0]
            if _ > BEGINS:
                break
            await self.broker.upsert_many(CITY, documents, update=True)
            del at
        await self.broker.caught_up()


# What lies in the catalogue is read once: no city changes it.


@cache
def _models() -> DataModels:
    return read_models([CATALOGUE / "models"])


@cache
def _framework(name: str) -> Framework:
    return read_framework(CATALOGUE / "frameworks" / name)


@cache
def _library() -> Library:
    return read_library(one.parent for one in sorted(CATALOGUE.glob("assessments/*/manifest.toml")))


def _connector(name: str) -> ConnectorPlugin:
    folder = CATALOGUE / "connectors" / name
    manifest = tomllib.loads((folder / "manifest.toml").read_text())
    module = importlib.import_module(f"cityloom_catalogue.connectors.{name}.connector")
    return ConnectorPlugin(manifest, module, {}, name=name)


def _quick_hasher() -> Any:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


async def _serve(port: int, days: float) -> None:
    import logging
    import socket

    from cityloom.web.server import Server
    from cityloom_catalogue.cities.loomby.source import LoombySource

    logging.basicConfig(level=logging.INFO)
    city = await SmallCity().start()
    began = time.monotonic()
    await city.fill(days)
    for role in ROLES.values():
        if role.assignable:
            sys.stdout.write(f"{role.name}: {await city.person(role.name, role.name)}\n")
    sys.stdout.write(f"filled in {time.monotonic() - began:.1f} s; http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    city.clock.run()

    async def play() -> None:
        for at, documents in LoombySource(BEGINS).batches(BEGINS):
            while city.clock.now() < at:
                await asyncio.sleep(0.05)
            await city.broker.upsert_many(CITY, documents, update=True)

    player = asyncio.create_task(play())
    listener = socket.create_server(("127.0.0.1", port), backlog=100)
    await Server(city.site, before_stop=city.site.close).serve([listener])
    player.cancel()


if __name__ == "__main__":
    asked = [float(text) for text in sys.argv[1:]]
    asyncio.run(_serve(int(asked[0]) if asked else 8090, asked[1] if len(asked) > 1 else 2.0))
