"""Wakes the city services, shows them the world, writes down what they say and why."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from cityloom.kernel.actor import Actor
from cityloom.kernel.change import Change
from cityloom.kernel.errors import BrokenPlugin, CityError, NotAllowed, NotFound, NotReady
from cityloom.kernel.time import Clock
from cityloom.services.contract import Trained
from cityloom.services.deadline import in_thread
from cityloom.services.manifest import local_day, settings_on
from cityloom.services.occasions import Occasions
from cityloom.services.plugin import CityService
from cityloom.services.ports import Context, ParameterStore, Series
from cityloom.services.recording import Recorder, trace_of
from cityloom.services.seeing import documents_seen, views_seen
from cityloom.services.timetable import Timetable
from cityloom.services.training import TrainingPlan, learn
from cityloom.services.world import View, World
from cityloom.services.writing import Writer, Written

#: A service that fails so often in a row is parked; a broken one at once.
FAILURES_BEFORE_PARKED = 3
STAGE = "services"
#: Machine seconds that history may be behind.
HISTORY_PATIENCE_S = 20.0
MANAGE = "services:manage"

State = Literal["waiting", "working", "failing", "parked"]


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a service is doing."""

    id: str
    title: dict[str, str]
    summary: dict[str, str]
    owner: str
    state: State
    #: Instants of the city's time.
    last_run: datetime | None
    next_run: datetime | None
    missed: datetime | None
    woken_by: str
    #: Machine seconds of the last decision, reading history included.
    duration_s: float
    facts: int
    looked_at: int
    error: str
    #: Where its parameters come from.
    provenance: dict[str, str]


class FiledService(msgspec.Struct, frozen=True):
    """A service by the domain that it belongs to; "" where its manifest names none."""

    id: str
    title: dict[str, str]
    domain: str


class _Running:
    """One service while the city runs."""

    def __init__(self, service: CityService, zone: ZoneInfo) -> None:
        self.service = service
        self.timetable = Timetable(service.manifest.wakes_on, zone)
        self.trained: Trained | None = None
        self.plan = TrainingPlan(service.manifest.training)
        self.turn = asyncio.Lock()
        self.state: State = "waiting"
        self.failures = 0
        self.rests_until = float("-inf")
        self.error = ""
        self.last_run: datetime | None = None
        self.woken_by = ""
        self.duration_s = 0.0
        self.facts = 0
        self.looked_at = 0


class ServiceHost:
    """The host of the city services. One instance in a city; lives on the event loop."""

    def __init__(
        self,
        context: Context,
        series: Series,
        clock: Clock,
        services: Sequence[CityService],
        *,
        zone: ZoneInfo,
        store: ParameterStore,
        remembered: Callable[[], Awaitable[None]] | None = None,
        tick_s: float = 0.25,
        rest_s: float = 2.0,
    ) -> None:
        """`remembered` returns once history has taken in what is in the state, so that both tell the same.

        `tick_s`: machine seconds between two looks at the city's clock, whose speed may change. `rest_s`:
        machine seconds before a decision is tried again that nobody is to blame for.
        """
        self._context = context
        self._series = series
        self._clock = clock
        self._zone = zone
        self._store = store
        self._remembered = remembered
        self._tick_s = tick_s
        self._rest_s = rest_s
        self._running = {service.id: _Running(service, zone) for service in services}
        self._occasions = Occasions()
        self._recorder = Recorder(context, self._occasions)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Find open occasions and kept parameters, then wake the services as their manifests say."""
        await self.prepare()
        if any(item.service.manifest.wakes_on.changes for item in self._running.values()):
            self._context.follow(STAGE, self._on_changes, durable=True)
        for running in self._running.values():
            self._tasks.append(asyncio.create_task(self._keep_time(running)))
            if running.service.manifest.training is not None:
                self._tasks.append(asyncio.create_task(self._keep_learning(running)))

    async def prepare(self) -> None:
        """What `start` does before anything wakes: open occasions, parameters."""
        self._occasions.load(self._context)
        for running in self._running.values():
            try:
                running.trained = await asyncio.to_thread(self._store.load, running.service.id)
            except CityError as error:
                # Shipped parameters serve until the next training replaces what cannot be read.
                running.error = str(error)

    async def stop(self) -> None:
        """Wake nobody any more; a decision under way is not written."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()

    async def run_due(self) -> None:
        """One look at the city's clock: decides whatever is due, and returns when it is written."""
        await asyncio.gather(*(self._look(running) for running in self._running.values()))

    async def train_due(self) -> None:
        """One look at who should learn; returns when they have."""
        await asyncio.gather(*(self._learn(running) for running in self._running.values()))

    async def run_now(self, actor: Actor, service_id: str) -> ServiceStatus:
        """Let a service decide at once. Raises NotAllowed, NotFound."""
        running = self._managed(actor, service_id)
        await self._decide(running, self._clock.now(), "hand")
        return self._status(running)

    async def resume(self, actor: Actor, service_id: str) -> ServiceStatus:
        """Take a service out of the park and let it decide. Raises NotAllowed, NotFound."""
        running = self._managed(actor, service_id)
        running.state, running.failures, running.error = "waiting", 0, ""
        return await self.run_now(actor, service_id)

    def status(self) -> list[ServiceStatus]:
        """All services, by id."""
        return [self._status(self._running[name]) for name in sorted(self._running)]

    def filed(self, actor: Actor) -> list[FiledService]:
        """The services that see no more than the actor may, by id, each with its domain."""
        found = [self._running[name].service for name in sorted(self._running)]
        return [
            FiledService(one.id, one.messages.title(), one.manifest.domain)
            for one in found
            if actor.sees(one.manifest.information_class)
        ]

    # Waking

    async def _keep_time(self, running: _Running) -> None:
        while True:
            await self._look(running)
            await asyncio.sleep(self._tick_s)

    async def _keep_learning(self, running: _Running) -> None:
        while True:
            await self._learn(running)
            await asyncio.sleep(self._tick_s)

    async def _look(self, running: _Running) -> None:
        if time.monotonic() < running.rests_until:
            return
        for slot in running.timetable.due(self._clock.now()):
            if not await self._decide(running, slot.at, slot.name):
                running.timetable.again(slot)
                running.rests_until = time.monotonic() + self._rest_s

    async def _on_changes(self, changes: list[Change]) -> None:
        wakes: list[Coroutine[Any, Any, bool]] = []
        for running in self._running.values():
            types = set(running.service.manifest.wakes_on.changes)
            own = trace_of(running.service.id)
            changed = frozenset(
                change.entity_id
                for change in changes
                # What a service wrote itself does not wake it again.
                if types.intersection(change.types) and not change.trace.startswith(own)
            )
            if changed:
                wakes.append(self._decide(running, self._clock.now(), "changes", changed))
        await asyncio.gather(*wakes)

    # Deciding

    async def _decide(
        self, running: _Running, at: datetime, woken_by: str, changed: frozenset[str] = frozenset()
    ) -> bool:
        """False when it could not decide and nobody was at fault."""
        async with running.turn:
            if running.state == "parked":
                return True
            began = time.perf_counter()
            try:
                written = await self._think(running, at, woken_by, changed)
                refused = await self._recorder.record(running.service.manifest, written, at)
            except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and the city goes on
                self._failed(running, error)
                if isinstance(error, NotReady):
                    return False
            else:
                running.state, running.failures, running.error = "working", 0, refused
                running.facts = written.facts
            running.last_run, running.woken_by = at, woken_by
            running.duration_s = time.perf_counter() - began
            return True

    async def _think(
        self, running: _Running, at: datetime, woken_by: str, changed: frozenset[str]
    ) -> Written:
        service = running.service
        views = await self._look_around(service, at)
        occasions = self._occasions.of(service.id)
        trained = self._trained(running)

        def think() -> tuple[Written, int]:
            world = World(
                service.manifest,
                views,
                settings=settings_on(service.manifest, local_day(at, self._zone), service.overrides),
                zone=self._zone,
                messages=service.messages,
                parameters=None if trained is None else trained.arrays,
                provenance=None if trained is None else trained.provenance,
                woken_by=woken_by,
                changed=changed,
                open_alerts=frozenset(occasions),
            )
            facts = list(service.service.decide(world, at))
            return Writer(service.manifest, world, at, occasions).write(facts), world.looks

        written, running.looked_at = await in_thread(
            think, name=f"service {service.id}", deadline_s=service.manifest.deadline_s
        )
        return written

    def _failed(self, running: _Running, error: Exception) -> None:
        running.error = _told(error, running.service.manifest.deadline_s)
        if isinstance(error, NotReady):
            return
        running.failures += 1
        # One that overran its deadline may be running still: it gets no second thread.
        at_once = isinstance(error, BrokenPlugin | TimeoutError)
        parked = at_once or running.failures >= FAILURES_BEFORE_PARKED
        running.state = "parked" if parked else "failing"

    async def _look_around(self, service: CityService, at: datetime) -> dict[str, View]:
        """What the service may see. Raises NotReady when history does not answer in time."""
        try:
            async with asyncio.timeout(HISTORY_PATIENCE_S):
                if self._remembered is not None:
                    await self._remembered()
                documents = documents_seen(service.manifest, self._context)
                return await in_thread(
                    lambda: views_seen(service.manifest, documents, self._series, at),
                    name=f"view of {service.id}",
                    deadline_s=HISTORY_PATIENCE_S,
                )
        except TimeoutError:
            raise NotReady("History does not answer in time", hint="It is tried again.") from None

    # Learning

    def _trained(self, running: _Running) -> Trained | None:
        """The parameters in force: learned ones, unless they were learned after the city's now."""
        if running.plan.from_the_future(running.trained, self._clock.now()):
            return running.service.shipped
        return running.trained or running.service.shipped

    async def _learn(self, running: _Running) -> None:
        now = self._clock.now()
        if running.state == "parked" or not running.plan.due(running.trained, now):
            return
        service = running.service
        documents = documents_seen(service.manifest, self._context)
        settings = settings_on(service.manifest, local_day(now, self._zone), service.overrides)
        try:
            trained = await in_thread(
                lambda: learn(service, documents, self._series, settings, self._zone, now),
                name=f"training {service.id}",
                deadline_s=running.plan.deadline_s,
            )
            if trained is not None:
                await asyncio.to_thread(self._store.save, service.id, trained)
                running.trained = trained
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and the city goes on
            running.error = f"Training: {_told(error, running.plan.deadline_s)}"

    # Status

    def _managed(self, actor: Actor, service_id: str) -> _Running:
        if not actor.may(MANAGE):
            raise NotAllowed("You may not manage services", hint="Ask an administrator.")
        if service_id not in self._running:
            raise NotFound(
                f"There is no service {service_id!r}", hint=f"There are: {', '.join(sorted(self._running))}."
            )
        return self._running[service_id]

    def _status(self, running: _Running) -> ServiceStatus:
        service, trained = running.service, self._trained(running)
        parked = running.state == "parked"
        return ServiceStatus(
            id=service.id,
            title=service.messages.title(),
            summary=service.messages.summary(),
            owner=service.manifest.owner,
            state=running.state,
            last_run=running.last_run,
            next_run=None if parked else running.timetable.next_due(self._clock.now()),
            missed=running.timetable.missed,
            woken_by=running.woken_by,
            duration_s=running.duration_s,
            facts=running.facts,
            looked_at=running.looked_at,
            error=running.error,
            provenance={} if trained is None else dict(trained.provenance),
        )


def _told(error: Exception, deadline_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"It took longer than its {deadline_s:g} s. It is looked at again when somebody resumes it."
    return str(error) if isinstance(error, CityError) else f"{type(error).__name__}: {error}"
