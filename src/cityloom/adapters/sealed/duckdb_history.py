"""The history in DuckDB with what is personal sealed in it."""

from __future__ import annotations

from pathlib import Path

from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.adapters.sealed.readings import SealedReadings
from cityloom.history.model import ReadingBatch, Readings, Window


class SealedDuckHistory(DuckHistory):
    """A `DuckHistory` whose file, archive and exports never hold what is personal in clear."""

    def __init__(
        self, seal: SealedReadings, file: Path, exports: Path, *, memory_limit: str, threads: int
    ) -> None:
        self._seal = seal
        super().__init__(file, exports, memory_limit=memory_limit, threads=threads)

    def record(self, batch: ReadingBatch, through: int) -> None:
        super().record(self._seal.sealed(batch), through)

    def raw(self, window: Window) -> Readings:
        return self._seal.opened(super().raw(window), self._directory.known)
