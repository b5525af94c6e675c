"""Parked readings in `records.db`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import apsw

from cityloom.adapters.sqlite.records import Records
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.time import from_millis, to_millis
from cityloom.sensing.model import ParkedReading
from cityloom.sensing.ports import Room

MIGRATIONS = (
    """
    CREATE TABLE parked (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        connector TEXT NOT NULL,
        address TEXT NOT NULL,
        device TEXT NOT NULL,
        reason TEXT NOT NULL,
        hint TEXT NOT NULL,
        place TEXT NOT NULL,
        content_type TEXT NOT NULL,
        truncated INTEGER NOT NULL,
        size INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX parked_by_owner ON parked (connector, device, id);
    CREATE TABLE parked_tally (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        readings INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        forgotten INTEGER NOT NULL
    ) STRICT;
    INSERT INTO parked_tally VALUES (1, 0, 0, 0);
    CREATE TRIGGER parked_counts_what_comes AFTER INSERT ON parked BEGIN
        UPDATE parked_tally SET readings = readings + 1, bytes = bytes + new.size;
    END;
    CREATE TRIGGER parked_counts_what_goes AFTER DELETE ON parked BEGIN
        UPDATE parked_tally SET readings = readings - 1, bytes = bytes - old.size;
    END;
    """,
    """
    ALTER TABLE parked ADD COLUMN class INTEGER NOT NULL DEFAULT 1;
    CREATE INDEX parked_by_class ON parked (class, id);
    """,
)

_COLUMNS = "id, at, connector, address, device, reason, hint, place, content_type, truncated, body, class"
_INSERT = (
    "INSERT INTO parked (at, connector, address, device, reason, hint, place, content_type, truncated, size,"
    " body, class) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
)
_DELETE_SURPLUS_OF_ONE = (
    "DELETE FROM parked WHERE connector = ?1 AND device = ?2 AND id <= (SELECT id FROM parked"
    " WHERE connector = ?1 AND device = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)"
)
_DELETE_OLDEST = "DELETE FROM parked WHERE id IN (SELECT id FROM parked ORDER BY id LIMIT ?)"


class SqliteParkedStore:
    """A `ParkedStore` in the file of records."""

    def __init__(self, records: Records) -> None:
        self._records = records
        records.prepare("parked", MIGRATIONS)

    def add(self, readings: Sequence[ParkedReading], room: Room) -> None:
        with self._records.write() as connection:
            connection.executemany(_INSERT, map(_row, readings))
            gone = 0
            for owner in {(one.connector, one.device) for one in readings}:
                connection.execute(_DELETE_SURPLUS_OF_ONE, (*owner, room.most_of_one))
                gone += connection.changes()
            gone += _make_room(connection, room)
            if gone:
                connection.execute("UPDATE parked_tally SET forgotten = forgotten + ?", (gone,))

    def newest(
        self, classes: Collection[InformationClass], limit: int, before: int = 0, connector: str = ""
    ) -> list[ParkedReading]:
        rows = self._records.rows(
            f"SELECT {_COLUMNS} FROM parked WHERE (?1 = 0 OR id < ?1) AND (?2 = '' OR connector = ?2)"  # noqa: S608 - fixed names
            f" AND {_seen(classes)} ORDER BY id DESC LIMIT ?3",
            (before, connector, limit),
        )
        return [_reading(row) for row in rows]

    def find(self, classes: Collection[InformationClass], reading_id: int) -> ParkedReading | None:
        row = self._records.row(
            f"SELECT {_COLUMNS} FROM parked WHERE id = ? AND {_seen(classes)}",  # noqa: S608 - fixed names
            (reading_id,),
        )
        return _reading(row) if row else None

    def remove(self, classes: Collection[InformationClass], reading_ids: Sequence[int]) -> int:
        gone = 0
        with self._records.write() as connection:
            for number in reading_ids:
                connection.execute(f"DELETE FROM parked WHERE id = ? AND {_seen(classes)}", (number,))  # noqa: S608 - numbers
                gone += connection.changes()
        return gone

    def count(self, classes: Collection[InformationClass]) -> int:
        row = self._records.row(f"SELECT count(*) FROM parked WHERE {_seen(classes)}")  # noqa: S608 - numbers
        return int(row[0]) if row else 0

    def forgotten(self) -> int:
        row = self._records.row("SELECT forgotten FROM parked_tally")
        return int(row[0]) if row else 0


def _seen(classes: Collection[InformationClass]) -> str:
    """The condition that a row may be seen."""
    return f"class IN ({', '.join(str(int(one)) for one in classes)})"


def _make_room(connection: apsw.Connection, room: Room) -> int:
    gone = 0
    while True:
        (row,) = connection.execute("SELECT readings, bytes FROM parked_tally").fetchall()
        kept, size = (int(number or 0) for number in row)
        surplus = max(kept - room.most, 0)
        if size > room.most_bytes:
            # Bodies differ in size: go on in steps of a twentieth until they fit.
            surplus = max(surplus, kept // 20, 1)
        if not surplus:
            return gone
        connection.execute(_DELETE_OLDEST, (surplus,))
        gone += connection.changes()


def _row(reading: ParkedReading) -> tuple[Any, ...]:
    return (
        to_millis(reading.at),
        reading.connector,
        reading.address,
        reading.device,
        reading.reason,
        reading.hint,
        reading.where,
        reading.content_type,
        reading.truncated,
        len(reading.body),
        reading.body,
        int(reading.information_class),
    )


def _reading(row: tuple[Any, ...]) -> ParkedReading:
    number, at, connector, address, device, reason, hint, where, content_type, truncated, body, secrecy = row
    return ParkedReading(
        id=number,
        at=from_millis(at),
        connector=connector,
        address=address,
        device=device,
        reason=reason,
        hint=hint,
        where=where,
        body=body,
        content_type=content_type,
        truncated=bool(truncated),
        information_class=InformationClass(secrecy),
    )
