"""`cityloom backup` and `cityloom restore`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cityloom.adapters.sealed.keys import copy_of_keys
from cityloom.app.backup.checking import checked
from cityloom.app.backup.last import note_backup
from cityloom.app.backup.making import delete_old, make_backup, origin_of
from cityloom.app.backup.manifest import Manifest
from cityloom.app.backup.restoring import restore as restored
from cityloom.app.configuration import Configuration
from cityloom.app.doctor.folder import read_findings
from cityloom.app.folder import CityFolder
from cityloom.app.progress import ShownProgress
from cityloom.app.storage import in_postgres, keys_of
from cityloom.kernel.errors import BadConfig

_DATABASE = (
    "This city keeps its feed, state, records and readings in PostgreSQL: they are NOT in this backup, which "
    "has photos, evidence, snapshots and what services have learned. Dump its schema with pg_dump, and keep "
    "both together: of a stopped city before it starts again, of a running one before this command, for what "
    "the dump names is in the folder by then."
)


def backup(options: argparse.Namespace) -> int:
    """Make a backup, or check one."""
    target: Path = options.target
    return (
        _check(target)
        if options.check
        else _make(CityFolder(options.home or Path("city")), target, options.keep, options.keys)
    )


def _make(folder: CityFolder, target: Path, keep: int, keys: Path | None) -> int:
    configuration = _configuration(folder)
    if keys is not None:
        _check_apart(keys, folder.home, target)
    postgresql = in_postgres(configuration)
    path, manifest = make_backup(
        folder, configuration.name, target, postgresql=postgresql, progress=ShownProgress(sys.stderr)
    )
    print(f"{path}: {_told(manifest)}")
    try:
        note_backup(folder, manifest.made, path)
    except OSError as error:
        # The backup is whole all the same.
        print(f"{folder.home}: the city does not know of it: {error.strerror}", file=sys.stderr)
    if keys is not None:
        copy_of_keys(keys_of(folder, configuration), keys)
        print(f"{keys}: the keys of what is personal. Keep them apart from the backups.")
    if postgresql:
        print(_DATABASE)
    if keep:
        for gone in delete_old(target, origin_of(folder, configuration.name), keep):
            print(f"{gone}: deleted")
    return 0


def _check_apart(keys: Path, home: Path, target: Path) -> None:
    """A copy of the keys must not lie where a backup copies it, or beside what it opens. Raises BadConfig."""
    for within in (home, target):
        if keys.resolve().is_relative_to(within.resolve()):
            raise BadConfig(
                "The keys would lie with what they open: whoever gets one has the other",
                hint="Name a file outside the city's folder and outside the backups. Nothing was copied.",
                where=f"--keys {keys}",
            )


def _configuration(folder: CityFolder) -> Configuration:
    if not folder.configuration.exists() and not folder.feed.exists():
        raise BadConfig("There is no city here", hint="Name its folder with --home.", where=str(folder.home))
    # One with a mistake in city.toml is worth a backup, too.
    return read_findings(folder)[0]


def _check(path: Path) -> int:
    manifest, wrong = checked(path, ShownProgress(sys.stderr))
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        raise BadConfig(
            f"{len(wrong)} files of the backup are not as they were",
            hint="Take another backup, and look at the disk that this one lies on.",
            where=str(path),
        )
    print(f"{path}: whole. {_told(manifest)}")
    return 0


def restore(options: argparse.Namespace) -> int:
    """Make a folder out of a backup."""
    home: Path = options.home or Path("city")
    manifest = restored(options.backup, home, ShownProgress(sys.stderr), keys=options.keys)
    print(f"{home}: {_told(manifest)}")
    if manifest.storage == "postgresql":
        print("Restore the dump of its PostgreSQL schema that was made with this backup before it starts.")
    if options.keys is None:
        print("It has no keys: what is personal in it cannot be read. Keys are restored with --keys FILE.")
    print(f"Run the city with: cityloom up --home {home}")
    return 0


def _told(manifest: Manifest) -> str:
    return (
        f"{manifest.city.name} as at {manifest.made}, change {manifest.sequence}, "
        f"{len(manifest.files)} files, {manifest.bytes / 1e6:.1f} MB"
    )
