"""Intervals cover what they claim."""

from __future__ import annotations

import numpy as np
import pytest

from cityloom.analytics.intervals import blocks, coverage


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
