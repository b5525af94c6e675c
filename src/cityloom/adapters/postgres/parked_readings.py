"""Parked readings in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC
from typing import Any, LiteralString

from cityloom.adapters.postgres.connection import Connection
from cityloom.adapters.postgres.database import Database
from cityloom.kernel.actor import InformationClass
from cityloom.sensing.model import ParkedReading
from cityloom.sensing.ports import Room

MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE parked (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL,
        connector text NOT NULL,
        address text NOT NULL,
        device text NOT NULL,
        reason text NOT NULL,
        hint text NOT NULL,
        place text NOT NULL,
        content_type text NOT NULL,
        truncated boolean NOT NULL,
        class smallint NOT NULL,
        body bytea NOT NULL
    );
    CREATE INDEX parked_by_owner ON parked (connector, device, id);
    CREATE INDEX parked_by_class ON parked (class, id);
    CREATE TABLE parked_tally (
        one smallint PRIMARY KEY CHECK (one = 1),
        readings bigint NOT NULL,
        bytes bigint NOT NULL,
        forgotten bigint NOT NULL
    );
    INSERT INTO parked_tally VALUES (1, 0, 0, 0);
    """,
)

_COLUMNS: LiteralString = (
    "id, at, connector, address, device, reason, hint, place, content_type, truncated, class, body"
)
_INSERT: LiteralString = (
    "INSERT INTO parked (at, connector, address, device, reason, hint, place, content_type, truncated,"
    " class, body) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
# Each says how many went, and their bytes.
_SURPLUS_OF_ONE = (
    "WITH gone AS (DELETE FROM parked WHERE connector = %(connector)s AND device = %(device)s AND id <="
    " (SELECT id FROM parked WHERE connector = %(connector)s AND device = %(device)s"
    " ORDER BY id DESC LIMIT 1 OFFSET %(most)s) RETURNING octet_length(body) AS size)"
    " SELECT count(*), coalesce(sum(size), 0)::bigint FROM gone"
)
_OLDEST = (
    "WITH gone AS (DELETE FROM parked WHERE id IN (SELECT id FROM parked ORDER BY id LIMIT %(most)s)"
    " RETURNING octet_length(body) AS size) SELECT count(*), coalesce(sum(size), 0)::bigint FROM gone"
)
_NAMED = (
    "WITH gone AS (DELETE FROM parked WHERE id = ANY(%(ids)s) AND class = ANY(%(classes)s)"
    " RETURNING octet_length(body) AS size) SELECT count(*), coalesce(sum(size), 0)::bigint FROM gone"
)
_COUNT = (
    "UPDATE parked_tally SET readings = readings + %s, bytes = bytes + %s, forgotten = forgotten + %s"
    " RETURNING readings, bytes"
)


class PostgresParkedStore:
    """A `ParkedStore` in one schema."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, readings: Sequence[ParkedReading], room: Room) -> None:
        if not readings:
            return
        with self._database.write() as connection:
            # Locks the tally, too: nobody else counts meanwhile, nor gives out ids.
            _count(connection, len(readings), sum(len(one.body) for one in readings))
            connection.cursor().executemany(_INSERT, list(map(_row, readings)))
            for connector, device in {(_text(one.connector), _text(one.device)) for one in readings}:
                _forget(
                    connection,
                    _SURPLUS_OF_ONE,
                    {"connector": connector, "device": device, "most": room.most_of_one},
                )
            _make_room(connection, room)

    def newest(
        self, classes: Collection[InformationClass], limit: int, before: int = 0, connector: str = ""
    ) -> list[ParkedReading]:
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM parked WHERE (%s = 0 OR id < %s) AND (%s = '' OR connector = %s)"
            " AND class = ANY(%s) ORDER BY id DESC LIMIT %s",
            (before, before, connector, connector, _numbers(classes), limit),
        )
        return [_reading(row) for row in rows]

    def find(self, classes: Collection[InformationClass], reading_id: int) -> ParkedReading | None:
        row = self._database.row(
            f"SELECT {_COLUMNS} FROM parked WHERE id = %s AND class = ANY(%s)",
            (reading_id, _numbers(classes)),
        )
        return _reading(row) if row else None

    def remove(self, classes: Collection[InformationClass], reading_ids: Sequence[int]) -> int:
        with self._database.write() as connection:
            values = {"ids": list(reading_ids), "classes": _numbers(classes)}
            number, size = _gone(connection, _NAMED, values)
            _count(connection, -number, -size)
        return number

    def count(self, classes: Collection[InformationClass]) -> int:
        row = self._database.row("SELECT count(*) FROM parked WHERE class = ANY(%s)", (_numbers(classes),))
        return int(row[0]) if row else 0

    def forgotten(self) -> int:
        row = self._database.row("SELECT forgotten FROM parked_tally")
        return int(row[0]) if row else 0


def _numbers(classes: Collection[InformationClass]) -> list[int]:
    return [int(one) for one in classes]


def _count(connection: Connection, readings: int, size: int, forgotten: int = 0) -> tuple[int, int]:
    """Count what came (or went); returns how many readings and bytes there are."""
    found = connection.execute(_COUNT, (readings, size, forgotten)).fetchone()
    assert found is not None, "the tally has one row from the beginning"
    return found[0], found[1]


def _gone(connection: Connection, statement: LiteralString, values: dict[str, Any]) -> tuple[int, int]:
    found = connection.execute(statement, values).fetchone()
    assert found is not None, "a count has one row"
    return found[0], found[1]


def _forget(connection: Connection, statement: LiteralString, values: dict[str, Any]) -> None:
    """Delete for want of room, and count that."""
    number, size = _gone(connection, statement, values)
    _count(connection, -number, -size, number)


def _make_room(connection: Connection, room: Room) -> None:
    while True:
        kept, size = _count(connection, 0, 0)
        surplus = max(kept - room.most, 0)
        if size > room.most_bytes:
            # Bodies differ in size: go on in steps of a twentieth until they fit.
            surplus = max(surplus, kept // 20, 1)
        if not surplus:
            return
        _forget(connection, _OLDEST, {"most": surplus})


def _text(said: str) -> str:
    """What strangers said, as the server can keep it: without NUL."""
    return said.replace("\0", "␀")


def _row(reading: ParkedReading) -> tuple[Any, ...]:
    return (
        reading.at,
        _text(reading.connector),
        _text(reading.address),
        _text(reading.device),
        _text(reading.reason),
        _text(reading.hint),
        _text(reading.where),
        _text(reading.content_type),
        reading.truncated,
        int(reading.information_class),
        reading.body,
    )


def _reading(row: tuple[Any, ...]) -> ParkedReading:
    number, at, connector, address, device, reason, hint, where, content_type, truncated, secrecy, body = row
    return ParkedReading(
        id=number,
        at=at.astimezone(UTC),
        connector=connector,
        address=address,
        device=device,
        reason=reason,
        hint=hint,
        where=where,
        body=body,
        content_type=content_type,
        truncated=truncated,
        information_class=InformationClass(secrecy),
    )
