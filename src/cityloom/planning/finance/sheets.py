"""A result as tables to take along: CSV, and a workbook with a sheet for each table. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from decimal import Decimal

import xlsxwriter

from cityloom.planning.finance.outcome import Cell, Column, Figure, Outcome, Table, Unit
from cityloom.planning.finance.sums import in_coins

#: What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NO_SHEET_NAME = re.compile(r"[\[\]:*?/\\']")
#: From an English text to the reader's.
Say = Callable[[str], str]


def as_csv(table: Table, currency: str, say: Say) -> str:
    """A table as CSV (RFC 4180): numbers with a point, amounts with the currency in the column's head."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_tame(_head(column, currency, say)) for column in table.columns])
    for row in (*table.rows, *((table.foot,) if table.foot else ())):
        writer.writerow([_written(value, currency, say) for value in row])
    return out.getvalue()


def as_workbook(outcome: Outcome, say: Say) -> bytes:
    """All of it as a workbook (.xlsx, ECMA-376): figures first, then a sheet for each table."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False}) as book:
        bold = book.add_format({"bold": True})
        for number, table in enumerate((figures_table(outcome.figures), *outcome.tables), 1):
            name = _NO_SHEET_NAME.sub(" ", say(table.title))[:27]
            page = book.add_worksheet(f"{number} {name}")
            page.freeze_panes(1, 1)
            for place, column in enumerate(table.columns):
                page.write_string(0, place, _head(column, outcome.currency, say), bold)
            for at, row in enumerate((*table.rows, *((table.foot,) if table.foot else ())), 1):
                for place, value in enumerate(row):
                    if isinstance(value, str):
                        page.write_string(at, place, say(value))
                    elif value is not None:
                        page.write_number(at, place, float(value))
    return out.getvalue()


def figures_table(figures: tuple[Figure, ...]) -> Table:
    """The figures as a table."""
    columns = (Column("figure", "Figure"), Column("value", "Value", Unit.NUMBER), Column("note", "Note"))
    return Table("figures", "Figures", columns, tuple((one.label, one.value, one.note) for one in figures))


def _head(column: Column, currency: str, say: Say) -> str:
    label = say(column.label)
    return f"{label} ({currency})" if column.unit is Unit.MONEY and currency else label


def _written(value: Cell, currency: str, say: Say) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _tame(say(value))
    return str(in_coins(value, currency)) if isinstance(value, Decimal) else str(value)


def _tame(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
