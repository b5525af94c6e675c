"""The tables of a grown city can be spread over nodes as the guide says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs/guides/run_at_scale.md"
#: Tables that stay in one place: a row or a few a device, a person, a subscription, a load.
SMALL = {
    *("account", "api_token", "audit", "device", "feed_head", "folded", "history_progress", "lease", "load"),
    *("load_entity", "moved_from", "moved_part", "newest", "parked", "parked_tally", "part", "register"),
    *("reporter", "session", "stage", "standby", "tally", "waiting"),
    *("archived", "archive_owed"),
    *("follower", "history_part", "history_shared", "series_news"),
}
#: Every key that must be unique, with its columns; parts of a table have those of the whole.
_UNIQUE = """
    SELECT c.relname, array_agg(a.attname::text)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
    WHERE i.indisunique AND c.relnamespace = to_regnamespace(%s) GROUP BY i.indexrelid, c.relname
"""
_TABLES = """
    SELECT relname::text FROM pg_class
    WHERE relnamespace = to_regnamespace(%s) AND relkind IN ('r', 'p') AND NOT relispartition
"""
_FOREIGN = """
    SELECT conrelid::regclass::text FROM pg_constraint
    WHERE contype = 'f' AND connamespace = to_regnamespace(%s)
"""


@pytest.fixture
def spread() -> dict[str, str]:
    """By table, the column by which the guide spreads it."""
    return dict(re.findall(r"create_distributed_table\('(\w+)', '(\w+)'", GUIDE.read_text()))


def test_each_table_is_spread_or_small(postgres, spread):
    found = {name for (name,) in postgres.rows(_TABLES, (postgres.address.schema,))}
    assert found == set(spread) | SMALL


def test_each_key_of_a_table_that_is_spread_holds_the_column_by_which_it_is(postgres, spread):
    keys = [
        (name, columns)
        for name, columns in postgres.rows(_UNIQUE, (postgres.address.schema,))
        if name in spread
    ]
    assert {name for name, _ in keys} >= {"change", "entity", "series"}
    assert [(name, columns) for name, columns in keys if spread[name] not in columns] == []


def test_nothing_that_is_spread_is_tied_to_another_table(postgres, spread):
    tied = {name.split(".")[-1] for (name,) in postgres.rows(_FOREIGN, (postgres.address.schema,))}
    assert tied.isdisjoint(spread)
