"""The folded state in PostgreSQL: one row an Entity, keyed by its creation.

Its bounds are plain numbers: the store is asked to keep them and never to search by them, so no geometry
of the server's is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import LiteralString

from cityloom.adapters.postgres.database import Database
from cityloom.adapters.sql.rows import state_of, state_row
from cityloom.context.ports import Folded

MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE entity (
        created bigint NOT NULL,
        tenant text NOT NULL,
        entity_id text NOT NULL,
        types text NOT NULL,
        information_class smallint NOT NULL,
        document bytea NOT NULL,
        sequence bigint NOT NULL,
        west double precision,
        south double precision,
        east double precision,
        north double precision,
        reference text NOT NULL,
        PRIMARY KEY (created, entity_id)
    );
    CREATE TABLE folded (one smallint PRIMARY KEY CHECK (one = 1), through bigint NOT NULL);
    INSERT INTO folded VALUES (1, 0);
    """,
    # From here on documents may be packed (`context.keeping`), which CityLoom could not read before.
    "COMMENT ON COLUMN entity.document IS 'JSON whose times may be packed'",
)

_COLUMNS: LiteralString = (
    "created, tenant, entity_id, types, information_class, document, sequence, west, south, east, north,"
    " reference"
)
_TYPES = (
    *(
        "int8",
        "text",
        "text",
        "text",
        "int2",
        "bytea",
        "int8",
        "float8",
        "float8",
        "float8",
        "float8",
        "text",
    ),
)
_COPY: LiteralString = f"COPY entity ({_COLUMNS}) FROM STDIN (FORMAT binary)"
#: Rows that come from the server at a time.
_ROWS_A_TIME = 5000


class PostgresStateTable:
    """A `StateTable` in one schema."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._line = database.line("states")

    def load(self) -> Iterator[Folded]:
        known: dict[str, tuple[str, ...]] = {"[]": ()}
        with (
            self._database.own_connection("states, loading") as connection,
            connection.transaction(),
            connection.cursor(name="states", binary=True) as cursor,
        ):
            cursor.itersize = _ROWS_A_TIME
            for row in cursor.execute(f"SELECT {_COLUMNS} FROM entity ORDER BY created"):
                yield state_of(row, known)

    def folded_through(self) -> int:
        found = self._line.row("SELECT through FROM folded")
        return int(found[0]) if found else 0

    def fold(self, upserts: Sequence[Folded], deletes: Sequence[int], through: int) -> None:
        left = set(deletes)
        kept = [one for one in upserts if one.created not in left]
        gone = [*(one.created for one in kept), *deletes]
        with self._line.transaction() as connection:
            moved = connection.execute(
                "UPDATE folded SET through = %s WHERE through <= %s", (through, through)
            )
            if moved.rowcount != 1:
                raise RuntimeError(f"the table of states is past change {through}: another process folds it")
            if gone:
                connection.execute("DELETE FROM entity WHERE created = ANY(%b)", (gone,))
            if kept:
                with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
                    copy.set_types(_TYPES)
                    for one in kept:
                        copy.write_row(state_row(one))

    def close(self) -> None:
        self._line.close()
