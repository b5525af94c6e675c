"""What a backup says of itself: from which city and instant, by which version, and every file's checksum."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec

from cityloom import __version__
from cityloom.kernel.errors import BadConfig

MANIFEST = "manifest.json"
#: The manifest's own checksum, as `sha256sum --check` reads it.
SEAL = "manifest.sha256"
#: Below which the city's files lie.
FILES = "city"
FORMAT = 1
#: Bytes that are read at once.
_PIECE = 1 << 20
#: A manifest of a million files; one that is larger is none.
_MOST_BYTES = 256_000_000


class Origin(msgspec.Struct, frozen=True):
    """Which city it is of."""

    name: str
    host: str
    home: str


class Copied(msgspec.Struct, frozen=True):
    """A file of the city's folder; `path` with "/" from there."""

    path: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """Written last. `made` is the instant that the databases are of, RFC 3339 in UTC."""

    format: int
    version: str
    city: Origin
    made: str
    #: "files", or "postgresql": then what lies there is not in the backup.
    storage: str
    #: The newest change in the feed, and the newest that history remembers.
    sequence: int
    remembered: int
    files: tuple[Copied, ...]

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.files)


class Form(msgspec.Struct):
    """What every format of a manifest says."""

    format: int
    version: str


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest and its seal, synced."""
    text = (json.dumps(msgspec.to_builtins(manifest), indent=1, ensure_ascii=False) + "\n").encode()
    write_synced(folder / MANIFEST, text)
    write_synced(folder / SEAL, f"{hashlib.sha256(text).hexdigest()}  {MANIFEST}\n".encode())


def read_manifest(folder: Path) -> Manifest:
    """Raises BadConfig where there is none, or none that holds."""
    where = str(folder / MANIFEST)
    try:
        with opened(folder, MANIFEST) as file:
            text = file.read(_MOST_BYTES)
        with opened(folder, SEAL) as file:
            seal = file.read(200)
    except FileNotFoundError:
        raise BadConfig(
            "This is no whole backup of a city",
            hint=f"Name the folder that holds {MANIFEST} and {SEAL}.",
            where=str(folder),
        ) from None
    except OSError as error:
        raise BadConfig(
            f"The backup cannot be read: {error}", hint="Check its rights.", where=where
        ) from None
    if seal != f"{hashlib.sha256(text).hexdigest()}  {MANIFEST}\n".encode():
        raise BadConfig(
            "The manifest does not fit its checksum: it was damaged or changed",
            hint="Take another backup.",
            where=where,
        )
    return _understood(text, where)


def _understood(text: bytes, where: str) -> Manifest:
    try:
        form = msgspec.json.decode(text, type=Form)
        if form.format > FORMAT or _numbers(form.version) > _numbers(__version__):
            raise BadConfig(
                f"CityLoom {form.version} made this backup; this is {__version__}",
                hint="Install that version or a newer one. Nothing was changed.",
                where=where,
            )
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError as error:
        raise BadConfig(
            f"The manifest cannot be understood: {error}", hint="Take another backup.", where=where
        ) from None
    _check_paths(manifest, where)
    return manifest


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _check_paths(manifest: Manifest, where: str) -> None:
    """A file lies where its name leads, in the folder; and each one once."""
    paths = [one.path for one in manifest.files]
    for path in paths:
        parts = PurePosixPath(path).parts
        if path != "/".join(parts) or not parts or parts[0] == "/" or ".." in parts or "\0" in path:
            raise BadConfig(
                f"The manifest names a file outside the city's folder: {path!r}",
                hint="Somebody made this manifest who should not be trusted.",
                where=where,
            )
    if len(set(paths)) != len(paths):
        raise BadConfig("The manifest names a file twice", hint="Take another backup.", where=where)


def opened(folder: Path, path: str) -> BinaryIO:
    """A regular file below a folder, to be read; no link is followed on the way. Raises OSError."""
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        *folders, name = PurePosixPath(path).parts
        for one in folders:
            below = os.open(one, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
    finally:
        os.close(here)
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError(f"{path} is no regular file")
    return file


def digested(
    source: BinaryIO, target: BinaryIO | None = None, tell: Callable[[int], None] = lambda _: None
) -> tuple[int, str]:
    """The bytes and the SHA-256 of what is read, which is written to `target` on the way."""
    digest, read = hashlib.sha256(), 0
    while piece := source.read(_PIECE):
        digest.update(piece)
        if target is not None:
            target.write(piece)
        read += len(piece)
        tell(len(piece))
    return read, digest.hexdigest()


def write_synced(path: Path, data: bytes) -> None:
    """A new file, readable by its owner alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
