"""What snapshots need of the outside: a place of its own for what each is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from cityloom.context.broker import Broker
from cityloom.context.ports import Feed, StateTable
from cityloom.history.ports import HistoryStore


class Stores(NamedTuple):
    """What one snapshot is kept in. The feed alone must be durable: the others are read from it again."""

    feed: Feed
    table: StateTable
    history: HistoryStore

    def close(self) -> None:
        for store in (self.table, self.history, self.feed):
            store.close()


class Subscribing(Protocol):
    """The subscriptions in snapshots; a place is what `Snapshot.place` says."""

    #: Opens a snapshot, and tells whether it is there.
    open_snapshot: Callable[[str], Awaitable[bool]]

    def enter(
        self, place: str, broker: Broker, tenant: str, keep_secret: Callable[[], Awaitable[None]]
    ) -> None:
        """A snapshot is open; `keep_secret` has it become as secret as the city."""
        ...

    def leave(self, place: str) -> None:
        """A snapshot is closed."""
        ...

    async def ended(self, place: str) -> None:
        """A snapshot is gone."""
        ...


class SnapshotStores(Protocol):
    """The stores of all snapshots, by a name that is the city's own. Blocking."""

    def open(self, name: str) -> Stores:
        """The stores of a snapshot, made where they are not there. Raises BadConfig for damaged ones."""
        ...

    def size(self, name: str) -> int:
        """Bytes that a snapshot takes; 0 where there is none."""
        ...

    def remove(self, name: str) -> None:
        """Remove what a snapshot was kept in; it is closed. What is not there is no error."""
        ...

    def names(self) -> list[str]:
        """The snapshots of which there is something."""
        ...
