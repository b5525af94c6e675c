"""What waits to be sent, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import LiteralString

import msgspec

from cityloom.adapters.postgres.database import Database
from cityloom.kernel.actor import InformationClass
from cityloom.subscriptions.model import Pending, Tally
from cityloom.subscriptions.ports import Key

MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE waiting (
        place bigint NOT NULL,
        lane text NOT NULL,
        tenant text NOT NULL,
        subscription text NOT NULL,
        entity_id text NOT NULL,
        classes bytea NOT NULL,
        at_millis bigint NOT NULL,
        shown bytea NOT NULL,
        PRIMARY KEY (place)
    );
    CREATE INDEX waiting_by_lane ON waiting (lane, place);
    CREATE INDEX waiting_by_subscription ON waiting (tenant, subscription, place);
    CREATE TABLE tally (
        tenant text NOT NULL,
        subscription text NOT NULL,
        document bytea NOT NULL,
        PRIMARY KEY (tenant, subscription)
    );
    CREATE TABLE newest (one smallint PRIMARY KEY CHECK (one = 1), place bigint NOT NULL);
    INSERT INTO newest VALUES (1, 0);
    """,
)

_COLUMNS: LiteralString = "place, lane, tenant, subscription, entity_id, classes, at_millis, shown"
_TYPES = ("int8", "text", "text", "text", "text", "bytea", "int8", "bytea")
_COPY: LiteralString = f"COPY waiting ({_COLUMNS}) FROM STDIN (FORMAT binary)"

_tally = msgspec.json.Decoder(Tally).decode
_encode = msgspec.json.Encoder().encode


class PostgresOutbox:
    """An `Outbox` in one schema."""

    def __init__(self, database: Database) -> None:
        self._line = database.line("notifications")

    def lanes(self) -> Mapping[str, int]:
        return dict(self._line.rows("SELECT lane, count(*) FROM waiting GROUP BY lane"))

    def newest(self) -> int:
        found = self._line.row("SELECT place FROM newest")
        return int(found[0]) if found else 0

    def tallies(self) -> Iterable[tuple[Key, Tally]]:
        rows = self._line.rows("SELECT tenant, subscription, document FROM tally")
        return [((tenant, subscription), _tally(document)) for tenant, subscription, document in rows]

    def add(self, items: Sequence[Pending]) -> None:
        if not items:
            return
        with self._line.transaction() as connection:
            # Whoever was not told that these are kept brings them again.
            connection.execute("DELETE FROM waiting WHERE place = ANY(%s)", ([one.place for one in items],))
            with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
                copy.set_types(_TYPES)
                for one in items:
                    copy.write_row(
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
                    )
            connection.execute("UPDATE newest SET place = greatest(place, %s)", (items[-1].place,))

    def sizes(self) -> Mapping[Key, int]:
        rows = self._line.rows(
            "SELECT tenant, subscription, sum(octet_length(shown))::bigint FROM waiting"
            " GROUP BY tenant, subscription"
        )
        return {(tenant, subscription): size for tenant, subscription, size in rows}

    def oldest(self, key: Key, limit: int) -> list[Pending]:
        return self._pending("WHERE tenant = %s AND subscription = %s ORDER BY place LIMIT %s", (*key, limit))

    def read(self, lane: str, after: int, limit: int) -> list[Pending]:
        return self._pending("WHERE lane = %s AND place > %s ORDER BY place LIMIT %s", (lane, after, limit))

    def _pending(self, which: LiteralString, values: tuple[str | int, ...]) -> list[Pending]:
        return [
            Pending(
                place, name, tenant, subscription, entity_id, tuple(map(InformationClass, classes)), at, shown
            )
            for place, name, tenant, subscription, entity_id, classes, at, shown in self._line.rows(
                f"SELECT {_COLUMNS} FROM waiting {which}", values
            )
        ]

    def settle(self, places: Sequence[int], tallies: Sequence[tuple[Key, Tally]]) -> None:
        with self._line.transaction() as connection:
            if places:
                connection.execute("DELETE FROM waiting WHERE place = ANY(%s)", (list(places),))
            if tallies:
                connection.cursor().executemany(
                    "INSERT INTO tally VALUES (%s, %s, %s)"
                    " ON CONFLICT (tenant, subscription) DO UPDATE SET document = excluded.document",
                    [(*key, _encode(tally)) for key, tally in tallies],
                )

    def forget(self, keys: Sequence[Key]) -> None:
        if not keys:
            return
        with self._line.transaction() as connection:
            cursor = connection.cursor()
            cursor.executemany("DELETE FROM waiting WHERE tenant = %s AND subscription = %s", keys)
            cursor.executemany("DELETE FROM tally WHERE tenant = %s AND subscription = %s", keys)

    def close(self) -> None:
        self._line.close()
