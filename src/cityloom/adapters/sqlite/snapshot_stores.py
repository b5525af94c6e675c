"""What snapshots are made of, in a folder: a feed in SQLite for each, and in memory what is read from it."""

from __future__ import annotations

from pathlib import Path

from cityloom.adapters.memory.history import MemoryHistory
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.snapshots.ports import Stores

_ENDINGS = (".db-shm", ".db-wal", ".db")


class SqliteSnapshotStores:
    """`SnapshotStores` with one file a snapshot."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> Stores:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Stores(SqliteFeed(self._path(name)), MemoryStateTable(), MemoryHistory())

    def size(self, name: str) -> int:
        there = (self._path(name, ending) for ending in _ENDINGS)
        return sum(path.stat().st_size for path in there if path.exists())

    def remove(self, name: str) -> None:
        for ending in _ENDINGS:
            self._path(name, ending).unlink(missing_ok=True)

    def names(self) -> list[str]:
        return sorted({path.name.partition(".")[0] for path in self._folder.glob("*.db*")})

    def _path(self, name: str, ending: str = ".db") -> Path:
        return self._folder / f"{name}{ending}"
