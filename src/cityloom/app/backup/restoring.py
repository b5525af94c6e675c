"""Makes a city's folder out of a backup: whole, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from cityloom.adapters.files.whole_files import sync_folder
from cityloom.adapters.sealed.keys import read_erased, write_erased
from cityloom.app.backup.checking import mismatch
from cityloom.app.backup.manifest import FILES, Copied, Manifest, digested, opened, read_manifest
from cityloom.app.configuration import read_configuration
from cityloom.app.doctor.databases import database_findings
from cityloom.app.folder import CityFolder
from cityloom.app.storage import keys_of
from cityloom.kernel.errors import BadConfig, CityError, StorageFull

Progress = Callable[[str, int, int], None]
#: In the new folder, until everything was found right. What lies in it is no city.
_UNFINISHED = ".restoring"
#: What a disk's own top folder has.
_OF_THE_DISK = frozenset({"lost+found"})
_MARGIN = 16_000_000
#: Bytes of a list of destroyed keys: a million of them.
_MOST_ERASED = 80_000_000


def restore(backup: Path, home: Path, progress: Progress, *, keys: Path | None = None) -> Manifest:
    """Copy a backup into an empty or a new folder, with a copy of the keys of what is personal.

    Raises BadConfig and StorageFull; then the folder is as it was before.
    """
    manifest = read_manifest(backup)
    was_there = home.exists()
    _check_empty(home)
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_room(home, manifest)
        unfinished = home / _UNFINISHED
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            _copy(backup, unfinished, manifest, progress)
            _take_over_erasures(backup.resolve(), CityFolder(unfinished).erased)
            _check_databases(unfinished)
            if keys is not None:
                _bring_keys(keys, _place_of_keys(unfinished, home))
            _move(unfinished, home)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        home.chmod(0o700)
    except BaseException as error:
        if not was_there and home.exists():
            home.rmdir()
        if isinstance(error, OSError):
            raise _as_city_error(error, home) from error
        raise
    return manifest


def _check_empty(home: Path) -> None:
    if home.exists() and (
        not home.is_dir() or {one.name for one in home.iterdir()} - _OF_THE_DISK - {_UNFINISHED}
    ):
        raise BadConfig(
            "There is something in this folder already",
            hint="Name a folder that is empty or not there with --home. Nothing was changed.",
            where=str(home),
        )


def _check_room(home: Path, manifest: Manifest) -> None:
    free = shutil.disk_usage(home).free
    if free < manifest.bytes + _MARGIN:
        raise StorageFull(
            f"The city needs {manifest.bytes / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free",
            hint="Make room, or name a folder on another disk.",
            where=str(home),
        )


def _copy(backup: Path, unfinished: Path, manifest: Manifest, progress: Progress) -> None:
    done = 0

    def tell(fresh: int) -> None:
        nonlocal done
        done += fresh
        progress("Restoring", min(done, manifest.bytes), manifest.bytes)

    unfinished.mkdir(mode=0o700)
    for one in manifest.files:
        _copy_one(backup, unfinished, one, tell)


def _copy_one(backup: Path, unfinished: Path, one: Copied, tell: Callable[[int], None]) -> None:
    """What is written is what was checked: the checksum is taken of the bytes on their way."""
    target = unfinished / one.path
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        source = opened(backup / FILES, one.path)
    except OSError as error:
        raise _damaged(f"{one.path}: {error.strerror or error}", backup) from None
    with source, target.open("xb") as written:
        complaint = mismatch(one, *digested(source, written, tell))
        written.flush()
        os.fsync(written.fileno())
    target.chmod(0o600)
    if complaint:
        raise _damaged(complaint, backup)


def _take_over_erasures(backup: Path, listed: Path) -> None:
    """Who was erased since this backup was made stays erased, with an old copy of the keys as well.

    The backups beside it tell which keys were destroyed later. A key's name is chance, and no other city's.
    """
    known = read_erased(listed)
    for beside in sorted(backup.parent.glob(f"*/{FILES}/{listed.name}")):
        if beside.is_symlink() or beside.stat().st_size > _MOST_ERASED:
            continue
        with suppress(OSError, msgspec.DecodeError):
            # What cannot be read is of a backup that is damaged: `cityloom backup --check` tells so.
            known |= read_erased(beside)
    if known:
        write_erased(listed, known)


def _place_of_keys(unfinished: Path, home: Path) -> Path:
    """Where the restored city will look for its keys: in its folder, or where its city.toml says."""
    try:
        configuration = read_configuration(CityFolder(unfinished).configuration)
        target = keys_of(CityFolder(home), configuration)
    except BadConfig:
        # The mistake is told when the city starts.
        return CityFolder(unfinished).keys
    if target == CityFolder(home).keys:
        return CityFolder(unfinished).keys
    if target.exists():
        raise BadConfig(
            "This city's keys are there already, outside its folder",
            hint="Leave --keys out: it goes on with those. Nothing was changed.",
            where=str(target),
        )
    return target


def _bring_keys(keys: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.write_bytes(keys.read_bytes())
    except OSError as error:
        raise BadConfig(
            f"The keys cannot be read: {error.strerror or error}",
            hint="Name the file that `cityloom backup --keys` made. Nothing was changed.",
            where=str(keys),
        ) from None
    target.chmod(0o600)


def _damaged(complaint: str, backup: Path) -> BadConfig:
    return BadConfig(
        f"The backup is damaged: {complaint}",
        hint="Take another backup; `cityloom backup --check` names all that is wrong. Nothing was changed.",
        where=str(backup),
    )


def _check_databases(unfinished: Path) -> None:
    copy = CityFolder(unfinished)
    for finding in database_findings(copy):
        raise BadConfig(
            f"The restored city could not be used: {finding.what}",
            hint=f"{finding.remedy} Nothing was changed.",
            where=finding.where,
        )
    for path in unfinished.rglob("*.db-*"):
        path.unlink()


def _move(unfinished: Path, home: Path) -> None:
    """Into place; city.toml comes last, for without it no city starts."""
    for where, _, _ in os.walk(unfinished):
        sync_folder(Path(where))
    last = CityFolder(home).configuration.name
    for path in sorted(unfinished.iterdir(), key=lambda one: one.name == last):
        path.rename(home / path.name)
    unfinished.rmdir()
    sync_folder(home)
    sync_folder(home.resolve().parent)


def _as_city_error(error: OSError, home: Path) -> CityError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("The disk is full: nothing was restored", hint="Make room.", where=str(home))
    return BadConfig(
        f"The folder cannot be written: {error.strerror or error}",
        hint="Let this user write there, or name another one with --home.",
        where=str(home),
    )
