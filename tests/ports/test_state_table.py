"""The suite of the port StateTable: every adapter passes it."""

from __future__ import annotations

import apsw
import msgspec
import pytest

from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.adapters.postgres.state_table import PostgresStateTable
from cityloom.adapters.sqlite.state_table import SqliteStateTable
from cityloom.context.ports import Folded
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadConfig, StorageFull


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def table(request, tmp_path):
    if request.param == "postgres":
        yield PostgresStateTable(request.getfixturevalue("postgres"))
        return
    made = MemoryStateTable() if request.param == "memory" else SqliteStateTable(tmp_path / "state.db")
    yield made
    made.close()


def state(created: int, **fields) -> Folded:
    return Folded(
        **{
            "created": created,
            "tenant": "",
            "entity_id": f"urn:ngsi-ld:Thing:{created}",
            "types": ("Thing",),
            "information_class": InformationClass.OPEN,
            "document": b"{}",
            "sequence": created,
            "bounds": None,
            "references": (),
            **fields,
        }
    )


def test_load_of_a_new_table_is_empty(table):
    assert list(table.load()) == []
    assert table.folded_through() == 0


def test_fold_keeps_every_field(table):
    written = state(
        7,
        tenant="north",
        types=("Thing", "https://example.org/ns#Other"),
        information_class=InformationClass.INTERNAL,
        document='{"é":1}'.encode(),
        sequence=12,
        bounds=(-180.0, -90.0, 10.123456789, 0.0),
        references=("urn:a", "type:Æ"),
    )
    table.fold([written], [], 12)
    assert list(table.load()) == [written]
    assert table.folded_through() == 12


def test_fold_overwrites_by_creation(table):
    table.fold([state(1), state(2)], [], 2)
    newer = state(1, document=b'{"a":1}', sequence=3, bounds=(1.0, 2.0, 3.0, 4.0))
    table.fold([newer], [], 3)
    assert list(table.load()) == [newer, state(2)]


def test_fold_removes_by_creation(table):
    table.fold([state(1), state(2), state(3)], [], 3)
    table.fold([state(6, entity_id="urn:ngsi-ld:Thing:2")], [2, 5], 6)
    assert [one.created for one in table.load()] == [1, 3, 6]


def test_load_is_in_the_order_of_creation(table):
    table.fold([state(5), state(1), state(9), state(3)], [], 9)
    assert [one.created for one in table.load()] == [1, 3, 5, 9]


def test_load_gives_back_classes_not_numbers(table):
    table.fold([state(1, information_class=InformationClass.SECURITY)], [], 1)
    (read,) = table.load()
    assert read.information_class is InformationClass.SECURITY


def test_fold_takes_more_states_than_one_statement_can(table):
    table.fold([state(number) for number in range(1, 6001)], list(range(1, 3001)), 6000)
    assert [one.created for one in table.load()] == list(range(3001, 6001))


def test_fold_of_nothing_still_moves_on(table):
    table.fold([], [], 5)
    assert table.folded_through() == 5


def test_reopening_finds_the_table_as_it_was(tmp_path):
    first = SqliteStateTable(tmp_path / "state.db")
    first.fold([state(1), state(4)], [], 4)
    first.close()
    again = SqliteStateTable(tmp_path / "state.db")
    assert list(again.load()) == [state(1), state(4)]
    assert again.folded_through() == 4
    again.close()


def test_fold_on_a_full_disk_leaves_the_table_as_it_was(tmp_path):
    table = SqliteStateTable(tmp_path / "state.db")
    table.fold([state(1)], [], 1)
    full = table._writer.pragma("page_count")
    table._writer.pragma("max_page_count", full + 2)
    heavy = [msgspec.structs.replace(state(n), document=b"x" * 3000) for n in range(1, 80)]
    with pytest.raises(StorageFull):
        table.fold(heavy, [1], 79)
    assert list(table.load()) == [state(1)]
    assert table.folded_through() == 1
    table._writer.pragma("max_page_count", full + 1000)
    table.fold(heavy, [1], 79)
    assert len(list(table.load())) == 78
    table.close()


def test_opening_a_newer_schema_is_refused(tmp_path):
    SqliteStateTable(tmp_path / "state.db").close()
    newer = apsw.Connection(str(tmp_path / "state.db"))
    newer.pragma("user_version", 3)
    newer.close()
    with pytest.raises(BadConfig, match="newer CityLoom"):
        SqliteStateTable(tmp_path / "state.db")
