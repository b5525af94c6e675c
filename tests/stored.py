"""What a running city has stored, read from its files beside it: for tests of what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw

from cityloom.access.authority import OPEN_ACCESS

#: How a snapshot stands changes by itself, and those whose time is over are removed at any request.
_BY_ITSELF = "snapshot"


class Stored:
    """Of a city under open access."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._feed = apsw.Connection(str(home / "feed.db"), flags=apsw.SQLITE_OPEN_READONLY)
        self._records = apsw.Connection(str(home / "records.db"), flags=apsw.SQLITE_OPEN_READONLY)

    def now(self) -> tuple[Any, ...]:
        """Something that differs after every write of whoever asks: to Entities, to their past, to what is
        kept for others. Of snapshots, see `snapshots`."""
        last = self._feed.execute("SELECT max(sequence) FROM change WHERE by = ?", (OPEN_ACCESS.id,)).get
        kept = self._records.execute(
            "SELECT kind, tenant, id, document FROM register WHERE kind != ? ORDER BY place", (_BY_ITSELF,)
        ).fetchall()
        return last, tuple(kept)

    def snapshots(self) -> set[tuple[str, str]]:
        """Tenant and id of those that there are; none may come with a request that is refused."""
        rows = self._records.execute("SELECT tenant, id FROM register WHERE kind = ?", (_BY_ITSELF,))
        return set(rows.fetchall())


class Unchanged:
    """Compares before and after a request."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._before = stored.now()
        self._snapshots = stored.snapshots()

    def __bool__(self) -> bool:
        return self._stored.now() == self._before and self._stored.snapshots() <= self._snapshots
