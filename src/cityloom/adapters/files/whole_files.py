"""Files that are there whole or not at all, also after a power cut."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from cityloom.kernel.errors import StorageFull


def write_whole(path: Path, data: bytes, *, when_full: str) -> None:
    """Write a file into a folder below the store's own, beside first and then renamed.

    Raises StorageFull with the message `when_full`; then nothing is left behind.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        sync_folder(path.parent)
        sync_folder(path.parent.parent)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(when_full, hint="Make room on the city's disk.") from error
        raise


def checksum_of(path: Path) -> str:
    """The SHA-256 of a file, as `sha256sum` tells it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """What was renamed in a folder, or made in it, survives a power cut from here on."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
