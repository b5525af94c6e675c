"""Parked readings in memory."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence

import msgspec

from cityloom.kernel.actor import InformationClass
from cityloom.sensing.model import ParkedReading
from cityloom.sensing.ports import Room


class MemoryParkedStore:
    """A `ParkedStore` that survives nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: dict[int, ParkedReading] = {}
        self._last = 0
        self._forgotten = 0

    def add(self, readings: Sequence[ParkedReading], room: Room) -> None:
        with self._lock:
            for reading in readings:
                self._last += 1
                self._readings[self._last] = msgspec.structs.replace(reading, id=self._last)
            for reading in readings:
                mine = [one for one in self._readings.values() if _owner(one) == _owner(reading)]
                self._forget(mine[: max(0, len(mine) - room.most_of_one)])
            everything = list(self._readings.values())
            self._forget(everything[: max(0, len(everything) - room.most)])
            while sum(len(one.body) for one in self._readings.values()) > room.most_bytes:
                self._forget([next(iter(self._readings.values()))])

    def newest(
        self, classes: Collection[InformationClass], limit: int, before: int = 0, connector: str = ""
    ) -> list[ParkedReading]:
        with self._lock:
            found = [
                one
                for one in reversed(self._readings.values())
                if (not before or one.id < before)
                and connector in ("", one.connector)
                and one.information_class in classes
            ]
        return found[:limit]

    def find(self, classes: Collection[InformationClass], reading_id: int) -> ParkedReading | None:
        found = self._readings.get(reading_id)
        return found if found is not None and found.information_class in classes else None

    def remove(self, classes: Collection[InformationClass], reading_ids: Sequence[int]) -> int:
        with self._lock:
            seen = {number for number in reading_ids if self.find(classes, number) is not None}
            for number in seen:
                del self._readings[number]
            return len(seen)

    def count(self, classes: Collection[InformationClass]) -> int:
        with self._lock:
            return sum(one.information_class in classes for one in self._readings.values())

    def forgotten(self) -> int:
        return self._forgotten

    def _forget(self, readings: Sequence[ParkedReading]) -> None:
        for reading in readings:
            del self._readings[reading.id]
        self._forgotten += len(readings)


def _owner(reading: ParkedReading) -> tuple[str, str]:
    return reading.connector, reading.device
