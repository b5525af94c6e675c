"""What others have asked the broker to remember."""

from __future__ import annotations

import asyncio
import threading

import msgspec
import pytest

from cityloom.adapters.memory.register import MemoryRegister
from cityloom.context.registered import Registered
from cityloom.kernel.errors import Conflict, StorageFull
from cityloom.ngsild.errors import AlreadyExists, ResourceNotFound


class Wish(msgspec.Struct, frozen=True):
    text: str


class Slow(MemoryRegister):
    """A register whose disk answers when it is let go, or is full."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.go.set()
        self.full = False

    def put(self, kind, entry):
        self.go.wait(10)
        if self.full:
            raise StorageFull("The disk is full", hint="Make room.")
        super().put(kind, entry)


async def _wishes(register, most: int = 3) -> Registered[Wish]:
    wishes = Registered(register, "wish", Wish, most=most)
    await wishes.start()
    return wishes


async def test_add_is_found_again_after_a_restart_in_its_tenant_alone():
    register = MemoryRegister()
    wishes = await _wishes(register)
    await wishes.add("", "a", Wish("rain"))
    await wishes.add("t", "a", Wish("sun"))
    again = await _wishes(register)
    assert again.get("", "a") == Wish("rain") and again.get("t", "a") == Wish("sun")
    assert again.all("") == [Wish("rain")] and len(again) == 2 and again.tenants() == ["", "t"]
    assert again.find("other", "a") is None


async def test_add_refuses_an_id_that_is_taken_and_more_than_are_kept():
    wishes = await _wishes(MemoryRegister(), most=1)
    await wishes.add("", "a", Wish("rain"))
    with pytest.raises(AlreadyExists):
        await wishes.add("", "a", Wish("sun"))
    with pytest.raises(Conflict):
        await wishes.add("", "b", Wish("sun"))
    await wishes.remove("", ["a", "a", "nobody"])
    await wishes.add("", "b", Wish("sun"))
    assert len(wishes) == 1


async def test_replace_and_get_refuse_what_is_not_there():
    wishes = await _wishes(MemoryRegister())
    with pytest.raises(ResourceNotFound):
        await wishes.replace("", "a", Wish("sun"))
    with pytest.raises(ResourceNotFound):
        wishes.get("", "a")
    await wishes.add("", "a", Wish("rain"))
    await wishes.replace("", "a", Wish("sun"))
    assert wishes.get("", "a") == Wish("sun")


async def test_a_full_disk_changes_nothing():
    register = Slow()
    wishes = await _wishes(register)
    await wishes.add("", "a", Wish("rain"))
    register.full = True
    with pytest.raises(StorageFull):
        await wishes.replace("", "a", Wish("sun"))
    assert wishes.get("", "a") == Wish("rain")


async def test_a_writer_that_gives_up_leaves_memory_and_disk_alike():
    register = Slow()
    wishes = await _wishes(register)
    register.go.clear()
    writing = asyncio.create_task(wishes.add("", "a", Wish("rain")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert wishes.find("", "a") is None
    writing.cancel()
    register.go.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert wishes.get("", "a") == Wish("rain") and register.load("wish")
    await wishes.remove("", ["a"])
    assert len(wishes) == 0 and not register.load("wish")
