"""The history in PostgreSQL with what is personal sealed in it."""

from __future__ import annotations

from pathlib import Path

from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.history import PostgresHistory
from cityloom.adapters.sealed.readings import SealedReadings
from cityloom.history.model import ReadingBatch, Readings, Window


class SealedPostgresHistory(PostgresHistory):
    """A `PostgresHistory` whose tables, and their dumps, never hold what is personal in clear."""

    def __init__(self, seal: SealedReadings, database: Database, exports: Path) -> None:
        self._seal = seal
        super().__init__(database, exports)

    def record(self, batch: ReadingBatch, through: int) -> None:
        super().record(self._seal.sealed(batch), through)

    def raw(self, window: Window) -> Readings:
        return self._seal.opened(super().raw(window))
