"""Several SQLite files as they were at one instant, while others write to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import apsw

from cityloom.adapters.sqlite.connection import open_reader, sound
from cityloom.kernel.errors import NotReady, StorageFull

#: Pages copied between two tellings.
_STEP = 2_000
#: How often an instant is looked for in which nothing was committed.
_TRIES = 2_000


class Frozen:
    """A file as it is at an instant: a reader that stands still."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = open_reader(path)

    def freeze(self) -> None:
        """Stand still here and now. Raises BadConfig for a damaged file."""
        with sound(self.path):
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self.connection.execute("BEGIN")
            # A transaction begins with its first look.
            self.connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()

    @property
    def bytes(self) -> int:
        """The size of the copy."""
        pages, size = self.connection.pragma("page_count"), self.connection.pragma("page_size")
        return int(pages) * int(size)

    def copy(self, target: Path, progress: Callable[[int, int], None]) -> None:
        """Copy what it holds into a new file. Raises StorageFull, BadConfig for one that is damaged."""
        with closing(apsw.Connection(str(target))) as fresh:
            # Until the whole copy is synced nobody counts on it.
            fresh.pragma("synchronous", "off")
            fresh.pragma("journal_mode", "memory")
            try:
                with sound(self.path), fresh.backup("main", self.connection, "main") as copying:
                    while not copying.done:
                        copying.step(_STEP)
                        progress(copying.page_count - copying.remaining, copying.page_count)
            except apsw.FullError as error:
                raise StorageFull(
                    f"The disk is full: {target.name} was not copied", hint="Make room.", where=str(target)
                ) from error


@contextmanager
def at_one_instant(paths: Sequence[Path]) -> Iterator[list[Frozen]]:
    """The files as they all are at the instant at which the last of them is frozen.

    Readers hold up nobody, so somebody may commit between two of them. That is seen, and it is tried again:
    what was frozen before the last file is what it still is when the last one has been. Raises NotReady,
    BadConfig for a damaged file.
    """
    with ExitStack() as open_files:
        frozen = []
        for path in paths:
            one = Frozen(path)
            open_files.callback(one.connection.close)
            frozen.append(one)
        watched = [open_reader(path) for path in paths[:-1]]
        for connection in watched:
            open_files.callback(connection.close)
        for _ in range(_TRIES):
            before = _versions(watched)
            for one in frozen:
                one.freeze()
            if _versions(watched) == before:
                break
        else:
            raise NotReady(
                "The city writes without a pause", hint="Try again when there is less to do.", where="records"
            )
        yield frozen


def _versions(watched: Sequence[apsw.Connection]) -> list[int]:
    return [int(connection.pragma("data_version")) for connection in watched]
