"""The metrics: what each is called and means, and how it is told to Prometheus.

What happens often is counted by plain numbers where it happens; here they are read, when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from cityloom.kernel.measures import BOUNDS, Durations

Labels = tuple[str, ...]
Value = float | Durations


class Metric(msgspec.Struct, frozen=True):
    """One metric, named by the conventions of Prometheus: base units, `_total` for what only grows."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Labels = ()
    #: Which process tells it, where not every city does.
    told_by: Literal["", "edge", "centre", "relay", "follower"] = ""


_STAGE = ("stage",)
_EDGE = ("edge",)
METRICS: tuple[Metric, ...] = (
    Metric("cityloom_info", "gauge", "1; its label tells the version of CityLoom.", ("version",)),
    Metric("cityloom_changes_total", "counter", "Changes in the feed since the city began."),
    Metric("cityloom_waiting_changes", "gauge", "Changes that were accepted and are not durable yet."),
    Metric("cityloom_commit_seconds", "histogram", "Time that a group of changes took to become durable."),
    Metric("cityloom_commits_slow_total", "counter", "Commits that took a second or more."),
    Metric("cityloom_commits_failed_total", "counter", "Commits that failed; nothing of them was stored."),
    Metric(
        "cityloom_requests_total",
        "counter",
        "Requests that were answered. `address` is that of the operation in the API's table (empty for what "
        "is none of them), or page, static, hooks, features, sensorthings.",
        ("method", "address", "status"),
    ),
    Metric(
        "cityloom_request_seconds",
        "histogram",
        "Time until an answer was ready, writes until they were durable, by what was asked.",
        ("operation",),
    ),
    Metric(
        "cityloom_refused_total",
        "counter",
        "Requests and connections turned away before anything was done, by the reason: crowded (503, too "
        "much at once), connections in all (503), connections of one address (429), slow head (408), "
        "large head (431), requests ahead (too many behind one that is answered; hung up on).",
        ("reason",),
    ),
    Metric("cityloom_standing_by", "gauge", "1 while another process runs the city and this one waits."),
    Metric(
        "cityloom_standby_behind_seconds",
        "gauge",
        "Time since a standby was last as far as the feed; 0 for who runs the city.",
    ),
    Metric("cityloom_standbys", "gauge", "Processes that stood by in the last minute."),
    Metric("cityloom_stage_lag_changes", "gauge", "Changes that a stage has still to handle.", _STAGE),
    Metric(
        "cityloom_stage_lag_seconds",
        "gauge",
        "Age of the oldest change that a stage has still to handle; counted from the start of the process "
        "where it is older.",
        _STAGE,
    ),
    Metric("cityloom_stage_handled_total", "counter", "The last change that a stage has handled.", _STAGE),
    Metric("cityloom_stage_failures", "gauge", "Failures of a stage in a row; 0 when all is well.", _STAGE),
    Metric("cityloom_stage_skipped_total", "counter", "Changes that a stage missed.", _STAGE),
    Metric(
        "cityloom_followers",
        "gauge",
        "Processes that do a stage in place of the city's own.",
        _STAGE,
        told_by="relay",
    ),
    Metric(
        "cityloom_relay_repeated_total",
        "counter",
        "Partitions that were told again of changes which their followers lacked and the cluster had lost.",
        told_by="relay",
    ),
    Metric(
        "cityloom_followed_partitions",
        "gauge",
        "Partitions of the feed that this process follows.",
        _STAGE,
        told_by="follower",
    ),
    Metric(
        "cityloom_followed_changes_total",
        "counter",
        "Changes that this process has kept.",
        _STAGE,
        told_by="follower",
    ),
    Metric(
        "cityloom_followed_mended_total",
        "counter",
        "Of these, changes that the cluster did not bring and that were looked up in the feed.",
        _STAGE,
        told_by="follower",
    ),
    Metric(
        "cityloom_notifications_total",
        "counter",
        "Notifications to other systems: delivered, or failed (and sent again, where that helps).",
        ("outcome",),
    ),
    Metric("cityloom_notifications_missed_total", "counter", "Entities that somebody was never told of."),
    Metric("cityloom_notifications_waiting", "gauge", "Entities that wait to be told of."),
    Metric("cityloom_endpoints_failing", "gauge", "Subscriptions whose endpoint does not take what is sent."),
    Metric("cityloom_sources_failing", "gauge", "Registered context sources that do not answer."),
    Metric(
        "cityloom_line_up",
        "gauge",
        "Whether the centre took what was sent last: 1 or 0.",
        told_by="edge",
    ),
    Metric(
        "cityloom_line_waiting_changes",
        "gauge",
        "Changes that the centre does not have.",
        told_by="edge",
    ),
    Metric("cityloom_line_oldest_seconds", "gauge", "Age of the oldest of these.", told_by="edge"),
    Metric(
        "cityloom_line_given_up_total",
        "counter",
        "Changes that found no room to wait.",
        told_by="edge",
    ),
    Metric(
        "cityloom_edge_waiting_changes",
        "gauge",
        "Changes that wait at an edge, as it said last.",
        _EDGE,
        told_by="centre",
    ),
    Metric(
        "cityloom_edge_silent_seconds",
        "gauge",
        "Time since an edge was heard of last.",
        _EDGE,
        told_by="centre",
    ),
    Metric(
        "cityloom_edge_parked_total",
        "counter",
        "Changes of an edge that were parked.",
        _EDGE,
        told_by="centre",
    ),
    Metric(
        "cityloom_edge_conflicts_total",
        "counter",
        "Attributes of which an edge and this city said different things, and observedAt did not decide.",
        _EDGE,
        told_by="centre",
    ),
    Metric(
        "cityloom_messages_total",
        "counter",
        "Messages that a connector got from devices, by MQTT or otherwise: received, stored, parked.",
        ("connector", "outcome"),
    ),
    Metric("cityloom_connector_up", "gauge", "Whether a connector runs: 1 or 0.", ("connector",)),
    Metric(
        "cityloom_parked_messages",
        "gauge",
        "Messages that are parked, of the classes that the token may see.",
    ),
    Metric("cityloom_entities", "gauge", "Entities that the token's owner may see, by type.", ("type",)),
    Metric("cityloom_file_bytes", "gauge", "Size of a database with its write-ahead log.", ("file",)),
    Metric("cityloom_disk_size_bytes", "gauge", "Size of the disk that the city's folder lies on."),
    Metric("cityloom_disk_free_bytes", "gauge", "Room on that disk."),
    Metric(
        "cityloom_disk_growth_bytes_per_day",
        "gauge",
        "How fast that disk fills up; not told before it was watched for a day.",
    ),
    Metric(
        "cityloom_disk_full_in_seconds",
        "gauge",
        "When that disk will be full, as far as can be foretold; not told where it is not, or too little "
        "is known.",
    ),
    Metric("cityloom_loop_late_seconds", "histogram", "How late the event loop came to what was due."),
    Metric("cityloom_collecting_seconds_total", "counter", "Time that Python's garbage collector took."),
    Metric("cityloom_collections_total", "counter", "How often Python looked for garbage."),
    Metric("cityloom_threads", "gauge", "Threads of the process."),
    Metric("cityloom_child_processes", "gauge", "Processes that the city has started and that live."),
    Metric("cityloom_live_readers", "gauge", "Pages that follow live."),
)
#: Told by the library of Prometheus itself, where the system is Linux.
OF_THE_LIBRARY: tuple[Metric, ...] = (
    Metric("process_cpu_seconds_total", "counter", "Time of the processor that the process took."),
    Metric("process_resident_memory_bytes", "gauge", "Memory that the process holds."),
    Metric("process_virtual_memory_bytes", "gauge", "Addresses that the process has reserved."),
    Metric("process_start_time_seconds", "gauge", "When the process began, seconds since 1970."),
    Metric("process_open_fds", "gauge", "Open files and connections."),
    Metric("process_max_fds", "gauge", "How many there may be."),
)
_BY_NAME = {metric.name: metric for metric in METRICS}


def exposed(samples: Iterable[tuple[str, Labels, Value]], accept: str) -> tuple[bytes, str]:
    """The samples as text, with the library's own of the process, and the text's media type.

    `accept` is what the asker takes: OpenMetrics, or else the plain format of Prometheus. Imports the library
    (80 ms), so that a city nobody asks does without.
    """
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry()
    registry.register(_Given(_families(samples)))
    ProcessCollector(registry=registry)
    encode, media = choose_encoder(accept)
    return encode(registry), media


class _Given:
    """A collector of what was collected already."""

    def __init__(self, families: Sequence[Any]) -> None:
        self._families = families

    def collect(self) -> Sequence[Any]:
        return self._families

    def describe(self) -> Sequence[Any]:
        return ()


def _families(samples: Iterable[tuple[str, Labels, Value]]) -> list[Any]:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    kinds: Mapping[str, Any] = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }
    families: dict[str, Any] = {}
    for name, labels, value in samples:
        metric = _BY_NAME[name]
        family = families.get(name)
        if family is None:
            family = families[name] = kinds[metric.kind](name, metric.help, labels=metric.labels)
        if isinstance(value, Durations):
            family.add_metric(labels, list(_buckets(value)), sum_value=value.seconds)
        else:
            family.add_metric(labels, value)
    return list(families.values())


def _buckets(durations: Durations) -> Iterator[tuple[str, float]]:
    seen = 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), durations.counts, strict=True):
        seen += count
        yield bound, seen
