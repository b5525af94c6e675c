"""Photos as files, named by the SHA-256 of their content."""

from __future__ import annotations

import errno
import os
import re
from hashlib import sha256
from pathlib import Path

from cityloom.kernel.errors import StorageFull

_NAME = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,5}")


class FilePhotoStore:
    """A `PhotoStore` in a folder. A photo is there whole or not at all, also after a power cut."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes, extension: str) -> str:
        name = f"{sha256(data).hexdigest()}.{extension}"
        path = self._path(name)
        if path is None:
            raise ValueError(f"{extension!r} is no extension")
        if path.exists():
            return name
        unfinished = path.with_name(f"{name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(exist_ok=True)
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
            _sync_folder(path.parent)
            _sync_folder(self._folder)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull(
                    "The disk is full; the photo was not kept", hint="Make room on the city's disk."
                ) from error
            raise
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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
