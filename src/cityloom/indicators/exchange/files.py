"""Reads a file of values, whatever its format: told by what it holds, not by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cityloom.indicators.exchange.json_stat import read_json_stat
from cityloom.indicators.exchange.long_table import from_rows, read_table
from cityloom.indicators.exchange.reported import MOST_BYTES, Reported
from cityloom.indicators.exchange.workbook import rows_of
from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded


def read_values(raw: bytes, name: str, columns: Mapping[str, str] | None = None) -> list[Reported]:
    """The values in CSV, SDMX-CSV, a workbook or JSON-stat. Raises BadInput with the place at fault."""
    if raw.startswith(b"PK\x03\x04"):
        return from_rows(rows_of(raw, name), name, columns)
    if raw.lstrip()[:1] == b"{":
        return read_json_stat(raw, name, columns)
    return read_table(raw, name, columns)


def values_in(path: Path, columns: Mapping[str, str] | None = None) -> list[Reported]:
    """The values in a file. Raises BadInput."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(
            Worded("The values cannot be read: %(why)s", why=error.strerror),
            hint=Worded("Check the path."),
            where=str(path),
        ) from None
    return read_values(raw, path.name, columns)
