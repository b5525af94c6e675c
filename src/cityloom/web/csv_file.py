"""A table that is taken along as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from cityloom.kernel.media_types import CSV
from cityloom.web.visit import Visit

#: A cell that begins so is taken for a formula by programs for tables.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def csv_file(visit: Visit, stem: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Response:
    """The rows under `columns`; what a row lacks is an empty cell, no text becomes a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    headers = {
        "content-disposition": f'attachment; filename="{visit.file_name(stem, "csv")}"',
        "cache-control": "no-store" if visit.signed_in else "no-cache, private",
        "vary": "cookie, accept-language",
    }
    # The mark makes programs for tables read it as UTF-8.
    return Response("\ufeff" + text.getvalue(), media_type=CSV, headers=headers)


def _cell(value: Any) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text
