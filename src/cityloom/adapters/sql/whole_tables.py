"""What both databases share of whole tables that are brought into the history and taken out again.

A portion lies in `portion`, what is there already at its instants in `standing`; `load` has the records, and
`load_entity` which Entities a load created. Statements with `%s` take their values in DuckDB by `?`.
"""
# ruff: noqa: S608 - statements are put together from this module's own words alone

from __future__ import annotations

import uuid
from pathlib import Path

import msgspec

from cityloom.history.directory import SeriesDirectory
from cityloom.history.loads import Brought, LoadRecord
from cityloom.history.model import Integers, Series

NOTHING = Brought(0, 0, 0)

RECORDS = "SELECT said FROM load ORDER BY number"
#: Bound: the id of a load.
FIND = "SELECT said FROM load WHERE id = %s"
LAST_NUMBER = "SELECT coalesce(max(number), 0) FROM load"
#: Bound: the number of a load.
SERIES_OF_LOAD = "SELECT DISTINCT series FROM reading WHERE load = %s ORDER BY series"
TAKE_OUT = "DELETE FROM reading WHERE load = %s"
CREATED = "SELECT entity_id FROM load_entity WHERE number = %s"

#: Of a reading of the portion (p) and one that is there (r) at the same instant: whether they say the same,
#: whether one is the other's correction, and which one then.
COMPARED = """
    r.kind = p.kind AND r.number IS NOT DISTINCT FROM p.number AND r.text IS NOT DISTINCT FROM p.text
      AND r.details IS NOT DISTINCT FROM p.details
      AND (NOT r.superseded OR (p.superseded AND r.recorded_at = p.recorded_at)) AS same,
    r.kind < 5 AND p.kind < 5 AND NOT r.superseded AND NOT p.superseded AS rival,
    r.recorded_at > p.recorded_at AS newer
"""
_AT = """
    s.series = p.series AND s.observed_at = p.observed_at AND s.recorded_at = p.recorded_at
    AND s.mark = (p.kind = 5)
"""
#: Whether what is there was recorded later, and whether it says what the portion says. Needs `standing`.
IS_CORRECTED = f"EXISTS (SELECT 1 FROM standing s WHERE {_AT} AND s.rival AND s.newer)"
IS_NEW = f"NOT EXISTS (SELECT 1 FROM standing s WHERE {_AT} AND s.same)"
#: How many of the portion were there already, and how many corrected another.
TALLY = """
    SELECT count(*) FILTER (WHERE same), count(*) FILTER (WHERE rival AND NOT same AND NOT newer)
    FROM standing
"""


def insert(progress: str, *, compared: bool = True) -> str:
    """Keep what is new of the portion; bound: the number of the load. `progress` is that of the history.

    It counts as later than every change that history has seen. A mark of a deletion lies at the instant of
    the value that it ends, and comes after it.
    """
    superseded, where = "p.superseded", ""
    if compared:
        superseded, where = f"p.superseded OR {IS_CORRECTED}", f"WHERE {IS_NEW}"
    return f"""
        INSERT INTO reading (series, observed_at, kind, number, text, sequence, recorded_at, observed,
          superseded, origin, details, instance, created_at, load)
        SELECT p.series, p.observed_at, p.kind, p.number, p.text,
          (SELECT last_sequence FROM {progress}) - CASE WHEN p.kind < 5 THEN 1 ELSE 0 END,
          p.recorded_at, p.observed, {superseded}, p.origin, p.details, p.instance, p.created_at,
          CAST(%s AS INTEGER)
        FROM portion p {where}
    """


def supersede_siblings(siblings: str) -> str:
    """A reading in another unit at the same instant; `siblings` gives `b(series, sibling)`."""
    return f"""
        UPDATE reading SET superseded = true FROM portion p JOIN {siblings} ON b.series = p.series
        WHERE reading.series = b.sibling AND reading.observed_at = p.observed_at AND NOT reading.superseded
          AND reading.recorded_at <= p.recorded_at AND reading.kind < 5 AND p.kind < 5 AND NOT p.superseded
    """


class WholeTables:
    """What a `LoadStore` does without its database, or in the same way."""

    _directory: SeriesDirectory
    _exports: Path

    def known(self, numbers: Integers) -> list[Series]:
        return self._directory.known(numbers)

    def new_export(self, suffix: str) -> Path:
        return self._exports / f"portion-{uuid.uuid4().hex}.{suffix}"

    def export_whole(self, series: Integers, since: int, until: int, format_name: str) -> tuple[Path, int]:
        path = self.new_export(format_name)
        try:
            return path, self._write_whole(series, since, until, path, format_name)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _write_whole(self, series: Integers, since: int, until: int, path: Path, format_name: str) -> int:
        """Write the file; returns how many readings there were."""
        raise NotImplementedError

    def _remove_leftovers(self) -> None:
        """Exports that nobody came for."""
        for path in self._exports.iterdir():
            if path.is_file() and path.suffix in (".csv", ".parquet", ".json"):
                path.unlink()


def record_of(said: str) -> LoadRecord:
    """A record as its table keeps it."""
    return msgspec.json.decode(said, type=LoadRecord)


def row_of(record: LoadRecord) -> tuple[str, int, str]:
    """What the table `load` keeps of a record: id, number and all of it."""
    return record.id, record.number, msgspec.json.encode(record).decode()
