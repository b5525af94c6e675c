"""Aggregates of values against a naive computation, on both stores' way through the temporal API."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.adapters.memory.history import MemoryHistory
from cityloom.history.aggregation import aggregate_values, nature_of
from cityloom.history.extraction import stored_form
from cityloom.history.model import EntityNews, NewReading
from cityloom.history.periods import parse_step
from cityloom.history.ports import AGGREGATE_METHODS
from cityloom.history.queries import History
from cityloom.history.temporal import TemporalHistory, TemporalQuery
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.change import ChangeKind
from cityloom.kernel.errors import NotFound
from cityloom.kernel.time import to_millis
from cityloom.ngsild.errors import InvalidRequest
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.temporal_query import TemporalWindow

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Gone:
    """A broker in which no Entity is left."""

    def class_of(self, actor, entity_id, *, tenant=""):
        raise NotFound("gone", hint="none")


def remembered(store, values, kind="Property"):
    readings = tuple(
        NewReading(
            "level", "", kind, "", to_millis(START + minute * timedelta(minutes=1)), *stored_form(value)
        )
        for minute, value in values.items()
    )
    news = EntityNews(1, "", "urn:a", ("Thing",), ChangeKind.CREATED, InformationClass.OPEN, 5, readings)
    store.record([news], 1)
    return TemporalHistory(History(store, Gone()))


def aggregated(temporal, *methods, hours=6, attrs=()):
    query = TemporalQuery(
        entities=EntityQuery(attrs=attrs),
        window=TemporalWindow(START, START + hours * HOUR),
        aggregates=methods,
        period=parse_step("PT1H"),
    )
    page = temporal.temporal_entities(CITY, query)
    return {one.name: one.methods for found in page.entities for one in found.aggregates}


@pytest.fixture(params=["memory", "duckdb"], scope="module")
def new_store(request, tmp_path_factory):
    def make():
        folder = tmp_path_factory.mktemp("history")
        if request.param == "memory":
            return MemoryHistory(folder)
        return DuckHistory(folder / "history.duckdb", folder, memory_limit="64MB", threads=1)

    return make


_NAIVE = {
    "totalCount": len,
    "distinctCount": lambda values: len(set(values)),
    "sum": sum,
    "avg": statistics.fmean,
    "min": min,
    "max": max,
    "stddev": statistics.pstdev,
    "sumsq": lambda values: sum(value * value for value in values),
}


@settings(max_examples=25, deadline=None)
@given(values=st.dictionaries(st.integers(0, 359), st.integers(-50, 50), min_size=1, max_size=40))
def test_numbers_are_aggregated_as_a_naive_computation_does(new_store, values):
    store = new_store()
    found = aggregated(remembered(store, values), *AGGREGATE_METHODS)["level"]
    store.close()
    hours = sorted({minute // 60 for minute in values})
    for method, naive in _NAIVE.items():
        said = {(since - START) // HOUR: value for value, since, _ in found[method]}
        expected = {hour: naive([v for m, v in values.items() if m // 60 == hour]) for hour in hours}
        assert said == pytest.approx(expected), method


def test_texts_have_a_first_and_a_last_and_are_counted(new_store):
    store = new_store()
    temporal = remembered(store, {0: "wet", 1: "dry", 2: "wet", 70: "icy"})
    found = aggregated(temporal, "min", "max", "distinctCount", "totalCount", "avg")["level"]
    assert [value for value, _, _ in found["min"]] == ["dry", "icy"]
    assert [value for value, _, _ in found["max"]] == ["wet", "icy"]
    assert [value for value, _, _ in found["distinctCount"]] == [2, 1]
    assert [value for value, _, _ in found["totalCount"]] == [3, 1]
    assert found["avg"] == []
    with pytest.raises(InvalidRequest, match="level"):
        aggregated(temporal, "avg", attrs=("level",))
    store.close()


def test_booleans_count_as_numbers_and_arrays_by_their_size(new_store):
    flags, lists = new_store(), new_store()
    found = aggregated(remembered(flags, {0: True, 1: False, 2: True}), "sum", "avg")["level"]
    assert [value for value, _, _ in found["sum"]] == [2]
    found = aggregated(
        remembered(lists, {0: [1, 2, 3], 1: []}, "ListProperty"), "sum", "avg", "max", "stddev"
    )
    assert [found["level"][name][0][0] for name in ("sum", "avg", "max")] == [3, 1.5, 3]
    assert found["level"]["stddev"] == []
    flags.close()
    lists.close()


def test_times_of_day_have_a_mean_and_dates_an_order():
    times = [{"@type": "Time", "@value": "10:00:00Z"}, {"@type": "Time", "@value": "12:30:00Z"}]
    assert nature_of("Property", times[0]) == "time"
    assert aggregate_values("time", "avg", times) == "11:15:00Z"
    days = [{"@type": "Date", "@value": "2026-03-02"}, {"@type": "Date", "@value": "2026-01-31"}]
    assert nature_of("Property", days[0]) == "instant"
    assert aggregate_values("instant", "min", days) == "2026-01-31"
    assert aggregate_values("instant", "avg", days) is None
    assert nature_of("Relationship", "urn:a") == "other"


def test_periods_before_the_first_instance_are_left_out(new_store):
    store = new_store()
    temporal = remembered(store, {0: 1, 61: 2})
    query = TemporalQuery(
        window=TemporalWindow(START - timedelta(days=20_000), None),
        aggregates=("sum",),
        period=parse_step("PT1H"),
    )
    ((one,),) = [found.aggregates for found in temporal.temporal_entities(CITY, query).entities]
    assert one.methods["sum"] == [(1, START, START + HOUR), (2, START + HOUR, START + 2 * HOUR)]
    monthly = msgspec.structs.replace(query, period=parse_step("P1M"))
    ((one,),) = [found.aggregates for found in temporal.temporal_entities(CITY, monthly).entities]
    ((value, since, until),) = one.methods["sum"]
    assert value == 3 and since <= START < until
    assert np.timedelta64(until - since) < np.timedelta64(32, "D")
    store.close()
