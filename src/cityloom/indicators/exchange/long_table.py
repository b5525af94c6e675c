"""Reads long tables of values: a row a value, with the columns city, indicator, period and value.

A table may be CSV (comma or semicolon), SDMX-CSV, or the first sheet of a workbook; each becomes rows of
cells.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from cityloom.indicators.exchange.reported import MOST_BYTES, Reported, once_each, row_of
from cityloom.kernel.errors import BadInput
from cityloom.kernel.separators import separator_of
from cityloom.kernel.worded import Worded

_NEEDED = ("city", "indicator", "period", "value")
KNOWN = (*_NEEDED, "place", "point", "numerator", "denominator", "unit", "source")
#: What SDMX and others call the columns, in capitals.
_CALLED = {
    "city": ("REF_AREA", "GEO", "CITIES", "CITY", "AREA"),
    "indicator": ("INDICATOR", "INDIC_UR", "INDIC", "KPI", "SERIES", "MEASURE"),
    "period": ("TIME_PERIOD", "TIME", "YEAR", "PERIOD"),
    "value": ("OBS_VALUE", "VALUE"),
    "place": ("PLACE", "DISTRICT", "NEIGHBOURHOOD"),
    "point": ("POINT", "DATA_POINT"),
    "numerator": ("NUMERATOR",),
    "denominator": ("DENOMINATOR",),
    "unit": ("UNIT_MEASURE", "UNIT"),
    "source": ("SOURCE", "OBS_SOURCE"),
}


def read_table(raw: bytes, name: str, columns: Mapping[str, str] | None = None) -> list[Reported]:
    """The values in CSV or SDMX-CSV. `columns` says which column is the city, the indicator, and so on.

    Raises BadInput with line and column.
    """
    if len(raw) > MOST_BYTES:
        raise BadInput(
            Worded("The file is too large"),
            hint=Worded("%(count)s MB are the most.", count=MOST_BYTES // 2**20),
            where=name,
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BadInput(
            Worded("This is not UTF-8"),
            hint=Worded("Save the table as CSV UTF-8."),
            where=f"{name} line {line}",
        ) from None
    separator = separator_of(text, (",", ";"))
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    return from_rows(_lines(reader, name), name, columns, comma=separator == ";")


def from_rows(
    rows: Iterator[tuple[int, Sequence[str]]],
    name: str,
    columns: Mapping[str, str] | None = None,
    *,
    comma: bool = False,
) -> list[Reported]:
    """The values in rows of cells, of which the first row is the head. Raises BadInput."""
    head = next(rows, None)
    if head is None:
        raise BadInput(
            Worded("The table is empty"),
            hint=Worded("It begins with %(names)s.", names=",".join(_NEEDED)),
            where=name,
        )
    found = _columns(head[1], columns or {}, f"{name} line {head[0]}")
    labelled = {known for known, at in found.items() if ": " in head[1][at]}
    return list(once_each(_values(rows, name, found, len(head[1]), labelled, comma=comma)))


def _values(
    rows: Iterator[tuple[int, Sequence[str]]],
    name: str,
    columns: Mapping[str, int],
    width: int,
    labelled: set[str],
    *,
    comma: bool,
) -> Iterator[Reported]:
    for line, cells in rows:
        if not any(cells):
            continue
        if len(cells) != width:
            raise BadInput(
                Worded("The row has %(count)s cells, the head %(width)s", count=len(cells), width=width),
                hint=Worded("Count the commas, and quote cells that have one."),
                where=f"{name} line {line}",
            )
        row = {known: cells[at] for known, at in columns.items()}
        for known in labelled:
            row[known] = row[known].partition(": ")[0]
        places = {known: f"{name} line {line}, column {at + 1} ({known})" for known, at in columns.items()}
        yield row_of(row, places, comma=comma)


def _columns(head: Sequence[str], wanted: Mapping[str, str], place: str) -> dict[str, int]:
    """Which column is what, by the names that were given, ours, or those of SDMX."""
    names = [cell.strip().partition(": ")[0] for cell in head]
    upper = [one.upper() for one in names]
    found: dict[str, int] = {}
    for known, called in _CALLED.items():
        if known in wanted:
            if wanted[known] not in names:
                raise BadInput(
                    Worded("There is no column %(name)s", name=repr(wanted[known])),
                    hint=Worded("There are: %(names)s.", names=", ".join(names)),
                    where=place,
                )
            found[known] = names.index(wanted[known])
            continue
        at = next((upper.index(one) for one in (known.upper(), *called) if one in upper), None)
        if at is not None:
            found[known] = at
    missing = [one for one in _NEEDED if one not in found]
    if missing:
        raise BadInput(
            Worded("There is no column for %(names)s", names=", ".join(missing)),
            hint=Worded(
                "The first line names the columns: %(names)s; the first four are needed.",
                names=", ".join(KNOWN),
            ),
            where=place,
        )
    return found


def _lines(reader: Iterator[list[str]], name: str) -> Iterator[tuple[int, Sequence[str]]]:
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            line = getattr(reader, "line_num", 0)
            raise BadInput(
                Worded("This is no CSV: %(why)s", why=error),
                hint=Worded("Correct it."),
                where=f"{name} line {line}",
            ) from None
        yield getattr(reader, "line_num", 0), row
