"""Copies whole columns of readings into a table: numbers as they lie, what is more than a number by rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from cityloom.adapters.postgres import history_columns, history_statements
from cityloom.adapters.postgres.connection import Connection

READING = (
    "observed_at, sequence, recorded_at, number, series, kind, origin, observed, superseded, text, details,"
    " instance, created_at, load"
)
_TYPES = (*history_statements.ROW_TYPES, "int4")
#: What only few readings have.
_MORE = ("text", "details", "instance", "created_at", "load")


def copy_rows(
    connection: Connection,
    table: LiteralString | str,
    columns: Sequence[str],
    kinds: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Copy rows into a table; `kinds` are PostgreSQL's types of the columns."""
    with connection.cursor() as cursor, cursor.copy(_copying(table, columns)) as copy:
        copy.set_types(kinds)
        for row in rows:
            copy.write_row(row)


def copy_readings(connection: Connection, found: Mapping[str, Any], table: str = "reading") -> None:
    """Copy columns as numpy has them from DuckDB, masked where they are NULL: those of `READING`."""
    masks = {name: np.ma.getmaskarray(np.ma.asarray(column)) for name, column in found.items()}
    plain = ~masks["number"] & ~masks["origin"]
    for name in _MORE:
        plain &= masks[name]
    if plain.any():
        numbers = {name: np.asarray(found[name])[plain] for name in history_columns.NUMBERS}
        copying = _copying(table, list(history_columns.NUMBERS))
        with connection.cursor() as cursor, cursor.copy(copying) as copy:
            copy.write(history_columns.number_copy(numbers))
    if not plain.all():
        names = READING.split(", ")
        columns = [_values(found[name], ~plain) for name in names]
        rows = [_row(row) for row in zip(*columns, strict=True)]
        copy_rows(connection, table, names, _TYPES, rows)


def _copying(table: str, columns: Sequence[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(sql.Identifier(table), names)


def _values(column: Any, chosen: NDArray[np.bool_]) -> list[Any]:
    values: list[Any] = np.ma.asarray(column)[chosen].tolist()
    return values


def _row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    *numbers, text, details, instance, created_at, load = row
    numbers[5], text = history_columns.storable(numbers[5], text)
    return (*numbers, text, details, history_columns.without_nul(instance), created_at, load)
