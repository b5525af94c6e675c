"""A table in a file as something that stands after FROM in DuckDB: CSV (gzipped too), Parquet, a workbook.

All columns come as texts, named c0, c1, …; a row that is no row (too many cells, broken letters) is left out
and told of. The reader is a database in memory of its own, bounded, and never that of the city.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import duckdb
import msgspec

from cityloom.adapters.xlsx.workbook import write_sheet
from cityloom.kernel.errors import BadInput
from cityloom.sensing.table_meaning import TableForm

#: Columns of a table, and bytes of its header.
MOST_COLUMNS = 2_000
LONGEST_HEADER = 1_000_000
_MEMORY = "512MB"
_CHUNK = 1 << 20
_UTF_8 = frozenset({"utf-8", "utf_8", "utf8", "ascii", "us-ascii", "utf-8-sig", "utf_8_sig"})


#: What stands between the cells of tables, as a rule.
SEPARATORS = (";", "\t", "|", ",")


class Source(NamedTuple):
    """An open table."""

    #: What stands after FROM.
    sql: str
    #: Names of the columns c0, c1, ….
    header: list[str]
    #: Lines of the file before the first row; None where it has no lines.
    lines_before: int | None
    #: The file as it is read: its bytes in UTF-8.
    path: Path
    form: TableForm


def format_of(path: Path, said: str = "") -> str:
    """csv, parquet or xlsx. Raises BadInput."""
    suffix = path.suffixes[-2:] if path.suffix == ".gz" else [path.suffix]
    known = {
        ".csv": "csv",
        ".tsv": "csv",
        ".txt": "csv",
        ".gz": "csv",
        ".parquet": "parquet",
        ".xlsx": "xlsx",
    }
    found = said or known.get(suffix[0].lower() if suffix else "", "csv" if path.suffix == ".gz" else "")
    if not found:
        raise BadInput(
            f"It is not known how {path.name} is to be read",
            hint='Say it in the mapping: [table] format = "csv", "parquet" or "xlsx".',
            where=str(path),
        )
    return found


def connect(work: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that spills into a folder."""
    connection = duckdb.connect(
        config={"memory_limit": _MEMORY, "threads": 2, "temp_directory": str(work / "spill")}
    )
    for setting in (
        "autoinstall_known_extensions",
        "autoload_known_extensions",
        "python_enable_replacements",
    ):
        connection.execute(f"SET {setting} = false")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def open_table(path: Path, form: TableForm, work: Path, connection: duckdb.DuckDBPyConnection) -> Source:
    """The table in a file. Raises BadInput naming the file, and the line where there is one."""
    if not path.is_file():
        raise BadInput("There is no such table", hint="Give the path of a file.", where=str(path))
    kind = format_of(path, form.format)
    if kind == "parquet":
        return _parquet(path, form, connection)
    if kind == "xlsx":
        plain = work / "sheet.csv"
        write_sheet(path, form.sheet, plain)
        # Numbers of a workbook are numbers, whatever they look like on the screen.
        form = msgspec.structs.replace(
            form, separator=",", quote='"', encoding="utf-8", decimal=".", thousands=""
        )
        return _csv(plain, form, shown=path)
    return _csv(_in_utf_8(path, form.encoding, work), form, shown=path)


def quoted(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def malformed(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str, str]]:
    """Rows that were no rows: line, column, what is wrong with it. One for each line."""
    found = connection.execute(
        """
        SELECT line, coalesce(any_value(column_name), ''), any_value(error_type::VARCHAR)
        FROM reject_errors GROUP BY line ORDER BY line
        """
    ).fetchall()
    return [(int(line), column, _WRONG.get(kind, kind.lower())) for line, column, kind in found]


_WRONG = {
    "MISSING COLUMNS": "the row has fewer cells than the header",
    "TOO MANY COLUMNS": "the row has more cells than the header",
    "INVALID ENCODING": "the letters are not in the encoding that the mapping says",
    "UNQUOTED VALUE": "a quotation mark is not closed",
    "LINE SIZE OVER MAXIMUM": "the line is too long",
}


def read_head(path: Path, form: TableForm, count: int) -> Iterator[list[str]]:
    """The first records of a CSV file in UTF-8, its header first. Raises BadInput."""
    try:
        with open_bytes(path) as file:
            taken = file.read(LONGEST_HEADER)
    except (OSError, EOFError) as error:
        raise _unreadable(path, error) from None
    text = taken.decode("utf-8", errors="replace").removeprefix("\ufeff")
    lines = io.StringIO(text, newline="")
    for _ in range(form.skip):
        lines.readline()
    reader = csv.reader(lines, delimiter=form.separator, quotechar=form.quote)
    try:
        for number, cells in enumerate(reader):
            if number >= count:
                return
            yield cells
    except csv.Error as error:
        raise BadInput(
            f"This is no CSV: {error}", hint="Check separator and quote.", where=str(path)
        ) from None


def open_bytes(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked where it is gzipped."""
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _csv(path: Path, form: TableForm, *, shown: Path) -> Source:
    header = next(read_head(path, form, 1), [])
    names = _names(header, shown)
    columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(names)))
    compression = "gzip" if path.suffix == ".gz" else "none"
    sql = (
        f"read_csv({quoted(str(path))}, auto_detect = false, columns = {{{columns}}}, header = true, "
        f"skip = {form.skip}, delim = {quoted(form.separator)}, quote = {quoted(form.quote)}, "
        f"escape = {quoted(form.quote)}, compression = '{compression}', store_rejects = true, "
        "rejects_limit = 1000000)"
    )
    return Source(sql, names, form.skip + 1, path, form)


def _parquet(path: Path, form: TableForm, connection: duckdb.DuckDBPyConnection) -> Source:
    try:
        described = connection.execute(f"DESCRIBE FROM read_parquet({quoted(str(path))})").fetchall()
    except duckdb.Error as error:
        raise _unreadable(path, error) from None
    names = _names([str(row[0]) for row in described], path)
    kinds = [str(row[1]) for row in described]
    taken = ", ".join(
        f"{_as_text(name, kind)} AS c{place}"
        for place, (name, kind) in enumerate(zip(names, kinds, strict=True))
    )
    sql = f"(SELECT {taken} FROM read_parquet({quoted(str(path))}))"  # noqa: S608 - names are quoted
    plain = msgspec.structs.replace(form, decimal=".", thousands="")
    return Source(sql, names, None, path, plain)


def _as_text(name: str, kind: str) -> str:
    column = '"' + name.replace('"', '""') + '"'
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime(timezone('UTC', {column}), '%Y-%m-%dT%H:%M:%S.%gZ')"
    return column if kind == "VARCHAR" else f"{column}::VARCHAR"


def _names(header: Sequence[str], path: Path) -> list[str]:
    names = [name.strip() for name in header]
    if not any(names):
        raise BadInput("The table has no header", hint="Its first row names the columns.", where=str(path))
    if len(names) > MOST_COLUMNS:
        raise BadInput(
            f"The table has {len(names):,} columns; {MOST_COLUMNS:,} are read at most",
            hint="Check the separator, or take out what is not needed.",
            where=str(path),
        )
    twice = {name for name in names if name and names.count(name) > 1}
    if twice:
        raise BadInput(
            f"Two columns are called {sorted(twice)[0]!r}", hint="Give each its own name.", where=str(path)
        )
    return names


def _in_utf_8(path: Path, encoding: str, work: Path) -> Path:
    """The file itself, or a copy in UTF-8. Raises BadInput naming the line."""
    try:
        known = codecs.lookup(encoding).name
    except LookupError:
        raise BadInput(
            f"{encoding!r} is not an encoding",
            hint='Write one such as "utf-8", "cp1252", "latin-1" or "utf-16".',
            where="table.encoding",
        ) from None
    if known in _UTF_8:
        return path
    decoder = codecs.getincrementaldecoder(known)(errors="strict")
    copy = work / "table.csv"
    line = 1
    try:
        with open_bytes(path) as source, copy.open("w", encoding="utf-8", newline="") as target:
            while piece := source.read(_CHUNK):
                text = decoder.decode(piece)
                line += text.count("\n")
                target.write(text)
            target.write(decoder.decode(b"", final=True))
    except UnicodeDecodeError as error:
        raise BadInput(
            f"The table is not in {encoding}: {error.reason}",
            hint="Say in which encoding it is: [table] encoding.",
            where=f"{path}, after line {line}",
        ) from None
    except (OSError, EOFError) as error:
        raise _unreadable(path, error) from None
    return copy


def _unreadable(path: Path, error: Exception) -> BadInput:
    return BadInput(
        f"The table cannot be read: {str(error).splitlines()[0][:300]}",
        hint="Check the file, and whether it came whole.",
        where=str(path),
    )
