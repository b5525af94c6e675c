"""The lease in PostgreSQL: whose city it is, and that who lost it writes nothing more."""

from __future__ import annotations

import time
from contextlib import closing

import pytest

from cityloom.adapters.postgres import lease as leases
from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.feed import FeedTaken, PostgresFeed
from cityloom.adapters.postgres.lease import Lease, Watch
from cityloom.kernel.errors import AlreadyRunning, TakenOver
from standing_by import eventually


@pytest.fixture(autouse=True)
def renewed_by_hand(monkeypatch):
    monkeypatch.setattr(leases, "RENEWAL_S", 3600)
    monkeypatch.setattr("cityloom.adapters.postgres.database.CLAIM_PATIENCE_S", 0.2)


@pytest.fixture
def lost():
    return []


@pytest.fixture
def other(postgres):
    with closing(Database(postgres.address)) as made:
        yield made


def taken(database, lost) -> Lease:
    database.claim(overdue_too=True)
    return Lease(database, "here:1", lost=lost.append)


def run_out(database) -> None:
    database.execute("UPDATE lease SET until = '-infinity'")


def test_a_city_whose_lease_is_renewed_is_not_taken(postgres, other, lost):
    lease = taken(postgres, lost)
    run_out(postgres)
    lease.renew()
    with pytest.raises(AlreadyRunning):
        other.claim(overdue_too=True)
    postgres.execute("DELETE FROM session")
    assert lease.held and not lost


def test_who_did_not_renew_in_time_writes_nothing_more(postgres, other, lost):
    lease = taken(postgres, lost)
    feed = PostgresFeed(postgres)
    records = postgres.line("further records")
    records.rows("SELECT 1")
    run_out(postgres)
    taken(other, [])
    newer = PostgresFeed(other)
    with pytest.raises(TakenOver):
        postgres.execute("INSERT INTO device VALUES ('late', '')")
    with pytest.raises(TakenOver), records.transaction() as connection:
        connection.execute("INSERT INTO device VALUES ('later', '')")
    with pytest.raises(TakenOver):
        lease.renew()
    assert not lease.held
    assert len(lost) == 3 and all(isinstance(one, TakenOver) for one in lost)
    with pytest.raises((FeedTaken, TakenOver)):
        feed.set_cursor("history", 1)
    assert other.rows("SELECT count(*) FROM device") == [(0,)]
    assert newer.cursor("history") == 0


def test_who_only_looks_after_a_stopped_city_shuts_nobody_out(postgres, other, lost):
    taken(postgres, lost)
    run_out(postgres)
    with pytest.raises(AlreadyRunning):
        other.claim()


def test_a_lease_that_was_given_up_is_anybodys(postgres, other, lost):
    watch = Watch(other, "there:1")
    assert watch.look().given_up
    lease = taken(postgres, lost)
    seen = watch.look()
    assert (seen.name, seen.given_up, seen.run_out, seen.connected) == ("here:1", False, False, True)
    lease.give_up()
    assert watch.look().given_up and not lease.held
    postgres.close()
    taken(other, [])
    assert not lost


def test_a_holder_is_seen_to_run_out_and_to_be_gone(postgres, other, lost):
    watch = Watch(other, "there:1")
    taken(postgres, lost)
    run_out(other)
    assert watch.look().run_out
    postgres.close()
    # The server needs a moment to notice.
    eventually(lambda: not watch.look().connected)


def test_who_stands_by_is_counted(postgres, other, lost):
    lease = taken(postgres, lost)
    watch = Watch(other, "there:1")
    for _ in range(2):
        watch.show()
    lease.renew()
    assert lease.standbys == 1
    watch.leave()
    lease.renew()
    assert lease.standbys == 0


def test_there_is_nothing_to_see_where_no_city_ever_ran(postgres_address):
    with closing(Database(postgres_address)) as database:
        assert Watch(database, "there:1").look() is None


def test_the_holder_counts_from_before_it_asked(postgres, lost, monkeypatch):
    monkeypatch.setattr(leases, "LEASE_S", 0.0)
    lease = taken(postgres, lost)
    assert not lease.held
    monkeypatch.setattr(leases, "LEASE_S", 3600.0)
    lease.renew()
    assert lease.held


def test_a_lease_runs_out_while_its_holders_machine_sleeps(postgres, lost, monkeypatch):
    slept = [0.0]
    clock = time.clock_gettime
    also_asleep = time.CLOCK_BOOTTIME
    monkeypatch.setattr(time, "clock_gettime", lambda which: clock(which) + slept[0] * (which == also_asleep))
    lease = taken(postgres, lost)
    assert lease.held and lease.unheld_s == 0
    # The monotonic clock stood still meanwhile.
    slept[0] = leases.LEASE_S + 30
    assert not lease.held and lease.unheld_s > 29


def test_what_comes_after_the_lease_was_given_up_is_refused_once_another_has_it(postgres, other, lost):
    lease = taken(postgres, lost)
    lease.give_up()
    postgres.close()
    taken(other, [])
    with pytest.raises(TakenOver):
        postgres.execute("INSERT INTO device VALUES ('late', '')")
    assert not lost and other.rows("SELECT count(*) FROM device") == [(0,)]
