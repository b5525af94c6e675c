"""A question to history can be ended from outside; what is being written cannot."""

import threading

import pytest

from cityloom.adapters.duckdb.connection import DuckFile
from cityloom.kernel.errors import NotReady

ENDLESS = "SELECT count(*) FROM range(10_000_000_000) AS numbers(n) WHERE n % 7 = 3"
TINY = "SELECT 42"


@pytest.fixture
def file(tmp_path):
    opened = DuckFile(tmp_path / "history.duckdb", tmp_path, memory_limit="64MB", threads=1)
    yield opened
    opened.close()


class Interrupting:
    """Interrupts again and again from another thread, so that no moment is missed."""

    def __init__(self, file):
        self._file = file
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._over.wait(0.001):
            self._file.interrupt_reading()

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def test_interrupt_reading_ends_a_question_that_runs(file):
    with Interrupting(file), pytest.raises(NotReady, match="stopping"), file.reading() as cursor:
        cursor.execute(ENDLESS)


def test_interrupt_reading_leaves_a_transaction_alone(file):
    with Interrupting(file), file.transaction() as cursor:
        cursor.execute("CREATE TABLE numbers AS SELECT range AS n FROM range(3_000_000)")
    with file.reading() as cursor:
        assert cursor.execute("SELECT count(*) FROM numbers").fetchone() == (3_000_000,)


def test_interrupt_reading_spares_the_next_question(file):
    with Interrupting(file), pytest.raises(NotReady), file.reading() as cursor:
        cursor.execute(ENDLESS)
    with file.reading() as cursor:
        assert cursor.execute(TINY).fetchone() == (42,)


def test_a_question_that_takes_too_much_memory_is_told_as_that_and_as_no_damage(file):
    with pytest.raises(NotReady, match="more memory") as error, file.reading() as cursor:
        cursor.execute("SELECT list(n ORDER BY n DESC) FROM range(100_000_000) AS numbers(n)").fetchall()
    assert "restore" not in error.value.hint
    with file.reading() as cursor:
        assert cursor.execute(TINY).fetchone() == (42,)


def test_what_is_freed_is_given_back_by_a_thread_of_the_allocator(file):
    with file.reading() as cursor:
        [said] = cursor.execute("SELECT current_setting('allocator_background_threads')").fetchone()
    assert said is True
