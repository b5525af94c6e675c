"""What history needs of the outside: a store of series, and the class an Entity has now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

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
