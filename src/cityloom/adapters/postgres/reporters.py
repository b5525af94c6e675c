"""Who sent which report, in PostgreSQL."""

from __future__ import annotations

from datetime import UTC
from typing import Any, LiteralString

from cityloom.adapters.postgres.database import Database
from cityloom.people.ports import Reporter

MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE reporter (
        report_id text PRIMARY KEY,
        follow_digest text NOT NULL UNIQUE,
        language text NOT NULL,
        submitted_at timestamptz NOT NULL,
        account_id text NOT NULL,
        email text NOT NULL,
        phone text NOT NULL
    );
    CREATE INDEX reporter_of_account ON reporter (account_id, submitted_at) WHERE account_id <> '';
    """,
)

_COLUMNS: LiteralString = "report_id, follow_digest, language, submitted_at, account_id, email, phone"


class PostgresReporterStore:
    """A `ReporterStore` in one schema.

    What is forgotten is gone for every question at once; its bytes leave the server's files when those are
    vacuumed, and its log with the log's retention.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, reporter: Reporter) -> None:
        self._database.execute(
            f"INSERT INTO reporter ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            reporter.report_id,
            reporter.follow_digest,
            reporter.language,
            reporter.submitted_at,
            reporter.account_id,
            reporter.email,
            reporter.phone,
        )

    def of_report(self, report_id: str) -> Reporter | None:
        row = self._database.row(f"SELECT {_COLUMNS} FROM reporter WHERE report_id = %s", (report_id,))
        return _reporter(row) if row else None

    def of_code(self, follow_digest: str) -> Reporter | None:
        row = self._database.row(
            f"SELECT {_COLUMNS} FROM reporter WHERE follow_digest = %s", (follow_digest,)
        )
        return _reporter(row) if row else None

    def of_account(self, account_id: str) -> list[Reporter]:
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM reporter WHERE account_id = %s AND account_id <> ''"
            " ORDER BY submitted_at DESC, report_id",
            (account_id,),
        )
        return [_reporter(row) for row in rows]

    def forget_contact(self, report_id: str) -> None:
        self._database.execute("UPDATE reporter SET email = '', phone = '' WHERE report_id = %s", report_id)

    def with_contact(self) -> list[str]:
        rows = self._database.rows(
            "SELECT report_id FROM reporter WHERE email <> '' OR phone <> '' ORDER BY report_id"
        )
        return [row[0] for row in rows]

    def delete(self, report_id: str) -> None:
        self._database.execute("DELETE FROM reporter WHERE report_id = %s", report_id)


def _reporter(row: tuple[Any, ...]) -> Reporter:
    report_id, follow_digest, language, submitted_at, account_id, email, phone = row
    return Reporter(
        report_id=report_id,
        follow_digest=follow_digest,
        language=language,
        submitted_at=submitted_at.astimezone(UTC),
        account_id=account_id,
        email=email,
        phone=phone,
    )
