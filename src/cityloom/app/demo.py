"""A demo city as the running process sees it: opened, resumed, filled and played."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from cityloom.app.backfill import backfill
from cityloom.app.demo_agreements import DemoAgreements
from cityloom.app.demo_cities import open_city
from cityloom.app.demo_people import DemoPeople
from cityloom.app.demo_plan import DemoPlan
from cityloom.app.folder import CityFolder, read_json, write_private_json
from cityloom.app.house import House
from cityloom.app.progress import ShownProgress
from cityloom.app.running import Demo
from cityloom.context.publishing import working_id
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.errors import BadInput, CityError
from cityloom.kernel.time import format_instant, parse_instant
from cityloom.ngsild.model import value_of
from cityloom.sensing import replay as replay_connector
from cityloom.sensing.connector_making import ConnectorPlugin
from cityloom.sensing.contract import Inlet, Settings
from cityloom.sensing.demo_city import DemoCity, Progress
from cityloom.sensing.replay import Replay, ReplayClock

_log = logging.getLogger(__name__)

#: The transport that plays a demo city.
TRANSPORT = "demo-city"


class ReplayTransport:
    """Plays a demo city into its connector's inlet, and beside it what else goes on there."""

    def __init__(
        self, replay: Replay, beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    ) -> None:
        self._replay = replay
        self._beside = beside

    async def run(self, connector: str, inlet: Inlet, settings: Settings) -> None:  # noqa: ARG002 - a Transport
        """Play until cancelled."""
        tasks = [asyncio.create_task(one(), name="demo") for one in self._beside]
        try:
            await self._replay.run(inlet)
        finally:
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def open_demo(
    name: str,
    data: Path | None,
    packages: tuple[str, ...],
    *,
    begins: datetime | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> DemoCity:
    """The demo city asked for, or the first that can be had; `tell` hears why others could not."""
    opened = open_city(name, data, progress or ShownProgress(sys.stderr), packages=packages, begins=begins)
    for reason in opened.passed_over:
        tell(f"{reason.message} {reason.hint}")
    return opened.city


def resume_at(folder: CityFolder, city: DemoCity) -> datetime | None:
    """How far this folder's replay of the city had come; None when it never ran."""
    kept = read_json(folder.replay)
    if not kept or kept.get("city") != city.id:
        return None
    try:
        instant = parse_instant(kept.get("at"), where=str(folder.replay))
    except BadInput:
        return None
    return instant if city.source.start <= instant < city.source.end else None


def heard_through(house: House, city: DemoCity) -> datetime | None:
    """The newest observation of the demo city that is stored; None when there is none."""
    newest = ""
    for name in house.broker.types(CITY):
        for document in house.broker.of_type(CITY, name):
            if value_of(document, "dataOrigin") != city.source.origin:
                continue
            for items in document["attrs"].values():
                for item in items:
                    if "datasetId" not in item:
                        newest = max(newest, item.get("observedAt", ""))
    if not newest:
        return None
    instant = parse_instant(newest, where="observedAt")
    return instant if city.source.start <= instant < city.source.end else None


def demo_of(folder: CityFolder, city: DemoCity, speed: float | None) -> Demo:
    """What running needs to know of a demo city in its folder."""
    resumed = resume_at(folder, city)
    clock = ReplayClock(resumed or city.begins, speed or city.speed)
    replay = Replay(city.source, clock)

    prepared = False
    #: Whether the examples that are made while the city runs are all there.
    whole = (read_json(folder.replay) or {}).get("examples") is True and resumed is not None

    async def prepare(house: House) -> None:
        nonlocal prepared
        heard = heard_through(house, city)
        if resumed is None and (heard is None or heard <= city.begins):
            await _fill(house, city, clock.now())
        if heard is not None and heard > clock.now():
            # The process ended before it could write down how far it had come; what is stored tells.
            replay.seek(heard)
        beside: list[Callable[[], Coroutine[Any, Any, None]]] = []
        if city.confirms_after is not None:
            beside.append(DemoPeople(house.broker, house.deliveries, clock, city.confirms_after).run)
        if city.agreements and not whole:
            beside.append(partial(make_examples, house))
        house.transports[TRANSPORT] = ReplayTransport(replay, beside)
        _remember(folder, city, replay, whole=whole)
        prepared = True

    async def make_examples(house: House) -> None:
        nonlocal whole
        try:
            await _made_while_it_runs(house, city)
        except CityError as error:
            _log.warning("The examples of the plan are not whole: %s", error)
            return
        whole = True
        # How far its time has come is written down when the city stops.
        write_private_json(folder.replay, (read_json(folder.replay) or {}) | {"examples": True})

    def remember() -> None:
        # A city whose past was not loaded to its end begins again.
        if prepared:
            _remember(folder, city, replay, whole=whole)

    return Demo(
        clock=clock,
        pace=clock,
        origin=city.source.origin,
        badge=dict(city.badge),
        connector=_connector(city),
        prepare=prepare,
        remember=remember,
    )


def _connector(city: DemoCity) -> ConnectorPlugin:
    """The replay as one of the city's connectors: it is shown with them, and counts what it brings."""
    manifest = {
        "id": "demo_city",
        "title": f"{city.name}, {city.source.origin}",
        "owner": "@cityloom",
        "sends": ["*"],
        "transport": TRANSPORT,
    }
    return ConnectorPlugin(manifest, replay_connector, name="demo_city")


async def _fill(house: House, city: DemoCity, at: datetime) -> None:
    # The past first: a series that has begun takes none.
    shown = ShownProgress(sys.stderr)
    await asyncio.to_thread(backfill, city, house.store, at, shown)
    shown.end()
    seeds = await asyncio.to_thread(city.seeds, at)
    # The staff's working copies of what is planned are for the staff, as if they had been written here.
    inside = [one for one in seeds if one["id"] == working_id(one["id"])]
    shown_to_all = [one for one in seeds if one["id"] != working_id(one["id"])]
    for documents, information_class in ((shown_to_all, None), (inside, InformationClass.INTERNAL)):
        outcome = await house.broker.upsert_many(
            CITY, documents, update=True, information_class=information_class, trace=f"demo:{city.id}"
        )
        for entity_id, error in outcome.errors:
            raise BadInput(f"{entity_id}: {error.message}", hint=error.hint, where=f"cities/{city.id}")
    await house.records.sealing.keep_close()


async def _made_while_it_runs(house: House, city: DemoCity) -> None:
    """What goes through the rooms as real ones do: at once what readings tell, then what indicators tell."""
    agreements = DemoAgreements(house, city.agreements)
    plan = DemoPlan(house, city.agreements["plan"]) if "plan" in city.agreements else None
    await agreements.begin()
    if plan is not None:
        await plan.begin()
    await house.indicators.first_round.wait()
    await agreements.go_on()
    if plan is not None:
        await plan.go_on()


def _remember(folder: CityFolder, city: DemoCity, replay: Replay, *, whole: bool) -> None:
    at = format_instant(replay.clock.now())
    write_private_json(folder.replay, {"city": city.id, "at": at, "examples": whole})
