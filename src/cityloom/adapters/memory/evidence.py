"""Evidence files in memory."""

from __future__ import annotations

from hashlib import sha256


class MemoryEvidenceStore:
    """An `EvidenceStore` in a dictionary."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        digest = sha256(data).hexdigest()
        self._files[digest] = data
        return digest

    def get(self, digest: str) -> bytes | None:
        return self._files.get(digest)
