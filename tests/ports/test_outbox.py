"""The suite of the port Outbox: every adapter passes it."""

from __future__ import annotations

import msgspec
import pytest

from cityloom.adapters.memory.outbox import MemoryOutbox
from cityloom.adapters.postgres.outbox import PostgresOutbox
from cityloom.adapters.sqlite.outbox import SqliteOutbox
from cityloom.kernel.actor import InformationClass
from cityloom.subscriptions.model import Pending, Tally

NORTH = ("", "urn:ngsi-ld:Subscription:north")
SOUTH = ("other", "urn:ngsi-ld:Subscription:south")


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def outbox(request, tmp_path):
    if request.param == "postgres":
        yield PostgresOutbox(request.getfixturevalue("postgres"))
        return
    made = MemoryOutbox() if request.param == "memory" else SqliteOutbox(tmp_path / "notifications.db")
    yield made
    made.close()


def waiting(place: int, lane: str = "http://a", key: tuple[str, str] = NORTH) -> Pending:
    tenant, subscription = key
    return Pending(
        place,
        lane,
        tenant,
        subscription,
        f"urn:ngsi-ld:Thing:{place}",
        (InformationClass.OPEN, InformationClass.SECURITY),
        1_700_000_000_000 + place,
        b'{"\xc3\xa6":1}',
    )


def test_what_waits_comes_back_whole_in_order_by_queue(outbox):
    outbox.add([waiting(1), waiting(2, "http://b"), waiting(3), waiting(4)])
    assert outbox.read("http://a", 0, 2) == [waiting(1), waiting(3)]
    assert outbox.read("http://a", 3, 9) == [waiting(4)]
    assert outbox.read("http://c", 0, 9) == []
    assert dict(outbox.lanes()) == {"http://a": 3, "http://b": 1}


def test_what_is_brought_again_is_kept_once(outbox):
    outbox.add([waiting(1), waiting(2)])
    outbox.add([waiting(2), waiting(3)])
    outbox.add([])
    assert outbox.read("http://a", 0, 9) == [waiting(1), waiting(2), waiting(3)]


def test_the_newest_place_stays_known_when_all_is_sent(outbox):
    assert outbox.newest() == 0
    outbox.add([waiting(1), waiting(7)])
    outbox.settle([1, 7], [])
    assert (outbox.newest(), dict(outbox.lanes())) == (7, {})
    outbox.add([waiting(5)])
    assert outbox.newest() == 7


def test_settle_forgets_what_is_sent_and_keeps_how_it_went(outbox):
    outbox.add([waiting(1), waiting(2)])
    tally = Tally()
    outbox.settle([1, 99], [(NORTH, tally), (SOUTH, tally)])
    assert outbox.read("http://a", 0, 9) == [waiting(2)]
    assert sorted(outbox.tallies()) == [(NORTH, tally), (SOUTH, tally)]
    later = msgspec.structs.replace(tally, missed=3)
    outbox.settle([], [(NORTH, later)])
    assert sorted(outbox.tallies(), key=lambda one: one[0]) == [(NORTH, later), (SOUTH, tally)]


def test_what_waits_for_a_subscription_is_known_by_its_bytes_and_its_oldest(outbox):
    assert dict(outbox.sizes()) == {}
    outbox.add([waiting(1), waiting(2, key=SOUTH), waiting(3, "http://b"), waiting(4)])
    size = len(waiting(1).shown)
    assert dict(outbox.sizes()) == {NORTH: 3 * size, SOUTH: size}
    assert outbox.oldest(NORTH, 2) == [waiting(1), waiting(3, "http://b")]
    assert outbox.oldest(("", SOUTH[1]), 9) == []


def test_forget_takes_what_waits_for_a_subscription_and_its_tally(outbox):
    outbox.add([waiting(1), waiting(2, key=SOUTH), waiting(3, "http://b")])
    outbox.settle([], [(NORTH, Tally()), (SOUTH, Tally())])
    outbox.forget([NORTH])
    assert dict(outbox.lanes()) == {"http://a": 1}
    assert [key for key, _ in outbox.tallies()] == [SOUTH]
    outbox.forget([])
