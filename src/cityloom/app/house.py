"""Builds the rooms of one city over their adapters, and starts and stops them in the river's order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

from cityloom.access.accounts import Accounts
from cityloom.access.audit import AuditLog
from cityloom.access.entrance import Access
from cityloom.adapters.files.evidence import FileEvidenceStore
from cityloom.adapters.http.outbound import HttpOutbound
from cityloom.adapters.mqtt.publisher import MqttPublisher
from cityloom.adapters.network.reach import Reach
from cityloom.adapters.npz.parameters import NpzParameterStore
from cityloom.app import turned_on
from cityloom.app.between import between_of
from cityloom.app.configuration import Configuration, class_of
from cityloom.app.edges import grants_of, line_to_centre
from cityloom.app.folder import CityFolder
from cityloom.app.plugins import Plugin, find_plugins
from cityloom.app.retaining import rules_of
from cityloom.app.storage import open_storage
from cityloom.app.watch.commits import CommitTimes, TimedFeed
from cityloom.context.broker import Broker
from cityloom.context.classes import ClassPolicy
from cityloom.context.relaying import STAGE as RELAY
from cityloom.context.warming import Warming
from cityloom.edge.receiving import Receiving
from cityloom.edge.remembered import PastAlone
from cityloom.federation.federation import Federation
from cityloom.federation.handing_on import HandedOn
from cityloom.history.follow import Lineage
from cityloom.history.keeping import Keeping
from cityloom.history.loading import Loading
from cityloom.history.queries import History
from cityloom.history.stage import STAGE as HISTORY
from cityloom.history.stage import HistoryStage
from cityloom.history.temporal import TemporalHistory
from cityloom.indicators.framework import Framework
from cityloom.indicators.indicators import Indicators
from cityloom.kernel.errors import BrokenPlugin, CityError
from cityloom.kernel.time import Clock, WallClock
from cityloom.operations.alerts import Alerts
from cityloom.people.contributions import Contributions
from cityloom.people.deliveries import Deliveries
from cityloom.people.erasure import Erasure
from cityloom.people.notices import Notices
from cityloom.people.reports import Reports
from cityloom.planning.assessments.assessments import Assessments
from cityloom.planning.assessments.reading import Library, library_of, read_assessment
from cityloom.planning.contracts.contracts import Contracts
from cityloom.planning.contracts.keeping import keep_close
from cityloom.planning.contracts.parties import Parties
from cityloom.planning.contracts.settlements import Settlements
from cityloom.planning.initiatives import Initiatives
from cityloom.planning.masterplan.plan import MasterPlan
from cityloom.planning.records.records import Records
from cityloom.planning.register import KINDS
from cityloom.sensing.commands import CommandDesk
from cityloom.sensing.connector_making import ConnectorPlugin
from cityloom.sensing.contract import Transport
from cityloom.sensing.devices import DeviceRegistry
from cityloom.sensing.host import ConnectorHost
from cityloom.sensing.models import DataModels, read_models
from cityloom.sensing.parked import ParkedReadings
from cityloom.sensing.presence import Presence
from cityloom.services.host import ServiceHost
from cityloom.services.plugin import CityService
from cityloom.snapshots.snapshots import Snapshots
from cityloom.snapshots.telling import Telling
from cityloom.subscriptions.sending import Sender
from cityloom.subscriptions.subscriptions import Subscriptions

if TYPE_CHECKING:
    from cityloom.app.standing_by import StoodBy

_log = logging.getLogger(__name__)
_Read = TypeVar("_Read")
#: How long after a report was closed its author can still be reached; then how to reach them is forgotten.
CONTACTS_KEPT = timedelta(days=90)
A_DAY_S = 86_400.0


class House:
    """All rooms of one city. `start` and `stop` are called once each, on the event loop."""

    def __init__(
        self,
        folder: CityFolder,
        configuration: Configuration,
        clock: Clock,
        *,
        open_access: bool = False,
        local_key: str = "",
        own_connectors: Sequence[ConnectorPlugin] = (),
        stood_by: StoodBy | None = None,
    ) -> None:
        """`stood_by` is what this process knows of the city, having followed it while it stood by."""
        folder.make()
        self.folder = folder
        self.configuration = configuration
        self.clock = clock
        self.zone = ZoneInfo(configuration.time_zone)
        self.plugins = find_plugins(configuration.plugins, beside=folder.home)
        self.storage = open_storage(folder, configuration, stood_by.series if stood_by else None)
        #: How long writing takes.
        self.commits = CommitTimes()
        feed = TimedFeed(self.storage.feed, self.commits)
        self.register = self.storage.register
        self.store = self.storage.history

        self.audit = AuditLog(self.storage.audit)
        self.accounts = Accounts(self.storage.accounts, self.audit)
        self.access = Access(self.accounts, open_access=open_access, local_key=local_key)
        classes = _classes(configuration)
        self.broker = Broker(
            feed, self.storage.table, clock, classes, recalled=stood_by.recall if stood_by else None
        )
        self.history = History(self.store, self.broker)
        self.temporal = TemporalHistory(self.history)
        self.lineage = Lineage(self.broker, self.history)
        #: What other processes do of the city's work; None where this one does all.
        self.between = between_of(configuration, self.storage)
        self._remembering = self.between.remembering if self.between else HistoryStage(self.store)
        self._keeping = Keeping(self.store, clock, rules_of(configuration))
        self.loading = Loading(self.store, self.broker, self.audit, self._remembering)
        self.devices = DeviceRegistry(
            self.storage.devices, self.broker, clock, self.audit, open_access=open_access
        )
        self.parked = ParkedReadings(self.storage.parked, classes=classes)
        #: What edges bring here; and, of a city that is an edge itself, the line to its centre.
        self.receiving = Receiving(
            self.broker,
            self.parked,
            grants_of(configuration),
            WallClock(),
            name_of=self.accounts.user_name,
            past=PastAlone(self.history, self.all_is_remembered),
        )
        self.line = line_to_centre(folder, configuration, self.broker, feed, self.register)
        self.models = models_of(self.plugins)
        reach = Reach(configuration.outbound.allow or None, inside=configuration.outbound.inside)
        #: Sends to addresses that others named.
        self.outbound = HttpOutbound(reach)
        publisher = MqttPublisher(reach)
        self.subscriptions = Subscriptions(
            self.broker,
            self.register,
            self.storage.outbox,
            self.outbound,
            publisher,
            self.access.now,
            WallClock(),
            quota=configuration.quotas.subscriptions,
            bounds=configuration.notifications,
        )
        self.federation = Federation(
            self.register,
            self.broker,
            self.outbound,
            clock,
            wall=WallClock(),
            alias=configuration.federation.alias,
            open_to=configuration.federation.open,
            classes=classes,
            publisher=publisher,
            actors=self.access.now,
            registrations=configuration.quotas.registrations,
            registration_subscriptions=configuration.quotas.registration_subscriptions,
        )
        self.handed_on = HandedOn(self.register, self.federation, self.subscriptions, WallClock())
        self.snapshots = Snapshots(
            self.register,
            self.storage.snapshots,
            self.broker,
            clock,
            Telling(Sender(self.outbound, publisher), self.access.now),
            self.subscriptions,
            classes=classes,
            quota=configuration.quotas.snapshots,
        )
        self.alerts = Alerts(self.broker, clock, self.audit)
        self.notices = Notices(self.broker, clock, self.audit)
        self.reports = Reports(
            self.broker,
            clock,
            self.storage.reporters,
            self.storage.photos,
            self.audit,
            bounds=configuration.place.bounds,
        )
        self.erasure = Erasure(
            self.broker,
            self.storage.keys,
            self.storage.personal,
            self.storage.reporters,
            self.storage.photos,
            self.store,
            self.accounts,
            self.storage.accounts,
            self.audit,
            remembered=self.all_is_remembered,
            alone=configuration.erasure.alone,
        )
        #: What is wrong with plugins, for the operator's eyes.
        self.broken: list[BrokenPlugin] = []
        self.services = ServiceHost(
            self.broker,
            self.history,
            clock,
            self._city_services(),
            zone=self.zone,
            store=NpzParameterStore(folder.parameters),
            remembered=self.all_is_remembered,
        )
        self.deliveries = Deliveries(self.broker, clock, self.alerts)
        self.evidence = FileEvidenceStore(folder.evidence)
        self.indicators = Indicators(
            self.broker,
            self.history,
            clock,
            self._frameworks(),
            self.evidence,
            zone=self.zone,
            figures=_figures(configuration),
            audit=self.audit,
        )
        self.initiatives = Initiatives(self.broker, clock, self.history)
        self.records = Records(self.broker, clock, KINDS, zone=self.zone)
        self.plan = MasterPlan(
            self.broker,
            clock,
            self.records,
            self.initiatives,
            self.indicators,
            self.evidence,
            city=configuration.name,
            zone=self.zone,
        )
        self.contracts = Contracts(
            self.broker,
            clock,
            Parties(self.broker, clock, self.access.now),
            self.access.now,
            zone=self.zone,
            audit=self.audit,
        )
        self.assessments = Assessments(self.broker, clock, self._library())
        self.settlements = Settlements(
            self.broker,
            clock,
            self.history,
            self.contracts,
            self.evidence,
            remembered=self.all_is_remembered,
            audit=self.audit,
        )
        self.contributions = Contributions(
            self.broker, clock, self.zone, self.records, self.storage.reporters, self.audit
        )
        self.commands = CommandDesk(self.broker, clock)
        self.presence = Presence(self.broker, clock)
        #: How bytes reach connectors, by the name that manifests use. Whoever runs the house fills it.
        self.transports: dict[str, Transport] = {}
        self._housekeeping: list[asyncio.Task[None]] = []
        self.connectors = ConnectorHost(
            self.broker,
            self.devices,
            self.parked,
            self.models,
            clock,
            [*self._connector_plugins(), *own_connectors],
            transports=self.transports,
            commands=self.commands,
            presence=self.presence,
        )

    async def begin(self) -> None:
        """Start the state and what remembers it: the city can be asked."""
        await self.broker.start()
        self.broker.follow(
            HISTORY, self._remembering.handle, durable=True, after=self._remembering.through, past=True
        )
        if self.between is not None:
            self.broker.follow(RELAY, self.between.relay.handle, durable=True, past=True)
            self.between.start()
        await self.devices.start()
        await self.federation.start()
        # Who subscribed to what is in a snapshot is told after a restart too.
        await self.snapshots.start()
        await self.subscriptions.start()
        await self.handed_on.start()
        # What somebody was promised to be erased is gone before anybody can ask for it.
        await self.erasure.resume()
        if self.line is not None:
            await self.line.start()

    async def live(self) -> None:
        """Start what decides and what feeds: the city moves."""
        await self.deliveries.start()
        await self.services.start()
        warming = Warming(self.broker, self.register)
        # They read a whole city; the columns that the first questions wait for come before.
        await self.indicators.start(warming.done)
        await self.connectors.start()
        self._housekeeping = [
            asyncio.create_task(self._keep_house(), name="housekeeping"),
            asyncio.create_task(self._keeping.run(), name="keeping the history"),
            asyncio.create_task(warming.run(), name="columns"),
        ]

    async def stop(self) -> None:
        """Stop what feeds, then what decides, then the state; nothing acknowledged is lost."""
        for task in self._housekeeping:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.connectors.stop()
        await self.indicators.stop()
        await self.services.stop()
        await self.deliveries.stop()
        if self.line is not None:
            await self.line.stop()
        await self.snapshots.stop()
        await self.handed_on.stop()
        await self.federation.stop()
        # A training may read weeks of history for many seconds; the last readings would wait behind it.
        self.store.interrupt_reading()
        if self.between is not None:
            self.between.leave()
        # Who stands by has the state at hand, and waits for this process to end.
        await self.broker.stop(folding=self.storage.standbys() == 0)
        if self.between is not None:
            await self.between.stop()
        await self.subscriptions.stop()
        await self.outbound.close()
        self.storage.close()

    async def _keep_house(self) -> None:
        """Once a day, and at the start: end what was left half done, forget what is no longer needed."""
        while True:
            try:
                await keep_close(self.broker)
                await self.records.sealing.keep_close()
                await self.contracts.resume()
                await self.reports.forget_contacts(self.clock.now() - CONTACTS_KEPT)
                await self.contributions.forget_contacts(self.clock.now() - CONTACTS_KEPT)
            except CityError as error:
                _log.warning("Housekeeping waits: %s", error)
            await asyncio.sleep(A_DAY_S)

    async def all_is_remembered(self) -> None:
        """Return once history tells what the state tells now. Raises NotReady when that takes too long."""
        await self._remembering.caught_up(self.broker.last_sequence)

    def _city_services(self) -> list[CityService]:
        wanted = self.configuration.services.items()
        return self._unbroken(partial(turned_on.city_service, self.plugins, *one) for one in wanted)

    def _frameworks(self) -> list[Framework]:
        wanted = self.configuration.frameworks
        return self._unbroken(partial(turned_on.framework, self.plugins, one, self.folder) for one in wanted)

    def _library(self) -> Library:
        """Every questionnaire and register that was found."""
        folders = [plugin.folder for plugin in self.plugins if plugin.kind == "assessments"]
        return library_of(self._unbroken(partial(read_assessment, folder) for folder in folders))

    def _connector_plugins(self) -> list[ConnectorPlugin]:
        wanted = self.configuration.connectors.items()
        found = self._unbroken(partial(turned_on.connector, self.plugins, *one) for one in wanted)
        for one in found:
            if one.failure:
                self._is_broken(BrokenPlugin(one.failure, hint="Tell its owner."))
        return found

    def _unbroken(self, readings: Iterable[Callable[[], _Read]]) -> list[_Read]:
        """What could be read; the city starts without the others."""
        found = []
        for read in readings:
            try:
                found.append(read())
            except BrokenPlugin as error:
                self._is_broken(error)
        return found

    def _is_broken(self, error: BrokenPlugin) -> None:
        self.broken.append(error)
        _log.error("%s", error)


def _classes(configuration: Configuration) -> ClassPolicy:
    classes = configuration.classes
    return ClassPolicy(
        {name: class_of(label, where=f"classes.{name}") for name, label in classes.types.items()},
        class_of(classes.default, where="classes.default"),
    )


def _figures(configuration: Configuration) -> dict[str, float]:
    """What indicators divide by, as far as city.toml tells it."""
    population = configuration.population
    told = {"inhabitants": population.inhabitants, "households": population.households}
    figures = {name: float(number) for name, number in told.items() if number is not None}
    return figures | configuration.figures


def models_of(plugins: list[Plugin]) -> DataModels:
    """The data models lie in the folder `models` of every package that has plugins."""
    roots = dict.fromkeys(plugin.folder.parent.parent / "models" for plugin in plugins)
    return read_models(root for root in roots if root.is_dir())
