"""Who sent which report, in `records.db`."""

from __future__ import annotations

from typing import Any

from cityloom.adapters.sqlite.records import Records
from cityloom.kernel.time import from_millis, to_millis
from cityloom.people.ports import Reporter

MIGRATIONS = (
    """
    CREATE TABLE reporter (
        report_id TEXT PRIMARY KEY,
        follow_digest TEXT NOT NULL UNIQUE,
        language TEXT NOT NULL,
        submitted_at INTEGER NOT NULL,
        account_id TEXT NOT NULL,
        email TEXT NOT NULL,
        phone TEXT NOT NULL
    ) STRICT;
    CREATE INDEX reporter_of_account ON reporter (account_id, submitted_at) WHERE account_id <> '';
    """,
)


class SqliteReporterStore:
    """A `ReporterStore` in the file of records."""

    def __init__(self, records: Records) -> None:
        self._records = records
        records.prepare("reporters", MIGRATIONS)

    def add(self, reporter: Reporter) -> None:
        with self._records.write() as connection:
            connection.execute("INSERT INTO reporter VALUES (?,?,?,?,?,?,?)", _row(reporter))

    def of_report(self, report_id: str) -> Reporter | None:
        return _first(self._records.rows("SELECT * FROM reporter WHERE report_id = ?", (report_id,)))

    def of_code(self, follow_digest: str) -> Reporter | None:
        return _first(self._records.rows("SELECT * FROM reporter WHERE follow_digest = ?", (follow_digest,)))

    def of_account(self, account_id: str) -> list[Reporter]:
        statement = (
            "SELECT * FROM reporter WHERE account_id = ? AND account_id <> '' "
            "ORDER BY submitted_at DESC, report_id"
        )
        return [_reporter(row) for row in self._records.rows(statement, (account_id,))]

    def forget_contact(self, report_id: str) -> None:
        with self._records.write() as connection:
            connection.execute("UPDATE reporter SET email = '', phone = '' WHERE report_id = ?", (report_id,))

    def with_contact(self) -> list[str]:
        statement = "SELECT report_id FROM reporter WHERE email <> '' OR phone <> '' ORDER BY report_id"
        return [row[0] for row in self._records.rows(statement)]

    def delete(self, report_id: str) -> None:
        with self._records.write() as connection:
            connection.execute("DELETE FROM reporter WHERE report_id = ?", (report_id,))


def _first(rows: list[tuple[Any, ...]]) -> Reporter | None:
    return _reporter(rows[0]) if rows else None


def _row(reporter: Reporter) -> tuple[Any, ...]:
    return (
        reporter.report_id,
        reporter.follow_digest,
        reporter.language,
        to_millis(reporter.submitted_at),
        reporter.account_id,
        reporter.email,
        reporter.phone,
    )


def _reporter(row: tuple[Any, ...]) -> Reporter:
    report_id, follow_digest, language, submitted_at, account_id, email, phone = row
    return Reporter(
        report_id=report_id,
        follow_digest=follow_digest,
        language=language,
        submitted_at=from_millis(submitted_at),
        account_id=account_id,
        email=email,
        phone=phone,
    )
