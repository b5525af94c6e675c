"""A result as tables to take along: CSV, and a workbook with a sheet for each table. Pure."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from cityloom.indicators.exchange.spreadsheet import as_csv, as_workbook
from cityloom.planning.finance.outcome import Cell, Column, Figure, Outcome, Table, Unit
from cityloom.planning.finance.sums import in_coins

#: Sheets' names are cut here at the latest; their numbers tell them apart.
_LONGEST_NAME = 31
#: From an English text to the reader's.
Say = Callable[[str], str]


def table_as_csv(table: Table, currency: str, say: Say) -> str:
    """A table as CSV: amounts rounded to the currency's smallest coin."""
    head, *lines = _lines(table, currency, say)
    return as_csv([head, *([_in_coins(cell, currency) for cell in line] for line in lines)])


def outcome_as_workbook(outcome: Outcome, say: Say) -> bytes:
    """All of it as a workbook: figures first, then a sheet for each table."""
    tables = (figures_table(outcome.figures), *outcome.tables)
    return as_workbook(
        {
            f"{number} {say(table.title)}"[:_LONGEST_NAME]: _lines(table, outcome.currency, say)
            for number, table in enumerate(tables, 1)
        }
    )


def figures_table(figures: tuple[Figure, ...]) -> Table:
    """The figures as a table."""
    columns = (Column("figure", "Figure"), Column("value", "Value", Unit.NUMBER), Column("note", "Note"))
    return Table("figures", "Figures", columns, tuple((one.label, one.value, one.note) for one in figures))


def _lines(table: Table, currency: str, say: Say) -> list[list[Cell]]:
    """The head, the rows and the foot; the currency stands in the head."""
    rows = (*table.rows, *((table.foot,) if table.foot else ()))
    return [
        [_head(column, currency, say) for column in table.columns],
        *([say(cell) if isinstance(cell, str) else cell for cell in row] for row in rows),
    ]


def _head(column: Column, currency: str, say: Say) -> str:
    label = say(column.label)
    return f"{label} ({currency})" if column.unit is Unit.MONEY and currency else label


def _in_coins(cell: Cell, currency: str) -> Cell:
    return in_coins(cell, currency) if isinstance(cell, Decimal) else cell
