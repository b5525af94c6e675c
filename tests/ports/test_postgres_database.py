"""What the database of a grown city promises: its address, its versions, its bounds, and whose it is."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import psycopg
import pytest

from cityloom.access.model import AuditEntry
from cityloom.adapters.postgres.accounts import PostgresAccountStore
from cityloom.adapters.postgres.address import Address
from cityloom.adapters.postgres.audit import PostgresAuditStore
from cityloom.adapters.postgres.database import Database, look_at
from cityloom.adapters.postgres.schema import PARTS
from cityloom.kernel.errors import BadConfig, BadInput, NotReady

SECRET = "s3cr3t%20horse"
PLAIN = "s3cr3t horse"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://city:{SECRET}@[::1/city",
        f"postgresql://city:{SECRET}@127.0.0.1:1/city?nonsense=1",
        f"mysql://city:{SECRET}@127.0.0.1/city",
        f"host=127.0.0.1 password='{PLAIN}",
    ],
)
def test_address_that_cannot_be_read_is_refused_without_being_repeated(url):
    with pytest.raises(BadConfig) as caught:
        Address(url)
    assert PLAIN not in str(caught.value) and SECRET not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_server_that_does_not_answer_is_named_without_the_password():
    address = Address(f"postgresql://city:{SECRET}@127.0.0.1:1/city")
    with pytest.raises(BadConfig, match="cannot be reached") as caught:
        Database(address)
    assert caught.value.where == "postgresql://city@127.0.0.1:1/city"
    for said in (str(caught.value), repr(address), address.shown, *map(str, look_at(address, PARTS))):
        assert PLAIN not in said and SECRET not in said


@pytest.mark.parametrize("schema", ["", "Public", "a b", 'a"b', "a;b", "1a", "x" * 64])
def test_schema_has_a_plain_name(schema):
    with pytest.raises(BadConfig, match="schema"):
        Address("postgresql:///city", schema)


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("postgresql://db.example/city", "require"),
        ("postgresql://db.example/city?sslmode=verify-full", "verify-full"),
        ("postgresql://db.example/city?sslmode=disable", "disable"),
        ("postgresql://127.0.0.1,192.0.2.7/city", "require"),
        ("postgresql://127.0.0.1/city", None),
        ("postgresql:///city?host=/run/postgresql", None),
    ],
)
def test_server_elsewhere_is_spoken_to_over_tls(url, mode):
    assert Address(url).parameters.get("sslmode") == mode


def test_every_connection_is_bounded_and_keeps_to_its_schema(postgres):
    def setting(name: str) -> str:
        ((value,),) = postgres.rows("SELECT current_setting(%s)", (name,))
        return value

    assert setting("search_path") == f'"{postgres.address.schema}", pg_temp'
    assert setting("statement_timeout") == "30s"
    assert setting("lock_timeout") == "5s"
    assert setting("idle_in_transaction_session_timeout") == "1min"
    assert setting("TimeZone") == "UTC"
    assert setting("synchronous_commit") == "on"


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_server_that_would_forget_is_refused(postgres_address, postgres_server, setting):
    postgres_server.restart(f"{setting}=off")
    try:
        with pytest.raises(BadConfig, match=f"power cut: {setting} is off"):
            Database(postgres_address)
        (said,) = look_at(postgres_address, PARTS)
        assert setting in said.message
    finally:
        postgres_server.restart()


def test_session_that_would_forget_is_refused(postgres_server):
    url = postgres_server.url() + "&options=-csynchronous_commit%3Doff"
    with pytest.raises(BadConfig, match="synchronous_commit is off"):
        Database(Address(url))


def test_server_that_is_too_old_is_refused(postgres_address, monkeypatch):
    monkeypatch.setattr("cityloom.adapters.postgres.connection.OLDEST_VERSION", 990000)
    with pytest.raises(BadConfig, match="too old") as caught:
        Database(postgres_address)
    assert "PostgreSQL 99 or newer" in caught.value.hint


def test_texts_are_kept_as_utf_8_or_not_at_all(postgres_server):
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(BadConfig, match="LATIN1"):
        Database(Address(postgres_server.url("latin")))


def test_prepare_refuses_what_a_newer_release_wrote(postgres):
    parts = {"thing": ["CREATE TABLE thing (a int)", "ALTER TABLE thing ADD COLUMN b int"]}
    postgres.prepare(parts)
    postgres.prepare(parts)
    with pytest.raises(BadConfig, match="newer CityLoom"):
        postgres.prepare({"thing": parts["thing"][:1]})
    (said,) = look_at(postgres.address, {**PARTS, "thing": parts["thing"][:1]})
    assert "newer CityLoom" in said.message


def test_prepare_does_all_or_nothing(postgres):
    with pytest.raises(psycopg.errors.SyntaxError):
        postgres.prepare(
            {"one": ["CREATE TABLE one (a int)"], "two": ["CREATE TABLE two (a int)", "NONSENSE"]}
        )
    assert postgres.rows("SELECT to_regclass('one'), to_regclass('two')") == [(None, None)]
    assert postgres.rows("SELECT name FROM part WHERE name IN ('one', 'two')") == []


def test_prepare_by_several_processes_at_once_is_done_once(postgres_address):
    databases = [Database(postgres_address) for _ in range(4)]
    failures = []

    def prepare(database: Database) -> None:
        try:
            database.prepare(PARTS)
        except Exception as error:  # noqa: BLE001 - all of them count
            failures.append(error)

    threads = [threading.Thread(target=prepare, args=(one,)) for one in databases]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert failures == []
    assert databases[0].rows("SELECT count(*) FROM part") == [(len(PARTS),)]
    for one in databases:
        one.close()


def test_user_without_rights_is_told_what_is_missing(postgres_server, postgres):
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN")
        connection.execute("CREATE DATABASE of_guests")
        connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    stranger = Address(postgres_server.url(user="guest"), "elsewhere")
    (said,) = look_at(stranger, PARTS)
    assert "no schema 'elsewhere'" in said.message
    database = Database(stranger)
    with pytest.raises(BadConfig, match="does not let this user"):
        database.prepare(PARTS)
    database.close()
    schema = postgres.address.schema
    guest = Address(postgres_server.url(user="guest"), schema)
    assert look_at(guest, PARTS) != []
    with postgres.write() as connection:
        connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO guest")
        connection.execute(
            f"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA {schema} TO guest"
        )
    # Tables that are up to date need no right to make any.
    assert look_at(guest, PARTS) == []
    (missing,) = look_at(guest, {**PARTS, "thing": ["CREATE TABLE thing (a int)"]})
    assert "may not make them" in missing.message
    database = Database(guest)
    database.prepare(PARTS)
    assert PostgresAccountStore(database).accounts() == []
    database.close()
    with postgres.write() as connection:
        connection.execute("DROP OWNED BY guest")


def test_check_changes_nothing(postgres_address):
    assert look_at(postgres_address, PARTS) == []
    database = Database(postgres_address)
    assert database.rows("SELECT to_regnamespace(%s)", (postgres_address.schema,)) == [(None,)]
    database.close()


def test_city_runs_once(postgres, postgres_server, monkeypatch):
    monkeypatch.setattr("cityloom.adapters.postgres.database.CLAIM_PATIENCE_S", 0.1)
    postgres.claim()
    second = Database(postgres.address)
    with pytest.raises(BadConfig, match="running already"):
        second.claim()
    neighbour = Database(Address(postgres_server.url(), "neighbour"))
    neighbour.claim()
    neighbour.close()
    postgres.close()
    monkeypatch.setattr("cityloom.adapters.postgres.database.CLAIM_PATIENCE_S", 5)
    second.claim()
    second.close()


def test_city_stays_claimed_after_the_server_was_restarted(postgres, postgres_server, monkeypatch):
    monkeypatch.setattr("cityloom.adapters.postgres.database.CLAIM_PATIENCE_S", 0.1)
    postgres.claim()
    postgres_server.restart()
    postgres.execute("DELETE FROM session")
    second = Database(postgres.address)
    with pytest.raises(BadConfig, match="running already"):
        second.claim()
    second.close()


def test_what_cannot_be_kept_is_found_nowhere_and_refused(postgres):
    store = PostgresAccountStore(postgres)
    assert store.account_named("an\0na") is None
    with pytest.raises(BadInput):
        store.delete_session("a\0b")
    assert store.accounts() == []


def test_write_that_is_lost_before_it_is_committed_is_not_ready(postgres, postgres_server):
    with pytest.raises(NotReady), postgres.write() as connection:
        connection.execute("INSERT INTO device VALUES ('a', '')")
        postgres_server.restart()
        connection.execute("INSERT INTO device VALUES ('b', '')")
    assert postgres.rows("SELECT count(*) FROM device") == [(0,)]


def test_audit_log_refuses_change_and_removal(postgres):
    entry = AuditEntry(1, datetime(2026, 4, 12, tzinfo=UTC), "person:1", "Anna", "a", "b", {}, "0", "1")
    store = PostgresAuditStore(postgres)
    store.append(lambda newest: entry)
    for statement in ("UPDATE audit SET entry = ''", "DELETE FROM audit", "TRUNCATE audit"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            postgres.execute(statement)
    assert store.read(0, 10) == [entry]
