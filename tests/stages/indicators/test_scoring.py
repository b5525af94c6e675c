"""Scores as U4SSC works them out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityloom.indicators.model import Benchmark, Rule
from cityloom.indicators.scoring import BANDS, percent_of_target, points_of, score, standing


@pytest.mark.parametrize(
    ("points", "scored", "percent", "band"),
    [
        # The two worked examples of the verification reports.
        ([1, 3, 4, 1], 4, 56.25, 2),
        ([3, 4, 2], 3, 75.0, 3),
        ([4, 4], 2, 100.0, 4),
        ([1, 1, 1], 3, 25.0, 1),
    ],
)
def test_score_is_the_share_of_the_points(points, scored, percent, band):
    found = score(points)
    assert (found.scored, found.points, found.percent, found.band) == (scored, sum(points), percent, band)


def test_score_of_nothing_is_none():
    assert score([]).percent is None
    assert score([]).band is None


@given(st.lists(st.integers(1, 4), min_size=1))
def test_score_is_never_below_a_quarter(points):
    found = score(points)
    assert 25 <= found.percent <= 100


@pytest.mark.parametrize(
    ("percent", "points"),
    [(0, 1), (32.999, 1), (33, 2), (65.999, 2), (66, 3), (94.999, 3), (95, 4), (100, 4)],
)
def test_points_of_counts_an_edge_to_the_upper_band(percent, points):
    assert points_of(percent) == points


@given(st.floats(0, 100), st.floats(0, 100))
def test_points_of_rise_with_the_percentage(one, other):
    low, high = sorted((one, other))
    assert points_of(low) <= points_of(high)
    assert points_of(BANDS[-1]) == 4


@pytest.mark.parametrize(
    ("rule", "target", "worst", "value", "percent"),
    [
        (Rule.RATIO_UP, 80, None, 40, 50),
        (Rule.RATIO_UP, 80, None, 200, 100),
        (Rule.RATIO_UP, 80, None, -5, 0),
        (Rule.RATIO_DOWN, 5, None, 10, 50),
        (Rule.RATIO_DOWN, 5, None, 2, 100),
        (Rule.RATIO_DOWN, 5, None, 0, 100),
        (Rule.GOALPOST, 0, 50, 10, 80),
        (Rule.GOALPOST, 0, 50, 60, 0),
        (Rule.GOALPOST, 100, 0, 30, 30),
        (Rule.PARITY, 1, None, 0.8, 80),
        (Rule.PARITY, 1, None, 1.25, 80),
        (Rule.PARITY, 1, None, 0, 0),
        (Rule.BOOLEAN, None, None, True, 100),
        (Rule.BOOLEAN, None, None, False, 0),
        (Rule.NONE, None, None, 7, None),
    ],
)
def test_percent_of_target_follows_its_rule(rule, target, worst, value, percent):
    assert percent_of_target(value, Benchmark(rule, target, worst)) == percent


@given(
    st.sampled_from([Rule.RATIO_UP, Rule.RATIO_DOWN, Rule.GOALPOST, Rule.PARITY]),
    st.floats(-1e6, 1e6),
    st.floats(0.001, 1e6),
    st.floats(-1e6, -0.001),
)
def test_percent_of_target_stays_between_nothing_and_all(rule, value, target, worst):
    assert 0 <= percent_of_target(value, Benchmark(rule, target, worst)) <= 100


@given(st.floats(0.01, 1e4), st.floats(0.01, 1e4), st.floats(0.01, 1e4))
def test_percent_of_target_prefers_the_better_value(target, one, other):
    low, high = sorted((one, other))
    up, down = Benchmark(Rule.RATIO_UP, target), Benchmark(Rule.RATIO_DOWN, target)
    assert percent_of_target(low, up) <= percent_of_target(high, up)
    assert percent_of_target(low, down) >= percent_of_target(high, down)


def test_standing_has_four_names():
    assert [standing(points) for points in (1, 2, 3, 4)] == ["bad", "fair", "good", "veryGood"]
