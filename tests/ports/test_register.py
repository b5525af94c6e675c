"""Every register keeps its promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityloom.adapters.memory.register import MemoryRegister
from cityloom.adapters.postgres.register import PostgresRegister
from cityloom.adapters.sqlite.records import Records
from cityloom.adapters.sqlite.register import SqliteRegister
from cityloom.context.ports import Entry

FIRST = Entry("", "urn:s:b", b'{"a":1}')
SECOND = Entry("", "urn:s:a", b'{"a":2}')
ELSEWHERE = Entry("other", "urn:s:a", b'{"a":3}')


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def register(request, tmp_path: Path):
    if request.param == "memory":
        yield MemoryRegister()
        return
    if request.param == "postgres":
        yield PostgresRegister(request.getfixturevalue("postgres"))
        return
    records = Records(tmp_path / "records.db")
    yield SqliteRegister(records)
    records.close()


def test_load_gives_one_kind_oldest_first(register):
    for entry in (FIRST, SECOND, ELSEWHERE):
        register.put("subscription", entry)
    register.put("registration", FIRST)
    assert register.load("subscription") == [FIRST, SECOND, ELSEWHERE]
    assert register.load("registration") == [FIRST]
    assert register.load("snapshot") == []


def test_put_replaces_a_document_and_leaves_its_place(register):
    register.put("subscription", FIRST)
    register.put("subscription", SECOND)
    again = Entry("", "urn:s:b", b"{}")
    register.put("subscription", again)
    assert register.load("subscription") == [again, SECOND]


def test_remove_removes_of_one_kind_and_tenant_alone(register):
    for kind in ("subscription", "registration"):
        for entry in (FIRST, SECOND, ELSEWHERE):
            register.put(kind, entry)
    register.remove("subscription", "", ["urn:s:a", "urn:s:nobody"])
    assert register.load("subscription") == [FIRST, ELSEWHERE]
    assert register.load("registration") == [FIRST, SECOND, ELSEWHERE]


def test_load_finds_documents_after_the_file_was_closed(tmp_path):
    records = Records(tmp_path / "records.db")
    SqliteRegister(records).put("subscription", FIRST)
    records.close()
    again = Records(tmp_path / "records.db")
    assert SqliteRegister(again).load("subscription") == [FIRST]
    again.close()
