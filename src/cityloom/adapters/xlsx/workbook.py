"""One sheet of a workbook (.xlsx, ECMA-376) as CSV, row by row in bounded memory."""

from __future__ import annotations

import csv
from datetime import date, datetime, time
from pathlib import Path

from cityloom.indicators.exchange.workbook import Bounds, Cell, Fault, cells_of
from cityloom.kernel.errors import BadInput

#: A table of years of readings: as many rows as a sheet can have.
_BOUNDS = Bounds(unpacked=2_000_000_000, columns=16_384, cells=1_048_576 * 16_384)


def write_sheet(path: Path, sheet: str, target: Path) -> None:
    """Write a sheet (the first one where `sheet` is "") as CSV in UTF-8. Raises BadInput.

    A row of the file is a line, also where it says nothing. Dates come as 2026-01-31T10:00:00, truth as true
    and false; a cell with an error is empty.
    """
    try:
        with path.open("rb") as file, target.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            done, width = 0, 1
            for number, cells in cells_of(file, str(path), _BOUNDS, sheet):
                writer.writerows([""] * width for _ in range(number - done - 1))
                width, done = max(width, len(cells)), number
                writer.writerow([_text(cell) for cell in cells] + [""] * (width - len(cells)))
    except OSError as error:
        raise BadInput(
            f"The workbook cannot be read: {error.strerror}", hint="Check its path.", where=str(path)
        ) from None


def _text(cell: Cell) -> str:
    if isinstance(cell, Fault):
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, date) and not isinstance(cell, datetime):
        cell = datetime.combine(cell, time())
    return cell if isinstance(cell, str) else cell.isoformat()
