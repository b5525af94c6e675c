"""Aggregates of readings by series and period (ETSI GS CIM 009, 4.5.19.1). Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from cityloom.history.logic import bucket_of
from cityloom.history.model import Floats, Integers, Readings
from cityloom.history.ports import COUNTS, TEXT_COUNT

_ARITHMETIC: dict[str, Callable[[Floats], float]] = {
    "sum": lambda numbers: float(np.sum(numbers)),
    "avg": lambda numbers: float(np.mean(numbers)),
    "min": lambda numbers: float(np.min(numbers)),
    "max": lambda numbers: float(np.max(numbers)),
    "stddev": lambda numbers: float(np.std(numbers)),
    "sumsq": lambda numbers: float(np.sum(numbers * numbers)),
}


def aggregate_readings(
    found: Readings, rows: Integers, times: Integers, edges: Integers, methods: Sequence[str], count: int
) -> dict[str, Floats]:
    """For each method a table of `count` rows and as many columns as there are periods.

    `rows` says for each reading to which row it belongs, `times` when it was. A period without readings has
    0 where things are counted, else NaN.
    """
    shape = (count, len(edges) - 1)
    result = {name: np.full(shape, 0.0 if name in COUNTS else np.nan) for name in methods}
    buckets = bucket_of(times, edges)
    inside = np.flatnonzero(buckets >= 0)
    order = inside[np.lexsort((buckets[inside], rows[inside]))]
    cells = rows[order] * shape[1] + buckets[order]
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    for start, end in pairwise([*starts.tolist(), len(order)]):
        place = divmod(int(cells[start]), shape[1])
        for name in methods:
            result[name][place] = _aggregate(name, found, order[start:end])
    return result


def _aggregate(method: str, found: Readings, chosen: Integers) -> float:
    if method == TEXT_COUNT:
        return float(sum(text is not None for text in found.text[chosen].tolist()))
    if method == "totalCount":
        return float(len(chosen))
    if method == "distinctCount":
        pairs = zip(found.text[chosen].tolist(), map(str, found.number[chosen].tolist()), strict=True)
        return float(len(set(pairs)))
    numbers = found.number[chosen]
    numbers = numbers[~np.isnan(numbers)]
    return _ARITHMETIC[method](numbers) if len(numbers) else float("nan")
