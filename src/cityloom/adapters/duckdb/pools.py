"""Questions over many series at once, worked out inside DuckDB part by part: memory stays small."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.adapters.duckdb import columns, pool_statements, statements
from cityloom.adapters.sql.reading_columns import Columns
from cityloom.history.model import Floats, Integers
from cityloom.history.pools import (
    CellSummary,
    Held,
    Holding,
    Pool,
    Presence,
    Run,
    longest,
    mean_of,
)

#: Cells, or readings in an order, that are held at once.
_AT_ONCE = 500_000

_Cursor = duckdb.DuckDBPyConnection


class _Sums:
    """Sums by group and by period, grown part by part."""

    def __init__(self, groups: int, periods: int) -> None:
        self.readings = np.zeros(groups, np.int64)
        self.cells, self.total = np.zeros(groups, np.int64), np.zeros(groups)
        self.period_cells, self.period_total = np.zeros(periods, np.int64), np.zeros(periods)

    def add(self, found: Columns) -> None:
        grp, bucket = columns.whole(found["grp"]), columns.whole(found["bucket"])
        cells, total = columns.whole(found["cells"]), columns.numbers(found["total"])
        by_group, by_period = grp >= 0, bucket >= 0
        self.readings[grp[by_group]] += columns.whole(found["readings"])[by_group]
        self.cells[grp[by_group]] += cells[by_group]
        self.total[grp[by_group]] += total[by_group]
        self.period_cells[bucket[by_period]] += cells[by_period]
        self.period_total[bucket[by_period]] += total[by_period]


def cells(
    cursor: _Cursor,
    pool: Pool,
    edges: Integers,
    chosen: NDArray[np.bool_] | None,
    above: float | None,
    *,
    medians: bool,
    rolled: bool = False,
) -> CellSummary:
    """As `HistoryStore.cells`."""
    sums = _Sums(pool.groups, len(edges) - 1)
    for first, last in _parts(len(edges) - 1, pool.groups):
        if chosen is None or chosen[first:last].any():
            found = _cells(cursor, pool, edges, (first, last), chosen, above, rolled=rolled)
            sums.add(_fetch(cursor, pool, pool_statements.by_group_and_period(found)))
    return CellSummary(
        readings=sums.readings,
        cells=sums.cells,
        mean=mean_of(sums.total, sums.cells),
        median=_medians(cursor, pool, edges, chosen, above, rolled=rolled) if medians else np.empty(0),
        period_cells=sums.period_cells,
        period_mean=mean_of(sums.period_total, sums.period_cells),
    )


def _medians(
    cursor: _Cursor,
    pool: Pool,
    edges: Integers,
    chosen: NDArray[np.bool_] | None,
    above: float | None,
    *,
    rolled: bool,
) -> Floats:
    """A median needs all of a group's cells: part by part of the groups."""
    result = np.full(pool.groups, np.nan)
    periods = len(edges) - 1
    looked_at = periods if chosen is None else int(chosen.sum())
    for first, last in _parts(pool.groups, max(1, looked_at)):
        part = pool.of_groups(first, last)
        found = _cells(cursor, part, edges, (0, periods), chosen, above, rolled=rolled)
        medians = _fetch(cursor, part, pool_statements.medians(found))
        result[first + columns.whole(medians["grp"])] = columns.numbers(medians["v"])
    return result


def _cells(
    cursor: _Cursor,
    pool: Pool,
    edges: Integers,
    periods: tuple[int, int],
    chosen: NDArray[np.bool_] | None,
    above: float | None,
    *,
    rolled: bool,
) -> str:
    first, last = periods
    part = edges[first : last + 1]
    _register(cursor, pool)
    cursor.register("edges", {"edge": part[:-1], "bucket": np.arange(first, last)})
    if chosen is not None:
        cursor.register("chosen", {"bucket": first + np.flatnonzero(chosen[first:last])})
    return pool_statements.cells(
        pool.window, part, first, single=pool.is_single, chosen=chosen is not None, above=above, rolled=rolled
    )


def held(cursor: _Cursor, pool: Pool, holding: Holding) -> Held:
    """As `HistoryStore.held`: whatever holds in a part ends no later than `hold` after it."""
    result = Held(*(np.zeros(pool.groups, np.int64) for _ in range(3)))
    window, bounds = pool.window, _extent(cursor, pool)
    if bounds is None:
        return result
    start, end, count = bounds
    _register(cursor, pool, reference=holding.reference[pool.group])
    times = np.linspace(start, end + 1, count // _AT_ONCE + 2).astype(np.int64)
    for since, until in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        reach = until + holding.hold
        reach = reach if window.until is None else min(window.until, reach)
        part = msgspec.structs.replace(window, since=since, until=reach)
        statement = pool_statements.held(part, holding, since, until)
        found = cursor.execute(statement, statements.bounds(part)).fetchnumpy()
        groups = columns.whole(found["grp"])
        for name, total in zip(Held._fields, result, strict=True):
            total[groups] += columns.whole(found[name])
    return result


def presence(cursor: _Cursor, pool: Pool, edges: Integers, *, rolled: bool = False) -> Presence:
    """As `HistoryStore.presence`: a gap over several parts is found by where each group was seen last."""
    periods = len(edges) - 1
    readings, present = np.zeros(pool.groups, np.int64), np.zeros(pool.groups, np.int64)
    seen = np.full(pool.groups, -1)
    gaps: tuple[Run, ...] = ()
    _register(cursor, pool)
    for first, last in _parts(periods, pool.groups):
        part = edges[first : last + 1]
        cursor.register("edges", {"edge": part[:-1], "bucket": np.arange(first, last)})
        cursor.execute(
            pool_statements.slots(pool.window, part, first, rolled=rolled), statements.bounds(pool.window)
        )
        inside = [Run(*map(int, row)) for row in cursor.execute(pool_statements.LONGEST_GAPS).fetchall()]
        found = cursor.execute(pool_statements.SLOTS_BY_GROUP).fetchnumpy()
        groups = columns.whole(found["grp"])
        before = _runs(groups, seen[groups] + 1, columns.whole(found["first"]))
        gaps = longest([*gaps, *inside, *before])
        seen[groups] = columns.whole(found["last"])
        readings[groups] += columns.whole(found["readings"])
        present[groups] += columns.whole(found["present"])
    everybody = np.arange(pool.groups)
    after = _runs(everybody, seen + 1, np.full(pool.groups, periods))
    return Presence(readings, present, longest([*gaps, *after]))


def _runs(groups: Integers, first: Integers, end: Integers) -> list[Run]:
    """The longest of runs of which some are empty."""
    length = end - first
    order = np.lexsort((first, groups, -length))
    order = order[length[order] > 0]
    rows = zip(groups[order].tolist(), first[order].tolist(), length[order].tolist(), strict=True)
    return list(longest([Run(*row) for row in rows]))


def time_weighted(
    cursor: _Cursor, series: Integers, edges: Integers, since: int, hold: int | None, *, pooled: bool
) -> tuple[Floats, Floats]:
    """As `HistoryStore.time_weighted`."""
    periods = len(edges) - 1
    shape = (1 if pooled else len(series), periods)
    area, covered = np.zeros(shape), np.zeros(shape)
    cursor.register("edges", {"edge": edges[:-1], "until": edges[1:], "bucket": np.arange(periods)})
    for first, last in _parts(len(series), periods):
        rows = np.arange(first, last)
        cursor.register("wanted", {"series": series[first:last], "row": rows})
        found = cursor.execute(pool_statements.time_weighted(since, edges, hold)).fetchnumpy()
        row, bucket = columns.cells(found)
        at = (np.zeros_like(row) if pooled else row, bucket)
        np.add.at(area, at, columns.numbers(found["area"]))
        np.add.at(covered, at, columns.numbers(found["covered"]))
    return mean_of(area, covered), covered


def _register(cursor: _Cursor, pool: Pool, **more: Floats) -> None:
    wanted = {
        "series": pool.window.series,
        "grp": pool.group,
        "turn": np.arange(len(pool.group)),
        "factor": pool.factor,
        "shift": pool.offset,
    }
    cursor.register("wanted", wanted | more)


def _fetch(cursor: _Cursor, pool: Pool, statement: str) -> Columns:
    found: Columns = cursor.execute(statement, statements.bounds(pool.window)).fetchnumpy()
    return found


def _extent(cursor: _Cursor, pool: Pool) -> tuple[int, int, int] | None:
    """The first instant, the last one and how many readings there are."""
    _register(cursor, pool)
    statement = pool_statements.extent(pool.window)
    first, last, count = cursor.execute(statement, statements.bounds(pool.window)).fetchall()[0]
    return None if first is None else (int(first), int(last), int(count))


def _parts(count: int, width: int) -> Iterator[tuple[int, int]]:
    """Half-open ranges that together are `count` long; of each, times `width`, not too much."""
    size = max(1, _AT_ONCE // max(1, width))
    for first in range(0, count, size):
        yield first, min(count, first + size)
