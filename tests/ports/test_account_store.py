"""Every account store and audit store keeps its promises."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import apsw
import msgspec
import psycopg
import pytest

from cityloom.access.model import Account, ApiToken, AuditEntry, Session
from cityloom.adapters.memory.accounts import MemoryAccountStore, MemoryAuditStore
from cityloom.adapters.postgres.accounts import PostgresAccountStore
from cityloom.adapters.postgres.audit import PostgresAuditStore
from cityloom.adapters.postgres.connection import InDoubt
from cityloom.adapters.sqlite.accounts import SqliteAccountStore
from cityloom.adapters.sqlite.audit import SqliteAuditStore
from cityloom.adapters.sqlite.records import Records
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadConfig, Conflict, NotFound

NOON = datetime(2026, 4, 12, 12, 0, tzinfo=UTC)

ANNA = Account(
    id="person:1",
    name="anna",
    display_name="Anna Ø.",
    roles=frozenset({"operator", "planner"}),
    password_hash="$argon2id$…",
    must_change_password=True,
    created_at=NOON,
    password_lapses_at=NOON + timedelta(days=7),
)
BO = msgspec.structs.replace(ANNA, id="person:2", name="bo", password_lapses_at=None, disabled=True)


def a_session(number: int, account: Account = ANNA) -> Session:
    at = NOON + timedelta(minutes=number)
    return Session(
        digest=f"digest-{number}",
        id=f"session:{number}",
        account_id=account.id,
        created_at=at,
        seen_at=at,
        expires_at=at + timedelta(hours=16),
        address="192.0.2.7",
        browser="Firefox",
    )


def a_token(number: int, account: Account = ANNA) -> ApiToken:
    return ApiToken(
        digest=f"digest-{number}",
        id=f"token:{number}",
        account_id=account.id,
        label="export",
        permissions=frozenset({"entities:read", "audit:read"}),
        clearance=frozenset({InformationClass.OPEN, InformationClass.INTERNAL}),
        created_at=NOON + timedelta(minutes=number),
        expires_at=NOON + timedelta(days=90),
    )


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request, tmp_path: Path):
    if request.param == "memory":
        yield MemoryAccountStore()
        return
    if request.param == "postgres":
        yield PostgresAccountStore(request.getfixturevalue("postgres"))
        return
    records = Records(tmp_path / "records.db")
    yield SqliteAccountStore(records)
    records.close()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def audit_store(request, tmp_path: Path):
    if request.param == "memory":
        yield MemoryAuditStore()
        return
    if request.param == "postgres":
        yield PostgresAuditStore(request.getfixturevalue("postgres"))
        return
    records = Records(tmp_path / "records.db")
    yield SqliteAuditStore(records)
    records.close()


def test_account_comes_back_as_it_was_kept(store):
    store.add_account(ANNA)
    store.add_account(BO)
    assert store.account("person:1") == ANNA
    assert store.account_named("bo") == BO
    assert store.accounts() == [ANNA, BO]


def test_account_that_is_not_there_is_none(store):
    assert store.account("person:1") is None
    assert store.account_named("anna") is None
    assert store.accounts() == []


def test_add_account_refuses_a_name_that_is_taken(store):
    store.add_account(ANNA)
    with pytest.raises(Conflict, match="anna"):
        store.add_account(msgspec.structs.replace(BO, name="anna"))
    assert store.accounts() == [ANNA]


def test_save_account_replaces_everything_but_the_id(store):
    store.add_account(ANNA)
    changed = msgspec.structs.replace(
        ANNA,
        display_name="Anna",
        roles=frozenset({"citizen"}),
        password_hash="$argon2id$other",
        must_change_password=False,
        password_lapses_at=None,
        disabled=True,
    )
    store.save_account(changed)
    assert store.account("person:1") == changed


def test_save_account_refuses_one_that_is_gone_and_a_name_of_another(store):
    store.add_account(ANNA)
    with pytest.raises(NotFound):
        store.save_account(BO)
    store.add_account(BO)
    with pytest.raises(Conflict):
        store.save_account(msgspec.structs.replace(BO, name="anna"))
    assert store.account("person:2") == BO


def test_delete_account_takes_its_sessions_and_tokens_along_and_no_others(store):
    for account, number in ((ANNA, 1), (BO, 2)):
        store.add_account(account)
        store.add_session(a_session(number, account))
        store.add_token(a_token(number, account))
    store.delete_account("person:1")
    assert store.account("person:1") is None
    assert store.session("digest-1") is None
    assert store.token("digest-1") is None
    assert store.session("digest-2") == a_session(2, BO)
    assert store.token("digest-2") == a_token(2, BO)
    store.delete_account("person:1")


def test_session_comes_back_and_the_newest_is_listed_first(store):
    store.add_account(ANNA)
    for number in (1, 3, 2):
        store.add_session(a_session(number))
    assert store.session("digest-2") == a_session(2)
    assert store.session("digest-9") is None
    assert [session.id for session in store.sessions_of("person:1")] == [
        "session:3",
        "session:2",
        "session:1",
    ]
    assert store.sessions_of("person:2") == []


def test_session_and_token_need_an_account(store):
    with pytest.raises(NotFound):
        store.add_session(a_session(1))
    with pytest.raises(NotFound):
        store.add_token(a_token(1))


def test_touch_session_changes_when_it_was_seen_alone(store):
    store.add_account(ANNA)
    store.add_session(a_session(1))
    later = NOON + timedelta(hours=1)
    store.touch_session("digest-1", later)
    assert store.session("digest-1") == msgspec.structs.replace(a_session(1), seen_at=later)
    store.touch_session("digest-9", later)


def test_delete_session_ends_that_one(store):
    store.add_account(ANNA)
    for number in (1, 2):
        store.add_session(a_session(number))
    store.delete_session("digest-1")
    assert [session.id for session in store.sessions_of("person:1")] == ["session:2"]
    store.delete_sessions_of("person:1")
    assert store.sessions_of("person:1") == []


def test_delete_sessions_before_forgets_what_expired_before(store):
    store.add_account(ANNA)
    for number in (0, 10, 20):
        store.add_session(a_session(number))
    assert store.delete_sessions_before(NOON + timedelta(hours=16, minutes=10)) == 1
    assert [session.id for session in store.sessions_of("person:1")] == ["session:20", "session:10"]


def test_token_comes_back_with_its_last_use(store):
    store.add_account(ANNA)
    store.add_token(a_token(1))
    store.add_token(a_token(2))
    assert store.token("digest-1") == a_token(1)
    store.touch_token("digest-1", NOON)
    assert store.token("digest-1") == msgspec.structs.replace(a_token(1), last_used_at=NOON)
    assert [token.id for token in store.tokens_of("person:1")] == ["token:2", "token:1"]
    store.delete_token("digest-1")
    assert store.token("digest-1") is None


def following(newest: AuditEntry | None, action: str = "thing.done") -> AuditEntry:
    return AuditEntry(
        sequence=newest.sequence + 1 if newest else 1,
        at=NOON,
        actor_id="person:1",
        actor_name="Anna Ø.",
        action=action,
        subject="urn:x",
        detail={"roles": ["a", "b"], "n": 1.5, "none": None},
        previous=newest.digest if newest else "0",
        digest=f"digest of {action} after {newest.digest if newest else 'nothing'}",
    )


def test_audit_entry_follows_the_newest_and_comes_back_as_it_was(audit_store):
    assert audit_store.last() is None
    first = audit_store.append(following)
    second = audit_store.append(following)
    assert second.sequence == 2
    assert second.previous == first.digest
    assert audit_store.last() == second
    assert audit_store.read(0, 10) == [first, second]
    assert audit_store.read(1, 10) == [second]
    assert audit_store.read(0, 1) == [first]


def test_audit_append_lets_no_other_entry_between(audit_store):
    def many() -> None:
        for _ in range(25):
            audit_store.append(following)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = audit_store.read(0, 1000)
    assert [entry.sequence for entry in entries] == list(range(1, 101))
    assert all(later.previous == earlier.digest for earlier, later in pairwise(entries))


def test_audit_append_stores_nothing_when_the_entry_cannot_be_made(audit_store):
    audit_store.append(following)

    def fails(newest: AuditEntry | None) -> AuditEntry:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        audit_store.append(fails)
    assert len(audit_store.read(0, 10)) == 1
    assert audit_store.append(following).sequence == 2


def test_sqlite_stores_survive_closing(tmp_path: Path):
    records = Records(tmp_path / "records.db")
    SqliteAccountStore(records).add_account(ANNA)
    SqliteAuditStore(records).append(following)
    records.close()
    records = Records(tmp_path / "records.db")
    assert SqliteAccountStore(records).accounts() == [ANNA]
    assert SqliteAuditStore(records).append(following).sequence == 2
    records.close()


def test_sqlite_audit_log_refuses_change_and_removal(tmp_path: Path):
    records = Records(tmp_path / "records.db")
    SqliteAuditStore(records).append(following)
    for statement in ("UPDATE audit SET action = 'x'", "DELETE FROM audit"):
        with pytest.raises(apsw.ConstraintError, match="append-only"), records.write() as connection:
            connection.execute(statement)
    assert len(SqliteAuditStore(records).read(0, 10)) == 1
    records.close()


def test_records_refuse_a_part_written_by_a_newer_release(tmp_path: Path):
    records = Records(tmp_path / "records.db")
    records.prepare("thing", ["CREATE TABLE thing (a)", "ALTER TABLE thing ADD COLUMN b"])
    records.prepare("thing", ["CREATE TABLE thing (a)", "ALTER TABLE thing ADD COLUMN b"])
    with pytest.raises(BadConfig, match="newer"):
        records.prepare("thing", ["CREATE TABLE thing (a)"])
    records.close()


def test_records_keep_the_old_version_when_a_migration_fails(tmp_path: Path):
    records = Records(tmp_path / "records.db")
    records.prepare("thing", ["CREATE TABLE thing (a)"])
    with pytest.raises(apsw.SQLError):
        records.prepare("thing", ["CREATE TABLE thing (a)", "ALTER TABLE thing ADD COLUMN b; NONSENSE"])
    assert records.rows("SELECT name FROM pragma_table_info('thing')") == [("a",)]
    assert records.row("SELECT version FROM part WHERE name = 'thing'") == (1,)
    records.close()


def test_postgres_tells_who_acts_while_its_database_is_held_up(postgres, postgres_server, postgres_address):
    """It is asked on the event loop, which a database must never stop."""
    store = PostgresAccountStore(postgres)
    store.add_account(ANNA)
    store.add_session(a_session(1))
    store.add_token(a_token(1))
    store = PostgresAccountStore(postgres)
    with psycopg.connect(postgres_server.url()) as other:
        other.execute(f"LOCK TABLE {', '.join(f'{postgres_address.schema}.{name}' for name in TABLES)}")
        assert store.account(ANNA.id) == store.account_named("anna") == ANNA
        assert store.session("digest-1") == a_session(1)
        assert store.sessions_of(ANNA.id) == [a_session(1)]
        assert store.token("digest-1") == a_token(1)
        assert store.tokens_of(ANNA.id) == [a_token(1)]


TABLES = ("account", "session", "api_token")


def test_postgres_believes_the_database_after_a_write_that_was_cut_off(postgres, monkeypatch):
    store = PostgresAccountStore(postgres)
    store.add_account(ANNA)
    store.add_session(a_session(1))
    execute = postgres.execute

    def cut_off(statement, *values):
        execute(statement, *values)
        raise InDoubt("cut off", hint="")

    monkeypatch.setattr(postgres, "execute", cut_off)
    with pytest.raises(InDoubt):
        store.delete_session("digest-1")
    monkeypatch.undo()
    store.touch_session("digest-2", NOON)
    assert store.session("digest-1") is None


def test_postgres_waits_for_a_commit_that_was_cut_off_here_and_goes_on_there(
    postgres, postgres_server, postgres_address
):
    """Or somebody who was signed out would be known for good."""
    store = PostgresAccountStore(postgres)
    for account in (ANNA, BO):
        store.add_account(account)
    store.add_session(a_session(1))
    next_write = threading.Thread(target=store.add_session, args=(a_session(2, BO),))
    with (
        psycopg.connect(postgres_server.url()) as under_way,
        psycopg.connect(postgres_server.url(), autocommit=True) as watcher,
    ):
        under_way.execute(f"DELETE FROM {postgres_address.schema}.session")
        with pytest.raises(InDoubt), store._written():
            raise InDoubt("The database went away", hint="")
        next_write.start()
        while next_write.is_alive():
            next_write.join(0.02)
            if watcher.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None:
                break
        under_way.commit()
    next_write.join(30)
    assert store.session("digest-1") is None
    assert store.session("digest-2") is not None
