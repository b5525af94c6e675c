"""Readings of days that are over, moved into the order of questions: by series, and each series by time.

Readings come tick by tick, of all series at once; so a question about one series would read everything. A
slice of days that is in order has each series in one place. It lies in the same table: whatever else is done
with readings need not know.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import duckdb

DAY = 86_400_000
#: Readings of a slice: so many that a series has a place in few row groups, so few that moving takes seconds.
SLICE = 2_000_000
#: A slice into which so large a share has come late is moved anew.
_LATE = 0.1

SCHEMA = """
    CREATE TABLE IF NOT EXISTS settled (
      since BIGINT NOT NULL, until BIGINT NOT NULL, readings BIGINT NOT NULL
    )
"""

#: Bound: the instant before which days are over.
_BY_DAY = f"""
    SELECT observed_at // {DAY} AS day, count(*) FROM reading WHERE observed_at < ? GROUP BY day ORDER BY day
"""  # noqa: S608 - a whole number
_MOVED = """
    CREATE OR REPLACE TEMP TABLE moved AS FROM reading WHERE observed_at >= ? AND observed_at < ?
    ORDER BY series, observed_at, sequence
"""
_LEAVE = "DELETE FROM reading WHERE observed_at >= ? AND observed_at < ?"
_FORGET = "DELETE FROM settled WHERE since < ? AND until > ?"


class Slice(NamedTuple):
    """Days that are moved together: since <= time < until in milliseconds."""

    since: int
    until: int
    readings: int


def next_slice(
    days: Iterable[tuple[int, int]], settled: Iterable[Slice], *, worth: int = SLICE
) -> Slice | None:
    """What is to be moved now; None when nothing is worth it. `days`: number and readings, ascending.

    Days that follow each other make a slice once they are `worth` it, and earlier where a slice that is in
    order comes after them: nothing will come to them any more.
    """
    in_order = {}
    standing: dict[Slice, int] = dict.fromkeys(settled, 0)
    for one in standing:
        in_order.update(dict.fromkeys(range(one.since // DAY, -(-one.until // DAY)), one))
    first, count = 0, 0
    for day, readings in days:
        there = in_order.get(day)
        if there is not None:
            standing[there] += readings
            if count >= worth // 8:
                return Slice(first * DAY, there.since, count)
            count = 0
            continue
        first = day if not count else first
        count += readings
        if count >= worth:
            return Slice(first * DAY, (day + 1) * DAY, count)
    late = (one for one, readings in standing.items() if readings > one.readings * (1 + _LATE))
    again = next(late, None)
    return None if again is None else again._replace(readings=standing[again])


def find(cursor: duckdb.DuckDBPyConnection, before: int) -> Slice | None:
    """The slice that `move` is to move, of days that were over at an instant."""
    settled = [Slice(*row) for row in cursor.execute("FROM settled ORDER BY since").fetchall()]
    days = cursor.execute(_BY_DAY, [before // DAY * DAY]).fetchall()
    return next_slice(days, settled)


def move(cursor: duckdb.DuckDBPyConnection, one: Slice) -> None:
    """Bring a slice in order, in the cursor's transaction."""
    bounds = [one.since, one.until]
    cursor.execute(_MOVED, bounds)
    cursor.execute(_LEAVE, bounds)
    cursor.execute("INSERT INTO reading FROM moved")
    cursor.execute("DROP TABLE moved")
    cursor.execute(_FORGET, [one.until, one.since])
    cursor.execute("INSERT INTO settled VALUES (?, ?, ?)", list(one))
