"""Judges what was measured of a running city: what its operator should look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cityloom.context.stages import StageStatus
from cityloom.edge.model import Line, Standing
from cityloom.federation.model import Health as SourceHealth
from cityloom.kernel.findings import Finding, found
from cityloom.sensing.host import ConnectorStatus
from cityloom.subscriptions.model import Health as EndpointHealth
from cityloom.web.rooms import Inside

#: Changes a stage may lie behind, and seconds.
FAR_BEHIND = 50_000
LONG_BEHIND_S = 300.0
#: Seconds after which an edge is silent: it says each minute that there is nothing to say.
EDGE_SILENT_S = 300.0
#: Milliseconds by which the clocks of an edge and its centre may differ.
CLOCKS_APART_MS = 10_000
#: Days before its token ends in which an edge is to get another one.
TOKEN_ENDS_DAYS = 30
_DAY_MS = 86_400_000
#: Share of the machine's memory that must be free.
MEMORY_FREE = 0.05
#: Share of the open files that may be in use.
FILES_TAKEN = 0.8
#: How late the event loop may come.
LATE_S = 1.0
#: For how long a commit that was slow is told of.
LATELY_S = 3600.0
#: Addresses in trouble that one finding names.
NAMED = 3


def of_stages(stages: Sequence[StageStatus], inside: Inside) -> Iterator[Finding]:
    behind = {one.name: one.behind_s for one in inside.stages}
    for stage in stages:
        late = behind.get(stage.name, 0.0)
        if stage.lag > FAR_BEHIND or late > LONG_BEHIND_S:
            yield found(
                "stage-behind", f"{stage.name} lies {stage.lag} changes behind, {late:.0f} s", stage.name
            )
        if stage.last_error:
            yield found("stage-fails", f"{stage.name}: {stage.last_error}", stage.name)
        if stage.skipped:
            yield found("stage-skipped", f"{stage.name} missed {stage.skipped} changes", stage.name)


def of_other_processes(followers: Mapping[str, int], trouble: str) -> Iterator[Finding]:
    """Of those that do stages in place of the city's own process, and of what brings them changes."""
    if trouble:
        yield found("cluster-away", trouble)
    for stage, count in followers.items():
        if not count:
            yield found("no-follower", f"No process does the stage {stage}", stage)


def of_writing(inside: Inside) -> Iterator[Finding]:
    if inside.commits_failing:
        yield found("commits-fail", f"The last {inside.commits_failing} commits failed")
    if inside.commits_slow_ago_s is not None and inside.commits_slow_ago_s < LATELY_S:
        minutes = inside.commits_slow_ago_s / 60
        yield found(
            "commits-slow",
            f"{inside.commits_slow} commits took a second or more, the last one {minutes:.0f} min ago",
        )
    if inside.clock_moved_s:
        yield found("clock-wrong", f"The clock was set by {inside.clock_moved_s:.0f} s while the city ran")


def of_storage(trouble: str) -> Iterator[Finding]:
    if trouble:
        yield found("database-away", trouble)


def of_hearing(connectors: Sequence[ConnectorStatus], inside: Inside) -> Iterator[Finding]:
    if inside.parked:
        yield found("parked-messages", f"{inside.parked} messages are parked")
    for one in connectors:
        if one.state in ("troubled", "broken"):
            yield found("connector-down", f"{one.title}: {one.last_error or one.state}", one.id)


def of_process(inside: Inside, *, scarce: float = MEMORY_FREE) -> Iterator[Finding]:
    free, whole = _memory()
    if whole and free < scarce * whole:
        yield found("memory-scarce", f"{free / 1e6:.0f} MB of the machine's memory are free")
    if inside.descriptors > FILES_TAKEN * inside.descriptors_most:
        yield found(
            "files-scarce",
            f"{inside.descriptors} of {inside.descriptors_most} files and connections are open",
        )
    if inside.loop_lag_s > LATE_S:
        yield found("loop-late", f"The event loop came {inside.loop_lag_s:.1f} s late in the last minute")


def of_other_systems(told: Sequence[EndpointHealth], asked: Sequence[SourceHealth]) -> Iterator[Finding]:
    """Those that do not take what they are sent, or do not answer what they are asked."""
    yield from _some(
        "endpoint-failing",
        "Notifications do not get through to",
        [one.endpoint for one in told if one.failing],
    )
    yield from _some(
        "source-failing", "No answer comes from", [one.endpoint for one in asked if one.status == "failing"]
    )


def of_line(line: Line | None, now: int) -> Iterator[Finding]:
    """Of a city that is an edge: how it stands with its centre. `now` in milliseconds since 1970."""
    if line is None:
        return
    if line.refused:
        yield found("edge-refused", line.trouble, line.address)
    elif line.trouble:
        what = f"{line.waiting} changes wait for the centre, the oldest for {line.oldest_s / 60:.0f} min"
        yield found("line-down", f"{what}: {line.trouble}", line.address)
    if line.given_up:
        yield found("edge-gave-up", f"{line.given_up} changes were given up", line.address)
    if line.parked:
        last = "".join(f", the last one of {one.id}: {one.why}" for one in line.not_taken[-1:])
        yield found("edge-parked", f"{line.parked} changes are parked at the centre{last}", line.address)
    yield from _token_ends("This edge's token", line.token_ends, now, line.address)


def of_edges(edges: Sequence[Standing], now: int) -> Iterator[Finding]:
    """Of a centre: how its edges stand. `now` in milliseconds since 1970."""
    for one in edges:
        silent_s = (now - one.last_contact) / 1000
        if not one.last_contact:
            yield found("edge-silent", f"Nothing was heard of {one.name} yet", one.name)
        elif silent_s > EDGE_SILENT_S:
            yield found(
                "edge-silent", f"Nothing was heard of {one.name} for {silent_s / 60:.0f} min", one.name
            )
        if abs(one.clock_ahead) > CLOCKS_APART_MS:
            ahead = one.clock_ahead / 1000
            yield found("edge-clock", f"The clock of {one.name} is {ahead:+.0f} s from this one", one.name)
        if one.conflicts:
            yield found("edge-conflicts", f"{one.conflicts} conflicts with {one.name}", one.name)
        if one.given_up:
            yield found("edge-gave-up", f"{one.name} has given up {one.given_up} changes", one.name)
        yield from _token_ends(f"The token of {one.name}", one.token_ends, now, one.name)


def _token_ends(whose: str, ends: int, now: int, where: str) -> Iterator[Finding]:
    days = (ends - now) / _DAY_MS
    if 0 < ends < now:
        yield found("edge-token-ends", f"{whose} has ended", where)
    elif ends and days < TOKEN_ENDS_DAYS:
        yield found("edge-token-ends", f"{whose} ends in {days:.0f} days", where)


def _some(kind: str, said: str, endpoints: list[str]) -> Iterator[Finding]:
    """One finding about addresses, the first of them by name; none where there is none."""
    different = list(dict.fromkeys(endpoints))
    if different:
        more = f" and {len(different) - NAMED} more" if len(different) > NAMED else ""
        what = f"{said} {', '.join(different[:NAMED])}{more}: see the page of other systems."
        yield found(kind, what)


def _memory() -> tuple[int, int]:
    """Bytes that could be had, and bytes in all; zeros where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0, 0
    told = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    return told.get("MemAvailable", 0), told.get("MemTotal", 0)
