"""What the history in PostgreSQL promises beside the suite of its port."""

from __future__ import annotations

import csv
import itertools
import threading
from contextlib import closing

import msgspec
import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityloom.adapters.postgres.address import Address
from cityloom.adapters.postgres.connection import InDoubt
from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.history import PostgresHistory
from cityloom.adapters.postgres.schema import PARTS
from cityloom.history.model import Erasure, ValueKind, Window
from cityloom.history.ports import AGGREGATE_METHODS, TEXT_COUNT
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import ChangeKind
from cityloom.kernel.errors import BadInput, NotReady
from remembered import MINUTE, START, everything, make, news, number, past, values, words

MONTH = 31 * 24 * 60 * MINUTE


@pytest.fixture
def history(postgres, tmp_path):
    with closing(PostgresHistory(postgres, tmp_path / "exports")) as made:
        yield made


def reopened(postgres, tmp_path):
    return closing(PostgresHistory(postgres, tmp_path / "exports"))


def test_everything_is_found_again_after_a_restart(postgres, tmp_path, history):
    history.record([news(1, number(1), words("on")), news(2, number(9), entity="urn:b", tenant="north")], 2)
    history.close()
    with reopened(postgres, tmp_path) as store:
        assert store.last_sequence() == 2
        store.record([news(2, number(5)), news(3, number(1), words("off"))], through=3)
        assert values(everything(store, corrected=True)) == [1, "on", "off"]
        assert [one.types for one in store.series("")] == [("Weather",)] * 2
        assert [one.key.entity_id for one in store.series("north")] == ["urn:b"]


class _CutOff(PostgresHistory):
    """Loses its connection in the middle of its first batch, or after the server has committed it."""

    committed = True

    def _write_plan(self, connection, plan):
        super()._write_plan(connection, plan)
        if self.committed is None:
            return
        if self.committed:
            connection.execute("COMMIT")
        self.committed, was = None, self.committed
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())") if not was else None
        if was:
            raise InDoubt("cut off", hint="")


@pytest.mark.parametrize("committed", [True, False])
def test_a_batch_that_was_cut_off_is_kept_once(postgres, tmp_path, committed):
    with closing(_CutOff(postgres, tmp_path / "exports")) as store:
        store.committed = committed
        batch = [news(1, number(1), words("on")), news(2, number(2, START + MINUTE))]
        with pytest.raises(NotReady):
            store.record(batch, through=2)
        assert store.last_sequence() == (2 if committed else 0)
        store.record(batch, through=2)
        store.record([news(3, number(3, START + MINUTE))], through=3)
        assert values(everything(store, corrected=True)) == [1, 2, 3, "on"]
        assert values(everything(store)) == [1, 3, "on"]


def test_another_process_that_writes_is_noticed(postgres, tmp_path, history):
    with reopened(postgres, tmp_path) as other:
        other.record([news(1, number(1))], through=1)
        seen = history.last_sequence
        history.last_sequence = lambda: 0  # as it was when this one looked
        with pytest.raises(NotReady, match="meanwhile"):
            history.record([news(1, number(1))], through=1)
        history.last_sequence = seen
        history.record([news(1, number(1)), news(2, number(2, START + MINUTE))], through=2)
    assert values(everything(history, corrected=True)) == [1, 2]


def tables(postgres) -> set[str]:
    rows = postgres.rows(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'reading'::regclass"
    )
    return {name for (name,) in rows}


def test_each_month_has_a_table_of_its_own(postgres, history):
    history.record([news(1, number(1), number(2, START + MONTH))], through=1)
    history.load([past(1, 2, entity="urn:b")])
    assert tables(postgres) == {"reading_of_no_month", "reading_2014_09", "reading_2014_10"}
    assert postgres.row("SELECT count(*) FROM reading_2014_09") == (3,)


@pytest.mark.parametrize("at", [-(10**13), 253_402_300_799_999, START + 100 * 12 * MONTH])
def test_an_instant_far_away_makes_no_table(postgres, history, at):
    history.record([news(1, number(1, at))], through=1)
    assert tables(postgres) == {"reading_of_no_month"}
    assert everything(history).at.tolist() == [at]
    assert values(everything(history, since=at, until=at + 1)) == [1]


def test_who_may_make_no_tables_keeps_readings_all_the_same(
    postgres, postgres_address, postgres_server, tmp_path
):
    schema = postgres_address.schema
    with psycopg.connect(postgres_server.url()) as connection:
        connection.execute(f"CREATE ROLE of_{schema} LOGIN")
        connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO of_{schema}")
        connection.execute(
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO of_{schema}"
        )
    try:
        theirs = Address(postgres_server.url(user=f"of_{schema}"), schema)
        with closing(Database(theirs)) as database, reopened(database, tmp_path) as store:
            store.record([news(1, number(1), number(2, START + MONTH))], through=1)
            assert values(everything(store)) == [1, 2]
        assert tables(postgres) == {"reading_of_no_month"}
        # Once their owner writes, they move to where they belong.
        with reopened(postgres, tmp_path) as store:
            store.record([news(2, number(3, START + MINUTE))], through=2)
            assert values(everything(store)) == [1, 3, 2]
        assert postgres.row("SELECT count(*) FROM reading_2014_09") == (2,)
        assert postgres.row("SELECT count(*) FROM reading_of_no_month") == (1,)
    finally:
        with psycopg.connect(postgres_server.url()) as connection:
            connection.execute(f"DROP OWNED BY of_{schema}")
            connection.execute(f"DROP ROLE of_{schema}")


def test_a_text_with_a_nul_comes_back_as_it_was(history):
    history.record([news(1, words("a\0b"), number(1))], through=1)
    assert values(everything(history)) == ["a\0b", 1]


def test_numbers_too_great_for_the_server_are_told_of(history):
    history.record([news(1, number(1e308), number(1.7e308, START + 1), number(1e-300, START + 2))], through=1)
    edges = np.array([START, START + MINUTE], np.int64)
    window = Window(np.array([1]))
    assert history.aggregate(window, edges, ["max", "sumsq"])["sumsq"].tolist() == [[np.inf]]
    with pytest.raises(BadInput, match="too great"):
        history.aggregate(window, edges, ["sum"])


def test_a_question_is_ended_when_the_city_stops(postgres, tmp_path):
    class Slow(PostgresHistory):
        def ask(self):
            with self._question() as connection:
                asked.set()
                connection.execute("SELECT pg_sleep(60)")

    asked = threading.Event()
    ended: list[BaseException] = []
    with closing(Slow(postgres, tmp_path / "exports")) as store:

        def ask() -> None:
            try:
                store.ask()
            except NotReady as error:
                ended.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        assert asked.wait(20)
        while thread.is_alive():
            store.interrupt_reading()
            thread.join(0.05)
    assert len(ended) == 1


def test_parquet_is_what_duckdb_writes(tmp_path, history):
    parquet = pytest.importorskip("pyarrow.parquet")
    batch = [news(1, number(1.5), words("on"), number(-2, START + 1)), news(2, number(1), entity="urn:ø")]
    with closing(make("duckdb", tmp_path)) as duck:
        found = []
        for store in (duck, history):
            store.record(batch, through=2)
            found.append(parquet.read_table(store.export(Window(np.array([1, 2, 3])), "parquet")))
    assert found[0].schema.types == found[1].schema.types
    assert found[0].to_pylist() == found[1].to_pylist()


# Both stores answer alike


@st.composite
def _lives(draw):
    """Batches of news of two Entities: numbers, texts, corrections, late ones, deletions, erasures."""
    sequence, batches = 0, []
    for _ in range(draw(st.integers(1, 4))):
        batch = []
        for _ in range(draw(st.integers(1, 6))):
            sequence += 1
            at = START + draw(st.integers(-3, 3)) * MONTH // 2 + draw(st.integers(0, 9)) * MINUTE
            kind = draw(st.sampled_from([ChangeKind.UPDATED] * 6 + [ChangeKind.DELETED, ChangeKind.CREATED]))
            reading = draw(
                st.one_of(
                    st.floats(-1e6, 1e6).map(lambda value, at=at: number(value, at)),
                    st.integers(-9, 9).map(lambda value, at=at: number(value, at, kind=ValueKind.INTEGER)),
                    st.sampled_from(["", "wet", "dry, 'ø'", '"=1"']).map(lambda text, at=at: words(text, at)),
                )
            )
            reading = msgspec.structs.replace(
                reading,
                observed=draw(st.booleans()),
                details=draw(st.sampled_from([None, None, '{"valueType":"urn:x"}'])),
                created_at=draw(st.sampled_from([None, None, at - 5])),
            )
            one = news(sequence, *(() if kind is ChangeKind.DELETED else (reading,)), kind=kind)
            if draw(st.integers(0, 9)) == 0:
                classes = (int(InformationClass.OPEN),)
                erasure = Erasure(classes, reading.attribute, "", "Property", reading.unit_code, at, sequence)
                one = msgspec.structs.replace(one, kind=ChangeKind.PAST, erasures=(erasure,))
            batch.append(msgspec.structs.replace(one, entity_id=draw(st.sampled_from(["urn:a", "urn:b"]))))
        batches.append(batch)
    return batches


@st.composite
def _windows(draw):
    first = START + draw(st.integers(-3, 3)) * MONTH // 2
    return {
        "since": draw(st.sampled_from([None, first])),
        "until": draw(st.sampled_from([None, first + 2 * MINUTE, first + MONTH])),
        "last_n": draw(st.sampled_from([None, None, 1, 2])),
        "limit": draw(st.sampled_from([None, None, 3])),
        **{name: draw(st.booleans()) for name in ("corrected", "observed", "by_time", "backwards")},
        **draw(st.sampled_from([{}, {}, {"by_recorded": True}, {"by_created": True}])),
        "marks": draw(st.sampled_from(["none", "with", "only"])),
    }


_databases = itertools.count(1)


@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=_lives(), asked=st.lists(_windows(), min_size=4, max_size=8), restarted=st.booleans())
def test_postgres_and_duckdb_answer_alike(postgres_server, tmp_path_factory, batches, asked, restarted):
    folder = tmp_path_factory.mktemp("stores")
    schema = f"alike_{next(_databases)}"
    try:
        with closing(Database(Address(postgres_server.url(), schema))) as database:
            database.prepare(PARTS)
            stores = [make("duckdb", folder), PostgresHistory(database, folder / "exports")]
            for batch in batches:
                for store in stores:
                    store.record(batch, through=batch[-1].sequence)
            if restarted:
                for store in stores:
                    store.close()
                stores = [make("duckdb", folder), PostgresHistory(database, folder / "exports")]
            assert stores[0].series("") == stores[1].series("")
            for window in asked:
                duck, postgres = (_answers(store, window) for store in stores)
                _are_alike(duck, postgres)
            for store in stores:
                store.close()
    finally:
        with psycopg.connect(postgres_server.url()) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def _answers(store, conditions) -> dict[str, object]:
    numbers = np.array([one.id for one in store.series("")], np.int64)
    window = Window(numbers, **conditions)
    answers: dict[str, object] = {
        f"raw {name}": column.tolist() for name, column in store.raw(window)._asdict().items()
    }
    answers["extent"] = store.extent(window)
    answers["statistics"] = store.statistics(numbers)
    with store.export(Window(numbers, corrected=True), "csv").open(encoding="utf-8", newline="") as file:
        answers["export"] = list(csv.reader(file))
    whole = msgspec.structs.replace(window, limit=None)
    for widths in ([MONTH] * 5, [MINUTE, MONTH, 4 * MONTH]):
        edges = START - 2 * MONTH + np.cumsum([0, *widths]).astype(np.int64)
        for pooled in (False, True):
            methods = (*AGGREGATE_METHODS, TEXT_COUNT)
            for name, cells in store.aggregate(whole, edges, methods, pooled=pooled).items():
                answers[f"{name} {len(widths)} {pooled}"] = cells
    return answers


def _are_alike(first: dict[str, object], second: dict[str, object]) -> None:
    assert first.keys() == second.keys()
    for name, one in first.items():
        if isinstance(one, np.ndarray):
            np.testing.assert_allclose(one, second[name], rtol=1e-9, atol=1e-6, err_msg=name)
        elif name == "raw number":
            np.testing.assert_array_equal(one, second[name], err_msg=name)
        else:
            assert one == second[name], name
