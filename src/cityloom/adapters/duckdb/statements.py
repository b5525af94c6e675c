"""The SQL of the history in DuckDB.

Whatever comes from outside is bound or lies in a registered table; what is put together here are the names of
columns and whole numbers.
"""
# ruff: noqa: S608 - statements are put together from this module's own words alone

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cityloom.adapters.duckdb import corrections, load_statements, retention_statements, settling
from cityloom.history.model import ORIGINS, Integers, Window
from cityloom.history.ports import FORMULA_BEGINS, TEXT_COUNT

SCHEMA_VERSION = 5

#: From the version before to each version, in one transaction with the number itself.
MIGRATIONS: dict[int, tuple[str, ...]] = {
    # Where a value comes from is not known of what was kept before that was kept: NULL.
    2: (
        "ALTER TABLE reading ADD COLUMN origin UTINYINT",
        "ALTER TABLE reading ADD COLUMN details VARCHAR",
        "ALTER TABLE reading ADD COLUMN instance VARCHAR",
        "ALTER TABLE reading ADD COLUMN created_at BIGINT",
    ),
    # The load that brought it, where it came with a whole table.
    3: ("ALTER TABLE reading ADD COLUMN load INTEGER",),
    4: (load_statements.CREATED_APART,),
    # Of what is corrected a note may wait, of which an older CityLoom would not know.
    5: (),
}

SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS series (
      id INTEGER NOT NULL,
      tenant VARCHAR NOT NULL,
      entity_id VARCHAR NOT NULL,
      attribute VARCHAR NOT NULL,
      dataset VARCHAR NOT NULL,
      attribute_type VARCHAR NOT NULL,
      unit_code VARCHAR NOT NULL,
      types VARCHAR NOT NULL,
      information_class UTINYINT NOT NULL,
      retired BOOLEAN NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS reading (
      series INTEGER NOT NULL,
      observed_at BIGINT NOT NULL,
      kind UTINYINT NOT NULL,
      number DOUBLE,
      text VARCHAR,
      sequence BIGINT NOT NULL,
      recorded_at BIGINT NOT NULL,
      observed BOOLEAN NOT NULL,
      superseded BOOLEAN NOT NULL,
      origin UTINYINT,
      details VARCHAR,
      instance VARCHAR,
      created_at BIGINT,
      load INTEGER
    )
    """,
    "CREATE TABLE IF NOT EXISTS progress (schema_version INTEGER NOT NULL, last_sequence BIGINT NOT NULL)",
    *load_statements.SCHEMA,
    corrections.SCHEMA,
    settling.SCHEMA,
    *retention_statements.SCHEMA,
    f"INSERT INTO progress SELECT {SCHEMA_VERSION}, 0 WHERE NOT EXISTS (FROM progress)",
)


def begin_runs(source: str) -> str:
    """Begin series together; needs the table `begun` of their kinds. `source` is what stands after FROM."""
    return f"""
        INSERT INTO series BY NAME
        SELECT first + place AS id, tenant, entity_id, attribute, dataset, attribute_type, unit_code, types,
          information_class, false AS retired
        FROM {source} JOIN begun USING (kind) ORDER BY id
    """


INSERT_NUMBERS = """
    INSERT INTO reading BY NAME
    SELECT series, observed_at, kind, number, sequence, recorded_at, observed, false AS superseded, origin
    FROM numbers
"""


def insert_texts(source: str) -> str:
    """Keep readings that are texts, or numbers with more to them; `source` is what stands after FROM."""
    return f"""
        INSERT INTO reading BY NAME
        SELECT series, observed_at, kind, nullif(number, 'NaN'::DOUBLE) AS number, text, sequence,
          recorded_at, observed, false AS superseded, origin, details, instance,
          nullif(created_at, -1) AS created_at
        FROM {source}
    """


#: Tables of what series have in common, and what is in them; both are small.
COMMON = {
    "series_kind": "tenant, attribute, dataset, attribute_type, unit_code",
    "series_standing": "types, information_class",
}
COMMON_TABLES = tuple(
    f"""
    CREATE OR REPLACE TEMP TABLE {table} AS
    SELECT row_number() OVER () - 1 AS number, * FROM (SELECT DISTINCT {names} FROM series)
    """
    for table, names in COMMON.items()
)
COMMON_ROWS = tuple(f"SELECT {names} FROM {table} ORDER BY number" for table, names in COMMON.items())
#: Bound: the first id and the last one.
KNOWN_SERIES = f"""
    SELECT id, entity_id, series_kind.number AS kind, series_standing.number AS standing, retired
    FROM series
    JOIN series_kind USING ({COMMON["series_kind"]})
    JOIN series_standing USING ({COMMON["series_standing"]})
    WHERE id BETWEEN ? AND ? ORDER BY id
"""

UPDATE_SERIES = """
    UPDATE series SET types = moved.types, information_class = moved.information_class,
      retired = moved.retired
    FROM moved WHERE series.id = moved.id
"""

#: One instant of a series, as far as one change.
ERASE = """
    DELETE FROM reading USING erased
    WHERE reading.series = erased.series AND reading.observed_at = erased.observed_at
      AND reading.sequence <= erased.sequence
"""

#: Needs the table `wanted(series)`.
FORGET = (
    "DELETE FROM reading WHERE series IN (SELECT series FROM wanted)",
    "DELETE FROM series WHERE id IN (SELECT series FROM wanted)",
    # Its number may be given anew after a restart.
    "DELETE FROM correction WHERE series IN (SELECT series FROM wanted)",
)

STATISTICS = """
    SELECT series, count(*), count(*) FILTER (observed), min(observed_at), max(observed_at)
    FROM reading SEMI JOIN wanted USING (series) WHERE NOT superseded AND kind < 5
    GROUP BY series ORDER BY series
"""

_METHODS = {
    "totalCount": "count(*)",
    TEXT_COUNT: "count(text)",
    "distinctCount": "count(DISTINCT coalesce(text, number::VARCHAR))",
    "sum": "sum(number)",
    "avg": "avg(number)",
    "min": "min(number)",
    "max": "max(number)",
    "stddev": "stddev_pop(number)",
    "sumsq": "sum(number * number)",
}


def bounds(window: Window) -> list[int | str]:
    """What to bind to the conditions of a window, in their order."""
    return [bound for bound in (window.instance, window.since, window.until) if bound is not None]


def raw(window: Window) -> str:
    """Readings of a window. Needs the table `wanted(series)`."""
    time = _time(window)
    order = f"{time}, sequence, series" if window.by_time else f"series, {time}, sequence"
    if window.by_time and window.backwards:
        order = f"{time} DESC, sequence DESC, series"
    found = f"reading SEMI JOIN wanted USING (series) {within(window)}"
    if window.last_n == 1 and window.instance is None:
        # Found by a maximum for each series, not by ordering all of its readings: a tenth of the time.
        last = f"SELECT series AS s, max({time}) AS t FROM {found} GROUP BY series"
        found = f"reading SEMI JOIN ({last}) ON series = s AND {time} = t WHERE {_fits(window)}"
    return f"""
        SELECT series, observed_at, kind, number, text, sequence, recorded_at, observed, details, instance,
          {_CREATED} AS created
        FROM {found}
        {_newest(window)}
        ORDER BY {order}
        {f"LIMIT {int(window.limit)}" if window.limit is not None else ""}
    """


def extent(window: Window) -> str:
    """First and last instant of a window. Needs the table `wanted(series)`."""
    time = _time(window)
    found = (
        f"SELECT {time} AS t FROM reading SEMI JOIN wanted USING (series) {within(window)} {_newest(window)}"
    )
    return f"SELECT min(t), max(t) FROM ({found})"


def aggregate(window: Window, edges: Integers, methods: Sequence[str], *, rolled: bool = False) -> str:
    """Aggregates by row and bucket. Needs the tables `wanted(series, row)` and `edges(edge, bucket)`.

    `rolled` takes the hourly roll-ups of readings that are gone as well, each where its hour begins.
    """
    time = _time(window)
    step = steps_of(edges)
    inside = f"{time} >= {int(edges[0])} AND {time} < {int(edges[-1])}"
    conditions = f"{within(window)} AND {inside}"
    known = _METHODS
    rows = f"SELECT row, {time} AS instant, number, text FROM reading JOIN wanted USING (series) {conditions}"
    if window.last_n is not None:
        # The newest of the window, whatever the edges are: these are looked at afterwards.
        newest = f"SELECT *, {time} AS instant FROM reading SEMI JOIN wanted USING (series) {within(window)}"
        rows = f"""
            SELECT row, instant, number, text FROM ({newest} {_newest(window)}) JOIN wanted USING (series)
            WHERE instant >= {int(edges[0])} AND instant < {int(edges[-1])}
        """
    if rolled:
        known = retention_statements.METHODS
        raw = f"FROM reading SEMI JOIN wanted USING (series) {conditions}"
        since, until = common(window, edges)
        rows = f"""
            SELECT *, observed_at AS instant FROM ({retention_statements.sources(raw, since, until, time)})
            JOIN wanted USING (series)
        """
    columns = ", ".join(f'{known[name]} AS "{name}"' for name in methods)
    if step is not None:
        bucket = f"(instant - {int(edges[0])}) // {step}"
        return f"SELECT row, {bucket} AS bucket, {columns} FROM ({rows}) GROUP BY row, bucket"
    return f"""
        SELECT row, bucket, {columns} FROM ({rows}) ASOF JOIN edges ON instant >= edges.edge
        GROUP BY row, bucket
    """


def common(window: Window, edges: Integers) -> tuple[int, int]:
    """The interval that is in a window and between the edges."""
    since, until = int(edges[0]), int(edges[-1])
    return (
        since if window.since is None else max(since, window.since),
        until if window.until is None else min(until, window.until),
    )


_FORMULA_BEGINS = ", ".join(f"chr({ord(sign)})" for sign in FORMULA_BEGINS)


def export(window: Window, path: Path, format_name: str) -> str:
    """Copy a window to a file, one row a reading, with EXPORT_COLUMNS. Needs `wanted(series)`."""
    time = _time(window)
    options = "FORMAT csv, HEADER" if format_name == "csv" else "FORMAT parquet, COMPRESSION zstd"
    instant, text = "make_timestamp({} * 1000)", "r.text"
    if format_name == "csv":
        # A spreadsheet reads what begins so as a formula and runs it: see `FORMULA_BEGINS`.
        text = f"CASE WHEN r.text[1] IN ({_FORMULA_BEGINS}) THEN chr(39) || r.text ELSE r.text END AS text"
        instant = f"strftime({instant}, '%Y-%m-%dT%H:%M:%S.%gZ')"
    else:
        instant = f"timezone('UTC', {instant})"
    return f"""
        COPY (
          SELECT s.entity_id, s.types AS entity_type, s.attribute, s.dataset,
            {instant.format("r.observed_at")} AS observed_at, r.number AS value, {text}, s.unit_code,
            {instant.format("r.recorded_at")} AS recorded_at, {_ORIGIN} AS data_origin
          FROM reading r SEMI JOIN wanted USING (series) JOIN series s ON s.id = r.series
          {within(window)}
          ORDER BY r.series, {time}, r.sequence
        ) TO '{str(path).replace("'", "''")}' ({options})
    """


def steps_of(edges: Integers) -> int | None:
    """The common width of the periods; None when they differ."""
    widths = np.unique(np.diff(edges))
    return int(widths[0]) if len(widths) == 1 else None


_CREATED = "coalesce(created_at, recorded_at)"
_ORIGIN = "list_extract([{}], origin + 1)".format(", ".join(f"'{name}'" for name in ORIGINS))


def _time(window: Window) -> str:
    if window.by_created:
        return _CREATED
    return "recorded_at" if window.by_recorded else "observed_at"


def _newest(window: Window) -> str:
    """What keeps the newest of each series, where so many are wanted."""
    if window.last_n is None:
        return ""
    by_series = f"OVER (PARTITION BY series ORDER BY {_time(window)} DESC, sequence DESC)"
    return f"QUALIFY row_number() {by_series} <= {int(window.last_n)}"


def within(window: Window) -> str:
    """WHERE and what a window asks for; `bounds` are bound to it."""
    time = _time(window)
    conditions = [_fits(window)]
    if window.since is not None:
        conditions.append(f"{time} >= ?")
    if window.until is not None:
        conditions.append(f"{time} < ?")
    return "WHERE " + " AND ".join(conditions)


def _fits(window: Window) -> str:
    conditions = [_MARKS[window.marks]]
    if not window.corrected:
        conditions.append("NOT superseded")
    if window.observed:
        conditions.append("observed")
    if window.instance is not None:
        conditions.append("instance = ?")
    return " AND ".join(conditions)


#: 5 is ValueKind.NOTHING.
_MARKS = {"none": "kind < 5", "with": "true", "only": "kind = 5"}
