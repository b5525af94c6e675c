"""Many series asked together: groups of them, one for each Entity, and the arithmetic of it. Pure.

What is answered has one row for each group and one for each period, never one for each group in each period:
a hundred thousand Entities have nine hundred million hours in a year.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.history.logic import bucket_of, missing_runs, time_weighted
from cityloom.history.model import Floats, Integers, Readings, Window
from cityloom.history.shapes import GroupedSeries
from cityloom.kernel.units import convert

#: Gaps that are listed one by one.
MOST_GAPS = 100


class Pool(msgspec.Struct, frozen=True, dict=True):
    """Series in groups, with what brings their numbers to one unit: factor * number + offset.

    `group` (0, 1, ...), `factor` and `offset` have an element for each series of the window. The window says
    since when and until when; `last_n` and `limit` are not looked at.
    """

    window: Window
    group: Integers
    groups: int
    factor: Floats
    offset: Floats

    @cached_property
    def is_single(self) -> bool:
        """Whether each group has one series. Asked for each of thousands of parts of a long time."""
        return len(np.unique(self.group)) == len(self.group)

    def of_groups(self, first: int, last: int) -> Pool:
        """Groups from `first` to before `last`, as far as there are so many, numbered anew."""
        last = min(last, self.groups)
        here = np.flatnonzero((self.group >= first) & (self.group < last))
        window = msgspec.structs.replace(self.window, series=self.window.series[here])
        return Pool(window, self.group[here] - first, last - first, self.factor[here], self.offset[here])


class PooledSeries(NamedTuple):
    """The series of an attribute, in a pool with one group an Entity."""

    series: GroupedSeries
    pool: Pool

    @property
    def entity_ids(self) -> Sequence[str]:
        """By group."""
        return self.series.entity_ids


class CellSummary(NamedTuple):
    """Cells by group and by period. A cell is the mean of a group's numbers in a period.

    Of several series of a group the first one in the window's order that has numbers in the period counts.
    Means and medians are NaN where there is no cell.
    """

    #: All readings of the chosen periods, texts too, by group: shape (groups,).
    readings: Integers
    cells: Integers
    mean: Floats
    #: Empty unless asked for.
    median: Floats
    #: By period: shape (periods,).
    period_cells: Integers
    period_mean: Floats


class Holding(msgspec.Struct, frozen=True):
    """What is asked of values that hold until the next reading of their series, at most `hold` ms.

    A value is divided by its group's `reference`, then compared. NaN or 0: of that group nothing is known.
    """

    until: int
    hold: int
    reference: Floats
    above: float | None = None
    below: float | None = None


class Held(NamedTuple):
    """For how long values held, in milliseconds by group: shape (groups,)."""

    readings: Integers
    covered: Integers
    #: As long as they were above, or below.
    inside: Integers


class Run(NamedTuple):
    """Slots of a group that follow each other and have no reading."""

    group: int
    first: int
    length: int


class Presence(NamedTuple):
    """In how many periods there were readings."""

    #: By group: shape (groups,).
    readings: Integers
    present: Integers
    #: The longest first, then by group and time; `MOST_GAPS` at most.
    gaps: tuple[Run, ...]


def pooled(series: GroupedSeries, window: Window, unit_code: str = "") -> PooledSeries:
    """Series in a unit, for the time of a window. Raises BadInput where it does not fit."""
    units = {series.whats[one][3] for one in np.unique(series.what).tolist()}
    lines = {unit: _line(unit, unit_code) for unit in units}
    factor, offset = np.array([lines.get(what[3], (1.0, 0.0)) for what in series.whats]).reshape(-1, 2).T
    pool = Pool(
        msgspec.structs.replace(window, series=series.id),
        group=series.group,
        groups=len(series.entity_ids),
        factor=factor[series.what],
        offset=offset[series.what],
    )
    return PooledSeries(series, pool)


def narrowed(whole: PooledSeries, entity_ids: Container[str]) -> PooledSeries:
    """The series of some of the Entities, their groups numbered anew."""
    kept = np.array([one in entity_ids for one in whole.entity_ids], np.bool_)
    wanted = kept[whole.pool.group] if len(kept) else np.zeros(0, np.bool_)
    series, pool = whole.series.only(wanted), whole.pool
    window = msgspec.structs.replace(pool.window, series=pool.window.series[wanted])
    few = Pool(window, series.group, len(series.entity_ids), pool.factor[wanted], pool.offset[wanted])
    return PooledSeries(series, few)


def _line(unit_code: str, wanted: str) -> tuple[float, float]:
    """Factor and offset into another unit: all conversions between the city's units are straight lines."""
    if not unit_code or not wanted or unit_code == wanted:
        return 1.0, 0.0
    zero = convert(0.0, unit_code, wanted)
    return convert(1.0, unit_code, wanted) - zero, zero


def longest(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The longest runs, as Presence lists them."""
    return tuple(sorted(runs, key=lambda run: (-run.length, run.group, run.first))[:MOST_GAPS])


class WholePresence:
    """Presence put together of parts of the time, in their order: rows as of `long_questions.presence`."""

    def __init__(self, groups: int) -> None:
        self._readings, self._present = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
        self._seen = np.full(groups, -1, np.int64)
        self._gaps: tuple[Run, ...] = ()

    def add(self, found: Mapping[str, Integers]) -> None:
        """A part: columns of whole numbers."""
        is_gap = found["gap"] > 0
        inside = zip(*(found[name][is_gap].tolist() for name in ("grp", "first", "gap")), strict=True)
        groups, first, last, present, readings = (
            found[name][~is_gap] for name in ("grp", "first", "last", "present", "readings")
        )
        before = _runs(groups, self._seen[groups] + 1, first)
        self._gaps = longest([*self._gaps, *(Run(*run) for run in inside), *before])
        self._seen[groups] = last
        self._readings[groups] += readings
        self._present[groups] += present

    def told(self, periods: int) -> Presence:
        """All of it, for so many periods."""
        everybody = np.arange(len(self._seen))
        after = _runs(everybody, self._seen + 1, np.full(len(self._seen), periods))
        return Presence(self._readings, self._present, longest([*self._gaps, *after]))


def _runs(groups: Integers, first: Integers, end: Integers) -> list[Run]:
    """The longest of runs of which some are empty."""
    length = end - first
    order = np.lexsort((first, groups, -length))
    order = order[length[order] > 0][:MOST_GAPS]
    return [
        Run(*row)
        for row in zip(groups[order].tolist(), first[order].tolist(), length[order].tolist(), strict=True)
    ]


class WholeSums:
    """A CellSummary put together of parts of the time: rows as of `long_questions.sums`."""

    def __init__(self, groups: int, periods: int) -> None:
        self._readings = np.zeros(groups, np.int64)
        self._cells, self._total = np.zeros(groups, np.int64), np.zeros(groups)
        self._period_cells, self._period_total = np.zeros(periods, np.int64), np.zeros(periods)

    def add(
        self, grp: Integers, bucket: Integers, cells: Integers, total: Floats, readings: Integers
    ) -> None:
        """A part."""
        by_group, by_period = grp >= 0, bucket >= 0
        self._readings[grp[by_group]] += readings[by_group]
        self._cells[grp[by_group]] += cells[by_group]
        self._total[grp[by_group]] += total[by_group]
        self._period_cells[bucket[by_period]] += cells[by_period]
        self._period_total[bucket[by_period]] += total[by_period]

    def told(self, median: Floats) -> CellSummary:
        """All of it."""
        return CellSummary(
            readings=self._readings,
            cells=self._cells,
            mean=mean_of(self._total, self._cells),
            median=median,
            period_cells=self._period_cells,
            period_mean=mean_of(self._period_total, self._period_cells),
        )


def known_references(holding: Holding) -> Floats:
    """NaN where nothing is known of a group."""
    return np.where(holding.reference == 0, np.nan, holding.reference)


def cells_of(
    found: Readings,
    pool: Pool,
    edges: Integers,
    chosen: NDArray[np.bool_] | None,
    above: float | None,
    *,
    medians: bool,
) -> CellSummary:
    """What `HistoryStore.cells` means."""
    periods = len(edges) - 1
    table = np.full((pool.groups, periods), np.nan)
    count = np.zeros((pool.groups, periods), np.int64)
    for place, number in enumerate(pool.window.series.tolist()):
        here, group = found.series == number, int(pool.group[place])
        buckets, numbers = bucket_of(found.at[here], edges), found.number[here]
        for bucket in np.unique(buckets[buckets >= 0]).tolist():
            inside = numbers[buckets == bucket]
            count[group, bucket] += len(inside)
            inside = inside[~np.isnan(inside)]
            if len(inside) and np.isnan(table[group, bucket]):
                table[group, bucket] = inside.mean() * pool.factor[place] + pool.offset[place]
    if chosen is not None:
        table[:, ~chosen], count[:, ~chosen] = np.nan, 0
    if above is not None:
        table[~(table > above)] = np.nan
    there = ~np.isnan(table)
    return CellSummary(
        readings=count.sum(axis=1),
        cells=there.sum(axis=1),
        mean=mean_of(np.nansum(table, axis=1), there.sum(axis=1)),
        median=np.array([np.median(row[~np.isnan(row)]) if (row == row).any() else np.nan for row in table])
        if medians
        else np.empty(0),
        period_cells=there.sum(axis=0),
        period_mean=mean_of(np.nansum(table, axis=0), there.sum(axis=0)),
    )


def held_of(found: Readings, pool: Pool, holding: Holding) -> Held:
    """What `HistoryStore.held` means. `found` is ordered by series and time."""
    readings, covered, inside = (np.zeros(pool.groups, np.int64) for _ in range(3))
    reference = known_references(holding)
    for place, number in enumerate(pool.window.series.tolist()):
        here, group = found.series == number, int(pool.group[place])
        at, value = found.at[here], found.number[here] * pool.factor[place] + pool.offset[place]
        value = value / reference[group]
        lasting = np.minimum(np.append(at[1:], holding.until) - at, holding.hold) if len(at) else at
        known = ~np.isnan(value)
        fits = value > holding.above if holding.above is not None else value < (holding.below or 0.0)
        readings[group] += known.sum()
        covered[group] += lasting[known].sum()
        inside[group] += lasting[fits].sum()
    return Held(readings, covered, inside)


def presence_of(found: Readings, pool: Pool, edges: Integers) -> Presence:
    """What `HistoryStore.presence` means."""
    group_of = dict(zip(pool.window.series.tolist(), pool.group.tolist(), strict=True))
    groups = np.array([group_of[number] for number in found.series.tolist()], np.int64)
    buckets = bucket_of(found.at, edges)
    table = np.zeros((pool.groups, len(edges) - 1), np.int64)
    np.add.at(table, (groups[buckets >= 0], buckets[buckets >= 0]), 1)
    runs = [
        Run(group, start, stop - start)
        for group, row in enumerate(table)
        for start, stop in missing_runs(row > 0)
    ]
    return Presence(table.sum(axis=1), (table > 0).sum(axis=1), longest(runs))


def weighted_of(
    earlier: Readings, inside: Readings, series: Integers, edges: Integers, hold: int | None
) -> tuple[Floats, Integers]:
    """What `HistoryStore.time_weighted` means: area and cover, shape (series, periods)."""
    shape = (len(series), len(edges) - 1)
    area, covered = np.zeros(shape), np.zeros(shape, np.int64)
    for row, number in enumerate(series.tolist()):
        before, during = earlier.series == number, inside.series == number
        result = time_weighted(
            np.concatenate([earlier.at[before], inside.at[during]]),
            np.concatenate([earlier.number[before], inside.number[during]]),
            edges,
            hold=hold,
        )
        area[row], covered[row] = np.nan_to_num(result.mean) * result.covered, result.covered
    return area, covered


def mean_of(total: Floats, count: Floats | Integers) -> Floats:
    """NaN where nothing was counted."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, total / count, np.nan)
