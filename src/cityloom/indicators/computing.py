"""Works the bound indicators out, again and again by the city's time, and writes them as Entities."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from functools import partial

import msgspec

from cityloom.context.broker import Broker
from cityloom.context.editing import Editing
from cityloom.history.periods import Step, parse_step, shifted
from cityloom.history.queries import History
from cityloom.indicators import writing
from cityloom.indicators.districts.measuring import by_district, has_places
from cityloom.indicators.districts.places import District
from cityloom.indicators.districts.values import DistrictValues
from cityloom.indicators.framework import Framework
from cityloom.indicators.in_use import InUse
from cityloom.indicators.measures import AnyMeasure, OpenTypes
from cityloom.indicators.measuring import work_out
from cityloom.indicators.model import VALUE, DataPoint, Indicator, Measured
from cityloom.indicators.view import Documents, View
from cityloom.kernel.actor import ANONYMOUS, CITY, Actor, InformationClass
from cityloom.kernel.time import Clock
from cityloom.ngsild.model import Document

_log = logging.getLogger(__name__)

_SEES = {
    "open": frozenset({InformationClass.OPEN}),
    "internal": frozenset({InformationClass.OPEN, InformationClass.INTERNAL}),
}
#: After this time, or half of a shorter step, a value is worked out again: readings that came late are in it.
SETTLED_AFTER = timedelta(hours=1)
_TRACE = "indicators:computed"
#: What has to be written so that an Entity says something.
_Decide = Callable[[Document, writing.Attributes], writing.Attributes]
_Documents = dict[tuple[str, str], Sequence[Document]]


class Trouble(msgspec.Struct, frozen=True):
    """A measure that failed, shown on the page of its indicator until it works again."""

    point_id: str
    error: str
    at: datetime


class Computing:
    """Keeps the Entities of all data points up to date. Works the same result out from the same data."""

    def __init__(
        self,
        broker: Broker,
        history: History,
        clock: Clock,
        frameworks: InUse,
        *,
        zone: tzinfo,
        figures: Mapping[str, float],
        editing: Editing,
        districts: DistrictValues,
    ) -> None:
        self._broker = broker
        self._history = history
        self._clock = clock
        self._frameworks = frameworks
        self._zone = zone
        self._figures = figures
        self._editing = editing
        self._districts = districts
        #: Until when each measure was worked out, and whether late readings had their time.
        self._through: dict[str, tuple[datetime, bool]] = {}
        self._troubles: dict[str, Trouble] = {}
        self._turn = asyncio.Lock()

    @property
    def troubles(self) -> Mapping[str, Trouble]:
        """The measures that failed last time, by the id of the data point."""
        return self._troubles

    async def publish_all(self) -> None:
        """Write every data point that has no Entity yet, and what the framework says of the others."""
        for framework in self._frameworks:
            for indicator, point in framework.points():
                attributes = writing.static(framework, indicator, point)
                if self._broker.find(CITY, point.id) is None:
                    attributes = writing.unreported() | attributes
                await self.write(point, attributes)

    async def tick(self, *, rest: float = 0.0) -> int:
        """Work out what is due by the city's time; returns how many values were looked at.

        After each of them it rests so many times as long as it worked.
        """
        async with self._turn:
            now = self._clock.now()
            due = [
                (framework, measure, until, settled)
                for framework in self._frameworks
                for measure in framework.measures
                for until, settled in [due_at(now, parse_step(measure.every), self._zone)]
                if self._through.get(_key(framework, measure)) != (until, settled)
                and measure is framework.measure_of(point_of(framework, measure)[1], self._day_of(until))
            ]
            documents: _Documents = {}
            for framework, measure, until, settled in due:
                begun = time.monotonic()
                await self._compute(framework, measure, until, documents)
                self._through[_key(framework, measure)] = until, settled
                await asyncio.sleep(rest * (time.monotonic() - begun))
        return len(due)

    def beginning(self, measure: AnyMeasure, until: datetime) -> datetime:
        """Since when a measure looks at what happened until an instant."""
        return _before(until, parse_step(measure.period), self._zone)

    async def found_at(self, framework: Framework, measure: AnyMeasure, until: datetime) -> Measured | None:
        """What a measure finds in an earlier period; None when it fails or finds too little."""
        _, point, _ = self._defined(framework, measure, until)
        view = self._view(measure, point, until, {})
        try:
            found = await asyncio.to_thread(work_out, measure, view)
        except Exception as error:  # noqa: BLE001 - the present value tells of the trouble
            _log.warning("The measure of %s failed for %s", point.id, until, exc_info=error)
            return None
        return found if _is_enough(measure, found) else None

    async def write_past(
        self, framework: Framework, measure: AnyMeasure, found: Sequence[tuple[AnyMeasure, Measured]]
    ) -> None:
        """Write what measures found of earlier periods, the oldest first, and then how things are now again.

        `measure` is the one that stands.
        """
        async with self._turn:
            for then, one in found:
                await self._say(framework, then, one)
            until, _ = due_at(self._clock.now(), parse_step(measure.every), self._zone)
            await self._compute(framework, measure, until, {})

    async def rejudge(self, framework: Framework) -> None:
        """Hold the values that stand against the targets that stand."""
        for _, point in framework.points():
            document = self._broker.find(CITY, point.id)
            if document is not None and VALUE in document["attrs"]:
                decide = partial(writing.rejudged, framework, point=point)
                await self._editing.edit(CITY, point.id, decide, trace="indicators:targets")

    async def write(
        self, point: DataPoint, attributes: writing.Attributes, edits: _Decide = writing.edits
    ) -> None:
        """Let the Entity of a data point say this. Nothing is written when it does already."""
        if self._broker.find(CITY, point.id) is None:
            await self._broker.create(CITY, writing.new_entity(point, attributes), trace=_TRACE)
            return
        await self._editing.edit(CITY, point.id, lambda document: edits(document, attributes), trace=_TRACE)

    async def _compute(
        self, framework: Framework, measure: AnyMeasure, until: datetime, documents: _Documents
    ) -> None:
        _, point, _ = self._defined(framework, measure, until)
        view = self._view(measure, point, until, documents)
        try:
            found = await asyncio.to_thread(work_out, measure, view)
            places = await self._in_districts(measure, view)
        except Exception as error:  # noqa: BLE001 - one broken measure must not stop the others
            _log.warning("The measure of %s failed", point.id, exc_info=error)
            self._troubles[point.id] = Trouble(point.id, f"{type(error).__name__}: {error}", until)
            return
        self._troubles.pop(point.id, None)
        await self._say(framework, measure, found)
        for district, one in places:
            await self._districts.say(
                point.id,
                district,
                one,
                reported=_is_enough(measure, one),
                comparable=measure.comparable,
            )

    async def _in_districts(self, measure: AnyMeasure, view: View) -> list[tuple[District, Measured]]:
        """The same by district, where there are any that the measure may see."""
        districts = self._districts.districts(view.actor) if has_places(measure) else []
        if not districts:
            return []
        return await asyncio.to_thread(lambda: list(by_district(measure, view, districts)))

    def _day_of(self, until: datetime) -> date:
        """The last day of a period that ends at an instant."""
        return last_day(until, self._zone)

    def _defined(
        self, framework: Framework, measure: AnyMeasure, until: datetime
    ) -> tuple[Indicator, DataPoint, str]:
        """What a measure works out, as it was defined for a period."""
        return framework.as_of(*point_of(framework, measure), self._day_of(until))

    async def _say(self, framework: Framework, measure: AnyMeasure, found: Measured) -> None:
        _, point, definition = self._defined(framework, measure, found.until)
        attributes = writing.computed(
            framework,
            point,
            found,
            reported=_is_enough(measure, found),
            comparable=measure.comparable,
            now=self._clock.now(),
            definition=definition,
        )
        standing = writing.static(framework, *point_of(framework, measure))
        await self.write(point, standing | attributes, writing.worked_out)

    def _view(self, measure: AnyMeasure, point: DataPoint, until: datetime, documents: _Documents) -> View:
        actor = Actor(id="indicators", name="Indicators", clearance=_SEES[measure.sees])
        open_types = self._broker.types(ANONYMOUS)
        names = measure.types()
        for name in names:
            if (measure.sees, name) not in documents:
                documents[measure.sees, name] = Documents(self._broker.kept_of_type(actor, name))
        looked_at = {name: documents[measure.sees, name] for name in names}
        if isinstance(measure, OpenTypes):
            looked_at = {name: self._one_of(name) for name in open_types}
        return View(
            actor=actor,
            since=self.beginning(measure, until),
            until=until,
            zone=self._zone,
            history=self._history,
            documents=looked_at,
            open_types=open_types,
            figures=self._figures,
            unit_code=point.unit_code,
        )

    def _one_of(self, type_name: str) -> list[Document]:
        """The first Entity of a type: tells where they come from without reading them all."""
        first = self._broker.first_of_type(ANONYMOUS, type_name)
        return [] if first is None else [first]


def last_day(until: datetime, zone: tzinfo) -> date:
    """The last day of a period that ends at an instant."""
    return (until - timedelta(seconds=1)).astimezone(zone).date()


def due_at(now: datetime, step: Step, zone: tzinfo) -> tuple[datetime, bool]:
    """The newest instant at which something that happens every `step` is due: by days, local midnight.

    And whether readings that came late have had their time since.
    """
    if step.by_calendar:
        local = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        until, patience = local.astimezone(now.tzinfo), SETTLED_AFTER
    else:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        until = midnight + (now - midnight) // step.fixed * step.fixed
        patience = min(SETTLED_AFTER, step.fixed / 2)
    return until, now - until >= patience


def _is_enough(measure: AnyMeasure, found: Measured) -> bool:
    return found.coverage is None or found.coverage >= measure.minimum_coverage


def _before(until: datetime, period: Step, zone: tzinfo) -> datetime:
    """The beginning of a period that ends at an instant, by the city's calendar."""
    return shifted(until.astimezone(zone), period, -1).astimezone(until.tzinfo)


def point_of(framework: Framework, measure: AnyMeasure) -> tuple[Indicator, DataPoint]:
    """What a measure works out."""
    wanted = (measure.code, measure.point)
    return next(pair for pair in framework.points() if (pair[1].code, pair[1].key) == wanted)


def _key(framework: Framework, measure: AnyMeasure) -> str:
    return f"{framework.id}:{measure.code}:{measure.point}:{measure.until}"
