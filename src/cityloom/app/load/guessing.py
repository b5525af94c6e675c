"""A first mapping from the head of a table: a draft with comments, to be read and corrected by a person."""

from __future__ import annotations

import csv
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from cityloom.adapters.duckdb.table_source import (
    SEPARATORS,
    Source,
    connect,
    format_of,
    open_bytes,
    open_table,
    read_head,
)
from cityloom.kernel.errors import BadInput
from cityloom.kernel.separators import separator_of
from cityloom.kernel.units import code_of, symbol
from cityloom.sensing.table_meaning import ISO, UNIX, UNIX_MS, TableForm

_HEAD_BYTES = 200_000
_ROWS = 500
_PATTERNS = (
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d-%m-%Y %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y%m%d%H%M",
)
#: Of a day and a time of day in two columns.
_DAYS = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%Y/%m/%d")
_HOURS = ("%H:%M:%S", "%H:%M")
_TIME_NAMES = re.compile(r"(?i)time|date|when|tid|dato|zeit|datum|heure|fecha|observed")
_ID_NAMES = re.compile(r"(?i)\bid\b|_id$|^id_|station|sensor|device|code|name|report|garage|meter|unit")
_LONGITUDE, _LATITUDE = re.compile(r"(?i)^(lon|lng|long|longitude|x)$"), re.compile(r"(?i)^(lat|latitude|y)$")
_UNIT = re.compile(r"[\[(]([^\])]{1,12})[\])]")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")


class _Head(NamedTuple):
    header: list[str]
    rows: list[list[str]]
    form: TableForm

    def column(self, place: int) -> list[str]:
        """What the cells of a column say, without the empty ones."""
        return [row[place].strip() for row in self.rows if len(row) > place and row[place].strip()]


def guess(path: Path) -> str:
    """A mapping as TOML. Raises BadInput for a file that is no table."""
    head = _head(path)
    time = next(_times(head), None)
    places = _places(head)
    taken = {*(one for one in places if one is not None), *(() if time is None else time[0])}
    identifier = _identifier(head, taken)
    if identifier is not None:
        taken.add(identifier)
    return "\n".join([*_top(path, head, identifier), *_time(head, time), *_rest(head, taken, places)]) + "\n"


def _head(path: Path) -> _Head:
    kind = format_of(path)
    if kind != "csv":
        return _typed(path)
    with open_bytes(path) as file:
        taken = file.read(_HEAD_BYTES)
    encoding = _encoding(taken)
    text = taken.decode(encoding, errors="replace")
    separator = separator_of(text, SEPARATORS)
    form = TableForm(encoding=encoding, separator=separator)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=separator)
    try:
        rows = [row for _, row in zip(range(_ROWS + 1), reader, strict=False)]
    except csv.Error as error:
        raise BadInput(f"This is no CSV: {error}", hint="Check the file.", where=str(path)) from None
    if not rows or not any(rows[0]):
        raise BadInput("The table is empty", hint="Give one with a header.", where=str(path))
    head = _Head([name.strip().removeprefix("\ufeff") for name in rows[0]], rows[1:], form)
    return head._replace(form=msgspec.structs.replace(form, decimal=_decimal(head)))


def _typed(path: Path) -> _Head:
    """Of Parquet and workbooks."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        connection = connect(work)
        source = open_table(path, TableForm(), work, connection)
        if source.lines_before is not None:
            rows = list(read_head(source.path, source.form, _ROWS + 1))[1:]
        else:
            rows = _of_parquet(source, connection)
        return _Head(source.header, rows, TableForm())


def _of_parquet(source: Source, connection: object) -> list[list[str]]:
    found = connection.execute(f"SELECT * FROM {source.sql} LIMIT {_ROWS}").fetchall()  # type: ignore[attr-defined]  # noqa: S608 - a file's name, quoted
    return [["" if cell is None else str(cell) for cell in row] for row in found]


def _encoding(taken: bytes) -> str:
    if taken.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        # The last letter may be cut in two.
        taken[:-4].decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _decimal(head: _Head) -> str:
    cells = [cell for place in range(len(head.header)) for cell in head.column(place)]
    commas = sum(1 for cell in cells if re.fullmatch(r"[+-]?\d+,\d+", cell))
    points = sum(1 for cell in cells if re.fullmatch(r"[+-]?\d+\.\d+", cell))
    return "," if commas > points and head.form.separator != "," else "."


def _times(head: _Head) -> Iterator[tuple[tuple[int, ...], str]]:
    """Places and format of columns that may be the time: one with both day and hour before two."""
    for place, pattern in _single_times(head):
        if pattern != ISO or any(len(cell) > 10 for cell in head.column(place)):
            yield (place,), pattern
    yield from _split_times(head)
    for place, pattern in (*_single_times(head), *_fitting(head, _DAYS)):
        yield (place,), pattern


def _split_times(head: _Head) -> Iterator[tuple[tuple[int, ...], str]]:
    """A column of days and one of times of day."""
    for day, first in _fitting(head, _DAYS):
        for hour, second in _fitting(head, _HOURS):
            if hour != day:
                yield (day, hour), f"{first} {second}"


def _fitting(head: _Head, patterns: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Places of columns whose cells are all of one of these patterns."""
    for place in range(len(head.header)):
        cells = head.column(place)
        for pattern in patterns:
            if cells and all(_fits(cell, pattern) for cell in cells):
                yield place, pattern


def _single_times(head: _Head) -> Iterator[tuple[int, str]]:
    """Place and format of columns that may be the time, those that are named so first."""
    order = sorted(range(len(head.header)), key=lambda one: not _TIME_NAMES.search(head.header[one]))
    for place in order:
        cells = head.column(place)
        if not cells:
            continue
        if all(_is_iso(cell) for cell in cells):
            yield place, ISO
        for pattern in _PATTERNS:
            if all(_fits(cell, pattern) for cell in cells):
                yield place, pattern
        if _TIME_NAMES.search(head.header[place]) and all(re.fullmatch(r"\d{9,10}", cell) for cell in cells):
            yield place, UNIX
        if _TIME_NAMES.search(head.header[place]) and all(re.fullmatch(r"\d{12,13}", cell) for cell in cells):
            yield place, UNIX_MS


def _is_iso(cell: str) -> bool:
    try:
        datetime.fromisoformat(cell)
    except ValueError:
        return False
    return len(cell) >= 10 and "-" in cell


def _fits(cell: str, pattern: str) -> bool:
    try:
        datetime.strptime(cell, pattern)  # noqa: DTZ007 - whether it can be read, not when it is
    except ValueError:
        return False
    return True


def _places(head: _Head) -> tuple[int | None, int | None]:
    longitude, latitude = (
        next((place for place, name in enumerate(head.header) if pattern.search(name)), None)
        for pattern in (_LONGITUDE, _LATITUDE)
    )
    return (None, None) if longitude is None or latitude is None else (longitude, latitude)


def _identifier(head: _Head, taken: set[int]) -> int | None:
    """The column that tells Entities apart: named so, or a text that comes again."""
    free = [place for place in range(len(head.header)) if place not in taken]
    named = [place for place in free if _ID_NAMES.search(head.header[place]) and head.column(place)]
    again = [
        place
        for place in free
        if (cells := head.column(place)) and not _is_number(cells[0]) and len(set(cells)) < len(cells)
    ]
    return next(
        iter(
            [place for place in named if len(set(head.column(place))) < len(head.column(place))]
            or again
            or named
        ),
        None,
    )


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None


def _top(path: Path, head: _Head, identifier: int | None) -> Iterator[str]:
    yield f"# What the columns of {path.name} mean: guessed from its first rows. Read it and correct it."
    yield ""
    yield "# The type of the Entities; one of the city's data models checks values and converts units."
    yield 'type = "Thing"'
    yield "# One Entity for each different text of the column in braces."
    if identifier is None:
        yield "# No column was found that tells Entities apart: all rows are about one."
        yield 'id = "urn:ngsi-ld:Thing:1"'
    else:
        yield f"id = {_text(f'urn:ngsi-ld:Thing:{{{head.header[identifier]}}}')}"
    yield "# measured, replayed, simulated, estimated or entered"
    yield 'origin = "measured"'
    yield ""
    yield "[table]"
    if format_of(path) == "csv":
        yield f"encoding = {_text(head.form.encoding)}"
        yield f"separator = {_text(head.form.separator)}"
        yield f"decimal = {_text(head.form.decimal)}"
    yield "# Cells that say nothing. Missing is not zero: they become no reading."
    yield f"missing = [{', '.join(_text(one) for one in _missing(head))}]"
    yield ""


def _missing(head: _Head) -> list[str]:
    words = ("NA", "N/A", "NaN", "nan", "NULL", "null", "-", "-9999", "-999")
    there = {cell for place in range(len(head.header)) for cell in head.column(place)}
    return ["", *(word for word in words if word in there)]


def _time(head: _Head, time: tuple[tuple[int, ...], str] | None) -> Iterator[str]:
    yield "[time]"
    if time is None:
        yield '# No column was found that is a time. Name it (several: columns = ["day", "hour"]), its format'
        yield '# ("iso", "unix", "unix-ms", or a pattern such as "%d.%m.%Y %H:%M") and its time zone.'
        yield 'column = ""'
        yield 'format = "iso"'
        yield 'zone = "UTC"'
        yield ""
        return
    places, pattern = time
    names = [_text(head.header[place]) for place in places]
    yield f"column = {names[0]}" if len(names) == 1 else f"columns = [{', '.join(names)}]"
    yield f"format = {_text(pattern)}"
    cells = head.column(places[0])
    if pattern not in (UNIX, UNIX_MS) and not (pattern == ISO and _has_zone(cells[0])):
        yield "# The table does not say in which time zone these are. Local times that never were or came"
        yield "# twice, when clocks were set, are told as wrong unless gap and fold say else."
        yield 'zone = "UTC"'
    yield ""


def _has_zone(cell: str) -> bool:
    return datetime.fromisoformat(cell).tzinfo is not None


def _rest(head: _Head, taken: set[int], places: Sequence[int | None]) -> Iterator[str]:
    if places[0] is not None and places[1] is not None:
        yield "[location]"
        yield f"longitude = {_text(head.header[places[0]])}"
        yield f"latitude = {_text(head.header[places[1]])}"
        yield "# moves = true makes every row a reading of the place."
        yield ""
    names: set[str] = {"location"}
    for place, column in enumerate(head.header):
        if place in taken or not column:
            continue
        yield from _column(head, place, _attribute(column, names))


def _column(head: _Head, place: int, name: str) -> Iterator[str]:
    cells = head.column(place)
    if not cells:
        yield f"# {head.header[place]!r} is empty in the first rows."
        yield ""
        return
    plain = [cell.replace(head.form.decimal, ".", 1) for cell in cells if cell not in _missing(head)]
    if plain and all(_is_number(cell) for cell in plain):
        yield f"[readings.{name}]"
        yield f"column = {_text(head.header[place])}"
        whole = all(re.fullmatch(r"[+-]?\d+", cell) for cell in plain)
        yield f'kind = "{"integer" if whole else "number"}"'
        yield from _unit(head.header[place])
    else:
        yield '# A text that stands, without a time; [readings.…] with kind = "text" makes it a reading.'
        yield f"[attributes.{name}]"
        yield f"column = {_text(head.header[place])}"
    yield ""


def _unit(column: str) -> Iterator[str]:
    said = _UNIT.search(column)
    # In brackets, or the last word where it can be nothing else: "temp °C", "hum %".
    code = code_of(said[1]) if said else _sign(column.split()[-1:])
    if code:
        yield f'unit = "{code}"  # {symbol(code)}'
    else:
        yield '# unit = "CEL"  # the UN/CEFACT code, where it has a unit'


def _sign(words: list[str]) -> str | None:
    """The code of a unit that is written with more than letters, which could be a word."""
    return next((code_of(word) for word in words if not word.isalnum()), None)


def _attribute(column: str, names: set[str]) -> str:
    words: list[str] = re.findall(r"[A-Za-z0-9]+", _UNIT.sub("", column)) or ["value"]
    name = words[0][:1].lower() + words[0][1:] + "".join(word[:1].upper() + word[1:] for word in words[1:])
    if not name[0].isalpha() or name in ("id", "type", "scope"):
        name = f"value{name[:1].upper()}{name[1:]}"
    chosen, number = name[:60], 1
    while chosen in names:
        number += 1
        chosen = f"{name[:60]}{number}"
    names.add(chosen)
    return chosen


def _text(text: str) -> str:
    """A text as TOML has it."""
    written: str = json.dumps(text, ensure_ascii=False)
    return written.replace("\x7f", "\\u007f")
