"""HistoryStore in memory."""

from __future__ import annotations

import csv
import tempfile
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.history import pools
from cityloom.history.directory import SeriesDirectory
from cityloom.history.model import (
    Floats,
    Integers,
    PastColumn,
    ReadingBatch,
    Readings,
    Series,
    Statistics,
    ValueKind,
    Window,
    no_readings,
)
from cityloom.history.periodwise import aggregate_readings
from cityloom.history.planning import Plan, Row
from cityloom.history.pools import CellSummary, Held, Holding, Pool, Presence, mean_of
from cityloom.history.ports import EXPORT_COLUMNS, FORMULA_BEGINS
from cityloom.history.shapes import GroupedSeries
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import from_millis, now_millis


class MemoryHistory:
    """Rows by series in lists."""

    formats = frozenset({"csv"})

    def __init__(self, exports: Path | None = None) -> None:
        self._exports = exports or Path(tempfile.gettempdir())
        self._lock = threading.RLock()
        self._through = 0
        self._rows: dict[int, list[Row]] = {}
        #: (series, at, sequence) of readings that were corrected.
        self._superseded: set[tuple[int, int, int]] = set()
        # The directory has met every series here, so it never asks for the newest readings.
        self._directory = SeriesDirectory(lambda _series, _ahead: no_readings())

    def last_sequence(self) -> int:
        return self._through

    def record(self, batch: ReadingBatch, through: int) -> None:
        with self._lock:
            if through <= self._through:
                return
            plan = self._directory.plan([news for news in batch if news.sequence > self._through])
            self._write_plan(plan)
            self._directory.apply(plan)
            self._through = through

    def load(self, columns: Sequence[PastColumn]) -> int:
        with self._lock:
            planned = self._directory.plan_past(columns)
            now = now_millis()
            for one, column in planned:
                self._rows[one.id] = [
                    Row(one.id, at, column.kind, number, None, 0, now, observed=True, origin=column.origin)
                    for at, number in zip(column.at.tolist(), column.number.tolist(), strict=True)
                ]
            self._directory.apply_past(planned)
        return sum(len(column.at) for _, column in planned)

    def series(
        self,
        tenant: str,
        *,
        entity_ids: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        attributes: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
    ) -> list[Series]:
        return self._directory.select(
            tenant, entity_ids=entity_ids, types=types, attributes=attributes, datasets=datasets
        )

    def grouped(
        self,
        tenant: str,
        *,
        entity_ids: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        attributes: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
    ) -> GroupedSeries:
        return self._directory.grouped(
            tenant, entity_ids=entity_ids, types=types, attributes=attributes, datasets=datasets
        )

    def entities(self, tenant: str) -> list[str]:
        return self._directory.entities(tenant)

    def raw(self, window: Window) -> Readings:
        with self._lock:
            numbers = sorted({int(number) for number in window.series})
            rows = [row for number in numbers for row in self._inside(number, window)]
        if window.by_time:
            turn = -1 if window.backwards else 1
            rows.sort(key=lambda row: (turn * _time(row, window), turn * row.sequence, row.series))
        return _columns(rows[: window.limit])

    def aggregate(
        self, window: Window, edges: Integers, methods: Sequence[str], *, pooled: bool = False
    ) -> dict[str, Floats]:
        row_of = {int(number): 0 if pooled else row for row, number in enumerate(window.series)}
        found = self.raw(window)
        rows = np.array([row_of[number] for number in found.series.tolist()], np.int64)
        times = found.recorded_at if window.by_recorded else found.at
        if window.by_created:
            times = found.created_at
        return aggregate_readings(found, rows, times, edges, methods, 1 if pooled else len(row_of))

    def cells(
        self,
        pool: Pool,
        edges: Integers,
        *,
        chosen: NDArray[np.bool_] | None = None,
        above: float | None = None,
        medians: bool = False,
    ) -> CellSummary:
        return pools.cells_of(self.raw(pool.window), pool, edges, chosen, above, medians=medians)

    def held(self, pool: Pool, holding: Holding) -> Held:
        return pools.held_of(self.raw(pool.window), pool, holding)

    def presence(self, pool: Pool, edges: Integers) -> Presence:
        return pools.presence_of(self.raw(pool.window), pool, edges)

    def time_weighted(
        self, series: Integers, edges: Integers, *, since: int, hold: int | None, pooled: bool = False
    ) -> tuple[Floats, Floats]:
        first, last = int(edges[0]), int(edges[-1])
        earlier = self.raw(Window(series, since, first, last_n=1))
        inside = self.raw(Window(series, first, last))
        area, covered = pools.weighted_of(earlier, inside, series, edges, hold)
        if pooled:
            area, covered = area.sum(axis=0, keepdims=True), covered.sum(axis=0, keepdims=True)
        return mean_of(area, covered), covered.astype(np.float64)

    def extent(self, window: Window) -> tuple[int, int] | None:
        with self._lock:
            rows = [row for number in window.series.tolist() for row in self._inside(number, window)]
        times = [_time(row, window) for row in rows]
        return (min(times), max(times)) if times else None

    def statistics(self, series: Integers) -> list[Statistics]:
        found = self.raw(Window(series))
        return [
            Statistics(int(number), len(at), int(observed.sum()), int(at.min()), int(at.max()))
            for number in np.unique(found.series)
            for here in [found.series == number]
            for at, observed in [(found.at[here], found.observed[here])]
        ]

    def export(self, window: Window, format_name: str) -> Path:
        if format_name not in self.formats:
            raise BadInput(f"{format_name!r} is not a format of export", hint="Ask for csv.", where="format")
        path = self._exports / f"{uuid.uuid4().hex}.{format_name}"
        found = self.raw(window)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(EXPORT_COLUMNS)
            writer.writerows(
                (*_export_row(self._directory.get(number), found, row), self._origin(found, row))
                for row, number in enumerate(found.series.tolist())
            )
        return path

    def forget(self, series: Integers) -> int:
        with self._lock:
            gone = sum(len(self._rows.pop(int(number), ())) for number in series)
            self._directory.forget(int(number) for number in series)
        return gone

    def settle(self, before: int) -> int:  # noqa: ARG002 - the port's
        return 0  # they are kept by series

    def interrupt_reading(self) -> None:
        """Nothing takes long here."""

    def close(self) -> None:
        self._rows.clear()

    def _origin(self, found: Readings, row: int) -> str:
        place = (int(found.at[row]), int(found.sequence[row]))
        rows = self._rows[int(found.series[row])]
        return next(one.origin.name.lower() for one in rows if (one.at, one.sequence) == place)

    def _write_plan(self, plan: Plan) -> None:
        for series, at, kind, number, sequence, recorded_at, observed, origin in plan.numbers:
            row = Row(series, at, kind, number, None, sequence, recorded_at, observed, origin)
            self._rows.setdefault(series, []).append(row)
        for row in plan.rows:
            self._rows.setdefault(row.series, []).append(row)
        for series, at, sequence in plan.late:
            late = [row for row in self._rows.get(series, ()) if row.at == at and row.sequence < sequence]
            self._superseded.update((series, at, row.sequence) for row in late)
        for gone in plan.erased:
            self._rows[gone.series] = [
                row
                for row in self._rows.get(gone.series, ())
                if row.at != gone.at or row.sequence > gone.sequence
            ]
        for number in plan.forgotten:
            self._rows.pop(number, None)

    def _inside(self, number: int, window: Window) -> list[Row]:
        inside = [
            row
            for row in self._rows.get(number, ())
            if (window.since is None or _time(row, window) >= window.since)
            and (window.until is None or _time(row, window) < window.until)
            and (row.observed or not window.observed)
            and (window.instance is None or row.instance == window.instance)
            and (window.marks == "with" or (row.kind is ValueKind.NOTHING) == (window.marks == "only"))
            and (window.corrected or (number, row.at, row.sequence) not in self._superseded)
        ]
        inside.sort(key=lambda row: (_time(row, window), row.sequence))
        return inside if window.last_n is None else inside[max(0, len(inside) - window.last_n) :]


def _time(row: Row, window: Window) -> int:
    if window.by_created:
        return row.recorded_at if row.created_at is None else row.created_at
    return row.recorded_at if window.by_recorded else row.at


def _columns(rows: list[Row]) -> Readings:
    if not rows:
        return no_readings()
    series, at, kind, number, text, sequence, recorded_at, observed, _origin, details, instance, created = (
        zip(*map(msgspec.structs.astuple, rows), strict=True)
    )
    return Readings(
        series=np.array(series, np.int64),
        at=np.array(at, np.int64),
        kind=np.array(kind, np.uint8),
        number=np.array(number, np.float64),
        text=_texts(text),
        sequence=np.array(sequence, np.int64),
        recorded_at=np.array(recorded_at, np.int64),
        observed=np.array(observed, np.bool_),
        details=_texts(details),
        instance=_texts(instance),
        created_at=np.array(
            [row.recorded_at if said is None else said for row, said in zip(rows, created, strict=True)],
            np.int64,
        ),
    )


def _texts(column: Sequence[str | None]) -> NDArray[np.object_]:
    texts = np.empty(len(column), object)
    texts[:] = column
    return texts


def _export_row(one: Series, found: Readings, row: int) -> tuple[str, ...]:
    number, text = float(found.number[row]), found.text[row]
    if text and text[0] in FORMULA_BEGINS:
        text = f"'{text}"
    return (
        one.key.entity_id,
        " ".join(one.types),
        one.key.attribute,
        one.key.dataset,
        _instant(int(found.at[row])),
        "" if text is not None else str(number),
        text or "",
        one.key.unit_code,
        _instant(int(found.recorded_at[row])),
    )


def _instant(millis: int) -> str:
    return from_millis(millis).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
