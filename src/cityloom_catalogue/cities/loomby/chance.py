"""Chance that can be asked again: every number is a hash of what it is for, so any instant can be jumped to.

The hash is SplitMix64 (Steele, Lea, Flood 2014), applied to one index after the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]

#: The town's seed. Another number is another town; in this one 10 April 2026 brings frost after mild nights.
SEED = 2814

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
#: Means from here on are large enough for the normal approximation.
_LARGE = 12.0
#: So many days back reach the memory of a day-to-day process: 0.8 to the power of 30 is a thousandth.
_MEMORY_DAYS = 30


def uniform(stream: str, *indices: ArrayLike) -> Floats:
    """Numbers in [0, 1), one for each combination of the indices (integers, broadcast together)."""
    word = _mix(np.asarray(SEED, np.uint64) + _name(stream))
    for index in indices:
        word = _mix(word ^ np.asarray(index).astype(np.int64).view(np.uint64) * _GOLDEN)
    return np.asarray((word >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def normal(stream: str, *indices: ArrayLike) -> Floats:
    """Standard normal numbers (Box and Muller 1958)."""
    radius = np.sqrt(-2.0 * np.log1p(-uniform(stream + ":radius", *indices)))
    return np.asarray(radius * np.cos(2.0 * np.pi * uniform(stream + ":angle", *indices)))


def smooth(stream: str, position: ArrayLike, *indices: ArrayLike) -> Floats:
    """A standard normal process that is independent from one whole `position` to the next.

    `position` is of shape (n,) or (n, 1); the indices are broadcast against it.
    """
    place = np.asarray(position, np.float64)
    knot = np.floor(place)
    share = place - knot
    if knot.size and (reach := int(np.ptp(knot)) + 2) < knot.size:
        # Many positions lie between the same knots: draw each knot once.
        first = knot.min()
        table = normal(stream, (first + np.arange(reach)).reshape(-1, *[1] * (place.ndim - 1)), *indices)
        at = (knot - first).astype(np.intp).reshape(-1)
        return _between(table[at], table[at + 1], share, correlation=0.0)
    return _between(
        normal(stream, knot, *indices), normal(stream, knot + 1, *indices), share, correlation=0.0
    )


def day_to_day(stream: str, day: ArrayLike, memory: float) -> Floats:
    """A standard normal autoregressive process of first order with one step a day, joined smoothly.

    `day` may have a fraction; `memory` is the correlation of one whole day with the next, in [0, 0.8].
    """
    place = np.asarray(day, np.float64)
    whole = np.floor(place).astype(np.int64)
    first = int(whole.min()) if whole.size else 0
    last = int(whole.max()) + 1 if whole.size else 1
    shocks = normal(stream, np.arange(first - _MEMORY_DAYS, last + 1))
    weights = memory ** np.arange(_MEMORY_DAYS, -1, -1) * np.sqrt(1.0 - memory**2)
    knots = np.convolve(shocks, weights[::-1], mode="valid")
    at = whole - first
    return _between(knots[at], knots[at + 1], place - whole, correlation=memory)


def _between(left: Floats, right: Floats, share: Any, *, correlation: float) -> Floats:
    """Go from one number to the next, keeping the variance at one on the way."""
    ease = share * share * (3.0 - 2.0 * share)
    spread = np.sqrt((1 - ease) ** 2 + ease**2 + 2 * correlation * ease * (1 - ease))
    return np.asarray(((1 - ease) * left + ease * right) / spread)


def poisson(stream: str, mean: Floats, *indices: ArrayLike) -> Floats:
    """Counts with the given means: exact below `_LARGE`, by the normal approximation above."""
    counts = np.maximum(np.rint(mean + np.sqrt(mean) * normal(stream, *indices)), 0.0)
    small = mean < _LARGE
    counts[small] = _inverted(mean[small], uniform(stream + ":small", *indices)[small])
    return counts


def _inverted(mean: Floats, drawn: Floats) -> Floats:
    """The count at which the distribution reaches the number drawn."""
    counts = np.zeros_like(mean)
    term = np.exp(-mean)
    reached = term.copy()
    for count in range(1, 40):
        beyond = drawn > reached
        if not beyond.any():
            break
        counts += beyond
        term = term * mean / count
        reached = reached + term
    return counts


def _name(stream: str) -> Words:
    word = np.asarray(0xCBF29CE484222325, np.uint64)
    with np.errstate(over="ignore"):
        for letter in stream.encode():
            word = (word ^ np.uint64(letter)) * np.uint64(0x100000001B3)
    return word


def _mix(word: Words) -> Words:
    with np.errstate(over="ignore"):
        word = word + _GOLDEN
        word = (word ^ (word >> _SHIFTS[0])) * _MULTIPLIERS[0]
        word = (word ^ (word >> _SHIFTS[1])) * _MULTIPLIERS[1]
    return np.asarray(word ^ (word >> _SHIFTS[2]))
