"""Files to take along: what a page tells, as a table or in another form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from cityloom.indicators.exchange.spreadsheet import Cell, as_csv
from cityloom.kernel.media_types import CSV
from cityloom.web.visit import Visit


def file_to_keep(visit: Visit, stem: str, ending: str, content: bytes | str, media_type: str) -> Response:
    """A file to keep, under a name that tells the city."""
    headers = {
        "content-disposition": f'attachment; filename="{visit.file_name(stem, ending)}"',
        "cache-control": "no-store" if visit.signed_in else "no-cache, private",
        "vary": "cookie, accept-language",
    }
    return Response(content, media_type=media_type, headers=headers)


def csv_file(visit: Visit, stem: str, rows: Iterable[Sequence[Cell]]) -> Response:
    """Rows, the first of them the head, as CSV."""
    # The mark makes programs for tables read it as UTF-8.
    return file_to_keep(visit, stem, "csv", "\ufeff" + as_csv(rows), CSV)


def csv_of(visit: Visit, stem: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Response:
    """The rows under `columns` as CSV; what a row lacks is an empty cell."""
    return csv_file(visit, stem, [columns, *([_cell(row.get(name)) for name in columns] for row in rows)])


def _cell(value: Any) -> Cell:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, int | float):
        return value
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
