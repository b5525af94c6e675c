"""The aggregated temporal representation (ETSI GS CIM 009, 4.5.19): from series to aggregates by period."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
import numpy as np

from cityloom.history.aggregation import Nature, aggregate_values, nature_of
from cityloom.history.logic import bucket_of
from cityloom.history.model import Floats, Integers, Readings, Series, Window
from cityloom.history.periods import Step, edges_from
from cityloom.history.ports import COUNTS, TEXT_COUNT
from cityloom.history.temporal_filters import MOST_EXAMINED
from cityloom.kernel.time import from_millis
from cityloom.ngsild.errors import InvalidRequest, TooComplexQuery

#: Aggregates in one answer: attributes times methods times periods.
MOST_AGGREGATES = 1_000_000

#: One aggregate: value, beginning and end of its period.
Aggregate = tuple[Any, datetime, datetime]


class AttributeAggregates(msgspec.Struct, frozen=True):
    """Aggregates of one attribute instance: for each method those of each period with any."""

    name: str
    attribute_type: str
    dataset: str
    methods: dict[str, list[Aggregate]]


class Aggregable(Protocol):
    """A past that can be aggregated: what is remembered here, or what several have told."""

    def extent(self, window: Window) -> tuple[int, int] | None:
        """The first and the last instant of a window, in milliseconds."""
        ...

    def read(self, window: Window) -> Readings:
        """The readings of a window."""
        ...

    def aggregate_series(self, window: Window, edges: Integers, methods: Sequence[str]) -> dict[str, Floats]:
        """For each method a row for each series of the window, a column for each period."""
        ...


def aggregates_of(
    history: Aggregable,
    window: Window,
    series: Sequence[Series],
    methods: Sequence[str],
    period: Step | None,
    named: Sequence[str] = (),
) -> dict[int, AttributeAggregates]:
    """The aggregates of each series, by its number.

    Periods are counted from the window's beginning, where it has one, else from the first instance. Raises
    TooComplexQuery, and InvalidRequest when no method says anything of an attribute that was `named`.
    """
    extent = history.extent(window)
    if extent is None:
        return {}
    since = extent[0] if window.since is None else window.since
    until = extent[1] + 1 if window.until is None else window.until
    edges = edges_from(from_millis(since), from_millis(until), period, first=from_millis(extent[0]))
    _check_size(len(series) * len(methods) * (len(edges) - 1))
    found = history.aggregate_series(window, edges, [*methods, TEXT_COUNT])
    texts = _of_texts(history, window, series, edges, methods, found[TEXT_COUNT])
    ends = edges[1:].tolist()
    if window.until is not None:
        ends = [min(edge, window.until) for edge in ends]
    aggregates = {
        one.id: AttributeAggregates(
            one.key.attribute,
            one.key.attribute_type,
            one.key.dataset,
            {
                name: _periods(name, found[name][row], texts.get((one.id, name), {}), edges, ends)
                for name in methods
            },
        )
        for row, one in enumerate(series)
    }
    _check_eligible(aggregates.values(), found[TEXT_COUNT], named)
    return aggregates


def _periods(
    name: str, numbers: Floats, texts: dict[int, Any], edges: Integers, ends: list[int]
) -> list[Aggregate]:
    """Periods in which there is something to say: a count above 0, or a value."""
    told: list[Aggregate] = []
    for place, (number, start, end) in enumerate(
        zip(numbers.tolist(), edges[:-1].tolist(), ends, strict=True)
    ):
        value = texts.get(place) if number != number else number
        if value is not None and (value or name not in COUNTS):
            told.append((value, from_millis(start), from_millis(end)))
    return told


def _of_texts(
    history: Aggregable,
    window: Window,
    series: Sequence[Series],
    edges: Integers,
    methods: Sequence[str],
    texts: Floats,
) -> dict[tuple[int, str], dict[int, Any]]:
    """What the methods say of values that are no numbers, by series and method, then by period."""
    asked = [name for name in methods if name not in COUNTS]
    by_id = {one.id: one for one, row in zip(series, texts, strict=True) if row.any()}
    if not asked or not by_id:
        return {}
    if texts.sum() > MOST_EXAMINED:
        raise TooComplexQuery(
            f"More than {MOST_EXAMINED} values that are no numbers would be compared one by one",
            hint="Ask for fewer entities, a shorter time, or for counts alone.",
            where="aggrMethods",
        )
    numbers = np.array(list(by_id), np.int64)
    found = history.read(
        msgspec.structs.replace(window, series=numbers, since=int(edges[0]), until=int(edges[-1]))
    )
    buckets = bucket_of(found.recorded_at if window.by_recorded else found.at, edges)
    groups: dict[tuple[int, int, Nature], list[Any]] = defaultdict(list)
    for row, number in enumerate(found.series.tolist()):
        if found.text[row] is not None and buckets[row] >= 0:
            value = found.value(row)
            nature = nature_of(by_id[number].key.attribute_type, value)
            groups[number, int(buckets[row]), nature].append(value)
    told: dict[tuple[int, str], dict[int, Any]] = defaultdict(dict)
    for (number, bucket, nature), values in groups.items():
        for name in asked:
            value = aggregate_values(nature, name, values)
            if value is not None:
                told[number, name][bucket] = value
    return told


def _check_eligible(aggregates: Any, texts: Floats, named: Sequence[str]) -> None:
    told: dict[str, bool] = defaultdict(bool)
    for one in aggregates:
        told[one.name] |= any(one.methods.values())
    for name in named:
        if name in told and not told[name] and texts.any():
            raise InvalidRequest(
                f"None of the methods says anything of {name[:60]!a}",
                hint="Numbers have all methods; texts have min, max and the counts; the rest has counts.",
                where="aggrMethods",
            )


def _check_size(values: int) -> None:
    if values > MOST_AGGREGATES:
        raise TooComplexQuery(
            f"The aggregates would be more than {MOST_AGGREGATES} values",
            hint="Ask for fewer entities, a longer step, a shorter time or fewer methods.",
            where="step",
        )
