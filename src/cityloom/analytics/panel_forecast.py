"""Forecasts for many like series at once: the normal week, corrected by how today differs from it.

For each horizon one linear regression is fitted over all series together (ridge; Hoerl and Kennard 1970) of
the deviation from the normal week on recent deviations: of the series itself with memories of several
lengths, of the same hours yesterday, and of all series together. Where wanted, the value of a week ago has a
share in the forecast, as large as served best on days that were not fitted: it knows of a season that the
normal week has not caught up with. Intervals are split-conformal (Vovk et al. 2005; Lei et al. 2018):
quantiles of the errors on the same days, by classes of the level.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cityloom.analytics.weekly_profile import ProfileShape as ProfileShape
from cityloom.analytics.weekly_profile import weekly_profile

Values = NDArray[np.float64]
Target = Literal["mean", "last"]
Noise = Literal["count", "level"]

#: Lengths of the memories of recent deviations, in steps.
MEMORIES = (1.0, 3.0, 10.0, 40.0)
#: Pseudo-observations that pull a memory with little in it towards "as usual".
CAUTION = 0.25
#: Classes of the level for the intervals: quartiles of the expected value.
LEVELS = 4
#: Series that are looked at together when learning; what is worked out for them lies in memory.
SERIES_AT_ONCE = 64
#: Regressors: the memories, yesterday, the network by two memories, the noise.
FEATURES = len(MEMORIES) + 4
#: Shares of the value of a week ago that are tried.
WEEK_SHARES = np.linspace(0.0, 1.0, 21)
#: A class of the level has quantiles of its own from this many errors on.
FEWEST_ERRORS = 200


class PanelShape(NamedTuple):
    """What is forecast, and on what clock."""

    #: Steps of a day.
    steps_a_day: int
    #: Horizons in steps, ascending.
    horizons: tuple[int, ...]
    #: "mean": of the steps from now to the horizon; "last": of the step that ends at the horizon.
    target: Target
    #: "count": the deviation grows with the root of the level; "level": it does not.
    noise: Noise
    #: Bounds that no forecast leaves.
    lowest: float = 0.0
    highest: float = np.inf
    #: The share of truths that the intervals are to hold.
    coverage: float = 0.9
    profile: ProfileShape = ProfileShape()
    ridge: float = 1e-3
    #: Whether the value of a week ago may have a share in the forecast.
    last_week: bool = False

    @property
    def steps_a_week(self) -> int:
        return 7 * self.steps_a_day

    @property
    def history(self) -> int:
        """Steps of recent values that a forecast wants: a day and the furthest horizon, or a week."""
        steps = self.steps_a_day + max(self.horizons)
        return max(steps, self.steps_a_week) if self.last_week else steps


class PanelModel(NamedTuple):
    """What was learned. `profile` (series, slots of the week); `coefficients` (horizons, features)."""

    profile: Values
    coefficients: Values
    #: The share of the value of a week ago, (horizons,).
    week_shares: Values
    #: Upper bounds of the level classes, (LEVELS - 1,).
    level_edges: Values
    #: Lower and upper error quantiles in units of the noise, (horizons, LEVELS, 2).
    error_quantiles: Values

    def to_arrays(self, prefix: str = "") -> dict[str, Values]:
        return {prefix + name: item for name, item in self._asdict().items()}


def from_arrays(arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> PanelModel:
    """The model that `to_arrays` took apart."""
    return PanelModel(*(np.asarray(arrays[prefix + name], dtype=float) for name in PanelModel._fields))


class Forecast(NamedTuple):
    """A forecast with its interval; each of the shape (series,), NaN where nothing can be said."""

    value: Values
    low: Values
    high: Values


def fit(values: Values, first_slot: int, shape: PanelShape) -> PanelModel | None:
    """Learn from (series, steps) of past values, NaN where missing. None when there is too little.

    The last fifth of the time, a whole number of days, is kept from the regression and measures the errors.
    Afterwards the normal week is taken from all of the data, and the errors stay as they were measured.
    """
    days = values.shape[1] // shape.steps_a_day
    kept = max(days // 5, 3)
    if days - kept < 9:
        return None
    cut = values.shape[1] - kept * shape.steps_a_day
    early = weekly_profile(values[:, :cut], first_slot, shape.steps_a_week, shape.profile)
    network = _network(values, early, first_slot, shape)

    def portions() -> Iterator[_Deviations]:
        for first in range(0, len(values), SERIES_AT_ONCE):
            rows = slice(first, first + SERIES_AT_ONCE)
            yield _Deviations(values[rows], early[rows], first_slot, shape, network)

    # The normal week knows the days it was made of; so the first ones are left out of the regression.
    begin = min(shape.steps_a_week, cut // 3)
    coefficients = _regress(portions(), shape, begin, cut)
    edges = np.nanquantile(early, np.linspace(0, 1, LEVELS + 1)[1:-1])
    shares = _week_shares(portions(), shape, coefficients, cut)
    quantiles = _error_quantiles(portions(), shape, coefficients, shares, edges, cut)
    whole = weekly_profile(values, first_slot, shape.steps_a_week, shape.profile)
    return PanelModel(whole, coefficients, shares, edges, quantiles)


def forecast(model: PanelModel, recent: Values, slot: int, shape: PanelShape) -> Sequence[Forecast]:
    """One Forecast for each horizon, from the last steps (series, at least `shape.history`).

    `slot` is the slot of the week of the step after the last column of `recent`.
    """
    recent = recent[:, -shape.history :]
    first_slot = slot - recent.shape[1]
    network = _network(recent, model.profile, first_slot, shape)
    deviations = _Deviations(recent, model.profile, first_slot, shape, network)
    now = np.array([recent.shape[1]])
    return [
        _interval(
            deviations.predict(now, horizon, model.coefficients[index], model.week_shares[index])[0],
            deviations.expected(now, horizon)[0],
            model.level_edges,
            model.error_quantiles[index],
            shape,
        )
        for index, horizon in enumerate(shape.horizons)
    ]


def usual(model: PanelModel, slot: int) -> Values:
    """What is normal in a slot of the week, shape (series,)."""
    column: Values = model.profile[:, slot % model.profile.shape[1]]
    return column


class _Deviations:
    """How far values lie from the normal week, and what that says of the steps to come.

    Everything is of the shape (steps, series): time runs down. Index t means "now is before step t".
    """

    def __init__(
        self,
        values: Values,
        profile: Values,
        first_slot: int,
        shape: PanelShape,
        network: Sequence[Values],
    ) -> None:
        """`network` as `_network` works it out over all series; these may be a portion of them."""
        self.shape = shape
        self.steps = values.shape[1]
        self.values = values.T
        self._first_slot = first_slot
        self._profile_sums = np.vstack(
            [np.zeros(len(profile)), np.cumsum(np.tile(profile.T, (3, 1)), axis=0)]
        )
        slots = (first_slot + np.arange(self.steps)) % shape.steps_a_week
        self.normal = profile.T[slots]
        self.deviation = self.values - self.normal
        self.known = np.isfinite(self.deviation)
        filled = np.where(self.known, self.deviation, 0.0)
        self._sums = np.vstack([np.zeros(len(profile)), np.cumsum(filled, axis=0)])
        self._counts = np.vstack([np.zeros(len(profile)), np.cumsum(self.known, axis=0)])
        self.memories = [_remember(filled, self.known, length) for length in MEMORIES]
        self.network = network

    def _window(self, horizon: int) -> tuple[int, int]:
        return (0, horizon) if self.shape.target == "mean" else (horizon - 1, horizon)

    def expected(self, now: NDArray[np.int_], horizon: int) -> Values:
        """The normal value of the target, (len(now), series)."""
        first, last = self._window(horizon)
        week = self.shape.steps_a_week
        slot = (self._first_slot + now) % week
        result: Values = (self._profile_sums[slot + last] - self._profile_sums[slot + first]) / (last - first)
        return result

    def truth(self, now: NDArray[np.int_], horizon: int) -> Values:
        """What came, (len(now), series); NaN when less than half of it is known."""
        first, last = self._window(horizon)
        total, count = self._between(now + first, now + last)
        slot = self.expected(now, horizon)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(count >= (last - first) / 2, slot + total / count, np.nan)

    def _between(self, first: NDArray[np.int_], last: NDArray[np.int_]) -> tuple[Values, Values]:
        low, high = np.clip(first, 0, self.steps), np.clip(last, 0, self.steps)
        return self._sums[high] - self._sums[low], self._counts[high] - self._counts[low]

    def features(self, now: NDArray[np.int_], horizon: int) -> Iterator[Values]:
        """The regressors, each (len(now), series)."""
        expected = np.nan_to_num(self.expected(now, horizon))
        for memory in self.memories:
            yield memory[now]
        first, last = self._window(horizon)
        total, count = self._between(
            now + first - self.shape.steps_a_day, now + last - self.shape.steps_a_day
        )
        yield total / (count + 1.0)
        for share in self.network:
            yield expected * share[now]
        yield self.noise(expected)

    def equations(self, now: NDArray[np.int_], horizon: int) -> tuple[Values, Values]:
        """What the regression is fitted on, in units of the noise: (cases, FEATURES) and (cases,)."""
        expected = self.expected(now, horizon)
        gap = self.truth(now, horizon) - expected
        usable = np.isfinite(gap)
        scale = self.noise(np.nan_to_num(expected))[usable]
        columns = np.stack([item[usable] / scale for item in self.features(now, horizon)], axis=1)
        return columns, gap[usable] / scale

    def week_ago(self, now: NDArray[np.int_], horizon: int) -> Values:
        """The target of a week before, which is known by now; (len(now), series)."""
        return self.truth(now - self.shape.steps_a_week, horizon)

    def noise(self, expected: Values) -> Values:
        """The size of chance deviations at this level."""
        if self.shape.noise == "level":
            return np.ones_like(expected)
        return np.sqrt(np.maximum(expected, 0.0) + 0.3)

    def predict(
        self, now: NDArray[np.int_], horizon: int, coefficients: Values, week_share: float = 0.0
    ) -> Values:
        """The forecast of the target, (len(now), series)."""
        value = self.expected(now, horizon).copy()
        for coefficient, feature in zip(coefficients.tolist(), self.features(now, horizon), strict=True):
            value += coefficient * feature
        if week_share > 0:
            value += week_share * np.nan_to_num(self.week_ago(now, horizon) - value)
        return np.clip(value, self.shape.lowest, self.shape.highest)


def _network(values: Values, profile: Values, first_slot: int, shape: PanelShape) -> list[Values]:
    """Deviation of all series together as a share of their normal sum, by two memories; (steps + 1, 1)."""
    steps = values.shape[1]
    together, everywhere = np.zeros((steps, 1)), np.zeros((steps, 1))
    slots = (first_slot + np.arange(steps)) % shape.steps_a_week
    for row, week in zip(values, profile, strict=True):
        normal = week[slots]
        known = np.isfinite(row) & np.isfinite(normal)
        together[known, 0] += row[known] - normal[known]
        everywhere[known, 0] += normal[known]
    shares = []
    for length in MEMORIES[1:3]:
        decay = np.exp(-1.0 / length)
        above, below = _accumulate(together, decay), _accumulate(np.abs(everywhere), decay)
        shares.append(above / np.maximum(below, 1e-9))
    return shares


def _regress(portions: Iterable[_Deviations], shape: PanelShape, begin: int, cut: int) -> Values:
    """Coefficients of the ridge regressions over all instants in [begin, cut), (horizons, features)."""
    squares = np.zeros((len(shape.horizons), FEATURES, FEATURES))
    rights = np.zeros((len(shape.horizons), FEATURES))
    for deviations in portions:
        for index, horizon in enumerate(shape.horizons):
            for now in _chunks(begin, cut - horizon):
                columns, gap = deviations.equations(now, horizon)
                squares[index] += columns.T @ columns
                rights[index] += columns.T @ gap
    return np.stack(
        [_solve(square, right, shape.ridge) for square, right in zip(squares, rights, strict=True)]
    )


def _solve(square: Values, right: Values, ridge: float) -> Values:
    penalty = (ridge * np.trace(square) / len(square) + 1e-12) * np.eye(len(square))
    result: Values = np.linalg.solve(square + penalty, right)
    return result


def _week_shares(
    portions: Iterable[_Deviations], shape: PanelShape, coefficients: Values, cut: int
) -> Values:
    """The share of the value of a week ago that errs least on the days kept apart, (horizons,)."""
    errors = np.zeros((len(shape.horizons), len(WEEK_SHARES)))
    if not shape.last_week:
        return np.zeros(len(shape.horizons))
    for deviations in portions:
        for index, horizon in enumerate(shape.horizons):
            for now in _chunks(cut, deviations.steps - horizon):
                predicted = deviations.predict(now, horizon, coefficients[index])
                error = predicted - deviations.truth(now, horizon)
                more = deviations.week_ago(now, horizon) - predicted
                usable = np.isfinite(error) & np.isfinite(more)
                scale = deviations.noise(predicted)[usable]
                errors[index] += [
                    float((np.abs(error[usable] + share * more[usable]) / scale).sum())
                    for share in WEEK_SHARES
                ]
    best: Values = WEEK_SHARES[errors.argmin(axis=1)]
    return best


def _error_quantiles(
    portions: Iterable[_Deviations],
    shape: PanelShape,
    coefficients: Values,
    shares: Values,
    edges: Values,
    cut: int,
) -> Values:
    """Quantiles of (truth - forecast) / noise on the days kept apart, by level; (horizons, LEVELS, 2)."""
    errors: list[list[Values]] = [[] for _ in shape.horizons]
    levels: list[list[NDArray[np.int_]]] = [[] for _ in shape.horizons]
    for deviations in portions:
        for index, horizon in enumerate(shape.horizons):
            for now in _chunks(cut, deviations.steps - horizon):
                expected = deviations.expected(now, horizon)
                predicted = deviations.predict(now, horizon, coefficients[index], shares[index])
                error = deviations.truth(now, horizon) - predicted
                usable = np.isfinite(error)
                errors[index].append(error[usable] / deviations.noise(predicted)[usable])
                levels[index].append(np.searchsorted(edges, expected[usable]))
    tail = (1 - shape.coverage) / 2
    return np.stack(
        [
            _by_level(np.concatenate(error), np.concatenate(level), tail)
            for error, level in zip(errors, levels, strict=True)
        ]
    )


def _by_level(error: Values, level: NDArray[np.int_], tail: float) -> Values:
    """The quantiles of each level; a level with few errors takes those of all."""
    portions = (error[level == index] for index in range(LEVELS))
    return np.stack([_tails(own if own.size > FEWEST_ERRORS else error, tail) for own in portions])


def _tails(errors: Values, tail: float) -> Values:
    """The split-conformal quantiles: with n errors, the ranks that hold for one more of their kind."""
    if not errors.size:
        return np.array([-np.inf, np.inf])
    n = errors.size
    low = max(np.floor(tail * (n + 1)) / n, 0.0)
    high = min(np.ceil((1 - tail) * (n + 1)) / n, 1.0)
    result: Values = np.quantile(errors, [low, high])
    return result


def _interval(
    value: Values, expected: Values, edges: Values, quantiles: Values, shape: PanelShape
) -> Forecast:
    level = np.searchsorted(edges, np.nan_to_num(expected))
    noise = np.ones_like(value) if shape.noise == "level" else np.sqrt(np.maximum(value, 0.0) + 0.3)
    low = np.clip(value + quantiles[level, 0] * noise, shape.lowest, shape.highest)
    high = np.clip(value + quantiles[level, 1] * noise, shape.lowest, shape.highest)
    return Forecast(
        value, np.where(np.isfinite(value), low, np.nan), np.where(np.isfinite(value), high, np.nan)
    )


def _remember(filled: Values, known: NDArray[np.bool_], length: float) -> Values:
    """Forgetting mean of past deviations, (steps + 1, series); near 0 where little is known."""
    decay = np.exp(-1.0 / length)
    above, below = _accumulate(filled, decay), _accumulate(known.astype(float), decay)
    result: Values = above / (below + CAUTION)
    return result


def _accumulate(values: Values, decay: float) -> Values:
    """Row t: the sum of rows before t, each forgotten by `decay` a step; (steps + 1, columns)."""
    total = np.zeros((len(values) + 1, values.shape[1]))
    for index, row in enumerate(values):
        total[index + 1] = decay * total[index] + row
    return total


def _chunks(begin: int, end: int, size: int = 512) -> Iterator[NDArray[np.int_]]:
    """Instants in pieces that keep the memory small."""
    for first in range(begin, end, size):
        yield np.arange(first, min(first + size, end))
