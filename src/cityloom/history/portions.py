"""Questions over many series, for a store that gives readings alone: some groups at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.history import pools
from cityloom.history.model import Floats, Integers, Readings, Window
from cityloom.history.pools import CellSummary, Held, Holding, Pool, Presence, Run, mean_of

#: Groups, or series, whose readings are held at once.
AT_ONCE = 64


class _Raw(Protocol):
    def raw(self, window: Window) -> Readings: ...


class AskedInPortions:
    """`cells`, `held`, `presence` and `time_weighted` of HistoryStore by way of `raw`."""

    def cells(
        self: _Raw,
        pool: Pool,
        edges: Integers,
        *,
        chosen: NDArray[np.bool_] | None = None,
        above: float | None = None,
        medians: bool = False,
    ) -> CellSummary:
        found = [
            pools.cells_of(self.raw(part.window), part, edges, chosen, above, medians=medians)
            for _, part in _parts(pool)
        ]
        periods = np.zeros(len(edges) - 1)
        cells = sum((one.period_cells for one in found), periods.astype(np.int64))
        total = sum((np.nan_to_num(one.period_mean) * one.period_cells for one in found), periods)
        return CellSummary(
            readings=_joined([one.readings for one in found]),
            cells=_joined([one.cells for one in found]),
            mean=np.concatenate([np.empty(0), *(one.mean for one in found)]),
            median=np.concatenate([np.empty(0), *(one.median for one in found)]),
            period_cells=cells,
            period_mean=mean_of(total, cells),
        )

    def held(self: _Raw, pool: Pool, holding: Holding) -> Held:
        found = []
        for first, part in _parts(pool):
            reference = holding.reference[first : first + part.groups]
            asked = msgspec.structs.replace(holding, reference=reference)
            found.append(pools.held_of(self.raw(part.window), part, asked))
        return Held(*(_joined([one[place] for one in found]) for place in range(len(Held._fields))))

    def presence(self: _Raw, pool: Pool, edges: Integers) -> Presence:
        readings, present = [], []
        gaps: tuple[Run, ...] = ()
        for first, part in _parts(pool):
            found = pools.presence_of(self.raw(part.window), part, edges)
            readings.append(found.readings)
            present.append(found.present)
            gaps = pools.longest([*gaps, *(run._replace(group=run.group + first) for run in found.gaps)])
        return Presence(_joined(readings), _joined(present), gaps)

    def time_weighted(
        self: _Raw, series: Integers, edges: Integers, *, since: int, hold: int | None, pooled: bool = False
    ) -> tuple[Floats, Floats]:
        shape = (1 if pooled else len(series), len(edges) - 1)
        area, covered = np.zeros(shape), np.zeros(shape)
        for first in range(0, len(series), AT_ONCE):
            part = series[first : first + AT_ONCE]
            earlier = self.raw(Window(part, since, int(edges[0]), last_n=1))
            inside = self.raw(Window(part, int(edges[0]), int(edges[-1])))
            rows = np.zeros(len(part), np.int64) if pooled else np.arange(first, first + len(part))
            areas, covers = pools.weighted_of(earlier, inside, part, edges, hold)
            np.add.at(area, rows, areas)
            np.add.at(covered, rows, covers)
        return mean_of(area, covered), covered


def _parts(pool: Pool) -> Iterator[tuple[int, Pool]]:
    """Pools of some groups each, numbered anew, with the number of the first."""
    for first in range(0, pool.groups, AT_ONCE):
        yield first, pool.of_groups(first, min(pool.groups, first + AT_ONCE))


def _joined(parts: list[Integers]) -> Integers:
    return np.concatenate([np.empty(0, np.int64), *parts])
