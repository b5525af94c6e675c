"""Reads the first sheet of a workbook (.xlsx, ECMA-376) as rows of cells.

A workbook is a zip of XML. What is unpacked is bounded, and XML with a document type, by which entities could
be blown up, is refused: no program that writes workbooks needs one.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from xml.parsers import expat

from cityloom.indicators.exchange.reported import MOST_BYTES
from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded

_MOST_COLUMNS = 200
#: How programs that write workbooks pack them.
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: Cells of a sheet: each is an object of its own, and takes the time of many of a CSV.
MOST_CELLS = 500_000
#: Digits of the number of a text that cells share.
_MOST_DIGITS = 9
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_Rows = dict[int, dict[int, str]]


def rows_of(raw: bytes, name: str) -> Iterator[tuple[int, Sequence[str]]]:
    """The rows that have cells, each with its number; every row as wide as the first. Raises BadInput."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as book:
            texts = _texts(book, name)
            rows = _sheet(_part(book, _first_sheet(book, name), name), texts, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise BadInput(
            Worded("This is no workbook: %(why)s", why=error), hint=Worded("Save it as .xlsx."), where=name
        ) from None
    if not rows:
        return
    width = max(rows[min(rows)], default=0) + 1
    for number in sorted(rows):
        cells = rows[number]
        yield number, [cells.get(at, "") for at in range(max(width, max(cells, default=0) + 1))]


def _first_sheet(book: zipfile.ZipFile, name: str) -> str:
    """The part of the sheet that stands first: its number tells when it was made, not where it stands."""
    links: dict[str, str] = {}
    sheets: list[str] = []

    def link(tag: str, attributes: dict[str, str]) -> None:
        if tag == "Relationship":
            links[attributes.get("Id", "")] = attributes.get("Target", "")

    def sheet(tag: str, attributes: dict[str, str]) -> None:
        if tag == "sheet":
            sheets.append(next((said for key, said in attributes.items() if key.endswith(":id")), ""))

    for part, begin in (("xl/_rels/workbook.xml.rels", link), ("xl/workbook.xml", sheet)):
        if part in book.namelist():
            _parse(_part(book, part, name), begin, lambda _: None, lambda _: None, name)
    target = next((links[one] for one in sheets[:1] if one in links), "worksheets/sheet1.xml")
    return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"


def _part(book: zipfile.ZipFile, part: str, name: str) -> bytes:
    if part not in book.namelist():
        raise BadInput(
            Worded("The workbook has no sheet"), hint=Worded("Put the table on its first sheet."), where=name
        )
    if book.getinfo(part).compress_type not in _PACKED:
        raise BadInput(
            Worded("The workbook is packed in an unusual way"),
            hint=Worded("Save it as .xlsx again."),
            where=name,
        )
    with book.open(part) as file:
        unpacked = file.read(MOST_BYTES + 1)
    if len(unpacked) > MOST_BYTES:
        raise BadInput(
            Worded("The workbook is too large"), hint=Worded("Save the sheet as CSV, in parts."), where=name
        )
    return unpacked


def _texts(book: zipfile.ZipFile, name: str) -> list[str]:
    """The texts that cells share."""
    if "xl/sharedStrings.xml" not in book.namelist():
        return []
    texts: list[str] = []
    said: list[str] = []
    inside = {"t": False, "rPh": False}

    def begin(tag: str, _: dict[str, str]) -> None:
        if tag == "si":
            said.clear()
        if tag in inside:
            inside[tag] = True

    def end(tag: str) -> None:
        if tag == "si":
            texts.append("".join(said))
        if tag in inside:
            inside[tag] = False

    def text(words: str) -> None:
        if inside["t"] and not inside["rPh"]:  # how a word is pronounced is no part of it
            said.append(words)

    _parse(_part(book, "xl/sharedStrings.xml", name), begin, end, text, name)
    return texts


def _sheet(raw: bytes, texts: Sequence[str], name: str) -> _Rows:
    rows: _Rows = {}
    cell: dict[str, str] = {}
    said: list[str] = []
    reading = [False]
    count = 0

    def begin(tag: str, attributes: dict[str, str]) -> None:
        if tag == "c":
            cell.clear()
            cell.update(attributes)
            said.clear()
        elif tag in ("v", "t"):
            reading[0] = True

    def end(tag: str) -> None:
        nonlocal count
        if tag in ("v", "t"):
            reading[0] = False
        elif tag == "c" and said:
            count += 1
            if count > MOST_CELLS:
                raise BadInput(
                    Worded("The sheet has more than %(count)s cells", count=MOST_CELLS),
                    hint=Worded("Save it as CSV."),
                    where=name,
                )
            column, row = _at(cell.get("r", ""), name)
            rows.setdefault(row, {})[column] = _cell(cell.get("t", "n"), "".join(said), texts, name)

    def text(words: str) -> None:
        if reading[0]:
            said.append(words)

    _parse(raw, begin, end, text, name)
    return rows


def _cell(kind: str, said: str, texts: Sequence[str], name: str) -> str:
    if kind == "s":
        if not said.isdecimal() or len(said) > _MOST_DIGITS or int(said) >= len(texts):
            raise BadInput(
                Worded("A text of the workbook is missing"),
                hint=Worded("Save the workbook again."),
                where=name,
            )
        return texts[int(said)]
    if kind == "b":
        return "yes" if said == "1" else "no"
    if kind == "e":
        raise BadInput(
            Worded("A cell says %(text)s", text=said[:20]), hint=Worded("Correct its formula."), where=name
        )
    return said


def _at(reference: str, name: str) -> tuple[int, int]:
    """Column, from 0 on, and row of "C7"."""
    found = _REFERENCE.fullmatch(reference)
    column = 0
    for letter in found[1] if found else "":
        column = column * 26 + ord(letter) - ord("A") + 1
    if found is None or column > _MOST_COLUMNS:
        raise BadInput(
            Worded("The cell %(text)s lies outside the table", text=repr(reference[:20])),
            hint=Worded("Up to %(count)s columns.", count=_MOST_COLUMNS),
            where=name,
        )
    return column - 1, int(found[2])


def _parse(
    raw: bytes,
    begin: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
    name: str,
) -> None:
    def refuse(*_: object) -> None:
        raise BadInput(
            Worded("The workbook has a document type"), hint=Worded("Save it as .xlsx again."), where=name
        )

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda tag, attributes: begin(tag.rpartition(":")[2], attributes)
    parser.EndElementHandler = lambda tag: end(tag.rpartition(":")[2])
    parser.CharacterDataHandler = text
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise BadInput(
            Worded("The workbook is damaged: %(why)s", why=error), hint=Worded("Save it again."), where=name
        ) from None
