"""What snapshots are made of, in memory."""

from __future__ import annotations

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.history import MemoryHistory
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.snapshots.ports import Stores


class MemorySnapshotStores:
    """`SnapshotStores` that survive nothing but being opened again."""

    def __init__(self) -> None:
        self._feeds: dict[str, MemoryFeed] = {}

    def open(self, name: str) -> Stores:
        return Stores(self._feeds.setdefault(name, MemoryFeed()), MemoryStateTable(), MemoryHistory())

    def size(self, name: str) -> int:
        feed = self._feeds.get(name)
        return 0 if feed is None else sum(len(one.document) for one in feed.read(0, feed.last_sequence()))

    def remove(self, name: str) -> None:
        self._feeds.pop(name, None)

    def names(self) -> list[str]:
        return sorted(self._feeds)
