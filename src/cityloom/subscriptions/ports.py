"""What telling others needs of the outside: a durable queue, and a way to MQTT brokers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from cityloom.subscriptions.model import Pending, Tally

#: A subscription by tenant and id.
Key = tuple[str, str]


class Outbox(Protocol):
    """What waits to be sent, until it is sent; and how sending went. Blocking; one caller at a time."""

    def lanes(self) -> Mapping[str, int]:
        """How many wait in each queue."""
        ...

    def newest(self) -> int:
        """The place of the newest that was ever there, 0 for none."""
        ...

    def tallies(self) -> Iterable[tuple[Key, Tally]]:
        """How notifying went, by subscription."""
        ...

    def add(self, items: Sequence[Pending]) -> None:
        """Keep these; return once they survive a power cut. Raises StorageFull, NotReady: nothing is kept."""
        ...

    def sizes(self) -> Mapping[Key, int]:
        """How many bytes wait for each subscription."""
        ...

    def oldest(self, key: Key, limit: int) -> list[Pending]:
        """The first of those that wait for a subscription, in order."""
        ...

    def read(self, lane: str, after: int, limit: int) -> list[Pending]:
        """Those of a queue with a place greater than `after`, in order."""
        ...

    def settle(self, places: Sequence[int], tallies: Sequence[tuple[Key, Tally]]) -> None:
        """Forget these, and keep how notifying went. What a power cut takes of it is sent again.

        Raises StorageFull, NotReady: nothing has changed.
        """
        ...

    def forget(self, keys: Sequence[Key]) -> None:
        """Forget subscriptions that are gone, and what waits for them."""
        ...

    def close(self) -> None: ...


class Publisher(Protocol):
    """Publishes to MQTT brokers that strangers named (ETSI GS CIM 009, 7.2)."""

    def check(self, url: str) -> None:
        """Look at an address before it is kept. Raises AddressNotAllowed."""
        ...

    async def publish(self, url: str, payload: bytes, *, version: int, qos: int, deadline: float) -> None:
        """Publish to the topic that the address names, and wait until the broker has it as `qos` asks.

        `version` is 4 (MQTT 3.1.1) or 5. Raises AddressNotAllowed, Unreachable.
        """
        ...

    async def close(self) -> None: ...
