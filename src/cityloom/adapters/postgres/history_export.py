"""Exports of the history in PostgreSQL: CSV from the server, Parquet by DuckDB in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import duckdb
import orjson

from cityloom.adapters.duckdb import whole_histories
from cityloom.adapters.duckdb.table_source import quoted
from cityloom.adapters.postgres import history_statements as statements
from cityloom.adapters.postgres.connection import Connection
from cityloom.history.model import Integers, Window
from cityloom.history.ports import EXPORT_COLUMNS

#: Rows that come from the server at a time.
_ROWS_A_TIME = 20_000
_PARQUET_TYPES = dict.fromkeys(EXPORT_COLUMNS, "VARCHAR") | {
    "observed_at": "BIGINT",
    "recorded_at": "BIGINT",
    "value": "DOUBLE",
}

#: What a whole history is written from, as DuckDB has it.
_READING = {
    "series": "INTEGER",
    "observed_at": "BIGINT",
    "observed": "BOOLEAN",
    "recorded_at": "BIGINT",
    "created_at": "BIGINT",
    "kind": "UTINYINT",
    "number": "DOUBLE",
    "text": "VARCHAR",
    "details": "VARCHAR",
    "instance": "VARCHAR",
    "origin": "UTINYINT",
    "superseded": "BOOLEAN",
}
_SERIES = {
    "id": "INTEGER",
    "entity_id": "VARCHAR",
    "types": "VARCHAR",
    "attribute": "VARCHAR",
    "dataset": "VARCHAR",
    "attribute_type": "VARCHAR",
    "unit_code": "VARCHAR",
    "information_class": "UTINYINT",
    "retired": "BOOLEAN",
}


def write_whole(
    connection: Connection, series: Integers, since: int, until: int, path: Path, format_name: str
) -> int:
    """Write all that there is of readings since <= observedAt < until (ms) to a file; how many there were.

    The rows come from the server as CSV beside the file; what is written is what the history in a folder
    writes (`whole_histories.export`), by the same statement.
    """
    with tempfile.TemporaryDirectory(prefix="portion-", dir=path.parent) as folder:
        readings, named = Path(folder) / "reading.csv", Path(folder) / "series.csv"
        with connection.transaction():
            # All of a city takes longer than a question may.
            connection.execute("SELECT set_config('statement_timeout', '0', true)")
            copy_out(connection, statements.whole(series, since, until, _READING), readings)
            copy_out(connection, statements.series_of(series, _SERIES), named)
        # The reader of CSV takes 61 MiB for lines of this length before it reads the first one, twice.
        settings: dict[str, Any] = {"memory_limit": "256MB", "threads": 1, "temp_directory": folder}
        with duckdb.connect(":memory:", config=settings) as writer:
            writer.execute(f"CREATE VIEW reading AS FROM {read_csv(readings, _READING)}")
            writer.execute(f"CREATE VIEW series AS FROM {read_csv(named, _SERIES)}")
            writer.execute("CREATE VIEW wanted AS SELECT id AS series FROM series")
            found = writer.execute(whole_histories.export(path, format_name), [since, until]).fetchone()
    return int((found or (0,))[0])


def copy_out(connection: Connection, statement: str, path: Path) -> None:
    """Write what a query gives to a file, as CSV without a header."""
    copying = f"COPY ({statement}) TO STDOUT (FORMAT csv)".encode()
    with path.open("wb") as file, connection.cursor() as cursor, cursor.copy(copying) as copy:
        for message in copy:
            file.write(message)


def read_csv(path: Path, columns: dict[str, str]) -> str:
    """What stands after FROM: an empty text is one, and nothing is NULL."""
    kinds = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    return (
        f"read_csv({quoted(str(path))}, auto_detect = false, columns = {{{kinds}}}, header = false, "
        "delim = ',', quote = '\"', escape = '\"', allow_quoted_nulls = false, "
        "parallel = false, max_line_size = 4000000, hive_partitioning = false)"
    )


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
