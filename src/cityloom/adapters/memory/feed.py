"""The feed in memory: as ordered as the durable one, gone with the process."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from cityloom.kernel.change import Change


class MemoryFeed:
    """A `Feed` that survives nothing."""

    where = "the feed in memory"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: list[Change] = []
        #: The sequence before the first change kept.
        self._trimmed = 0
        self._cursors: dict[str, int] = {}

    def append(self, changes: Sequence[Change]) -> None:
        with self._lock:
            last = self._trimmed + len(self._changes)
            if changes and changes[0].sequence != last + 1:
                raise ValueError(f"change {changes[0].sequence} does not follow {last}")
            self._changes.extend(changes)

    def read(self, after: int, limit: int) -> list[Change]:
        with self._lock:
            start = max(0, after - self._trimmed)
            return self._changes[start : start + limit]

    def last_sequence(self) -> int:
        with self._lock:
            return self._trimmed + len(self._changes)

    def trim(self, through: int) -> int:
        with self._lock:
            count = max(0, min(through - self._trimmed, len(self._changes)))
            del self._changes[:count]
            self._trimmed += count
            return count

    def cursor(self, stage: str) -> int:
        return self._cursors.get(stage, 0)

    def set_cursor(self, stage: str, sequence: int) -> None:
        self._cursors[stage] = sequence

    def close(self) -> None:
        """Nothing is held open."""
