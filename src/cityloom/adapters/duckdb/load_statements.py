"""The SQL of whole tables that are brought into the history, and taken out.

A portion lies in the table `portion`, each reading with the number of its series. What is there already at
its instants is compared with it in `standing`, where anything can be there.
"""
# ruff: noqa: S608 - statements are put together from this module's own words alone

from __future__ import annotations

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS load (id VARCHAR NOT NULL, number INTEGER NOT NULL, said VARCHAR NOT NULL)"
)

#: Lays out the portion. Needs `places(place, series)`; bound: the file.
PORTION = """
    CREATE OR REPLACE TEMP TABLE portion AS
    SELECT places.series, file.* FROM read_parquet(?) AS file JOIN places USING (place)
"""
#: Of each series of the portion: place, first and last instant, kind and number of the last reading, and
#: whether there is anything but plain numbers.
SPAN = """
    SELECT place, min(observed_at), max(observed_at), arg_max(kind, observed_at),
      arg_max(number, observed_at), bool_or(kind > 2 OR details IS NOT NULL OR superseded)
    FROM portion GROUP BY place
"""

#: Readings that are there at instants of the portion: whether they say the same, whether one is the other's
#: correction, and which one then. Needs `late_series(series)`; bound: the first instant.
COMPARE = """
    CREATE OR REPLACE TEMP TABLE standing AS
    SELECT p.series, p.observed_at, p.recorded_at, p.kind = 5 AS mark, r.rowid AS place,
      r.kind = p.kind AND r.number IS NOT DISTINCT FROM p.number AND r.text IS NOT DISTINCT FROM p.text
        AND r.details IS NOT DISTINCT FROM p.details
        AND (NOT r.superseded OR (p.superseded AND r.recorded_at = p.recorded_at)) AS same,
      r.kind < 5 AND p.kind < 5 AND NOT r.superseded AND NOT p.superseded AS rival,
      r.recorded_at > p.recorded_at AS newer
    FROM (
      SELECT rowid, series, observed_at, kind, number, text, details, superseded, recorded_at
      FROM reading SEMI JOIN late_series USING (series) WHERE observed_at >= ?
    ) r
    JOIN portion p USING (series, observed_at)
"""

_AT = """
    s.series = p.series AND s.observed_at = p.observed_at AND s.recorded_at = p.recorded_at
    AND s.mark = (p.kind = 5)
"""


def insert(*, compared: bool) -> str:
    """Keep what is new of the portion; bound: the number of the load.

    It counts as later than every change that history has seen. A mark of a deletion lies at the instant of
    the value that it ends, and comes after it.
    """
    superseded, where = "p.superseded", ""
    if compared:
        superseded = f"p.superseded OR EXISTS (FROM standing s WHERE {_AT} AND s.rival AND s.newer)"
        where = f"WHERE NOT EXISTS (FROM standing s WHERE {_AT} AND s.same)"
    return f"""
        INSERT INTO reading BY NAME
        SELECT p.series, p.observed_at, p.kind, p.number, p.text,
          (SELECT last_sequence FROM progress) - (p.kind < 5)::BIGINT AS sequence,
          p.recorded_at, p.observed, {superseded} AS superseded, p.origin, p.details, p.instance,
          p.created_at, ?::INTEGER AS load
        FROM portion p {where}
    """


#: How many of the portion were there already, and how many corrected another.
TALLY = """
    SELECT count(*) FILTER (same), count(*) FILTER (rival AND NOT same AND NOT newer) FROM standing
"""

#: What was there and was recorded before counts no longer, where the portion says something else.
GIVE_WAY = """
    UPDATE reading SET superseded = true FROM (
      SELECT place FROM standing WHERE rival AND NOT same AND NOT newer
    ) AS gone WHERE reading.rowid = gone.place
"""

#: A reading in another unit at the same instant. Needs `siblings(series, sibling)`.
SUPERSEDE_SIBLINGS = """
    UPDATE reading SET superseded = true FROM portion p JOIN siblings b ON b.series = p.series
    WHERE reading.series = b.sibling AND reading.observed_at = p.observed_at AND NOT reading.superseded
      AND reading.recorded_at <= p.recorded_at AND reading.kind < 5 AND p.kind < 5 AND NOT p.superseded
"""

#: Bound: the number of a load.
SERIES_OF_LOAD = "SELECT DISTINCT series FROM reading WHERE load = ? ORDER BY series"

REMEMBER_INSTANTS = """
    CREATE OR REPLACE TEMP TABLE taken AS
    SELECT DISTINCT series, observed_at FROM reading WHERE load = ? AND kind < 5 AND NOT superseded
"""
TAKE_OUT = "DELETE FROM reading WHERE load = ?"
#: Of what the removed readings had corrected, the newest is the value again.
LET_COUNT_AGAIN = """
    UPDATE reading SET superseded = false FROM (
      SELECT max_by(r.rowid, (r.recorded_at, r.sequence)) AS place
      FROM reading r SEMI JOIN taken USING (series, observed_at)
      WHERE r.kind < 5 GROUP BY r.series, r.observed_at
    ) AS again WHERE reading.rowid = again.place AND reading.superseded
"""
EMPTY_SERIES = """
    SELECT DISTINCT series FROM taken WHERE series NOT IN (SELECT DISTINCT series FROM reading)
"""
FORGET_EMPTY = f"DELETE FROM series WHERE id IN ({EMPTY_SERIES})"
