"""Runs a city in this process, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import uvloop

from cityloom.access.accounts import NewPassword
from cityloom.access.authority import OPEN_ACCESS_WARNING, check_open_access
from cityloom.adapters.http.context_documents import ContextDocuments
from cityloom.adapters.mqtt.bridge_client import MqttClient
from cityloom.adapters.mqtt.listener import MqttListener
from cityloom.adapters.mqtt.tls import TlsFiles
from cityloom.adapters.weasyprint.printer import WeasyPrinter
from cityloom.app.configuration import Configuration
from cityloom.app.configuration_tables import Mqtt
from cityloom.app.currency import currency_of
from cityloom.app.folder import CityFolder, write_private_json
from cityloom.app.health import ProcessHealth
from cityloom.app.house import House
from cityloom.app.logs import begin_logging
from cityloom.app.machine import (
    USUAL_MQTT_PORT,
    USUAL_PORT,
    HomeLock,
    give_memory_back,
    keep_memory_small,
    listening_socket,
    spare_collector,
    take_descriptors,
)
from cityloom.app.standing_by import StandingBy, StoodBy
from cityloom.kernel import spans
from cityloom.kernel.errors import AlreadyRunning, BadConfig
from cityloom.kernel.time import Clock, WallClock
from cityloom.sensing.connector_making import ConnectorPlugin
from cityloom.web.ngsild.context_store import ContextStore
from cityloom.web.ngsild.contexts_in_use import ContextsInUse
from cityloom.web.request_tally import RequestTally
from cityloom.web.rooms import City, MqttAddress, Pace, Rooms
from cityloom.web.server import Server
from cityloom.web.site import Site, build
from cityloom.web.standing_by import WhileHeld, may_speak

if TYPE_CHECKING:
    from cityloom.adapters.otlp.tracer import OtlpTracer

#: The transport of connectors that hear what devices publish to the city itself.
MQTT_LISTENER = "mqtt-listener"
#: Seconds that the announcement waits for the listener. What keeps a connector from starting stands on its
#: page; the rest of the city need not wait for it.
_LISTENING_S = 10.0


class Serving(msgspec.Struct, frozen=True):
    """Where a city is to listen; None: the usual port, or a free one when that is busy."""

    host: str = "127.0.0.1"
    port: int | None = None
    mqtt_port: int | None = None
    open_access: bool = False
    #: Wait while another process runs the city, and take it over once that one is gone.
    standby: bool = False
    #: How the log is written, and from which level on; "": as city.toml says.
    log_format: Literal["plain", "json", ""] = ""
    log_level: str = ""


class Demo(msgspec.Struct, frozen=True):
    """What a demo city adds to running."""

    clock: Clock
    pace: Pace
    origin: Literal["replayed", "simulated"]
    #: What every page says about the data, by language.
    badge: dict[str, str]
    connector: ConnectorPlugin
    #: Called once the state runs and before anything decides: the past, what there is to begin with, and
    #: the transport that feeds the city.
    prepare: Callable[[House], Coroutine[Any, Any, None]]
    #: Called when the city stops, to remember how far its time has come.
    remember: Callable[[], None]


def run_city(home: Path, configuration: Configuration, serving: Serving, demo: Demo | None = None) -> int:
    """Serve a city's folder until SIGINT or SIGTERM; returns the exit status. Raises BadConfig."""
    if serving.open_access:
        for host in (serving.host, configuration.mqtt.host or serving.host):
            check_open_access(host)
    give_memory_back()
    take_descriptors()
    folder = CityFolder(home)
    folder.make()
    log = configuration.log
    begin_logging(serving.log_format or log.format, serving.log_level or log.level, requests=log.requests)
    with (
        HomeLock(home),
        listening_socket(serving.host, serving.port, USUAL_PORT) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        while True:
            stood_by = None
            if serving.standby:
                waiting = StandingBy(folder, configuration, listener, _address_of(listener))
                stood_by = runner.run(waiting.wait())
                if stood_by is None:
                    return 0
            try:
                run = _Run(folder, configuration, serving, demo, listener, stood_by)
            except AlreadyRunning:
                if not serving.standby:
                    raise
                continue
            return runner.run(run.whole())


class _Run:
    """One run of a city, from the first file to the last."""

    def __init__(
        self,
        folder: CityFolder,
        configuration: Configuration,
        serving: Serving,
        demo: Demo | None,
        listener: socket.socket,
        stood_by: StoodBy | None = None,
    ) -> None:
        self.folder = folder
        self.serving = serving
        self.demo = demo
        self.listener = listener
        clock = demo.clock if demo else WallClock()
        #: Lets commands in other terminals of the same user in, for as long as the city runs.
        self.key = secrets.token_urlsafe(32)
        self.house = House(
            folder,
            configuration,
            clock,
            open_access=serving.open_access,
            local_key=self.key,
            own_connectors=[demo.connector] if demo else [],
            stood_by=stood_by,
        )
        self.requests = RequestTally(told=configuration.log.requests)
        self.tracing = _tracer(configuration)
        self.health = ProcessHealth(self.house, self.requests)
        self.mqtt = self._listener_for_devices(configuration.mqtt)
        self.house.transports["mqtt-client"] = MqttClient(self.house.clock)
        load = ContextDocuments(configuration.contexts.allow, inside=configuration.contexts.inside)
        self.contexts = ContextsInUse(
            load=load, store=ContextStore(self.house.register, configuration.quotas.contexts)
        )
        self.house.subscriptions.contexts = self.contexts.use
        self.house.federation.watching.contexts = self.contexts.use
        self.house.handed_on.contexts = self.contexts.use
        self.house.handed_on.address = configuration.federation.address.rstrip("/") or self._reached_at()
        self.site: Site = build(
            rooms_of(self.house, self.health, demo, self.mqtt, self.requests), contexts=self.contexts
        )
        self.keeping: asyncio.Task[None] | None = None
        self.server = Server(
            WhileHeld(self.site if self.tracing is None else self.tracing.around(self.site), self._speaks),
            before_stop=self.site.close,
            proxies=configuration.proxies,
            refused=self.requests.refused,
        )

    async def whole(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.server.stop)
        answering = asyncio.create_task(self.server.serve([self.listener]))
        try:
            starting = asyncio.create_task(self._start())
            await asyncio.wait((starting, answering), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting
            await answering
        finally:
            self.server.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await answering
            if self.keeping is not None:
                self.keeping.cancel()
            await self.health.stop()
            await self.house.stop()
            if self.tracing is not None:
                await asyncio.to_thread(self.tracing.close)
            if self.demo:
                self.demo.remember()
            self.folder.running.unlink(missing_ok=True)
        print(
            f"\n{self.house.configuration.name} has stopped. The same command goes on from here.", flush=True
        )
        return 0

    async def _start(self) -> None:
        await self.house.begin()
        await self.contexts.start()
        self.site.start()
        self.health.start()
        if self.demo:
            await self.demo.prepare(self.house)
        await self.house.live()
        spare_collector()
        self.keeping = asyncio.create_task(keep_memory_small(), name="memory")
        password = None
        if not self.serving.open_access:
            # Late, so that it is told when it is made: a start that is cut short must not swallow it.
            password = await self.house.accounts.first_administrator()
        await self._devices_are_let_in()
        self.health.starting = ""
        write_private_json(
            self.folder.running, {"address": self._address(), "process": os.getpid(), "key": self.key}
        )
        self._announce(password)

    async def _devices_are_let_in(self) -> None:
        """Wait for the listener, whose address is about to be told."""
        listener = self.house.transports.get(MQTT_LISTENER)
        if isinstance(listener, MqttListener):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LISTENING_S):
                    await listener.listens.wait()

    def _listener_for_devices(self, settings: Mqtt) -> MqttAddress | None:
        if not settings.enabled or not self._devices_are_heard():
            return None
        tls = _tls_files(settings)
        # The listener binds by itself; what is looked for here is a port that is free.
        host = settings.host or self.serving.host
        port_asked = self.serving.mqtt_port
        with listening_socket(host, port_asked, USUAL_MQTT_PORT, option="--mqtt-port") as probe:
            port = int(probe.getsockname()[1])
        self.house.transports[MQTT_LISTENER] = MqttListener(
            self.house.devices,
            self.house.commands,
            self.house.presence,
            self.house.clock,
            host=host,
            port=port,
            tls=tls,
        )
        return MqttAddress(port=port, tls=tls is not None)

    def _devices_are_heard(self) -> bool:
        """Whether a connector in city.toml takes what devices publish to the city's own listener."""
        wanted = {str(own.get("plugin", name)) for name, own in self.house.configuration.connectors.items()}
        return any(
            plugin.kind == "connectors"
            and plugin.id in wanted
            and plugin.manifest.get("transport") == MQTT_LISTENER
            for plugin in self.house.plugins
        )

    def _speaks(self) -> bool:
        """Whether what this process remembers may be told as how the city is."""
        storage = self.house.storage
        alone = not (self.serving.standby or storage.standbys())
        return may_speak(storage.unheld_s(), alone=alone)

    def _reached_at(self) -> str:
        """Where others reach the city when nobody says; "" where it listens on every address it has."""
        host = self.listener.getsockname()[0]
        return "" if ipaddress.ip_address(host).is_unspecified else self._address()

    def _address(self) -> str:
        return _address_of(self.listener)

    def _announce(self, password: NewPassword | None) -> None:
        """What a person at the terminal must know, in one piece."""
        lines = [f"{self.house.configuration.name} is running.", ""]
        if self.demo:
            lines[0] = f"{self.house.configuration.name} is running: {self.demo.badge['en']}."
        lines.append(f"  Pages and API   {self._address()}")
        if self.mqtt is not None:
            host = self.house.configuration.mqtt.host or self.serving.host
            lines.append(f"  MQTT            {host}:{self.mqtt.port}{' (TLS)' if self.mqtt.tls else ''}")
        if password is not None:
            lines.append(f"  Sign in         {password.name}   password {password.password}")
            lines.append("                  (shown this once; you will be asked for one of your own)")
        elif not self.serving.open_access:
            lines.append("  Sign in         as before (locked out? stop, then: cityloom account reset NAME)")
        lines.append(f"  Data            {self.folder.home.resolve()}")
        lines.append("  Stop            Ctrl+C")
        if self.serving.open_access:
            lines += ["", OPEN_ACCESS_WARNING]
        print("\n".join(lines), flush=True)
        if self.serving.open_access:
            print(OPEN_ACCESS_WARNING, file=sys.stderr, flush=True)


def _address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def rooms_of(
    house: House,
    health: ProcessHealth,
    demo: Demo | None,
    mqtt: MqttAddress | None,
    requests: RequestTally,
) -> Rooms:
    """The house as the pages see it."""
    configuration = house.configuration
    return Rooms(
        city=City(
            name=configuration.name,
            zone=house.zone,
            languages=configuration.languages,
            currency=currency_of(configuration),
            centre=(configuration.place.longitude, configuration.place.latitude),
            bounds=configuration.place.bounds,
            tiles=configuration.map.tiles,
            tiles_attribution=configuration.map.attribution,
            demo=demo.origin if demo else "",
            badge=demo.badge if demo else {},
        ),
        clock=house.clock,
        access=house.access,
        audit=house.audit,
        broker=house.broker,
        history=house.history,
        remembered=house.all_is_remembered,
        loading=house.loading,
        most_instances=configuration.history.instances,
        quotas=configuration.quotas,
        federation=house.federation,
        receiving=house.receiving,
        line=house.line.forwarding if house.line else None,
        subscriptions=house.subscriptions,
        handed_on=house.handed_on,
        snapshots=house.snapshots,
        alerts=house.alerts,
        notices=house.notices,
        reports=house.reports,
        deliveries=house.deliveries,
        erasure=house.erasure,
        lineage=house.lineage,
        devices=house.devices,
        connectors=house.connectors,
        parked=house.parked,
        models=house.models,
        checks_writes=configuration.models.check,
        services=house.services,
        indicators=house.indicators,
        initiatives=house.initiatives,
        records=house.records,
        plan=house.plan,
        assessments=house.assessments,
        contracts=house.contracts,
        settlements=house.settlements,
        contributions=house.contributions,
        health=health,
        requests=requests,
        printer=WeasyPrinter(),
        pace=demo.pace if demo else None,
        mqtt=mqtt,
    )


def _tracer(configuration: Configuration) -> OtlpTracer | None:
    """Where spans go, told to all rooms; None where nobody collects them. Raises BadConfig."""
    wanted = configuration.traces
    if not wanted.endpoint:
        return None
    try:
        from cityloom.adapters.otlp.tracer import OtlpTracer
    except ImportError:
        raise BadConfig(
            "Traces need libraries that are not installed",
            hint="Install them with `pip install cityloom[traces]`, or take [traces] out of city.toml.",
            where="city.toml: traces",
        ) from None
    tracer = OtlpTracer(
        wanted.endpoint,
        headers=wanted.headers,
        share=wanted.share,
        service=wanted.service,
        city=configuration.name,
    )
    spans.use(tracer)
    return tracer


def _tls_files(settings: Mqtt) -> TlsFiles | None:
    if not settings.tls_certificate:
        return None
    authority = Path(settings.client_authority) if settings.client_authority else None
    return TlsFiles(Path(settings.tls_certificate), Path(settings.tls_key), authority)
