"""The Observations of Datastreams, read from history (OGC 18-088, 8.2.7)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np

from cityloom.history.model import Series, ValueKind, Window
from cityloom.history.queries import History
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import parse_instant, to_millis
from cityloom.kernel.units import convert
from cityloom.ngsild.errors import TooManyResults
from cityloom.web.sensorthings.filters import Binary, Expression, Literal, Path, conjuncts
from cityloom.web.sensorthings.mapping import observation
from cityloom.web.sensorthings.model import Row, Stream
from cityloom.web.sensorthings.options import Options, Order

#: Readings looked at for one answer.
MAX_READINGS = 200_000
TIMES = ("phenomenonTime", "resultTime")

_NUMBERS = (ValueKind.NUMBER, ValueKind.INTEGER)


class Span(NamedTuple):
    """Milliseconds, since <= time < until; None is open."""

    since: int | None = None
    until: int | None = None


class Observed(msgspec.Struct, frozen=True):
    """Observations in the order wanted; `total` of all in the span where it is known."""

    rows: list[Row]
    total: int | None = None


class Observations:
    """Reads for one asker."""

    def __init__(self, history: History, actor: Actor, tenant: str) -> None:
        self._history = history
        self._actor = actor
        self._tenant = tenant

    async def read(
        self, streams: Sequence[Stream], span: Span, wanted: int, *, newest: bool, count: bool = False
    ) -> Observed:
        """At most `wanted` Observations, the newest or the oldest first. Raises TooManyResults."""
        if newest and wanted * max(len(streams), 1) > MAX_READINGS:
            raise _too_many()
        return await asyncio.to_thread(self._read, streams, span, min(wanted, MAX_READINGS), newest, count)

    def _read(
        self, streams: Sequence[Stream], span: Span, wanted: int, newest: bool, count: bool
    ) -> Observed:
        by_series = self._series_of(streams)
        if not by_series:
            return Observed([], 0 if count else None)
        ids = np.array(list(by_series), np.int64)
        bounds = Window(ids, span.since, span.until, observed=True)
        replace = msgspec.structs.replace
        window = replace(bounds, last_n=wanted) if newest else replace(bounds, limit=wanted, by_time=True)
        found = self._history.read(window)
        rows = [
            (int(found.at[place]), one.stream, one.value(found.value(place), int(found.kind[place])))
            for place in range(len(found.at))
            if (one := by_series[int(found.series[place])]) is not None
        ]
        rows.sort(key=lambda row: row[0], reverse=newest)
        total = self._count(ids, span) if count else None
        return Observed([observation(stream, at, value) for at, stream, value in rows[:wanted]], total)

    def _count(self, ids: Any, span: Span) -> int:
        statistics = [one for one in self._history.count(ids) if one.count]
        if span == Span():
            return sum(one.observed for one in statistics)
        if not statistics:
            return 0
        first = span.since if span.since is not None else min(one.first for one in statistics)
        last = span.until if span.until is not None else max(one.last for one in statistics) + 1
        if last <= first:
            return 0
        edges = np.array([first, last], np.int64)
        window = Window(ids, first, last, observed=True)
        return int(self._history.aggregate_series(window, edges, ("totalCount",))["totalCount"].sum())

    def _series_of(self, streams: Sequence[Stream]) -> dict[int, _Source]:
        """The series of Datastreams, by their ids, with what brings their values into the unit of today."""
        wanted = {(one.thing, one.attribute, one.dataset): one for one in streams}
        things = list(dict.fromkeys(one.thing for one in streams))
        attributes = list(dict.fromkeys(one.attribute for one in streams))
        found: dict[int, _Source] = {}
        for one in self._history.series(self._actor, things, attributes, tenant=self._tenant):
            stream = wanted.get((one.key.entity_id, one.key.attribute, one.key.dataset))
            if stream is not None and one.key.attribute_type == "Property" and not one.retired:
                source = _source(stream, one)
                if source is not None:
                    found[one.id] = source
        return found


class _Source(NamedTuple):
    stream: Stream
    unit: str
    wanted: str

    def value(self, value: Any, kind: int) -> Any:
        """The value in the unit that the Datastream has now."""
        if self.unit == self.wanted or kind not in _NUMBERS:
            return value
        return convert(float(value), self.unit, self.wanted)


def _source(stream: Stream, series: Series) -> _Source | None:
    """None for a series in a unit that cannot be turned into today's: it is another quantity."""
    unit = series.key.unit_code
    now = (stream.instance or {}).get("unitCode", unit)
    if unit != now:
        try:
            convert(1.0, unit, now)
        except BadInput:
            return None
    return _Source(stream, unit, now)


def latest(stream: Stream) -> list[Row]:
    """The newest Observation, which is what the Entity says now."""
    item = stream.instance
    if item is None or "observedAt" not in item:
        return []
    return [
        observation(stream, to_millis(parse_instant(item["observedAt"], where="observedAt")), item["value"])
    ]


def asks_for_latest(options: Options) -> bool:
    """Whether nothing but the newest Observation is wanted."""
    alone = options.filter is None and not options.count and options.skip == 0
    return alone and options.top == 1 and by_time(options.order) == "newest"


def by_time(orders: Sequence[Order]) -> str:
    """oldest or newest first; "" for an order that is not by time. Without any it is oldest first."""
    if not orders:
        return "oldest"
    if len(orders) == 1 and len(orders[0].names) == 1 and orders[0].names[0] in TIMES:
        return "newest" if orders[0].descending else "oldest"
    return ""


def span_of(expression: Expression | None) -> tuple[Span, bool]:
    """The time in which the filter lets Observations lie, and whether it asks for nothing else."""
    since: int | None = None
    until: int | None = None
    alone = True
    for part in conjuncts(expression):
        bound = _bound(part)
        if bound is None:
            alone = False
            continue
        if bound.since is not None:
            since = bound.since if since is None else max(since, bound.since)
        if bound.until is not None:
            until = bound.until if until is None else min(until, bound.until)
    return Span(since, until), alone


_TURNED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge", "eq": "eq"}


def _bound(part: Expression) -> Span | None:
    if not isinstance(part, Binary) or part.operator not in _TURNED:
        return None
    left, operator, right = part.left, part.operator, part.right
    if isinstance(left, Literal):
        left, operator, right = right, _TURNED[operator], left
    if not isinstance(left, Path) or len(left.names) != 1 or left.names[0] not in TIMES:
        return None
    if not isinstance(right, Literal) or not isinstance(right.value, datetime):
        return None
    at, whole = to_millis(right.value), right.value.microsecond % 1000 == 0
    return {
        "gt": Span(since=at + 1),
        "ge": Span(since=at if whole else at + 1),
        "lt": Span(until=at if whole else at + 1),
        "le": Span(until=at + 1),
        "eq": Span(at, at + 1),
    }[operator]


def _too_many() -> TooManyResults:
    return TooManyResults(
        f"More than {MAX_READINGS} observations would have to be looked at",
        hint="Narrow it down: one Datastream, or $filter=phenomenonTime ge …",
        where="$filter",
    )


def check_all_were_seen(found: Observed) -> None:
    """Raises TooManyResults when there may be more than was looked at."""
    if len(found.rows) >= MAX_READINGS:
        raise _too_many()
