"""Readings of a window, and the newest of series, as messages of binary COPY."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cityloom.adapters.postgres import history_columns as columns
from cityloom.adapters.postgres import history_statements as statements
from cityloom.adapters.postgres.connection import Connection
from cityloom.history.model import Readings, ValueKind, Window


def copied(connection: Connection, statement: str, values: Sequence[Any]) -> list[bytes]:
    """What a query gives, as messages of binary COPY."""
    copying = f"COPY ({statement}) TO STDOUT (FORMAT binary)".encode()
    with connection.cursor() as cursor, cursor.copy(copying, values or None) as copy:
        return [bytes(message) for message in copy]


def raw(connection: Connection, window: Window) -> Readings:
    """The readings of a window."""
    return columns.readings(copied(connection, statements.raw(window), statements.bound(window)))


def newest_of(connection: Connection, series: list[int]) -> Readings:
    """The newest reading of each series that has any, ordered by series."""
    found = raw(connection, Window(np.array(series, np.int64), last_n=1, marks="with"))
    for row in np.flatnonzero(found.kind == ValueKind.JSON).tolist():
        found.kind[row], _, found.text[row], _ = columns.plain_value(found, row)
    return found
