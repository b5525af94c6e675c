"""Weights of the members of a group: given, or worked out from the scores themselves. Pure.

`scores` has the shape (cities, members), NaN where a city has none. Weights have the shape (members,), are
never below 0 and add up to 1.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

#: A judgement by pairs that contradicts itself more than this should be made again.
MOST_INCONSISTENT = 0.1
#: Consistency of random judgements by the number of members, from 3 on (Saaty).
_RANDOM = (0.58, 0.90, 1.12, 1.24, 1.32, 1.41, 1.45, 1.49)


class Weights(StrEnum):
    """Where weights come from."""

    EQUAL = "equal"
    GIVEN = "given"
    AHP = "ahp"
    ENTROPY = "entropy"
    CRITIC = "critic"
    PCA = "pca"


class Judged(NamedTuple):
    """Weights from judgements by pairs, and how far the judgements contradict each other (0: not at all)."""

    weights: Values
    inconsistency: float


def shares(weights: Values) -> Values:
    """Weights that add up to 1. All 0 become equal."""
    total = weights.sum()
    return weights / total if total > 0 else np.full(len(weights), 1 / len(weights))


def by_entropy(scores: Values) -> Values:
    """More for what tells cities apart more. It rewards spread, not importance; scores are not below 0."""
    known = ~np.isnan(scores)
    count = known.sum(axis=0)
    total = np.nansum(scores, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = scores / total
        terms = np.where(share > 0, share * np.log(share), 0.0)
        entropy = -terms.sum(axis=0) / np.log(count)
    usable = (count > 1) & (total > 0)
    return shares(np.where(usable, np.clip(1 - entropy, 0, None), 0.0))


def by_critic(scores: Values) -> Values:
    """More for what spreads more and repeats the others less."""
    spread = np.nan_to_num(_deviation(scores))
    return shares(spread * np.clip(1 - _correlation(scores), 0, None).sum(axis=1))


def by_first_component(scores: Values) -> Values:
    """The squared loadings on the first principal component of the correlations."""
    _, vectors = np.linalg.eigh(_correlation(scores))
    return shares(vectors[:, -1] ** 2)


def by_pairs(judgements: Values) -> Judged:
    """From how much more each member counts than each other, (members, members): analytic hierarchy."""
    values, vectors = np.linalg.eig(judgements)
    place = int(np.argmax(values.real))
    weights = shares(np.abs(vectors[:, place].real))
    count = len(judgements)
    if count < 3:
        return Judged(weights, 0.0)
    chance = _RANDOM[min(count - 3, len(_RANDOM) - 1)]
    return Judged(weights, max(0.0, float(values[place].real - count) / (count - 1) / chance))


def _deviation(scores: Values) -> Values:
    known = ~np.isnan(scores)
    count = known.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.nansum(scores, axis=0) / count
        squares = np.where(known, (scores - mean) ** 2, 0.0).sum(axis=0)
        result: Values = np.sqrt(squares / (count - 1))
    return np.where(count > 1, result, 0.0)


def _correlation(scores: Values) -> Values:
    """Of each two members over the cities that have both; 0 where nothing can be said."""
    members = scores.shape[1]
    result = np.eye(members)
    for one in range(members):
        for other in range(one):
            both = ~np.isnan(scores[:, one]) & ~np.isnan(scores[:, other])
            result[one, other] = result[other, one] = _of_pair(scores[both, one], scores[both, other])
    return result


def _of_pair(one: Values, other: Values) -> float:
    if len(one) < 3 or one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.clip(np.corrcoef(one, other)[0, 1], -1, 1))
