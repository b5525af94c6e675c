"""How a present value is spread when its inputs are uncertain: Monte Carlo, repeatable by its seed. Pure.

The inputs are independent of each other. Floating point is fine here: what is told are shares and percentiles
of draws, to three digits.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.planning.finance.cash_flows import Analysis, Shape, Spread
from cityloom.planning.finance.discounting import Timing, in_prices
from cityloom.planning.finance.sensitivity import DISCOUNT_RATE

Numbers = NDArray[np.float64]

#: Of these the simulation is told.
PERCENTILES = (5, 10, 25, 50, 75, 90, 95)
BINS = 30
_BEHIND = {Timing.YEAR_ZERO: 0.0, Timing.MID_YEAR: 0.5, Timing.YEAR_END: 1.0}


class Simulation(msgspec.Struct, frozen=True):
    """What so many runs with a seed came to, in the analysis' currency."""

    runs: int
    seed: int
    mean: float
    deviation: float
    #: By percentile.
    percentiles: dict[int, float]
    #: Share of the runs in which the plan is worth less than 0.
    below_zero: float
    #: Ends of the bins of a histogram, one more than `counts`.
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    #: Of each uncertain input (an item's code) its rank correlation with the result, the strongest first.
    drivers: tuple[tuple[str, float], ...]


def simulate(analysis: Analysis) -> Simulation | None:
    """The spread of the present value; None where nothing is uncertain or no runs are asked for."""
    uncertain = [one for one in analysis.items if one.spread is not None]
    if not analysis.runs or not (uncertain or analysis.rate_spread):
        return None
    draws = np.random.Generator(np.random.PCG64(analysis.seed))
    flows = np.array([[float(one) for one in analysis.flow(item)] for item in analysis.items])
    signs = np.array([item.sign for item in analysis.items], dtype=float)
    multiples = np.ones((analysis.runs, len(analysis.items)))
    drawn: dict[str, Numbers] = {}
    for place, item in enumerate(analysis.items):
        if item.spread is not None:
            multiples[:, place] = drawn[item.code] = draw(draws, item.spread, analysis.runs)
    if analysis.rate_spread is None:
        values = multiples @ (signs * (flows @ _factors(analysis, np.ones(1))[0]))
    else:
        rates = drawn[DISCOUNT_RATE] = draw(draws, analysis.rate_spread, analysis.runs)
        values = np.einsum("rt,rt->r", (multiples * signs) @ flows, _factors(analysis, rates))
    counts, edges = np.histogram(values, BINS)
    return Simulation(
        runs=analysis.runs,
        seed=analysis.seed,
        mean=float(values.mean()),
        deviation=float(values.std(ddof=1)) if analysis.runs > 1 else 0.0,
        percentiles={
            one: float(value)
            for one, value in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)
        },
        below_zero=float((values < 0).mean()),
        edges=tuple(map(float, edges)),
        counts=tuple(map(int, counts)),
        drivers=_drivers(drawn, values),
    )


def draw(draws: np.random.Generator, spread: Spread, runs: int) -> Numbers:
    """So many multiples of an input, none below 0."""
    low, high, likely = spread.low or 0.0, spread.high or 0.0, spread.likely
    deviation = spread.deviation or 0.0
    if spread.shape in (Shape.UNIFORM, Shape.TRIANGULAR, Shape.PERT) and low == high:
        return np.full(runs, low)
    match spread.shape:
        case Shape.UNIFORM:
            return draws.uniform(low, high, runs)
        case Shape.TRIANGULAR:
            return draws.triangular(low, likely, high, runs)
        case Shape.PERT:
            first = 1 + 4 * (likely - low) / (high - low)
            second = 1 + 4 * (high - likely) / (high - low)
            return low + (high - low) * draws.beta(first, second, runs)
        case Shape.NORMAL:
            return np.maximum(draws.normal(likely, deviation, runs), 0.0)
        case Shape.LOGNORMAL:
            # Such that mean and standard deviation of the draws are those that were said.
            width = np.log1p((deviation / likely) ** 2)
            return draws.lognormal(np.log(likely) - width / 2, np.sqrt(width), runs)


def _factors(analysis: Analysis, multiples: Numbers) -> Numbers:
    """Discount factors by run and year, the rates so many times as high in each run."""
    convention = in_prices(analysis.convention, analysis.prices, analysis.inflation)
    count = len(analysis.years)
    rates = np.array([float(convention.rate_of(year + 1)) for year in range(count)])
    ahead = 1 + multiples[:, None] * rates[None, :]
    whole = np.cumprod(np.concatenate([np.ones((len(multiples), 1)), 1 / ahead[:, :-1]], axis=1), axis=1)
    return np.asarray(whole / ahead ** _BEHIND[convention.timing], dtype=float)


def _drivers(drawn: dict[str, Numbers], values: Numbers) -> tuple[tuple[str, float], ...]:
    ranks = _ranks(values)
    found = [
        (name, float(np.corrcoef(_ranks(one), ranks)[0, 1])) for name, one in drawn.items() if one.std() > 0
    ]
    return tuple(sorted(found, key=lambda one: -abs(one[1])))


def _ranks(values: Numbers) -> Numbers:
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks
