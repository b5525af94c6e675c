"""What indicators were before the city began to work them out, for those that an initiative is judged by.

One value for each day that history covers, from some weeks before the initiative began; a value that is known
stays. What can be told only of the present has no past: how many lights are in order now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo

from cityloom.context.broker import Broker
from cityloom.context.reading import instant
from cityloom.history.links import TYPE_TARGET
from cityloom.history.periods import Step, shifted
from cityloom.history.queries import History
from cityloom.indicators import measures as verbs
from cityloom.indicators.computing import Computing, due_at, last_day, point_of
from cityloom.indicators.framework import Framework
from cityloom.indicators.in_use import InUse
from cityloom.indicators.measures import AnyMeasure
from cityloom.indicators.model import VALUE, DataPoint, Measured
from cityloom.kernel.actor import CITY
from cityloom.kernel.time import Clock, from_millis
from cityloom.ngsild.model import value_of

#: An initiative's indicator is looked at from so long before it begins.
BEFORE = timedelta(days=28)
#: Days that are worked out for one indicator at most, the first ones.
MOST_DAYS = 180
#: Seconds of the machine's time between two days: others read history, too.
PAUSE_S = 0.1

_INITIATIVE = "Initiative"
#: These are worked out from readings, which history keeps.
_FromReadings = (
    verbs.Mean
    | verbs.AgainstReference
    | verbs.ShareOfTime
    | verbs.DaysAbove
    | verbs.Arrived
    | verbs.TotalOverFigure
)


class Past:
    """Works out what is missing of the past. Looks at each indicator once, and at a new beginning again."""

    def __init__(
        self,
        broker: Broker,
        history: History,
        clock: Clock,
        frameworks: InUse,
        computing: Computing,
        *,
        zone: tzinfo,
    ) -> None:
        self._broker = broker
        self._history = history
        self._clock = clock
        self._computing = computing
        self._zone = zone
        self._frameworks = frameworks
        #: From when on each indicator has been looked at.
        self._looked_from: dict[str, datetime] = {}

    async def fill(self) -> int:
        """Work out the days that are missing; returns how many values were written."""
        written = 0
        for framework, measure, point in self._measures():
            since = self._wanted_from(point)
            if since is None or since >= self._looked_from.get(point.id, self._clock.now()):
                continue
            found = await self._missing(framework, measure, point, since)
            if found:
                await self._computing.write_past(framework, measure, found)
            self._looked_from[point.id] = since
            written += len(found)
        return written

    def _measures(self) -> list[tuple[Framework, _FromReadings, DataPoint]]:
        return [
            (framework, measure, point_of(framework, measure)[1])
            for framework in self._frameworks
            for measure in framework.measures
            if isinstance(measure, _FromReadings) and not measure.until
        ]

    def _wanted_from(self, point: DataPoint) -> datetime | None:
        """Some weeks before the first initiative that aims at the indicator; None when there is none.

        Nor for a value that a person entered or verified: it stands as it is.
        """
        known = self._broker.find(CITY, point.id)
        if known is None or value_of(known, "verified") or value_of(known, "calculationMethod") == "manual":
            return None
        begins = []
        for one in self._broker.referrers(CITY, point.id):
            document = self._broker.find(CITY, one)
            if document is None or _INITIATIVE not in document["type"]:
                continue
            at = instant(document, "startsAt")
            if at is not None and value_of(document, "status") != "draft":
                begins.append(at - BEFORE)
        return min(begins, default=None)

    async def _missing(
        self, framework: Framework, measure: _FromReadings, point: DataPoint, since: datetime
    ) -> list[tuple[AnyMeasure, Measured]]:
        begun, known = await asyncio.to_thread(self._known, measure, point, since)
        if begun is None:
            return []
        found: list[tuple[AnyMeasure, Measured]] = []
        for until in list(self._days(since))[:MOST_DAYS]:
            # As it was worked out then.
            then = framework.measure_of(point, last_day(until, self._zone)) or measure
            if self._day_of(until) in known or self._computing.beginning(then, until) < begun:
                continue
            one = await self._computing.found_at(framework, then, until)
            if one is not None and one.rows and one.value is not None:
                found.append((then, one))
            await asyncio.sleep(PAUSE_S)
        return found

    def _known(
        self, measure: _FromReadings, point: DataPoint, since: datetime
    ) -> tuple[datetime | None, set[str]]:
        """When the readings begin, and the days of which there is a value. Blocking."""
        attribute = measure.alive if isinstance(measure, verbs.TotalOverFigure) else measure.attribute
        kept = self._history.statistics(CITY, TYPE_TARGET + measure.type, [attribute])
        values = self._history.raw(CITY, point.id, [VALUE], since, dataset="")
        begun = min((one.first for _, one in kept if one.observed), default=None)
        return None if begun is None else from_millis(begun), {self._day_of(one.at) for one in values}

    def _days(self, since: datetime) -> Iterator[datetime]:
        """The local midnights from an instant until today's."""
        newest, _ = due_at(self._clock.now(), Step(days=1), self._zone)
        day, _ = due_at(since, Step(days=1), self._zone)
        while day <= newest:
            yield day
            day = shifted(day.astimezone(self._zone), Step(days=1), 1).astimezone(newest.tzinfo)

    def _day_of(self, at: datetime) -> str:
        return at.astimezone(self._zone).date().isoformat()
