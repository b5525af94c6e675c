"""What all frameworks said at the end of each year, worked out anew of the values that are remembered.

The past is judged by the targets that stand now, so that a change of targets moves no course: the profile is
told with it. What was defined in another way then is not held against them, and an index goes by its
definition of that year.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, tzinfo

import msgspec

from cityloom.history.links import TYPE_TARGET
from cityloom.history.queries import History
from cityloom.indicators import scoring
from cityloom.indicators.framework import Framework, point_id
from cityloom.indicators.in_use import InUse
from cityloom.indicators.indices import index_told
from cityloom.indicators.model import TYPE, VALUE, DataPoint, Indicator
from cityloom.kernel.actor import ANONYMOUS
from cityloom.kernel.errors import NotFound
from cityloom.kernel.time import Clock

#: Years that are looked at, this one too.
YEARS = 10
#: Values of one year that are read at most: some hundred figures with a value a day.
_MOST_READINGS = 500_000
_Value = float | bool


class YearScore(msgspec.Struct, frozen=True):
    """A framework or a group of it at the end of a year."""

    year: int
    reported: int
    score: scoring.Score
    #: Of those reported: by an earlier definition, so held against no target of now.
    defined_otherwise: int = 0


class YearIndex(msgspec.Struct, frozen=True):
    """The composite index of a framework at the end of a year."""

    year: int
    #: 0 to 100, None where it cannot be told.
    score: float | None
    #: By which definition: "" where there is none.
    definition: str
    version: str


class FrameworkYears(msgspec.Struct, frozen=True):
    """A framework over the years; by the path of each of its groups too ("" for the whole)."""

    framework: str
    total: int
    profile: str
    groups: Mapping[str, tuple[YearScore, ...]]
    #: Empty where the framework has no index that one city can have alone.
    index: tuple[YearIndex, ...] = ()


class YearsFound(msgspec.Struct, frozen=True):
    """All frameworks over the years, and when that was worked out by the city's clock."""

    at: datetime
    years: tuple[int, ...]
    values: int
    frameworks: tuple[FrameworkYears, ...]
    #: The values of each data point by year, where it has any.
    series: Mapping[str, Mapping[int, float]]


class Years:
    """Works the years out in the background. A step of `total` is a year read or a framework scored."""

    def __init__(self, history: History, clock: Clock, frameworks: InUse, *, zone: tzinfo) -> None:
        self._history = history
        self._clock = clock
        self._frameworks = frameworks
        self._zone = zone
        self._task: asyncio.Task[None] | None = None
        self.found: YearsFound | None = None
        self.total = YEARS
        self.done = 0

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    def begin(self) -> None:
        """Begin to work them out, unless that is under way."""
        if not self.is_running:
            self.done, self.total = 0, YEARS + len(list(self._frameworks))
            self._task = asyncio.create_task(self._work(), name="indicators by year")

    async def finished(self) -> YearsFound | None:
        """What is found once the work that is under way has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])
        return self.found

    async def _work(self) -> None:
        now = self._clock.now()
        last = now.astimezone(self._zone).year
        years = tuple(range(last - YEARS + 1, last + 1))
        values: dict[str, dict[int, _Value]] = {}
        count = 0
        for year in years:
            newest, read = await asyncio.to_thread(self._read, year)
            for name, value in newest.items():
                values.setdefault(name, {})[year] = value
            count += read
            self.done += 1
        found = []
        for framework in self._frameworks:
            found.append(await asyncio.to_thread(framework_years, framework, values, years))
            self.done += 1
        series = {
            name: {year: float(value) for year, value in known.items() if not isinstance(value, bool)}
            for name, known in values.items()
        }
        self.found = YearsFound(now, years, count, tuple(found), series)

    def _read(self, year: int) -> tuple[dict[str, _Value], int]:
        """The newest value of each data point in a year, and how many were read. Blocking."""
        since, until = (datetime(one, 1, 2, tzinfo=self._zone) for one in (year, year + 1))
        target = TYPE_TARGET + TYPE
        try:
            readings = self._history.raw(
                ANONYMOUS, target, [VALUE], since, until, limit=_MOST_READINGS, dataset=""
            )
        except NotFound:
            return {}, 0
        newest: dict[str, tuple[datetime, _Value]] = {}
        for one in readings:
            if not isinstance(one.value, bool | int | float) or year_of(one.at, self._zone) != year:
                continue
            if one.entity_id not in newest or newest[one.entity_id][0] <= one.at:
                newest[one.entity_id] = (one.at, one.value)
        return {name: value for name, (_, value) in newest.items()}, len(readings)


def year_of(until: datetime, zone: tzinfo) -> int:
    """The year that a period belongs to by its end.

    What ends on the first day of a year is of the one before, also where midnight was another zone's.
    """
    local = until.astimezone(zone)
    return local.year - 1 if (local.month, local.day) == (1, 1) else local.year


def framework_years(
    framework: Framework, values: Mapping[str, Mapping[int, _Value]], years: Sequence[int]
) -> FrameworkYears:
    """The scores of a framework and of each of its groups at the end of each year. Pure."""
    told = _answered(framework, values)
    members: dict[str, list[tuple[Indicator, DataPoint]]] = {"": framework.points()}
    for indicator, point in framework.points():
        for depth in range(len(indicator.path)):
            members.setdefault("/".join(indicator.path[: depth + 1]), []).append((indicator, point))
    return FrameworkYears(
        framework=framework.id,
        total=len(members[""]),
        profile=framework.manifest.profile.id,
        groups={
            path: tuple(_year(framework, inside, told, year) for year in years)
            for path, inside in members.items()
        },
        index=tuple(_indices(framework, told, years)),
    )


def _indices(
    framework: Framework, told: Callable[[DataPoint, int], _Value | None], years: Sequence[int]
) -> Iterator[YearIndex]:
    other = {
        year: {
            point.id
            for indicator, point in framework.points()
            if framework.as_of(indicator, point, date(year, 12, 31))[2]
        }
        for year in years
    }
    for year in years:

        def said(point: DataPoint, year: int = year) -> _Value | None:
            return None if point.id in other[year] else told(point, year)

        found = index_told(framework, said, year)
        if found is not None:
            yield YearIndex(year, found.score, found.definition, found.version)


def _year(
    framework: Framework,
    inside: Sequence[tuple[Indicator, DataPoint]],
    told: Callable[[DataPoint, int], _Value | None],
    year: int,
) -> YearScore:
    reported, otherwise, points = 0, 0, []
    for indicator, point in inside:
        value = told(point, year)
        if value is None:
            continue
        reported += 1
        if framework.as_of(indicator, point, date(year, 12, 31))[2]:
            otherwise += 1
            continue
        if framework.manifest.scoring == "points" and point.benchmark is not None:
            percent = scoring.percent_of_target(value, point.benchmark)
            if percent is not None:
                points.append(scoring.points_of(percent))
    return YearScore(year, reported, scoring.score(points), otherwise)


def _answered(
    framework: Framework, values: Mapping[str, Mapping[int, _Value]]
) -> Callable[[DataPoint, int], _Value | None]:
    """What a data point says of a year: by itself, or by the same quantity in another framework."""

    def told(point: DataPoint, year: int) -> _Value | None:
        own = values.get(point.id, {}).get(year)
        if own is not None:
            return own
        for same in framework.same_as.get((point.code, point.key), ()):
            other = values.get(point_id(same.framework, same.code, same.point), {}).get(year)
            if other is not None:
                return other if isinstance(other, bool) else other * same.factor
        return None

    return told
