"""What people needs of the outside: a place for photos, one for who sent a report, and one for keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
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

    def put(self, data: bytes, extension: str, *, of: str) -> str:
        """Keep a photo of a report durably; returns its name. The same photo of the same report has the same
        name. Raises StorageFull."""
        ...

    def get(self, name: str) -> bytes | None:
        """The photo; None for a name that is none or under which nothing is kept."""
        ...

    def delete(self, name: str) -> None:
        """Nothing happens when it is not there."""
        ...


class ErasureOrder(msgspec.Struct, frozen=True):
    """Something to be erased, from when it was decided until it is done. Names nobody."""

    id: str
    #: RFC 3339.
    at: str
    #: `Actor.id` of who decided.
    by: str
    tenant: str
    #: Entities that are somebody's, or about them.
    entities: tuple[str, ...]
    #: The account that goes as well, "" for none.
    account: str = ""


class PersonalKeys(Protocol):
    """The keys with which personal data are sealed. Blocking; from any thread."""

    def about(self, tenant: str, subjects: Iterable[str]) -> list[str]:
        """Entities with a key that are these, or about these."""
        ...

    def order(self, order: ErasureOrder) -> None:
        """Write down durably that something is to be erased. Raises StorageFull."""
        ...

    def orders(self) -> list[ErasureOrder]:
        """What is to be erased and is not yet."""
        ...

    def ask(self, order: ErasureOrder) -> None:
        """Write down durably that somebody asks for it: nothing is erased yet. Raises StorageFull."""
        ...

    def asked(self) -> list[ErasureOrder]:
        """What was asked for and is neither confirmed nor refused."""
        ...

    def unask(self, order_id: str) -> None:
        """Strike off what was asked for; nothing happens when it is not there."""
        ...

    def destroy(self, order: ErasureOrder) -> int:
        """Destroy the keys of the order's Entities, and strike it off; returns how many keys went."""
        ...

    def copies(self) -> list[Path]:
        """Where copies of the keys lie, as far as is known."""
        ...

    def copy_to(self, path: Path) -> None:
        """Put a copy in place of an earlier one, and know of it. Raises OSError."""
        ...
