"""Tracing is off unless it is wanted, and whatever is wrong with it stops nothing else."""

import sys

import pytest

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.otlp.tracer import OtlpTracer
from cityloom.app.configuration import Configuration, examine_configuration
from cityloom.app.configuration_tables import Traces
from cityloom.app.running import _tracer
from cityloom.app.watch.commits import CommitTimes, TimedFeed
from cityloom.kernel import spans
from cityloom.kernel.errors import BadConfig


@pytest.fixture
def tracer():
    made = OtlpTracer("http://127.0.0.1:9/v1/traces", headers={}, share=0.0, service="x", city="y")
    spans.use(made)
    yield made
    spans.use(None)
    made.close()


def test_nothing_is_told_where_nobody_collects():
    assert _tracer(Configuration()) is None
    assert spans.headers() == {}
    assert spans.trace_id() == ""
    assert spans.span("a") is spans.span("b") is spans.span_of("c", [])


def test_a_defect_of_tracing_stops_no_commit(tracer, monkeypatch, caplog):
    def broken(changes):
        raise RuntimeError("a defect")

    monkeypatch.setattr(tracer, "_causes_of", broken)
    times = CommitTimes()
    TimedFeed(MemoryFeed(), times).append([])
    assert (times.durations.count, times.failed) == (1, 0)
    assert "could not be begun" in caplog.text


def test_an_error_keeps_its_way_and_its_words(tracer):
    with pytest.raises(ValueError, match="anna"), spans.span("work"):
        raise ValueError("anna cannot be reached")


def test_a_share_of_none_is_passed_on_as_not_recorded(tracer):
    with spans.span("work"):
        flags = spans.headers()["traceparent"].rpartition("-")[2]
        assert int(flags, 16) & 1 == 0


def test_what_was_remembered_is_not_kept_without_end(tracer, monkeypatch):
    monkeypatch.setattr("cityloom.adapters.otlp.tracer.REMEMBERED", 5)
    with spans.span("work"):
        for number in range(50):
            spans.remember(number)
    assert len(tracer._causes) == 5


def test_libraries_that_are_missing_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cityloom.adapters.otlp.tracer", None)
    with pytest.raises(BadConfig, match="not installed") as told:
        _tracer(Configuration(traces=Traces(endpoint="http://127.0.0.1:4318/v1/traces")))
    assert "cityloom[traces]" in told.value.hint


@pytest.mark.parametrize("text", ['endpoint = "no address"', "share = 2.0", 'colour = "red"'])
def test_what_cannot_be_meant_is_told(text):
    _, wrong = examine_configuration(f"[traces]\n{text}\n")
    assert wrong
