"""Which snapshots are kept, and which make room. What a request shows of them: tests/conformance."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

from cityloom.access.errors import OverQuota, TooLargeToKeep
from cityloom.access.quotas import OfSnapshots
from cityloom.context.snapshots import Snapshots, Wish
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import NotAllowed
from cityloom.ngsild.errors import AlreadyExists, ResourceNotFound
from cityloom.ngsild.model import entity, prop


def ids(kept: Snapshots, tenant: str = "") -> list[str]:
    return [one.id for one in kept.all(tenant)]


ANN, BEN = Actor("ann"), Actor("ben")
CHIEF = Actor("chief", permissions=frozenset({"accounts:manage"}))


def room(each: int, whole: int = 20) -> OfSnapshots:
    return OfSnapshots(each=each, all=whole)


def test_of_equally_important_ones_the_longest_unused_makes_room():
    kept = Snapshots(room(3))
    first, second, third = (kept.make(ANN, "", f"urn:s:{number}", Wish()) for number in (1, 2, 3))
    second.last_used_at = min(one.last_used_at for one in (first, second, third)) - timedelta(seconds=1)
    kept.make(ANN, "", "urn:s:4", Wish())
    assert ids(kept) == ["urn:s:1", "urn:s:3", "urn:s:4"]


def test_a_less_important_one_gets_no_room():
    kept = Snapshots(room(1))
    kept.make(ANN, "", "urn:s:1", Wish(priority=5))
    with pytest.raises(OverQuota):
        kept.make(ANN, "", "urn:s:2", Wish(priority=4))
    assert ids(kept) == ["urn:s:1"]


def test_tenants_see_their_own_alone():
    kept = Snapshots()
    kept.make(ANN, "a", "urn:s:1", Wish())
    kept.make(ANN, "b", "urn:s:2", Wish())
    assert (ids(kept, "a"), ids(kept, "b"), ids(kept)) == (["urn:s:1"], ["urn:s:2"], [])
    with pytest.raises(ResourceNotFound):
        kept.get("b", "urn:s:1")


def test_what_has_expired_is_forgotten_and_its_id_free_again():
    kept = Snapshots()
    kept.make(ANN, "", "urn:s:1", Wish())
    with pytest.raises(AlreadyExists):
        kept.make(ANN, "", "urn:s:1", Wish())
    kept.change(ANN, "", "urn:s:1", Wish(lifetime=timedelta(0)))
    with pytest.raises(ResourceNotFound):
        kept.get("", "urn:s:1")
    assert ids(kept) == []
    kept.make(ANN, "", "urn:s:1", Wish())


def test_nobodys_snapshot_makes_room_for_anothers():
    kept = Snapshots(room(2, 2))
    kept.make(ANN, "", "urn:s:1", Wish(priority=1))
    kept.make(ANN, "", "urn:s:2", Wish(priority=1))
    with pytest.raises(OverQuota):
        kept.make(BEN, "", "urn:s:3", Wish(priority=10))
    kept.make(ANN, "", "urn:s:3", Wish())
    assert ids(kept) == ["urn:s:2", "urn:s:3"]


def test_only_who_made_one_or_may_administer_changes_and_ends_it():
    kept = Snapshots()
    for number in (1, 2):
        kept.make(ANN, "", f"urn:s:{number}", Wish())
    kept.make(BEN, "", "urn:s:3", Wish())
    with pytest.raises(NotAllowed):
        kept.change(BEN, "", "urn:s:1", Wish(priority=1))
    with pytest.raises(NotAllowed):
        kept.remove(BEN, "", "urn:s:1")
    kept.purge(BEN, "", lambda _: True)
    assert ids(kept) == ["urn:s:1", "urn:s:2"]
    kept.remove(ANN, "", "urn:s:1")
    kept.purge(CHIEF, "", lambda _: True)
    assert ids(kept) == []


def test_the_bytes_of_entities_are_counted_by_owner():
    quota = OfSnapshots(each_bytes=250, largest=200)
    kept = Snapshots(quota)
    first, second = (kept.make(ANN, "", f"urn:s:{number}", Wish()) for number in (1, 2))
    document = entity("Car", "urn:c:1", {"text": prop("x" * 60)})
    size = len(orjson.dumps(document))
    assert 125 < size <= 200
    first.add(document, InformationClass.OPEN)
    with pytest.raises(TooLargeToKeep):
        first.add({**document, "id": "urn:c:2"}, InformationClass.OPEN)
    with pytest.raises(OverQuota):
        second.add(document, InformationClass.OPEN)
    kept.make(BEN, "", "urn:s:3", Wish()).add(document, InformationClass.OPEN)
    kept.remove(ANN, "", "urn:s:1")
    second.add(document, InformationClass.OPEN)
    assert (len(first), len(second)) == (1, 1)
