"""Puts the scores of a group's members together. Pure.

`scores` has the shape (cities, members), NaN where a city has none; `weights` the shape (members,). A missing
score counts for nothing, neither for 0: the weights of the others are scaled up.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Mean(StrEnum):
    """How scores are put together. What a weak score costs grows from first to last."""

    ARITHMETIC = "arithmetic"
    GEOMETRIC = "geometric"
    HARMONIC = "harmonic"
    GENERALISED = "generalised"


#: Decimals within which two scores are the same, whatever the order in which they were added up.
_SAME_WITHIN = 9
#: The power of each mean; of the generalised one it is told.
POWERS = {Mean.ARITHMETIC: 1.0, Mean.GEOMETRIC: 0.0, Mean.HARMONIC: -1.0}


class Together(NamedTuple):
    """Scores of a group, (cities,), and the share of its members that each city has, 0 to 1."""

    scores: Values
    available: Values


def together(scores: Values, weights: Values, power: float, minimum: float = 0.0) -> Together:
    """The weighted mean of a power for each city that has at least the share `minimum` of the members.

    A power of 1 is the arithmetic mean, 0 the geometric and -1 the harmonic one. Powers up to 0 need scores
    above 0, and other powers but 1 none below 0: otherwise NaN comes out.
    """
    known = ~np.isnan(scores)
    available = known.mean(axis=1)
    used = np.where(known, weights, 0.0)
    total = used.sum(axis=1)
    enough = (total > 0) & (available >= minimum)
    with np.errstate(divide="ignore", invalid="ignore"):
        result = _mean(np.where(known, scores, 1.0), used / total[:, None], power)
    if power != 1.0:
        below = scores < 0 if power > 0 else scores <= 0
        enough &= ~(known & below & (weights > 0)).any(axis=1)
    return Together(np.where(enough, result, np.nan), available)


def floored(scores: Values, floor: float) -> Values:
    """Scores that are not below `floor`; what is missing stays missing."""
    result: Values = np.maximum(scores, floor)
    return result


def ranks(scores: Values) -> Values:
    """1 for the best city; equal ones share the better place, the next stays free. NaN: no score."""
    scores = scores.round(_SAME_WITHIN)
    known = scores[~np.isnan(scores)]
    ordered = np.sort(-known)
    result = np.full(scores.shape, np.nan)
    result[~np.isnan(scores)] = np.searchsorted(ordered, -known) + 1
    return result


def _mean(scores: Values, shares: Values, power: float) -> Values:
    result: Values
    if power == 1.0:
        result = (scores * shares).sum(axis=1)
    elif abs(power) < 1e-9:
        result = np.exp((np.log(scores) * shares).sum(axis=1))
    else:
        result = (scores**power * shares).sum(axis=1) ** (1 / power)
    return result
