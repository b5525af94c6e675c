"""`cityloom cba`: a cost-benefit analysis from a file, without a running city."""

from __future__ import annotations

import argparse
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.planning.finance.cash_flows import Analysis, check_analysis
from cityloom.planning.finance.cost_benefit import cost_benefit
from cityloom.planning.finance.definition import read_definition
from cityloom.planning.finance.discounting import conventions
from cityloom.planning.finance.outcome import Cell, Figure, Table, Unit, plain
from cityloom.planning.finance.sums import in_coins

#: Tables that are printed; the file has all of them.
_SHOWN = ("items", "groups", "tornado", "percentiles")


def cba(options: argparse.Namespace) -> int:
    """Reckon an analysis, print what it comes to, and write all of it as JSON; or list the conventions."""
    if options.action == "conventions":
        return _tell_conventions()
    if options.analysis is None:
        raise BadInput("No analysis is named", hint="Write: cityloom cba compute FILE.toml.")
    analysis = _asked(read_definition(options.analysis), options)
    outcome = cost_benefit(analysis)
    print(f"{analysis.name}, {analysis.base_year} to {analysis.until}, {analysis.currency}")
    for figure in outcome.figures:
        print(_figure(figure, analysis.currency))
    for table in filter(None, map(outcome.table, _SHOWN)):
        print("\n".join(["", table.title, *_lines(table, analysis.currency)]))
    print("\n".join(["", *outcome.notes, *(f"Caution: {one}" for one in outcome.warnings)]))
    if options.out is not None:
        head = {"name": analysis.name, "baseYear": analysis.base_year, "until": analysis.until}
        _write(options.out, head | {"runs": analysis.runs, "seed": analysis.seed} | plain(outcome))
        print(f"Wrote {options.out}.")
    return 0


def _asked(analysis: Analysis, options: argparse.Namespace) -> Analysis:
    """With the runs and the seed of the command line."""
    runs = analysis.runs if options.runs is None else options.runs
    seed = analysis.seed if options.seed is None else options.seed
    return check_analysis(msgspec.structs.replace(analysis, runs=runs, seed=seed))


def _tell_conventions() -> int:
    for one in conventions().values():
        print(f"{one.id}: {one.title}")
        print(f"  {one.basis.value}, {one.timing.value}. {one.source}")
    return 0


def _figure(figure: Figure, currency: str) -> str:
    note = f"  {figure.note}" if figure.note else ""
    return f"  {figure.label:48s} {_cell(figure.value, figure.unit, currency):>18s}{note}"


def _lines(table: Table, currency: str) -> list[str]:
    """The table in columns; numbers to the right."""
    heads = [str(column.label) for column in table.columns]
    rows = [*table.rows, *((table.foot,) if table.foot else ())]
    cells = [
        [_cell(value, column.unit, currency) for value, column in zip(row, table.columns, strict=True)]
        for row in rows
    ]
    widths = [max(len(row[place]) for row in [heads, *cells]) for place in range(len(heads))]
    return ["  " + "  ".join(_put(table, row, widths)).rstrip() for row in [heads, *cells]]


def _put(table: Table, row: list[str], widths: list[int]) -> list[str]:
    return [
        cell.ljust(width) if column.unit is Unit.TEXT else cell.rjust(width)
        for cell, width, column in zip(row, widths, table.columns, strict=True)
    ]


def _cell(value: Cell, unit: Unit, currency: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Decimal):
        return f"{in_coins(value, currency):,f}"
    if unit is Unit.SHARE:
        return f"{value * 100:.2f} %"
    if unit is Unit.YEARS:
        return f"{value:.1f} years"
    return str(value) if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _write(path: Path, document: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"The result cannot be written: {error.strerror}", hint="Check the path.", where=str(path)
        ) from None
