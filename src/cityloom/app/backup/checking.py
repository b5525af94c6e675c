"""Whether a backup is what it was when it was made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from cityloom.app.backup.manifest import (
    FILES,
    MANIFEST,
    SEAL,
    Copied,
    Manifest,
    digested,
    opened,
    read_manifest,
)

Progress = Callable[[str, int, int], None]


def checked(folder: Path, progress: Progress) -> tuple[Manifest, list[str]]:
    """The manifest, and what is wrong, a line for each file. Raises BadConfig where there is no manifest."""
    manifest = read_manifest(folder)
    done = 0

    def tell(fresh: int) -> None:
        nonlocal done
        done += fresh
        progress("Checking", min(done, manifest.bytes), manifest.bytes)

    wrong = list(_unknown(folder, manifest))
    wrong += filter(None, (_complaint(folder, one, tell) for one in manifest.files))
    return manifest, wrong


def _complaint(folder: Path, one: Copied, tell: Callable[[int], None]) -> str:
    try:
        with opened(folder / FILES, one.path) as file:
            found = digested(file, tell=tell)
    except OSError as error:
        return f"{one.path}: {error.strerror or error}"
    return mismatch(one, *found)


def mismatch(one: Copied, size: int, sha256: str) -> str:
    """In what a file differs from what the manifest says of it; "" where it does not."""
    if size != one.bytes:
        return f"{one.path}: {size} bytes instead of {one.bytes}"
    return "" if sha256 == one.sha256 else f"{one.path}: its checksum is another one"


def _unknown(folder: Path, manifest: Manifest) -> Iterator[str]:
    known = {f"{FILES}/{one.path}" for one in manifest.files} | {MANIFEST, SEAL}
    for where, _, names in os.walk(folder):
        for name in names:
            path = (Path(where) / name).relative_to(folder).as_posix()
            if path not in known:
                yield f"{path}: the manifest does not know it"
