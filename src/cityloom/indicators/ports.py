"""What indicators need of the outside: a place for evidence files."""

from __future__ import annotations

from typing import Protocol


class EvidenceStore(Protocol):
    """Keeps files by the SHA-256 of their content. Blocking."""

    def put(self, data: bytes) -> str:
        """Keep a file durably; returns its digest. Raises StorageFull."""
        ...

    def get(self, digest: str) -> bytes | None:
        """The content, checked against its digest; None when it is not there or was tampered with."""
        ...
