"""The folded state in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from cityloom.context.ports import Folded


class MemoryStateTable:
    """A `StateTable` that survives nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[int, Folded] = {}
        self._through = 0

    def load(self) -> Iterator[Folded]:
        with self._lock:
            rows = [self._rows[created] for created in sorted(self._rows)]
        return iter(rows)

    def folded_through(self) -> int:
        return self._through

    def fold(self, upserts: Sequence[Folded], deletes: Sequence[int], through: int) -> None:
        with self._lock:
            for state in upserts:
                self._rows[state.created] = state
            for created in deletes:
                self._rows.pop(created, None)
            self._through = through

    def close(self) -> None:
        """Nothing is held open."""
