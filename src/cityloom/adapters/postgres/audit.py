"""The audit log in PostgreSQL. A trigger keeps what the program must never do from being done by mistake;
what is done on purpose, past the program, is found by the chain.

Entries are JSON texts as they were written, since the chain is made of their very words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import LiteralString

import msgspec

from cityloom.access.model import AuditEntry
from cityloom.adapters.postgres.database import Database

MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE audit (sequence bigint PRIMARY KEY, entry bytea NOT NULL);
    CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
    CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
        EXECUTE FUNCTION audit_is_append_only();
    """,
)

_NEWEST: LiteralString = "SELECT entry FROM audit ORDER BY sequence DESC LIMIT 1"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AuditEntry).decode


class PostgresAuditStore:
    """An `AuditStore` in one schema."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, make: Callable[[AuditEntry | None], AuditEntry]) -> AuditEntry:
        with self._database.write() as connection:
            # Others may read meanwhile, and nobody else may append.
            connection.execute("LOCK TABLE audit IN EXCLUSIVE MODE")
            found = connection.execute(_NEWEST).fetchone()
            entry = make(_decode(found[0]) if found else None)
            connection.execute("INSERT INTO audit VALUES (%s, %s)", (entry.sequence, _encode(entry)))
        return entry

    def read(self, after: int, limit: int) -> list[AuditEntry]:
        statement: LiteralString = "SELECT entry FROM audit WHERE sequence > %s ORDER BY sequence LIMIT %s"
        return [_decode(row[0]) for row in self._database.rows(statement, (after, limit))]

    def last(self) -> AuditEntry | None:
        found = self._database.row(_NEWEST)
        return _decode(found[0]) if found else None
