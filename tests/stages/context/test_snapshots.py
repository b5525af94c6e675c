"""Which snapshots are kept, and which make room. What a request shows of them: tests/conformance."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cityloom.context import snapshots
from cityloom.context.snapshots import Snapshots, Wish
from cityloom.kernel.errors import Conflict
from cityloom.ngsild.errors import AlreadyExists, ResourceNotFound


def ids(kept: Snapshots, tenant: str = "") -> list[str]:
    return [one.id for one in kept.all(tenant)]


def test_of_equally_important_ones_the_longest_unused_makes_room(monkeypatch):
    monkeypatch.setattr(snapshots, "MAX_SNAPSHOTS", 3)
    kept = Snapshots()
    first, second, third = (kept.make("", f"urn:s:{number}", Wish()) for number in (1, 2, 3))
    second.last_used_at = min(one.last_used_at for one in (first, second, third)) - timedelta(seconds=1)
    kept.make("", "urn:s:4", Wish())
    assert ids(kept) == ["urn:s:1", "urn:s:3", "urn:s:4"]


def test_a_less_important_one_gets_no_room(monkeypatch):
    monkeypatch.setattr(snapshots, "MAX_SNAPSHOTS", 1)
    kept = Snapshots()
    kept.make("", "urn:s:1", Wish(priority=5))
    with pytest.raises(Conflict):
        kept.make("", "urn:s:2", Wish(priority=4))
    assert ids(kept) == ["urn:s:1"]


def test_tenants_see_their_own_alone():
    kept = Snapshots()
    kept.make("a", "urn:s:1", Wish())
    kept.make("b", "urn:s:2", Wish())
    assert (ids(kept, "a"), ids(kept, "b"), ids(kept)) == (["urn:s:1"], ["urn:s:2"], [])
    with pytest.raises(ResourceNotFound):
        kept.get("b", "urn:s:1")


def test_what_has_expired_is_forgotten_and_its_id_free_again():
    kept = Snapshots()
    kept.make("", "urn:s:1", Wish())
    with pytest.raises(AlreadyExists):
        kept.make("", "urn:s:1", Wish())
    kept.change("", "urn:s:1", Wish(lifetime=timedelta(0)))
    with pytest.raises(ResourceNotFound):
        kept.get("", "urn:s:1")
    assert ids(kept) == []
    kept.make("", "urn:s:1", Wish())
