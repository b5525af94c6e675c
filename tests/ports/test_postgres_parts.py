"""A history in PostgreSQL that several processes write: partitions, and the ids of their series."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from cityloom.adapters.postgres.address import Address
from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.history import PostgresHistory
from cityloom.adapters.postgres.history_parts import PostgresParts
from cityloom.adapters.postgres.membership import Membership
from cityloom.context.parcels import HOME, partition_of
from cityloom.history.parts import Portion
from cityloom.kernel.errors import BadConfig, NotReady
from remembered import MINUTE, START, everything, news, number, past, values

PARTS = 2
#: Entities by their partition.
A, B = (
    next(f"urn:{one}" for one in range(99) if partition_of(f"urn:{one}", PARTS) == part) for part in (0, 1)
)


@pytest.fixture
def history(postgres: Database, tmp_path):
    with closing(PostgresHistory(postgres, tmp_path / "exports", parts=PARTS)) as made:
        yield made


@pytest.fixture
def others(postgres: Database, postgres_address: Address, history):
    """Two processes that follow."""
    databases = [Database(postgres_address) for _ in range(2)]
    yield [PostgresParts(one) for one in databases]
    for one in databases:
        one.close()


def portion(entity: str, before: int, sequence: int, value: float, at: int) -> Portion:
    told = [news(sequence, number(value, START + at * MINUTE), entity=entity)]
    return Portion(partition_of(entity, PARTS), before, sequence, told)


def test_processes_take_turns_and_the_city_learns_of_their_series(history, others):
    first, second = others
    first.record([portion(A, 0, 1, 10, 1)])
    second.record([portion(B, 0, 2, 20, 1)])
    # Another one goes on with the partition, and the first comes back to it.
    second.record([portion(A, 1, 3, 11, 2)])
    first.record([portion(A, 3, 4, 12, 3), portion(B, 2, 5, 21, 2)])
    assert history.cursors() == {HOME: 0, 0: 4, 1: 5}
    assert not history.series("")
    history.learn(5)
    assert {one.key.entity_id for one in history.series("")} == {A, B}
    assert len({one.id for one in history.series("")}) == 2
    assert sorted(values(everything(history))) == [10, 11, 12, 20, 21]
    assert history.last_sequence() == 5


def test_whoever_was_overtaken_keeps_nothing(history, others):
    first, second = others
    first.record([portion(A, 0, 1, 10, 1)])
    second.record([portion(A, 1, 2, 11, 2)])
    with pytest.raises(NotReady):
        first.record([portion(A, 1, 2, 11, 2), portion(B, 0, 3, 1, 1)])
    assert history.cursors() == {HOME: 0, 0: 2, 1: 0}
    first.record([portion(A, 2, 4, 12, 3)])
    history.learn(0)
    assert values(everything(history)) == [10, 11, 12]


def test_correction_is_found_by_a_process_that_did_not_keep_what_it_corrects(history, others):
    first, second = others
    first.record([portion(A, 0, 1, 10, 1)])
    second.record([portion(A, 1, 2, 99, 1), portion(B, 0, 3, 20, 1)])
    second.record([portion(A, 2, 4, 11, 5)])
    # The first one comes back, to an instant that it has not heard of.
    first.record([portion(A, 4, 5, 12, 5)])
    history.learn(5)
    assert values(everything(history)) == [99, 12, 20]
    assert values(everything(history, corrected=True)) == [10, 99, 11, 12, 20]


def test_city_that_loads_a_past_and_followers_give_no_id_twice(history, others):
    first, second = others
    first.record([portion(A, 0, 1, 10, 1)])
    assert history.load([past(1, 2, entity="urn:old")]) == 2
    second.record([portion(B, 0, 2, 20, 1)])
    first.record([portion(A, 1, 3, 11, 2)])
    history.learn(3)
    found = history.series("")
    assert len({one.id for one in found}) == 3
    assert history.forget(np.array([one.id for one in found if one.key.entity_id == "urn:old"])) == 2
    first.record([portion(A, 3, 4, 12, 3)])
    history.learn(4)
    assert sorted(values(everything(history))) == [10, 11, 12, 20]


def test_city_that_goes_on_alone_keeps_nothing_twice_and_followers_are_refused(
    postgres, tmp_path, history, others
):
    others[0].record([portion(A, 0, 1, 10, 1), portion(B, 0, 4, 20, 1)])
    with closing(PostgresHistory(postgres, tmp_path / "exports")) as alone:
        with pytest.raises(NotReady):
            others[0].record([portion(A, 1, 5, 11, 2)])
        everything_again = [
            *portion(A, 0, 1, 10, 1).news,
            *portion(A, 0, 3, 11, 2).news,
            *portion(B, 0, 4, 20, 1).news,
        ]
        alone.record(everything_again, 4)
        assert sorted(values(everything(alone, corrected=True))) == [10, 11, 20]
    with closing(PostgresHistory(postgres, tmp_path / "exports", parts=PARTS)) as again:
        assert again.cursors() == {HOME: 4, 0: 4, 1: 4}


def test_number_of_partitions_is_not_changed_while_they_are_apart(postgres, tmp_path, history, others):
    others[0].record([portion(A, 0, 1, 10, 1)])
    with pytest.raises(BadConfig, match="partitions"):
        PostgresHistory(postgres, tmp_path / "exports", parts=3)


def test_processes_know_of_each_other_until_they_leave(postgres, history):
    one, two = (Membership(postgres, "history", "here") for _ in range(2))
    one.beat()
    assert sorted(two.beat()) == sorted([one.name, two.name])
    assert history.followers() == {"history": 2}
    two.leave()
    assert one.beat() == [one.name]
