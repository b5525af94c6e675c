"""Devices with their credentials in PostgreSQL."""

from __future__ import annotations

from typing import LiteralString

import msgspec

from cityloom.adapters.postgres.database import Database
from cityloom.sensing.model import DeviceRecord

MIGRATIONS: tuple[LiteralString, ...] = ("CREATE TABLE device (id text PRIMARY KEY, record bytea NOT NULL)",)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DeviceRecord).decode


class PostgresDeviceStore:
    """A `DeviceStore` in one schema."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> list[DeviceRecord]:
        rows = self._database.rows('SELECT record FROM device ORDER BY id COLLATE "C"')
        return [_decode(row[0]) for row in rows]

    def save(self, record: DeviceRecord) -> None:
        self._database.execute(
            "INSERT INTO device VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            record.device.id,
            _encode(record),
        )
