"""One process asks another to leave a file alone for a while, by a lock that ends with the process."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cityloom.kernel.errors import NotReady

#: Seconds for which a file that is held is left alone. A holder that hangs longer finds the file changed.
PATIENCE_S = 1800.0
#: Seconds that the holder waits for a write under way.
HOLDERS_PATIENCE_S = 60.0
_PAUSE_S = 0.02


@contextmanager
def writing(lock: Path, patience: float = PATIENCE_S) -> Iterator[None]:
    """Write inside: this waits while somebody holds the file. Blocks; makes the lock where there is none."""
    # A description of its own each time: threads that share one would end each other's lock.
    descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, fcntl.LOCK_SH, patience)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def writing_at_once(lock: Path) -> Iterator[None]:
    """Write inside. Raises NotReady while somebody holds the file; makes the lock where there is none."""
    descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        if not _lock(descriptor, fcntl.LOCK_SH, 0):
            raise NotReady("The history is being copied", hint="Try again in a while.", where=str(lock))
        yield
    finally:
        os.close(descriptor)


@contextmanager
def held(lock: Path, patience: float = HOLDERS_PATIENCE_S) -> Iterator[None]:
    """Nothing is written inside. Raises NotReady when a write does not end, or nobody knows this lock."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        raise NotReady(
            "The running city cannot be asked to hold its history still",
            hint="Wait until it has started. One that an older CityLoom runs must be started anew.",
            where=str(lock),
        ) from None
    try:
        if not _lock(descriptor, fcntl.LOCK_EX, patience):
            raise NotReady(
                "The history is being written without a pause", hint="Try again in a while.", where=str(lock)
            )
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int, patience: float) -> bool:
    """Whether the lock was had in time."""
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_PAUSE_S)
        else:
            return True
