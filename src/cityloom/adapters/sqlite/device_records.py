"""Devices with their credentials in `records.db`."""

from __future__ import annotations

import msgspec

from cityloom.adapters.sqlite.records import Records
from cityloom.sensing.model import DeviceRecord

MIGRATIONS = ("CREATE TABLE device (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID",)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DeviceRecord).decode


class SqliteDeviceStore:
    """A `DeviceStore` in the file of records."""

    def __init__(self, records: Records) -> None:
        self._records = records
        records.prepare("devices", MIGRATIONS)

    def load(self) -> list[DeviceRecord]:
        return [_decode(row[0]) for row in self._records.rows("SELECT record FROM device ORDER BY id")]

    def save(self, record: DeviceRecord) -> None:
        with self._records.write() as connection:
            connection.execute(
                "REPLACE INTO device VALUES (?, ?)", (record.device.id, _encode(record).decode())
            )
