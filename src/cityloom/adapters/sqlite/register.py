"""Registers in `records.db`."""

from __future__ import annotations

from collections.abc import Sequence

from cityloom.adapters.sqlite.records import Records
from cityloom.context.ports import Entry

MIGRATIONS = (
    "CREATE TABLE register ("
    " place INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, tenant TEXT NOT NULL, id TEXT NOT NULL,"
    " document BLOB NOT NULL, UNIQUE (kind, tenant, id)) STRICT",
)


class SqliteRegister:
    """A `Register` in the file of records."""

    def __init__(self, records: Records) -> None:
        self._records = records
        records.prepare("register", MIGRATIONS)

    def load(self, kind: str) -> list[Entry]:
        rows = self._records.rows(
            "SELECT tenant, id, document FROM register WHERE kind = ? ORDER BY place", (kind,)
        )
        return [Entry(*row) for row in rows]

    def put(self, kind: str, entry: Entry) -> None:
        with self._records.write() as connection:
            connection.execute(
                "INSERT INTO register (kind, tenant, id, document) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (kind, tenant, id) DO UPDATE SET document = excluded.document",
                (kind, entry.tenant, entry.id, entry.document),
            )

    def remove(self, kind: str, tenant: str, ids: Sequence[str]) -> None:
        with self._records.write() as connection:
            connection.executemany(
                "DELETE FROM register WHERE kind = ? AND tenant = ? AND id = ?",
                [(kind, tenant, id) for id in ids],
            )
