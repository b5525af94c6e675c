"""The coming night's minimum temperature, told in the evening from what a weather station measures.

A linear regression that bears gaps: of the evening's measurements and the night's minimum, the joint mean
and covariance are kept; whatever is measured tonight, the best linear estimate from just that follows from
them (the conditional mean of a normal distribution), and its spread too. So a farm's station without a
barometer gets a forecast, with the wider interval it deserves.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cityloom.analytics.intervals import blocks

Array = NDArray[np.float64]

#: The evening is 18:00; the night 19:00 to 08:00, both local.
NIGHT_BEGIN_H, NIGHT_END_H = 1, 14
#: What the estimate is made from, in the order of the columns.
FEATURES = (
    "temperature_c",
    "dew_point_c",
    "wind_ms",
    "pressure_hpa",
    "temperature_3h_before_c",
    "last_minimum_c",
    "season_sine",
    "season_cosine",
)
#: A night whose hours are known to a smaller share has no minimum: it could have been in the gap.
_HOURS_NEEDED = 0.85
#: Below this share of the variance an estimate of it is noise; keeps the covariance invertible.
_RIDGE = 1e-3
_FOLDS = 8
#: The spread is at most so many times the usual one, and at least its inverse.
_MOST_UNREST = 2.5
#: Keeps the logarithm of an error of nothing finite; in spreads.
_SMALL = 0.1
#: So many points describe the distribution of the scaled errors.
_SCORES = 201


class NightMinimum(NamedTuple):
    """What was learned."""

    #: Shapes (k + 1,) and (k + 1, k + 1): FEATURES, then the night's minimum.
    mean: Array
    covariance: Array
    #: Cold and dry evenings are harder to tell: the logarithm of the spread is linear in temperature and dew
    #: point (constant first), beside what the covariance says of it.
    unrest: Array
    #: Quantiles of errors out of fold, divided by the spread expected.
    scores: Array


class Series(NamedTuple):
    """Measurements of all stations, shape (stations, steps), NaN for gaps; steps of equal length."""

    temperature_c: Array
    dew_point_c: Array
    wind_ms: Array
    pressure_hpa: Array


def dew_point_c(temperature_c: Array, relative_humidity: Array) -> Array:
    """Dew point over water from temperature and relative humidity (0 to 1): Magnus, WMO-No. 8, annex 4.B."""
    humidity = np.clip(relative_humidity, 0.01, 1.0)
    gamma = np.log(humidity) + 17.62 * temperature_c / (243.12 + temperature_c)
    return np.asarray(243.12 * gamma / (17.62 - gamma))


def season(day_of_year: Array) -> Array:
    """Where in the year a day lies, shape (..., 2): sine and cosine."""
    angle = 2 * np.pi * np.asarray(day_of_year, dtype=float) / 365.25
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1)


def evening_features(series: Series, evenings: NDArray[np.int64], steps_per_hour: int) -> Array:
    """What is measured by each evening, shape (stations, evenings, len(FEATURES)); season left NaN.

    `evenings` are the columns of the steps that begin at 18:00 local time. A value is the newest of the
    last hour.
    """
    shape = (series.temperature_c.shape[0], len(evenings))
    out = np.full((*shape, len(FEATURES)), np.nan)
    for column, values in enumerate(
        (series.temperature_c, series.dew_point_c, series.wind_ms, series.pressure_hpa)
    ):
        out[..., column] = _newest(values, evenings, steps_per_hour)
    out[..., 4] = _newest(series.temperature_c, evenings - 3 * steps_per_hour, steps_per_hour)
    out[..., 5] = night_minima(series.temperature_c, evenings - 24 * steps_per_hour, steps_per_hour)
    return out


def night_minima(temperature_c: Array, evenings: NDArray[np.int64], steps_per_hour: int) -> Array:
    """The minimum of the night after each evening, shape (stations, evenings); NaN for nights with gaps."""
    hours = np.arange(NIGHT_BEGIN_H, NIGHT_END_H + 1)
    # (evenings, hours, steps of the hour); the last hour counts with its first step alone.
    columns = evenings[:, None, None] + (hours[:, None] * steps_per_hour + np.arange(steps_per_hour))
    columns[:, -1, 1:] = columns[:, -1, :1]
    values = _columns(temperature_c, columns)
    known = np.isfinite(values).any(axis=-1).mean(axis=-1) >= _HOURS_NEEDED
    lowest = np.min(np.where(np.isfinite(values), values, np.inf), axis=(-1, -2))
    return np.where(known, lowest, np.nan)


def fit(features: Array, minima: Array) -> NightMinimum | None:
    """Learn from nights in the order of time: features (n, len(FEATURES)), minima (n,).

    Nights that lack a value are left out. None when fewer than 10 nights a feature remain.
    """
    table = np.column_stack([features, minima])
    table = table[np.isfinite(table).all(axis=1)]
    if len(table) < 10 * len(FEATURES):
        return None
    errors, spreads = np.empty(len(table)), np.empty(len(table))
    for fitted, held in blocks(len(table), _FOLDS):
        value, spreads[held] = estimate(_moments(table[fitted]), table[held, :-1])
        errors[held] = table[held, -1] - value
    told = np.log(np.abs(errors) / spreads + _SMALL)
    unrest: Array = np.asarray(np.linalg.lstsq(_weather(table), told, rcond=None)[0], dtype=float)
    # Only its variation counts: the level is the scores'.
    unrest[0] -= (_weather(table) @ unrest).mean()
    model = _moments(table)._replace(unrest=unrest)
    scaled = errors / (spreads * _unrest(model, table))
    return model._replace(scores=np.quantile(scaled, np.linspace(0, 1, _SCORES)))


def estimate(model: NightMinimum, features: Array) -> tuple[Array, Array]:
    """The minimum expected and the spread (standard error) of it, each (n,).

    Features that are NaN are left out of account; without a temperature there is no estimate (NaN).
    """
    value = np.full(len(features), np.nan)
    spread = np.full(len(features), np.nan)
    known = np.isfinite(features)
    for pattern in np.unique(known, axis=0):
        if not pattern[0]:
            continue
        rows = (known == pattern).all(axis=1)
        slope, deviation = _regression(model, pattern)
        value[rows] = model.mean[-1] + (features[rows][:, pattern] - model.mean[:-1][pattern]) @ slope
        spread[rows] = deviation * _unrest(model, features[rows])
    return value, spread


def interval(model: NightMinimum, value: Array, spread: Array, level: float) -> tuple[Array, Array]:
    """Bounds that hold the night's minimum with probability `level`, each side missed alike."""
    places = np.linspace(0, 1, len(model.scores))
    missed = (1 - level) / 2
    low, high = np.interp([missed, 1 - missed], places, model.scores)
    return value + spread * low, value + spread * high


def chance_at_most(model: NightMinimum, value: Array, spread: Array, limit_c: float) -> Array:
    """How probable it is that the minimum is `limit_c` or below."""
    places = np.linspace(0, 1, len(model.scores))
    return np.interp((limit_c - value) / spread, model.scores, places, left=0.0, right=1.0)


def weights(model: NightMinimum) -> dict[str, float]:
    """The slope of each feature when all are known: degrees of the minimum a unit of the feature."""
    slope, _ = _regression(model, np.ones(len(FEATURES), dtype=bool))
    return dict(zip(FEATURES, map(float, slope), strict=True))


def _moments(table: Array) -> NightMinimum:
    covariance = np.cov(table, rowvar=False)
    covariance[np.diag_indices_from(covariance)] *= 1 + _RIDGE
    return NightMinimum(table.mean(axis=0), covariance, np.zeros(3), np.zeros(1))


def _weather(features: Array) -> Array:
    """A constant, temperature and dew point, shape (n, 3)."""
    return np.column_stack([np.ones(len(features)), features[:, :2]])


def _unrest(model: NightMinimum, features: Array) -> Array:
    """How many times the usual spread is to be expected. A dew point that is unknown is the usual one."""
    weather = _weather(features)
    usual = model.mean[1] + (weather[:, 1] - model.mean[0]) * model.covariance[0, 1] / model.covariance[0, 0]
    weather[:, 2] = np.where(np.isfinite(weather[:, 2]), weather[:, 2], usual)
    return np.asarray(np.clip(np.exp(weather @ model.unrest), 1 / _MOST_UNREST, _MOST_UNREST))


def _regression(model: NightMinimum, pattern: NDArray[np.bool_]) -> tuple[Array, float]:
    among = model.covariance[:-1, :-1][np.ix_(pattern, pattern)]
    with_minimum = model.covariance[:-1, -1][pattern]
    slope: Array = np.asarray(np.linalg.solve(among, with_minimum), dtype=float)
    variance = float(model.covariance[-1, -1] - with_minimum @ slope)
    return slope, float(np.sqrt(max(variance, 1e-6)))


def _newest(values: Array, columns: NDArray[np.int64], steps_per_hour: int) -> Array:
    """The newest value in the hour that ends with each column, that column included."""
    found = np.full((values.shape[0], len(columns)), np.nan)
    for back in range(steps_per_hour - 1, -1, -1):
        there = _columns(values, columns - back)
        found = np.where(np.isfinite(there), there, found)
    return found


def _columns(values: Array, columns: NDArray[np.int64]) -> Array:
    """values[:, columns] with NaN for columns outside."""
    inside = (columns >= 0) & (columns < values.shape[1])
    if not values.shape[1]:
        return np.full((values.shape[0], *columns.shape), np.nan)
    return np.where(inside, values[:, np.clip(columns, 0, values.shape[1] - 1)], np.nan)
