"""The night's minimum, learned and told with what is measured."""

from __future__ import annotations

import numpy as np
import pytest

from cityloom.analytics import night_minimum as nm
from cityloom.analytics.intervals import coverage

HOURS = 24


def hourly(days: int, stations: int = 1) -> nm.Series:
    gap = np.full((stations, days * HOURS), np.nan)
    return nm.Series(gap.copy(), gap.copy(), gap.copy(), gap.copy())


def invented_nights(count: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Nights that obey a linear law with noise of 1.5 degrees."""
    random = np.random.default_rng(seed)
    features = random.normal(0, 1, (count, len(nm.FEATURES))) * [8, 8, 2, 8, 8, 8, 0.7, 0.7]
    truth = 0.5 * features[:, 0] + 0.2 * features[:, 1] + 0.3 * features[:, 5] - 1.0
    return features, truth + random.normal(0, 1.5, count)


def test_night_minima_look_at_19_to_8_and_nowhere_else():
    series = hourly(2)
    series.temperature_c[0] = 10.0
    series.temperature_c[0, 18] = -9.0  # the evening itself
    series.temperature_c[0, 24 + 9] = -8.0  # the morning after
    series.temperature_c[0, 24 + 8] = 1.0  # the night's last hour
    assert nm.night_minima(series.temperature_c, np.array([18]), 1).tolist() == [[1.0]]


def test_night_minima_count_of_the_last_hour_its_first_step_alone():
    temperature = np.full((1, 2 * HOURS * 6), 5.0)
    temperature[0, (24 + 8) * 6 + 1 :] = -5.0
    assert nm.night_minima(temperature, np.array([18 * 6]), 6).tolist() == [[5.0]]


def test_night_minima_are_unknown_for_a_night_with_a_gap():
    series = hourly(2)
    series.temperature_c[0] = 10.0
    series.temperature_c[0, 24:28] = np.nan
    assert np.isnan(nm.night_minima(series.temperature_c, np.array([18]), 1)).all()


def test_evening_features_take_the_newest_value_of_the_last_hour():
    temperature = np.full((1, 3 * HOURS * 6), np.nan)
    evening = (24 + 18) * 6
    temperature[0, evening - 5] = 3.0
    temperature[0, evening - 2] = 2.0
    temperature[0, evening + 1] = -7.0  # not yet known
    temperature[0, evening - 18] = 6.5  # 15:00
    series = nm.Series(temperature, temperature, temperature, temperature)
    found = nm.evening_features(series, np.array([evening]), 6)[0, 0]
    assert found[0] == 2.0
    assert found[4] == 6.5
    assert np.isnan(found[5])


@pytest.mark.parametrize("hour", [19, 24 + 5, 24 + 8])
def test_evening_features_know_last_nights_minimum(hour):
    series = hourly(3)
    series.temperature_c[0] = 4.0
    series.temperature_c[0, hour] = -3.5
    assert nm.evening_features(series, np.array([24 + 18]), 1)[0, 0, 5] == -3.5


def test_evening_features_outside_the_series_are_gaps():
    series = hourly(1)
    series.temperature_c[0] = 4.0
    found = nm.evening_features(series, np.array([18 + 24, 0]), 1)
    assert np.isnan(found[0, 0]).all()
    assert np.isnan(found[0, 1, 4:]).all()


def test_fit_finds_the_law_and_estimate_uses_it():
    features, minima = invented_nights(3000)
    model = nm.fit(features, minima)
    assert model is not None
    found = nm.weights(model)
    assert found["temperature_c"] == pytest.approx(0.5, abs=0.03)
    assert found["last_minimum_c"] == pytest.approx(0.3, abs=0.03)
    value, spread = nm.estimate(model, features[:500])
    assert np.abs(value - minima[:500]).mean() == pytest.approx(1.5 * np.sqrt(2 / np.pi), abs=0.12)
    assert spread == pytest.approx(1.5, rel=0.15)


def test_fit_wants_enough_whole_nights():
    features, minima = invented_nights(200)
    features[:150, 3] = np.nan
    assert nm.fit(features, minima) is None


def test_estimate_bears_gaps_with_a_wider_spread():
    features, minima = invented_nights(3000)
    model = nm.fit(features, minima)
    assert model is not None
    partial = features[:2000].copy()
    partial[:, 5] = np.nan
    _, whole_spread = nm.estimate(model, features[:2000])
    value, spread = nm.estimate(model, partial)
    # What last night's minimum explained is now noise: sqrt(1.5² + (0.3 * 8)²).
    assert spread.mean() == pytest.approx(np.hypot(1.5, 2.4), rel=0.1)
    assert (spread > whole_spread).all()
    assert (minima[:2000] - value).std() == pytest.approx(spread.mean(), rel=0.1)


def test_estimate_says_nothing_without_a_temperature():
    features, minima = invented_nights(1000)
    model = nm.fit(features, minima)
    assert model is not None
    features[0, 0] = np.nan
    value, _ = nm.estimate(model, features[:2])
    assert np.isnan(value[0])
    assert np.isfinite(value[1])


@pytest.mark.parametrize("gap", [(), (5,), (2, 3)])
def test_interval_covers_its_level_with_and_without_gaps(gap):
    features, minima = invented_nights(2000)
    model = nm.fit(features, minima)
    assert model is not None
    fresh, truth = invented_nights(3000, seed=8)
    fresh[:, list(gap)] = np.nan
    low, high = nm.interval(model, *nm.estimate(model, fresh), level=0.9)
    assert coverage(truth, low, high) == pytest.approx(0.9, abs=0.03)


def test_interval_is_wider_when_the_weather_is_harder_to_tell():
    def nights(seed):
        random = np.random.default_rng(seed)
        features, minima = invented_nights(6000, seed)
        # The drier the air, the larger the error.
        return features, minima + random.normal(0, 3, 6000) * (np.exp(-features[:, 1] / 16))

    model = nm.fit(*nights(1))
    assert model is not None
    fresh, truth = nights(2)
    low, high = nm.interval(model, *nm.estimate(model, fresh), level=0.9)
    dry, moist = fresh[:, 1] < -5, fresh[:, 1] > 5
    assert (high - low)[dry].mean() > 1.6 * (high - low)[moist].mean()
    for weather in (dry, moist):
        assert coverage(truth[weather], low[weather], high[weather]) == pytest.approx(0.9, abs=0.06)
    fresh[:, 1] = np.nan
    assert np.isfinite(nm.estimate(model, fresh)[1]).all()


def test_chance_at_most_agrees_with_how_often_it_happens():
    features, minima = invented_nights(2000)
    model = nm.fit(features, minima)
    assert model is not None
    fresh, truth = invented_nights(4000, seed=9)
    chance = nm.chance_at_most(model, *nm.estimate(model, fresh), limit_c=0.0)
    likely = (chance > 0.6) & (chance < 0.8)
    assert (truth[likely] <= 0).mean() == pytest.approx(0.7, abs=0.08)
    assert nm.chance_at_most(model, np.array([30.0, -30.0]), np.array([1.0, 1.0]), 0.0).tolist() == [0.0, 1.0]


def test_dew_point_of_saturated_air_is_its_temperature():
    assert nm.dew_point_c(np.array([-3.0, 12.0]), np.array([1.0, 1.0])) == pytest.approx([-3.0, 12.0])
    # Psychrometric tables: 20 °C at 50 % is 9.3 °C.
    assert nm.dew_point_c(np.array([20.0]), np.array([0.5])) == pytest.approx([9.3], abs=0.1)
