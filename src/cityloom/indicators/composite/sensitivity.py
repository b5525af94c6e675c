"""How much an index owes to the choices of those who made it. Pure; the same seed gives the same answer.

Monte Carlo over scale, mean, imputation and weights, with ranks as intervals; and each indicator left out
once.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from cityloom.indicators.composite.aggregation import Mean, ranks
from cityloom.indicators.composite.computing import Observations, compute
from cityloom.indicators.composite.definition import Branch, Definition, Leaf
from cityloom.indicators.composite.normalisation import Scale
from cityloom.indicators.composite.treatment import Imputation

Values = NDArray[np.float64]

#: Between these shares of the runs a rank is told as an interval.
LOW, HIGH = 0.05, 0.95
#: By how much a weight is changed at most, as a share of it.
WEIGHTS_BY = 0.25
#: What a mean that cannot do with 0 gets in its place, on a scale to 100.
FLOOR = 1.0


class Spread(msgspec.Struct, frozen=True):
    """Where each city ended, (cities,), NaN for one without a score."""

    runs: int
    low: Values
    median: Values
    high: Values
    #: Mean distance from the rank of the definition, over runs and cities.
    shift: float


class Without(msgspec.Struct, frozen=True):
    """What one indicator does to the ranks."""

    code: str
    #: Mean distance of the ranks with it from those without it.
    shift: float
    #: The city that moves most, and from which rank to which; "" when none moves.
    city: str
    before: int
    after: int


def spread(definition: Definition, seen: Observations, runs: int, seed: int = 0) -> Spread:
    """The ranks over `runs` other choices, of the cities that have a score: no gap makes a city a rival."""
    chance = np.random.default_rng(seed)
    own = compute(definition, seen).ranks
    every = np.array([_ranks_of_one(definition, seen, ~np.isnan(own), chance) for _ in range(runs)])
    known = ~np.isnan(every)
    scored = known.any(axis=0)
    low, median, high = (np.full(len(own), np.nan) for _ in range(3))
    for city in np.flatnonzero(scored):
        found = np.sort(every[known[:, city], city])
        low[city] = found[int(LOW * (len(found) - 1))]
        median[city] = found[(len(found) - 1) // 2]
        high[city] = found[int(np.ceil(HIGH * (len(found) - 1)))]
    both = known & ~np.isnan(own)
    shift = float(np.abs(every - own)[both].mean()) if both.any() else 0.0
    return Spread(runs, low, median, high, shift)


def leave_one_out(definition: Definition, seen: Observations) -> list[Without]:
    """Each indicator left out once, the one that matters most first."""
    own = compute(definition, seen).ranks
    found = []
    for leaf in definition.indicators:
        without = replace(seen, columns={**seen.columns, leaf.code: np.full(len(seen.cities), np.nan)})
        after = compute(_relieved(definition), without).ranks
        away = np.nan_to_num(np.abs(after - own))
        place = int(np.argmax(away)) if len(away) else 0
        if not len(away) or away[place] == 0:
            found.append(Without(leaf.code, 0.0, "", 0, 0))
            continue
        shift = float(away[~np.isnan(after - own)].mean())
        found.append(Without(leaf.code, shift, seen.cities[place], int(own[place]), int(after[place])))
    return sorted(found, key=lambda one: -one.shift)


def _ranks_of_one(
    definition: Definition, seen: Observations, rivals: NDArray[np.bool_], chance: np.random.Generator
) -> Values:
    every: Sequence[Branch | Leaf] = [*definition.groups, *definition.indicators]
    factors = {one.code: chance.uniform(1 - WEIGHTS_BY, 1 + WEIGHTS_BY) for one in every}
    scores = compute(_varied(definition, chance), seen, factors).index
    return ranks(np.where(rivals, scores, np.nan))


def _varied(definition: Definition, chance: np.random.Generator) -> Definition:
    """The definition with other choices."""
    steps = definition.steps
    scale = (None, Scale.MIN_MAX, Scale.PERCENTILE_RANK)[chance.integers(3)]
    mean = (None, Mean.ARITHMETIC, Mean.GEOMETRIC)[chance.integers(3)]
    impute = (steps.impute, Imputation.NONE, Imputation.MEAN, Imputation.MEDIAN)[chance.integers(4)]
    leaves, groups = definition.indicators, definition.groups
    if scale is not None:
        leaves = tuple(replace(one, scale=scale) for one in leaves)
    if mean is not None and (scale is not None or _is_positive(definition)):
        groups = tuple(replace(one, mean=mean) for one in groups)
    floor = FLOOR if steps.floor is None else steps.floor
    varied = replace(definition, indicators=leaves, groups=groups)
    return replace(varied, steps=replace(steps, impute=impute, floor=floor))


def _is_positive(definition: Definition) -> bool:
    """Whether no score can lie below 0."""
    below = (Scale.Z_SCORE, Scale.DISTANCE_TO_REFERENCE)
    return not any(definition.scale_of(one) in below for one in definition.indicators)


def _relieved(definition: Definition) -> Definition:
    """The definition without a minimum that leaving one out would break."""
    groups = tuple(replace(one, minimum_availability=0.0) for one in definition.groups)
    return replace(definition, groups=groups)
