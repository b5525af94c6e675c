"""The tables and the SQL of the history in PostgreSQL.

Whatever comes from outside is bound; what is put together here are the names of columns and whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import LiteralString

import numpy as np

from cityloom.history.model import ORIGINS, Integers, Window
from cityloom.history.ports import FORMULA_BEGINS, TEXT_COUNT

#: `reading` is spread by `series`, and parted by months: see `history_months`. A row that came twice would be
#: no error of the table's, so what keeps it single is `history_progress`, in the same transaction.
MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE series (
        id integer PRIMARY KEY,
        tenant text NOT NULL,
        entity_id text NOT NULL,
        attribute text NOT NULL,
        dataset text NOT NULL,
        attribute_type text NOT NULL,
        unit_code text NOT NULL,
        types text NOT NULL,
        information_class smallint NOT NULL,
        retired boolean NOT NULL
    );
    CREATE TABLE reading (
        observed_at bigint NOT NULL,
        sequence bigint NOT NULL,
        recorded_at bigint NOT NULL,
        number double precision,
        series integer NOT NULL,
        kind smallint NOT NULL,
        origin smallint,
        observed boolean NOT NULL,
        superseded boolean NOT NULL,
        text text,
        details text,
        instance text,
        created_at bigint,
        load integer
    ) PARTITION BY RANGE (observed_at);
    CREATE INDEX reading_of_series ON reading (series, observed_at);
    CREATE TABLE reading_of_no_month PARTITION OF reading DEFAULT;
    CREATE TABLE load (id text PRIMARY KEY, number integer NOT NULL, said text NOT NULL);
    CREATE TABLE history_progress (one smallint PRIMARY KEY CHECK (one = 1), last_sequence bigint NOT NULL);
    INSERT INTO history_progress VALUES (1, 0);
    """,
    "CREATE INDEX reading_of_load ON reading (load) WHERE load IS NOT NULL",
    # Which Entities a load created stood in its record.
    """
    CREATE TABLE load_entity (number integer NOT NULL, entity_id text NOT NULL);
    CREATE INDEX load_entity_of ON load_entity (number);
    INSERT INTO load_entity
    SELECT number, jsonb_array_elements_text(coalesce(said::jsonb -> 'created', '[]')) FROM load;
    """,
    # What several processes need that remember: see `history_parts`.
    """
    CREATE INDEX series_of_entity ON series (entity_id);
    CREATE TABLE history_shared (
        one smallint PRIMARY KEY CHECK (one = 1),
        parts integer NOT NULL,
        era bigint NOT NULL,
        next_series integer NOT NULL
    );
    INSERT INTO history_shared VALUES (1, 0, 0, 1);
    CREATE TABLE history_part (partition integer PRIMARY KEY, last bigint NOT NULL);
    CREATE TABLE series_news (id integer PRIMARY KEY, told xid8 NOT NULL DEFAULT pg_current_xact_id());
    CREATE TABLE follower (
        process uuid PRIMARY KEY,
        stage text NOT NULL,
        host text NOT NULL,
        seen_at timestamptz NOT NULL
    );
    """,
    # News of series are kept for those who stand by: see `history_series`.
    """
    ALTER TABLE history_shared ADD COLUMN told_from xid8 NOT NULL DEFAULT '0';
    CREATE INDEX series_news_told ON series_news (told);
    """,
    # Roll-ups of readings that are gone, and the files in which these lie: see `history_retention`.
    """
    CREATE TABLE hourly (
        series integer NOT NULL,
        hour bigint NOT NULL,
        count integer NOT NULL,
        numbers integer NOT NULL,
        mean double precision,
        sumsq double precision,
        min double precision,
        max double precision,
        last double precision,
        covered smallint NOT NULL,
        PRIMARY KEY (series, hour)
    );
    CREATE TABLE archived (file text PRIMARY KEY, sha256 text NOT NULL, readings bigint NOT NULL);
    CREATE TABLE archive_owed (series integer PRIMARY KEY);
    """,
)

SERIES_COLUMNS: LiteralString = (
    "id, tenant, entity_id, attribute, dataset, attribute_type, unit_code, types, information_class, retired"
)
ALL_SERIES: LiteralString = f"SELECT {SERIES_COLUMNS} FROM series ORDER BY id"
COPY_SERIES: LiteralString = f"COPY series ({SERIES_COLUMNS}) FROM STDIN (FORMAT binary)"
SERIES_TYPES = ("int4", *["text"] * 7, "int2", "bool")
MOVE_SERIES: LiteralString = """
    UPDATE series SET types = moved.types, information_class = moved.class, retired = moved.retired
    FROM unnest(%b::int4[], %b::text[], %b::int2[], %b::bool[]) AS moved (id, types, class, retired)
    WHERE series.id = moved.id
"""

COPY_NUMBERS: LiteralString = (
    "COPY reading (observed_at, sequence, recorded_at, number, series, kind, origin, observed, superseded)"
    " FROM STDIN (FORMAT binary)"
)
COPY_ROWS: LiteralString = (
    "COPY reading (observed_at, sequence, recorded_at, number, series, kind, origin, observed, superseded,"
    " text, details, instance, created_at) FROM STDIN (FORMAT binary)"
)
ROW_TYPES = (
    *("int8", "int8", "int8", "float8", "int4", "int2", "int2", "bool", "bool"),
    *("text", "text", "text", "int8"),
)

#: Bound: what came late (series, instant, sequence), and its earliest and latest instant.
SUPERSEDE: LiteralString = """
    UPDATE reading SET superseded = true
    FROM unnest(%b::int4[], %b::int8[], %b::int8[]) AS late (series, at, sequence)
    WHERE reading.series = late.series AND reading.observed_at = late.at
      AND reading.observed_at BETWEEN %b AND %b
      AND NOT reading.superseded AND reading.sequence < late.sequence
"""
#: One instant of a series, as far as one change.
ERASE: LiteralString = """
    DELETE FROM reading USING unnest(%b::int4[], %b::int8[], %b::int8[]) AS erased (series, at, sequence)
    WHERE reading.series = erased.series AND reading.observed_at = erased.at
      AND reading.sequence <= erased.sequence
"""
FORGET_READINGS: LiteralString = "DELETE FROM reading WHERE series = ANY(%b::int4[])"
FORGET_SERIES: LiteralString = "DELETE FROM series WHERE id = ANY(%b::int4[])"

#: Only where the history still ends where this process knows it to; the row is locked until the commit.
ADVANCE: LiteralString = "UPDATE history_progress SET last_sequence = %b WHERE last_sequence = %b"
HOLD: LiteralString = "SELECT last_sequence FROM history_progress FOR UPDATE"
LAST_SEQUENCE: LiteralString = "SELECT last_sequence FROM history_progress"

#: What is wanted of the squares is told without an error of the server's where they leave its numbers.
SQUARE = (
    "CASE WHEN abs(number) > 1e150 THEN 'Infinity' WHEN abs(number) < 1e-150 THEN 0 ELSE number * number END"
)
_METHODS = {
    "totalCount": "count(*)",
    TEXT_COUNT: "count(text)",
    "distinctCount": "count(DISTINCT coalesce('t' || text, number::text))",
    "sum": "sum(number)",
    "avg": "avg(number)",
    "min": "min(number)",
    "max": "max(number)",
    "stddev": "stddev_pop(number)",
    "sumsq": f"sum({SQUARE})",
}


def raw(window: Window) -> str:
    """Readings of a window, in the columns of `history_columns.READ`. Binds what `bound` gives."""
    order = "t, sequence, series" if window.by_time else "series, t, sequence"
    if window.by_time and window.backwards:
        order = "t DESC, sequence DESC, series"
    return f"""
        SELECT series, observed_at, kind, coalesce(number, 'NaN'), sequence, recorded_at, observed,
          {_CREATED}, text, details, instance
        FROM ({found(window)}) AS found
        ORDER BY {order}
        {f"LIMIT {int(window.limit)}" if window.limit is not None else ""}
    """


def aggregate(window: Window, edges: Integers, methods: Sequence[str], *, pooled: bool) -> str:
    """Row, bucket and one number for each method, where there is anything. Binds what `bound` gives."""
    columns = ", ".join(f"coalesce(({_METHODS[name]})::float8, 'NaN')" for name in methods)
    return sorted_out(window, edges, columns, found(window, edges), pooled=pooled)


def sorted_out(window: Window, edges: Integers, columns: str, rows: str, *, pooled: bool) -> str:
    """Row, bucket and `columns` out of rows with series and t that lie between the edges."""
    numbers = [0] * len(window.series) if pooled else range(len(window.series))
    wanted = f"unnest({array(window.series)}, {array(numbers)}) AS wanted (s, row)"
    inside = f"t >= {int(edges[0])} AND t < {int(edges[-1])}"
    widths = np.unique(np.diff(edges))
    if len(widths) == 1:
        bucket = f"((t - {int(edges[0])}) / {int(widths[0])})::int4"
    else:
        bucket = f"width_bucket(t, {array(edges, 'int8')}) - 1"
    return f"""
        SELECT row, bucket, {columns}
        FROM (SELECT row, {bucket} AS bucket, found.* FROM {wanted} JOIN ({rows}) AS found ON series = s
          WHERE {inside}) AS sorted
        GROUP BY row, bucket
    """


def common(window: Window, edges: Integers) -> tuple[int, int]:
    """The interval that is in a window and between the edges."""
    since, until = int(edges[0]), int(edges[-1])
    return (
        since if window.since is None else max(since, window.since),
        until if window.until is None else min(until, window.until),
    )


def extent(window: Window) -> str:
    """First and last instant of a window. Binds what `bound` gives; twice without `last_n`."""
    if window.last_n is not None:
        return f"SELECT min(t), max(t) FROM ({found(window)}) AS found"
    # The ends of each series, which its index has, and not all that lies between.
    ends = [
        f"(SELECT {_time(window)} AS t FROM reading WHERE series = s AND {_where(window)}"
        f" ORDER BY {_time(window)}{turn} LIMIT 1)"
        for turn in ("", " DESC")
    ]
    return f"""
        SELECT min(ends.t), max(ends.t) FROM unnest({array(np.unique(window.series))}) AS wanted (s)
        CROSS JOIN LATERAL ({" UNION ALL ".join(ends)}) AS ends
    """


def statistics(series: Integers) -> str:
    """Series, count, how many were observed, first and last of those that have any."""
    return f"""
        SELECT series, count(*), count(*) FILTER (WHERE observed), min(observed_at), max(observed_at)
        FROM reading WHERE series = ANY({array(series)}) AND NOT superseded AND kind < 5
        GROUP BY series ORDER BY series
    """


_FORMULA_BEGINS = ", ".join(f"chr({ord(sign)})" for sign in FORMULA_BEGINS)
#: Whole numbers are written as those of other stores are.
_NUMBER = "CASE WHEN number::text ~ '^-?[0-9]+$' THEN number::text || '.0' ELSE number::text END"
_SPREADSHEET = f"CASE WHEN left(text, 1) IN ({_FORMULA_BEGINS}) THEN chr(39) || text ELSE text END"


def export(window: Window, *, spreadsheet: bool) -> str:
    """Rows with EXPORT_COLUMNS: for a spreadsheet as texts, else with instants in milliseconds."""
    instant = "{}"
    if spreadsheet:
        form = """'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'"""
        instant = f"to_char(to_timestamp(trunc({{0}} / 1000.0)) + mod({{0}}, 1000) * interval '1 ms', {form})"
        # One way for instants before 1970, too: whole seconds, then the rest.
    value, text = (_NUMBER, _SPREADSHEET) if spreadsheet else ("number", "text")
    return f"""
        SELECT s.entity_id, s.types AS entity_type, s.attribute, s.dataset,
          {instant.format("observed_at")} AS observed_at, {value} AS value, {text} AS text, s.unit_code,
          {instant.format("recorded_at")} AS recorded_at, {_ORIGIN} AS data_origin
        FROM ({found(window)}) AS found JOIN series s ON s.id = series
        ORDER BY series, t, sequence
    """


def whole(series: Integers, since: int, until: int, columns: Iterable[str]) -> str:
    """All that there is of readings, since <= observed_at < until."""
    return (
        f"SELECT {', '.join(columns)} FROM reading WHERE series = ANY({array(np.unique(series))})"
        f" AND observed_at >= {int(since)} AND observed_at < {int(until)}"
    )


def series_of(series: Integers, columns: Iterable[str]) -> str:
    """What is known of some series."""
    return f"SELECT {', '.join(columns)} FROM series WHERE id = ANY({array(np.unique(series))})"


def bound(window: Window, times: int = 1) -> tuple[str, ...]:
    """What to bind to a statement of a window."""
    return (window.instance,) * times if window.instance is not None else ()


_CREATED = "coalesce(created_at, recorded_at)"
_ORIGIN = "(ARRAY[{}])[origin + 1]".format(", ".join(f"'{name}'" for name in ORIGINS))


def found(window: Window, edges: Integers | None = None) -> str:
    """The readings of a window as rows with `t`, which is the window's time."""
    time = _time(window)
    series = array(np.unique(window.series))
    if window.last_n is None:
        # Told here too, so that the months that are not asked for are not looked at.
        inside = "" if edges is None else f" AND {time} >= {int(edges[0])} AND {time} < {int(edges[-1])}"
        return f"SELECT *, {time} AS t FROM reading WHERE series = ANY({series}) AND {_where(window)}{inside}"
    return f"""
        SELECT newest.* FROM unnest({series}) AS one (id) CROSS JOIN LATERAL (
          SELECT *, {time} AS t FROM reading WHERE series = one.id AND {_where(window)}
          ORDER BY {time} DESC, sequence DESC LIMIT {int(window.last_n)}
        ) AS newest
    """


def array(numbers: Iterable[int] | Integers, of: str = "int4") -> str:
    return f"'{{{','.join(str(int(one)) for one in numbers)}}}'::{of}[]"


def _time(window: Window) -> str:
    if window.by_created:
        return _CREATED
    return "recorded_at" if window.by_recorded else "observed_at"


def _where(window: Window) -> str:
    time = _time(window)
    conditions = [_MARKS[window.marks]]
    if window.since is not None:
        conditions.append(f"{time} >= {int(window.since)}")
    if window.until is not None:
        conditions.append(f"{time} < {int(window.until)}")
    if not window.corrected:
        conditions.append("NOT superseded")
    if window.observed:
        conditions.append("observed")
    if window.instance is not None:
        conditions.append("instance = %s")
    return " AND ".join(conditions)


#: 5 is ValueKind.NOTHING.
_MARKS = {"none": "kind < 5", "with": "true", "only": "kind = 5"}
