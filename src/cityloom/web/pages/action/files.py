"""Tables of the action plan to take along."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from cityloom.kernel.media_types import CSV
from cityloom.planning.records.tables import as_csv
from cityloom.web.visit import Visit
from cityloom.web.workbook import XLSX, Cell, workbook_of


def handed_out(visit: Visit, stem: str, rows: Sequence[Sequence[Cell]]) -> Response:
    """Rows as CSV or as a workbook, by the ending of the path that was asked for."""
    if visit.path.endswith(".xlsx"):
        return given(visit, stem, "xlsx", workbook_of({stem: rows}), XLSX)
    text = as_csv([["" if cell is None else str(cell) for cell in row] for row in rows])
    return given(visit, stem, "csv", ("\ufeff" + text).encode(), CSV)


def given(visit: Visit, stem: str, ending: str, content: bytes, media_type: str) -> Response:
    """A file to keep."""
    response = Response(content, media_type=media_type)
    name = visit.file_name(stem, ending)
    response.headers["content-disposition"] = f'attachment; filename="{name}"'
    response.headers["cache-control"] = "no-store"
    return response
