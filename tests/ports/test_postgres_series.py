"""A process that stands by keeps up with what the history knows of its series: it reads the tail alone."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.history import PostgresHistory
from cityloom.adapters.postgres.history_parts import PostgresParts
from cityloom.adapters.postgres.history_series import KEPT_S, TRIMMED_S, StoredSeries, Trimming
from cityloom.context.parcels import partition_of
from cityloom.history.parts import Portion
from cityloom.kernel.change import ChangeKind
from remembered import MINUTE, START, everything, news, number, past, values, words

ENTITIES = 40


@pytest.fixture
def history(postgres, tmp_path):
    with closing(PostgresHistory(postgres, tmp_path / "exports")) as made:
        batch = [news(one, number(one), words("on"), entity=f"urn:{one}") for one in range(1, ENTITIES + 1)]
        made.record(batch, ENTITIES)
        yield made


@pytest.fixture
def line(postgres_address):
    with closing(Database(postgres_address)) as other:
        yield other.line("series")


def all_of(directory):
    return [one for tenant in sorted(directory.tenants) for one in directory.select(tenant)]


def is_up_to_date(known: StoredSeries, line) -> bool:
    known.follow(line)
    fresh = StoredSeries()
    fresh.follow(line)
    assert known.directory.next_id == fresh.directory.next_id
    return all_of(known.directory) == all_of(fresh.directory)


def test_only_what_is_new_is_read_again(history, line):
    known = StoredSeries()
    known.follow(line)
    assert known.rows_read == 2 * ENTITIES
    known.follow(line)
    assert known.rows_read == 2 * ENTITIES, "nothing was added"
    history.record([news(41, number(1), entity="urn:new"), news(42, number(2), entity="urn:1")], 42)
    assert is_up_to_date(known, line)
    assert known.rows_read == 2 * ENTITIES + 1


def test_what_is_changed_retired_and_forgotten_is_known(history, line):
    known = StoredSeries()
    known.follow(line)
    history.record([news(41, number(1, unit="CEL"), entity="urn:1", types=("Station", "Weather"))], 41)
    assert is_up_to_date(known, line)
    history.record([news(42, kind=ChangeKind.DELETED, entity="urn:2")], 42)
    assert is_up_to_date(known, line)
    gone = [one.id for one in history.series("", entity_ids=["urn:3"])]
    history.forget(np.array(gone))
    assert is_up_to_date(known, line)
    assert known.rows_read < 3 * ENTITIES
    assert not known.directory.select("", entity_ids=["urn:3"])


def test_the_id_of_a_series_that_is_gone_is_given_to_no_other(postgres, tmp_path, history, line):
    known = StoredSeries()
    known.follow(line)
    last = history.series("")[-1]
    history.forget(np.array([last.id]))
    known.follow(line)
    history.close()
    with closing(PostgresHistory(postgres, tmp_path / "exports")) as again:
        again.record([news(41, number(1), entity="urn:other")], 41)
        assert [one.id for one in again.series("", entity_ids=["urn:other"])] == [last.id + 1]
        assert is_up_to_date(known, line)


def test_who_takes_over_reads_the_tail_and_writes_on(postgres, tmp_path, history, line):
    known = StoredSeries()
    known.follow(line)
    history.record([news(41, number(7, START + 50 * MINUTE), entity="urn:late")], 41)
    history.close()
    before = known.rows_read
    with closing(PostgresHistory(postgres, tmp_path / "exports", known=known)) as taken:
        assert known.rows_read == before + 1, "more than the tail was read to take over"
        # A correction and a new value go to the series that are there.
        taken.record(
            [
                news(42, number(8, START + 50 * MINUTE), entity="urn:late"),
                news(43, number(9, START + 51 * MINUTE), entity="urn:late"),
            ],
            43,
        )
        assert len(taken.series("", entity_ids=["urn:late"])) == 1
        assert values(everything(taken, corrected=False))[-2:] == [8, 9]
        assert is_up_to_date(known, line)


def test_who_looked_too_late_for_the_news_reads_all_anew(history, line):
    known, clock = StoredSeries(), 0.0
    known.follow(line)
    trimming = Trimming(line)
    trimming.trim(clock)
    history.record([news(41, number(1), entity="urn:1", types=("Station",))], 41)
    gone = [one.id for one in history.series("", entity_ids=["urn:3"])]
    history.forget(np.array(gone))
    while clock < 2 * KEPT_S:
        clock += TRIMMED_S
        trimming.trim(clock)
    assert line.row("SELECT count(*) FROM series_news") == (0,)
    assert is_up_to_date(known, line)
    assert known.rows_read > 3 * ENTITIES


def test_what_followers_store_is_known_whatever_its_ids(postgres, postgres_address, tmp_path, line):
    parts = 2
    a, b = (
        next(f"urn:{one}" for one in range(99) if partition_of(f"urn:{one}", parts) == of) for of in (0, 1)
    )
    known = StoredSeries()
    with closing(PostgresHistory(postgres, tmp_path / "exports", parts=parts)) as history:
        first, second = (PostgresParts(Database(postgres_address)) for _ in range(2))
        first.record([Portion(0, 0, 1, [news(1, number(1), entity=a)])])
        second.record([Portion(1, 0, 2, [news(2, number(2), entity=b)])])
        known.follow(line)
        # Ids of its block, which are smaller than what the other one gave.
        first.record([Portion(0, 1, 3, [news(3, words("on"), entity=a)])])
        history.learn(3)
        assert is_up_to_date(known, line)
        history.load([past(1, 2, entity="urn:past")])
        assert is_up_to_date(known, line)
        assert known.rows_read < 10
