"""The SQL of roll-ups and of the archive."""
# ruff: noqa: S608 - statements are put together from this module's own words and whole numbers alone

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cityloom.adapters.duckdb.table_source import quoted

HOUR = 3_600_000
SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS hourly (
      series INTEGER NOT NULL, hour BIGINT NOT NULL, count INTEGER NOT NULL, numbers INTEGER NOT NULL,
      mean DOUBLE, sumsq DOUBLE, min DOUBLE, max DOUBLE, last DOUBLE, covered UTINYINT NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS archived (
      file VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, readings BIGINT NOT NULL
    )
    """,
)

_MONTH = "strftime(make_timestamp(observed_at * 1000), '%Y-%m')"
_BEGINNING = "date_trunc('month', make_timestamp(min(observed_at) * 1000))"

#: Needs `wanted(series, due)`; bound: the instant before which readings go.
OUTGOING = f"""
    SELECT due, {_MONTH} AS month, count(*) AS readings,
      epoch_ms({_BEGINNING})::BIGINT AS since, epoch_ms({_BEGINNING} + INTERVAL 1 MONTH)::BIGINT AS until
    FROM reading JOIN wanted USING (series) WHERE observed_at < ?
    GROUP BY due, month ORDER BY month, due
"""

#: What goes; needs `wanted(series)`; bound: since and until.
_GOING = "FROM reading SEMI JOIN wanted USING (series) WHERE observed_at >= ? AND observed_at < ?"
GO = """
    DELETE FROM reading
    WHERE observed_at >= ? AND observed_at < ? AND series IN (SELECT series FROM wanted)
"""

REPLACE_ROLLED = (
    "DELETE FROM hourly USING rolled WHERE hourly.series = rolled.series AND hourly.hour = rolled.hour",
    "INSERT INTO hourly BY NAME FROM rolled ORDER BY series, hour",
    "DROP TABLE rolled",
)


def roll_up(since: int, until: int, files: Sequence[str]) -> str:
    """Hours that have a roll-up already, because readings came late, become one with these.

    Where `files`, the archive of before, have every reading of such an hour, all of it is rolled up anew:
    what comes late may correct one of them. Without, a correction counts beside what it corrects.
    """
    archived = f"read_parquet([{', '.join(map(quoted, files))}], hive_partitioning = false)"
    between = f"observed_at >= {int(since)} AND observed_at < {int(until)} AND NOT superseded AND kind < 5"
    columns = f"series, observed_at, observed_at // {HOUR} * {HOUR} AS hour, sequence, number"
    newest = "row_number() OVER (PARTITION BY series, observed_at ORDER BY sequence DESC) = 1"
    return f"""
        CREATE OR REPLACE TEMP TABLE rolled AS
        WITH late AS (SELECT {columns} FROM reading SEMI JOIN wanted USING (series) WHERE {between}),
        early AS (
          SELECT series, observed_at, hour, sequence, number
          FROM (SELECT {columns} FROM {archived if files else "reading"} WHERE {between})
          SEMI JOIN late USING (series, hour) WHERE {bool(files)} QUALIFY {newest}
        ),
        known AS (
          SELECT series, hour FROM early JOIN hourly USING (series, hour)
          GROUP BY series, hour HAVING count(*) = any_value(hourly.count)
        ),
        standing AS (
          FROM (FROM late UNION ALL FROM early SEMI JOIN known USING (series, hour)) QUALIFY {newest}
        )
        SELECT series, hour, sum(count)::INTEGER AS count, sum(numbers)::INTEGER AS numbers,
          sum(mean * numbers) / nullif(sum(numbers), 0) AS mean, sum(sumsq) AS sumsq, min(min) AS min,
          max(max) AS max, arg_max(last, turn) AS last, least(sum(covered), 60)::UTINYINT AS covered
        FROM (
          SELECT series, hour, count(*) AS count, count(number) AS numbers, avg(number) AS mean,
            sum(number * number) AS sumsq, min(number) AS min, max(number) AS max,
            arg_max(number, observed_at) AS last, count(DISTINCT observed_at // 60000) AS covered, 1 AS turn
          FROM standing GROUP BY series, hour
          UNION ALL
          SELECT *, 0 AS turn FROM hourly SEMI JOIN late USING (series, hour)
          ANTI JOIN known USING (series, hour)
        ) GROUP BY series, hour
    """


def archive(path: Path) -> str:
    """Copy what goes with all that is known of it; bound: since and until."""
    target = str(path).replace("'", "''")
    return f"""
        COPY (
          SELECT s.tenant, s.entity_id, s.types, s.information_class, s.attribute, s.dataset,
            s.attribute_type, s.unit_code, r.*
          FROM (SELECT * {_GOING}) r JOIN series s ON s.id = r.series
          ORDER BY r.series, r.observed_at, r.sequence
        ) TO '{target}' (FORMAT parquet, COMPRESSION zstd)
    """


#: Of the series that are asked for; needs `wanted(series)`.
HIGHEST_CLASS = "SELECT max(information_class) FROM series WHERE id IN (SELECT series FROM wanted)"
#: Bound: a file; needs `wanted(series)`.
HAS_ANY = "SELECT count(*) FROM read_parquet(?, hive_partitioning = false) SEMI JOIN wanted USING (series)"


def without(source: Path, path: Path) -> str:
    """Copy a file of the archive without some series. Needs `wanted(series)`."""
    old, new = (str(one).replace("'", "''") for one in (source, path))
    return f"""
        COPY (FROM read_parquet('{old}', hive_partitioning = false) ANTI JOIN wanted USING (series))
        TO '{new}' (FORMAT parquet, COMPRESSION zstd)
    """


def sources(raw: str, since: int | None, until: int | None, time: str) -> str:
    """Readings and roll-ups as rows of one kind, `raw` being what stands after FROM for the readings."""
    return f"""
        SELECT series, {time} AS observed_at, number, (number IS NOT NULL)::INTEGER AS numbers, 1 AS total,
          number AS added, number * number AS sumsq, number AS least, number AS most
        {raw}
        UNION ALL
        SELECT series, hour, mean, numbers, count, mean * numbers, sumsq, min, max
        FROM hourly SEMI JOIN wanted USING (series) WHERE {_hours(since, until)}
    """


def rolled(since: int | None, until: int | None) -> str:
    """From when until when there are roll-ups. Needs `wanted(series)`."""
    return f"""
        SELECT min(hour), max(hour) + {HOUR} FROM hourly SEMI JOIN wanted USING (series)
        WHERE {_hours(since, until)}
    """


def _hours(since: int | None, until: int | None) -> str:
    first = "true" if since is None else f"hour >= {int(since)}"
    return first if until is None else f"{first} AND hour < {int(until)}"


#: Methods over `sources`; how many different values there were is not known of an hour.
METHODS = {
    "totalCount": "sum(total)",
    "textCount": "sum(total - numbers)",
    "distinctCount": "NULL::DOUBLE",
    "sum": "sum(added)",
    "avg": "sum(added) / nullif(sum(numbers), 0)",
    "min": "min(least)",
    "max": "max(most)",
    "stddev": "sqrt(greatest(sum(sumsq) / nullif(sum(numbers), 0) "
    "- pow(sum(added) / nullif(sum(numbers), 0), 2), 0))",
    "sumsq": "sum(sumsq)",
}
