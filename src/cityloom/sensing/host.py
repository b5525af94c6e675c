"""The host of the connectors: starts them, keeps them going, parks those that break, shows how they are."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from cityloom.access.authority import require
from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY, Actor
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import (
    BadConfig,
    BadInput,
    BrokenPlugin,
    CityError,
    NotAllowed,
    NotFound,
    NotReady,
)
from cityloom.kernel.media_types import JSON
from cityloom.kernel.time import Clock
from cityloom.sensing.commands import CommandDesk
from cityloom.sensing.connector_making import ConnectorPlugin, connector_name, make_connector
from cityloom.sensing.contract import Connector, ConnectorManifest, Listening, Settings, Transport
from cityloom.sensing.devices import REFUSAL, DeviceRegistry
from cityloom.sensing.inlet import CityInlet, State, settle
from cityloom.sensing.model import Message, Outcome
from cityloom.sensing.models import DataModels
from cityloom.sensing.newest import Newest
from cityloom.sensing.parked import ParkedReadings
from cityloom.sensing.presence import Presence

#: The transport of connectors that web hooks push to.
HTTP_PUSH = "http-push"
#: Bytes of one push.
LARGEST_PUSH = 1_048_576
#: Under this name the host follows the feed.
_STAGE = "sensing"
_FIRST_PAUSE = 1.0
_LAST_PAUSE = 60.0
#: Seconds between two looks for Commands that have lapsed.
_LAPSE_EVERY = 5.0

_log = logging.getLogger(__name__)


class ConnectorStatus(msgspec.Struct, frozen=True):
    """A connector as pages and the terminal show it. Counts are since the start of the city."""

    id: str
    title: str
    owner: str
    state: State
    place: str
    received: int
    stored: int
    parked: int
    last_message_at: datetime | None
    last_error: str
    last_error_at: datetime | None


class _Running:
    """A connector with what belongs to it."""

    def __init__(self, manifest: ConnectorManifest, settings: Settings, inlet: CityInlet) -> None:
        self.manifest = manifest
        self.settings = settings
        self.inlet = inlet
        self.connector: Connector | None = None
        self.task: asyncio.Task[None] | None = None


class ConnectorHost:
    """All connectors of the city."""

    def __init__(
        self,
        broker: Broker,
        registry: DeviceRegistry,
        parked: ParkedReadings,
        models: DataModels,
        clock: Clock,
        plugins: Sequence[ConnectorPlugin],
        *,
        transports: Mapping[str, Transport] | None = None,
        commands: CommandDesk | None = None,
        presence: Presence | None = None,
    ) -> None:
        """`transports` by the name that manifests use; `clock` tells the city's time."""
        self.commands = commands or CommandDesk(broker, clock)
        self.presence = presence or Presence(broker, clock)
        self._broker = broker
        self._registry = registry
        self._parked = parked
        self._models = models
        self._clock = clock
        self._plugins = {connector_name(plugin): plugin for plugin in plugins}
        self._transports = transports if transports is not None else {}
        self._newest = Newest(lambda entity_id: broker.find(CITY, entity_id))
        self._running: dict[str, _Running] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start every connector. One that cannot start is shown, and the others go on."""
        self.commands.start()
        self.presence.start()
        self._broker.follow(_STAGE, self._on_changes, durable=False)
        self._tasks = [asyncio.create_task(self.presence.run()), asyncio.create_task(self._lapse())]
        for name in self._plugins:
            self._begin(name)

    async def stop(self) -> None:
        """Stop every connector, and write what is noted of the devices."""
        await settle([running.task for running in self._running.values() if running.task])
        for running in self._running.values():
            running.inlet.tally.state = "stopped"
        await settle(self._tasks)
        self._tasks = []
        await self._broker.leave(_STAGE)
        try:
            await self.presence.flush()
        except NotReady as refused:
            # The next start takes every device for offline.
            _log.warning("States of devices are not written: %s", refused)

    async def restart(self, actor: Actor, connector_id: str) -> None:
        """Stop a connector and start it again. Raises NotFound, NotAllowed."""
        await self.stop_one(actor, connector_id)
        self._begin(connector_id)

    async def stop_one(self, actor: Actor, connector_id: str) -> None:
        """Stop a connector until it is started again, or the city is."""
        require(actor, "connectors:manage")
        running = self._find(connector_id)
        if running.task is not None:
            await settle([running.task])
            running.task = None
        running.inlet.tally.state = "stopped"

    async def start_one(self, actor: Actor, connector_id: str) -> None:
        """Start a connector that was stopped."""
        require(actor, "connectors:manage")
        if self._find(connector_id).inlet.tally.state in ("stopped", "broken"):
            await self.restart(actor, connector_id)

    def statuses(self) -> list[ConnectorStatus]:
        """How the connectors are getting on, by id."""
        return [_status(name, self._running[name]) for name in sorted(self._running)]

    async def push(
        self,
        connector_id: str,
        token: str,
        body: bytes,
        content_type: str = JSON,
        *,
        address: str = "",
    ) -> Outcome:
        """Hand in what a web hook brought. The token is the device's own.

        Raises NotFound for a connector that takes no pushes, NotAllowed for a wrong token, BadInput with the
        reason for a message that was parked, NotReady when nothing was stored.
        """
        running = self._running.get(connector_id)
        if running is None or running.manifest.transport != HTTP_PUSH or running.connector is None:
            raise NotFound(
                f"No connector {connector_id!r} takes messages here",
                hint="See the list of connectors.",
                where="path",
            )
        device = self._registry.device_for_token(token)
        if device is None:
            raise NotAllowed(REFUSAL, hint="Admit it in the register of devices and use its token.")
        if len(body) > LARGEST_PUSH:
            raise BadInput(
                f"A message of {len(body)} bytes",
                hint=f"Send at most {LARGEST_PUSH} bytes at a time.",
                where="body",
            )
        message = Message(
            connector_id, address or connector_id, body, self._clock.now(), device, content_type
        )
        outcome = await running.inlet.deliver(message)
        if outcome.refused:
            raise NotAllowed(outcome.reason, hint=outcome.hint)
        if outcome.parked:
            raise BadInput(outcome.reason, hint=f"{outcome.hint} The message is kept among the parked ones.")
        self.presence.heard(device.entity_id, message.received_at)
        return outcome

    async def retry(self, actor: Actor, parked_id: int) -> Outcome:
        """Try a parked reading again: it is stored, or parked again with the reason of today.

        Raises NotFound, NotAllowed; BadInput for one whose body was too long to be kept whole.
        """
        reading = await self._parked.find(actor, parked_id)
        if reading.truncated:
            raise BadInput(
                "This message was too long to be kept whole",
                hint="Let the device send it again.",
                where="body",
            )
        running = self._find(reading.connector)
        device = self._registry.find(reading.device) if reading.device else None
        if reading.device and device is None:
            raise NotAllowed(f"The device {reading.device} is not admitted", hint="Admit it first.")
        outcome = await running.inlet.deliver(
            Message(
                reading.connector, reading.address, reading.body, reading.at, device, reading.content_type
            )
        )
        await self._parked.discard(actor, [parked_id])
        return outcome

    def _begin(self, name: str) -> None:
        plugin = self._plugins[name]
        try:
            manifest, settings, connector = make_connector(plugin)
        except CityError as error:
            self._broken(name, plugin, error)
            return
        running = self._put(name, manifest, settings, connector)
        running.connector = connector
        running.inlet.tally.state = "starting"
        running.task = asyncio.create_task(self._run(name, running), name=f"connector {name}")

    def _put(
        self, name: str, manifest: ConnectorManifest, settings: Settings, connector: Connector
    ) -> _Running:
        inlet = CityInlet(
            name,
            connector,
            broker=self._broker,
            models=self._models,
            parked=self._parked,
            clock=self._clock,
            newest=self._newest,
        )
        before = self._running.get(name)
        if before is not None:
            inlet.tally = before.inlet.tally
        running = _Running(manifest, settings, inlet)
        self._running[name] = running
        return running

    def _broken(self, name: str, plugin: ConnectorPlugin, error: CityError) -> None:
        _log.error("Connector %s does not start: %s", name, error)
        said = plugin.manifest
        manifest = ConnectorManifest(
            id=name, title=str(said.get("title", name)), owner=str(said.get("owner", "")), sends=()
        )
        running = self._put(name, manifest, {}, _Nothing())
        running.inlet.troubled(str(error))
        running.inlet.tally.state = "broken"

    async def _run(self, name: str, running: _Running) -> None:
        """Keep a connector going; after a failure it is started again, at growing distance."""
        tally = running.inlet.tally
        pause = _FIRST_PAUSE
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._carry(name, running)
                return
            except BadConfig as error:
                _log.error("Connector %s stops: %s", name, error)
                running.inlet.troubled(str(error))
                tally.state = "broken"
                return
            except (CityError, OSError) as error:
                running.inlet.troubled(str(error))
                _log.warning("Connector %s is in trouble: %s", name, error)
            except Exception as error:  # noqa: BLE001 - a plugin may raise anything; the city goes on
                running.inlet.troubled(f"{type(error).__name__}: {error}")
                tally.state = "broken"
                _log.exception("Connector %s broke; its owner is %s", name, running.manifest.owner)
            if asyncio.get_running_loop().time() - began > 10 * pause:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads restarts
            pause = min(2 * pause, _LAST_PAUSE)

    async def _carry(self, name: str, running: _Running) -> None:
        transport, connector = running.manifest.transport, running.connector
        if transport == HTTP_PUSH:
            running.inlet.listening(f"POST {name}")
        elif transport:
            carrier = self._transports.get(transport)
            if carrier is None:
                known = ", ".join(sorted(self._transports)) or "none"
                raise BadConfig(
                    f"This city has no transport {transport!r}",
                    hint=f"It has {known}; look at its configuration.",
                    where=f"connectors.{name}",
                )
            await carrier.run(name, running.inlet, running.settings)
        elif isinstance(connector, Listening):
            await connector.listen(running.inlet)
        else:
            raise BadConfig(
                "A connector without transport and without `listen` hears nothing",
                hint="Name a transport in its manifest, or write `listen`.",
                where=f"connectors.{name}",
            )

    def _find(self, connector_id: str) -> _Running:
        running = self._running.get(connector_id)
        if running is None:
            raise NotFound(
                f"There is no connector {connector_id!r}", hint="See the list of connectors.", where="id"
            )
        return running

    async def _on_changes(self, changes: list[Change]) -> None:
        self.commands.see(changes)
        for change in changes:
            if change.kind is ChangeKind.DELETED:
                self._newest.forget(change.entity_id)

    async def _lapse(self) -> None:
        while True:
            await asyncio.sleep(_LAPSE_EVERY)
            try:
                await self.commands.lapse()
            except CityError as error:
                _log.warning("Commands that have lapsed wait: %s", error)


class _Nothing:
    """Stands in for a connector that could not be made."""

    def decode(self, message: Message) -> list[Any]:
        raise BrokenPlugin(
            f"The connector {message.connector} does not run", hint="See why in the list of connectors."
        )


def _status(name: str, running: _Running) -> ConnectorStatus:
    tally = running.inlet.tally
    return ConnectorStatus(
        id=name,
        title=running.manifest.title,
        owner=running.manifest.owner,
        state=tally.state,
        place=tally.place,
        received=tally.received,
        stored=tally.stored,
        parked=tally.parked,
        last_message_at=tally.last_message_at,
        last_error=tally.last_error,
        last_error_at=tally.last_error_at,
    )
