"""The normal week, panel forecasts and sudden drops, on series whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityloom.analytics import panel_forecast as panel
from cityloom.analytics import sudden_drop as drop
from cityloom.analytics.weekly_profile import ProfileShape, weekly_profile

A_DAY = 24
SHAPE = panel.PanelShape(A_DAY, (1, 3), target="last", noise="level")
PLAIN = ProfileShape(smoothing=0.0, half_life_weeks=1e9, borrowed=0.0)


def weeks(count, series=5, seed=1, memory=0.9):
    """Series with a known week, and deviations from it that persist from hour to hour."""
    rng = np.random.default_rng(seed)
    steps = count * 7 * A_DAY
    hour = np.arange(steps) % A_DAY
    normal = 50 + 20 * np.sin(2 * np.pi * hour / A_DAY)[None, :] * np.ones((series, 1))
    deviation = np.zeros((series, steps))
    for step in range(1, steps):
        deviation[:, step] = memory * deviation[:, step - 1] + rng.normal(0, 2, series)
    return normal + deviation


def test_weekly_profile_is_the_mean_of_each_slot_when_nothing_is_borrowed():
    values = np.arange(2 * 7 * A_DAY, dtype=float)[None, :]
    profile = weekly_profile(values, 0, 7 * A_DAY, PLAIN)
    assert profile[0] == pytest.approx(np.arange(7 * A_DAY) + 3.5 * A_DAY, rel=2e-3)


def test_weekly_profile_begins_at_the_slot_it_is_told():
    values = np.tile(np.arange(7 * A_DAY, dtype=float), 2)[None, :]
    profile = weekly_profile(values[:, 5:], 5, 7 * A_DAY, PLAIN)
    assert profile[0, 7] == pytest.approx(7, abs=0.2)


def test_weekly_profile_of_a_series_never_seen_is_unknown_and_spoils_no_other():
    values = np.vstack([np.full(7 * A_DAY, np.nan), np.full(7 * A_DAY, 4.0)])
    profile = weekly_profile(values, 0, 7 * A_DAY, ProfileShape())
    assert np.isnan(profile[0]).all()
    assert profile[1] == pytest.approx(4.0)


@given(st.floats(-1e6, 1e6), st.integers(0, 167))
def test_weekly_profile_of_a_constant_is_that_constant_whatever_is_borrowed(level, first):
    profile = weekly_profile(np.full((1, 400), level), first, 168, ProfileShape())
    assert profile == pytest.approx(np.full((1, 168), level))


def test_value_of_a_week_ago_has_a_share_where_a_season_has_come_and_none_where_chance_rules():
    a_day_ahead = SHAPE._replace(horizons=(A_DAY,), last_week=True)
    calm = weeks(9, memory=0.0)
    # From the sixth week on each hour of the week is another one; the normal week learns that but slowly.
    steps = np.arange(calm.shape[1])
    pattern = np.random.default_rng(2).normal(0, 8, 7 * A_DAY)
    season = np.where(steps >= 5 * 7 * A_DAY, pattern[steps % (7 * A_DAY)], 0.0)
    cut = 8 * 7 * A_DAY
    errors, shares = {}, {}
    for name, values in (("calm", calm), ("season", calm + season)):
        for last_week in (False, True):
            shape = a_day_ahead._replace(last_week=last_week)
            model = panel.fit(values[:, :cut], 0, shape)
            ends = range(cut, values.shape[1] - A_DAY)
            said = [panel.forecast(model, values[:, :end], end, shape)[0].value for end in ends]
            truth = np.stack([values[:, end + A_DAY - 1] for end in ends])
            errors[name, last_week] = np.abs(np.stack(said) - truth).mean()
            shares[name, last_week] = model.week_shares[0]
    assert shares["season", True] > 0.5 and shares["calm", True] <= 0.15
    assert shares["season", False] == 0
    assert errors["season", True] < 0.9 * errors["season", False]
    assert errors["calm", True] < 1.05 * errors["calm", False]


def test_week_ago_that_is_missing_leaves_the_forecast_as_it_is():
    shape = SHAPE._replace(last_week=True)
    values = weeks(8)
    model = panel.fit(values, 0, shape)._replace(week_shares=np.array([1.0, 1.0]))
    holes = values.copy()
    holes[0, : -3 * A_DAY] = np.nan
    without = panel.forecast(model._replace(week_shares=np.zeros(2)), holes, 0, shape)
    with_share = panel.forecast(model, holes, 0, shape)
    week = 7 * A_DAY
    assert with_share[0].value[0] == without[0].value[0]
    assert with_share[0].value[1] == pytest.approx(values[1, -week])
    assert with_share[1].value[1] == pytest.approx(values[1, -week + 2])


def test_fit_says_nothing_with_less_than_twelve_days():
    assert panel.fit(weeks(1), 0, SHAPE) is None


def test_forecast_beats_the_last_value_and_the_normal_week_where_deviations_persist():
    values = weeks(8)
    cut = 7 * 7 * A_DAY
    model = panel.fit(values[:, :cut], 0, SHAPE)
    ends = range(cut, values.shape[1] - 3)
    said = np.stack([panel.forecast(model, values[:, :end], end, SHAPE)[1].value for end in ends])
    truth = np.stack([values[:, end + 2] for end in ends])
    last = np.stack([values[:, end - 1] for end in ends])
    normal = np.stack([panel.usual(model, end + 2) for end in ends])
    error = np.abs(said - truth).mean()
    assert error < 0.6 * np.abs(last - truth).mean()
    assert error < 0.85 * np.abs(normal - truth).mean()


def test_forecast_intervals_hold_the_share_of_truths_that_they_claim():
    values = weeks(14, series=8)
    cut = 10 * 7 * A_DAY
    model = panel.fit(values[:, :cut], 0, SHAPE)
    inside = []
    for end in range(cut, values.shape[1] - 3):
        one = panel.forecast(model, values[:, :end], end, SHAPE)[0]
        inside.append((one.low <= values[:, end]) & (values[:, end] <= one.high))
    assert np.mean(inside) == pytest.approx(SHAPE.coverage, abs=0.03)


def test_forecast_of_a_silent_series_is_its_normal_week():
    values = weeks(6)
    model = panel.fit(values, 0, SHAPE)
    silent = np.full((5, SHAPE.history), np.nan)
    said = panel.forecast(model, silent, 0, SHAPE)[0].value
    assert said == pytest.approx(panel.usual(model, 0), abs=0.5)


def test_forecast_of_a_series_that_was_not_learned_is_no_number():
    model = panel.fit(weeks(6), 0, SHAPE)
    model = model._replace(profile=np.vstack([model.profile[:4], np.full((1, 168), np.nan)]))
    one = panel.forecast(model, weeks(1), 0, SHAPE)[0]
    assert np.isnan([one.value[4], one.low[4], one.high[4]]).all()
    assert np.isfinite(one.value[:4]).all()


@pytest.mark.parametrize("target", ["mean", "last"])
@pytest.mark.parametrize("noise", ["count", "level"])
def test_forecast_stays_within_its_bounds(target, noise):
    shape = SHAPE._replace(lowest=45.0, highest=55.0, target=target, noise=noise)
    values = weeks(6)
    model = panel.fit(values, 0, shape)
    for one in panel.forecast(model, values, 0, shape):
        for part in one:
            assert part.min() >= 45
            assert part.max() <= 55


def test_model_survives_being_taken_apart_and_put_together():
    model = panel.fit(weeks(6), 0, SHAPE)
    again = panel.from_arrays(model.to_arrays("x_"), "x_")
    for name, item in model._asdict().items():
        assert np.array_equal(getattr(again, name), item, equal_nan=True)


def test_dropped_wants_two_low_steps_after_a_calm_hour():
    normal = np.full((4, 6), 50.0)
    recent = np.array(
        [
            [50, 50, 50, 50, 12, 12],  # a drop
            [50, 50, 50, 50, 50, 12],  # one low step
            [20, 20, 20, 20, 12, 12],  # was slow before
            [50, 50, 50, 50, np.nan, 12],  # a gap is not a low step
        ],
        dtype=float,
    )
    fell = drop.dropped(recent, normal, np.full(4, 0.5), drop.DropShape())
    assert fell.tolist() == [True, False, False, False]


def test_drop_limits_are_stricter_for_a_restless_series():
    rng = np.random.default_rng(1)
    normal = np.full((3, 4000), 50.0)
    values = np.vstack([rng.normal(50, 2, 4000), rng.choice([5.0, 50.0], 4000), np.full(4000, np.nan)])
    limits = drop.drop_limits(values, normal, drop.DropShape())
    assert limits[0] == 0.5
    assert limits[1] <= 0.1
    assert np.isnan(limits[2])
