"""The stage that remembers."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from cityloom.adapters.memory.history import MemoryHistory
from cityloom.history.stage import HistoryStage
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import NotReady, StorageFull
from cityloom.ngsild.model import entity, prop


class Counting(MemoryHistory):
    full = False

    def __init__(self, folder):
        super().__init__(folder)
        self.commits = []

    def record(self, batch, through):
        if self.full:
            raise StorageFull("The disk is full", hint="")
        self.commits.append([news.sequence for news in batch])
        super().record(batch, through)


def change(sequence):
    document = entity("Weather", "urn:a", {"temperature": prop(sequence)})
    return Change(
        sequence=sequence,
        tenant="",
        entity_id="urn:a",
        types=("Weather",),
        kind=ChangeKind.UPDATED,
        information_class=InformationClass.OPEN,
        document=orjson.dumps(document),
        attributes=("temperature",),
        at_millis=1000 * sequence,
        by="city",
        trace="",
    )


async def test_handle_passes_over_changes_it_has_seen(tmp_path):
    store = Counting(tmp_path)
    stage = HistoryStage(store, pause=0)
    await stage.handle([change(1), change(2)])
    await stage.handle([change(1), change(2), change(3)])
    await stage.handle([change(2)])
    assert store.commits == [[1, 2], [3]]
    assert stage.through == 3


async def test_handle_begins_where_the_store_ends(tmp_path):
    store = Counting(tmp_path)
    await HistoryStage(store, pause=0).handle([change(1)])
    await HistoryStage(store, pause=0).handle([change(1), change(2)])
    assert store.commits == [[1], [2]]


async def test_handle_keeps_its_place_when_the_disk_is_full(tmp_path):
    store = Counting(tmp_path)
    stage = HistoryStage(store, pause=0)
    store.full = True
    with pytest.raises(StorageFull):
        await stage.handle([change(1)])
    assert stage.through == 0
    store.full = False
    await stage.handle([change(1)])
    assert store.commits == [[1]]


async def test_reached_waits_until_it_is_remembered(tmp_path):
    stage = HistoryStage(Counting(tmp_path), pause=0)
    waiting = asyncio.create_task(stage.reached(2))
    await stage.handle([change(1)])
    assert not waiting.done()
    await stage.handle([change(2)])
    await asyncio.wait_for(waiting, 5)


@pytest.fixture
def slept(monkeypatch):
    """How long the stage would have let changes gather."""
    pauses = []

    async def rest(_stage, seconds):
        pauses.append(max(0, seconds))

    monkeypatch.setattr(HistoryStage, "_rest", rest)
    return pauses


async def test_handle_leaves_a_pause_between_commits(tmp_path, slept):
    stage = HistoryStage(Counting(tmp_path), pause=100)
    await stage.handle([change(1)])
    await stage.handle([change(2)])
    assert slept[0] == 0
    assert 0 < slept[1] <= 100


async def test_handle_does_not_let_changes_gather_while_somebody_waits_for_them(tmp_path):
    stage = HistoryStage(Counting(tmp_path), pause=1_000)
    await stage.handle([change(1)])
    waiting = asyncio.create_task(stage.reached(2))
    await asyncio.wait_for(stage.handle([change(2)]), 20)
    await asyncio.wait_for(waiting, 20)


async def test_caught_up_waits_only_so_long(tmp_path, monkeypatch):
    monkeypatch.setattr("cityloom.history.stage.PATIENCE", 0.0)
    stage = HistoryStage(Counting(tmp_path), pause=0)
    with pytest.raises(NotReady, match="written just now"):
        await stage.caught_up(1)
    await stage.handle([change(1)])
    await stage.caught_up(1)


async def test_handle_takes_a_large_batch_without_a_pause(tmp_path, monkeypatch, slept):
    monkeypatch.setattr("cityloom.history.stage.WORTH_A_COMMIT", 3)
    stage = HistoryStage(Counting(tmp_path), pause=100)
    await stage.handle([change(1)])
    await stage.handle([change(2), change(3), change(4)])
    assert slept == [0]
    await stage.handle([change(5), change(6)])
    assert len(slept) == 2
