"""Stores that take whole tables answer alike, whatever is there already."""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityloom.adapters.duckdb import whole_histories
from cityloom.adapters.postgres import history_statements
from cityloom.adapters.postgres.address import Address
from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.history import PostgresHistory
from cityloom.adapters.postgres.schema import PARTS
from cityloom.history.loads import Bringing, LoadRecord, LoadStore, Portion
from cityloom.history.model import SeriesKey, ValueKind
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import ChangeKind
from cityloom.kernel.errors import NotFound
from remembered import MINUTE, START, everything, make, news, number, values, words

COLUMNS = (
    "place INTEGER, observed_at BIGINT, recorded_at BIGINT, created_at BIGINT, kind UTINYINT, number DOUBLE,"
    " text VARCHAR, observed BOOLEAN, superseded BOOLEAN, origin UTINYINT, details VARCHAR, instance VARCHAR"
)
RECORD = LoadRecord(id="one", number=0, name="a.csv", by="terminal")


@pytest.fixture(params=["duckdb", "postgres"])
def store(request, tmp_path):
    if request.param == "postgres":
        made = PostgresHistory(request.getfixturevalue("postgres"), tmp_path / "exports")
    else:
        made = make("duckdb", tmp_path)
    yield made
    made.close()


def row(
    place, at, value, recorded=START, *, kind=ValueKind.NUMBER, text=None, details=None, superseded=False
):
    return (place, at, recorded, None, int(kind), value, text, True, superseded, 1, details, None)


def series(*units, entity="urn:a"):
    return [
        Bringing(
            SeriesKey("", entity, "temperature", "", "Property", unit), ("Weather",), InformationClass.OPEN
        )
        for unit in units
    ]


def portion(folder: Path, wanted, rows, first=0, end=10, load="one") -> Portion:
    """Rows as a file in the folder of exports."""
    name = f"portion-{next(_files)}.parquet"
    with duckdb.connect(":memory:") as writer:
        writer.execute(f"CREATE TABLE made ({COLUMNS})")
        if rows:
            writer.executemany(f"INSERT INTO made VALUES ({', '.join('?' * 12)})", rows)
        writer.execute(f"COPY made TO '{folder / 'exports' / name}' (FORMAT parquet)")
    return Portion(load, first, end, wanted, name)


_files = itertools.count()


def test_a_table_is_brought_once_and_goes_again(store, tmp_path):
    assert isinstance(store, LoadStore)
    store.record([news(1, number(1, START), words("on"))], 1)
    kept = store.keep_load(RECORD)
    rows = [row(0, START + MINUTE * place, float(place)) for place in range(3)]
    rows.append(row(1, START, None, kind=ValueKind.TEXT, text="ø, '"))
    wanted = [*series("CEL"), *series("", entity="urn:b")]
    brought = store.bring(portion(tmp_path, wanted, rows))
    # The first row says something else than the change, which was recorded later and stays the value.
    assert (brought.kept, brought.known, brought.corrected) == (4, 0, 0)
    assert values(everything(store)) == [1, 1, 2, "on", "ø, '"]
    assert store.bring(portion(tmp_path, wanted, rows)).kept == 0
    assert store.bring(portion(tmp_path, wanted, rows, 10, 20)).known == 3
    (record,) = store.loads()
    assert (record.number, record.rows, record.kept) == (kept.number, 20, 5)
    assert store.brought(kept.number).tolist() == [1, 3]
    assert [(one.id, one.key.entity_id) for one in store.known(np.array([3, 1, 99]))] == [
        (3, "urn:b"),
        (1, "urn:a"),
    ]
    store.record([news(2, number(9, START + 5 * MINUTE))], 2)
    assert values(everything(store)) == [1, 1, 2, 9, "on", "ø, '"]
    gone = store.take_out(kept.number)
    assert gone == 5
    assert [one.id for one in store.known(np.array([1, 3]))] == [1]
    assert values(everything(store)) == [1, 9, "on"]
    assert [one.key.entity_id for one in store.series("")] == ["urn:a", "urn:a"]


def test_a_table_finds_what_stands_after_a_correction_that_nobody_has_read_yet(store, tmp_path):
    store.record([news(1, number(1, START)), news(2, number(5, START + MINUTE))], 2)
    store.record([news(3, number(2, START))], 3)
    kept = store.keep_load(RECORD)
    brought = store.bring(portion(tmp_path, series("CEL"), [row(0, START, 1.0, START + 9 * MINUTE)]))
    assert (brought.kept, brought.known, brought.corrected) == (1, 0, 1)
    assert values(everything(store)) == [1, 5]
    store.record([news(4, number(3, START))], 4)
    store.take_out(kept.number)
    assert values(everything(store)) == [3, 5]
    assert values(everything(store, corrected=True)) == [1, 2, 3, 5]


def test_one_load_is_found_and_what_it_created_is_kept_apart(store):
    first = store.keep_load(RECORD)
    second = store.keep_load(LoadRecord("two", 0, "b.csv", "terminal", START))
    store.add_created(first.number, ["urn:a", "urn:ø'"])
    store.add_created(second.number, ["urn:b"])
    store.add_created(first.number, ["urn:c"])
    assert (store.find_load("one"), store.find_load("none")) == (first, None)
    assert sorted(store.created(first.number)) == ["urn:a", "urn:c", "urn:ø'"]
    assert store.created(second.number) == ["urn:b"]


def test_what_earlier_loads_created_is_known_still(tmp_path, postgres):
    """It stood in the record."""
    said = '{"id":"one","number":4,"name":"a","by":"x","startedAt":5,"created":["urn:a","urn:ø\'"]}'
    make("duckdb", tmp_path).close()
    with duckdb.connect(str(tmp_path / "history.duckdb")) as connection:
        connection.execute("DROP TABLE load_entity")
        connection.execute("UPDATE progress SET schema_version = 3")
        connection.execute("INSERT INTO load VALUES ('one', 4, ?)", [said])
    store = make("duckdb", tmp_path)
    assert sorted(store.created(4)) == ["urn:a", "urn:ø'"]
    assert store.find_load("one").name == "a"
    store.close()
    script = history_statements.MIGRATIONS[2].replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
    with postgres.write() as connection:
        connection.execute("DROP INDEX load_entity_of")
        connection.execute("INSERT INTO load VALUES ('one', 4, %s)", (said,))
        connection.execute(script)
    store = PostgresHistory(postgres, tmp_path / "exports")
    assert sorted(store.created(4)) == ["urn:a", "urn:ø'"]
    store.close()


def test_a_portion_of_an_unknown_load_is_refused(store, tmp_path):
    with pytest.raises(NotFound):
        store.bring(portion(tmp_path, series("CEL"), [row(0, START, 1.0)]))
    assert store.series("") == []


@st.composite
def _lives(draw):
    """What happens, and what is brought between: in two units, of instants that are partly there."""
    steps = []
    for load in range(draw(st.integers(1, 4))):
        readings = [
            number(draw(st.integers(0, 2)), START + MINUTE * draw(st.integers(0, 5)), unit=unit)
            for unit in draw(st.lists(st.sampled_from(["CEL", "FAH"]), max_size=3))
        ]
        places = draw(st.sets(st.tuples(st.integers(0, 1), st.integers(0, 5)), max_size=8))
        rows = [
            row(
                place,
                START + MINUTE * at,
                None if kind == ValueKind.NOTHING else float(draw(st.integers(0, 2))),
                recorded=START + 500 + 1000 * draw(st.integers(0, 4)),
                kind=kind,
                details=draw(st.sampled_from([None, None, '{"valueType":"urn:x"}'])),
                superseded=draw(st.integers(0, 5)) == 0,
            )
            for place, at in sorted(places)
            for kind in [
                draw(st.sampled_from([ValueKind.NUMBER] * 5 + [ValueKind.INTEGER, ValueKind.NOTHING]))
            ]
        ]
        steps.append((f"load {load}", readings, rows))
    return steps


_schemas = itertools.count(1)


@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_lives(), out=st.sets(st.integers(0, 3)))
def test_both_stores_bring_and_take_out_alike(postgres_server, tmp_path_factory, steps, out):
    folder = tmp_path_factory.mktemp("stores")
    schema = f"loads_{next(_schemas)}"
    try:
        with closing(Database(Address(postgres_server.url(), schema))) as database:
            database.prepare(PARTS)
            stores = [make("duckdb", folder), PostgresHistory(database, folder / "exports")]
            for through, (load, readings, rows) in enumerate(steps, 1):
                told = [portion(folder, series("CEL", "FAH"), rows, load=load) for _ in stores]
                found = []
                for store, one in zip(stores, told, strict=True):
                    store.record([news(through, *readings)], through)
                    store.keep_load(LoadRecord(load, 0, "a.csv", "terminal", START))
                    found.append((store.bring(one), store.loads(), _remembered(store)))
                assert found[0] == found[1]
            for number_of_load in sorted(out):
                gone = [store.take_out(number_of_load + 1) for store in stores]
                assert gone[0] == gone[1]
                assert _remembered(stores[0]) == _remembered(stores[1])
            for store in stores:
                store.close()
    finally:
        with psycopg.connect(postgres_server.url()) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def _remembered(store) -> list[object]:
    rows = []
    for corrected in (False, True):
        found = everything(store, corrected=corrected, marks="with")
        columns = [found.series, found.at, found.kind, found.sequence, found.recorded_at, found.details]
        rows += sorted(
            zip(*(column.tolist() for column in columns), map(str, found.number), strict=True), key=str
        )
    return [rows, store.series("")]


@pytest.mark.parametrize("format_name", ["csv", "parquet"])
def test_a_whole_history_goes_out_alike(postgres, tmp_path, format_name):
    told = []
    for kind in ("duckdb", "postgres"):
        folder = tmp_path / kind
        (folder / "exports").mkdir(parents=True)
        store = make(kind, folder) if kind == "duckdb" else PostgresHistory(postgres, folder / "exports")
        nasty = ("", "=1+1", "'=1", 'a "quoted", line\nand another\r\n', "ø \N{CITYSCAPE}", "\\.", "NULL")
        words_of = [words(one, START + place * MINUTE) for place, one in enumerate(nasty)]
        store.record([news(1, number(0.1 + 0.2, START), *words_of)], 1)
        store.record([news(2, number(1e300, START)), news(3, kind=ChangeKind.DELETED)], 3)
        store.keep_load(RECORD)
        store.bring(portion(folder, series("CEL", entity="urn:b"), [row(0, START + MINUTE, -0.5)]))
        path, count = store.export_whole(np.array([1, 2, 3]), START, START + 4 * MINUTE, format_name)
        assert path.parent == (folder / "exports").resolve() and count >= 6
        with duckdb.connect(":memory:") as reader:
            found = reader.execute(
                f"SELECT * EXCLUDE (line) FROM {whole_histories.rows_of(path)} ORDER BY ALL"
            ).fetchall()
        assert len(found) == count
        assert not [one for one in path.parent.iterdir() if one.is_dir()]
        told.append(found)
        store.close()
    assert told[0] == told[1]
