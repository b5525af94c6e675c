"""Devices in memory."""

from __future__ import annotations

from cityloom.sensing.model import DeviceRecord


class MemoryDeviceStore:
    """A `DeviceStore` that survives nothing."""

    def __init__(self) -> None:
        self._records: dict[str, DeviceRecord] = {}

    def load(self) -> list[DeviceRecord]:
        return [self._records[name] for name in sorted(self._records)]

    def save(self, record: DeviceRecord) -> None:
        self._records[record.device.id] = record
