"""What DuckDB alone says of whole tables that are brought into the history (`adapters/sql/whole_tables`).

`standing` is made only where anything can be there.
"""
# ruff: noqa: S608 - statements are put together from this module's own words alone

from __future__ import annotations

from cityloom.adapters.sql import whole_tables

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS load (id VARCHAR NOT NULL, number INTEGER NOT NULL, said VARCHAR NOT NULL)",
    "CREATE TABLE IF NOT EXISTS load_entity (number INTEGER NOT NULL, entity_id VARCHAR NOT NULL)",
)
#: Which Entities a load created stood in its record.
CREATED_APART = """
    INSERT INTO load_entity
    SELECT number, unnest(from_json(coalesce(said::JSON -> 'created', '[]'), '["VARCHAR"]')) FROM load
"""

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

#: Readings that are there at instants of the portion. Needs `late_series(series)`; bound: the first
#: instant.
COMPARE = f"""
    CREATE OR REPLACE TEMP TABLE standing AS
    SELECT p.series, p.observed_at, p.recorded_at, p.kind = 5 AS mark, r.rowid AS place,
      {whole_tables.COMPARED}
    FROM (
      SELECT rowid, series, observed_at, kind, number, text, details, superseded, recorded_at
      FROM reading SEMI JOIN late_series USING (series) WHERE observed_at >= ?
    ) r
    JOIN portion p USING (series, observed_at)
"""

#: What was there and was recorded before counts no longer, where the portion says something else.
GIVE_WAY = """
    UPDATE reading SET superseded = true FROM (
      SELECT place FROM standing WHERE rival AND NOT same AND NOT newer
    ) AS gone WHERE reading.rowid = gone.place
"""

#: Needs `siblings(series, sibling)`.
SUPERSEDE_SIBLINGS = whole_tables.supersede_siblings("siblings b")

REMEMBER_INSTANTS = """
    CREATE OR REPLACE TEMP TABLE taken AS
    SELECT DISTINCT series, observed_at FROM reading WHERE load = ? AND kind < 5 AND NOT superseded
"""
#: Of what the removed readings had corrected, the newest is the value again.
LET_COUNT_AGAIN = """
    UPDATE reading SET superseded = false FROM (
      SELECT max_by(r.rowid, (r.recorded_at, r.sequence)) AS place
      FROM reading r SEMI JOIN taken USING (series, observed_at)
      WHERE r.kind < 5 GROUP BY r.series, r.observed_at
    ) AS again WHERE reading.rowid = again.place AND reading.superseded
"""
EMPTY_SERIES = """
    SELECT series FROM taken EXCEPT SELECT series FROM reading SEMI JOIN taken USING (series)
"""
FORGET_EMPTY = f"DELETE FROM series WHERE id IN ({EMPTY_SERIES})"
