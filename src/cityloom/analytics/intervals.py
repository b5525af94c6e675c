"""How intervals are made and judged on data that they were not made from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


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
