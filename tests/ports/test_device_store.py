"""Every device store keeps its promises."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from cityloom.adapters.memory.device_records import MemoryDeviceStore
from cityloom.adapters.postgres.device_records import PostgresDeviceStore
from cityloom.adapters.sqlite.device_records import SqliteDeviceStore
from cityloom.adapters.sqlite.records import Records
from cityloom.kernel.actor import InformationClass
from cityloom.sensing.model import Device, DeviceRecord, Measure, Profile

NOON = datetime(2026, 4, 12, 12, 0, tzinfo=UTC)
FARM = DeviceRecord(
    device=Device(
        id="farm-7",
        name="Farm 7, Åsen",
        profile=Profile(
            "WeatherObserved", "urn:ngsi-ld:WeatherObserved:farm-7", {"t": Measure("temperature", "CEL")}
        ),
        publishes=("city/#",),
        information_class=InformationClass.INTERNAL,
    ),
    admitted_at=NOON,
    admitted_by="person:1",
    token_digest="ab" * 32,
    fingerprint="cd" * 32,
    certificate="PEM",
)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request, tmp_path: Path):
    if request.param == "memory":
        yield MemoryDeviceStore()
        return
    if request.param == "postgres":
        yield PostgresDeviceStore(request.getfixturevalue("postgres"))
        return
    records = Records(tmp_path / "records.db")
    yield SqliteDeviceStore(records)
    records.close()


def test_load_gives_what_was_saved_ordered_by_id(store):
    gate = DeviceRecord(Device("a-gate"), NOON, "person:2", "00")
    store.save(FARM)
    store.save(gate)
    assert store.load() == [gate, FARM]


def test_save_replaces_what_was_kept_under_the_id(store):
    store.save(FARM)
    revoked = msgspec.structs.replace(FARM, revoked_at=NOON)
    store.save(revoked)
    assert store.load() == [revoked]


def test_load_finds_devices_after_the_file_was_closed(tmp_path):
    records = Records(tmp_path / "records.db")
    SqliteDeviceStore(records).save(FARM)
    records.close()
    again = Records(tmp_path / "records.db")
    assert SqliteDeviceStore(again).load() == [FARM]
    again.close()
