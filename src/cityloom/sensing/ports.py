"""What sensing needs of the outside: places to keep devices and parked readings.

All methods block, and may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from cityloom.kernel.actor import InformationClass
from cityloom.sensing.model import DeviceRecord, ParkedReading


class DeviceStore(Protocol):
    """Keeps the admitted devices with their credentials."""

    def load(self) -> list[DeviceRecord]:
        """All of them, revoked ones too, ordered by id."""
        ...

    def save(self, record: DeviceRecord) -> None:
        """Keep a device, new or changed, durably. Raises StorageFull, NotReady."""
        ...


class Room(msgspec.Struct, frozen=True):
    """How much is kept of what was parked: in all, of one device at one connector, and in bytes of bodies."""

    most: int = 20_000
    most_of_one: int = 1_000
    most_bytes: int = 256 * 1024 * 1024


class ParkedStore(Protocol):
    """Keeps parked readings, newest first, and not without end.

    `classes` are those that whoever asks may see; the others are not there for them.
    """

    def add(self, readings: Sequence[ParkedReading], room: Room) -> None:
        """Keep these durably, in one commit, under ids of their own; the oldest go when there is no room.

        Raises StorageFull, NotReady; then nothing was kept.
        """
        ...

    def newest(
        self, classes: Collection[InformationClass], limit: int, before: int = 0, connector: str = ""
    ) -> list[ParkedReading]:
        """Newest first; those before the id `before` when it is not 0; of one connector where named."""
        ...

    def find(self, classes: Collection[InformationClass], reading_id: int) -> ParkedReading | None: ...

    def remove(self, classes: Collection[InformationClass], reading_ids: Sequence[int]) -> int:
        """Forget these; returns how many there were."""
        ...

    def count(self, classes: Collection[InformationClass]) -> int: ...

    def forgotten(self) -> int:
        """How many went since the beginning because there was no room."""
        ...
