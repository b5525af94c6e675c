"""Which days are moved into the order of questions, and that nothing but their order changes."""

from __future__ import annotations

import numpy as np
import pytest

from cityloom.adapters.duckdb import settling
from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.adapters.duckdb.settling import DAY, Slice, next_slice
from cityloom.history.model import EntityNews, NewReading, ValueKind, Window
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import ChangeKind

MONDAY = 20_000


@pytest.mark.parametrize(
    ("days", "settled", "wanted"),
    [
        ([], [], None),
        ([(1, 40), (2, 40)], [], None),
        ([(1, 40), (2, 60), (3, 60)], [], (1, 3, 100)),
        ([(1, 500)], [], (1, 2, 500)),
        # What a slice in order comes after is worth it earlier, and not for a trifle.
        ([(1, 13), (2, 90), (3, 40)], [(2, 3, 90)], (1, 2, 13)),
        ([(1, 11), (2, 90), (3, 40)], [(2, 3, 90)], None),
        ([(2, 90), (3, 40), (4, 70)], [(2, 3, 90)], (3, 5, 110)),
        # Late ones: few are left where they are.
        ([(2, 99)], [(2, 3, 90)], None),
        ([(2, 100)], [(2, 3, 90)], (2, 3, 100)),
    ],
)
def test_days_make_a_slice_once_they_are_worth_it(days, settled, wanted):
    known = [Slice(first * DAY, end * DAY, count) for first, end, count in settled]
    found = next_slice(days, known, worth=100)
    assert found == (wanted and Slice(wanted[0] * DAY, wanted[1] * DAY, wanted[2]))


def _news(sequence, *, late=False):
    """All series at one tick, each with a value of its own; every seventh is corrected."""
    tick = sequence // 2 if late else sequence
    at = MONDAY * DAY + tick * DAY // 10
    return [
        EntityNews(
            *(sequence, "", f"urn:{name}", ("Weather",), ChangeKind.UPDATED, InformationClass.OPEN, at),
            (
                NewReading(
                    *("x", "", "Property", "", at, ValueKind.NUMBER, float(sequence + place * 1000), None)
                ),
                NewReading(*("y", "", "Property", "", at, ValueKind.TEXT, None, f"{name}{sequence}")),
            ),
        )
        for place, name in enumerate("abc")
    ]


def _everything(store):
    series = np.array([one.id for one in store.series("")], np.int64)
    found = store.raw(Window(series, corrected=True))
    return [[str(one) for one in column.tolist()] for column in found]


def _order(store):
    with store._file.cursor() as cursor:
        return [row[0] for row in cursor.execute("SELECT series FROM reading ORDER BY rowid").fetchall()]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(settling.next_slice, "__kwdefaults__", {"worth": 50})
    made = DuckHistory(tmp_path / "history.duckdb", tmp_path / "exports")
    for sequence in range(1, 60):
        made.record(_news(sequence, late=sequence % 7 == 0), sequence)
    yield made
    made.close()


def test_settling_changes_the_order_alone(store, tmp_path):
    before = _everything(store)
    assert _order(store)[:3] != sorted(_order(store))[:3]
    moved = 0
    while count := store.settle((MONDAY + 4) * DAY):
        moved += count
    assert moved == sum(int(at) < (MONDAY + 4) * DAY for at in before[1])
    assert _everything(store) == before
    with store._file.cursor() as cursor:
        slices = cursor.execute("FROM settled ORDER BY since").fetchall()
        for since, until, _ in slices:
            rows = cursor.execute(
                "SELECT series, observed_at FROM reading "
                "WHERE observed_at >= ? AND observed_at < ? ORDER BY rowid",
                [since, until],
            ).fetchall()
            assert rows == sorted(rows)
    assert len(slices) > 1
    store.close()
    again = DuckHistory(tmp_path / "history.duckdb", tmp_path / "exports")
    assert _everything(again) == before
    assert again.settle((MONDAY + 4) * DAY) == 0
    again.record(_news(60), 60)
    assert len(_everything(again)[0]) == len(before[0]) + 6
    again.close()


def test_a_slice_that_fails_stays_as_it_was(store, monkeypatch):
    before, order = _everything(store), _order(store)
    monkeypatch.setattr(settling, "_FORGET", "THIS IS NO STATEMENT")
    with pytest.raises(Exception, match="THIS"):
        store.settle((MONDAY + 4) * DAY)
    assert (_everything(store), _order(store)) == (before, order)
