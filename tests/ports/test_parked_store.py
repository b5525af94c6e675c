"""Every store of parked readings keeps its promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from cityloom.adapters.memory.parked_readings import MemoryParkedStore
from cityloom.adapters.postgres.parked_readings import PostgresParkedStore
from cityloom.adapters.sqlite.parked_readings import SqliteParkedStore
from cityloom.adapters.sqlite.records import Records
from cityloom.kernel.actor import InformationClass
from cityloom.sensing.model import ParkedReading
from cityloom.sensing.ports import Room

NOON = datetime(2026, 4, 12, 12, 0, tzinfo=UTC)
ALL = frozenset(InformationClass)
ROOM = Room(most=10, most_of_one=4, most_bytes=1000)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request, tmp_path: Path):
    if request.param == "memory":
        yield MemoryParkedStore()
        return
    if request.param == "postgres":
        yield PostgresParkedStore(request.getfixturevalue("postgres"))
        return
    records = Records(tmp_path / "records.db")
    yield SqliteParkedStore(records)
    records.close()


def parked(number=0, device="farm-7", connector="mqtt", body=b"\xff{"):
    return ParkedReading(
        id=0,
        at=NOON + timedelta(milliseconds=number),
        connector=connector,
        address=f"city/{number}",
        device=device,
        reason="The body is not JSON",
        hint="Send JSON.",
        where="body",
        body=body,
        content_type="application/json",
        truncated=True,
    )


def addresses(readings):
    return [int(reading.address.removeprefix("city/")) for reading in readings]


def test_find_gives_back_what_was_added(store):
    store.add([parked()], ROOM)
    (newest,) = store.newest(ALL, 10)
    assert store.find(ALL, newest.id) == newest
    assert msgspec.structs.replace(newest, id=0) == parked()


def test_newest_pages_from_the_newest_to_the_oldest(store):
    store.add([parked(n, device=str(n)) for n in range(5)], ROOM)
    first = store.newest(ALL, 2)
    assert addresses(first) == [4, 3]
    assert addresses(store.newest(ALL, 9, before=first[-1].id)) == [2, 1, 0]


def test_newest_keeps_to_the_connector_that_is_named(store):
    store.add([parked(1), parked(2, connector="bridge")], ROOM)
    assert addresses(store.newest(ALL, 9, connector="bridge")) == [2]


def test_remove_counts_those_that_were_there(store):
    store.add([parked(1), parked(2)], ROOM)
    ids = [reading.id for reading in store.newest(ALL, 9)]
    assert store.remove(ALL, [ids[0], ids[0], 999]) == 1
    assert addresses(store.newest(ALL, 9)) == [1]
    assert (store.count(ALL), store.forgotten(), store.find(ALL, ids[0])) == (1, 0, None)


def test_add_lets_no_device_push_the_others_out(store):
    store.add([parked(0, device="quiet")], ROOM)
    store.add([parked(n, device="loud") for n in range(1, 8)], ROOM)
    store.add([parked(8, device="loud")], ROOM)
    assert addresses(store.newest(ALL, 99)) == [8, 7, 6, 5, 0]
    assert (store.count(ALL), store.forgotten()) == (5, 4)


def test_add_makes_room_by_forgetting_the_oldest(store):
    for number in range(13):
        store.add([parked(number, device=str(number))], ROOM)
    assert addresses(store.newest(ALL, 99)) == list(range(12, 2, -1))
    assert (store.count(ALL), store.forgotten()) == (10, 3)


def test_add_keeps_to_the_bytes_there_are(store):
    for number in range(6):
        store.add([parked(number, device=str(number), body=b"x" * 400)], ROOM)
    assert addresses(store.newest(ALL, 99)) == [5, 4]
    assert store.forgotten() == 4


def test_what_a_reader_is_not_cleared_for_is_not_there(store):
    secret = msgspec.structs.replace(parked(1), information_class=InformationClass.SECURITY)
    store.add([parked(0), secret, parked(2)], ROOM)
    staff = ALL - {InformationClass.SECURITY}
    (hidden,) = [one.id for one in store.newest(ALL, 9) if one.information_class is InformationClass.SECURITY]
    assert addresses(store.newest(staff, 9)) == [2, 0]
    assert addresses(store.newest(staff, 1, before=hidden)) == [0]
    assert (store.count(staff), store.find(staff, hidden), store.remove(staff, [hidden])) == (2, None, 0)
    assert (store.count(ALL), store.remove(ALL, [hidden]), store.count(ALL)) == (3, 1, 2)
    assert store.newest(frozenset(), 9) == []
