"""The normal week of many series: what is usual at this hour of this weekday.

A weekly profile of a few weeks' data is noisy, since each slot was seen a few times. Three things make it
steady: older weeks count less, neighbouring slots are looked at too, and weekdays borrow from each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

DAYS = 7


class ProfileShape(NamedTuple):
    """How much a slot borrows. Chosen on weeks held apart; see the services' evaluations."""

    #: Standard deviation of the smoothing over slots of the day, in slots.
    smoothing: float = 1.3
    #: Weeks after which an observation counts half as much as a new one.
    half_life_weeks: float = 2.8
    #: How much of each other working day (Monday to Friday) is added to a working day.
    borrowed: float = 0.3


def weekly_profile(values: Values, first_slot: int, slots_a_week: int, shape: ProfileShape) -> Values:
    """The expected value of each series in each slot of the week.

    `values` has the shape (series, steps), NaN where missing; `first_slot` is the slot of the week of the
    first column, counted from Monday 00:00. Returns (series, slots_a_week). A slot without observations
    gets the series' mean; a series without any is NaN.
    """
    series, steps = values.shape
    slot = (first_slot + np.arange(steps)) % slots_a_week
    age_weeks = (steps - 1 - np.arange(steps)) / slots_a_week
    weight = np.where(np.isfinite(values), 0.5 ** (age_weeks / shape.half_life_weeks), 0.0)
    sums = np.zeros((slots_a_week, series))
    weights = np.zeros((slots_a_week, series))
    np.add.at(sums, slot, (np.nan_to_num(values) * weight).T)
    np.add.at(weights, slot, weight.T)
    sums, weights = (_smooth(item, shape.smoothing) for item in (sums, weights))
    sums, weights = (_borrow(item, shape.borrowed) for item in (sums, weights))
    with np.errstate(invalid="ignore", divide="ignore"):
        level = sums.sum(0) / weights.sum(0)
        # A slot that was hardly seen leans on the series' own level.
        lean = 1e-3 * weights.max(0)
        profile = (sums + lean * level) / (weights + lean)
    return np.ascontiguousarray(profile.T)


def _smooth(slots: Values, deviation: float) -> Values:
    """Gaussian smoothing round the clock of the week."""
    if deviation <= 0:
        return slots
    reach = int(np.ceil(3 * deviation))
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / deviation) ** 2)
    kernel /= kernel.sum()
    total = np.zeros_like(slots)
    for offset, share in zip(offsets.tolist(), kernel.tolist(), strict=True):
        total += share * np.roll(slots, offset, axis=0)
    return total


def _borrow(slots: Values, share: float) -> Values:
    """Add to each working day a share of the other working days."""
    days = slots.reshape(DAYS, -1, slots.shape[1])
    borrowed = days.copy()
    working = days[:5].sum(0)
    borrowed[:5] += share * (working - days[:5])
    return borrowed.reshape(slots.shape)
