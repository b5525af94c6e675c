"""The suite of the port Feed: every adapter passes it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.postgres.feed import PostgresFeed
from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import BadConfig, NotReady, StorageFull


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def feed(request, tmp_path):
    if request.param == "postgres":
        yield PostgresFeed(request.getfixturevalue("postgres"))
        return
    made = MemoryFeed() if request.param == "memory" else SqliteFeed(tmp_path / "feed.db")
    yield made
    made.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "feed.db"


def change(sequence: int, *, document: bytes = b'{"id":"urn:x"}', **fields) -> Change:
    return Change(
        **{
            "sequence": sequence,
            "tenant": "",
            "entity_id": f"urn:ngsi-ld:Thing:{sequence}",
            "types": ("Thing",),
            "kind": ChangeKind.UPDATED,
            "information_class": InformationClass.OPEN,
            "document": document,
            "attributes": ("temperature",),
            "at_millis": 1_700_000_000_000 + sequence,
            "by": "city",
            "trace": "test:1",
            **fields,
        }
    )


def changes(first: int, last: int) -> list[Change]:
    return [change(number) for number in range(first, last + 1)]


def test_append_keeps_every_field_of_a_change(feed):
    written = change(
        1,
        tenant="north",
        types=("Thing", "https://example.org/ns#Other"),
        kind=ChangeKind.DELETED,
        information_class=InformationClass.SECURITY,
        document='{"id":"urn:é"}'.encode(),
        attributes=("æ", "https://example.org/ns#b"),
        trace="mqtt:field/7",
        before='{"æ":[]}'.encode(),
    )
    feed.append([written])
    assert feed.read(0, 10) == [written]


def test_append_gives_back_enumerations_not_numbers(feed):
    feed.append([change(1)])
    (read,) = feed.read(0, 1)
    assert read.kind is ChangeKind.UPDATED and read.information_class is InformationClass.OPEN


def test_append_refuses_a_hole(feed):
    feed.append(changes(1, 3))
    with pytest.raises(ValueError, match="does not follow"):
        feed.append([change(5)])
    assert feed.last_sequence() == 3


def test_append_of_nothing_changes_nothing(feed):
    feed.append([])
    assert feed.last_sequence() == 0


def test_append_takes_more_changes_than_one_statement_can(feed):
    feed.append(changes(1, 6000))
    assert [one.sequence for one in feed.read(5998, 10)] == [5999, 6000]


def test_read_gives_changes_after_a_sequence_in_order_up_to_the_limit(feed):
    feed.append(changes(1, 9))
    assert [one.sequence for one in feed.read(2, 3)] == [3, 4, 5]
    assert feed.read(9, 3) == []


def test_last_sequence_counts_what_was_trimmed(feed):
    feed.append(changes(1, 4))
    assert feed.trim(4) == 4
    assert feed.last_sequence() == 4
    feed.append([change(5)])
    assert [one.sequence for one in feed.read(0, 10)] == [5]


def test_trim_goes_no_further_than_the_feed(feed):
    feed.append(changes(1, 4))
    assert feed.trim(99) == 4
    assert feed.last_sequence() == 4


def test_trim_again_finds_nothing(feed):
    feed.append(changes(1, 5))
    assert (feed.trim(2), feed.trim(2), feed.trim(1)) == (2, 0, 0)
    assert [one.sequence for one in feed.read(0, 10)] == [3, 4, 5]


def test_trim_of_many_takes_them_all(feed):
    feed.append(changes(1, 12_000))
    assert feed.trim(11_500) == 11_500
    assert feed.read(0, 1)[0].sequence == 11_501


def test_cursor_of_a_new_stage_is_zero(feed):
    assert feed.cursor("history") == 0


def test_set_cursor_is_kept_for_each_stage(feed):
    feed.set_cursor("history", 5)
    feed.set_cursor("services", 2)
    feed.set_cursor("history", 7)
    assert (feed.cursor("history"), feed.cursor("services")) == (7, 2)


def test_read_while_another_thread_appends_sees_whole_commits(feed):
    done = threading.Event()

    def write():
        try:
            for first in range(1, 2001, 10):
                feed.append(changes(first, first + 9))
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        seen = feed.read(0, 5000)
        assert len(seen) % 10 == 0
        assert [one.sequence for one in seen] == list(range(1, len(seen) + 1))
    writer.join()
    assert len(feed.read(0, 5000)) == 2000


def test_reopening_finds_everything(path):
    first = SqliteFeed(path)
    first.append(changes(1, 20))
    first.trim(5)
    first.set_cursor("history", 11)
    first.close()
    again = SqliteFeed(path)
    assert again.last_sequence() == 20
    assert [one.sequence for one in again.read(0, 100)] == list(range(6, 21))
    assert again.cursor("history") == 11
    again.close()


def test_reopening_a_feed_that_was_trimmed_empty_goes_on_counting(path):
    first = SqliteFeed(path)
    first.append(changes(1, 3))
    first.trim(99)
    first.close()
    again = SqliteFeed(path)
    assert again.last_sequence() == 3
    again.close()


def test_append_on_a_full_disk_stores_nothing_and_recovers(path):
    feed = SqliteFeed(path)
    feed.append(changes(1, 10))
    full = feed._writer.pragma("page_count")
    feed._writer.pragma("max_page_count", full)
    heavy = [change(number, document=b"x" * 3000) for number in range(11, 61)]
    with pytest.raises(StorageFull, match="nothing was stored"):
        feed.append(heavy)
    assert feed.last_sequence() == 10
    assert len(feed.read(0, 100)) == 10
    feed._writer.pragma("max_page_count", full + 1000)
    feed.append(heavy)
    assert feed.last_sequence() == 60
    feed.close()


def test_a_flood_is_stored_by_statements_that_are_prepared_once(path):
    feed = SqliteFeed(path)
    for first in (1, 2001, 4001):
        feed.append(changes(first, first + 1999))
    kept = feed._writer.cache_stats()
    assert kept["too_big"] == 0
    assert [one.sequence for one in feed.read(1990, 20)] == list(range(1991, 2011))
    feed.close()


def test_append_of_many_on_a_full_disk_stores_none_of_them(path):
    feed = SqliteFeed(path)
    feed._writer.pragma("max_page_count", feed._writer.pragma("page_count") + 20)
    with pytest.raises(StorageFull):
        feed.append(changes(1, 9000))
    assert feed.read(0, 10) == []
    feed.append(changes(1, 3))
    assert feed.last_sequence() == 3
    feed.close()


def test_append_is_not_ready_while_another_process_holds_the_file(path):
    feed = SqliteFeed(path)
    feed._writer.set_busy_timeout(10)
    holder = apsw.Connection(str(path))
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(NotReady, match="another process"):
        feed.append([change(1)])
    holder.execute("ROLLBACK")
    feed.append([change(1)])
    assert feed.last_sequence() == 1
    holder.close()
    feed.close()


def test_opening_a_newer_schema_is_refused(path):
    SqliteFeed(path).close()
    newer = apsw.Connection(str(path))
    newer.pragma("user_version", 99)
    newer.close()
    with pytest.raises(BadConfig, match="newer CityLoom") as caught:
        SqliteFeed(path)
    assert caught.value.where == str(path)


def test_opening_what_is_no_database_is_refused(path):
    path.write_bytes(b"This is a text, and a long one at that. " * 200)
    with pytest.raises(BadConfig, match="not a database"):
        SqliteFeed(path)


def test_opening_in_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadConfig, match="cannot be opened"):
        SqliteFeed(tmp_path / "nowhere" / "feed.db")


def test_opening_uses_a_log_that_is_flushed_at_each_commit(path):
    feed = SqliteFeed(path)
    writer = feed._writer
    full = 2
    assert writer.pragma("journal_mode") == "wal"
    assert writer.pragma("synchronous") == full
    assert writer.pragma("mmap_size") == 0
    feed.close()


def test_append_flushes_the_log_before_it_returns(path):
    """Seen from outside: each append makes the system call that a power cut is survived by."""
    trace = path.parent / "trace"
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from test_feed import SqliteFeed, change\n"
        "feed = SqliteFeed(Path(sys.argv[1]))\n"
        "for n in range(1, 21): feed.append([change(n)])\n"
    )
    here = str(Path(__file__).parent)
    command = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", str(trace)]
    try:
        subprocess.run([*command, sys.executable, "-c", script, str(path), here], check=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("amber: strace is not installed; the power cuts in tests/faults prove the same")
    flushed = [line for line in trace.read_text().splitlines() if "feed.db-wal" in line]
    assert len(flushed) >= 20
