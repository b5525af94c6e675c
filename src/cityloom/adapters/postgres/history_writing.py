"""Statements of a transaction that remembers: series, readings, and what they correct."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cityloom.adapters.postgres import history_columns as columns
from cityloom.adapters.postgres import history_statements as statements
from cityloom.adapters.postgres import retention_statements as retention
from cityloom.adapters.postgres.connection import Connection
from cityloom.adapters.sql.reading_columns import Columns, number_columns
from cityloom.history.model import Integers, Series
from cityloom.history.planning import Plan


def write_plan(connection: Connection, plan: Plan) -> None:
    """All that a plan says, in its order."""
    if plan.created:
        create_series(connection, list(plan.created.values()))
    if plan.changed:
        moved = list(plan.changed.values())
        connection.execute(
            statements.MOVE_SERIES,
            (
                [one.id for one in moved],
                [columns.without_nul(" ".join(one.types)) for one in moved],
                [int(one.information_class) for one in moved],
                [one.retired for one in moved],
            ),
        )
    if plan.numbers:
        copy_numbers(connection, number_columns(plan.numbers))
    if plan.rows:
        with connection.cursor() as cursor, cursor.copy(statements.COPY_ROWS) as copy:
            copy.set_types(statements.ROW_TYPES)
            for row in plan.rows:
                copy.write_row(columns.row_values(row))
    if plan.late:
        instants = [at for _, at, _ in plan.late]
        connection.execute(statements.SUPERSEDE, (*_apart(plan.late), min(instants), max(instants)))
    if plan.erased:
        connection.execute(statements.ERASE, _apart(plan.erased))
    if plan.forgotten:
        forget_series(connection, np.array(sorted(plan.forgotten), np.int64))


def create_series(connection: Connection, series: list[Series]) -> None:
    """Rows of new series."""
    with connection.cursor() as cursor, cursor.copy(statements.COPY_SERIES) as copy:
        copy.set_types(statements.SERIES_TYPES)
        for one in series:
            copy.write_row(columns.series_values(one))


def copy_numbers(connection: Connection, found: Columns) -> None:
    """Rows of readings that are plain numbers."""
    with connection.cursor() as cursor, cursor.copy(statements.COPY_NUMBERS) as copy:
        copy.write(columns.number_copy(found))


def forget_series(connection: Connection, series: Integers) -> int:
    """Remove series with their readings and roll-ups; returns how many readings went. What the archive has of
    them is owed."""
    wanted = series.tolist()
    gone = connection.execute(statements.FORGET_READINGS, (wanted,)).rowcount
    connection.execute(retention.FORGET_HOURS, (wanted,))
    connection.execute(retention.OWE, (wanted,))
    connection.execute(statements.FORGET_SERIES, (wanted,))
    return gone


def instants_of(plan: Plan) -> Iterator[Integers]:
    """When the readings of a plan were observed, in milliseconds."""
    yield np.array([row[1] for row in plan.numbers], np.int64)
    yield np.array([row.at for row in plan.rows], np.int64)


def _apart(rows: Sequence[tuple[int, int, int]]) -> tuple[list[int], list[int], list[int]]:
    series, at, sequence = zip(*rows, strict=True)
    return list(series), list(at), list(sequence)
