"""Photos as files, named by the SHA-256 of their content."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from cityloom.adapters.files.whole_files import write_whole

_NAME = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,5}")


class FilePhotoStore:
    """A `PhotoStore` in a folder. A photo is there whole or not at all, also after a power cut."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes, extension: str, *, of: str) -> str:  # noqa: ARG002 - the port's
        name = f"{sha256(data).hexdigest()}.{extension}"
        path = self._path(name)
        if path is None:
            raise ValueError(f"{extension!r} is no extension")
        if path.exists():
            return name
        write_whole(path, data, when_full="The disk is full; the photo was not kept")
        return name

    def get(self, name: str) -> bytes | None:
        path = self._path(name)
        if path is None:
            return None
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, name: str) -> None:
        path = self._path(name)
        if path is not None:
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path | None:
        return self._folder / name[:2] / name if _NAME.fullmatch(name) else None
