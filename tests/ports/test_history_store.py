"""The suite of the port HistoryStore: every adapter passes it."""

from __future__ import annotations

import csv
import itertools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.adapters.postgres.history import PostgresHistory
from cityloom.history.model import (
    Erasure,
    NewReading,
    Origin,
    Readings,
    ValueKind,
    Window,
)
from cityloom.history.ports import AGGREGATE_METHODS, EXPORT_COLUMNS
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import ChangeKind
from cityloom.kernel.errors import BadConfig, BadInput, NotReady, StorageFull
from remembered import MINUTE, START, everything, make, news, number, past, values, words


@pytest.fixture(params=["memory", "duckdb", "postgres"])
def store(request, tmp_path):
    if request.param == "postgres":
        made = PostgresHistory(request.getfixturevalue("postgres"), tmp_path / "exports")
    else:
        made = make(request.param, tmp_path)
    yield made
    made.close()


def test_load_keeps_the_past_of_many_series_at_once(store):
    assert store.load([past(1, 2, 3), past(4, 5, entity="urn:b"), past(entity="urn:c")]) == 5
    found = everything(store)
    assert found.number.tolist() == [1, 2, 3, 4, 5]
    assert [one.key.entity_id for one in store.series("")] == ["urn:a", "urn:b"]
    assert store.last_sequence() == 0


def test_load_passes_over_what_is_there_so_that_it_can_be_begun_again(store):
    store.load([past(1, 2)])
    assert store.load([past(1, 2), past(7, entity="urn:b")]) == 1
    assert everything(store).number.tolist() == [1, 2, 7]


def test_record_goes_on_where_load_ended_and_may_correct_it(store):
    store.load([past(1, 2)])
    store.record([news(1, number(3, START + 2 * MINUTE)), news(2, number(9, START))], 2)
    assert everything(store).number.tolist() == [9, 2, 3]
    assert len(store.series("")) == 1


def test_record_keeps_every_kind_of_value(store):
    store.record(
        [
            news(
                1,
                number(1.5),
                number(3, attribute="count", kind=ValueKind.INTEGER),
                number(1, attribute="open", kind=ValueKind.BOOLEAN),
                words("closed"),
                words(
                    '{"type":"Point","coordinates":[10.2,56.1]}', attribute="location", kind=ValueKind.JSON
                ),
                words("", attribute="note"),
            )
        ],
        through=1,
    )
    found = everything(store)
    assert values(found) == [1.5, 3, True, "closed", {"type": "Point", "coordinates": [10.2, 56.1]}, ""]
    assert [type(value) for value in values(found)[:3]] == [float, int, bool]
    assert found.recorded_at.tolist() == [START + 1000] * 6
    assert found.sequence.tolist() == [1] * 6


def test_record_passes_over_what_it_knows(store):
    store.record([news(1, number(1, START)), news(2, number(2, START + MINUTE))], through=2)
    store.record([news(1, number(1, START)), news(2, number(2, START + MINUTE))], through=2)
    store.record([news(2, number(2, START + MINUTE)), news(3, number(3, START + 2 * MINUTE))], through=3)
    assert values(everything(store)) == [1, 2, 3]
    assert store.last_sequence() == 3


def test_record_turns_nothing_back_when_an_older_batch_comes_again(store):
    """A stage that is told twice may be told the older batch last: once is once all the same."""
    store.record([news(1, number(1, START))], through=1)
    store.record([news(2, number(2, START))], through=2)
    store.record([news(1, number(1, START))], through=1)
    assert store.last_sequence() == 2
    store.record([news(2, number(5, START)), news(3, number(3, START + MINUTE))], through=3)
    assert values(everything(store, corrected=True)) == [1, 2, 3]
    store.record([], through=2)
    assert store.last_sequence() == 3


def test_record_of_an_empty_batch_moves_the_sequence(store):
    store.record([], through=7)
    assert store.last_sequence() == 7


def test_record_keeps_an_unchanged_value_once(store):
    store.record([news(1, number(1))], through=1)
    store.record([news(2, number(1)), news(3, number(1))], through=3)
    assert everything(store, corrected=True).sequence.tolist() == [1]


def test_record_passes_over_what_it_has_recorded(store):
    store.record([news(1, number(1))], through=1)
    store.record([news(1, number(5)), news(2, number(2, START + MINUTE))], through=2)
    assert values(everything(store, corrected=True)) == [1, 2]


def test_record_lets_the_newest_sequence_correct_and_keeps_the_older(store):
    store.record([news(1, number(1, START)), news(2, number(2, START + MINUTE))], through=2)
    store.record([news(3, number(10, START)), news(4, number(20, START + MINUTE))], through=4)
    store.record([news(5, number(200, START + MINUTE))], through=5)
    assert values(everything(store)) == [10, 200]
    assert values(everything(store, corrected=True)) == [1, 10, 2, 20, 200]


def test_record_corrects_within_one_batch(store):
    store.record([news(1, number(1)), news(2, number(2)), news(3, number(3))], through=3)
    assert values(everything(store)) == [3]


def test_record_takes_late_readings_into_their_place(store):
    store.record([news(1, number(1, START)), news(2, number(3, START + 2 * MINUTE))], through=2)
    store.record([news(3, number(2, START + MINUTE))], through=3)
    assert values(everything(store)) == [1, 2, 3]


def test_record_corrects_a_wrong_unit(store):
    store.record([news(1, number(50, unit="CEL"))], through=1)
    store.record([news(2, number(50, unit="FAH"))], through=2)
    found = everything(store)
    assert values(found) == [50]
    assert store.series("")[1].key.unit_code == "FAH"
    assert found.series.tolist() == [store.series("")[1].id]


def test_series_are_told_apart_by_dataset_unit_and_tenant(store):
    store.record(
        [
            news(1, number(1), number(2, dataset="urn:forecast"), number(3, unit="KEL", at=START + 1)),
            news(2, number(4), tenant="north"),
        ],
        through=2,
    )
    keys = [one.key for one in store.series("")]
    assert [(key.dataset, key.unit_code) for key in keys] == [
        ("", "CEL"),
        ("urn:forecast", "CEL"),
        ("", "KEL"),
    ]
    assert [one.key.tenant for one in store.series("north")] == ["north"]
    assert len(store.series("", datasets=[""])) == 2


def test_series_are_found_by_entity_type_and_attribute(store):
    store.record(
        [
            news(1, number(1), number(2, attribute="humidity")),
            news(2, number(1), entity="urn:b", types=("Weather", "Farm")),
            news(3, number(1), entity="urn:c", types=("Traffic",)),
        ],
        through=3,
    )

    def found(**conditions):
        return [(one.key.entity_id, one.key.attribute) for one in store.series("", **conditions)]

    assert found(types=["Weather"]) == [
        ("urn:a", "temperature"),
        ("urn:a", "humidity"),
        ("urn:b", "temperature"),
    ]
    assert found(types=["Farm", "Traffic"]) == [("urn:b", "temperature"), ("urn:c", "temperature")]
    assert found(entity_ids=["urn:a", "urn:c"], attributes=["temperature"]) == [
        ("urn:a", "temperature"),
        ("urn:c", "temperature"),
    ]
    assert found(entity_ids=["urn:c"], types=["Weather"]) == []
    assert found(entity_ids=[]) == []


def test_series_follow_the_class_and_types_of_their_entity(store):
    store.record([news(1, number(1))], through=1)
    store.record([news(2, information_class=InformationClass.SECURITY, types=("Camera",))], through=2)
    (one,) = store.series("")
    assert one.information_class is InformationClass.SECURITY
    assert one.types == ("Camera",)
    assert store.series("", types=["Weather"]) == []
    assert store.series("", types=["Camera"]) == [one]


def test_series_of_an_entity_that_comes_back_in_its_class_go_on(store):
    store.record([news(1, number(1)), news(2, kind=ChangeKind.DELETED)], through=2)
    assert [one.retired for one in store.series("")] == [True]
    store.record([news(3, number(2, START + MINUTE), kind=ChangeKind.CREATED)], through=3)
    assert [one.retired for one in store.series("")] == [False]
    assert values(everything(store)) == [1, 2]


def test_series_of_an_entity_that_comes_back_in_another_class_begin_anew(store):
    secret = InformationClass.SECURITY
    store.record(
        [
            news(1, number(1), information_class=secret),
            news(2, kind=ChangeKind.DELETED, information_class=secret),
        ],
        through=2,
    )
    store.record([news(3, number(2, START + MINUTE), kind=ChangeKind.CREATED)], through=3)
    assert [(one.information_class, one.retired) for one in store.series("")] == [
        (secret, True),
        (InformationClass.OPEN, False),
    ]


@pytest.mark.parametrize("kind", [ChangeKind.PAST, ChangeKind.CREATED])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_secret_evolution_that_exists_only_as_past_is_opened_by_nobody_who_brings_its_id(
    store, kind, at_once
):
    secret = InformationClass.SECURITY
    past = news(1, number(1), kind=ChangeKind.PAST, information_class=secret)
    brought = news(2, number(2, START + MINUTE), kind=kind)
    for batch in [[past, brought]] if at_once else [[past], [brought]]:
        store.record(batch, through=batch[-1].sequence)
    told = {one.information_class: one for one in store.series("")}
    assert {level: one.retired for level, one in told.items()} == {secret: True, InformationClass.OPEN: False}
    of_secret = store.raw(Window(np.array([told[secret].id])))
    assert values(of_secret) == [1]
    # Told again by whoever is cleared, it goes on as before.
    store.record([news(3, number(3, START + 2 * MINUTE), kind=ChangeKind.PAST, information_class=secret)], 3)
    assert all(one.information_class is secret for one in store.series(""))


def test_series_of_an_entity_deleted_and_made_again_in_one_batch(store):
    secret = InformationClass.SECURITY
    store.record(
        [
            news(1, number(1), kind=ChangeKind.CREATED, information_class=secret),
            news(2, kind=ChangeKind.DELETED, information_class=secret),
            news(3, number(2, START + MINUTE), kind=ChangeKind.CREATED),
        ],
        through=3,
    )
    assert [(one.information_class, one.retired) for one in store.series("")] == [
        (secret, True),
        (InformationClass.OPEN, False),
    ]


def test_raw_takes_half_open_intervals_by_either_time(store):
    readings = [news(place + 1, number(place, START + place * MINUTE)) for place in range(5)]
    store.record(readings, through=5)
    assert values(everything(store, since=START + MINUTE, until=START + 3 * MINUTE)) == [1, 2]
    assert values(everything(store, since=START + 2000, until=START + 4000, by_recorded=True)) == [1, 2]
    assert values(everything(store, until=START)) == []


def test_raw_takes_only_what_was_observed_where_asked(store):
    unobserved = msgspec.structs.replace(number(2, START + 1), observed=False)
    store.record([news(1, number(1)), news(2, unobserved)], through=2)
    assert everything(store).observed.tolist() == [True, False]
    assert values(everything(store, observed=True)) == [1]


def test_entities_are_those_of_the_tenant_that_are_remembered(store):
    store.record(
        [
            news(place, number(1), number(2, attribute="wind"), entity=entity, tenant=tenant)
            for place, (entity, tenant) in enumerate([("urn:a", ""), ("urn:b", ""), ("urn:c", "north")], 1)
        ],
        through=3,
    )
    assert sorted(store.entities("")) == ["urn:a", "urn:b"]
    assert store.entities("north") == ["urn:c"]
    assert store.entities("south") == []


def test_raw_takes_the_last_of_each_series(store):
    store.record(
        [
            news(place + 1, number(place, START + place * MINUTE), entity=entity)
            for place in range(5)
            for entity in ("urn:a", "urn:b")
        ],
        through=5,
    )
    assert values(everything(store, last_n=2)) == [3, 4, 3, 4]
    assert values(everything(store, last_n=2, until=START + 3 * MINUTE)) == [1, 2, 1, 2]
    assert values(everything(store, last_n=2, limit=3)) == [3, 4, 3]
    assert values(everything(store, last_n=9)) == [0, 1, 2, 3, 4] * 2


@pytest.mark.parametrize("last_n", [1, 2])
def test_raw_takes_the_last_of_those_that_were_given_an_identifier(store, last_n):
    named = [
        msgspec.structs.replace(number(value, START + value * MINUTE), instance=name)
        for value, name in ((1, "urn:one"), (2, "urn:two"), (3, None))
    ]
    store.record([news(1, *named)], through=1)
    assert values(everything(store, last_n=last_n, instance="urn:one")) == [1]
    assert values(everything(store, last_n=last_n, instance="urn:none")) == []


def test_raw_takes_the_very_last_of_each_series(store):
    at = START + MINUTE
    store.record([news(1, number(1), number(2, attribute="humidity"))], through=1)
    store.record([news(2, number(3, at)), news(3, number(4, at)), news(4, number(5, START))], through=4)
    unobserved = msgspec.structs.replace(number(6, at + MINUTE), observed=False)
    store.record([news(5, unobserved)], through=5)
    assert values(everything(store, last_n=1)) == [6, 2]
    assert values(everything(store, last_n=1, observed=True)) == [4, 2]
    assert values(everything(store, last_n=1, until=at + MINUTE)) == [4, 2]
    assert values(everything(store, last_n=1, until=at + MINUTE, corrected=True)) == [4, 2]
    assert values(everything(store, last_n=1, until=at)) == [5, 2]
    # Two readings of one change: the one that is newer in no other way is not both.
    store.record([news(6, number(7, at + 2 * MINUTE), number(8, at + 3 * MINUTE))], through=6)
    assert len(everything(store, last_n=1, by_recorded=True).at) == 2


def test_raw_orders_by_time_over_all_series_where_asked(store):
    store.record(
        [
            news(place + 1, number(place, START + place * MINUTE), entity="urn:ab"[: 5 + place % 2])
            for place in range(4)
        ],
        through=4,
    )
    assert values(everything(store)) == [0, 2, 1, 3]
    assert values(everything(store, by_time=True, limit=3)) == [0, 1, 2]


def test_raw_of_no_series_is_empty(store):
    assert len(store.raw(Window(np.empty(0, np.int64))).at) == 0


def test_aggregate_works_out_every_method(store):
    store.record(
        [news(place + 1, number(value, START + place * MINUTE)) for place, value in enumerate([2, 4, 4, 6])],
        through=4,
    )
    edges = np.array([START, START + 4 * MINUTE, START + 5 * MINUTE], np.int64)
    found = store.aggregate(Window(np.array([1])), edges, AGGREGATE_METHODS)
    first = {name: found[name][0, 0] for name in AGGREGATE_METHODS}
    assert first == pytest.approx(
        {
            "totalCount": 4,
            "distinctCount": 3,
            "sum": 16,
            "avg": 4,
            "min": 2,
            "max": 6,
            "stddev": np.sqrt(2),
            "sumsq": 72,
        }
    )
    assert [found[name][0, 1] for name in ("totalCount", "distinctCount")] == [0, 0]
    assert np.isnan([found[name][0, 1] for name in AGGREGATE_METHODS[2:]]).all()


def test_aggregate_and_extent_of_the_last_n_leave_out_the_rest(store):
    store.record(
        [news(place + 1, number(value, START + place * MINUTE)) for place, value in enumerate([2, 4, 4, 6])],
        through=4,
    )
    window = Window(np.array([1]), last_n=2)
    for edges in ([0, 9], [0, 3, 9]):
        found = store.aggregate(window, START + MINUTE * np.array(edges, np.int64), ["sum", "totalCount"])
        assert np.nansum(found["sum"]) == 10 and found["totalCount"].sum() == 2
    assert store.extent(window) == (START + 2 * MINUTE, START + 3 * MINUTE)


@pytest.mark.parametrize("pooled", [False, True], ids=["each", "pooled"])
@pytest.mark.parametrize("edges", [[0, 1, 2, 3], [0, 1, 3]], ids=["even", "uneven"])
def test_aggregate_takes_the_last_n_of_the_window_and_then_those_between_the_edges(store, edges, pooled):
    store.record(
        [news(place + 1, number(value, START + place * MINUTE)) for place, value in enumerate([2, 4, 4, 6])],
        through=4,
    )
    periods = START + MINUTE * np.array(edges, np.int64)
    found = store.aggregate(Window(np.array([1]), last_n=2), periods, ["sum", "totalCount"], pooled=pooled)
    assert np.nansum(found["sum"]) == 4 and found["totalCount"].sum() == 1
    until = Window(np.array([1]), until=START + 3 * MINUTE, last_n=2)
    assert store.aggregate(until, periods, ["totalCount"], pooled=pooled)["totalCount"].sum() == 2


def test_aggregate_by_creation_sorts_by_that_time(store):
    store.record([news(1, number(2, START - 5 * MINUTE))], through=1)
    periods = START + MINUTE * np.array([-9, -1, 9], np.int64)
    for by in ({}, {"by_recorded": True}, {"by_created": True}):
        at = store.raw(Window(np.array([1]), **by))
        when = (at.created_at if by.get("by_created") else at.recorded_at if by else at.at)[0]
        expected = [float(low <= when < high) for low, high in itertools.pairwise(periods.tolist())]
        found = store.aggregate(Window(np.array([1]), **by), periods, ["totalCount"])
        assert found["totalCount"].tolist() == [expected], by


@pytest.mark.parametrize("widths", [[1, 1, 1], [1, 2, 1]], ids=["even", "uneven"])
def test_aggregate_sorts_by_series_and_period(store, widths):
    store.record(
        [
            news(place + 1, number(base + place, START + place * MINUTE), entity=entity)
            for place in range(5)
            for entity, base in (("urn:a", 0), ("urn:b", 100))
        ],
        through=5,
    )
    edges = START + MINUTE * np.cumsum([0, *widths]).astype(np.int64)
    a, b = (one.id for one in store.series(""))
    found = store.aggregate(Window(np.array([b, a])), edges, ["sum", "totalCount"])
    starts = np.cumsum([0, *widths])
    assert found["totalCount"].tolist() == [widths, widths]
    for row, base in ((0, 100), (1, 0)):
        expected = [sum(base + p for p in range(start, stop)) for start, stop in itertools.pairwise(starts)]
        assert found["sum"][row].tolist() == expected


def test_aggregate_pools_series(store):
    store.record([news(1, number(1)), news(1, number(3), entity="urn:b")], through=1)
    edges = np.array([START, START + MINUTE], np.int64)
    found = store.aggregate(Window(np.array([1, 2])), edges, ["avg", "distinctCount"], pooled=True)
    assert found["avg"].tolist() == [[2.0]]
    assert found["distinctCount"].tolist() == [[2.0]]


def test_aggregate_counts_texts_and_averages_booleans(store):
    store.record(
        [
            news(1, words("on", START), number(1, START, "lit", kind=ValueKind.BOOLEAN)),
            news(2, words("off", START + 1), number(0, START + 1, "lit", kind=ValueKind.BOOLEAN)),
            news(3, words("on", START + 2), number(1, START + 2, "lit", kind=ValueKind.BOOLEAN)),
        ],
        through=3,
    )
    edges = np.array([START, START + MINUTE], np.int64)
    found = store.aggregate(Window(np.array([1, 2])), edges, ["totalCount", "distinctCount", "avg"])
    assert found["totalCount"].tolist() == [[3], [3]]
    assert found["distinctCount"].tolist() == [[2], [2]]
    assert np.isnan(found["avg"][0, 0])
    assert found["avg"][1, 0] == pytest.approx(2 / 3)


def test_aggregate_leaves_corrected_readings_out(store):
    store.record([news(1, number(1)), news(2, number(5))], through=2)
    edges = np.array([START, START + MINUTE], np.int64)
    assert store.aggregate(Window(np.array([1])), edges, ["sum"])["sum"].tolist() == [[5.0]]


def test_statistics_tell_count_first_and_last(store):
    unobserved = msgspec.structs.replace(number(9, START + MINUTE), observed=False)
    store.record([news(1, number(1)), news(2, unobserved), news(3, number(3, START + 2 * MINUTE))], through=3)
    (found,) = store.statistics(np.array([1]))
    assert (found.series, found.count, found.observed) == (1, 3, 2)
    assert (found.first, found.last) == (START, START + 2 * MINUTE)
    assert store.statistics(np.array([99])) == []


def test_forget_removes_a_series_whole(store):
    store.record([news(1, number(1), number(2, attribute="humidity"))], through=1)
    assert store.forget(np.array([1])) == 1
    assert [one.key.attribute for one in store.series("")] == ["humidity"]
    assert values(everything(store)) == [2]
    store.record([news(2, number(7, START + MINUTE))], through=2)
    assert values(everything(store)) == [2, 7]


def test_export_writes_explicit_columns_in_csv(store):
    store.record(
        [news(1, number(-1.5), words('frost, "hard"', START + 500), types=("Weather", "Farm"))], through=1
    )
    numbers = np.array([1, 2])
    path = store.export(Window(numbers), "csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == EXPORT_COLUMNS
    where, recorded = ["urn:a", "Weather Farm"], "2014-09-01T00:00:01.000Z"
    assert rows[1:] == [
        [*where, "temperature", "", "2014-09-01T00:00:00.000Z", "-1.5", "", "CEL", recorded, "measured"],
        [*where, "status", "", "2014-09-01T00:00:00.500Z", "", 'frost, "hard"', "", recorded, "measured"],
    ]


@pytest.mark.parametrize("said", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_export_hands_no_formula_to_a_spreadsheet(store, said):
    store.record([news(1, words(said, START))], through=1)
    with store.export(Window(np.array([1])), "csv").open(encoding="utf-8", newline="") as file:
        (row,) = list(csv.DictReader(file))
    assert row["text"] == f"'{said}"


def test_export_refuses_a_format_it_cannot_write(store):
    with pytest.raises(BadInput, match="xlsx"):
        store.export(Window(np.array([1])), "xlsx")


@st.composite
def _batches(draw):
    sequence = 0
    batches = []
    for _ in range(draw(st.integers(1, 4))):
        batch = []
        for _ in range(draw(st.integers(1, 6))):
            sequence += 1
            at = START + MINUTE * draw(st.integers(0, 4))
            value = draw(st.sampled_from([0, 1, 2.5]))
            kind = draw(st.sampled_from([ChangeKind.UPDATED] * 6 + [ChangeKind.DELETED, ChangeKind.CREATED]))
            readings = (
                () if kind is ChangeKind.DELETED else (number(value, at, unit=draw(st.sampled_from("AB"))),)
            )
            entity = draw(st.sampled_from(["urn:a", "urn:b"]))
            batch.append(news(sequence, *readings, entity=entity, kind=kind))
        batches.append(batch)
    return batches


@settings(deadline=None, max_examples=20)
@given(batches=_batches())
def test_record_gives_the_same_history_in_every_store(batches, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    stores = [make("memory", folder), make("duckdb", folder)]
    for batch in batches:
        for store in stores:
            store.record(batch, through=batch[-1].sequence)
    stores[1].close()
    stores[1] = make("duckdb", folder)  # a restart changes nothing
    memory, duck = (
        [*map(list, everything(store, corrected=True)[:2]), values(everything(store))] for store in stores
    )
    assert memory == duck
    assert stores[0].series("") == stores[1].series("")
    stores[1].close()


# DuckDB's own promises


@pytest.fixture
def duck(tmp_path):
    store = make("duckdb", tmp_path)
    yield store
    store.close()


def test_duckdb_remembers_over_a_restart(tmp_path):
    store = make("duckdb", tmp_path)
    store.record([news(1, number(1), words("on"))], through=1)
    store.close()
    store = make("duckdb", tmp_path)
    assert store.last_sequence() == 1
    store.record([news(2, number(1), words("off"))], through=2)  # 1 is told again: kept once
    assert values(everything(store, corrected=True)) == [1, "on", "off"]
    assert values(everything(store)) == [1, "off"]
    assert [one.types for one in store.series("")] == [("Weather",)] * 2
    store.close()


class _Torn(DuckHistory):
    """Fails between the readings and the sequence."""

    def _write_progress(self, cursor, through):
        raise duckdb.IOException("IO Error: torn")


def test_duckdb_keeps_neither_readings_nor_sequence_of_a_failed_commit(tmp_path):
    (tmp_path / "exports").mkdir()
    store = _Torn(tmp_path / "history.duckdb", tmp_path / "exports")
    with pytest.raises(NotReady, match="torn"):
        store.record([news(1, number(1))], through=1)
    assert store.last_sequence() == 0
    assert store.series("") == []
    # The same store goes on once the fault is gone.
    store._write_progress = lambda cursor, through: DuckHistory._write_progress(store, cursor, through)
    store.record([news(1, number(1))], through=1)
    assert values(everything(store, corrected=True)) == [1]
    store.close()


class _GivenUp(_Torn):
    """DuckDB gives the whole database up once the readings and the sequence are written."""

    def _write_progress(self, cursor, through):
        DuckHistory._write_progress(self, cursor, through)
        if through == 2:
            cursor.commit()
            raise duckdb.FatalException("FATAL Error: checkpoint: No space left on device")


def test_duckdb_remembers_series_that_were_begun_together_as_they_were(tmp_path):
    duck = make("duckdb", tmp_path)
    several = (number(1), words("dry"), number(2, attribute="humidity", unit="P1"))
    batch = [
        news(1, *several, entity="urn:a"),
        news(2, *several, entity="urn:b", information_class=InformationClass.SECURITY),
        news(3, number(4), entity="urn:c", types=("Weather", "Station"), tenant="other"),
        news(4, *several, entity="urn:d"),
        # Comes again in the same batch, as something else and with one more attribute.
        news(5, number(5, START + MINUTE, attribute="wind"), entity="urn:d", types=("Weather", "Station")),
    ]
    duck.record(batch, 5)
    known = [*duck.series(""), *duck.series("other")]
    assert len(known) == 11
    assert {one.types for one in known if one.key.entity_id == "urn:d"} == {("Weather", "Station")}
    duck.close()
    again = make("duckdb", tmp_path)
    assert [*again.series(""), *again.series("other")] == known
    again.close()


def test_duckdb_opens_again_by_itself_and_believes_the_file(tmp_path):
    (tmp_path / "exports").mkdir()
    store = _GivenUp(tmp_path / "history.duckdb", tmp_path / "exports")
    store.record([news(1, number(1, START))], through=1)
    two = [news(2, number(2, START + MINUTE), number(5, attribute="humidity"))]
    with pytest.raises(StorageFull):
        store.record(two, through=2)
    assert store.last_sequence() == 2  # it was committed after all
    store.record(two, through=2)
    assert values(everything(store, corrected=True)) == [1, 2, 5]
    store.close()


@pytest.mark.faults
@pytest.mark.parametrize("megabytes", [6, 17], ids=["in the log", "in the checkpoint"])
def test_duckdb_goes_on_by_itself_after_a_full_disk(tmp_path, megabytes):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", disk]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        store = make("duckdb", disk)
        random = np.random.default_rng(1)
        kept = 0
        with pytest.raises(StorageFull):
            while True:
                batch = [
                    news(kept + place, number(random.normal(), START + 1000 * (kept + place)))
                    for place in range(1, 2001)
                ]
                store.record(batch, through=kept + 2000)
                kept += 2000
        with pytest.raises(StorageFull):
            store.record(batch, through=kept + 2000)
        assert store.last_sequence() == kept
        subprocess.run(["mount", "-o", "remount,size=99m", disk], check=True)
        store.record(batch, through=kept + 2000)
        assert len(everything(store, corrected=True).at) == kept + 2000
        store.close()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_duckdb_keeps_neither_readings_nor_sequence_of_a_killed_process(tmp_path):
    script = textwrap.dedent(
        """
        import os, sys
        from pathlib import Path
        from cityloom.adapters.duckdb.history import DuckHistory
        from tests_of_port import START, news, number

        class Killed(DuckHistory):
            def _write_progress(self, cursor, through):
                super()._write_progress(cursor, through)
                if through == 2:
                    os._exit(9)

        folder = Path(sys.argv[1])
        store = Killed(folder / "history.duckdb", folder / "exports")
        store.record([news(1, number(1, START))], through=1)
        store.record([news(2, number(2, START + 60_000))], through=2)
        """
    )
    (tmp_path / "tests_of_port.py").write_bytes(Path(__file__).read_bytes())
    (tmp_path / "killed.py").write_text(script, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, tmp_path / "killed.py", tmp_path], env=environment, check=False)
    assert done.returncode == 9
    store = make("duckdb", tmp_path)
    assert store.last_sequence() == 1
    assert values(everything(store, corrected=True)) == [1]
    store.record([news(2, number(2, START + MINUTE))], through=2)
    assert values(everything(store, corrected=True)) == [1, 2]
    store.close()


def test_duckdb_writes_parquet_with_instants_and_units(duck):
    parquet = pytest.importorskip("pyarrow.parquet")
    duck.record([news(1, number(1.5), words("on"))], through=1)
    path = duck.export(Window(np.array([1, 2])), "parquet")
    table = parquet.read_table(path)
    assert tuple(table.column_names) == EXPORT_COLUMNS
    rows = {row["attribute"]: row for row in table.to_pylist()}
    assert rows["temperature"]["observed_at"].isoformat() == "2014-09-01T00:00:00+00:00"
    assert rows["temperature"]["unit_code"] == "CEL"
    assert rows["temperature"]["value"] == 1.5
    assert (rows["status"]["value"], rows["status"]["text"]) == (None, "on")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '{folder}/outside.csv'",
        "COPY (SELECT 1) TO '{folder}/exports/../outside.csv'",
        "COPY (SELECT 1) TO '{folder}/exports_not.csv'",
        "ATTACH '{folder}/other.duckdb'",
        "SELECT * FROM read_csv('https://127.0.0.1:1/a.csv')",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET memory_limit = '1GB'",
        "SELECT * FROM os",
    ],
)
def test_duckdb_is_shut_in(duck, tmp_path, statement):
    with pytest.raises(duckdb.Error, match=r"disabled by configuration|locked|does not exist"):
        duck._file._connection.execute(statement.format(folder=tmp_path))
    assert not (tmp_path / "outside.csv").exists()


def test_duckdb_sweeps_exports_that_nobody_came_for(tmp_path):
    store = make("duckdb", tmp_path)
    store.record([news(1, number(1))], through=1)
    path = store.export(Window(np.array([1])), "csv")
    assert path.exists()
    store.close()
    assert not path.exists()


def test_duckdb_says_when_another_process_holds_the_file(tmp_path, duck):
    script = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "history.duckdb"], capture_output=True, check=False
    )
    assert done.returncode != 0, "DuckDB takes one process at a time"


def test_duckdb_refuses_a_file_that_is_none(tmp_path):
    (tmp_path / "history.duckdb").write_text(
        "not a database, but long enough to be read as one", encoding="utf-8"
    )
    with pytest.raises(BadConfig, match="cannot be opened"):
        make("duckdb", tmp_path)


def test_duckdb_refuses_the_file_of_another_schema(tmp_path):
    make("duckdb", tmp_path).close()
    with duckdb.connect(str(tmp_path / "history.duckdb")) as connection:
        connection.execute("UPDATE progress SET schema_version = 99")
    with pytest.raises(BadConfig, match="schema 99"):
        make("duckdb", tmp_path)


def kinds(found: Readings) -> list[int]:
    return found.kind.tolist()


OPEN = (int(InformationClass.OPEN),)


def test_record_keeps_what_else_an_instance_has(store):
    whole = NewReading(
        *("temperature", "", "Property", "CEL", START, ValueKind.NUMBER, 2.5, None, True),
        *(Origin.ESTIMATED, '{"valueType":"urn:x"}', "urn:ngsi-ld:Instance:mine", START - 5),
    )
    store.record([news(1, whole, number(1, START + MINUTE), words("wet"))], 1)
    found = everything(store)
    assert values(found) == [2.5, 1.0, "wet"]
    assert found.details.tolist() == ['{"valueType":"urn:x"}', None, None]
    assert found.instance.tolist() == ["urn:ngsi-ld:Instance:mine", None, None]
    assert found.created_at.tolist() == [START - 5, START + 1000, START + 1000]
    assert everything(store, instance="urn:ngsi-ld:Instance:mine").number.tolist() == [2.5]
    by_creation = everything(store, by_created=True, until=START)
    assert values(by_creation) == [2.5]


def test_record_takes_a_reading_with_other_details_for_a_new_one(store):
    plain = number(1)
    store.record([news(1, plain)], 1)
    store.record([news(2, msgspec.structs.replace(plain, details='{"attrs":{}}'))], 2)
    assert everything(store).details.tolist() == ['{"attrs":{}}']


def test_record_marks_what_was_deleted_where_nobody_else_sees_it(store):
    store.record([news(1, number(1), number(2, dataset="urn:raw"))], 1)
    gone = msgspec.structs.replace(news(2), standing={"temperature": ("urn:raw",)})
    store.record([gone, msgspec.structs.replace(gone, sequence=3)], 3)
    assert values(everything(store)) == [1, 2]
    (mark,) = everything(store, marks="only").recorded_at.tolist()
    assert mark == START + 2000
    assert len(everything(store, marks="with").at) == 3
    store.record([news(4, number(3, START + MINUTE))], 4)
    store.record([msgspec.structs.replace(gone, sequence=5, recorded_at=START + 5000)], 5)
    assert everything(store, marks="only").recorded_at.tolist() == [START + 2000, START + 5000]
    assert values(everything(store)) == [1, 3, 2]


def test_record_marks_every_attribute_of_an_entity_that_is_deleted(store):
    store.record([news(1, number(1), words("wet")), news(2, kind=ChangeKind.DELETED)], 2)
    assert kinds(everything(store, marks="only")) == [ValueKind.NOTHING] * 2


@pytest.mark.parametrize("at_once", [True, False])
def test_record_erases_a_past_and_remembers_what_comes_after(store, at_once):
    batch = [
        news(1, number(1), words("wet")),
        news(2, number(5), entity="urn:b"),
        msgspec.structs.replace(news(3, kind=ChangeKind.PAST), erasures=(Erasure(OPEN),)),
        news(4, number(1)),
    ]
    for through, part in [(4, batch)] if at_once else [(one.sequence, [one]) for one in batch]:
        store.record(part, through)
    assert values(everything(store)) == [5, 1]
    assert [one.key.attribute for one in store.series("", entity_ids=["urn:a"])] == ["temperature"]


@pytest.mark.parametrize("at_once", [True, False])
def test_record_erases_one_instance_with_what_it_corrected(store, at_once):
    one = Erasure(OPEN, "temperature", "", "Property", "CEL", START, 2)
    batch = [
        news(1, number(1), number(7, START + MINUTE)),
        news(2, number(2)),
        msgspec.structs.replace(news(3, number(9), kind=ChangeKind.PAST), erasures=(one,)),
    ]
    for through, part in [(3, batch)] if at_once else [(one.sequence, [one]) for one in batch]:
        store.record(part, through)
    assert values(everything(store, corrected=True)) == [9, 7]


def test_record_erases_nothing_of_a_class_that_is_not_cleared(store):
    store.record([news(1, number(1), information_class=InformationClass.SECURITY)], 1)
    erasing = msgspec.structs.replace(
        news(2, kind=ChangeKind.PAST, information_class=InformationClass.SECURITY), erasures=(Erasure(OPEN),)
    )
    store.record([erasing], 2)
    assert values(everything(store)) == [1]


def test_extent_is_from_the_first_to_the_last_instant_of_a_window(store):
    store.record([news(1, number(1), number(2, START + MINUTE), number(3, START + 2 * MINUTE))], 1)
    numbers = np.array([one.id for one in store.series("")], np.int64)
    assert store.extent(Window(numbers)) == (START, START + 2 * MINUTE)
    assert store.extent(Window(numbers, until=START + MINUTE)) == (START, START)
    assert store.extent(Window(numbers, since=START + 9 * MINUTE)) is None


def test_raw_backwards_begins_with_the_newest(store):
    store.record([news(1, number(1), number(2, START + MINUTE), words("wet", START + 2 * MINUTE))], 1)
    found = everything(store, by_time=True, backwards=True, limit=2)
    assert values(found) == ["wet", 2]


FIRST_SCHEMA = """
    CREATE TABLE series (id INTEGER NOT NULL, tenant VARCHAR NOT NULL, entity_id VARCHAR NOT NULL,
      attribute VARCHAR NOT NULL, dataset VARCHAR NOT NULL, attribute_type VARCHAR NOT NULL,
      unit_code VARCHAR NOT NULL, types VARCHAR NOT NULL, information_class UTINYINT NOT NULL,
      retired BOOLEAN NOT NULL);
    CREATE TABLE reading (series INTEGER NOT NULL, observed_at BIGINT NOT NULL, kind UTINYINT NOT NULL,
      number DOUBLE, text VARCHAR, sequence BIGINT NOT NULL, recorded_at BIGINT NOT NULL,
      observed BOOLEAN NOT NULL, superseded BOOLEAN NOT NULL);
    CREATE TABLE progress (schema_version INTEGER NOT NULL, last_sequence BIGINT NOT NULL);
    INSERT INTO progress VALUES (1, 7);
    INSERT INTO series VALUES (1, '', 'urn:a', 'temperature', '', 'Property', 'CEL', 'Weather', 0, false);
    INSERT INTO reading VALUES (1, 1409529600000, 0, 21.5, NULL, 7, 1409529601000, true, false);
"""


def first_file(tmp_path: Path) -> Path:
    file = tmp_path / "history.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(FIRST_SCHEMA)
    return file


def test_a_file_of_the_first_schema_is_brought_up_to_date(tmp_path):
    first_file(tmp_path)
    for _ in range(2):
        store = make("duckdb", tmp_path)
        assert values(everything(store)) == [21.5]
        assert store.last_sequence() >= 7
        path = store.export(Window(np.array([1])), "csv")
        # Where it comes from was not kept then.
        assert path.read_text().splitlines()[1].endswith(",")
        store.record([news(store.last_sequence() + 1, number(21.5))], store.last_sequence() + 1)
        store.close()


def test_a_migration_that_is_cut_off_is_begun_again(tmp_path):
    file = first_file(tmp_path)
    cut_off = textwrap.dedent(
        """
        import os, sys
        from pathlib import Path
        from cityloom.adapters.duckdb import statements
        from cityloom.adapters.duckdb.connection import DuckFile
        file = Path(sys.argv[1])
        opened = DuckFile(file, file.parent, memory_limit="64MB", threads=1)
        with opened.transaction() as cursor:
            for statement in statements.MIGRATIONS[2]:
                cursor.execute(statement)
            os._exit(9)
        """
    )
    ended = subprocess.run([sys.executable, "-c", cut_off, str(file)], check=False, timeout=60)
    assert ended.returncode == 9
    store = make("duckdb", tmp_path)
    assert values(everything(store)) == [21.5]
    store.record([news(8, words("wet"))], 8)
    assert len(everything(store).at) == 2
    store.close()
