"""Questions over many series at once, worked out inside DuckDB part by part: memory stays small."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import duckdb
import numpy as np
from numpy.typing import NDArray

from cityloom.adapters.duckdb import columns, pool_statements
from cityloom.adapters.duckdb.statements import common
from cityloom.adapters.sql.reading_columns import Columns
from cityloom.history.model import Floats, Integers
from cityloom.history.pools import (
    CellSummary,
    Held,
    Holding,
    Pool,
    Presence,
    WholePresence,
    WholeSums,
    known_references,
    mean_of,
)
from cityloom.history.slots import Slots, slots_of

#: Cells, or readings in an order, that are held at once.
_AT_ONCE = 500_000
#: Groups whose series are joined at once: those of a million would not fit into a small history's memory.
_GROUPS = 100_000

_Cursor = duckdb.DuckDBPyConnection


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
    sums = WholeSums(pool.groups, len(edges) - 1)
    found = [np.empty(0)]
    for first in range(0, pool.groups, _GROUPS):
        part = pool.of_groups(first, first + _GROUPS) if pool.groups > _GROUPS else pool
        _add_cells(cursor, part, edges, chosen, above, sums, first, rolled=rolled)
        if medians:
            found.append(_medians(cursor, part, edges, chosen, above, rolled=rolled))
    return sums.told(np.concatenate(found))


def _add_cells(
    cursor: _Cursor,
    pool: Pool,
    edges: Integers,
    chosen: NDArray[np.bool_] | None,
    above: float | None,
    sums: WholeSums,
    base: int,
    *,
    rolled: bool,
) -> None:
    """Sum up groups, the first of which is number `base` of all."""
    most = _most_by_period(cursor, pool, edges, rolled=rolled)
    if chosen is not None:
        most[~chosen] = 0
    for first, last in _spans(most):
        if most[first:last].any():
            part = None if chosen is None else chosen[first:last]
            found = _cells(cursor, "sums", pool, edges[first : last + 1], first, part, above, rolled=rolled)
            grp, bucket, cells, readings = (
                columns.whole(found[name]) for name in ("grp", "bucket", "cells", "readings")
            )
            grp = np.where(grp >= 0, grp + base, grp)
            sums.add(grp, bucket, cells, columns.numbers(found["total"]), readings)


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
    most = np.zeros(pool.groups, np.int64)
    counts = _counts(cursor, pool, edges, pool_statements.readings_by_group, rolled=rolled)
    most[columns.whole(counts["grp"])] = columns.whole(counts["n"])
    for first, last in _spans(np.minimum(most, periods)):
        if not most[first:last].any():
            continue
        part = pool.of_groups(first, last)
        medians = _cells(cursor, "medians", part, edges, 0, chosen, above, rolled=rolled)
        result[first + columns.whole(medians["grp"])] = columns.numbers(medians["v"])
    return result


def _cells(
    cursor: _Cursor,
    name: str,
    pool: Pool,
    edges: Integers,
    base: int,
    chosen: NDArray[np.bool_] | None,
    above: float | None,
    *,
    rolled: bool,
) -> Columns:
    _register(cursor, pool)
    slots = _register_slots(cursor, slots_of(edges, base, chosen))
    return _asked(
        cursor,
        f"{name}_{'single' if pool.is_single else 'several'}{'_rolled' if rolled else ''}",
        _between(pool, edges, rolled=rolled),
        first=slots.first,
        step=slots.step,
        above=above,
    )


def held(cursor: _Cursor, pool: Pool, holding: Holding, files: Sequence[str] = ()) -> Held:
    """As `HistoryStore.held`, with files of the archive: what holds in a part ends `hold` after it."""
    result = Held(*(np.zeros(pool.groups, np.int64) for _ in range(3)))
    window, bounds = pool.window, _extent(cursor, pool, files)
    if bounds is None:
        return result
    start, end, count = bounds
    _register(cursor, pool, reference=np.ma.masked_invalid(known_references(holding)[pool.group]))
    times = np.linspace(start, end + 1, count // _AT_ONCE + 2).astype(np.int64)
    for since, until in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        reach = until + holding.hold
        reach = reach if window.until is None else min(window.until, reach)
        found = _asked(
            cursor,
            "held",
            pool_statements.standing(since, reach, files),
            since=since,
            before=until,
            until=holding.until,
            hold=holding.hold,
            above=holding.above,
            below=holding.below,
        )
        groups = columns.whole(found["grp"])
        for name, total in zip(Held._fields, result, strict=True):
            total[groups] += columns.whole(found[name])
    return result


def presence(cursor: _Cursor, pool: Pool, edges: Integers, *, rolled: bool = False) -> Presence:
    """As `HistoryStore.presence`: a gap over several parts is found by where each group was seen last."""
    whole = WholePresence(pool.groups)
    most = _most_by_period(cursor, pool, edges, rolled=rolled)
    _register(cursor, pool)
    for first, last in _spans(most):
        if not most[first:last].any():
            continue
        part = edges[first : last + 1]
        slots = _register_slots(cursor, slots_of(part, first))
        tables = _between(pool, part, rolled=rolled)
        name = "presence_rolled" if rolled else "presence"
        found = _asked(cursor, name, tables, first=slots.first, step=slots.step)
        whole.add({name: columns.whole(column) for name, column in found.items()})
    return whole.told(len(edges) - 1)


def time_weighted(
    cursor: _Cursor,
    series: Integers,
    edges: Integers,
    since: int,
    hold: int | None,
    *,
    pooled: bool,
    files: Sequence[str] = (),
) -> tuple[Floats, Floats]:
    """As `HistoryStore.time_weighted`."""
    periods = len(edges) - 1
    shape = (1 if pooled else len(series), periods)
    area, covered = np.zeros(shape), np.zeros(shape)
    start, end = int(edges[0]), int(edges[-1])
    slots = _register_slots(cursor, slots_of(edges))
    for first, last in _parts(len(series), periods):
        rows = np.arange(first, last)
        cursor.register(
            "wanted", {"series": series[first:last], "grp": np.zeros_like(rows) if pooled else rows}
        )
        found = _asked(
            cursor,
            "time_weighted",
            pool_statements.standing(since, end, files),
            start=start,
            end=end,
            first=slots.first,
            step=slots.step,
            hold=end - since if hold is None else hold,
        )
        at = columns.whole(found["grp"]), columns.whole(found["bucket"])
        area[at] += columns.numbers(found["area"])
        covered[at] += columns.numbers(found["covered"])
    return mean_of(area, covered), covered


def _between(pool: Pool, edges: Integers, *, rolled: bool) -> str:
    """The table that is asked of what is in the window and between the edges."""
    if rolled:
        return pool_statements.counted(pool.window, edges)
    return pool_statements.standing(*common(pool.window, edges))


def _register(cursor: _Cursor, pool: Pool, **more: Floats) -> None:
    wanted = {
        "series": pool.window.series,
        "grp": pool.group,
        "turn": np.arange(len(pool.group)),
        "factor": pool.factor,
        "shift": pool.offset,
        "reference": np.ones(len(pool.group)),
    }
    cursor.register("wanted", wanted | more)


def _register_slots(cursor: _Cursor, slots: Slots) -> Slots:
    names = ("stretch", "bucket", "edge", "ends")
    cursor.register("slots", {name: getattr(slots, name) for name in names})
    return slots


def _asked(cursor: _Cursor, name: str, tables: str, **bounds: int | float | None) -> Columns:
    found: Columns = cursor.execute(pool_statements.ask(name, tables, **bounds)).fetchnumpy()
    return found


def _extent(cursor: _Cursor, pool: Pool, files: Sequence[str]) -> tuple[int, int, int] | None:
    """The first instant, the last one and how many readings there are."""
    _register(cursor, pool)
    first, last, count = cursor.execute(pool_statements.extent(pool.window, files)).fetchall()[0]
    return None if first is None else (int(first), int(last), int(count))


def _most_by_period(cursor: _Cursor, pool: Pool, edges: Integers, *, rolled: bool) -> Integers:
    """How many cells there can be in each period: those without readings cost nothing."""
    most = np.zeros(len(edges) - 1, np.int64)
    counts = _counts(cursor, pool, edges, pool_statements.readings_by_period, rolled=rolled)
    most[columns.whole(counts["bucket"])] = columns.whole(counts["n"])
    return np.minimum(most, pool.groups)


def _counts(
    cursor: _Cursor, pool: Pool, edges: Integers, counting: Callable[[str, int, int], str], *, rolled: bool
) -> Columns:
    _register(cursor, pool)
    slots = _register_slots(cursor, slots_of(edges))
    statement = counting("counted" if rolled else "standing", slots.first, slots.step)
    tables = _between(pool, edges, rolled=rolled)
    found: Columns = cursor.execute(f"WITH {tables} {statement}").fetchnumpy()
    return found


def _spans(most: Integers) -> Iterator[tuple[int, int]]:
    """Half-open ranges that together are all; of each there is not too much, or it is one place long."""
    total, first = np.cumsum(most), 0
    while first < len(most):
        bound = _AT_ONCE + (int(total[first - 1]) if first else 0)
        last = max(first + 1, int(np.searchsorted(total, bound, side="right")))
        yield first, last
        first = last


def _parts(count: int, width: int) -> Iterator[tuple[int, int]]:
    """Half-open ranges that together are `count` long; of each, times `width`, not too much."""
    size = max(1, _AT_ONCE // max(1, width))
    for first in range(0, count, size):
        yield first, min(count, first + size)
