"""Brings one indicator of many cities to a common scale, on which more is better. Pure.

Each function takes `values` of shape (cities,), NaN where a city has none, and returns the same shape: what
is missing stays missing. What cannot be put on the scale at all (no two values differ, a reference of 0) is
NaN, too.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Scale(StrEnum):
    """How values are brought to a common scale."""

    MIN_MAX = "min_max"
    GOALPOSTS = "goalposts"
    Z_SCORE = "z_score"
    RANK = "rank"
    PERCENTILE_RANK = "percentile_rank"
    DISTANCE_TO_TARGET = "distance_to_target"
    DISTANCE_TO_REFERENCE = "distance_to_reference"
    FRACTION_OF_BEST = "fraction_of_best"


def min_max(values: Values, higher: bool) -> Values:
    """0 for the worst and 100 for the best city there is."""
    if _spread(values) == 0:
        return _nothing(values)
    low, high = np.nanmin(values), np.nanmax(values)
    share: Values = (values - low) / (high - low)
    return 100 * (share if higher else 1 - share)


def goalposts(values: Values, target: float, worst: float) -> Values:
    """The way gone from a fixed worst value to a fixed target, 0 to 100 and never beyond.

    The only scale on which a score moves with the city's own values alone: the one to follow the years with.
    """
    if target == worst:
        return _nothing(values)
    result: Values = np.clip(100 * (values - worst) / (target - worst), 0, 100)
    return result


def z_score(values: Values, higher: bool) -> Values:
    """Distance from the mean, in standard deviations of the sample."""
    if _spread(values) == 0:
        return _nothing(values)
    result: Values = (values - np.nanmean(values)) / np.nanstd(values, ddof=1)
    return result if higher else -result


def rank(values: Values, higher: bool) -> Values:
    """1 for the worst city and so on upwards; equal values share the mean of their places."""
    known = ~np.isnan(values)
    result = _nothing(values)
    result[known] = _places(values[known] if higher else -values[known])
    return result


def percentile_rank(values: Values, higher: bool) -> Values:
    """0 for the worst place and 100 for the best."""
    count = int((~np.isnan(values)).sum())
    if count < 2:
        return _nothing(values)
    result: Values = 100 * (rank(values, higher) - 1) / (count - 1)
    return result


def distance_to_target(values: Values, target: float, higher: bool) -> Values:
    """The way gone from the worst city to a fixed target, at most 100."""
    if _spread(values) == 0:
        return _nothing(values)
    worst = float(np.nanmin(values) if higher else np.nanmax(values))
    if (target - worst) * (1 if higher else -1) <= 0:
        return np.where(np.isnan(values), np.nan, 100.0)
    result: Values = np.minimum(100, 100 * (values - worst) / (target - worst))
    return result


def distance_to_reference(values: Values, reference: float, higher: bool) -> Values:
    """100 for the reference city; others as far above or below as they are, in percent of its value."""
    if reference == 0 or np.isnan(reference):
        return _nothing(values)
    away: Values = 100 * (values - reference) / abs(reference)
    return 100 + (away if higher else -away)


def fraction_of_best(values: Values, higher: bool) -> Values:
    """In percent of the greatest value, or the least value in percent of this one. Values are above 0."""
    if np.isnan(values).all() or np.nanmin(values) <= 0:
        return _nothing(values)
    result: Values = 100 * (values / np.nanmax(values) if higher else np.nanmin(values) / values)
    return result


def _places(values: Values) -> Values:
    """Places from 1 on, the least first; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    result: Values = (last - (counts - 1) / 2)[inverse]
    return result


def _spread(values: Values) -> float:
    known = values[~np.isnan(values)]
    return float(known.max() - known.min()) if len(known) else 0.0


def _nothing(values: Values) -> Values:
    return np.full(values.shape, np.nan)
