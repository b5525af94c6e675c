"""A table of the past as portions of readings: staged once in typed columns, then turned one by one.

What stands in a cell is decided by SQL over whole columns; no row is ever an object of Python. A staged row
is (line, what the id is made of, instant or local time, and for each column of readings a value or a reason
why there is none).
"""
# ruff: noqa: S608 - statements are put together of this room's words; what a mapping names is quoted

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import msgspec

from cityloom.adapters.duckdb import table_cells
from cityloom.adapters.duckdb.table_cells import Cell
from cityloom.adapters.duckdb.table_source import SEPARATORS, Source, malformed, quoted
from cityloom.history.model import ORIGINS, SeriesKey, ValueKind
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import EARLIEST, to_millis
from cityloom.sensing.local_times import EARLIEST_LOCAL, LATEST_LOCAL, Piece, pieces
from cityloom.sensing.table_meaning import PLACEHOLDER, ReadingColumn, TableForm, TableMeaning
from cityloom.sensing.table_rules import Rule

#: Readings in one portion, as many as fit the memory of a running city's history.
AT_ONCE = 200_000
#: Letters of a cell that is told of.
_SHOWN = 200


def _other_separator(source: Source) -> str:
    """A question to whoever reads a table with the wrong separator: all is one column then."""
    if len(source.header) != 1 or source.lines_before is None:
        return ""
    found = max(SEPARATORS, key=source.header[0].count)
    if not source.header[0].count(found):
        return ""
    return f" If they should be several: say separator = {json.dumps(found)} under [table] of the mapping."


class Column(NamedTuple):
    """A column of readings as it is turned."""

    attribute: str
    said: ReadingColumn
    rule: Rule


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
        self._places = {name: place for place, name in enumerate(source.header) if name}
        for column, place in meaning.columns().items():
            if column not in self._places:
                raise BadInput(
                    f"The table has no column {column!r}, which {place} names",
                    hint=f"Its columns are: {', '.join(source.header[:40])[:600]}.{_other_separator(source)}",
                    where=str(where),
                )
        readings = zip(meaning.all_readings(), rules, strict=True)
        self.columns = [Column(name, said, rule) for (name, said), rule in readings]
        #: Rows of the table.
        self.rows = 0
        self._laid_out = (-1, -1)

    def stage(self) -> int:
        """Read the whole table once; returns how many rows it has. Raises BadInput."""
        try:
            self._db.execute(
                f"""
                COPY (SELECT {", ".join(["line", *self._staged_columns()])} FROM (
                  SELECT *, {", ".join(self._judged_columns()) or "NULL AS nothing"} FROM (
                    SELECT *, {", ".join(self._parsed_columns()) or "NULL AS none"} FROM ({self._said()}))))
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
        several = len(self.columns) + (1 if self._moves else 0)
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
        entity = self._entity
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

    # How a row is staged

    @property
    def _form(self) -> TableForm:
        return self._source.form

    @property
    def _moves(self) -> bool:
        return self._meaning.location is not None and self._meaning.location.moves

    def _c(self, name: str) -> str:
        return f"c{self._places[name]}"

    def _said(self) -> str:
        """What the cells say, numbered by line."""
        used = sorted({self._places[name] for name in self._meaning.columns()})
        trimmed = ", ".join(f"trim(c{place}) AS c{place}" for place in used)
        said = ", ".join(f"{table_cells.said(f'c{place}', self._form)} AS c{place}" for place in used)
        rows = f"SELECT row_number() OVER () AS line, {trimmed} FROM {self._source.sql}"
        return f"SELECT line, {said} FROM ({rows})"

    def _parsed_columns(self) -> Iterator[str]:
        for place, column in enumerate(self.columns):
            yield f"{table_cells.parsed(self._c(column.said.column), column.said, self._form)} AS n{place}"

    def _judged_columns(self) -> Iterator[str]:
        """For each column of readings why a cell has none (w), and whether the row is for it (h)."""
        for place, column in enumerate(self.columns):
            text = self._c(column.said.column)
            reason = table_cells.reading(f"n{place}", text, column.said, column.rule).reason
            if column.said.empty == "reject":
                reason = f"CASE WHEN {text} IS NULL THEN 'it is empty' ELSE {reason} END"
            if column.said.when:
                here = self._when(column.said)
                yield f"{here} AS h{place}"
                reason = f"CASE WHEN {here} THEN {reason} END"
            yield f"{reason} AS w{place}"

    def _staged_columns(self) -> Iterator[str]:
        for name in dict.fromkeys(PLACEHOLDER.findall(self._meaning.id)):
            yield f"{self._c(name)} AS k{self._places[name]}"
        time = self._meaning.time
        texts = [self._c(name) for name in time.all_columns]
        text = texts[0] if len(texts) == 1 else "(" + " || ' ' || ".join(texts) + ")"
        instant, local = table_cells.moment(text, time)
        yield f"{text} IS NULL AS time_empty"
        yield f"{instant} AS instant"
        yield f"{local} AS local"
        for place, column in enumerate(self.columns):
            cell = table_cells.reading(f"n{place}", self._c(column.said.column), column.said, column.rule)
            here = f"w{place} IS NULL" + (f" AND h{place}" if column.said.when else "")
            yield f"w{place}"
            yield f"CASE WHEN {here} THEN {cell.value} END AS v{place}"
            if column.said.when:
                yield f"h{place}"
        yield from self._staged_attributes()
        yield from self._staged_place()

    def _when(self, said: ReadingColumn) -> str:
        conditions = [
            f"{self._c(name)} IS NOT DISTINCT FROM {quoted(text)}" for name, text in said.when.items()
        ]
        return " AND ".join(conditions)

    def _staged_attributes(self) -> Iterator[str]:
        for place, one in enumerate(self._meaning.attributes.values()):
            if one.column:
                yield f"{self._c(one.column)} AS a{place}"
            elif one.relationship:
                target = table_cells.identifier(self._parts(one.relationship))
                yield f"CASE WHEN ({target.reason}) IS NULL THEN {target.value} END AS a{place}"
            else:
                yield f"NULL::VARCHAR AS a{place}"

    def _staged_place(self) -> Iterator[str]:
        place = self._meaning.location
        if place is None:
            return
        if place.wkt:
            yield f"{self._c(place.wkt)} AS wkt"
            yield "NULL::DOUBLE AS lon"
            yield "NULL::DOUBLE AS lat"
            return
        for name, column, most in (("lon", place.longitude, 180), ("lat", place.latitude, 90)):
            text = self._c(column)
            value = table_cells.number(text, self._form)
            yield f"CASE WHEN abs({value}) <= {most} THEN {value} END AS {name}"
            yield f"{text} IS NOT NULL AND NOT coalesce(abs({value}) <= {most}, false) AS {name}_wrong"
        yield "NULL::VARCHAR AS wkt"

    def _parts(self, template: str, letter: str = "c") -> list[tuple[str, bool]]:
        parts: list[tuple[str, bool]] = []
        for number, piece in enumerate(PLACEHOLDER.split(template)):
            if piece:
                parts.append((f"{letter}{self._places[piece]}", True) if number % 2 else (piece, False))
        return parts

    @property
    def _entity(self) -> Cell:
        """The id of a staged row. Columns of Parquet come as dictionaries: each text is looked at once."""
        return table_cells.identifier(self._parts(self._meaning.id, "k"))

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
        instant = self._instant(low, high)
        entity, form = self._entity, self._meaning.time.format
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

    def _instant(self, low: int | None, high: int | None) -> str:
        """SQL of a struct: the instant of a row, or what is wrong with its local time."""
        time = self._meaning.time
        if time.zone and (low is None or high is None):
            return "{'instant': instant, 'wrong': NULL::VARCHAR}"
        if low is None or high is None or not time.zone:
            wrong = quoted("it has no time zone, and the mapping names none")
            return f"{{'instant': instant, 'wrong': CASE WHEN local IS NOT NULL THEN {wrong} END}}"
        found = pieces(ZoneInfo(time.zone), low, high)
        cases: list[str] = []
        wrongs: list[str] = []
        for piece, following in zip(found, [*found[1:], None], strict=True):
            until = "true" if following is None else f"local < {following.begin}"
            cases.append(f"WHEN {until} THEN local - ({self._offset(piece)})")
            wrongs.append(f"WHEN {until} THEN {self._wrong(piece)}")
        outside = f"local NOT BETWEEN {EARLIEST_LOCAL} AND {LATEST_LOCAL}"
        return (
            f"{{'instant': CASE WHEN local IS NULL THEN instant WHEN {outside} THEN NULL "
            f"{' '.join(cases)} END, 'wrong': CASE WHEN local IS NULL OR {outside} THEN NULL "
            f"{' '.join(wrongs)} END}}"
        )

    def _offset(self, piece: Piece) -> int:
        if piece.kind == "fold" and self._meaning.time.fold == "second":
            return piece.second
        return piece.offset

    def _wrong(self, piece: Piece) -> str:
        time = self._meaning.time
        if piece.kind == "gap" and time.gap == "reject":
            return quoted(
                f'it never was in {time.zone}: clocks were set forward over it; say gap = "later" to take it'
            )
        if piece.kind == "fold" and time.fold == "reject":
            return quoted(
                f'it was twice in {time.zone}: clocks were set back; say fold = "first" or "second"'
            )
        return "NULL"

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
        if self._moves:
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
