"""Tables to take along: CSV that a spreadsheet opens without running what strangers wrote into it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from cityloom.web.visit import Visit

#: A cell that begins with one of these is taken for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_of(visit: Visit, stem: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Response:
    """Rows as a CSV file with a line of titles."""
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(columns)
    for row in rows:
        table.writerow([_cell(row.get(name)) for name in columns])
    name = visit.file_name(stem, "csv")
    return Response(
        written.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={
            "content-disposition": f'attachment; filename="{name}"',
            "cache-control": "no-store" if visit.signed_in else "no-cache, private",
            "vary": "cookie, accept-language",
        },
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return _cell("; ".join(map(str, value)))
    text = str(value)
    if text.startswith(_FORMULA) and not text.removeprefix("-").replace(".", "", 1).isdecimal():
        return f"'{text}"
    return text
