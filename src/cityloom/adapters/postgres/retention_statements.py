"""The SQL of roll-ups and of the archive in PostgreSQL.

Whatever comes from outside is bound; what is put together here are the names of columns and whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

import numpy as np

from cityloom.adapters.postgres import history_statements as statements
from cityloom.adapters.postgres.history_statements import SQUARE
from cityloom.history.model import Integers, Window

HOUR = 3_600_000
#: The beginning of an hour, before 1970 too.
_HOUR_OF = f"observed_at - mod(mod(observed_at, {HOUR}) + {HOUR}, {HOUR})"

ARCHIVED: LiteralString = "SELECT file, sha256, readings FROM archived ORDER BY file"
NOTE_FILE: LiteralString = "INSERT INTO archived VALUES (%s, %s, %s)"
NOTE_WRITTEN_ANEW: LiteralString = "UPDATE archived SET sha256 = %s, readings = readings - %s WHERE file = %s"
PARTS: LiteralString = "SELECT count(*) FROM archived WHERE starts_with(file, %s)"
HIGHEST_CLASS: LiteralString = "SELECT max(information_class) FROM series WHERE id = ANY(%b::int4[])"
HAS_ROLLUPS: LiteralString = "SELECT EXISTS (SELECT FROM hourly)"
#: Series that are gone, of which files of the archive may still tell. Bound: series.
OWE: LiteralString = (
    "INSERT INTO archive_owed SELECT unnest(%b::int4[]) WHERE EXISTS (SELECT FROM archived)"
    " ON CONFLICT DO NOTHING"
)
OWED: LiteralString = "SELECT series FROM archive_owed"
PAID: LiteralString = "DELETE FROM archive_owed WHERE series = ANY(%b::int4[])"
FORGET_HOURS: LiteralString = "DELETE FROM hourly WHERE series = ANY(%b::int4[])"

#: Bound: series, and the instant before which readings go.
OUTGOING: LiteralString = """
    SELECT to_char(to_timestamp(floor(observed_at / 1000.0)) AT TIME ZONE 'UTC', 'YYYY-MM') AS month, count(*)
    FROM reading JOIN unnest(%b::int4[]) AS wanted (series) USING (series)
    WHERE observed_at < %b GROUP BY month ORDER BY month
"""

GOING: LiteralString = "CREATE TEMP TABLE going (LIKE reading) ON COMMIT DROP"
#: What is taken out and what is rolled up are the same rows, whoever writes meanwhile. Bound: series, since,
#: until.
GO: LiteralString = """
    WITH gone AS (
      DELETE FROM reading USING unnest(%b::int4[]) AS wanted (series)
      WHERE reading.series = wanted.series AND observed_at >= %b AND observed_at < %b RETURNING reading.*
    )
    INSERT INTO going SELECT * FROM gone
"""
#: Hours of what goes that have a roll-up already.
KNOWN_HOURS = f"""
    SELECT DISTINCT series, hour
    FROM (SELECT series, {_HOUR_OF} AS hour FROM going WHERE NOT superseded AND kind < 5) AS late
    JOIN hourly USING (series, hour)
"""
#: What files of the archive say: of those hours, or of what a question is about.
FROM_ARCHIVE: LiteralString = (
    "CREATE TEMP TABLE from_archive"
    " (series integer, observed_at bigint, sequence bigint, number double precision) ON COMMIT DROP"
)
COPY_FROM_ARCHIVE: LiteralString = "COPY from_archive FROM STDIN (FORMAT csv)"

#: What goes with all that is known of it, as the archive has it.
ARCHIVE_COLUMNS = {
    "tenant": "VARCHAR",
    "entity_id": "VARCHAR",
    "types": "VARCHAR",
    "information_class": "UTINYINT",
    "attribute": "VARCHAR",
    "dataset": "VARCHAR",
    "attribute_type": "VARCHAR",
    "unit_code": "VARCHAR",
    "series": "INTEGER",
    "observed_at": "BIGINT",
    "kind": "UTINYINT",
    "number": "DOUBLE",
    "text": "VARCHAR",
    "sequence": "BIGINT",
    "recorded_at": "BIGINT",
    "observed": "BOOLEAN",
    "superseded": "BOOLEAN",
    "origin": "UTINYINT",
    "details": "VARCHAR",
    "instance": "VARCHAR",
    "created_at": "BIGINT",
    "load": "INTEGER",
}
ARCHIVE = f"""
    SELECT {", ".join(ARCHIVE_COLUMNS)} FROM going JOIN series ON series.id = going.series
    ORDER BY going.series, observed_at, sequence
"""

#: Hours that have a roll-up already, because readings came late, become one with these. Where the archive has
#: every reading of such an hour, all of it is rolled up anew: what comes late may correct one of them.
#: Without, a correction counts beside what it corrects.
ROLL_UP = f"""
    WITH late AS (
      SELECT series, observed_at, {_HOUR_OF} AS hour, sequence, number
      FROM going WHERE NOT superseded AND kind < 5
    ),
    early AS (
      SELECT DISTINCT ON (series, observed_at) series, observed_at, {_HOUR_OF} AS hour, sequence, number
      FROM from_archive ORDER BY series, observed_at, sequence DESC
    ),
    known AS (
      SELECT series, hour FROM early JOIN hourly USING (series, hour)
      GROUP BY series, hour, hourly.count HAVING count(*) = hourly.count
    ),
    standing AS (
      SELECT DISTINCT ON (series, observed_at) *
      FROM (SELECT * FROM late UNION ALL SELECT early.* FROM early JOIN known USING (series, hour)) AS both_of
      ORDER BY series, observed_at, sequence DESC
    ),
    parts AS (
      SELECT series, hour, count(*) AS count, count(number) AS numbers, avg(number) AS mean,
        sum({SQUARE}) AS sumsq, min(number) AS min, max(number) AS max,
        (array_agg(number ORDER BY observed_at DESC) FILTER (WHERE number IS NOT NULL))[1] AS last,
        count(DISTINCT (observed_at - hour) / 60000) AS covered, 1 AS turn
      FROM standing GROUP BY series, hour
      UNION ALL
      SELECT series, hour, count, numbers, mean, sumsq, min, max, last, covered, 0 FROM hourly
      WHERE EXISTS (SELECT FROM late WHERE (late.series, late.hour) = (hourly.series, hourly.hour))
        AND NOT EXISTS (SELECT FROM known WHERE (known.series, known.hour) = (hourly.series, hourly.hour))
    )
    INSERT INTO hourly (series, hour, count, numbers, mean, sumsq, min, max, last, covered)
    SELECT series, hour, sum(count), sum(numbers), sum(mean * numbers) / nullif(sum(numbers), 0), sum(sumsq),
      min(min), max(max), (array_agg(last ORDER BY turn DESC) FILTER (WHERE last IS NOT NULL))[1],
      least(sum(covered), 60)
    FROM parts GROUP BY series, hour
    ON CONFLICT (series, hour) DO UPDATE SET
      count = excluded.count, numbers = excluded.numbers, mean = excluded.mean, sumsq = excluded.sumsq,
      min = excluded.min, max = excluded.max, last = excluded.last, covered = excluded.covered
"""


def rolled(window: Window) -> str:
    """From when until when there are roll-ups."""
    inside = _hours(window.series, window.since, window.until)
    return f"SELECT min(hour), max(hour) + {HOUR} FROM hourly WHERE {inside}"


def counted(series: Integers, since: int, until: int) -> str:
    """The table `counted` of an interval, known reading by reading or by roll-ups alone."""
    readings = (
        f"SELECT series, observed_at AS t, number FROM reading WHERE kind < 5 AND NOT superseded"
        f" AND series = ANY({statements.array(np.unique(series))})"
        f" AND observed_at >= {int(since)} AND observed_at < {int(until)}"
    )
    found = sources(readings, series, since, until)
    return f"counted AS (SELECT series, t AS observed_at, total, numbers, added FROM ({found}) AS found)"


def aggregate(window: Window, edges: Integers, methods: Sequence[str], *, pooled: bool) -> str:
    """As `history_statements.aggregate`, with roll-ups, each where its hour begins."""
    since, until = statements.common(window, edges)
    found = sources(statements.found(window, edges), window.series, since, until)
    columns = ", ".join(f"coalesce(({METHODS[name]})::float8, 'NaN')" for name in methods)
    return statements.sorted_out(window, edges, columns, found, pooled=pooled)


def sources(readings: str, series: Integers, since: int | None, until: int | None) -> str:
    """Readings and roll-ups as rows of one kind; `readings` are rows with series, t and number."""
    return f"""
        SELECT series, t, number, (number IS NOT NULL)::int AS numbers, 1 AS total, number AS added,
          {SQUARE} AS sumsq, number AS least, number AS most
        FROM ({readings}) AS readings
        UNION ALL
        SELECT series, hour, mean, numbers, count, mean * numbers, sumsq, min, max
        FROM hourly WHERE {_hours(series, since, until)}
    """


def _hours(series: Integers, since: int | None, until: int | None) -> str:
    conditions = [f"series = ANY({statements.array(np.unique(series))})"]
    if since is not None:
        conditions.append(f"hour >= {int(since)}")
    if until is not None:
        conditions.append(f"hour < {int(until)}")
    return " AND ".join(conditions)


_MEAN = "sum(added) / nullif(sum(numbers), 0)"
#: Methods over `sources`; how many different values there were is not known of an hour.
METHODS = {
    "totalCount": "sum(total)",
    "textCount": "sum(total - numbers)",
    "distinctCount": "NULL",
    "sum": "sum(added)",
    "avg": _MEAN,
    "min": "min(least)",
    "max": "max(most)",
    "stddev": f"sqrt(greatest(sum(sumsq) / nullif(sum(numbers), 0) - power({_MEAN}, 2), 0))",
    "sumsq": "sum(sumsq)",
}
