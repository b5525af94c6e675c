"""A table of the past as portions of readings: staged once in typed columns, then turned one by one.

What stands in a cell is decided by SQL over whole columns; no row is ever an object of Python. A staged row
is (line, what the id is made of, instant or local time, and for each column of readings a value or a reason
why there is none).
"""
# ruff: noqa: S608 - statements are put together of this room's words; what a mapping names is quoted

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec

from cityloom.adapters.duckdb import table_cells
from cityloom.adapters.duckdb.table_instants import instant_of
from cityloom.adapters.duckdb.table_source import Source, malformed, quoted
from cityloom.adapters.duckdb.table_staging import StagedRows
from cityloom.history.model import ORIGINS, SeriesKey, ValueKind
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import EARLIEST, to_millis
from cityloom.sensing.local_times import EARLIEST_LOCAL, LATEST_LOCAL
from cityloom.sensing.table_meaning import PLACEHOLDER, TableMeaning
from cityloom.sensing.table_rules import Rule

#: Readings in one portion, as many as fit the memory of a running city's history.
AT_ONCE = 200_000
#: Letters of a cell that is told of.
_SHOWN = 200


class PortionOfTable(NamedTuple):
    """Readings of some rows, in a file."""

    first: int
    end: int
    #: Each series once; a reading's place is its index.
    keys: list[SeriesKey]
    readings: int
    #: Rows that said again what another row of the portion says of the same instant.
    repeated: int
    #: Instants of the first and the last reading, None where there is none.
    since: int | None
    until: int | None


class StandingOfEntity(msgspec.Struct, frozen=True):
    """What the last rows about an Entity say of it, beside readings."""

    entity_id: str
    #: By attribute, the text of the cell or (places) longitude and latitude.
    said: dict[str, str]
    longitude: float | None = None
    latitude: float | None = None
    wkt: str | None = None


class TableConversion:
    """Turns one open table. Blocking; not from two threads at once."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        source: Source,
        meaning: TableMeaning,
        rules: Sequence[Rule],
        work: Path,
        *,
        where: Path,
    ) -> None:
        """Raises BadInput for a column that is not there, naming the file."""
        self._db = connection
        self._source = source
        self._meaning = meaning
        self._where = where
        self._work = work
        self._staged = work / "staged.parquet"
        self._rows_staged = StagedRows(source, meaning, rules, where=where)
        self.columns = self._rows_staged.columns
        self._places = self._rows_staged.places
        #: Rows of the table.
        self.rows = 0
        self._laid_out = (-1, -1)

    def stage(self) -> int:
        """Read the whole table once; returns how many rows it has. Raises BadInput."""
        try:
            self._db.execute(
                f"""
                COPY ({self._rows_staged.select()})
                TO {quoted(str(self._staged))} (FORMAT parquet, COMPRESSION lz4, ROW_GROUP_SIZE 61440)
                """
            )
        except duckdb.Error as error:
            raise BadInput(
                f"The table cannot be read: {str(error).splitlines()[0][:300]}",
                hint="Check the file, its separator and its quotes, and whether it came whole.",
                where=str(self._where),
            ) from None
        self.rows = int(self._one(f"SELECT count(*) FROM {self._rows()}")[0])
        return self.rows

    def malformed(self) -> list[tuple[int, str, str]]:
        """Rows that were no rows: line, column, what is wrong."""
        if self._source.lines_before is None:
            return []
        named = []
        for line, column, reason in malformed(self._db):
            place = column.removeprefix("c")
            header = self._source.header
            known = place.isdecimal() and int(place) < len(header)
            named.append((line, header[int(place)] if known else "", reason))
        return named

    @property
    def rows_at_once(self) -> int:
        """Rows in one portion."""
        several = len(self.columns) + (1 if self._rows_staged.moves else 0)
        return max(1, AT_ONCE // several)

    def portion(self, first: int, file: Path, *, recorded: int, latest: int) -> PortionOfTable:
        """The rows from `first` (counted from 0) on, written to a file as `history.loads.Portion` has them.

        `recorded` is the instant at which they are recorded; beyond `latest` nothing was observed.
        """
        end = min(first + self.rows_at_once, self.rows)
        self._turn(first, end, latest)
        keys = [
            self._key(entity, column)
            for entity, column in self._db.execute("SELECT entity, col FROM series ORDER BY place").fetchall()
        ]
        total, since, until = self._one("SELECT count(*), min(instant), max(instant) FROM turned")
        origin = int(ORIGINS[self._meaning.origin])
        # Of several rows about one instant the last one counts.
        (distinct,) = self._one(
            f"""
            COPY (
              SELECT place, instant AS observed_at, {int(recorded)}::BIGINT AS recorded_at,
                NULL::BIGINT AS created_at, kind, number, text, true AS observed, false AS superseded,
                {origin}::UTINYINT AS origin, NULL::VARCHAR AS details, NULL::VARCHAR AS instance
              FROM (
                SELECT *, lag(place) OVER () AS place_before, lag(instant) OVER () AS instant_before
                FROM (FROM turned JOIN series USING (entity, col) ORDER BY place, instant, line DESC)
              ) WHERE place IS DISTINCT FROM place_before OR instant <> instant_before
            ) TO {quoted(str(file))} (FORMAT parquet, COMPRESSION lz4)
            """
        )
        return PortionOfTable(first, end, keys, int(distinct), int(total - distinct), since, until)

    def reject(self, first: int, latest: int) -> None:
        """Remember what was wrong in the portion that begins at a row, which was turned last."""
        end = min(first + self.rows_at_once, self.rows)
        if self._laid_out != (first, end):
            self._lay_out(first, end, latest)
        parts = [
            f"SELECT line, {self._places.get(name, -1)} AS col, {reason} AS reason FROM portion "
            f"WHERE {reason} IS NOT NULL"
            for name, reason in self._reasons()
        ]
        self._db.execute("CREATE TABLE IF NOT EXISTS rejects (line BIGINT, col INTEGER, reason VARCHAR)")
        self._db.execute(f"INSERT INTO rejects {' UNION ALL '.join(parts)}")

    def rejects(self) -> Iterator[list[tuple[int, str, str, str]]]:
        """What was wrong, in the order of rows (from 1): row, column, reason, cell."""
        said = {place: f"c{place}" for place in self._places.values()}
        # A time that stands in several columns is told whole.
        times = [f"c{self._places[name]}" for name in self._meaning.time.all_columns]
        said[self._places[self._meaning.time.all_columns[0]]] = f"concat_ws(' ', {', '.join(times)})"
        cells = " ".join(f"WHEN {place} THEN {words}" for place, words in sorted(said.items()))
        found = self._db.execute(
            f"""
            SELECT line, col, reason, left(CASE col {cells} END, {_SHOWN})
            FROM rejects JOIN (SELECT row_number() OVER () AS line, * FROM {self._source.sql}) USING (line)
            ORDER BY line, col
            """
        )
        while rows := found.fetchmany(10_000):
            yield [
                (line, self._source.header[col] if col >= 0 else "", reason, cell or "")
                for line, col, reason, cell in rows
            ]

    def reject_counts(self) -> list[tuple[str, str, int]]:
        """Column, reason and how often, the most frequent first."""
        found = self._db.execute(
            "SELECT col, reason, count(*) FROM rejects GROUP BY ALL ORDER BY count(*) DESC, col, reason"
        ).fetchall()
        return [(self._source.header[col] if col >= 0 else "", reason, count) for col, reason, count in found]

    def entities(self) -> Iterator[StandingOfEntity]:
        """What stands of each Entity of the table."""
        names = [name for name, one in self._meaning.attributes.items() if one.column or one.relationship]
        entity = self._rows_staged.entity
        wanted = [
            f"{entity.value} AS entity",
            *(self._last(f"a{place}") for place in range(len(self._meaning.attributes))),
        ]
        place = self._meaning.location
        if place is not None and not place.moves:
            wanted += [
                "arg_max(lon, line) FILTER (lon IS NOT NULL AND lat IS NOT NULL)",
                "arg_max(lat, line) FILTER (lon IS NOT NULL AND lat IS NOT NULL)",
                self._last("wkt"),
            ]
        else:
            wanted += ["NULL", "NULL", "NULL"]
        found = self._db.execute(
            f"SELECT {', '.join(wanted)} FROM {self._rows()} WHERE ({entity.reason}) IS NULL "
            "GROUP BY 1 ORDER BY 1"
        )
        every = list(self._meaning.attributes)
        while rows := found.fetchmany(1000):
            for entity, *cells, longitude, latitude, wkt in rows:
                told = {
                    name: cell
                    for name, cell in zip(every, cells, strict=True)
                    if cell is not None and name in names
                }
                yield StandingOfEntity(entity, told, longitude, latitude, wkt)

    # How a portion is turned

    def _rows(self) -> str:
        return f"read_parquet({quoted(str(self._staged))})"

    def _lay_out(self, first: int, end: int, latest: int) -> None:
        """The staged rows of a portion with their instants, and why one has none."""
        self._laid_out = (first, end)
        rows = f"(FROM {self._rows()} WHERE line > {int(first)} AND line <= {int(end)})"
        low, high = self._one(
            f"SELECT min(local), max(local) FROM {rows} "
            f"WHERE local BETWEEN {EARLIEST_LOCAL} AND {LATEST_LOCAL}"
        )
        instant = instant_of(self._meaning.time, low, high)
        entity, form = self._rows_staged.entity, self._meaning.time.format
        self._db.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE portion AS
            SELECT * EXCLUDE (instant), CASE WHEN time_wrong IS NULL THEN instant END AS instant FROM (
              SELECT * EXCLUDE (instant), moment.instant AS instant, CASE
                WHEN time_empty THEN 'it is empty'
                WHEN moment.wrong IS NOT NULL THEN moment.wrong
                WHEN moment.instant IS NULL THEN {quoted(f"it is no time of the format {form}")}
                WHEN moment.instant < {to_millis(EARLIEST)} THEN 'it is before any measurement'
                WHEN moment.instant > {int(latest)} THEN 'it lies in the future' END AS time_wrong
              FROM (SELECT *, {instant} AS moment, {entity.value} AS entity, {entity.reason} AS entity_wrong
                FROM {rows})
            )
            """
        )

    def _turn(self, first: int, end: int, latest: int) -> None:
        self._lay_out(first, end, latest)
        good = "instant IS NOT NULL AND entity_wrong IS NULL"
        parts = []
        for place, column in enumerate(self.columns):
            kind = table_cells.kind_of(column.said)
            number, text = (f"v{place}", "NULL::VARCHAR")
            if kind in (ValueKind.TEXT, ValueKind.JSON):
                number, text = "NULL::DOUBLE", f"v{place}"
            parts.append(
                f"SELECT line, entity, {place} AS col, instant, {int(kind)}::UTINYINT AS kind, "
                f"{number} AS number, {text} AS text FROM portion WHERE {good} AND v{place} IS NOT NULL"
            )
        if self._rows_staged.moves:
            point = """'{"type":"Point","coordinates":[' || lon || ',' || lat || ']}'"""
            parts.append(
                f"SELECT line, entity, {len(self.columns)} AS col, instant, {int(ValueKind.JSON)}::UTINYINT "
                f"AS kind, NULL::DOUBLE AS number, {point} AS text "
                f"FROM portion WHERE {good} AND lon IS NOT NULL AND lat IS NOT NULL"
            )
        self._db.execute(f"CREATE OR REPLACE TEMP TABLE turned AS {' UNION ALL '.join(parts)}")
        self._db.execute(
            """
            CREATE OR REPLACE TEMP TABLE series AS
            SELECT entity, col, (row_number() OVER (ORDER BY entity, col) - 1)::INTEGER AS place
            FROM (SELECT DISTINCT entity, col FROM turned)
            """
        )

    def _key(self, entity: str, number: int) -> SeriesKey:
        if number == len(self.columns):
            place = self._meaning.location
            name = place.attribute if place is not None else "location"
            return SeriesKey(DEFAULT_TENANT, entity, name, "", "GeoProperty", "")
        column = self.columns[number]
        return SeriesKey(
            DEFAULT_TENANT, entity, column.attribute, column.said.dataset, "Property", column.rule.unit
        )

    def _reasons(self) -> Iterator[tuple[str, str]]:
        """The column that is told, and SQL of the reason."""
        yield next(iter(PLACEHOLDER.findall(self._meaning.id)), ""), "entity_wrong"
        yield self._meaning.time.all_columns[0], "time_wrong"
        for place, column in enumerate(self.columns):
            yield column.said.column, f"w{place}"
        place_of = self._meaning.location
        if place_of is not None and not place_of.wkt:
            for name, column_name in (("lon", place_of.longitude), ("lat", place_of.latitude)):
                yield column_name, f"CASE WHEN {name}_wrong THEN 'it is no angle in degrees' END"
        if self.columns and all(column.said.when for column in self.columns):
            known = " OR ".join(f"h{place}" for place in range(len(self.columns)))
            named = next(iter(self.columns[0].said.when))
            yield named, f"CASE WHEN NOT ({known}) THEN 'the mapping has no readings for it' END"

    @staticmethod
    def _last(column: str) -> str:
        return f"arg_max({column}, line) FILTER ({column} IS NOT NULL)"

    def _one(self, statement: str) -> tuple[Any, ...]:
        row = self._db.execute(statement).fetchone()
        assert row is not None, "the statement gives one row"
        return tuple(row)
