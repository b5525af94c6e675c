"""Questions of the port HistoryStore over many series at once: every adapter gives what memory gives."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityloom.adapters.duckdb import pools
from cityloom.adapters.postgres.history import PostgresHistory
from cityloom.history import slots
from cityloom.history.model import EntityNews, NewReading, ValueKind, Window
from cityloom.history.pools import Holding, pooled
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import ChangeKind
from ports.test_history_store import MINUTE, START, make
from postgres_server import programs

HOUR = 60 * MINUTE
ENTITIES = ("urn:a", "urn:b", "urn:c", "urn:d")
EVEN = START + HOUR * np.arange(7, dtype=np.int64)
UNEVEN = START + HOUR * np.array([0, 1, 3, 4, 6], dtype=np.int64)
#: What the numbers may differ by: sums are formed in another order.
CLOSE = {"rtol": 1e-9, "atol": 1e-9, "equal_nan": True}


def reading(minute, value, unit="CEL"):
    if isinstance(value, str):
        return NewReading("x", "", "Property", unit, START + MINUTE * minute, ValueKind.TEXT, None, value)
    return NewReading("x", "", "Property", unit, START + MINUTE * minute, ValueKind.NUMBER, value, None)


@st.composite
def courses(draw):
    """Irregular readings of few Entities: late ones, corrections, texts, two units, several at one time."""
    readings = draw(
        st.lists(
            st.tuples(
                st.sampled_from(ENTITIES[:3]),
                st.integers(-120, 400),
                st.one_of(st.sampled_from([0.0, 0.3, 3.0, -5.0]), st.floats(-50, 50), st.just("?")),
                st.sampled_from(["CEL", "CEL", "FAH"]),
            ),
            max_size=40,
        )
    )
    return [
        EntityNews(
            *(sequence, "", entity, ("Weather",), ChangeKind.UPDATED, InformationClass.OPEN),
            *(START + 1000 * sequence, (reading(minute, value, unit),)),
        )
        for sequence, (entity, minute, value, unit) in enumerate(readings, 1)
    ]


class Stores:
    """One course in each kind of store. What PostgreSQL knew of the one before is forgotten."""

    def __init__(self, batch, folder, server):
        (folder / "memory").mkdir()
        self.made = [make("memory", folder / "memory"), make("duckdb", folder)]
        self.stores = [*self.made, *server]
        for store in server:
            store.forget(np.array([one.id for one in store.series("")], np.int64))
            base = store.last_sequence()
            later = [msgspec.structs.replace(news, sequence=base + news.sequence) for news in batch]
            store.record(later, base + len(batch))
        for store in self.made:
            store.record(batch, len(batch))

    def close(self):
        for store in self.made:
            store.close()

    def pool(self, store, unit="CEL", edges=EVEN):
        """Each store gives its own numbers to the series."""
        series = store.grouped("")
        return pooled(series, Window(series.id, since=int(edges[0]), until=int(edges[-1])), unit).pool

    def agree(self, question):
        wanted, *others = map(question, self.stores)
        for given_ in others:
            for name, one, other in zip(wanted._fields, wanted, given_, strict=True):
                if name == "gaps":
                    assert one == other
                else:
                    np.testing.assert_allclose(other, one, err_msg=name, **CLOSE)


@pytest.fixture
def stores(request, tmp_path_factory):
    """What keeps a course in all stores; PostgreSQL where it is at hand."""
    server = []
    if programs() is not None:
        postgres = request.getfixturevalue("postgres")
        server.append(PostgresHistory(postgres, tmp_path_factory.mktemp("server")))
    made = []

    def keep(batch):
        while made:
            made.pop().close()
        made.append(Stores(batch, tmp_path_factory.mktemp("pools"), server))
        return made[0]

    yield keep
    for store in (*made, *server):
        store.close()


@pytest.fixture(params=[500_000, 4], autouse=True)
def part(request, monkeypatch):
    """In one part, and in as many as there may be."""
    monkeypatch.setattr(pools, "_AT_ONCE", request.param)
    monkeypatch.setattr(pools, "_GROUPS", max(2, request.param // 5))
    monkeypatch.setattr(slots, "_MOST_STRETCHES", max(5, request.param // 5))


anywhere = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(
    batch=courses(),
    edges=st.sampled_from([EVEN, UNEVEN]),
    above=st.sampled_from([None, 0.0]),
    mask=st.one_of(st.none(), st.lists(st.booleans(), min_size=6, max_size=6)),
    unit=st.sampled_from(["", "CEL"]),
)
@anywhere
def test_cells_are_summed_up_as_a_matrix_of_them_would_be(batch, edges, above, mask, unit, stores):
    kept = stores(batch)
    chosen = None if mask is None else np.array(mask[: len(edges) - 1])
    kept.agree(
        lambda store: store.cells(
            kept.pool(store, unit, edges), edges, chosen=chosen, above=above, medians=True
        )
    )


@given(
    batch=courses(),
    hold=st.sampled_from([MINUTE, 30 * MINUTE, 10 * HOUR]),
    bound=st.sampled_from([{"above": 0.3}, {"below": 1.0}, {"below": 0.0}]),
    reference=st.lists(st.sampled_from([10.0, 1.0, 0.0, np.nan]), min_size=3, max_size=3),
)
@anywhere
def test_values_hold_in_the_store_as_they_do_in_memory(batch, hold, bound, reference, stores):
    kept = stores(batch)
    holding = Holding(
        int(EVEN[-1]), hold, np.array(reference[: kept.pool(kept.stores[0], "").groups]), **bound
    )
    kept.agree(lambda store: store.held(kept.pool(store, ""), holding))


@given(batch=courses(), edges=st.sampled_from([EVEN, UNEVEN]))
@anywhere
def test_presence_finds_the_same_gaps(batch, edges, stores):
    kept = stores(batch)
    kept.agree(lambda store: store.presence(kept.pool(store, "", edges), edges))


@given(
    batch=courses(),
    edges=st.sampled_from([EVEN, UNEVEN]),
    hold=st.sampled_from([None, MINUTE, 90 * MINUTE]),
    pooled=st.booleans(),
)
@anywhere
def test_time_weighted_means_are_those_of_the_arithmetic(batch, edges, hold, pooled, stores):
    kept = stores(batch)
    since = int(edges[0]) - HOUR
    wanted, *others = (
        store.time_weighted(kept.pool(store).window.series, edges, since=since, hold=hold, pooled=pooled)
        for store in kept.stores
    )
    for found in others:
        for one, other in zip(wanted, found, strict=True):
            np.testing.assert_allclose(other, one, **CLOSE)


def test_a_comparison_is_made_with_the_quotient_itself(stores):
    """3 / 10 is not above 0.3, while 3 * (1 / 10) would be."""
    batch = [
        EntityNews(
            *(1, "", "urn:a", ("Weather",), ChangeKind.UPDATED, InformationClass.OPEN),
            *(START, (reading(0, 3.0), reading(60, 4.0))),
        )
    ]
    kept = stores(batch)
    for store in kept.stores:
        found = store.held(kept.pool(store, ""), Holding(START + 2 * HOUR, HOUR, np.array([10.0]), above=0.3))
        assert (found.covered.tolist(), found.inside.tolist()) == ([2 * HOUR], [HOUR])


def test_gaps_of_who_was_never_there_are_whole(stores):
    batch = [
        EntityNews(
            *(number, "", entity, ("Weather",), ChangeKind.UPDATED, InformationClass.OPEN),
            *(START, (reading(minute, 1.0),)),
        )
        for number, (entity, minute) in enumerate([("urn:a", -60), ("urn:b", 70)], 1)
    ]
    kept = stores(batch)
    for store in kept.stores:
        found = store.presence(kept.pool(store), EVEN)
        assert [tuple(run) for run in found.gaps] == [(0, 0, 6), (1, 2, 4), (1, 0, 1)]


def test_nothing_is_asked_of_no_series(stores):
    kept = stores([])
    pool = kept.pool(kept.stores[0])
    kept.agree(lambda store: store.cells(pool, EVEN, medians=True))
    kept.agree(lambda store: store.held(pool, Holding(int(EVEN[-1]), HOUR, np.empty(0), above=1)))
    kept.agree(lambda store: store.presence(pool, EVEN))
    for store in kept.stores:
        means, covered = store.time_weighted(
            pool.window.series, EVEN, since=START - HOUR, hold=None, pooled=True
        )
        assert np.isnan(means).all() and not covered.any()
    assert msgspec.structs.asdict(pool)["groups"] == 0


def test_what_holds_beyond_a_part_ends_with_the_next_reading(stores):
    batch = [
        EntityNews(
            *(1, "", "urn:a", ("Weather",), ChangeKind.UPDATED, InformationClass.OPEN),
            *(START, tuple(reading(10 * place, float(place)) for place in range(10))),
        )
    ]
    kept = stores(batch)
    for store in kept.stores:
        found = store.held(kept.pool(store, ""), Holding(START + 2 * HOUR, 10 * HOUR, np.ones(1), above=4.5))
        assert (found.covered.tolist(), found.inside.tolist()) == ([2 * HOUR], [70 * MINUTE])


@given(batch=courses())
@anywhere
def test_series_in_columns_are_the_same_series(batch, stores):
    for store in stores(batch).stores:
        for asked in ({}, {"entity_ids": ["urn:b", "urn:a"]}, {"types": ["Weather"], "attributes": ["x"]}):
            series, found = store.series("", **asked), store.grouped("", **asked)
            told = [
                (found.id[row], found.entity_ids[group], found.whats[what], found.standings[standing])
                for row, (group, what, standing) in enumerate(
                    zip(found.group, found.what, found.standing, strict=True)
                )
            ]
            assert told == [
                (one.id, one.key.entity_id, tuple(one.key)[2:], (one.types, one.information_class))
                for one in series
            ]
            # Each Entity once, and none without a series.
            first = dict.fromkeys(one.key.entity_id for one in series)
            assert list(found.entity_ids) == list(first)
            assert set(found.group.tolist()) == set(range(len(first)))


def test_times_without_readings_cost_no_statement(stores, monkeypatch):
    batch = [
        EntityNews(
            *(number, "", f"urn:{number}", ("Weather",), ChangeKind.UPDATED, InformationClass.OPEN),
            *(START, (reading(60 * 500, 1.0), reading(60 * 501, 3.0))),
        )
        for number in range(1, 21)
    ]
    store = stores(batch).made[1]
    monkeypatch.setattr(pools, "_AT_ONCE", 25)
    monkeypatch.setattr(pools, "_GROUPS", 100)
    asked, ask = [], pools.pool_statements.ask

    def said(name, *told, **more):
        asked.append(name.partition("_")[0])
        return ask(name, *told, **more)

    monkeypatch.setattr(pools.pool_statements, "ask", said)
    edges = START + HOUR * np.arange(1000, dtype=np.int64)
    pool = pooled(store.grouped(""), Window(np.empty(0, np.int64))).pool
    found = store.cells(pool, edges, medians=True)
    assert found.median.tolist() == [2.0] * 20
    assert found.cells.tolist() == [2] * 20
    assert store.presence(pool, edges).present.tolist() == [2] * 20
    assert sorted(asked) == ["medians"] * 2 + ["presence"] * 2 + ["sums"] * 2


def test_no_more_groups_are_joined_at_once_than_fit_into_memory(stores, monkeypatch):
    batch = [
        EntityNews(
            *(number, "", f"urn:{number}", ("Weather",), ChangeKind.UPDATED, InformationClass.OPEN),
            *(START, (reading(0, 1.0), reading(60, 3.0))),
        )
        for number in range(1, 21)
    ]
    store = stores(batch).made[1]
    monkeypatch.setattr(pools, "_GROUPS", 6)
    joined, register = [], pools._register

    def noted(cursor, pool, **more):
        joined.append(pool.groups)
        register(cursor, pool, **more)

    monkeypatch.setattr(pools, "_register", noted)
    pool = pooled(store.grouped(""), Window(np.empty(0, np.int64))).pool
    assert store.cells(pool, EVEN, medians=True).cells.sum() == 40
    assert max(joined) == 6
