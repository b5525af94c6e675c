"""Records as a table, and a table as records: one column a field, a text's language behind a point. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from cityloom.indicators.exchange.spreadsheet import FORMULA, as_workbook, number_in
from cityloom.indicators.exchange.workbook import rows_of
from cityloom.kernel.errors import BadInput, CityError
from cityloom.kernel.worded import Worded
from cityloom.planning.records.fields import Field, Said, is_empty
from cityloom.planning.records.kinds import RecordKind
from cityloom.planning.records.model import Record

#: Columns beside the fields.
ID, STATE = "id", "state"
MOST_ROWS = 2_000


class TableRow(msgspec.Struct, frozen=True):
    """A row of a table that is to become a record, or what is wrong with it."""

    #: Counted from one, without the header.
    number: int
    #: The record it says to be; "" for a new one.
    id: str
    values: Mapping[str, Any]
    error: CityError | None = None


def header(kind: RecordKind, languages: Sequence[str]) -> list[str]:
    """The names of the columns."""
    return [ID, STATE, *(column for field in kind.fields for column in _columns(field, languages))]


def cells(record: Record, languages: Sequence[str]) -> list[str]:
    """A record as a row."""
    found = [record.id, record.state.value]
    for field in record.kind.fields:
        found += _cells(field, record.values.get(field.name), languages)
    return found


def workbook_of(rows: Iterable[Sequence[str]], sheet: str) -> bytes:
    """Rows as a workbook with one sheet. What is a number stands as one, if it loses nothing by that."""
    return as_workbook({sheet: [[number_in(cell) for cell in row] for row in rows]})


def lines_of(raw: bytes, name: str) -> list[Sequence[str]]:
    """The lines of a file, a workbook or CSV in UTF-8, told by what it holds. Raises BadInput."""
    # One more than may be: an empty line takes a byte of the file and much more of the memory.
    most = MOST_ROWS + 2
    if raw.startswith(b"PK\x03\x04"):
        return [line for _, line in islice(rows_of(raw, name), most)]
    try:
        text = raw.decode("utf-8-sig")
        return list(islice(csv.reader(io.StringIO(text, newline=""), _dialect(text)), most))
    except (UnicodeDecodeError, csv.Error) as error:
        hint = Worded("Save it again as CSV in UTF-8, or as a workbook (.xlsx).")
        raise BadInput(
            Worded("This is no table: %(why)s", why=str(error)[:200]), hint=hint, where="file"
        ) from None


def read_rows(kind: RecordKind, lines: Sequence[Sequence[str]]) -> list[TableRow]:
    """What a table says, row by row. Raises BadInput when it is no table of this kind."""
    if not lines:
        raise BadInput(Worded("The table is empty"), hint=Worded("Begin with a row of names."), where="file")
    names = [name.strip() for name in lines[0]]
    _check_names(kind, names)
    if len(lines) - 1 > MOST_ROWS:
        hint = Worded("Bring it in parts of %(most)s rows.", most=MOST_ROWS)
        raise BadInput(Worded("The table has too many rows"), hint=hint, where="file")
    numbered = enumerate(lines[1:], 1)
    return [_read_row(kind, names, number, line) for number, line in numbered if any(line)]


def _columns(field: Field, languages: Sequence[str]) -> list[str]:
    return [f"{field.name}.{code}" for code in languages] if isinstance(field, Said) else [field.name]


def _cells(field: Field, value: Any, languages: Sequence[str]) -> Iterator[str]:
    if isinstance(field, Said):
        yield from ((value or {}).get(code, "") for code in languages)
    else:
        yield "" if is_empty(value) else field.text(value)


def _dialect(text: str) -> type[csv.Dialect]:
    first = text.partition("\n")[0]
    return _Semicolons if first.count(";") > first.count(",") else csv.excel


class _Semicolons(csv.excel):
    delimiter = ";"


def _check_names(kind: RecordKind, names: Sequence[str]) -> None:
    known = {field.name for field in kind.fields} | {ID, STATE}
    for name in names:
        if name.partition(".")[0] not in known:
            raise BadInput(
                Worded("There is no field %(name)s", name=repr(name[:40])),
                hint=Worded("Fields are: %(names)s.", names=", ".join(sorted(known))),
                where=f"file.{name[:40]}",
            )


def _read_row(kind: RecordKind, names: Sequence[str], number: int, line: Sequence[str]) -> TableRow:
    said = {name: _untamed(cell.strip()) for name, cell in zip(names, line, strict=False) if cell.strip()}
    try:
        values = {field.name: _read_field(field, said) for field in kind.fields}
    except BadInput as error:
        return TableRow(number, said.get(ID, ""), {}, error)
    return TableRow(
        number, said.get(ID, ""), {name: value for name, value in values.items() if not is_empty(value)}
    )


def _read_field(field: Field, said: Mapping[str, str]) -> Any:
    if isinstance(field, Said):
        before = f"{field.name}."
        by_language = {
            name.removeprefix(before): text for name, text in said.items() if name.startswith(before)
        }
        plain = said.get(field.name)
        return (
            field.check(by_language, field.name) if by_language else plain and field.parsed(plain, field.name)
        )
    text = said.get(field.name)
    return field.parsed(text, field.name) if text else None


def _untamed(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell
