"""What a running city finds wrong with itself."""

import asyncio
import resource
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.app import health as healths
from cityloom.app.configuration import Configuration
from cityloom.app.folder import CityFolder
from cityloom.app.health import ProcessHealth
from cityloom.app.watch import judging
from cityloom.app.watch.commits import CommitTimes, TimedFeed
from cityloom.app.watch.process import children, descriptors, threads
from cityloom.context import stages as following
from cityloom.context.stages import Stages
from cityloom.edge.model import Line, NotTaken, Standing
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import BrokenPlugin, StorageFull
from cityloom.kernel.measures import Growth
from cityloom.web.request_tally import RequestTally
from cityloom.web.rooms import Inside, StageFigures

WELL = {
    "stages": (),
    "files": (),
    "growth": Growth(0.0, None, None),
    "rates": {},
    "parked": 0,
    "refused": {},
    "commits": 0,
    "commit_s": None,
    "commits_slow": 0,
    "commits_failed": 0,
    "commits_failing": 0,
    "commits_slow_ago_s": None,
    "loop_lag_s": 0.0,
    "collecting_s": 0.0,
    "threads": 1,
    "children": 0,
    "descriptors": 10,
    "descriptors_most": 1000,
    "clock_moved_s": 0.0,
}


def inside(**more):
    return Inside(**(WELL | more))


def ids(findings):
    return [one.id for one in findings]


def change(sequence):
    return Change(
        sequence, "", "urn:x", ("T",), ChangeKind.UPDATED, InformationClass.OPEN, b"{}", (), 0, "city", ""
    )


async def failing(batch):
    raise RuntimeError("the store is away")


async def test_a_stage_that_fails_is_told_with_its_error(monkeypatch):
    monkeypatch.setattr(following, "FIRST_PAUSE", 0.001)
    stages = Stages(MemoryFeed())
    stages.start(0)
    stages.follow("history", failing, durable=False)
    stages.committed([change(1)])
    async with asyncio.timeout(10):
        while not stages.status(1)[0].failures:
            await asyncio.sleep(0.001)
    (found,) = judging.of_stages(stages.status(1), inside())
    assert found.id == "stage-fails"
    assert "the store is away" in found.what
    await stages.stop()


async def test_a_stage_that_lies_behind_by_changes_or_by_time():
    stages = Stages(MemoryFeed())
    stages.follow("history", failing, durable=False, after=0)
    far = stages.status(judging.FAR_BEHIND + 1)
    assert ids(judging.of_stages(far, inside())) == ["stage-behind"]
    near = stages.status(5)
    assert ids(judging.of_stages(near, inside())) == []
    late = inside(stages=(StageFigures("history", judging.LONG_BEHIND_S + 1),))
    assert ids(judging.of_stages(near, late)) == ["stage-behind"]


async def test_a_stage_that_missed_changes():
    stages = Stages(MemoryFeed())
    stages.start(0)
    stage = stages.follow("live", failing, durable=False)
    stage._skipped = 7
    (found,) = judging.of_stages(stages.status(0), inside())
    assert found.id == "stage-skipped"
    assert "7" in found.what
    await stages.stop()


class Full(MemoryFeed):
    def append(self, changes):
        raise StorageFull("The disk is full", hint="Make room.")


def test_commits_that_fail_or_take_long(monkeypatch):
    times = CommitTimes()
    with pytest.raises(StorageFull):
        TimedFeed(Full(), times).append([change(1)])
    assert ids(judging.of_writing(inside(commits_failing=times.failing))) == ["commits-fail"]
    monkeypatch.setattr("cityloom.app.watch.commits.SLOW_S", 0.0)
    TimedFeed(MemoryFeed(), times).append([change(1)])
    # What was stored since then is told no more; it stays counted.
    seen = {"commits_failing": times.failing, "commits_failed": times.failed, "commits_slow": times.slow}
    assert ids(judging.of_writing(inside(**seen, commits_slow_ago_s=times.slow_ago_s()))) == ["commits-slow"]
    assert ids(judging.of_writing(inside(**seen, commits_slow_ago_s=3700.0))) == []
    assert (times.failed, times.slow) == (1, 1)
    assert ids(judging.of_writing(inside(clock_moved_s=-3600.0))) == ["clock-wrong"]


def test_memory_files_and_a_loop_that_comes_late():
    assert ids(judging.of_process(inside(), scarce=0.0)) == []
    # All of the machine's memory is never free.
    assert ids(judging.of_process(inside(), scarce=1.0)) == ["memory-scarce"]
    taken, most = descriptors()
    assert 0 < taken <= most == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    crowded = inside(descriptors=taken, descriptors_most=taken)
    assert ids(judging.of_process(crowded, scarce=0.0)) == ["files-scarce"]
    assert ids(judging.of_process(inside(loop_lag_s=2.0), scarce=0.0)) == ["loop-late"]
    assert threads() >= 1
    assert children() >= 0


def test_other_processes_that_are_not_there_and_what_brings_them_changes():
    assert ids(judging.of_other_processes({"history": 2}, "")) == []
    assert ids(judging.of_other_processes({"history": 0}, "")) == ["no-follower"]
    assert ids(judging.of_other_processes({"history": 1}, "No connection")) == ["cluster-away"]


def house(tmp_path, **more):
    empty = SimpleNamespace(health=list)
    known = {
        "folder": CityFolder(tmp_path),
        "configuration": Configuration(),
        "broker": SimpleNamespace(last_sequence=0, stages=list),
        "connectors": SimpleNamespace(statuses=list),
        "subscriptions": empty,
        "federation": empty,
        "line": None,
        "between": None,
        "receiving": SimpleNamespace(standings=list),
        "broken": [],
        "storage": SimpleNamespace(trouble=str),
        "access": SimpleNamespace(open_access=False),
    }
    return SimpleNamespace(**(known | more))


def test_a_broken_plugin_and_a_city_that_is_starting(tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "MEMORY_FREE", 0.0)
    monkeypatch.setattr(healths, "disk_findings", lambda home, growth: ())
    broken = [BrokenPlugin("It has no Connector", hint="Write one.", where="connector.py")]
    health = ProcessHealth(house(tmp_path, broken=broken), RequestTally())
    assert {"plugin-broken", "starting"} <= set(ids(health.findings(inside())))
    health.starting = ""
    found = health.findings(inside())
    assert "plugin-broken" in ids(found)
    assert "starting" not in ids(found)
    assert "It has no Connector" in found[0].what


DAY = 86_400_000
NOW = 1_700_000_000_000
LINE = Line("https://city.example", 7, 3, 240.0, 1, "", refused=False, given_up=0)


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({}, []),
        ({"trouble": "no route"}, ["line-down"]),
        ({"trouble": "no such token", "refused": True}, ["edge-refused"]),
        ({"given_up": 3}, ["edge-gave-up"]),
        ({"trouble": "no route", "given_up": 3}, ["line-down", "edge-gave-up"]),
        ({"parked": 1, "not_taken": (NotTaken(4, "urn:a", "It is no Entity"),)}, ["edge-parked"]),
        ({"token_ends": NOW + 30 * DAY}, []),
        ({"token_ends": NOW + 30 * DAY - 1}, ["edge-token-ends"]),
        ({"token_ends": NOW - 1}, ["edge-token-ends"]),
    ],
)
def test_an_edge_tells_how_it_stands_with_its_centre(more, wanted):
    told = list(judging.of_line(replace(LINE, **more), NOW))
    assert ids(told) == wanted
    assert all(one.where == LINE.address for one in told)


def test_what_waits_for_a_centre_is_counted_and_its_age_told():
    (told,) = judging.of_line(replace(LINE, trouble="no route"), NOW)
    assert told.what == "3 changes wait for the centre, the oldest for 4 min: no route"
    assert list(judging.of_line(None, NOW)) == []


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({}, []),
        ({"last_contact": 0}, ["edge-silent"]),
        ({"last_contact": 1_000_000 - 300_000}, []),
        ({"last_contact": 1_000_000 - 300_001}, ["edge-silent"]),
        ({"clock_ahead": 10_000}, []),
        ({"clock_ahead": 10_001}, ["edge-clock"]),
        ({"clock_ahead": -10_001}, ["edge-clock"]),
        ({"conflicts": 1}, ["edge-conflicts"]),
        ({"given_up": 1}, ["edge-gave-up"]),
        ({"token_ends": 1_000_000 + 30 * DAY}, []),
        ({"token_ends": 1_000_000 + 29 * DAY}, ["edge-token-ends"]),
    ],
)
def test_a_centre_tells_how_its_edges_stand(more, wanted):
    ship = replace(Standing("ship", last_contact=1_000_000), **more)
    told = list(judging.of_edges([ship], 1_000_000))
    assert ids(told) == wanted
    assert all(one.where == "ship" for one in told)
