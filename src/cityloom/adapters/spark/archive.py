"""Years of archived readings asked on a cluster: the same expressions, compiled for Spark when asked.

Needs the extra `spark`, and Java 17. The archive is what `history/retention.py` writes: Parquet files under
class=/type=/month=. Each machine of the cluster must see it under the same path.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cityloom.history.model import Floats, Integers
from cityloom.history.pools import (
    MOST_GAPS,
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
from cityloom.history.shapes import GroupedSeries
from cityloom.history.slots import Slots, slots_of
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import NotFound
from cityloom.kernel.time import from_millis

#: Before and after every reading (ms): those of the years 1 to 9999.
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
#: What makes a series of an Entity, as `history.shapes.What` has it.
_WHAT = ("attribute", "dataset", "attribute_type", "unit_code")
_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    # By whole numbers that do not fit, and by zero, nothing is told rather than all refused.
    "spark.sql.ansi.enabled": "false",
    # "2024-03" stays a word.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
}


class SparkArchive:
    """The questions of `HistoryStore` over many series, over the archive alone.

    `master` is Spark's own ("spark://host:7077", "local[4]"). `clearance` is the classes that whoever asks
    may see: the partitions of others are never opened. What an Entity had while it was of a class that is
    not among them is not in the answers. `settings` are Spark's: of its memory, of how much it does at once.
    """

    def __init__(
        self,
        master: str,
        folder: Path,
        clearance: Collection[InformationClass],
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = {**_SETTINGS, **(settings or {})}
        self._master = master
        # Spark would look for it from where it was begun.
        self._folder = folder.resolve()
        self._clearance = clearance

    def grouped(
        self,
        tenant: str = "",
        *,
        entity_ids: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        attributes: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
    ) -> GroupedSeries:
        """As of `HistoryStore`, of what the archive has: what the newest reading says of a series counts."""
        from pyspark.sql import functions as f

        rows = self._archived().filter(f.col("tenant") == tenant)
        for name, wanted in (("entity_id", entity_ids), ("attribute", attributes), ("dataset", datasets)):
            if wanted is not None:
                rows = rows.filter(f.col(name).isin(list(wanted)))
        newest = f.max_by(f.struct("types", "information_class"), f.col("sequence")).alias("standing")
        found = rows.groupBy("series", "entity_id", *_WHAT).agg(newest).orderBy("series").collect()
        if types is not None:
            found = [row for row in found if not set(types).isdisjoint(row.standing.types.split())]
        group, what, standing = _Places(), _Places(), _Places()
        return GroupedSeries(
            np.array([row.series for row in found], np.int64),
            group.of([row.entity_id for row in found]),
            what.of([tuple(row[name] for name in _WHAT) for row in found]),
            standing.of(
                [
                    (tuple(row.standing.types.split()), InformationClass(row.standing.information_class))
                    for row in found
                ]
            ),
            list(group), list(what), list(standing),
        )  # fmt: skip

    def cells(
        self,
        pool: Pool,
        edges: Integers,
        *,
        chosen: NDArray[np.bool_] | None = None,
        above: float | None = None,
        medians: bool = False,
    ) -> CellSummary:
        """As of `HistoryStore`."""
        slots = slots_of(edges, chosen=chosen)
        tables = self._tables(int(edges[0]), int(edges[-1]), _wanted(pool), slots)
        found = self._ask.cells(tables, slots.first, slots.step, _double(above), single=pool.is_single)
        sums, median = WholeSums(pool.groups, len(edges) - 1), np.full(pool.groups if medians else 0, np.nan)
        rows = self._answer(self._ask.sums(found))
        whole = [_whole(rows[name]) for name in ("grp", "bucket", "cells", "readings")]
        sums.add(whole[0], whole[1], whole[2], _numbers(rows["total"]), whole[3])
        if medians:
            middle = self._answer(self._ask.medians(found))
            median[_whole(middle["grp"])] = _numbers(middle["v"])
        return sums.told(median)

    def held(self, pool: Pool, holding: Holding) -> Held:
        """As of `HistoryStore`."""
        window = pool.window
        tables = self._tables(
            _FIRST if window.since is None else window.since,
            _LAST if window.until is None else window.until,
            _wanted(pool, known_references(holding)[pool.group]),
        )
        rows = self._answer(
            self._ask.held(
                tables,
                *(_FIRST, _LAST, holding.until, holding.hold),
                *(_double(holding.above), _double(holding.below)),
            )
        )
        result = Held(*(np.zeros(pool.groups, np.int64) for _ in range(3)))
        for name, total in zip(Held._fields, result, strict=True):
            total[_whole(rows["grp"])] = _whole(rows[name])
        return result

    def presence(self, pool: Pool, edges: Integers) -> Presence:
        """As of `HistoryStore`."""
        slots = slots_of(edges)
        tables = self._tables(int(edges[0]), int(edges[-1]), _wanted(pool), slots)
        whole = WholePresence(pool.groups)
        rows = self._answer(self._ask.presence(tables, slots.first, slots.step, MOST_GAPS))
        whole.add({name: _whole(column) for name, column in rows.items()})
        return whole.told(len(edges) - 1)

    def time_weighted(
        self, series: Integers, edges: Integers, *, since: int, hold: int | None, pooled: bool = False
    ) -> tuple[Floats, Floats]:
        """As of `HistoryStore`."""
        shape = (1 if pooled else len(series), len(edges) - 1)
        area, covered = np.zeros(shape), np.zeros(shape)
        start, end, slots = int(edges[0]), int(edges[-1]), slots_of(edges)
        rows = np.zeros(len(series), np.int64) if pooled else np.arange(len(series))
        wanted = {"series": series.astype(np.int32), "grp": rows}
        tables = self._tables(since, end, wanted, slots)
        lasting = end - since if hold is None else hold
        found = self._answer(self._ask.time_weighted(tables, start, end, slots.first, slots.step, lasting))
        at = _whole(found["grp"]), _whole(found["bucket"])
        area[at], covered[at] = _numbers(found["area"]), _numbers(found["covered"])
        return mean_of(area, covered), covered

    def close(self) -> None:
        """Give the cluster back."""
        self._session.stop()

    @cached_property
    def _session(self) -> Any:
        from pyspark.sql import SparkSession

        begun = SparkSession.builder.master(self._master).appName("cityloom")
        for name, value in self._settings.items():
            begun = begun.config(name, value)
        return begun.getOrCreate()

    @cached_property
    def _engine(self) -> Any:
        import ibis

        return ibis.pyspark.connect(self._session)

    @cached_property
    def _ask(self) -> Any:
        from cityloom.history import long_questions

        return long_questions

    def _answer(self, expression: Any) -> dict[str, Any]:
        found = self._engine.to_pandas(expression)
        return {name: found[name].to_numpy() for name in found.columns}

    def _archived(self) -> Any:
        """All that lies in partitions that the asker may see, as Spark's own table."""
        folders = [
            folder for one in self._clearance if (folder := self._folder / f"class={one.label}").exists()
        ]
        if not folders:
            raise NotFound(
                "Nothing that you may see lies in the archive",
                hint="Look whether this is the folder in which class=open lies",
                where=str(self._folder),
            )
        return self._session.read.option("basePath", str(self._folder)).parquet(*map(str, folders))

    def _tables(self, since: int, until: int, wanted: dict[str, Any], slots: Slots | None = None) -> Any:
        """The tables of an interval: readings that stand, from partitions that the asker may see."""
        import pandas

        self._archived().createOrReplaceTempView("archived")
        parts = {"wanted": pandas.DataFrame(wanted)}
        if slots is not None:
            names = ("stretch", "bucket", "edge", "ends")
            parts["slots"] = pandas.DataFrame({name: getattr(slots, name) for name in names})
        for name, frame in parts.items():
            made = self._session.createDataFrame(frame)
            if "reference" in frame:
                # To Spark NaN is a number, and the greatest one.
                made = made.selectExpr("* EXCEPT (reference)", "nanvl(reference, NULL) AS reference")
            made.createOrReplaceTempView(name)
        # Of several readings of one instant, in several files as they came late, the last one stands.
        self._session.sql(
            "SELECT series, observed_at, sequence, number FROM ("
            "SELECT *, row_number() OVER (PARTITION BY series, observed_at ORDER BY sequence DESC) AS turn "
            "FROM archived LEFT SEMI JOIN wanted USING (series) WHERE kind < 5 AND NOT superseded "
            "AND month >= :first AND month <= :last "
            "AND observed_at >= :since AND observed_at < :until) WHERE turn = 1",
            args={
                "since": int(since),
                "until": int(until),
                # Of other months no file is opened.
                "first": f"{from_millis(int(since)):%Y-%m}",
                "last": f"{from_millis(int(until)):%Y-%m}",
            },
        ).createOrReplaceTempView("standing")
        tables = self._ask.Tables()
        here = {name: self._engine.table(name) for name in ("standing", *parts)}
        return tables._replace(**here)


class _Places(dict[Any, int]):
    """What there is, each once, in the order in which it is met."""

    def of(self, found: Iterable[Any]) -> Integers:
        """Where each of these stands."""
        return np.array([self.setdefault(one, len(self)) for one in found], np.int64)


def _wanted(pool: Pool, reference: Floats | None = None) -> dict[str, Any]:
    given = np.ones(len(pool.group)) if reference is None else reference
    return {
        "series": pool.window.series.astype(np.int32),
        "grp": pool.group,
        "turn": np.arange(len(pool.group)),
        "factor": pool.factor,
        "shift": pool.offset,
        "reference": given,
    }


def _double(number: float | None) -> Any:
    import ibis

    return ibis.literal(number, "float64")


def _whole(column: Any) -> Integers:
    return np.asarray(column).astype(np.int64)


def _numbers(column: Any) -> Floats:
    return np.asarray(column).astype(np.float64)
