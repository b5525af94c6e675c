"""What the feed in PostgreSQL promises beyond its port: when connections are lost, and to several writers."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from pathlib import Path

import psycopg
import pytest

from cityloom.adapters.postgres.address import Address
from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.feed import FeedTaken, PostgresFeed
from cityloom.adapters.postgres.schema import PARTS
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import NotReady, StorageFull
from cut_line import CutLine

#: So many go in one exchange, and by copy.
SIZES = pytest.mark.parametrize("count", [1, 50])


def change(sequence: int, *, trace: str = "test:1") -> Change:
    return Change(
        sequence=sequence,
        tenant="",
        entity_id=f"urn:ngsi-ld:Thing:{sequence}",
        types=("Thing",),
        kind=ChangeKind.UPDATED,
        information_class=InformationClass.OPEN,
        document=b'{"id":"urn:x"}',
        attributes=("temperature",),
        at_millis=1_700_000_000_000 + sequence,
        by="city",
        trace=trace,
    )


def changes(first: int, last: int) -> list[Change]:
    return [change(number) for number in range(first, last + 1)]


def sequences(feed) -> list[int]:
    return [one.sequence for one in feed.read(0, 10_000)]


@pytest.fixture
def line(postgres_server):
    with tempfile.TemporaryDirectory() as folder:
        made = CutLine(Path(folder), postgres_server.sockets)
        yield made
        made.close()


@pytest.fixture
def distant(postgres, line):
    """A feed whose connections can be cut."""
    database = Database(Address(f"postgresql://owner@/postgres?host={line.folder}", postgres.address.schema))
    feed = PostgresFeed(database)
    feed.append([change(1)])
    yield feed
    database.close()


@SIZES
def test_append_and_read_go_on_after_the_server_was_restarted(postgres, postgres_server, count):
    feed = PostgresFeed(postgres)
    feed.append([change(1)])
    assert sequences(feed) == [1]
    postgres_server.restart()
    assert sequences(feed) == [1]
    feed.append(changes(2, count + 1))
    assert sequences(feed) == list(range(1, count + 2))
    postgres_server.restart()
    assert feed.trim(1) == 1
    feed.set_cursor("history", 1)
    assert feed.cursor("history") == 1


@SIZES
def test_append_without_a_server_stores_nothing_and_goes_on_once_it_is_there(
    postgres, postgres_server, count
):
    feed = PostgresFeed(postgres)
    feed.append([change(1)])
    postgres_server.stop()
    try:
        for _ in range(2):
            with pytest.raises(NotReady):
                feed.append(changes(2, count + 1))
            with pytest.raises(NotReady):
                feed.read(0, 1)
        assert postgres.trouble.startswith("The database cannot be reached")
    finally:
        postgres_server.start()
    eventually(lambda: not postgres.trouble)
    feed.append(changes(2, count + 1))
    assert sequences(feed) == list(range(1, count + 2))


@SIZES
@pytest.mark.parametrize("when", ["before", "after", "late"])
def test_append_that_is_cut_off_is_stored_once(distant, line, postgres, when, count):
    line.cut(b"INSERT INTO change" if count == 1 else b"COMMIT", when)
    distant.append(changes(2, count + 1))
    assert line.was_cut
    if when == "late":
        line.arrive()
    distant.append([change(count + 2)])
    assert sequences(distant) == list(range(1, count + 3))


def test_append_that_is_cut_off_and_stored_is_known_once_the_server_is_back(
    distant, line, postgres, postgres_server
):
    line.cut(b"INSERT INTO change", "after")
    done = threading.Event()
    errors = []

    def write():
        try:
            distant.append([change(2)])
        except NotReady as error:
            errors.append(error)
        done.set()

    with psycopg.connect(postgres_server.url(), autocommit=True) as holder:
        # Whoever wants to know where the feed ends waits for this one, as for a commit under way.
        holder.execute(f"SET search_path = {postgres.address.schema}")
        holder.execute("BEGIN")
        holder.execute("SELECT FROM feed_head FOR UPDATE")
        writer = threading.Thread(target=write)
        writer.start()
        assert not done.wait(0.5)
        holder.execute("ROLLBACK")
    writer.join(30)
    assert not errors and distant.last_sequence() == 2
    assert sequences(distant) == [1, 2]


def test_a_feed_belongs_to_who_opened_it_last(postgres):
    older = PostgresFeed(postgres)
    older.append(changes(1, 3))
    newer = PostgresFeed(postgres)
    assert newer.last_sequence() == 3
    for one, many in (([change(4)], older), (changes(4, 60), older)):
        with pytest.raises(FeedTaken):
            many.append(one)
    with pytest.raises(FeedTaken):
        older.trim(2)
    newer.append(changes(4, 5))
    assert sequences(newer) == [1, 2, 3, 4, 5]


def test_readers_see_no_hole_while_writers_take_the_feed_from_one_another(postgres):
    """Each number is seen once and in order, whoever wrote it, however commits come to an end."""
    ended = threading.Event()
    written: list[int] = []

    def write(size: int) -> None:
        for _ in range(12):
            database = Database(postgres.address)
            with contextlib.suppress(FeedTaken), contextlib.closing(database):
                feed = PostgresFeed(database)
                for _ in range(6):
                    first = feed.last_sequence() + 1
                    feed.append(changes(first, first + size - 1))
                    written.extend(range(first, first + size))

    def write_and_end() -> None:
        writers = [threading.Thread(target=write, args=(size,)) for size in (1, 3, 40)]
        for one in writers:
            one.start()
        for one in writers:
            one.join()
        ended.set()

    reader = PostgresFeed(postgres)
    threading.Thread(target=write_and_end).start()
    seen: list[int] = []
    while not (ended.is_set() and len(seen) >= len(written)):
        seen += [one.sequence for one in reader.read(seen[-1] if seen else 0, 25)]
        assert seen == list(range(1, len(seen) + 1))
    assert sorted(written) == seen


def test_append_on_a_full_disk_stores_nothing_and_recovers(postgres):
    feed = PostgresFeed(postgres)
    feed.append([change(1)])
    with postgres.write() as connection:
        connection.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;"
            "CREATE TRIGGER full_disk BEFORE INSERT ON change FOR EACH ROW EXECUTE FUNCTION full_disk()"
        )
    for several in ([change(2)], changes(2, 60)):
        with pytest.raises(StorageFull, match="nothing was stored"):
            feed.append(several)
    assert sequences(feed) == [1]
    postgres.execute("DROP TRIGGER full_disk ON change")
    feed.append(changes(2, 60))
    assert feed.last_sequence() == 60


def test_append_is_not_ready_while_somebody_holds_the_feed(postgres, monkeypatch):
    monkeypatch.setattr("cityloom.adapters.postgres.connection.LOCK_PATIENCE_MS", 50)
    feed = PostgresFeed(postgres)
    with postgres.write() as connection:
        connection.execute("LOCK TABLE feed_head IN EXCLUSIVE MODE")
        with pytest.raises(NotReady):
            feed.append([change(1)])
        with pytest.raises(NotReady):
            feed.append(changes(1, 60))
    feed.append([change(1)])
    assert sequences(feed) == [1]


def test_a_trace_with_nul_is_kept_without_it(postgres):
    feed = PostgresFeed(postgres)
    feed.append([change(1, trace="mqtt:a\0b")])
    assert feed.read(0, 1)[0].trace == "mqtt:a␀b"


def test_another_opening_finds_everything(postgres):
    first = PostgresFeed(postgres)
    first.append(changes(1, 20))
    assert first.trim(5) == 5
    first.set_cursor("history", 11)
    database = Database(postgres.address)
    database.prepare(PARTS)
    again = PostgresFeed(database)
    assert again.last_sequence() == 20
    assert sequences(again) == list(range(6, 21))
    assert again.cursor("history") == 11
    again.trim(99)
    assert PostgresFeed(database).last_sequence() == 20
    database.close()


def eventually(holds) -> None:
    """Wait for what a thread of its own is about to do."""
    patience = threading.Event()
    for _ in range(400):
        if holds():
            return
        patience.wait(0.05)
    raise AssertionError("it does not come about")
