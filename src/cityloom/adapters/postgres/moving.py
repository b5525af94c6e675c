"""What a schema knows of the village that is carried into it: from where, how far, whether it is whole."""

from __future__ import annotations

from typing import LiteralString

from cityloom.adapters.postgres.connection import Connection
from cityloom.adapters.postgres.database import Database
from cityloom.kernel.errors import BadConfig

MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE moved_from (
        one smallint PRIMARY KEY CHECK (one = 1),
        source text NOT NULL,
        finished boolean NOT NULL
    );
    CREATE TABLE moved_part (name text PRIMARY KEY, place bigint NOT NULL, rows bigint NOT NULL);
    """,
)


def check_arrived(database: Database) -> None:
    """Raise BadConfig for a schema into which a village is only half carried."""
    found = database.row("SELECT source FROM moved_from WHERE NOT finished")
    if found:
        raise BadConfig(
            "A village is on its way into this schema, and not all of it is here",
            hint="Run the same `cityloom move` again: it goes on where it stopped.",
            where=database.address.shown,
        )


def begin(database: Database, source: str) -> None:
    """Say what is carried. Raises BadConfig when something else was."""
    database.execute("INSERT INTO moved_from VALUES (1, %s, false) ON CONFLICT (one) DO NOTHING", source)
    check_source(database, source)


def check_source(database: Database, source: str) -> None:
    """Raise BadConfig when something else was carried here, or is on its way."""
    found = database.row("SELECT source, finished FROM moved_from")
    if found is not None and found[0] != source:
        hint = "Name another schema with --schema."
        if not found[1]:
            # One that has arrived may be all that there is of a city.
            hint = (
                f"Begin anew: DROP SCHEMA {database.address.schema} CASCADE, or name another with --schema."
            )
        raise BadConfig(
            "Something else was being carried into this schema, or the village has lived on since",
            hint=hint,
            where=database.address.shown,
        )


def is_begun(database: Database) -> bool:
    """Whether anything was ever carried here."""
    return database.row("SELECT 1 FROM moved_from") is not None


def finish(database: Database) -> None:
    """From now on a city may run here."""
    database.execute("UPDATE moved_from SET finished = true")


def place_of(database: Database, part: str) -> tuple[int, int] | None:
    """Up to which place a part was carried, and how many rows; None: it was not begun."""
    found = database.row("SELECT place, rows FROM moved_part WHERE name = %s", (part,))
    return None if found is None else (int(found[0]), int(found[1]))


def carried(connection: Connection, part: str, place: int, rows: int) -> None:
    """In the transaction of what was carried."""
    connection.execute(
        "INSERT INTO moved_part VALUES (%s, %s, %s) ON CONFLICT (name) DO UPDATE"
        " SET place = excluded.place, rows = moved_part.rows + excluded.rows",
        (part, place, rows),
    )
