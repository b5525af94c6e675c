"""The audit log in `records.db`. Triggers keep what the program must never do from being done by mistake;
what is done on purpose, past the program, is found by the chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from cityloom.access.model import AuditEntry
from cityloom.adapters.sqlite.records import Records
from cityloom.kernel.time import from_millis, to_millis

MIGRATIONS = (
    """
    CREATE TABLE audit (
        sequence INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        actor_id TEXT NOT NULL,
        actor_name TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        detail TEXT NOT NULL,
        previous TEXT NOT NULL,
        digest TEXT NOT NULL
    ) STRICT;
    CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
        BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
    CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
        BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
    """,
)

_NEWEST = "SELECT * FROM audit ORDER BY sequence DESC LIMIT 1"


class SqliteAuditStore:
    """An `AuditStore` in the file of records."""

    def __init__(self, records: Records) -> None:
        self._records = records
        records.prepare("audit", MIGRATIONS)

    def append(self, make: Callable[[AuditEntry | None], AuditEntry]) -> AuditEntry:
        with self._records.write() as connection:
            newest = connection.execute(_NEWEST).fetchone()
            entry = make(_entry(newest) if newest else None)
            connection.execute("INSERT INTO audit VALUES (?,?,?,?,?,?,?,?,?)", _row(entry))
        return entry

    def read(self, after: int, limit: int) -> list[AuditEntry]:
        statement = "SELECT * FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?"
        return [_entry(row) for row in self._records.rows(statement, (after, limit))]

    def last(self) -> AuditEntry | None:
        row = self._records.row(_NEWEST)
        return _entry(row) if row else None


def _row(entry: AuditEntry) -> tuple[Any, ...]:
    return (
        entry.sequence,
        to_millis(entry.at),
        entry.actor_id,
        entry.actor_name,
        entry.action,
        entry.subject,
        msgspec.json.encode(entry.detail).decode(),
        entry.previous,
        entry.digest,
    )


def _entry(row: tuple[Any, ...]) -> AuditEntry:
    sequence, at, actor_id, actor_name, action, subject, detail, previous, digest = row
    return AuditEntry(
        sequence=sequence,
        at=from_millis(at),
        actor_id=actor_id,
        actor_name=actor_name,
        action=action,
        subject=subject,
        detail=msgspec.json.decode(detail),
        previous=previous,
        digest=digest,
    )
