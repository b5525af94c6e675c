"""Exports of the history in PostgreSQL: CSV from the server, Parquet by DuckDB in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import orjson

from cityloom.adapters.postgres import history_statements as statements
from cityloom.adapters.postgres.connection import Connection
from cityloom.history.model import Window
from cityloom.history.ports import EXPORT_COLUMNS

#: Rows that come from the server at a time.
_ROWS_A_TIME = 20_000
_PARQUET_TYPES = dict.fromkeys(EXPORT_COLUMNS, "VARCHAR") | {
    "observed_at": "BIGINT",
    "recorded_at": "BIGINT",
    "value": "DOUBLE",
}


def write_export(connection: Connection, window: Window, path: Path, format_name: str) -> None:
    """Write the readings of a window to a new file: one row a reading, EXPORT_COLUMNS."""
    if format_name == "csv":
        _write_csv(connection, window, path)
    else:
        _write_parquet(connection, window, path)


def _write_csv(connection: Connection, window: Window, path: Path) -> None:
    copying = f"COPY ({statements.export(window, spreadsheet=True)}) TO STDOUT (FORMAT csv, HEADER)"
    with (
        path.open("wb") as file,
        connection.cursor() as cursor,
        cursor.copy(copying.encode(), statements.bound(window) or None) as copy,
    ):
        for message in copy:
            file.write(message)


def _write_parquet(connection: Connection, window: Window, path: Path) -> None:
    fields = ", ".join(f"{name} {kind}" for name, kind in _PARQUET_TYPES.items())
    settings: dict[str, Any] = {"memory_limit": "64MB", "threads": 1, "temp_directory": str(path.parent)}
    with duckdb.connect(":memory:", config=settings) as writer:
        writer.execute(f"CREATE TABLE exported ({fields})")
        with connection.transaction(), connection.cursor(name="export", binary=True) as cursor:
            cursor.execute(statements.export(window, spreadsheet=False).encode(), statements.bound(window))
            while rows := cursor.fetchmany(_ROWS_A_TIME):
                _take(writer, rows)
        instants = "timezone('UTC', make_timestamp({0} * 1000)) AS {0}"
        told = ", ".join(instants.format(name) if name.endswith("_at") else name for name in EXPORT_COLUMNS)
        writer.execute(
            f"COPY (SELECT {told} FROM exported) TO '{str(path).replace(chr(39), chr(39) * 2)}'"
            " (FORMAT parquet, COMPRESSION zstd)"
        )


def _take(writer: duckdb.DuckDBPyConnection, rows: list[tuple[Any, ...]]) -> None:
    """Rows by way of JSON: of an array of Python's objects DuckDB looks at each one closely."""
    form = orjson.dumps([_PARQUET_TYPES]).decode()
    told = [dict(zip(EXPORT_COLUMNS, row, strict=True)) for row in rows]
    writer.execute(
        f"INSERT INTO exported SELECT unnest(from_json(?, '{form}'), max_depth := 2)",
        [orjson.dumps(told).decode()],
    )
