"""The SQL of questions over many series at once. Names and whole numbers are put together here, as there."""
# ruff: noqa: S608 - statements are put together from this module's own words alone

from __future__ import annotations

from cityloom.adapters.duckdb.retention_statements import sources
from cityloom.adapters.duckdb.statements import common, steps_of, within
from cityloom.history.model import Integers, Window
from cityloom.history.pools import MOST_GAPS, Holding


def cells(
    window: Window,
    edges: Integers,
    base: int,
    *,
    single: bool,
    chosen: bool,
    above: float | None,
    rolled: bool = False,
) -> str:
    """A table of cells, for `by_group_and_period` or `medians`.

    Needs `wanted(series, grp, turn, factor, shift)`, `edges(edge, bucket)` and, where only some periods are
    `chosen`, `chosen(bucket)`. `base` is the number of the period that begins at the first edge.
    """
    only = " SEMI JOIN chosen USING (bucket)" if chosen else ""
    mean, count, names = "avg(number)", "count(*)", "series, number"
    if rolled:
        mean, count, names = (
            "sum(added) / nullif(sum(numbers), 0)",
            "sum(total)",
            "series, added, numbers, total",
        )
    by_series = f"""
        SELECT grp, turn, bucket, mean * factor + shift AS v, n FROM (
          SELECT series, bucket, {mean} AS mean, {count} AS n
          FROM ({_placed(window, edges, base, names, rolled=rolled)}){only} GROUP BY series, bucket
        ) JOIN wanted USING (series)
    """
    found = by_series
    if not single:
        found = f"""
            SELECT grp, bucket, arg_min(v, turn) FILTER (v IS NOT NULL) AS v, sum(n) AS n
            FROM ({by_series}) GROUP BY grp, bucket
        """
    value = "v" if above is None else f"CASE WHEN v > {float(above)!r}::DOUBLE THEN v END"
    return f"SELECT grp, bucket, {value} AS v, n FROM ({found})"


def by_group_and_period(cells: str) -> str:
    """Rows of groups, in which `bucket` is NULL, and rows of periods, in which `grp` is."""
    return f"""
        SELECT coalesce(grp, -1) AS grp, coalesce(bucket, -1) AS bucket, count(v) AS cells,
          coalesce(sum(v), 0) AS total, sum(n)::BIGINT AS readings
        FROM ({cells}) GROUP BY GROUPING SETS ((grp), (bucket))
    """


def medians(cells: str) -> str:
    """The median cell of each group that has any."""
    return f"SELECT grp, median(v) AS v FROM ({cells}) WHERE v IS NOT NULL GROUP BY grp"


def held(window: Window, holding: Holding, since: int, until: int) -> str:
    """By group, of the readings from `since` until before `until`; the window reaches `holding.hold` further.

    Needs `wanted(series, grp, factor, shift, reference)`.
    """
    if holding.above is not None:
        fits = f"v > {float(holding.above)!r}::DOUBLE"
    else:
        fits = f"v < {float(holding.below or 0.0)!r}::DOUBLE"
    following = "lead(observed_at) OVER (PARTITION BY series ORDER BY observed_at, sequence)"
    return f"""
        SELECT grp, count(*) AS readings, sum(lasting)::BIGINT AS covered,
          coalesce(sum(lasting) FILTER ({fits}), 0)::BIGINT AS inside
        FROM (
          SELECT grp, observed_at, (number * factor + shift) / nullif(reference, 'NaN'::DOUBLE) AS v,
            least(coalesce({following}, {int(holding.until)}), observed_at + {int(holding.hold)})
              - observed_at AS lasting
          FROM reading JOIN wanted USING (series) {within(window)}
        ) WHERE v IS NOT NULL AND observed_at >= {int(since)} AND observed_at < {int(until)} GROUP BY grp
    """


def slots(window: Window, edges: Integers, base: int, *, rolled: bool = False) -> str:
    """Lay out the periods in which groups have readings. Needs `wanted(series, grp)` and `edges`."""
    count, names = ("sum(total)", "series, total") if rolled else ("count(*)", "series")
    return f"""
        CREATE OR REPLACE TEMP TABLE slots AS
        SELECT grp, bucket, n, bucket - lag(bucket) OVER (PARTITION BY grp ORDER BY bucket) - 1 AS gap
        FROM (
          SELECT grp, bucket, sum(n) AS n FROM (
            SELECT series, bucket, {count} AS n
            FROM ({_placed(window, edges, base, names, rolled=rolled)})
            GROUP BY series, bucket
          ) JOIN wanted USING (series) GROUP BY grp, bucket
        )
    """


SLOTS_BY_GROUP = """
    SELECT grp, min(bucket) AS first, max(bucket) AS last, count(*) AS present, sum(n)::BIGINT AS readings
    FROM slots GROUP BY grp
"""
LONGEST_GAPS = f"""
    SELECT grp, bucket - gap AS first, gap FROM slots WHERE gap > 0
    ORDER BY gap DESC, grp, first LIMIT {MOST_GAPS}
"""


def time_weighted(since: int, edges: Integers, hold: int | None) -> str:
    """Area and cover by row and bucket. Needs `wanted(series, row)`, `edges(edge, until, bucket)`."""
    start, end = int(edges[0]), int(edges[-1])
    standing = "kind < 5 AND NOT superseded"
    held = f"instant + {int(hold)}" if hold is not None else str(end)
    step = steps_of(edges)
    steps = f"""
        SELECT row, number, greatest(instant, {start}) AS begins, ends FROM (
          SELECT row, instant, number, least(coalesce(
            lead(instant) OVER (PARTITION BY row ORDER BY instant), {end}), {held}) AS ends
          FROM (
            (SELECT row, observed_at AS instant, number FROM reading JOIN wanted USING (series)
             WHERE {standing} AND observed_at >= {int(since)} AND observed_at < {start}
             QUALIFY row_number() OVER (PARTITION BY series ORDER BY observed_at DESC, sequence DESC) = 1)
            UNION ALL
            SELECT row, observed_at AS instant, number FROM reading JOIN wanted USING (series)
            WHERE {standing} AND observed_at >= {start} AND observed_at < {end}
          ) WHERE number IS NOT NULL
        ) WHERE ends > greatest(instant, {start})
    """
    if step is not None:
        first, last = (f"({one} - {start}) // {step}" for one in ("begins", "(ends - 1)"))
        placed = f"SELECT *, {first} AS first, {last} AS last FROM ({steps})"
    else:
        placed = f"""
            SELECT s.row, s.number, s.begins, s.ends, f.bucket AS first, l.bucket AS last FROM ({steps}) s
            ASOF JOIN edges f ON s.begins >= f.edge ASOF JOIN edges l ON s.ends - 1 >= l.edge
        """
    return f"""
        SELECT row, bucket, sum(inside)::BIGINT AS covered, sum(inside * number) AS area FROM (
          SELECT row, number, bucket, least(p.ends, e.until) - greatest(p.begins, e.edge) AS inside
          FROM (SELECT *, unnest(range(first, last + 1)) AS bucket FROM ({placed})) p
          JOIN edges e USING (bucket)
        ) GROUP BY row, bucket
    """


def _placed(window: Window, edges: Integers, base: int, names: str, *, rolled: bool) -> str:
    """Readings, and with `rolled` roll-ups, with the period that they fall into."""
    conditions = f"{within(window)} AND observed_at >= {int(edges[0])} AND observed_at < {int(edges[-1])}"
    found = f"FROM reading SEMI JOIN wanted USING (series) {conditions}"
    if rolled:
        found = f"FROM ({sources(found, *common(window, edges), 'observed_at')})"
    step = steps_of(edges)
    if step is not None:
        return f"SELECT {names}, (observed_at - {int(edges[0])}) // {step} + {int(base)} AS bucket {found}"
    return f"""
        SELECT {names}, bucket FROM (SELECT {names}, observed_at {found})
        ASOF JOIN edges ON observed_at >= edges.edge
    """


def extent(window: Window) -> str:
    """The first instant, the last one and the count of a window. Needs `wanted(series)`."""
    return f"""
        SELECT min(observed_at), max(observed_at), count(*)
        FROM reading SEMI JOIN wanted USING (series) {within(window)}
    """
