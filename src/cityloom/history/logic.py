"""Arithmetic on readings: periods, time-weighted means, gaps. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cityloom.history.model import Floats, Integers


class WeightedMeans(NamedTuple):
    """For each period the mean of a stepwise course, and how many milliseconds of the period it covers."""

    mean: Floats
    covered: Integers


def time_weighted(at: Integers, value: Floats, edges: Integers, *, hold: int | None = None) -> WeightedMeans:
    """Means over time of a course that keeps each value until the next reading, at most `hold` ms.

    `at` ascends; readings before edges[0] count by what they hold into the first period. Shapes: at and value
    (n,), edges (p + 1,), both results (p,). A period that nothing covers has NaN and 0.
    """
    periods = len(edges) - 1
    known = ~np.isnan(value)
    at, value = at[known], value[known]
    if not len(at):
        return WeightedMeans(np.full(periods, np.nan), np.zeros(periods, np.int64))
    ends = np.append(at[1:], max(int(edges[-1]), int(at[-1])))
    if hold is not None:
        ends = np.minimum(ends, at + hold)
    # Integral and cover up to each edge, from those up to each reading: linear between them.
    lengths = (ends - at).astype(np.float64)
    cover = _up_to(edges, at, ends, np.cumsum(lengths), np.ones(len(at)))
    area = _up_to(edges, at, ends, np.cumsum(lengths * value), value)
    covered = np.rint(np.diff(cover)).astype(np.int64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(covered > 0, np.diff(area) / covered, np.nan)
    return WeightedMeans(mean, covered)


def _up_to(edges: Integers, at: Integers, ends: Integers, sums: Floats, rates: Floats) -> Floats:
    """The sum up to each edge, where step i adds rates[i] a millisecond from at[i] to ends[i]."""
    step = np.searchsorted(at, edges, side="right") - 1
    inside = step >= 0
    here = np.maximum(step, 0)
    before = np.where(here > 0, sums[here - 1], 0.0)
    running = np.minimum(edges, ends[here]) - at[here]
    total: Floats = np.where(inside, before + running * rates[here], 0.0)
    return total


def bucket_of(at: Integers, edges: Integers) -> NDArray[np.intp]:
    """The period each instant falls into; -1 before the first edge and from the last one on."""
    found = np.searchsorted(edges, at, side="right") - 1
    return np.where(found < len(edges) - 1, found, -1)


def missing_runs(present: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open index ranges of the slots in which nothing stands."""
    padded = np.concatenate(([True], present, [True]))
    change = np.flatnonzero(padded[1:] != padded[:-1])
    return [(int(start), int(stop)) for start, stop in zip(change[::2], change[1::2], strict=True)]
