"""Reads a sheet of a workbook (.xlsx, ECMA-376) row by row, its cells with their types, in bounded memory.

A workbook is a zip of XML from a stranger. What its parts unpack to is bounded, and XML with a document type,
by which entities could be blown up, is refused: no program that writes workbooks needs one.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import IO, Any
from xml.parsers import expat

import msgspec

from cityloom.indicators.exchange.reported import MOST_BYTES
from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded

#: Cells of a sheet that somebody sends: each is an object of its own, and takes the time of many of a CSV.
MOST_CELLS = 500_000
_MOST_COLUMNS = 200
#: Rows that a sheet can have.
_MOST_ROWS = 1_048_576
#: Texts that cells share are kept in memory.
_MOST_TEXTS = 2_000_000
#: How many times what it is packed in a part may unpack to; below so many bytes as tightly as it likes.
_MOST_TIMES = 200
_SMALL = 10_000_000
#: How programs that write workbooks pack them.
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: Day 0, and that of workbooks that count from 1904.
_EPOCH, _EPOCH_OF_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001 - they have no zone
#: Formats of numbers that every workbook has (ECMA-376-1, 18.8.30): a day alone, and with or as a time.
_DAYS, _TIMES = frozenset(range(14, 18)), frozenset({*range(18, 23), *range(45, 48)})
_LITERAL = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_PIECE = 1 << 16


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much is read of a workbook. `cells` are those that say something."""

    #: Bytes that a part may unpack to.
    unpacked: int
    columns: int
    cells: int


class Fault(msgspec.Struct, frozen=True):
    """A cell whose formula went wrong, and what it says: #REF!, #DIV/0!."""

    text: str


#: A number comes as the digits that stand in the file; "" is a cell that says nothing.
Cell = str | bool | date | datetime | Fault
_Element = tuple[str, dict[str, str], str | None]


def cells_of(file: IO[bytes], name: str, bounds: Bounds, sheet: str = "") -> Iterator[tuple[int, list[Cell]]]:
    """The rows of a sheet (the first one where `sheet` is "") with their numbers, from 1 on, ascending.

    A day comes as a date, a day with a time as a datetime without a zone. Raises BadInput.
    """
    try:
        with zipfile.ZipFile(file) as book:
            parts = _Parts(book, name, bounds)
            yield from parts.rows(parts.find(sheet))
    except (
        zipfile.BadZipFile,
        zlib.error,
        expat.ExpatError,
        EOFError,
        KeyError,
        ValueError,
        RuntimeError,  # packed with a password, or in a way that nobody unpacks here
    ) as error:
        why = error.args[0] if error.args and isinstance(error.args[0], Worded) else str(error)[:200]
        raise BadInput(
            Worded("This is no workbook: %(why)s", why=why),
            hint=Worded("Save it again as .xlsx, or as CSV."),
            where=name,
        ) from None


def rows_of(raw: bytes, name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of the first sheet of what somebody sent that say something, as texts, each with its number.

    Every row is as wide as the first. Days are 2026-01-31, with a time 2026-01-31T10:00:00, truth is yes or
    no. Raises BadInput.
    """
    bounds = Bounds(unpacked=MOST_BYTES, columns=_MOST_COLUMNS, cells=MOST_CELLS)
    width = 0
    for number, cells in cells_of(io.BytesIO(raw), name, bounds):
        if cells:
            width = width or len(cells)
            yield number, [_text(cell, name) for cell in cells] + [""] * (width - len(cells))


def _text(cell: Cell, name: str) -> str:
    if isinstance(cell, Fault):
        raise BadInput(
            Worded("A cell says %(text)s", text=cell.text[:20]),
            hint=Worded("Correct its formula."),
            where=name,
        )
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return cell if isinstance(cell, str) else cell.isoformat()


class _Parts:
    """The parts of a workbook."""

    def __init__(self, book: zipfile.ZipFile, name: str, bounds: Bounds) -> None:
        self._book = book
        self._name = name
        self._bounds = bounds
        self._texts = list(self._shared())
        self._days, self._times = self._date_styles()
        self._epoch = _EPOCH

    def find(self, sheet: str) -> str:
        """The part of a sheet. Raises BadInput."""
        links: dict[str, str] = {}
        sheets: dict[str, str] = {}
        for name, said, text in self._elements("xl/_rels/workbook.xml.rels", optional=True):
            if name == "Relationship" and text is None:
                links[said.get("Id", "")] = said.get("Target", "")
        for name, said, text in self._elements("xl/workbook.xml", optional=True):
            if name == "sheet" and text is None:
                link = next((one for key, one in said.items() if key.endswith(":id")), "")
                sheets[said.get("name", "")] = link
            elif name == "workbookPr" and said.get("date1904") in ("1", "true"):
                self._epoch = _EPOCH_OF_1904
        if sheet and sheet not in sheets:
            raise BadInput(
                Worded("The workbook has no sheet %(name)s", name=repr(sheet)),
                hint=Worded("Its sheets are: %(names)s.", names=", ".join(list(sheets)[:20])),
                where=self._name,
            )
        # Its number tells when a sheet was made, not where it stands.
        chosen = sheet or next(iter(sheets), "")
        target = links.get(sheets.get(chosen, ""), "worksheets/sheet1.xml")
        return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"

    def rows(self, part: str) -> Iterator[tuple[int, list[Cell]]]:
        """The rows of a sheet."""
        row: dict[int, Cell] = {}
        cell: dict[str, str] = {}
        number, count = 0, 0
        for name, said, text in self._elements(part):
            if name == "row" and text is None:
                row = {}
                number = max(number + 1, int(said.get("r", 0)))
                if number > _MOST_ROWS:
                    raise ValueError(Worded("it has more rows than a sheet can have"))
            elif name == "row":
                yield number, [row.get(place, "") for place in range(max(row, default=-1) + 1)]
            elif name == "c" and text is None:
                cell = said
            elif name in ("v", "t") and text is not None:
                place = self._column(cell.get("r", ""), len(row))
                count += place not in row
                self._check_count(count)
                before = row.get(place) if name == "t" else None
                row[place] = f"{before or ''}{text}" if name == "t" else self._said(cell, text)

    def _check_count(self, count: int) -> None:
        if count > self._bounds.cells:
            raise BadInput(
                Worded("The sheet has more than %(count)s cells", count=self._bounds.cells),
                hint=Worded("Save it as CSV."),
                where=self._name,
            )

    def _column(self, reference: str, after: int) -> int:
        found = _REFERENCE.fullmatch(reference)
        if found is None and reference:
            raise ValueError(Worded("there is no cell %(name)s", name=reference[:20]))
        number = 0
        for letter in found[1] if found else "":
            number = number * 26 + ord(letter) - 64
        if number > self._bounds.columns:
            raise ValueError(Worded("it has more than %(count)s columns", count=self._bounds.columns))
        return number - 1 if found else after

    def _said(self, cell: dict[str, str], text: str) -> Cell:
        kind = cell.get("t", "n")
        if kind == "s":
            place = int(text)
            if not 0 <= place < len(self._texts):
                raise ValueError(Worded("a text of it is missing"))
            return self._texts[place]
        if kind == "b":
            return text == "1"
        if kind == "e":
            return Fault(text)
        if kind == "n":
            style = int(cell.get("s", 0))
            if style in self._days or style in self._times:
                return self._instant(text, is_day=style in self._days)
        return text

    def _instant(self, text: str, *, is_day: bool) -> Cell:
        try:
            days = float(text)
            at = self._epoch + timedelta(milliseconds=round(days * 86_400_000))
        except (ValueError, OverflowError):
            return text
        return at.date() if is_day and days.is_integer() else at

    def _shared(self) -> Iterator[str]:
        """The texts that cells share."""
        said: list[str] = []
        count = 0
        aside = False
        for element, _, text in self._elements("xl/sharedStrings.xml", optional=True):
            if element == "rPh":
                # How a word is pronounced is no part of it.
                aside = text is None
            elif element == "t" and text is not None and not aside:
                said.append(text)
            elif element == "si" and text is not None:
                count += 1
                if count > _MOST_TEXTS:
                    raise ValueError(Worded("it holds too many texts"))
                yield "".join(said)
                said = []

    def _date_styles(self) -> tuple[set[int], set[int]]:
        """Styles of cells that show a number as a day, and as or with a time."""
        days, times = set(_DAYS), set(_TIMES)
        styles: list[int] = []
        inside = False
        for name, said, text in self._elements("xl/styles.xml", optional=True):
            if name == "cellXfs":
                inside = text is None
            elif name == "numFmt" and text is None:
                code = _LITERAL.sub("", said.get("formatCode", "")).lower()
                if re.search("[hs]", code):
                    times.add(int(said["numFmtId"]))
                elif re.search("[ymd]", code):
                    days.add(int(said["numFmtId"]))
            elif name == "xf" and inside and text is None:
                styles.append(int(said.get("numFmtId", 0)))
        numbered = list(enumerate(styles))
        return {at for at, one in numbered if one in days}, {at for at, one in numbered if one in times}

    def _elements(self, part: str, *, optional: bool = False) -> Iterator[_Element]:
        """Each element at its beginning (text None) and at its end (its own text)."""
        if optional and part not in self._book.namelist():
            return
        found = self._book.getinfo(part)
        if found.compress_type not in _PACKED:
            raise ValueError(Worded("it is packed in an unusual way"))
        largest = min(self._bounds.unpacked, max(_SMALL, found.compress_size * _MOST_TIMES))
        if found.file_size > largest:
            raise ValueError(Worded("a part of it unpacks to %(count)s bytes", count=found.file_size))
        with self._book.open(found) as file:
            yield from _parsed(file, found.file_size)


def _parsed(file: IO[bytes], largest: int) -> Iterator[_Element]:
    events: list[_Element] = []
    texts: list[str] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        texts.clear()
        events.append((name.rpartition(":")[2], attributes, None))

    def end(name: str) -> None:
        events.append((name.rpartition(":")[2], {}, "".join(texts)))
        texts.clear()

    def refuse(*_: Any) -> None:
        raise ValueError(Worded("it declares a document type"))

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = texts.append
    parser.StartDoctypeDeclHandler = refuse
    read = 0
    while piece := file.read(_PIECE):
        read += len(piece)
        if read > largest:
            raise ValueError(Worded("a part of it unpacks to more than it says"))
        parser.Parse(piece, False)
        yield from events
        events.clear()
    parser.Parse(b"", True)
    yield from events
