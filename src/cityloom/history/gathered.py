"""What several remember of the same Entities, aggregated as one past (ETSI GS CIM 009, 5.7.4.4). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cityloom.history.extraction import stored_form
from cityloom.history.model import (
    SCOPE,
    Floats,
    Integers,
    Readings,
    Series,
    SeriesKey,
    Window,
    no_readings,
)
from cityloom.history.periods import Step
from cityloom.history.periodwise import aggregate_readings
from cityloom.history.temporal import TemporalEntity
from cityloom.history.temporal_aggregates import aggregates_of
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import parse_instant, to_millis
from cityloom.ngsild.model import Document, Instance, content
from cityloom.ngsild.temporal_query import TemporalWindow, TimeProperty


class Gathered:
    """Instances in columns.

    `evolutions` are Entities over time in the internal form, the most trusted first: of one instant of a
    dataset its instance counts. Instances without the time asked for, and those that tell of a deletion, are
    left out, and so is what history would not keep.
    """

    def __init__(self, evolutions: Iterable[Document], time_property: TimeProperty) -> None:
        self.series: list[Series] = []
        self.heads: dict[str, Document] = {}
        self._numbers: dict[SeriesKey, int] = {}
        self._seen: set[tuple[str, str, str, int]] = set()
        self._rows: list[tuple[int, int, int, float, str | None]] = []
        for document in evolutions:
            self._add(document, time_property)
        self._columns = self._as_columns()

    def extent(self, window: Window) -> tuple[int, int] | None:
        """The first and the last instant of a window, in milliseconds."""
        at = self.read(window).at
        return (int(at.min()), int(at.max())) if len(at) else None

    def read(self, window: Window) -> Readings:
        """The readings of a window, by series and time."""
        found = self._columns
        chosen = np.isin(found.series, window.series)
        if window.since is not None:
            chosen &= found.at >= window.since
        if window.until is not None:
            chosen &= found.at < window.until
        found = found.taken(np.flatnonzero(chosen))
        return found if window.last_n is None else _newest(found, window.last_n)

    def aggregate_series(self, window: Window, edges: Integers, methods: Sequence[str]) -> dict[str, Floats]:
        """For each method a row for each series of the window, in its order."""
        found = self.read(window)
        place = {number: row for row, number in enumerate(window.series.tolist())}
        rows = np.array([place[number] for number in found.series.tolist()], np.int64)
        return aggregate_readings(found, rows, found.at, edges, methods, len(place))

    def _add(self, document: Document, time_property: TimeProperty) -> None:
        entity_id = document["id"]
        head = self.heads.setdefault(entity_id, {"id": entity_id, "type": [], "attrs": {}})
        head["type"] = list(dict.fromkeys([*head["type"], *document["type"]]))
        for name, instances in document["attrs"].items():
            for instance in instances if name != SCOPE else ():
                at = _instant(instance, time_property)
                kept = None if at is None else stored_form(content(instance))
                mark = (entity_id, name, instance.get("datasetId", ""), at or 0)
                if at is None or kept is None or mark in self._seen:
                    continue
                self._seen.add(mark)
                kind, number, text = kept
                series = self._series_of(entity_id, name, instance)
                self._rows.append((series, at, kind, np.nan if number is None else number, text))

    def _series_of(self, entity_id: str, name: str, instance: Instance) -> int:
        dataset, unit = instance.get("datasetId", ""), instance.get("unitCode", "")
        key = SeriesKey("", entity_id, name, dataset, instance["type"], unit)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.series)
            self.series.append(Series(number, key, (), InformationClass.OPEN))
        return number

    def _as_columns(self) -> Readings:
        if not self._rows:
            return no_readings()
        self._rows.sort(key=lambda row: row[:2])
        series, at, kind, number, text = zip(*self._rows, strict=True)
        count = len(series)
        texts, nothing = np.empty(count, object), np.empty(count, object)
        texts[:] = text
        millis = np.array(at, np.int64)
        return Readings(
            series=np.array(series, np.int64),
            at=millis,
            kind=np.array(kind, np.uint8),
            number=np.array(number, np.float64),
            text=texts,
            sequence=np.zeros(count, np.int64),
            recorded_at=millis,
            observed=np.ones(count, np.bool_),
            details=nothing,
            instance=nothing,
            created_at=millis,
        )


def aggregate_gathered(
    evolutions: Iterable[Document],
    window: TemporalWindow,
    methods: Sequence[str],
    period: Step | None,
    *,
    last_n: int | None = None,
    named: Sequence[str] = (),
) -> list[TemporalEntity]:
    """The aggregates of what several remember, the most trusted first, by Entity.

    Raises as `aggregates_of`: TooComplexQuery, and InvalidRequest where no method says anything of what was
    `named`.
    """
    gathered = Gathered(evolutions, window.time_property)
    asked = Window(
        np.arange(len(gathered.series), dtype=np.int64),
        since=None if window.since is None else to_millis(window.since),
        until=None if window.until is None else to_millis(window.until),
        last_n=last_n,
    )
    found = aggregates_of(gathered, asked, gathered.series, methods, period, named)
    told: dict[str, list[Any]] = {entity_id: [] for entity_id in gathered.heads}
    for one in gathered.series:
        if one.id in found and any(found[one.id].methods.values()):
            told[one.key.entity_id].append(found[one.id])
    return [TemporalEntity(gathered.heads[one], tuple(said)) for one, said in told.items()]


def _instant(instance: Instance, time_property: TimeProperty) -> int | None:
    said = instance.get(time_property)
    if "deletedAt" in instance or said is None:
        return None
    try:
        return to_millis(parse_instant(said, where=time_property))
    except BadInput:
        return None


def _newest(found: Readings, count: int) -> Readings:
    """Of each series the last so many; `found` is ordered by series and time."""
    after = np.searchsorted(found.series, found.series, side="right") - np.arange(len(found.series))
    return found.taken(np.flatnonzero(after <= count))
