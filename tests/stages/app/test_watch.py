"""What is measured of the process, and how it is told."""

import gc

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.app.watch import pulse as pulses
from cityloom.app.watch.commits import CommitTimes, TimedFeed
from cityloom.app.watch.metrics import METRICS, exposed
from cityloom.app.watch.pulse import Pulse
from cityloom.kernel.errors import StorageFull
from cityloom.kernel.measures import BOUNDS, Durations

A_VALUE = {"counter": 3.0, "gauge": 4.0}


def samples():
    timed = Durations()
    for seconds in (0.0005, 0.003, 0.003, 0.7, 60.0):
        timed.note(seconds)
    for metric in METRICS:
        value = timed if metric.kind == "histogram" else A_VALUE[metric.kind]
        yield metric.name, tuple('a "quoted"\n\\label' for _ in metric.labels), value


@pytest.mark.parametrize(
    ("accept", "parser", "media"),
    [
        ("text/plain;version=0.0.4", parse, "text/plain"),
        ("application/openmetrics-text; version=1.0.0", parse_open, "application/openmetrics-text"),
        ("", parse, "text/plain"),
    ],
)
def test_every_metric_is_told_with_its_kind_and_its_help(accept, parser, media):
    body, said = exposed(samples(), accept)
    assert said.startswith(media)
    families = {family.name: family for family in parser(body.decode())}
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert family.type == metric.kind
        assert family.documentation == metric.help
        assert set(metric.labels) <= set(family.samples[0].labels)
        assert all(family.samples[0].labels[name] == 'a "quoted"\n\\label' for name in metric.labels)


def test_a_histogram_counts_up_to_each_bound():
    body, _ = exposed(samples(), "")
    family = next(one for one in parse(body.decode()) if one.name == "cityloom_commit_seconds")
    found = {one.labels.get("le"): one.value for one in family.samples}
    assert found["0.001"] == 1
    assert found["0.005"] == 3
    assert found["10.0"] == 4
    assert found["+Inf"] == 5
    total = next(one.value for one in family.samples if one.name.endswith("_sum"))
    assert total == pytest.approx(60.7065)


def test_names_keep_to_the_conventions():
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert not any(unit in metric.name for unit in ("_ms", "milli", "_kb", "percent")), metric.name
        assert metric.help.endswith("."), metric.name


def test_where_most_durations_lie():
    durations = Durations()
    assert durations.at_most(0.95) is None
    for _ in range(95):
        durations.note(0.002)
    for _ in range(5):
        durations.note(100.0)
    assert durations.at_most(0.95) == 0.0025
    assert durations.at_most(0.99) == float("inf")
    assert len(durations.counts) == len(BOUNDS) + 1


class Full(MemoryFeed):
    def append(self, changes):
        raise StorageFull("The disk is full", hint="Make room.")


def test_commits_are_timed_and_failures_counted(monkeypatch):
    times = CommitTimes()
    TimedFeed(MemoryFeed(), times).append([])
    assert (times.durations.count, times.slow, times.failed) == (1, 0, 0)
    with pytest.raises(StorageFull):
        TimedFeed(Full(), times).append([])
    assert (times.durations.count, times.failed) == (1, 1)
    monkeypatch.setattr("cityloom.app.watch.commits.SLOW_S", 0.0)
    TimedFeed(MemoryFeed(), times).append([])
    assert times.slow == 1


class Time:
    """The two clocks of a machine, set by hand."""

    def __init__(self):
        self.now = 1000.0
        self.offset = 1_790_000_000.0

    def monotonic(self):
        return self.now

    def time(self):
        return self.now + self.offset

    perf_counter = monotonic


@pytest.fixture
def hands(monkeypatch):
    hands = Time()
    monkeypatch.setattr(pulses, "time", hands)
    return hands


def test_rates_and_lags_in_seconds(hands, tmp_path):
    told = {"sequence": 0, "requests": 0}
    pulse = Pulse(
        tmp_path / "growth.json",
        last_sequence=lambda: told["sequence"],
        counts=lambda: {"requests": told["requests"]},
    )
    assert pulse.rates() == {}
    for _ in range(11):
        pulse.beat(0.002)
        hands.now += 1
        told["sequence"] += 100
        told["requests"] += 7
    assert pulse.rates() == {"changes": 100.0, "requests": 7.0}
    last = told["sequence"]
    assert last == 1100
    assert pulse.behind_s(last, last) == 0.0
    # Change 601 was written after the beat that saw 600, five seconds ago.
    assert pulse.behind_s(600, last) == 5.0
    # Older than the process: at least so long.
    assert pulse.behind_s(-1, last) == 11.0
    assert pulse.worst_lag_s() == 0.002


def test_a_clock_that_is_set_is_noticed(hands, tmp_path, caplog):
    pulse = Pulse(tmp_path / "growth.json", last_sequence=lambda: 0, counts=dict)
    pulse.beat()
    hands.offset += 2
    pulse.beat()
    assert pulse.clock_moved_s == 0.0
    hands.offset -= 3600
    pulse.beat()
    pulse.beat()
    assert pulse.clock_moved_s == pytest.approx(-3598, abs=3)
    assert "clock was set" in caplog.text


async def test_the_collector_is_timed_while_it_beats(tmp_path):
    pulse = Pulse(tmp_path / "growth.json", last_sequence=lambda: 0, counts=dict)
    pulse.start()
    gc.collect()
    await pulse.stop()
    assert pulse.collections >= 1
    assert pulse.collecting_s > 0
    collected = pulse.collections
    gc.collect()
    assert pulse.collections == collected
