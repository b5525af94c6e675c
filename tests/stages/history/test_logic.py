"""Arithmetic on readings and periods."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityloom.history.logic import bucket_of, missing_runs, time_weighted
from cityloom.history.periods import Step, edges_of, parse_step
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import to_millis

courses = st.lists(
    st.tuples(st.integers(-50, 150), st.one_of(st.floats(-100, 100), st.just(float("nan")))),
    max_size=12,
    unique_by=lambda pair: pair[0],
).map(sorted)
all_edges = st.lists(st.integers(-20, 120), min_size=2, max_size=6, unique=True).map(sorted)


def millisecond_by_millisecond(course, edges, hold):
    """The same by asking for the value at every single millisecond."""
    known = [(at, value) for at, value in course if not np.isnan(value)]
    for start, stop in itertools.pairwise(edges):
        standing = []
        for instant in range(start, stop):
            before = [pair for pair in known if pair[0] <= instant]
            if before and (hold is None or instant < before[-1][0] + hold):
                standing.append(before[-1][1])
        yield (float(np.mean(standing)) if standing else float("nan")), len(standing)


@given(courses, all_edges, st.one_of(st.none(), st.integers(1, 60)))
def test_time_weighted_is_the_mean_of_every_instant(course, edges, hold):
    at = np.array([pair[0] for pair in course], np.int64)
    value = np.array([pair[1] for pair in course], np.float64)
    found = time_weighted(at, value, np.array(edges, np.int64), hold=hold)
    expected = list(millisecond_by_millisecond(course, edges, hold))
    np.testing.assert_array_equal(found.covered, [covered for _, covered in expected])
    np.testing.assert_allclose(found.mean, [mean for mean, _ in expected], atol=1e-9)


@given(st.lists(st.integers(-10, 110), max_size=20), all_edges)
def test_bucket_of_is_the_half_open_period(instants, edges):
    found = bucket_of(np.array(instants, np.int64), np.array(edges, np.int64)).tolist()
    for instant, bucket in zip(instants, found, strict=True):
        inside = [i for i in range(len(edges) - 1) if edges[i] <= instant < edges[i + 1]]
        assert bucket == (inside[0] if inside else -1)


@given(st.lists(st.booleans(), max_size=30))
def test_missing_runs_are_exactly_what_is_missing(present):
    runs = missing_runs(np.array(present, np.bool_))
    missing = [index for start, stop in runs for index in range(start, stop)]
    assert missing == [index for index, there in enumerate(present) if not there]
    assert all(stop < start for (_, stop), (start, _) in itertools.pairwise(runs))


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("PT15M", Step(fixed=timedelta(minutes=15))),
        ("PT0.5S", Step(fixed=timedelta(milliseconds=500))),
        ("P1D", Step(days=1)),
        ("P2W", Step(days=14)),
        ("P1Y2M", Step(months=14)),
        ("P1DT12H", Step(days=1, fixed=timedelta(hours=12))),
        ("P0D", Step()),
    ],
)
def test_parse_step_reads_durations(text, step):
    assert parse_step(text) == step


@pytest.mark.parametrize("text", ["", "P", "PT", "P1", "1D", "P-1D", "PT1H30", "P1DT", "p1d", "P1.5D"])
def test_parse_step_refuses_what_is_no_duration(text):
    with pytest.raises(BadInput, match="not a duration") as refused:
        parse_step(text, where="aggrPeriodDuration")
    assert refused.value.where == "aggrPeriodDuration"


def test_edges_of_months_end_with_the_month():
    edges = edges_of(datetime(2014, 1, 31, tzinfo=UTC), datetime(2014, 4, 1, tzinfo=UTC), parse_step("P1M"))
    days = [datetime.fromtimestamp(edge / 1000, UTC).strftime("%m-%d") for edge in edges.tolist()]
    assert days == ["01-31", "02-28", "03-31", "04-30"]


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_edges_of_fixed_steps_cover_the_interval(length, width):
    since = datetime(2014, 9, 1, tzinfo=UTC)
    until = since + timedelta(seconds=length)
    edges = edges_of(since, until, timedelta(seconds=width))
    assert edges[0] == to_millis(since)
    assert edges[-2] < to_millis(until) <= edges[-1]
    assert set(np.diff(edges).tolist()) == {width * 1000}


def test_edges_of_a_backward_interval_are_refused():
    instant = datetime(2014, 9, 1, tzinfo=UTC)
    with pytest.raises(BadInput, match="does not lie after"):
        edges_of(instant, instant, None)
