"""Outliers and gaps: what is done to an indicator before it is normalised. Pure.

`values` has the shape (cities,), NaN where a city has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

#: Beyond both of these a distribution has outliers that would rule the index.
MOST_SKEW, MOST_KURTOSIS = 2.0, 3.5
#: Values from which on skew and kurtosis say something.
FEWEST = 4
#: What keeps a logarithm from 0, as a share of the range.
_OFFSET = 0.01


class Imputation(StrEnum):
    """What stands in for a missing value."""

    NONE = "none"
    MEAN = "mean"
    MEDIAN = "median"
    GROUP_MEAN = "group_mean"
    GROUP_MEDIAN = "group_median"


class Treated(NamedTuple):
    """An indicator after treatment, and what was done to it."""

    values: Values
    #: Values that were drawn in to the next, from below and from above.
    low: int = 0
    high: int = 0
    logged: bool = False
    #: Outliers are there still.
    is_unsettled: bool = False


def denominated(values: Values, denominator: Values) -> Values:
    """Values for each unit of a denominator; missing where that is missing or 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        result = values / denominator
    return np.where(np.isfinite(result), result, np.nan)


def imputed(values: Values, how: Imputation, groups: Sequence[str] | None = None) -> Values:
    """Values with gaps filled; a group without any value keeps its gaps. `groups` are the cities' groups."""
    if how is Imputation.NONE:
        return values
    middle = np.mean if how in (Imputation.MEAN, Imputation.GROUP_MEAN) else np.median
    if how in (Imputation.MEAN, Imputation.MEDIAN) or groups is None:
        groups = [""] * len(values)
    result = values.copy()
    named = np.asarray(groups)
    for group in dict.fromkeys(groups):
        of_group = named == group
        known = values[of_group & ~np.isnan(values)]
        if len(known):
            result[of_group & np.isnan(values)] = middle(known)
    return result


def skew(values: Values) -> float:
    """Adjusted skewness of a sample without gaps; 0 where no two values differ."""
    n = len(values)
    away = values - values.mean()
    spread = (away**2).mean()
    if n < FEWEST or spread == 0:
        return 0.0
    return float((away**3).mean() / spread**1.5 * np.sqrt(n * (n - 1)) / (n - 2))


def kurtosis(values: Values) -> float:
    """Adjusted excess kurtosis of a sample without gaps; 0 where no two values differ."""
    n = len(values)
    away = values - values.mean()
    spread = (away**2).mean()
    if n < FEWEST or spread == 0:
        return 0.0
    excess = (away**4).mean() / spread**2 - 3
    return float(((n + 1) * excess + 6) * (n - 1) / ((n - 2) * (n - 3)))


def has_outliers(values: Values) -> bool:
    """Whether both skewness and kurtosis lie beyond their bounds."""
    known = values[~np.isnan(values)]
    if len(known) < FEWEST:
        return False
    return abs(skew(known)) > MOST_SKEW and kurtosis(known) > MOST_KURTOSIS


def treated(values: Values, most: int) -> Treated:
    """Draw outliers in, one at a time and `most` at most; take the logarithm where that is not enough."""
    if not has_outliers(values):
        return Treated(values)
    drawn = _winsorised(values, most)
    if not has_outliers(drawn.values):
        return drawn
    logged = _logged(values)
    return Treated(logged, logged=True, is_unsettled=has_outliers(logged))


def _winsorised(values: Values, most: int) -> Treated:
    result, low, high = values.copy(), 0, 0
    drawn_up, drawn_down = np.zeros(len(values), bool), np.zeros(len(values), bool)
    while low + high < most and has_outliers(result):
        known = ~np.isnan(result)
        if skew(result[known]) > 0:
            drawn_down |= result == np.nanmax(result)
            result[drawn_down] = result[known & ~drawn_down].max()
            high += 1
        else:
            drawn_up |= result == np.nanmin(result)
            result[drawn_up] = result[known & ~drawn_up].min()
            low += 1
    return Treated(result, low, high)


def _logged(values: Values) -> Values:
    """A logarithm that draws in the long tail, and keeps the order."""
    low, high = np.nanmin(values), np.nanmax(values)
    offset = _OFFSET * (high - low)
    if skew(values[~np.isnan(values)]) > 0:
        result: Values = np.log(values - low + offset)
    else:
        result = -np.log(high - values + offset)
    return result
