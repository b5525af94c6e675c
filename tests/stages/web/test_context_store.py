"""How much of @contexts is stored, beyond restarts too. What a request shows of it: tests/conformance."""

from __future__ import annotations

import orjson
import pytest

from cityloom.adapters.memory.register import MemoryRegister
from cityloom.kernel.errors import Conflict
from cityloom.web.ngsild import context_store
from cityloom.web.ngsild.context_store import ContextStore

ONE = {"lamp": "https://light.example/lamp"}
OTHER = {"road": "https://road.example/road"}


@pytest.fixture(autouse=True)
def room_for_one(monkeypatch):
    size = max(len(orjson.dumps(one)) for one in (ONE, OTHER))
    monkeypatch.setattr(context_store, "MAX_STORED_BYTES", size)


async def started(register) -> ContextStore:
    store = ContextStore(register)
    await store.start()
    return store


async def test_all_tenants_together_have_so_many_bytes():
    store = await started(MemoryRegister())
    await store.host("a", ONE)
    with pytest.raises(Conflict):
        await store.host("b", OTHER)
    assert store.all("b") == []


async def test_what_is_removed_leaves_its_bytes_to_others():
    store = await started(MemoryRegister())
    hosted = await store.host("", ONE)
    await store.remove("", hosted.local_id)
    await store.host("", OTHER)


async def test_what_could_not_be_stored_takes_no_bytes(monkeypatch):
    register = MemoryRegister()
    store = await started(register)
    with monkeypatch.context() as broken:

        def full(*_):
            raise Conflict("There is no room", hint="Make some.")

        broken.setattr(register, "put", full)
        with pytest.raises(Conflict):
            await store.host("", ONE)
    await store.host("", OTHER)


async def test_after_a_restart_the_bytes_are_counted_as_before():
    register = MemoryRegister()
    await (await started(register)).host("", ONE)
    again = await started(register)
    with pytest.raises(Conflict):
        await again.host("", OTHER)
