"""Registers in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from cityloom.adapters.postgres.database import Database
from cityloom.context.ports import Entry

MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE register (
        kind text NOT NULL,
        tenant text NOT NULL,
        id text NOT NULL,
        place bigint GENERATED ALWAYS AS IDENTITY,
        document bytea NOT NULL,
        PRIMARY KEY (kind, tenant, id)
    )
    """,
)


class PostgresRegister:
    """A `Register` in one schema."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, kind: str) -> list[Entry]:
        rows = self._database.rows(
            "SELECT tenant, id, document FROM register WHERE kind = %s ORDER BY place", (kind,)
        )
        return [Entry(*row) for row in rows]

    def put(self, kind: str, entry: Entry) -> None:
        self._database.execute(
            "INSERT INTO register (kind, tenant, id, document) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (kind, tenant, id) DO UPDATE SET document = excluded.document",
            kind,
            entry.tenant,
            entry.id,
            entry.document,
        )

    def remove(self, kind: str, tenant: str, ids: Sequence[str]) -> None:
        self._database.execute(
            "DELETE FROM register WHERE kind = %s AND tenant = %s AND id = ANY(%s)", kind, tenant, list(ids)
        )
