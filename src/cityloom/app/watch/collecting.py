"""Reads a running house: its metrics, and what the system page tells of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from shutil import disk_usage

from cityloom import __version__
from cityloom.app.house import House
from cityloom.app.watch.metrics import Labels, Value
from cityloom.app.watch.process import children, descriptors, threads
from cityloom.app.watch.pulse import Pulse
from cityloom.kernel.time import now_millis
from cityloom.web.request_tally import RequestTally, summed
from cityloom.web.rooms import FileFigures, Inside, StageFigures

#: Types that metrics name, the most frequent of them: each is a series for whoever keeps them.
MOST_TYPES = 100
Samples = Iterator[tuple[str, Labels, Value]]


def counts_of(house: House, requests: RequestTally) -> dict[str, int]:
    """What has been counted since the start; the rates are those of these."""
    messages = sum(one.received for one in house.connectors.statuses())
    return {
        "requests": sum(durations.count for durations in requests.answered.values()),
        "refused": requests.refused.total(),
        "notifications": house.subscriptions.outcomes.get("delivered", 0),
        "messages": messages,
    }


def inside_of(house: House, requests: RequestTally, pulse: Pulse, parked: int) -> Inside:
    """How the city runs inside. Quick, but for the sizes of some files."""
    last = house.broker.last_sequence
    times = house.commits
    taken, most = descriptors()
    return Inside(
        stages=tuple(
            StageFigures(one.name, pulse.behind_s(one.cursor, last)) for one in house.broker.stages()
        ),
        files=tuple(files_of(house.folder.home)),
        growth=pulse.growth(),
        rates=pulse.rates(),
        parked=parked,
        refused=dict(requests.refused),
        commits=times.durations.count,
        commit_s=times.durations.at_most(0.95),
        commits_slow=times.slow,
        commits_slow_ago_s=times.slow_ago_s(),
        commits_failed=times.failed,
        commits_failing=times.failing,
        loop_lag_s=pulse.worst_lag_s(),
        collecting_s=pulse.collecting_s,
        threads=threads(),
        children=children(),
        descriptors=taken,
        descriptors_most=most,
        clock_moved_s=pulse.clock_moved_s,
    )


def files_of(home: Path) -> Iterator[FileFigures]:
    """The databases of a city's folder, each with its write-ahead log."""
    for path in sorted(home.iterdir()):
        if path.suffix in (".db", ".duckdb"):
            beside = [path.with_name(path.name + ending) for ending in ("", "-wal", ".wal")]
            yield FileFigures(path.name, sum(_size(one) for one in beside))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def samples_of(
    house: House,
    requests: RequestTally,
    pulse: Pulse,
    inside: Inside,
    entities: Mapping[str, int],
    readers: int,
) -> Samples:
    """A sample of every metric that can be told now: its name, its labels, its value. `entities` are those
    that the asker may see, by type."""
    yield "cityloom_info", (__version__,), 1
    yield from chain(
        _writing(house, inside),
        _asking(requests),
        _stages(house, inside),
        _telling(house),
        _edges(house),
        _hearing(house, inside),
        _room(house, inside, entities),
        _process(pulse, inside, readers),
    )


def _writing(house: House, inside: Inside) -> Samples:
    yield "cityloom_changes_total", (), house.broker.last_sequence
    yield "cityloom_waiting_changes", (), house.broker.backlog
    yield "cityloom_commit_seconds", (), house.commits.durations
    yield "cityloom_commits_slow_total", (), inside.commits_slow
    yield "cityloom_commits_failed_total", (), inside.commits_failed
    yield "cityloom_standing_by", (), 0
    yield "cityloom_standby_behind_seconds", (), 0
    yield "cityloom_standbys", (), house.storage.standbys()


def _asking(requests: RequestTally) -> Samples:
    for (method, address, status), durations in list(requests.answered.items()):
        yield "cityloom_requests_total", (method, address, str(status)), durations.count
    for operation, durations in summed(requests.answered).items():
        yield "cityloom_request_seconds", (operation,), durations
    for reason, count in list(requests.refused.items()):
        yield "cityloom_refused_total", (reason,), count


def _stages(house: House, inside: Inside) -> Samples:
    behind = {one.name: one.behind_s for one in inside.stages}
    for one in house.broker.stages():
        stage = (one.name,)
        yield "cityloom_stage_lag_changes", stage, one.lag
        yield "cityloom_stage_lag_seconds", stage, behind.get(one.name, 0.0)
        yield "cityloom_stage_handled_total", stage, one.cursor
        yield "cityloom_stage_failures", stage, one.failures
        yield "cityloom_stage_skipped_total", stage, one.skipped
    if house.between is not None:
        yield "cityloom_relay_repeated_total", (), house.between.relay.repeated
        for name, count in house.between.followers.items():
            yield "cityloom_followers", (name,), count


def _telling(house: House) -> Samples:
    outcomes = house.subscriptions.outcomes
    for outcome in ("delivered", "failed"):
        yield "cityloom_notifications_total", (outcome,), outcomes.get(outcome, 0)
    yield "cityloom_notifications_missed_total", (), outcomes.get("missed", 0)
    yield "cityloom_notifications_waiting", (), house.subscriptions.waiting
    told, asked = house.subscriptions.health(), house.federation.health()
    yield "cityloom_endpoints_failing", (), sum(one.failing for one in told)
    yield "cityloom_sources_failing", (), sum(one.status == "failing" for one in asked)


def _edges(house: House) -> Samples:
    now = now_millis()
    if house.line is not None:
        line = house.line.forwarding.line()
        yield "cityloom_line_up", (), not line.trouble
        yield "cityloom_line_waiting_changes", (), line.waiting
        yield "cityloom_line_oldest_seconds", (), line.oldest_s
        yield "cityloom_line_given_up_total", (), line.given_up
    for one in house.receiving.standings():
        edge = (one.name,)
        yield "cityloom_edge_waiting_changes", edge, one.waiting
        yield "cityloom_edge_parked_total", edge, one.parked
        yield "cityloom_edge_conflicts_total", edge, one.conflicts
        if one.last_contact:
            yield "cityloom_edge_silent_seconds", edge, max(0.0, (now - one.last_contact) / 1000)


def _hearing(house: House, inside: Inside) -> Samples:
    for one in house.connectors.statuses():
        for outcome, count in (("received", one.received), ("stored", one.stored), ("parked", one.parked)):
            yield "cityloom_messages_total", (one.id, outcome), count
        yield "cityloom_connector_up", (one.id,), one.state == "running"
    yield "cityloom_parked_messages", (), inside.parked


def _room(house: House, inside: Inside, entities: Mapping[str, int]) -> Samples:
    disk = disk_usage(house.folder.home)
    for name, count in sorted(entities.items(), key=lambda one: -one[1])[:MOST_TYPES]:
        yield "cityloom_entities", (name,), count
    for file in inside.files:
        yield "cityloom_file_bytes", (file.name,), file.bytes
    yield "cityloom_disk_size_bytes", (), disk.total
    yield "cityloom_disk_free_bytes", (), disk.free
    if inside.growth.bytes_a_day is not None:
        yield "cityloom_disk_growth_bytes_per_day", (), inside.growth.bytes_a_day
    if inside.growth.full_in_s is not None:
        yield "cityloom_disk_full_in_seconds", (), inside.growth.full_in_s


def _process(pulse: Pulse, inside: Inside, readers: int) -> Samples:
    yield "cityloom_loop_late_seconds", (), pulse.lateness
    yield "cityloom_collecting_seconds_total", (), pulse.collecting_s
    yield "cityloom_collections_total", (), pulse.collections
    yield "cityloom_threads", (), inside.threads
    yield "cityloom_child_processes", (), inside.children
    yield "cityloom_live_readers", (), readers
