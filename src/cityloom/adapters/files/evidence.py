"""Evidence as files, named by the SHA-256 of their content."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from cityloom.adapters.files.whole_files import write_whole

_DIGEST = re.compile(r"[0-9a-f]{64}")


class FileEvidenceStore:
    """An `EvidenceStore` in a folder. A file is there whole or not at all, also after a power cut."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes) -> str:
        digest = sha256(data).hexdigest()
        path = self._path(digest)
        if self.get(digest) is not None:
            return digest
        write_whole(path, data, when_full="The disk is full; the file was not kept")
        return digest

    def get(self, digest: str) -> bytes | None:
        if not _DIGEST.fullmatch(digest):
            return None
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError:
            return None
        return data if sha256(data).hexdigest() == digest else None

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest
