"""The history in PostgreSQL with what is personal sealed in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.history import PostgresHistory
from cityloom.adapters.postgres.history_parts import PostgresParts
from cityloom.adapters.postgres.history_series import StoredSeries
from cityloom.adapters.sealed.readings import SealedReadings
from cityloom.context.parcels import HOME
from cityloom.history.model import EntityNews, ReadingBatch, Readings, Window
from cityloom.history.parts import Portion


class SealedPostgresHistory(PostgresHistory):
    """A `PostgresHistory` whose tables, and their dumps, never hold what is personal in clear."""

    def __init__(
        self,
        seal: SealedReadings,
        database: Database,
        exports: Path,
        *,
        parts: int = 0,
        known: StoredSeries | None = None,
    ) -> None:
        self._seal = seal
        super().__init__(database, exports, parts=parts, known=known)

    def record(self, batch: ReadingBatch, through: int) -> None:
        super().record(self._seal.sealed(batch), through)

    def _partition_of(self, news: EntityNews, parts: int) -> int:
        return HOME if self._seal.is_personal(news) else super()._partition_of(news, parts)

    def raw(self, window: Window) -> Readings:
        return self._seal.opened(super().raw(window), self._directory.known)


class SealedParts(PostgresParts):
    """`PostgresParts` for the process that has the keys: what is personal is remembered there alone."""

    def __init__(self, seal: SealedReadings, database: Database) -> None:
        self._seal = seal
        super().__init__(database)

    def record(self, portions: Sequence[Portion]) -> None:
        super().record([msgspec.structs.replace(one, news=self._seal.sealed(one.news)) for one in portions])
