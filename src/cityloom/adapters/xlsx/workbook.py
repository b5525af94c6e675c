"""One sheet of a workbook (.xlsx, ECMA-376) as CSV, row by row in bounded memory.

A workbook is a ZIP of XML from a stranger: what it unpacks to is counted, and no document type is read.
"""

from __future__ import annotations

import csv
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

from cityloom.kernel.errors import BadInput

#: What a part may unpack to, in bytes, and how many times what it is packed in.
LARGEST = 2_000_000_000
MOST_TIMES = 200
#: Below this a part may be packed as tightly as it likes.
_SMALL = 10_000_000
#: Shared texts are kept in memory.
_MOST_TEXTS = 2_000_000
MOST_COLUMNS = 16_384
#: How programs that write workbooks pack them.
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a workbook's times are local and have no zone
_DATE_FORMATS = frozenset({*range(14, 23), *range(45, 48)})
_CELL = re.compile(r"([A-Z]{1,3})(\d{1,7})")
_PIECE = 1 << 16


def write_sheet(path: Path, sheet: str, target: Path) -> None:
    """Write a sheet (the first one where `sheet` is "") as CSV in UTF-8. Raises BadInput.

    Dates come as 2026-01-31T10:00:00, truth as true and false; a cell with an error is empty.
    """
    try:
        with zipfile.ZipFile(path) as book, target.open("w", encoding="utf-8", newline="") as out:
            parts = _Parts(book, path)
            writer = csv.writer(out)
            writer.writerows(parts.rows(parts.find(sheet)))
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, ValueError, RuntimeError) as error:
        # A RuntimeError: it is packed with a password, or in a way that nobody unpacks here.
        raise _no_workbook(path, error) from None
    except expat.ExpatError as error:
        raise _no_workbook(path, error) from None


def _no_workbook(path: Path, error: Exception) -> BadInput:
    return BadInput(
        f"This is no workbook: {str(error)[:200]}",
        hint="Save it again as .xlsx, or as CSV.",
        where=str(path),
    )


class _Parts:
    """The parts of a workbook."""

    def __init__(self, book: zipfile.ZipFile, path: Path) -> None:
        self._book = book
        self._path = path
        self._texts = list(self._shared())
        self._dates = self._date_styles()

    def find(self, sheet: str) -> str:
        """The part of a sheet."""
        links = {
            one["Id"]: one["Target"]
            for name, one, text in self._elements("xl/_rels/workbook.xml.rels")
            if name == "Relationship" and text is None
        }
        sheets = {
            one.get("name", ""): one.get("r:id", "")
            for name, one, text in self._elements("xl/workbook.xml")
            if name == "sheet" and text is None
        }
        chosen = sheet or next(iter(sheets), "")
        if chosen not in sheets:
            raise BadInput(
                f"The workbook has no sheet {sheet!r}",
                hint=f"Its sheets are: {', '.join(list(sheets)[:20])}.",
                where=str(self._path),
            )
        target = links[sheets[chosen]]
        return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"

    def rows(self, part: str) -> Iterator[list[str]]:
        """The rows of a sheet, those that are missing as empty ones, so that lines are its rows."""
        row: dict[int, str] = {}
        wide, done = 0, 0
        cell: dict[str, str] = {}
        for name, attributes, text in self._elements(part):
            if name == "c" and text is None:
                cell = attributes
            elif name in ("v", "t") and text is not None:
                place = _column(cell.get("r", ""), len(row))
                said = self._said(cell, text)
                row[place] = row.get(place, "") + said if name == "t" else said
            elif name == "row" and text is not None:
                wide = max(wide, max(row, default=-1) + 1)
                done += 1
                yield [row.get(place, "") for place in range(max(wide, 1))]
                row = {}
            elif name == "row":
                for _ in range(min(int(attributes.get("r", done + 1)) - done - 1, 1_048_576)):
                    done += 1
                    yield [""] * max(wide, 1)

    def _said(self, cell: dict[str, str], text: str) -> str:
        kind = cell.get("t", "n")
        if kind == "s":
            place = int(text)
            return self._texts[place] if 0 <= place < len(self._texts) else ""
        if kind == "b":
            return "true" if text == "1" else "false"
        if kind == "e":
            return ""
        if kind == "n" and int(cell.get("s", 0)) in self._dates:
            return _date(text)
        return text

    def _shared(self) -> Iterator[str]:
        name = "xl/sharedStrings.xml"
        if name not in self._book.namelist():
            return
        said: list[str] = []
        count = 0
        aside = False
        for element, _, text in self._elements(name):
            if element == "rPh":
                # How a word is pronounced is no part of it.
                aside = text is None
            if text is None:
                continue
            if element == "t" and not aside:
                said.append(text)
            elif element == "si":
                count += 1
                if count > _MOST_TEXTS:
                    raise ValueError("it holds too many texts; save it as CSV")
                yield "".join(said)
                said = []

    def _date_styles(self) -> set[int]:
        """Styles of cells that show a number as a date."""
        if "xl/styles.xml" not in self._book.namelist():
            return set()
        own: set[int] = set()
        dates: set[int] = set()
        number, inside = 0, False
        for name, attributes, text in self._elements("xl/styles.xml"):
            if name == "cellXfs":
                inside = text is None
            elif name == "numFmt" and text is None:
                code = re.sub(r'"[^"]*"|\[[^\]]*\]|\\.', "", attributes.get("formatCode", "")).lower()
                if re.search("[ymdhs]", code):
                    own.add(int(attributes["numFmtId"]))
            elif name == "xf" and inside and text is None:
                style = int(attributes.get("numFmtId", 0))
                if style in own or style in _DATE_FORMATS:
                    dates.add(number)
                number += 1
        return dates

    def _elements(self, name: str) -> Iterator[tuple[str, dict[str, str], str | None]]:
        """Each element at its beginning (text None) and at its end (its own text)."""
        found = self._book.getinfo(name)
        if found.compress_type not in _PACKED:
            raise ValueError(f"{name} is packed in an unusual way")
        if found.file_size > min(LARGEST, max(_SMALL, found.compress_size * MOST_TIMES)):
            raise ValueError(f"{name} unpacks to {found.file_size:,} bytes")
        with self._book.open(found) as file:
            yield from _parsed(file, found.file_size)


def _parsed(file: IO[bytes], largest: int) -> Iterator[tuple[str, dict[str, str], str | None]]:
    events: list[tuple[str, dict[str, str], str | None]] = []
    texts: list[str] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        texts.clear()
        events.append((name.rpartition(":")[2], attributes, None))

    def end(name: str) -> None:
        events.append((name.rpartition(":")[2], {}, "".join(texts)))
        texts.clear()

    def refuse(*_: Any) -> None:
        raise ValueError("it declares a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = texts.append
    parser.StartDoctypeDeclHandler = refuse
    read = 0
    while piece := file.read(_PIECE):
        read += len(piece)
        if read > largest:
            raise ValueError("it unpacks to more than it says")
        parser.Parse(piece, False)
        yield from events
        events.clear()
    parser.Parse(b"", True)
    yield from events


def _column(reference: str, after: int) -> int:
    found = _CELL.fullmatch(reference)
    if found is None:
        return after
    number = 0
    for letter in found[1]:
        number = number * 26 + ord(letter) - 64
    if number > MOST_COLUMNS:
        raise ValueError(f"there is no column {found[1]}")
    return number - 1


def _date(text: str) -> str:
    try:
        days = float(text)
        return (_EPOCH + timedelta(milliseconds=round(days * 86_400_000))).isoformat()
    except (ValueError, OverflowError):
        return text
