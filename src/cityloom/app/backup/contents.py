"""What of a city's folder belongs into a backup."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from cityloom.app.folder import CityFolder

#: What is made anew, means something only while the city runs or only where it runs, or is copied as the
#: databases are: snapshots. And the keys: what was erased must be unreadable in backups, too.
_NOT_AT_THE_TOP = frozenset(
    {"lock", "running.json", "backup.json", "exports", "history.hold", "snapshots", "keys.db"}
)
#: Beginnings of a file that its writer has not finished; a database's log, of which the copy has no need.
_UNFINISHED = (".new", ".part", ".tmp", "-wal", "-shm", "-journal", ".wal")


def databases_of(folder: CityFolder) -> list[Path]:
    """The SQLite files that are there, those of snapshots among them. The feed is the last: what the others
    have seen stands in it."""
    snapshots = sorted(folder.snapshots.glob("*.db"))
    every = (*snapshots, folder.records, folder.notifications, folder.state, folder.feed)
    return [path for path in every if path.exists()]


def plain_files(folder: CityFolder, apart: Sequence[Path], outside: Path) -> Iterator[Path]:
    """Every other file, without those `apart`, and nothing below `outside`, where backups are kept."""
    left_out = {path.resolve() for path in apart}
    seen: set[tuple[int, int]] = set()
    for where, folders, names in os.walk(folder.home, followlinks=True):
        here = Path(where)
        at_top = here == folder.home
        folders[:] = sorted(
            one
            for one in folders
            if not (at_top and one in _NOT_AT_THE_TOP)
            and not one.endswith(_UNFINISHED)
            and (here / one).resolve() != outside
            and _is_new(here / one, seen)
        )
        for name in sorted(names):
            path = here / name
            if at_top and name in _NOT_AT_THE_TOP:
                continue
            if path.is_file() and not name.endswith(_UNFINISHED) and path.resolve() not in left_out:
                yield path


def _is_new(folder: Path, seen: set[tuple[int, int]]) -> bool:
    """Links may lead in a circle."""
    try:
        found = folder.stat()
    except OSError:
        return False
    known = (found.st_dev, found.st_ino) in seen
    seen.add((found.st_dev, found.st_ino))
    return not known
