"""The SQL of questions over many series at once: what they are asked of, for DuckDB; and the asking."""
# ruff: noqa: S608 - statements are put together from this module's own words alone

from __future__ import annotations

from collections.abc import Sequence

from cityloom.adapters.duckdb.retention_statements import sources
from cityloom.adapters.duckdb.statements import common
from cityloom.adapters.duckdb.table_source import quoted
from cityloom.adapters.sql.long_questions import question
from cityloom.history.model import Integers, Window

#: What stands in the order of time.
_STANDING = "kind < 5 AND NOT superseded"


def ask(name: str, tables: str, **bounds: int | float | None) -> str:
    """A question of `history.long_questions` over `tables`; `wanted` and `slots` are registered."""
    return f"WITH {tables} SELECT * FROM ({question('duckdb', name, **bounds)})"


def counted(window: Window, edges: Integers) -> str:
    """The table `counted` of what is between the edges, known reading by reading or by roll-ups alone."""
    since, until = common(window, edges)
    found = sources(f"FROM {_readings(since, until)}", since, until, "observed_at")
    return f"counted AS (SELECT series, observed_at, total, numbers, added FROM ({found}))"


def standing(since: int | None, until: int | None, files: Sequence[str] = ()) -> str:
    """The table `standing` of an interval, with what lies in files of the archive."""
    found = _readings(since, until, files)
    return f"standing AS (SELECT series, observed_at, sequence, number FROM {found})"


def extent(window: Window, files: Sequence[str] = ()) -> str:
    """The first instant, the last one and the count of a window. Needs `wanted(series)`."""
    found = _readings(window.since, window.until, files)
    return f"SELECT min(observed_at), max(observed_at), count(*) FROM {found}"


def readings_by_period(table: str, first: int, step: int) -> str:
    """How many rows of a table lie in each period. Needs `slots`."""
    return f"""
        SELECT bucket, count(*) AS n FROM {table}
        JOIN slots ON stretch = observed_at - (observed_at - {int(first)}) % {int(step)}
        WHERE observed_at >= edge AND observed_at < ends GROUP BY bucket
    """


def readings_by_group(table: str, _first: int, _step: int) -> str:
    """How many rows of a table are of each group. Needs `wanted`."""
    return f"SELECT grp, count(*) AS n FROM {table} JOIN wanted USING (series) GROUP BY grp"


def _readings(since: int | None, until: int | None, files: Sequence[str] = ()) -> str:
    conditions = [_STANDING]
    if since is not None:
        conditions.append(f"observed_at >= {int(since)}")
    if until is not None:
        conditions.append(f"observed_at < {int(until)}")
    only = f"SEMI JOIN wanted USING (series) WHERE {' AND '.join(conditions)}"
    if not files:
        return f"reading {only}"
    columns = "SELECT series, observed_at, sequence, number FROM"
    archived = f"read_parquet([{', '.join(map(quoted, files))}], hive_partitioning = false)"
    # What came late corrects what lies in a file already.
    return f"""(
        FROM ({columns} reading {only} UNION ALL {columns} {archived} {only})
        QUALIFY row_number() OVER (PARTITION BY series, observed_at ORDER BY sequence DESC) = 1
    )"""
