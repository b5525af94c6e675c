"""Every store of reporters and of photos keeps its promises."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from cityloom.adapters.files.photos import FilePhotoStore
from cityloom.adapters.memory.reporters import MemoryPhotoStore, MemoryReporterStore
from cityloom.adapters.postgres.reporters import PostgresReporterStore
from cityloom.adapters.sqlite.records import Records
from cityloom.adapters.sqlite.reporters import SqliteReporterStore
from cityloom.kernel.errors import StorageFull
from cityloom.people.ports import Reporter

NOON = datetime(2026, 4, 12, 12, 0, tzinfo=UTC)


def a_reporter(number: int, **changes) -> Reporter:
    reporter = Reporter(
        report_id=f"urn:ngsi-ld:CitizenReport:{number}",
        follow_digest=f"digest-{number}",
        language="da",
        submitted_at=NOON + timedelta(minutes=number),
        account_id="person:1",
        email="anna@example.org",
        phone="+45 12345678",
    )
    return msgspec.structs.replace(reporter, **changes)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request, tmp_path: Path):
    if request.param == "memory":
        yield MemoryReporterStore()
        return
    if request.param == "postgres":
        yield PostgresReporterStore(request.getfixturevalue("postgres"))
        return
    records = Records(tmp_path / "records.db")
    yield SqliteReporterStore(records)
    records.close()


@pytest.fixture(params=["memory", "files"])
def photos(request, tmp_path: Path):
    return MemoryPhotoStore() if request.param == "memory" else FilePhotoStore(tmp_path / "photos")


def test_reporter_is_found_by_report_and_by_code(store):
    store.add(a_reporter(1))
    store.add(a_reporter(2, account_id="", email="", phone=""))
    assert store.of_report("urn:ngsi-ld:CitizenReport:1") == a_reporter(1)
    assert store.of_code("digest-2") == a_reporter(2, account_id="", email="", phone="")
    assert store.of_report("urn:ngsi-ld:CitizenReport:9") is None
    assert store.of_code("") is None


def test_reporters_of_an_account_are_listed_the_newest_first(store):
    for number, account in ((1, "person:1"), (2, ""), (3, "person:1"), (4, "person:2")):
        store.add(a_reporter(number, account_id=account))
    assert [one.follow_digest for one in store.of_account("person:1")] == ["digest-3", "digest-1"]
    assert store.of_account("") == []


def test_forget_contact_removes_the_ways_to_reach_and_nothing_else(store):
    store.add(a_reporter(1))
    store.add(a_reporter(2))
    store.add(a_reporter(3, email="", phone=""))
    store.forget_contact("urn:ngsi-ld:CitizenReport:1")
    assert store.of_code("digest-1") == a_reporter(1, email="", phone="")
    assert store.with_contact() == ["urn:ngsi-ld:CitizenReport:2"]


def test_delete_removes_the_reporter(store):
    store.add(a_reporter(1))
    store.delete("urn:ngsi-ld:CitizenReport:1")
    assert store.of_code("digest-1") is None
    store.delete("urn:ngsi-ld:CitizenReport:1")


def test_sqlite_file_keeps_no_byte_of_a_forgotten_contact(tmp_path: Path):
    records = Records(tmp_path / "records.db")
    store = SqliteReporterStore(records)
    store.add(a_reporter(1, email="very.private@example.org"))
    store.forget_contact("urn:ngsi-ld:CitizenReport:1")
    records.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"digest-1" in kept
    assert b"very.private" not in kept


def test_photo_comes_back_under_a_name_that_its_content_gives(photos):
    name = photos.put(b"picture", "jpg", of="urn:ngsi-ld:CitizenReport:1")
    assert name == photos.put(b"picture", "jpg", of="urn:ngsi-ld:CitizenReport:1")
    assert name != photos.put(b"another", "jpg", of="urn:ngsi-ld:CitizenReport:1")
    assert name.endswith(".jpg")
    assert photos.get(name) == b"picture"


def test_photo_that_is_not_there_is_none(photos):
    assert photos.get("0" * 64 + ".jpg") is None
    name = photos.put(b"picture", "png", of="urn:ngsi-ld:CitizenReport:1")
    photos.delete(name)
    photos.delete(name)
    assert photos.get(name) is None


@pytest.mark.parametrize(
    "name", ["", "..", "../records.db", "/etc/passwd", "a" * 64, "A" * 64 + ".jpg", "\0"]
)
def test_photo_store_opens_nothing_but_photos(photos, name):
    assert photos.get(name) is None
    photos.delete(name)


def test_photo_file_is_whole_or_not_there(tmp_path: Path, monkeypatch):
    photos = FilePhotoStore(tmp_path / "photos")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        photos.put(b"picture", "jpg", of="urn:ngsi-ld:CitizenReport:1")
    assert [path for path in (tmp_path / "photos").rglob("*") if path.is_file()] == []
    monkeypatch.undo()
    assert photos.get(photos.put(b"picture", "jpg", of="urn:ngsi-ld:CitizenReport:1")) == b"picture"


def test_photo_file_survives_in_another_store_of_the_same_folder(tmp_path: Path):
    name = FilePhotoStore(tmp_path / "photos").put(b"picture", "jpg", of="urn:ngsi-ld:CitizenReport:1")
    assert FilePhotoStore(tmp_path / "photos").get(name) == b"picture"
