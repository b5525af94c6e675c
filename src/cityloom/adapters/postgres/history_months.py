"""The months in which readings lie, each a table of its own: made when its first reading comes.

A device with a wrong clock may name any instant. Only months within fifty years get a table; what is of
other times, and what comes when this user may make no tables, lies together in `reading_of_no_month`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np
from psycopg import sql

from cityloom.adapters.postgres.connection import Connection, Line
from cityloom.history.model import Integers
from cityloom.kernel.time import now_millis

#: How many months before and after this one have tables.
_BACK, _AHEAD = 600, 13

_MADE = (
    "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid"
    " WHERE inhparent = to_regclass('reading') AND relname <> 'reading_of_no_month'"
)
_MAY_MAKE = (
    "SELECT pg_has_role(relowner, 'USAGE') AND has_schema_privilege(relnamespace, 'CREATE')"
    " FROM pg_class WHERE oid = to_regclass('reading')"
)


class Months:
    """Knows which months have a table. Used by the writing thread alone."""

    def __init__(self, line: Line) -> None:
        self._line = line
        found = line.row(_MAY_MAKE)
        self._may_make = bool(found and found[0])
        self._made = {_month_named(name) for (name,) in line.rows(_MADE)}

    def make(self, instants: Iterable[Integers]) -> None:
        """Have tables for the months of instants, in milliseconds. Raises NotReady, StorageFull."""
        if not self._may_make:
            return
        now = int(_months(np.array([now_millis()]))[0])
        wanted = {int(month) for some in instants for month in np.unique(_months(some))}
        for month in sorted(wanted - self._made):
            if now - _BACK <= month <= now + _AHEAD:
                with self._line.transaction() as connection:
                    _make(connection, month)
                self._made.add(month)


def _months(instants: Integers) -> Integers:
    """Months since 1970."""
    return instants.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)


def _make(connection: Connection, month: int) -> None:
    name = sql.Identifier(_name_of(month))
    begins, ends = _begin_of(month), _begin_of(month + 1)
    # Several processes may need the same month at once.
    connection.execute("SELECT pg_advisory_xact_lock(to_regclass('reading')::oid::bigint)")
    found = connection.execute("SELECT to_regclass(%s)", (_name_of(month),)).fetchone()
    if found and found[0]:
        # Made before a connection was lost, or laid aside by whoever keeps the database.
        return
    connection.execute(sql.SQL("CREATE TABLE {} (LIKE reading INCLUDING DEFAULTS)").format(name))
    # What came before there was a table for it: none, but where another user made none.
    connection.execute(
        sql.SQL(
            "WITH moved AS (DELETE FROM reading_of_no_month WHERE observed_at >= {b} AND observed_at < {e}"
            " RETURNING *) INSERT INTO {n} SELECT * FROM moved"
        ).format(b=begins, e=ends, n=name)
    )
    connection.execute(
        sql.SQL("ALTER TABLE reading ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            name, begins, ends
        )
    )


def _begin_of(month: int) -> int:
    return int(np.datetime64(month, "M").astype("datetime64[ms]").astype(np.int64))


def _name_of(month: int) -> str:
    begins = datetime.fromtimestamp(_begin_of(month) / 1000, UTC)
    return f"reading_{begins:%Y_%m}"


def _month_named(name: str) -> int:
    year, month = map(int, name.removeprefix("reading_").split("_"))
    return (year - 1970) * 12 + month - 1
