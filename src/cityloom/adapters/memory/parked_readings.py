"""Parked readings in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import msgspec

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

    def newest(self, limit: int, before: int = 0, connector: str = "") -> list[ParkedReading]:
        with self._lock:
            found = [
                one
                for one in reversed(self._readings.values())
                if (not before or one.id < before) and connector in ("", one.connector)
            ]
        return found[:limit]

    def find(self, reading_id: int) -> ParkedReading | None:
        return self._readings.get(reading_id)

    def remove(self, reading_ids: Sequence[int]) -> int:
        with self._lock:
            return sum(self._readings.pop(number, None) is not None for number in reading_ids)

    def count(self) -> int:
        return len(self._readings)

    def forgotten(self) -> int:
        return self._forgotten

    def _forget(self, readings: Sequence[ParkedReading]) -> None:
        for reading in readings:
            del self._readings[reading.id]
        self._forgotten += len(readings)


def _owner(reading: ParkedReading) -> tuple[str, str]:
    return reading.connector, reading.device
