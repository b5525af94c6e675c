"""What people needs of the outside: a place for photos, and one for who sent a report."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec


class Reporter(msgspec.Struct, frozen=True):
    """Who sent a report: never a part of its Entity. `follow_digest` is that of the secret follow code."""

    report_id: str
    follow_digest: str
    language: str
    submitted_at: datetime
    #: The account it was sent from, "" for a visitor.
    account_id: str = ""
    #: How to reach them, "" when they did not say.
    email: str = ""
    phone: str = ""


class ReporterStore(Protocol):
    """Keeps who sent which report. Each call is one durable transaction; writing is called in a thread."""

    def add(self, reporter: Reporter) -> None: ...

    def of_report(self, report_id: str) -> Reporter | None: ...

    def of_code(self, follow_digest: str) -> Reporter | None: ...

    def of_account(self, account_id: str) -> list[Reporter]:
        """The newest first."""
        ...

    def forget_contact(self, report_id: str) -> None:
        """Remove e-mail address and telephone number; the follow code stays."""
        ...

    def with_contact(self) -> list[str]:
        """The reports for which there is a way to reach their author."""
        ...

    def delete(self, report_id: str) -> None: ...


class PhotoStore(Protocol):
    """Keeps photos by the digest of their content. Blocking."""

    def put(self, data: bytes, extension: str) -> str:
        """Keep a photo durably; returns its name. The same photo has the same name. Raises StorageFull."""
        ...

    def get(self, name: str) -> bytes | None:
        """The photo; None for a name that is none or under which nothing is kept."""
        ...

    def delete(self, name: str) -> None:
        """Nothing happens when it is not there."""
        ...
