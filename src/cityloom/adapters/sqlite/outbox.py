"""What waits to be sent, in `notifications.db`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cityloom.adapters.sqlite.connection import open_writer, sound, transaction
from cityloom.kernel.actor import InformationClass
from cityloom.subscriptions.model import Pending, Tally
from cityloom.subscriptions.ports import Key

MIGRATIONS = (
    """
    CREATE TABLE waiting (
        place INTEGER PRIMARY KEY,
        lane TEXT NOT NULL,
        tenant TEXT NOT NULL,
        subscription TEXT NOT NULL,
        entity_id TEXT NOT NULL,
        classes BLOB NOT NULL,
        at_millis INTEGER NOT NULL,
        shown BLOB NOT NULL
    ) STRICT;
    CREATE INDEX waiting_by_lane ON waiting (lane, place);
    CREATE TABLE tally (
        tenant TEXT NOT NULL,
        subscription TEXT NOT NULL,
        document BLOB NOT NULL,
        PRIMARY KEY (tenant, subscription)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE newest (one INTEGER PRIMARY KEY CHECK (one = 1), place INTEGER NOT NULL) STRICT;
    INSERT INTO newest VALUES (1, 0);
    """,
    "CREATE INDEX waiting_by_subscription ON waiting (tenant, subscription, place);",
)

_LANES = "SELECT lane, count(*) FROM waiting GROUP BY lane"

_tally = msgspec.json.Decoder(Tally).decode
_encode = msgspec.json.Encoder().encode


class SqliteOutbox:
    """An `Outbox` in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_writer(path, MIGRATIONS)

    def lanes(self) -> Mapping[str, int]:
        return {str(lane): int(count) for lane, count in self._rows(_LANES)}

    def newest(self) -> int:
        ((place,),) = self._rows("SELECT place FROM newest")
        return int(place)

    def tallies(self) -> Iterable[tuple[Key, Tally]]:
        rows = self._rows("SELECT tenant, subscription, document FROM tally")
        return [((tenant, subscription), _tally(document)) for tenant, subscription, document in rows]

    def add(self, items: Sequence[Pending]) -> None:
        if not items:
            return
        with transaction(self._connection):
            self._connection.executemany(
                "INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        one.place,
                        one.lane,
                        one.tenant,
                        one.subscription,
                        one.entity_id,
                        bytes(one.classes),
                        one.at_millis,
                        one.shown,
                    )
                    for one in items
                ],
            )
            self._connection.execute("UPDATE newest SET place = max(place, ?)", (items[-1].place,))

    def sizes(self) -> Mapping[Key, int]:
        rows = self._rows(
            "SELECT tenant, subscription, sum(length(shown)) FROM waiting GROUP BY tenant, subscription"
        )
        return {(str(tenant), str(subscription)): int(size) for tenant, subscription, size in rows}

    def oldest(self, key: Key, limit: int) -> list[Pending]:
        return self._pending(
            "SELECT * FROM waiting WHERE tenant = ? AND subscription = ? ORDER BY place LIMIT ?",
            (*key, limit),
        )

    def read(self, lane: str, after: int, limit: int) -> list[Pending]:
        return self._pending(
            "SELECT * FROM waiting WHERE lane = ? AND place > ? ORDER BY place LIMIT ?", (lane, after, limit)
        )

    def _pending(self, statement: str, values: tuple[Any, ...]) -> list[Pending]:
        return [
            Pending(
                place, name, tenant, subscription, entity_id, tuple(map(InformationClass, classes)), at, shown
            )
            for place, name, tenant, subscription, entity_id, classes, at, shown in self._rows(
                statement, values
            )
        ]

    def settle(self, places: Sequence[int], tallies: Sequence[tuple[Key, Tally]]) -> None:
        with transaction(self._connection):
            self._connection.executemany("DELETE FROM waiting WHERE place = ?", [(one,) for one in places])
            self._connection.executemany(
                "INSERT OR REPLACE INTO tally VALUES (?, ?, ?)",
                [(*key, _encode(tally)) for key, tally in tallies],
            )

    def forget(self, keys: Sequence[Key]) -> None:
        with transaction(self._connection):
            for table in ("waiting", "tally"):
                self._connection.executemany(
                    f"DELETE FROM {table} WHERE tenant = ? AND subscription = ?",  # noqa: S608 - of two names
                    list(keys),
                )

    def _rows(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with sound(self._path):
            return self._connection.execute(statement, values).fetchall()

    def close(self) -> None:
        self._connection.close()
