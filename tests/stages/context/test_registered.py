"""What others have asked the broker to remember."""

from __future__ import annotations

import asyncio
import threading

import msgspec
import pytest

from cityloom.access.errors import OverQuota, TooLargeToKeep
from cityloom.access.quotas import Quota, counted
from cityloom.adapters.memory.register import MemoryRegister
from cityloom.context.registered import Registered
from cityloom.kernel.errors import StorageFull
from cityloom.ngsild.errors import AlreadyExists, ResourceNotFound


class Wish(msgspec.Struct, frozen=True):
    text: str
    owner: str = ""


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


async def _wishes(register, quota: Quota = counted(3)) -> Registered[Wish]:  # noqa: B008 - is frozen
    wishes = Registered(register, "wish", Wish, quota, lambda wish: wish.owner)
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
    wishes = await _wishes(MemoryRegister(), counted(1))
    await wishes.add("", "a", Wish("rain"))
    with pytest.raises(AlreadyExists):
        await wishes.add("", "a", Wish("sun"))
    with pytest.raises(OverQuota):
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


#: For one owner two documents of together 60 bytes, for all three of 100; none larger than 50.
SMALL = Quota(each=2, all=3, largest=50, each_bytes=60, all_bytes=100)


def _long(length: int, owner: str) -> Wish:
    """A wish that is stored in so many bytes."""
    empty = len(msgspec.json.encode(Wish("", owner)))
    return Wish("x" * (length - empty), owner)


async def test_an_owner_has_so_many_and_leaves_the_rest_to_others():
    wishes = await _wishes(MemoryRegister(), SMALL)
    await wishes.add("", "a", Wish("", "ann"))
    await wishes.add("t", "b", Wish("", "ann"))
    with pytest.raises(OverQuota, match="You have 2"):
        await wishes.add("", "c", Wish("", "ann"))
    await wishes.add("", "c", Wish("", "ben"))
    with pytest.raises(OverQuota, match="There are 3"):
        await wishes.add("", "d", Wish("", "cas"))
    await wishes.remove("t", ["b"])
    await wishes.add("", "d", Wish("", "cas"))


async def test_bytes_are_counted_of_one_of_an_owner_and_of_all_beyond_restarts_too():
    register = MemoryRegister()
    wishes = await _wishes(register, SMALL)
    with pytest.raises(TooLargeToKeep):
        await wishes.add("", "a", _long(51, "ann"))
    await wishes.add("", "a", _long(40, "ann"))
    wishes = await _wishes(register, SMALL)
    with pytest.raises(OverQuota, match="What you have"):
        await wishes.add("", "b", _long(21, "ann"))
    await wishes.add("", "b", _long(40, "ben"))
    with pytest.raises(OverQuota, match="All of the kind"):
        await wishes.add("", "c", _long(30, "cas"))
    assert len(wishes) == 2


async def test_what_is_replaced_may_grow_as_far_as_there_is_room():
    wishes = await _wishes(MemoryRegister(), SMALL)
    await wishes.add("", "a", _long(30, "ann"))
    await wishes.add("", "b", _long(30, "ann"))
    with pytest.raises(OverQuota):
        await wishes.replace("", "a", _long(31, "ann"))
    assert wishes.get("", "a") == _long(30, "ann")
    await wishes.replace("", "b", _long(29, "ann"))
    await wishes.replace("", "a", _long(31, "ann"))


async def test_what_could_not_be_stored_counts_for_nobody():
    register = Slow()
    wishes = await _wishes(register, SMALL)
    register.full = True
    with pytest.raises(StorageFull):
        await wishes.add("", "a", _long(50, "ann"))
    register.full = False
    await wishes.add("", "a", _long(50, "ann"))
