"""Makes a backup of a city that runs, or of one that does not.

All databases are copied as they were at one instant, as if the power had been cut: the city leaves its
history alone while that is copied, readers of the SQLite files stand still at an instant in which nothing
was committed, and writing goes on. Other files are never changed, only added or replaced whole; they come
last, so that everything the databases name is there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import apsw

from cityloom import __version__
from cityloom.adapters.duckdb.connection import hold_of
from cityloom.adapters.files.hold import held
from cityloom.adapters.files.whole_files import sync_folder
from cityloom.adapters.sqlite.connection import open_reader
from cityloom.adapters.sqlite.instant import Frozen, at_one_instant
from cityloom.app.backup.contents import databases_of, plain_files
from cityloom.app.backup.manifest import (
    FILES,
    FORMAT,
    Copied,
    Manifest,
    Origin,
    digested,
    read_manifest,
    write_manifest,
)
from cityloom.app.doctor.databases import database_findings
from cityloom.app.doctor.process import is_running
from cityloom.app.folder import CityFolder
from cityloom.app.machine import HomeLock
from cityloom.kernel.errors import BadConfig, CityError, NotReady, StorageFull

Progress = Callable[[str, int, int], None]
#: Of a backup that is not finished.
UNFINISHED = ".unfinished-"
#: Bytes that must be left beside the copy.
_MARGIN = 16_000_000
_PIECE = 1 << 20


def make_backup(
    folder: CityFolder, city: str, target: Path, *, postgresql: bool, progress: Progress
) -> tuple[Path, Manifest]:
    """Copy a city into a new folder below `target`; it is there whole or not at all.

    Raises NotReady while that cannot be, StorageFull, and BadConfig for a damaged folder or database.
    """
    _make_target(target)
    with _alone(target), _room_told(target):
        _clear_unfinished(target)
        name = f"{_slug(city)}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        if (target / name).exists():
            raise NotReady("A backup was made this very second", hint="Try again.", where=str(target / name))
        unfinished = target / f"{UNFINISHED}{name}"
        copy = CityFolder(unfinished / FILES)
        copy.home.mkdir(parents=True, mode=0o700)
        try:
            made = _copy(folder, copy, target, progress)
            manifest = _described(folder, copy, city, made, postgresql=postgresql, progress=progress)
            write_manifest(unfinished, manifest)
            _sync(unfinished)
            unfinished.rename(target / name)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        sync_folder(target)
    return target / name, manifest


def origin_of(folder: CityFolder, city: str) -> Origin:
    """Which city this is, to tell its backups from those of others."""
    return Origin(city, socket.gethostname(), str(folder.home.resolve()))


def delete_old(target: Path, origin: Origin, keep: int) -> list[Path]:
    """Delete all but the newest backups of a city; folders that are no backups of it stay."""
    own = []
    for path in target.iterdir():
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(UNFINISHED):
            with suppress(CityError):
                manifest = read_manifest(path)
                if manifest.city == origin:
                    own.append((manifest.made, path))
    old = [path for _, path in sorted(own)[:-keep]]
    for path in old:
        # First it is no backup any more, then it goes.
        gone = target / f"{UNFINISHED}{path.name}"
        path.rename(gone)
        shutil.rmtree(gone)
    return old


def _make_target(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadConfig(
            f"The folder for backups cannot be made: {error.strerror}",
            hint="Name another one, or let this user write there.",
            where=str(target),
        ) from None


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """One backup at a time goes into a folder."""
    try:
        descriptor = os.open(target / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BadConfig(
            f"Nothing can be written there: {error.strerror}", hint="Check its rights.", where=str(target)
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise NotReady("Another backup is being made", hint="Wait for its end.", where=str(target)) from None
    finally:
        os.close(descriptor)


@contextmanager
def _room_told(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StorageFull(
            "The disk is full: there is no backup", hint="Make room, or name another disk.", where=str(target)
        ) from error


def _clear_unfinished(target: Path) -> None:
    """What was cut off, and what a deletion left."""
    for path in target.glob(f"{UNFINISHED}*"):
        shutil.rmtree(path)


def _slug(city: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", city.lower()).strip("-")[:40] or "city"


def _copy(folder: CityFolder, copy: CityFolder, target: Path, progress: Progress) -> datetime:
    """Copy everything; returns the instant that the databases are of."""
    with ExitStack() as standing:
        with ExitStack() as still:
            _hold(folder, still)
            frozen = _stand_still(folder, standing)
            made = datetime.now(UTC)
            apart = [one.path for one in frozen]
            plain = list(plain_files(folder, [*apart, folder.history], target.resolve()))
            told = _Told(progress, _size(folder, frozen, plain))
            _check_room(target, told.total)
            _copy_history(folder.history, copy.history, told)
        for one in frozen:
            told.from_here()
            fresh = copy.home / one.path.relative_to(folder.home)
            fresh.parent.mkdir(exist_ok=True, mode=0o700)
            one.copy(fresh, told.share(one.bytes))
    for path in plain:
        _copy_plain(path, copy.home / path.relative_to(folder.home), told)
    told.end()
    return made


def _stand_still(folder: CityFolder, standing: ExitStack) -> list[Frozen]:
    """All databases at one instant, until `standing` ends."""
    while True:
        databases = databases_of(folder)
        try:
            return standing.enter_context(at_one_instant(databases))
        except apsw.CantOpenError:
            # A snapshot may have ended since it was listed.
            if all(path.exists() for path in databases):
                raise


def _hold(folder: CityFolder, still: ExitStack) -> None:
    """Nobody writes to the history from here on; a city that does not run cannot start."""
    if not is_running(folder):
        try:
            still.enter_context(HomeLock(folder.home))
        except BadConfig as error:
            if not is_running(folder):
                raise
            raise NotReady("The city is starting", hint="Try again in a while.", where=error.where) from None
    elif folder.history.exists():
        still.enter_context(held(hold_of(folder.history)))


class _Told:
    """How many bytes of all are copied."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.total = max(total, 1)
        self._progress = progress
        self._done = self._before = 0

    def add(self, fresh: int) -> None:
        self._done += fresh
        self._progress("Copying", min(self._done, self.total), self.total)

    def from_here(self) -> None:
        self._before = self._done

    def share(self, size: int) -> Callable[[int, int], None]:
        """Of a file of this size, whose pages are counted."""

        def tell(done: int, pages: int) -> None:
            self.add(self._before + size * done // max(pages, 1) - self._done)

        return tell

    def end(self) -> None:
        self._progress("Copying", self.total, self.total)


def _size(folder: CityFolder, frozen: list[Frozen], plain: list[Path]) -> int:
    others = [folder.history, _log_of(folder.history), *plain]
    return sum(one.bytes for one in frozen) + sum(one.stat().st_size for one in others if one.exists())


def _check_room(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target).free
    if free < needed + _MARGIN:
        raise StorageFull(
            f"The backup needs {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free",
            hint="Make room, name another disk, or keep fewer backups with --keep.",
            where=str(target),
        )


def _log_of(history: Path) -> Path:
    return history.with_name(f"{history.name}.wal")


def _copy_history(history: Path, copy: Path, told: _Told) -> None:
    """The file and its log, of which DuckDB makes one when it opens the copy."""
    if not history.exists():
        return
    parts = ((history, copy), (_log_of(history), _log_of(copy)))
    before = [_stamp(source) for source, _ in parts]
    for source, target in parts:
        if source.exists():
            _copy_fast(source, target, told)
    if [_stamp(source) for source, _ in parts] != before:
        raise NotReady(
            "The history was written to while it was copied", hint="Try again.", where=str(history)
        )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    if not path.exists():
        return None
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _copy_fast(source: Path, target: Path, told: _Told) -> None:
    """The history stands still meanwhile: the kernel copies, and shares the blocks where the disk can."""
    with source.open("rb") as read, target.open("xb") as written:
        while True:
            try:
                copied = os.copy_file_range(read.fileno(), written.fileno(), 64 * _PIECE)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                break
            if not copied:
                return
            told.add(copied)
        # From one file system to another some kernels cannot.
        while piece := read.read(_PIECE):
            written.write(piece)
            told.add(len(piece))


def _copy_plain(source: Path, target: Path, told: _Told) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A photo may be taken back meanwhile.
    with suppress(FileNotFoundError), source.open("rb") as read, target.open("xb") as written:
        digested(read, written, told.add)


def _described(
    folder: CityFolder,
    copy: CityFolder,
    city: str,
    made: datetime,
    *,
    postgresql: bool,
    progress: Progress,
) -> Manifest:
    """Open the copies, which brings their logs in, and take the checksum of everything."""
    sequence, remembered = _settled(copy)
    if copy.feed.exists() and remembered > sequence:
        raise BadConfig(
            f"The history ends at change {remembered}, and the feed at {sequence}",
            hint="These files are not of one city and time: restore all of them from one backup.",
            where=str(folder.home),
        )
    for finding in database_findings(copy):
        raise BadConfig(
            f"What was copied cannot be used: {finding.what}", hint=finding.remedy, where=str(folder.home)
        )
    _remove_logs(copy)
    paths = sorted(path for path in copy.home.rglob("*") if path.is_file())
    told = _Told(
        lambda _, done, all_: progress("Checksums", done, all_), sum(p.stat().st_size for p in paths)
    )
    files = []
    for path in paths:
        path.chmod(0o600)
        with path.open("rb") as file:
            files.append(Copied(path.relative_to(copy.home).as_posix(), *digested(file, tell=told.add)))
            os.fsync(file.fileno())
    return Manifest(
        format=FORMAT,
        version=__version__,
        city=origin_of(folder, city),
        made=made.isoformat(timespec="seconds").replace("+00:00", "Z"),
        storage="postgresql" if postgresql else "files",
        sequence=sequence,
        remembered=remembered,
        files=tuple(files),
    )


def _settled(copy: CityFolder) -> tuple[int, int]:
    """How far the feed and the history have come, in the copies."""
    sequence, remembered = 0, 0
    if copy.feed.exists():
        # Not as the city opens it: that would bring it up to date.
        with closing(open_reader(copy.feed)) as feed:
            sequence = int(
                feed.execute(
                    "SELECT max(through, (SELECT ifnull(max(sequence), 0) FROM change)) FROM trimmed"
                ).get
            )
    if copy.history.exists() and copy.history.stat().st_size:
        import duckdb

        try:
            with duckdb.connect(str(copy.history), config={"memory_limit": "256MB"}) as connection:
                connection.execute("CHECKPOINT")
                row = connection.execute("SELECT last_sequence FROM progress").fetchone()
                remembered = int(row[0]) if row else 0
        except duckdb.Error as error:
            raise BadConfig(
                f"The history cannot be opened: {str(error).splitlines()[0]}",
                hint="Look with `cityloom doctor`, once the city is stopped.",
                where=copy.history.name,
            ) from None
    return sequence, remembered


def _remove_logs(copy: CityFolder) -> None:
    """The copies were closed, and hold all; readers leave empty logs."""
    for path in databases_of(copy):
        for end in ("-wal", "-shm"):
            path.with_name(f"{path.name}{end}").unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    for where, _, _ in os.walk(folder):
        sync_folder(Path(where))
