"""What a later reading corrects counts for nobody, whenever it is marked in the file."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from cityloom.adapters.duckdb import corrections
from cityloom.adapters.duckdb.connection import hold_of
from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.adapters.files.hold import held
from cityloom.history.model import Window
from remembered import MINUTE, START, everything, news, number, past, values

ENDS = np.array([START, START + 10 * MINUTE], np.int64)


@pytest.fixture
def store(tmp_path):
    made = DuckHistory(tmp_path / "history.duckdb", tmp_path / "exports")
    made.record([news(1, number(1, START)), news(2, number(2, START + MINUTE))], through=2)
    yield made
    made.close()


def _correct(store):
    store.record([news(3, number(10, START)), news(4, number(20, START + MINUTE))], through=4)


def _sum(store):
    numbers = np.array([one.id for one in store.series("")], np.int64)
    window = Window(numbers, int(ENDS[0]), int(ENDS[1]))
    return store.aggregate(window, ENDS, ["sum"])["sum"].tolist()


def _noted(store):
    with store._file.cursor() as cursor:
        return cursor.execute("SELECT count(*) FROM correction").fetchone()[0]


def test_whoever_asks_first_has_marked_what_was_noted(store):
    _correct(store)
    assert _noted(store) == 2
    assert _sum(store) == [[30.0]]
    assert _noted(store) == 0
    assert values(everything(store, corrected=True)) == [1, 10, 2, 20]


def test_while_the_file_is_copied_nobody_waits_and_nobody_counts_twice(store, tmp_path):
    _correct(store)
    store.record([news(5, number(30, START))], through=5)
    with held(hold_of(tmp_path / "history.duckdb")):
        assert _sum(store) == [[50.0]]
        assert values(everything(store)) == [30, 20]
        assert values(everything(store, corrected=True)) == [1, 10, 30, 2, 20]
        assert _noted(store) == 3
    assert _sum(store) == [[50.0]]
    assert _noted(store) == 0


def test_whoever_asks_reads_round_a_writer_that_takes_long(store, monkeypatch):
    monkeypatch.setattr(corrections, "PATIENCE_S", 0.01)
    _correct(store)
    answers = []
    with store._writing:
        asking = threading.Thread(target=lambda: answers.append(_sum(store)))
        asking.start()
        asking.join(60)
    assert answers == [[[30.0]]]
    assert _noted(store) == 2


def test_the_writer_marks_what_has_become_much(store, monkeypatch):
    monkeypatch.setattr(corrections, "AT_ONCE", 3)
    _correct(store)
    assert _noted(store) == 2
    store.record([news(5, number(30, START))], through=5)
    assert _noted(store) == 0
    assert values(everything(store)) == [30, 20]


def test_what_was_noted_is_known_after_a_restart(store, tmp_path):
    _correct(store)
    store.close()
    again = DuckHistory(tmp_path / "history.duckdb", tmp_path / "exports")
    assert _noted(again) == 2
    # What is newest is known, though nothing was marked.
    again.record([news(5, number(20, START + MINUTE))], through=5)
    assert values(everything(again)) == [10, 20]
    again.close()


def test_a_slice_is_moved_with_its_marks(store):
    _correct(store)
    store.settle(START + 400 * 86_400_000)
    assert _noted(store) == 0
    assert values(everything(store)) == [10, 20]


def test_what_was_noted_of_a_forgotten_series_hides_nothing_of_the_next_one(store, tmp_path):
    _correct(store)
    store.forget(np.array([one.id for one in store.series("")], np.int64))
    assert _noted(store) == 0
    store.close()
    again = DuckHistory(tmp_path / "history.duckdb", tmp_path / "exports")
    # Numbers are given anew after a restart; a past that is loaded lies before every change.
    again.load([past(7, 8, entity="urn:b")])
    assert values(everything(again)) == [7, 8]
    again.close()
