"""Intervals that cover what they claim: split conformal prediction.

A forecast's errors on data it was not fitted to (the calibration) say how wide an interval must be. With n
exchangeable errors, the interval of the ceil((n + 1) * level)-th smallest one holds the next truth with
probability `level` at least (Vovk, Gammerman, Shafer: Algorithmic Learning in a Random World, 2005).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: 100 * 0.05 must be rank 5, though 0.05 is a little less in binary.
_ROUNDING = 1e-9


def conformal_radius(errors: Array, level: float) -> Array:
    """Half the width of a symmetric interval: forecast ± radius.

    `errors` (truth minus forecast) have the shape (n, ...); NaN does not count. The result has the shape
    (...); NaN where there are too few errors for the level.
    """
    ordered = np.sort(np.abs(errors), axis=0)
    count = np.isfinite(errors).sum(axis=0)
    return _ranked(ordered, count, np.ceil((count + 1) * level - _ROUNDING))


def conformal_offsets(errors: Array, level: float) -> tuple[Array, Array]:
    """What to add to a forecast for its lower and upper bound; each side may be missed half of the time.

    Shapes as in `conformal_radius`. For errors that lean to one side.
    """
    ordered = np.sort(errors, axis=0)
    count = np.isfinite(errors).sum(axis=0)
    missed = (1 - level) / 2
    low = _ranked(ordered, count, np.floor((count + 1) * missed + _ROUNDING))
    high = _ranked(ordered, count, np.ceil((count + 1) * (1 - missed) - _ROUNDING))
    return low, high


def coverage(truth: Array, low: Array, high: Array) -> float:
    """The share of truths inside their intervals; NaN truths and bounds do not count. NaN without any."""
    known = np.isfinite(truth) & np.isfinite(low) & np.isfinite(high)
    inside = (truth >= low) & (truth <= high)
    return float(inside[known].mean()) if known.any() else float("nan")


def blocks(count: int, folds: int) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Folds for errors out of fold: (fit, calibrate) masks of shape (count,).

    Blocks are contiguous, since neighbours in time know each other.
    """
    edges = np.linspace(0, count, folds + 1).round().astype(int)
    for begin, end in pairwise(edges):
        held = np.zeros(count, dtype=bool)
        held[begin:end] = True
        yield ~held, held


def _ranked(ordered: Array, count: NDArray[np.int64], rank: Array) -> Array:
    """The value of a 1-based rank along axis 0; NaN where the rank lies outside 1 … count."""
    if ordered.shape[0] == 0:
        return np.full(ordered.shape[1:], np.nan)
    inside = (rank >= 1) & (rank <= count)
    index = np.clip(rank - 1, 0, ordered.shape[0] - 1).astype(int)
    found = np.take_along_axis(ordered, np.expand_dims(index, 0), axis=0)[0]
    return np.where(inside, found, np.nan)
