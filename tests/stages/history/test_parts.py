"""Parcels that are lost, repeated, torn and mixed up on their way: each change is kept once and in order."""

from __future__ import annotations

import random

import msgspec
import pytest

from cityloom.context import relaying
from cityloom.context.parcels import (
    HOME,
    UNKNOWN,
    Parcel,
    packed,
    parcels_of,
    partition_of,
    shared_out,
    unpacked,
)
from cityloom.context.relaying import Relay
from cityloom.history.parts import STILL_S, PartsKeeper, Portion, Stillness
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import BadInput, NotReady

PARTS = 4


def change(sequence: int, name: object, document: bytes = b'{"attrs":{}}') -> Change:
    return Change(
        sequence=sequence,
        tenant="",
        entity_id=f"urn:{name}",
        types=("Secret",) if name == "mine" else ("Thing",),
        kind=ChangeKind.UPDATED,
        information_class=InformationClass.OPEN,
        document=document,
        attributes=(),
        at_millis=sequence,
        by="city",
        trace="test:1",
    )


class KeptInMemory:
    """A store and a feed of partitions."""

    def __init__(self, feed: list[Change]) -> None:
        self.feed = feed
        self.at = dict.fromkeys(range(PARTS), 0)
        self.kept: list[tuple[int, int]] = []
        self.asked = 0

    def cursors(self) -> dict[int, int]:
        return dict(self.at)

    def record(self, portions: list[Portion]) -> None:
        for one in portions:
            if self.at[one.partition] != one.before:
                raise NotReady("overtaken", hint="")
        for one in portions:
            self.at[one.partition] = one.through
            self.kept += [(one.partition, news.sequence) for news in one.news]

    def last_sequence(self) -> int:
        return self.feed[-1].sequence if self.feed else 0

    def read_part(self, partition: int, parts: int, after: int, through: int) -> list[Change]:
        self.asked += 1
        return [
            one
            for one in self.feed
            if after < one.sequence <= through and partition_of(one.entity_id, parts) == partition
        ]


class Lossy:
    """Carries parcels as badly as it may."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.waiting: list[Parcel] = []

    async def publish(self, parcels, *, again=False):
        for parcel in parcels:
            for message in packed(parcel, self.chance.choice([200, 100_000])):
                if again or self.chance.random() > 0.2:
                    self.waiting += [unpacked(message)] * self.chance.choice([1, 1, 2])

    def arrived(self) -> list[Parcel]:
        self.chance.shuffle(self.waiting)
        cut = self.chance.randrange(len(self.waiting) + 1)
        came, self.waiting = self.waiting[:cut], self.waiting[cut:]
        return came


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_carries_them_each_change_is_kept_once_and_in_order(seed, monkeypatch):
    monkeypatch.setattr(relaying, "PAUSE", 0.0)
    chance = random.Random(seed)
    feed = [change(number, chance.randrange(9)) for number in range(1, 200)]
    store, carrier = KeptInMemory(feed), Lossy(chance)
    keeper = PartsKeeper(store, store)
    relay = Relay(carrier, PARTS, lambda types: False)
    left = list(feed)
    while left:
        cut = chance.randrange(1, 20)
        batch, left = left[:cut], left[cut:]
        if chance.random() < 0.1:
            relay = Relay(carrier, PARTS, lambda types: False)  # the writer was started again
        await relay.handle(batch)
        keeper.take(carrier.arrived())
    keeper.take(carrier.waiting)
    newest = {partition_of(one.entity_id, PARTS): one.sequence for one in feed}
    carrier.waiting = []
    await relay.repeat(newest.items())
    keeper.take(carrier.waiting)
    assert sorted(sequence for _, sequence in store.kept) == [one.sequence for one in feed]
    for partition in range(PARTS):
        kept = [sequence for at, sequence in store.kept if at == partition]
        assert kept == sorted(kept)
    assert keeper.kept == len(feed)


def test_what_came_in_order_is_not_looked_up():
    feed = [change(number, number) for number in range(1, 50)]
    store = KeptInMemory(feed)
    keeper = PartsKeeper(store, store)
    for parcel in parcels_of(feed, PARTS, dict.fromkeys(range(PARTS), 0)):
        keeper.take([parcel])
    assert len(store.kept) == len(feed)
    assert not store.asked


def test_parcel_that_is_known_in_part_is_kept_in_part():
    feed = [change(number, "a") for number in range(1, 13)]
    store = KeptInMemory(feed)
    partition = partition_of("urn:a", PARTS)
    keeper = PartsKeeper(store, store)
    keeper.take([Parcel(partition, 0, 10, feed[:10])])
    # A writer that was started again sends in other batches what it does not know to have sent.
    keeper.take([Parcel(partition, 8, 12, feed[8:])])
    assert [sequence for _, sequence in store.kept] == list(range(1, 13))


async def test_what_is_personal_is_handed_to_nobody():
    carrier = Lossy(random.Random(1))
    carrier.chance.random = lambda: 1.0
    relay = Relay(carrier, PARTS, lambda types: "Secret" in types)
    await relay.handle([change(1, "mine"), change(2, "yours")])
    assert {one.sequence for parcel in carrier.waiting for one in parcel.changes} == {2}


def test_parcel_is_torn_where_it_is_too_long_and_says_look_it_up_where_that_does_not_help():
    parcel = Parcel(1, 7, 12, [change(10, "a"), change(11, "a", b"x" * 5000), change(12, "a")])
    torn = [unpacked(one) for one in packed(parcel, 2000)]
    assert [(one.before, one.through) for one in torn] == [(7, 10), (10, 11), (11, 12)]
    assert [one.changes is None for one in torn] == [False, True, False]


def test_message_that_is_none_is_refused():
    for message in (b"", b"\xc1", msgspec.msgpack.encode({"a": 1}), msgspec.msgpack.encode([1, 2])):
        with pytest.raises(BadInput):
            unpacked(message)


def test_partition_is_the_same_everywhere_and_each_is_somebodys():
    assert [partition_of(f"urn:ngsi-ld:Thing:{one}", 16) for one in range(4)] == PLACES
    for processes in (["a"], ["b", "a", "c"]):
        shares = [shared_out(16, processes, one) for one in processes]
        assert sorted(part for share in shares for part in share) == list(range(16))
    assert shared_out(16, ["a"], "b") == set()
    assert UNKNOWN < 0


#: A change of these loses the order of every city that runs.
PLACES = [15, 9, 3, 5]


def test_a_message_about_what_stays_at_home_is_passed_over():
    store = KeptInMemory([])
    store.at[HOME] = 0
    keeper = PartsKeeper(store, store)
    keeper.take([Parcel(HOME, 0, 5, [change(5, "mine")]), Parcel(HOME, UNKNOWN, 9, None)])
    assert (store.kept, store.at[HOME]) == ([], 0)


def test_what_somebody_else_put_on_the_line_moves_nothing_and_ends_nothing():
    feed = [change(1, "a"), change(2, "a"), change(3, "a")]
    own = partition_of("urn:a", PARTS)
    other = next(name for name in "bcdefgh" if partition_of(f"urn:{name}", PARTS) != own)
    store = KeptInMemory(feed)
    keeper = PartsKeeper(store, store)
    keeper.take([Parcel(own, 0, 2**60, [change(4, "a")]), Parcel(own, UNKNOWN, 2**60, None)])
    assert (store.kept, store.at[own]) == ([], 0), "what is not in the feed"
    keeper.take([Parcel(own, 0, 1, [change(1, other)])])
    keeper.take([Parcel(own, 1, 2, [change(9, "a")])])
    unreadable = msgspec.structs.replace(change(3, "a", b"no JSON"), attributes=("level",))
    keeper.take([Parcel(own, 2, 3, [unreadable])])
    assert store.kept == [(own, 1), (own, 2), (own, 3)]
    assert keeper.looked_up == 3


def looked_up(stillness: Stillness, cursors: dict[int, int], last: int, now: float) -> dict[int, int]:
    found = stillness.behind({0, 1}, cursors, last, now)
    assert all(one.changes is None and one.before == UNKNOWN for one in found)
    return {one.partition: one.through for one in found}


def test_a_partition_that_nothing_comes_of_is_looked_up_after_a_while_as_far_as_should_have_come():
    stillness = Stillness(5_000)
    assert looked_up(stillness, {0: 10, 1: 10}, 20, 0) == {}
    # One goes on, the other does not.
    assert looked_up(stillness, {0: 10, 1: 21}, 30, 1) == {}
    assert looked_up(stillness, {0: 10, 1: 32}, 40, STILL_S) == {0: 30}
    # It was kept: there is time again until the next look.
    assert looked_up(stillness, {0: 30, 1: 41}, 50, STILL_S + 1) == {}
    assert looked_up(stillness, {0: 30, 1: 52}, 60, 2 * STILL_S) == {0: 50}
    # Something came by itself.
    assert looked_up(stillness, {0: 61, 1: 62}, 70, 3 * STILL_S) == {}
    assert looked_up(stillness, {0: 61, 1: 72}, 80, 3 * STILL_S + 1) == {}


def test_a_city_in_which_nothing_happens_is_not_looked_through():
    stillness = Stillness(5_000)
    for now in range(20):
        assert looked_up(stillness, {0: 10, 1: 10}, 10, now) == {}


def test_what_is_far_behind_is_looked_up_piece_by_piece_without_a_pause():
    stillness = Stillness(100)
    at, looks = 0, 0
    for now in range(20):
        found = looked_up(stillness, {0: at, 1: 350}, 350, now)
        at = found.get(0, at)
        looks += bool(found)
        if at == 350:
            break
    assert (at, looks, now) == (350, 4, STILL_S + 3)
