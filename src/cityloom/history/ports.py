"""What history needs of the outside: a store of series, and the class an Entity has now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cityloom.history.model import (
    Floats,
    Integers,
    PastColumn,
    ReadingBatch,
    Readings,
    Series,
    Statistics,
    Window,
)
from cityloom.history.pools import CellSummary, Held, Holding, Pool, Presence
from cityloom.history.shapes import GroupedSeries
from cityloom.kernel.actor import Actor, InformationClass

#: What `aggregate` can work out for each period (ETSI GS CIM 009, 4.5.19).
AGGREGATE_METHODS = ("totalCount", "distinctCount", "sum", "avg", "min", "max", "stddev", "sumsq")
#: How many of a period's values are no numbers; for the rooms' own use.
TEXT_COUNT = "textCount"
#: Those that are 0, not missing, where nothing was read.
COUNTS = frozenset({"totalCount", "distinctCount", TEXT_COUNT})


class HistoryStore(Protocol):
    """Series of readings on disk. Blocking; `record` from one thread at a time, the rest from any.

    Of several readings with the same observedAt in one series, the one with the highest sequence is the
    value; the others stay and are seen only by a Window with `corrected`.
    """

    #: Formats that `export` writes: "csv" always, "parquet" where the store can.
    formats: frozenset[str]

    def last_sequence(self) -> int:
        """The sequence through which the feed is remembered; 0 at first."""
        ...

    def record(self, batch: ReadingBatch, through: int) -> None:
        """Keep a batch and set `last_sequence` to `through`, both or neither.

        News with a sequence that is already remembered is passed over. Raises StorageFull, NotReady.
        """
        ...

    def load(self, columns: Sequence[PastColumn]) -> int:
        """Keep the past of series that are not there yet, all of the columns or none.

        A series that is there is passed over, so that an interrupted load can be begun again. Returns how
        many readings were kept. Raises StorageFull, NotReady.
        """
        ...

    def series(
        self,
        tenant: str,
        *,
        entity_ids: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        attributes: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
    ) -> list[Series]:
        """The series that fit every condition that is given, in the order of their id."""
        ...

    def grouped(
        self,
        tenant: str,
        *,
        entity_ids: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        attributes: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
    ) -> GroupedSeries:
        """The same series as columns, by Entity: of a million there are no objects."""
        ...

    def entities(self, tenant: str) -> list[str]:
        """The ids of the Entities of a tenant of which there is any series."""
        ...

    def extent(self, window: Window) -> tuple[int, int] | None:
        """The first and the last instant of the window's time over all its series; None when it is empty."""
        ...

    def raw(self, window: Window) -> Readings:
        """Readings in the order of the window. With `limit`, the first ones of that order."""
        ...

    def aggregate(
        self, window: Window, edges: Integers, methods: Sequence[str], *, pooled: bool = False
    ) -> dict[str, Floats]:
        """For each method an array of shape (len(window.series), len(edges) - 1).

        `edges` are strictly increasing milliseconds; period i is edges[i] <= time < edges[i + 1]. Counts are
        0 and the other methods NaN in a period without numbers; the counts count texts too. stddev is that
        of the whole population. `pooled` takes all series together: shape (1, periods).

        With `last_n` the newest n of each series in the window's interval are taken first (5.7.4.4), and of
        these only those between the edges count: edges that end earlier bring no older readings back.
        """
        ...

    def cells(
        self,
        pool: Pool,
        edges: Integers,
        *,
        chosen: NDArray[np.bool_] | None = None,
        above: float | None = None,
        medians: bool = False,
    ) -> CellSummary:
        """Means of many groups of series in many periods, summed up by group and by period.

        `chosen` says which periods are looked at, `above` leaves out the cells that are not above it. Memory
        is bounded by the groups and the periods, not by their product. Like `aggregate`, only readings from
        the first edge until before the last one count. Pure: `pools.cells_of`.
        """
        ...

    def held(self, pool: Pool, holding: Holding) -> Held:
        """For how long values held, by group. Pure: `pools.held_of`."""
        ...

    def presence(self, pool: Pool, edges: Integers) -> Presence:
        """In how many periods each group has readings, and the longest runs of those without.

        Groups count from 0 in the order in which gaps of one length are listed. Pure: `pools.presence_of`.
        """
        ...

    def time_weighted(
        self, series: Integers, edges: Integers, *, since: int, hold: int | None, pooled: bool = False
    ) -> tuple[Floats, Floats]:
        """Means over time of values that hold until the next reading of their series, at most `hold` ms.

        What holds at the first edge is looked for from `since` on. Returns the means, NaN where nothing
        holds, and how many milliseconds they speak of: shapes (len(series), len(edges) - 1), or `pooled`
        over all series (1, periods). Pure: `pools.weighted_of`.
        """
        ...

    def statistics(self, series: Integers) -> list[Statistics]:
        """Count, first and last reading of each series that has any."""
        ...

    def export(self, window: Window, format_name: str) -> Path:
        """Write readings to a new file of the exports folder: one row a reading, columns `EXPORT_COLUMNS`.

        Rows are ordered by series and time.

        The caller removes the file. Raises BadInput for a format the store cannot write.
        """
        ...

    def forget(self, series: Integers) -> int:
        """Remove series with all their readings; returns how many readings went."""
        ...

    def settle(self, before: int) -> int:
        """Bring some readings of before an instant (ms) into the order of questions, where that is worth it.

        Returns how many were moved; 0 when nothing is to be done, or the store keeps them so by itself.
        """
        ...

    def interrupt_reading(self) -> None:
        """End the questions that are worked on, with NotReady: nobody waits for them any more."""
        ...

    def close(self) -> None: ...


#: The columns of an export and what stands in them.
EXPORT_COLUMNS = (
    "entity_id",
    "entity_type",
    "attribute",
    "dataset",
    "observed_at",
    "value",
    "text",
    "unit_code",
    "recorded_at",
    "data_origin",
)
#: A text that begins with one of these gets an apostrophe before it in CSV: a spreadsheet would take it for a
#: formula and run what a stranger wrote. Other formats, and the API, give it as it is.
FORMULA_BEGINS = "=+-@\t\r"


class CurrentClasses(Protocol):
    """The broker, as far as history needs it."""

    def class_of(self, actor: Actor, entity_id: str, *, tenant: str = ...) -> InformationClass:
        """The class of an Entity that is there now. Raises NotFound."""
        ...
