"""How much of @contexts is stored, beyond restarts too. What a request shows of it: tests/conformance."""

from __future__ import annotations

import pytest

from cityloom.access.errors import OverQuota
from cityloom.access.quotas import OfContexts
from cityloom.adapters.memory.register import MemoryRegister
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import Conflict, NotAllowed
from cityloom.web.ngsild.context_store import ContextStore

ONE = {"lamp": "https://light.example/lamp"}
OTHER = {"road": "https://road.example/road"}


ANN, BEN = Actor("ann"), Actor("ben")
#: Bytes for one of the two.
ROOM = OfContexts(all_bytes=250, each_bytes=250)


async def started(register) -> ContextStore:
    store = ContextStore(register, ROOM)
    await store.start()
    return store


async def test_all_tenants_together_have_so_many_bytes():
    store = await started(MemoryRegister())
    await store.host(ANN, "a", ONE)
    with pytest.raises(OverQuota):
        await store.host(BEN, "b", OTHER)
    assert store.all("b") == []


async def test_what_is_removed_leaves_its_bytes_to_others():
    store = await started(MemoryRegister())
    hosted = await store.host(ANN, "", ONE)
    await store.remove(ANN, "", hosted.local_id)
    await store.host(ANN, "", OTHER)


async def test_what_could_not_be_stored_takes_no_bytes(monkeypatch):
    register = MemoryRegister()
    store = await started(register)
    with monkeypatch.context() as broken:

        def full(*_):
            raise Conflict("There is no room", hint="Make some.")

        broken.setattr(register, "put", full)
        with pytest.raises(Conflict):
            await store.host(ANN, "", ONE)
    await store.host(ANN, "", OTHER)


async def test_after_a_restart_the_bytes_are_counted_as_before():
    register = MemoryRegister()
    await (await started(register)).host(ANN, "", ONE)
    again = await started(register)
    with pytest.raises(OverQuota):
        await again.host(ANN, "", OTHER)


async def test_only_who_added_one_or_may_administer_ends_it():
    store = await started(MemoryRegister())
    hosted = await store.host(ANN, "", ONE)
    with pytest.raises(NotAllowed):
        await store.remove(BEN, "", hosted.local_id)
    assert store.find("", hosted.local_id) == hosted
    await store.remove(Actor("chief", permissions=frozenset({"accounts:manage"})), "", hosted.local_id)
    assert store.all("") == []
