"""Tables of the action plan to take along."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from cityloom.indicators.exchange.spreadsheet import Cell, as_workbook
from cityloom.kernel.media_types import XLSX
from cityloom.web.taken_along import csv_file, file_to_keep
from cityloom.web.visit import Visit


def table_to_keep(visit: Visit, stem: str, rows: Sequence[Sequence[Cell]]) -> Response:
    """Rows as CSV or as a workbook, by the ending of the path that was asked for."""
    if visit.path.endswith(".xlsx"):
        return file_to_keep(visit, stem, "xlsx", as_workbook({stem: rows}), XLSX)
    return csv_file(visit, stem, rows)
