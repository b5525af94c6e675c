"""Files of a city as they were at one instant: SQLite files frozen together, a history that is held still."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import closing

import apsw
import pytest

from cityloom.adapters.duckdb.connection import DuckFile, hold_of
from cityloom.adapters.files.hold import held, writing
from cityloom.adapters.sqlite import instant
from cityloom.adapters.sqlite.connection import open_writer
from cityloom.kernel.errors import BadConfig, NotReady

SCHEMA = ("CREATE TABLE told (n INTEGER) STRICT",)


def numbers(connection):
    return [n for (n,) in connection.execute("SELECT n FROM told ORDER BY n")]


@pytest.fixture
def pair(tmp_path):
    """Two files with a writer each; the second is to hold whatever the first does."""
    writers = [open_writer(tmp_path / name, SCHEMA) for name in ("outbox.db", "feed.db")]
    yield [tmp_path / "outbox.db", tmp_path / "feed.db"], writers
    for writer in writers:
        writer.close()


def test_a_commit_between_two_files_is_seen_and_all_are_frozen_anew(pair, monkeypatch, tmp_path):
    paths, (outbox, feed) = pair
    left = iter(range(3))
    plain = instant.Frozen.freeze

    def freeze(self):
        plain(self)
        if self.path == paths[0] and (n := next(left, None)) is not None:
            # What a city does: the feed is told that the outbox has it, and trimmed.
            outbox.execute("INSERT INTO told VALUES (?)", (n,))
            feed.execute("INSERT INTO told VALUES (?)", (n,))

    monkeypatch.setattr(instant.Frozen, "freeze", freeze)
    with instant.at_one_instant(paths) as frozen:
        assert [numbers(one.connection) for one in frozen] == [[0, 1, 2], [0, 1, 2]]
        outbox.execute("INSERT INTO told VALUES (3)")
        feed.execute("INSERT INTO told VALUES (3)")
        for one in frozen:
            one.copy(tmp_path / f"{one.path.name}.copy", lambda _done, _all: None)
    for path in paths:
        with closing(apsw.Connection(f"{path}.copy")) as copy:
            assert numbers(copy) == [0, 1, 2], "what came after the instant is not in it"


def test_a_city_that_writes_without_a_pause_is_not_waited_for_without_end(pair, monkeypatch):
    paths, (outbox, _) = pair
    plain = instant.Frozen.freeze

    def freeze(self):
        plain(self)
        if self.path == paths[0]:
            outbox.execute("INSERT INTO told VALUES (1)")

    monkeypatch.setattr(instant.Frozen, "freeze", freeze)
    monkeypatch.setattr(instant, "_TRIES", 5)
    with pytest.raises(NotReady, match="without a pause"), instant.at_one_instant(paths):
        pass


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "feed.db").write_bytes(b"nonsense" * 1000)
    with (
        pytest.raises(BadConfig, match=r"feed\.db is damaged"),
        instant.at_one_instant([tmp_path / "feed.db"]),
    ):
        pass


def test_nothing_is_written_to_a_history_that_is_held(tmp_path):
    path = tmp_path / "history.duckdb"
    file = DuckFile(path, tmp_path, memory_limit="64MB", threads=1)
    with file.transaction() as cursor:
        cursor.execute("CREATE TABLE told (n INTEGER)")
    begun, done = threading.Event(), threading.Event()

    def write():
        begun.set()
        with file.transaction() as cursor:
            cursor.execute("INSERT INTO told VALUES (1)")
        done.set()

    with held(hold_of(path)):
        writer = threading.Thread(target=write)
        writer.start()
        assert begun.wait(20)
        assert not done.wait(0.3)
        with file.reading() as cursor:
            assert cursor.execute("SELECT count(*) FROM told").fetchone() == (0,), "it is read meanwhile"
    assert done.wait(20)
    writer.join(20)
    file.close()


def test_a_history_is_held_only_between_writes(tmp_path):
    lock = tmp_path / "history.hold"
    with writing(lock):
        with writing(lock):
            """Two threads of a city may write."""
        with pytest.raises(NotReady, match="without a pause"), held(lock, patience=0.05):
            pass
    with held(lock):
        pass


HOLDER = """
import pathlib, sys, threading
from cityloom.adapters.files.hold import held
with held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    threading.Event().wait()
"""


def test_a_holder_that_is_killed_holds_nothing(tmp_path):
    lock = tmp_path / "history.hold"
    with writing(lock):
        pass
    with subprocess.Popen([sys.executable, "-c", HOLDER, lock], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(NotReady), held(lock, patience=0.05):
            """The other one holds it."""
        holder.kill()
    with held(lock, patience=0.05):
        pass


def test_a_holder_that_hangs_is_not_waited_for_without_end(tmp_path):
    lock = tmp_path / "history.hold"
    with writing(lock):
        pass
    with held(lock), writing(lock, patience=0.05):
        """It writes; whoever copies finds the file changed."""


def test_a_city_that_knows_no_lock_is_not_held(tmp_path):
    with pytest.raises(NotReady, match="cannot be asked"), held(tmp_path / "history.hold"):
        pass
