"""The real city with a bug put in on purpose, to see that a test would find it.

    python planted.py BUG up --home FOLDER …

BUG is one of those in `BUGS`, or `none`.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable

import apsw

from cityloom.adapters.mqtt import deliveries
from cityloom.adapters.sqlite import connection
from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.app.command_line import main


def early() -> None:
    """Says "stored" at once, and stores later."""
    append = SqliteFeed.append
    later: queue.SimpleQueue = queue.SimpleQueue()

    def store() -> None:
        while True:
            append(*later.get())

    threading.Thread(target=store, daemon=True).start()
    SqliteFeed.append = lambda feed, changes: later.put((feed, changes))  # type: ignore[method-assign]  # the bug


def early_puback() -> None:
    """Acknowledges to devices what waits for its commit."""
    deliver = deliveries.Deliveries._deliver

    async def hasty(self, batch) -> None:
        deliveries._acknowledge(batch, [deliveries.STORED] * len(batch))
        await deliver(self, [(link, 0, message) for link, _, message in batch])

    deliveries.Deliveries._deliver = hasty  # type: ignore[method-assign]  # the bug


def normal() -> None:
    """Flushes at checkpoints alone."""
    _synchronous("normal")


def unflushed() -> None:
    """Flushes nothing at all."""
    _synchronous("off")


def _synchronous(level: str) -> None:
    configure = connection._configure

    def careless(opened, path) -> None:
        configure(opened, path)
        opened.pragma("synchronous", level)

    connection._configure = careless


def forgiving() -> None:
    """Takes a flush that failed for a full disk: tells it, and goes on."""
    connection._is_full = lambda error: isinstance(error, apsw.FullError | apsw.IOError)


BUGS: dict[str, Callable[[], None]] = {
    "early": early,
    "early-puback": early_puback,
    "normal": normal,
    "unflushed": unflushed,
    "forgiving": forgiving,
}

if __name__ == "__main__":
    if sys.argv[1] != "none":
        BUGS[sys.argv[1]]()
    sys.exit(main(sys.argv[2:]))
