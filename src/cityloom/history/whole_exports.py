"""Whole histories that go out: what there is of each type, and files of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import numpy as np

from cityloom.access.audit import AuditLog
from cityloom.access.authority import require
from cityloom.context.broker import Broker
from cityloom.history.loads import PERMISSION, load_store_of
from cityloom.history.model import Integers, Series, Window
from cityloom.history.ports import HistoryStore
from cityloom.history.queries import History
from cityloom.history.stage import HistoryStage
from cityloom.history.temporal_lines import temporal_lines
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import BadInput


class Part(msgspec.Struct, frozen=True):
    """What an export has of one type: its first and last instant, in milliseconds."""

    type: str
    since: int
    until: int


class WholeExports:
    """All that is remembered, as far as somebody sees it.

    All methods are called on the event loop and need the permission `history:load`.
    """

    def __init__(self, store: HistoryStore, broker: Broker, audit: AuditLog, stage: HistoryStage) -> None:
        self._store = store
        self._history = History(store, broker)
        self._broker = broker
        self._audit = audit
        self._stage = stage

    async def parts(self, actor: Actor, classes: Sequence[InformationClass]) -> list[Part]:
        """What there is to export of these classes, as far as the actor sees them."""
        require(actor, PERMISSION)
        await self._stage.caught_up(self._broker.last_sequence)
        found = []
        by_type = await asyncio.to_thread(self._by_type, actor, classes)
        for name, series in sorted(by_type.items()):
            window = Window(_numbers(series), corrected=True, marks="with")
            span = await asyncio.to_thread(self._store.extent, window)
            if span is not None:
                found.append(Part(name, *span))
        return found

    async def export(
        self, actor: Actor, part: Part, classes: Sequence[InformationClass], format_name: str
    ) -> tuple[str, int]:
        """A file in the folder of exports with what a part says, since <= observedAt < until; how many.

        Type "" means all. "ngsild" tells what is known now, in lines of EntityTemporal; the others tell what
        was corrected, too.
        """
        require(actor, PERMISSION)
        if format_name not in ("csv", "parquet", "ngsild"):
            raise BadInput(
                f"{format_name!r} is not a format of export",
                hint="Ask for parquet, csv or ngsild.",
                where="format",
            )
        found = await asyncio.to_thread(self._by_type, actor, classes)
        series = found.get(part.type, []) if part.type else [one for some in found.values() for one in some]
        await self._audit.record(actor, "history.export", part.type, {"format": format_name})
        if format_name == "ngsild":
            return await asyncio.to_thread(self._export_temporal, series, part)
        path, count = await asyncio.to_thread(
            load_store_of(self._store).export_whole, _numbers(series), part.since, part.until, format_name
        )
        return path.name, count

    def _by_type(self, actor: Actor, classes: Sequence[InformationClass]) -> dict[str, list[Series]]:
        """The series that somebody sees, by the first type of their Entities; of a large city it takes
        seconds. Blocking."""
        found: dict[str, list[Series]] = {}
        for one in self._history.series(actor, None, whole=True):
            if one.information_class in classes:
                found.setdefault(one.types[0] if one.types else "Thing", []).append(one)
        return found

    def _export_temporal(self, series: list[Series], part: Part) -> tuple[str, int]:
        """Lines of a JSON array, a few thousand instances each; blocking."""
        path, count = load_store_of(self._store).new_export("json"), 0
        with path.open("w", encoding="utf-8") as file:
            file.write("[")
            for number, (line, instances) in enumerate(
                temporal_lines(self._store, series, part.since, part.until)
            ):
                file.write(",\n" if number else "\n")
                file.write(line)
                count += instances
            file.write("\n]\n")
        return path.name, count


def _numbers(series: Sequence[Series]) -> Integers:
    return np.array([one.id for one in series], np.int64)
