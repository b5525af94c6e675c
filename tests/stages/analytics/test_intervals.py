"""Intervals cover what they claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.analytics.intervals import blocks, conformal_offsets, conformal_radius, coverage


def test_conformal_radius_is_the_ranked_error():
    errors = np.array([-4.0, 1.0, 2.0, -3.0, 0.5, 5.0, 6.0, 7.0, 8.0])
    # ceil(10 * 0.8) = the 8th smallest of 0.5 1 2 3 4 5 6 7 8
    assert conformal_radius(errors, 0.8) == 7.0


def test_conformal_radius_is_unknown_when_there_are_too_few_errors_for_the_level():
    assert np.isnan(conformal_radius(np.array([1.0, 2.0, 3.0]), 0.9))
    assert np.isnan(conformal_radius(np.empty(0), 0.5))


def test_conformal_radius_counts_each_series_for_itself_and_leaves_gaps_out():
    errors = np.full((9, 2), np.nan)
    errors[:, 0] = np.arange(1, 10)
    errors[:4, 1] = [1, 2, 3, 4]
    assert conformal_radius(errors, 0.8).tolist() == [8.0, 4.0]


def test_conformal_offsets_lean_with_the_errors():
    errors = np.arange(1.0, 100.0)
    low, high = conformal_offsets(errors, 0.9)
    assert (low, high) == (5.0, 95.0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), level=st.sampled_from([0.5, 0.8, 0.9]))
def test_conformal_radius_covers_at_least_its_level_on_fresh_errors(seed, level):
    random = np.random.default_rng(seed)
    # Skewed and heavy-tailed: nothing is assumed but that old and new errors are alike.
    calibration = random.standard_t(3, (200, 400)) ** 3
    fresh = random.standard_t(3, 400) ** 3
    radius = conformal_radius(calibration, level)
    share = coverage(fresh, -radius, radius)
    assert share >= level - 4 * np.sqrt(level * (1 - level) / 400)


def test_coverage_leaves_out_what_is_not_known():
    truth = np.array([1.0, 5.0, np.nan, 2.0])
    low, high = np.zeros(4), np.array([2.0, 2.0, 2.0, np.nan])
    assert coverage(truth, low, high) == 0.5
    assert np.isnan(coverage(np.array([np.nan]), low[:1], high[:1]))


@pytest.mark.parametrize(("count", "folds"), [(10, 3), (8, 8), (100, 7)])
def test_blocks_hold_each_row_once_and_lie_together(count, folds):
    held = [np.flatnonzero(h) for _, h in blocks(count, folds)]
    assert np.concatenate(held).tolist() == list(range(count))
    assert all((fitted ^ h).all() for fitted, h in blocks(count, folds))
