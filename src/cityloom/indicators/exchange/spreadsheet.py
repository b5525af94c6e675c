"""Tables as files that a spreadsheet opens: CSV (RFC 4180) and workbooks (.xlsx, ECMA-376). Pure.

Texts may be strangers': none of them becomes a formula.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from math import isfinite

#: The day that every workbook says to be from: the same rows are the same bytes, whenever they are asked for.
_ALWAYS = datetime(1980, 1, 1)  # noqa: DTZ001 - a workbook's times have no zone
#: What a cell may hold: a text, a number, or nothing. Numbers must be finite.
Cell = str | int | float | Decimal | None

#: A text that begins so is a formula to a spreadsheet; an apostrophe before it makes it a text.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LONGEST_CELL = 32_767
_LONGEST_NAME = 31
_NO_SHEET_NAME = re.compile(r"[\[\]:*?/\\']")
_PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def as_csv(rows: Iterable[Sequence[Cell]]) -> str:
    """Rows as CSV: numbers with a point, nothing as an empty cell."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([[_written(cell) for cell in row] for row in rows])
    return out.getvalue()


def as_workbook(sheets: Mapping[str, Iterable[Sequence[Cell]]]) -> bytes:
    """A workbook with a sheet for each table, in their order; the first row of each is its head."""
    import xlsxwriter  # a tenth of a second that only those wait for who ask for a workbook

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        book.set_properties({"created": _ALWAYS})
        bold = book.add_format({"bold": True})
        for name, rows in sheets.items():
            page = book.add_worksheet(_NO_SHEET_NAME.sub(" ", name)[:_LONGEST_NAME] or "1")
            page.freeze_panes(1, 1)
            for at, row in enumerate(rows):
                for place, cell in enumerate(row):
                    if isinstance(cell, str):
                        page.write_string(at, place, cell[:_LONGEST_CELL], None if at else bold)
                    elif cell is not None:
                        page.write_number(at, place, float(cell), None if at else bold)
    return out.getvalue()


def number_in(text: str) -> str | float:
    """The number that a text is, where a workbook would tell it by the same digits; else the text.

    So 007, 1.10 and +45 12 34 stay what somebody wrote.
    """
    if not _PLAIN_NUMBER.fullmatch(text) or not isfinite(float(text)):
        return text
    return float(text) if f"{float(text):.15g}" == text else text


def _written(cell: Cell) -> str:
    if cell is None:
        return ""
    text = str(cell)
    if isinstance(cell, str) and text.startswith(FORMULA) and not _PLAIN_NUMBER.fullmatch(text):
        return f"'{text}"
    return text
