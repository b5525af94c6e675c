"""SQL of the rows of a table, each with what its cells say: read once, and laid down in typed columns.

A staged row is: line, the columns that an id is made of (k…), whether there is a time, its instant or its
local time, and for each column of readings its value (v…), why there is none (w…) and whether the row is for
it (h…); what stands of an Entity (a…), and its place.
"""

# ruff: noqa: S608 - statements are put together of this room's words; what a mapping names is quoted

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cityloom.adapters.duckdb import table_cells
from cityloom.adapters.duckdb.table_cells import Cell
from cityloom.adapters.duckdb.table_source import SEPARATORS, Source, quoted
from cityloom.kernel.errors import BadInput
from cityloom.sensing.table_meaning import PLACEHOLDER, ReadingColumn, TableMeaning
from cityloom.sensing.table_rules import Rule


class Column(NamedTuple):
    """A column of readings as it is turned."""

    attribute: str
    said: ReadingColumn
    rule: Rule


class StagedRows:
    """The rows of one table, as the mapping reads them."""

    def __init__(self, source: Source, meaning: TableMeaning, rules: Sequence[Rule], *, where: Path) -> None:
        """Raises BadInput for a column that is not there, naming the file."""
        self._source = source
        self._meaning = meaning
        #: By name, the number of a column.
        self.places = {name: place for place, name in enumerate(source.header) if name}
        for column, place in meaning.columns().items():
            if column not in self.places:
                raise BadInput(
                    f"The table has no column {column!r}, which {place} names",
                    hint=f"Its columns are: {', '.join(source.header[:40])[:600]}.{_other_separator(source)}",
                    where=str(where),
                )
        #: Those of readings.
        readings = zip(meaning.all_readings(), rules, strict=True)
        self.columns = [Column(name, said, rule) for (name, said), rule in readings]

    def select(self) -> str:
        """All rows."""
        parsed = ", ".join(self._parsed_columns()) or "NULL AS none"
        judged = ", ".join(self._judged_columns()) or "NULL AS nothing"
        return f"""
            SELECT {", ".join(["line", *self._staged_columns()])} FROM (
              SELECT *, {judged} FROM (SELECT *, {parsed} FROM ({self._said()})))
        """

    @property
    def moves(self) -> bool:
        """Whether each row tells where its Entity is."""
        return self._meaning.location is not None and self._meaning.location.moves

    def _c(self, name: str) -> str:
        return f"c{self.places[name]}"

    def _said(self) -> str:
        """What the cells say, numbered by line."""
        used = sorted({self.places[name] for name in self._meaning.columns()})
        trimmed = ", ".join(f"trim(c{place}) AS c{place}" for place in used)
        said = ", ".join(f"{table_cells.said(f'c{place}', self._source.form)} AS c{place}" for place in used)
        rows = f"SELECT row_number() OVER () AS line, {trimmed} FROM {self._source.sql}"
        return f"SELECT line, {said} FROM ({rows})"

    def _parsed_columns(self) -> Iterator[str]:
        for place, column in enumerate(self.columns):
            text = self._c(column.said.column)
            yield f"{table_cells.parsed(text, column.said, self._source.form)} AS n{place}"

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
            yield f"{self._c(name)} AS k{self.places[name]}"
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
            value = table_cells.number(text, self._source.form)
            yield f"CASE WHEN abs({value}) <= {most} THEN {value} END AS {name}"
            yield f"{text} IS NOT NULL AND NOT coalesce(abs({value}) <= {most}, false) AS {name}_wrong"
        yield "NULL::VARCHAR AS wkt"

    def _parts(self, template: str, letter: str = "c") -> list[tuple[str, bool]]:
        parts: list[tuple[str, bool]] = []
        for number, piece in enumerate(PLACEHOLDER.split(template)):
            if piece:
                parts.append((f"{letter}{self.places[piece]}", True) if number % 2 else (piece, False))
        return parts

    @property
    def entity(self) -> Cell:
        """The id of a staged row. Columns of Parquet come as dictionaries: each text is looked at once."""
        return table_cells.identifier(self._parts(self._meaning.id, "k"))


def _other_separator(source: Source) -> str:
    """A question to whoever reads a table with the wrong separator: all is one column then."""
    if len(source.header) != 1 or source.lines_before is None:
        return ""
    found = max(SEPARATORS, key=source.header[0].count)
    if not source.header[0].count(found):
        return ""
    return f" If they should be several: say separator = {json.dumps(found)} under [table] of the mapping."
