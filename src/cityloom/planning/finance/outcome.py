"""What a reckoning found: figures, tables, what is to be drawn, how it was reckoned, and warnings. Pure.

Every kind of reckoning ends in this, so that page, JSON, CSV and workbook show the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from cityloom.planning.finance.sums import in_coins

#: What stands in a table: an amount is a Decimal in the outcome's currency; None is "not known" and never 0.
Cell = str | Decimal | float | int | bool | None
#: A label of the city's own: a text, or one by language.
Label = str | Mapping[str, str]


class Unit(StrEnum):
    """How a column or a figure is to be read."""

    TEXT = "text"
    MONEY = "money"
    NUMBER = "number"
    #: 0.25 is 25 %.
    SHARE = "share"
    YEAR = "year"
    #: A number of years.
    YEARS = "years"
    #: Parts of a whole, such as a discount factor.
    FACTOR = "factor"


class Column(msgspec.Struct, frozen=True):
    """A column of a table."""

    key: str
    label: str
    unit: Unit = Unit.TEXT


class Table(msgspec.Struct, frozen=True):
    """Rows under columns; `foot` is their sum or what else ends them."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    foot: tuple[Cell, ...] = ()


class Figure(msgspec.Struct, frozen=True):
    """A number that answers a question by itself. `note` says why there is none, or what limits it."""

    key: str
    label: str
    value: Cell
    unit: Unit = Unit.MONEY
    note: str = ""


class Series(msgspec.Struct, frozen=True):
    """Numbers under one name; None is a gap."""

    name: str
    values: tuple[float | None, ...]


class Bars(msgspec.Struct, frozen=True, kw_only=True):
    """Bars over categories: each series a colour; stacked, or side by side."""

    title: str
    table: str
    categories: tuple[str, ...]
    series: tuple[Series, ...]
    stacked: bool = False
    #: Drawn over the bars as a line.
    line: Series | None = None


class Curves(msgspec.Struct, frozen=True, kw_only=True):
    """Lines over numbers: years, shares."""

    title: str
    table: str
    across: tuple[float, ...]
    series: tuple[Series, ...]
    across_label: str = ""
    up_label: str = ""
    #: Points that were observed, under the lines.
    observed: Series | None = None


class Reach(msgspec.Struct, frozen=True):
    """How far a result moves when one input is low or high."""

    name: str
    low: float
    high: float


class Tornado(msgspec.Struct, frozen=True, kw_only=True):
    """Reaches around a middle, the widest first."""

    title: str
    table: str
    middle: float
    rows: tuple[Reach, ...]


class Layer(msgspec.Struct, frozen=True):
    """A layer of a network and whose it is."""

    name: str
    owner: str


class Payment(msgspec.Struct, frozen=True):
    """Money from one party to another: places among the parties."""

    payer: int
    payee: int
    words: str
    amount: Decimal


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """Who owns which layer, and who pays whom."""

    title: str
    table: str
    layers: tuple[Layer, ...]
    parties: tuple[str, ...]
    payments: tuple[Payment, ...]


Drawing = Bars | Curves | Tornado | Chain


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """All that a reckoning found."""

    currency: str = ""
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    #: How it was reckoned, a sentence each.
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def table(self, key: str) -> Table | None:
        """One of the tables."""
        return next((one for one in self.tables if one.key == key), None)

    def figure(self, key: str) -> Cell:
        """The value of one of the figures. Raises KeyError."""
        return {one.key: one.value for one in self.figures}[key]


def plain(outcome: Outcome) -> dict[str, Any]:
    """As JSON: amounts are texts, so that no reader turns them into floating point."""
    return {
        "currency": outcome.currency,
        "figures": {
            one.key: {"value": _cell(one.value, outcome.currency)} | ({"note": one.note} if one.note else {})
            for one in outcome.figures
        },
        "tables": {
            one.key: [
                _row(one, row, outcome.currency) for row in (*one.rows, *((one.foot,) if one.foot else ()))
            ]
            for one in outcome.tables
        },
        "notes": [str(one) for one in outcome.notes],
        "warnings": [str(one) for one in outcome.warnings],
    }


def _row(table: Table, row: tuple[Cell, ...], currency: str) -> dict[str, Any]:
    return {column.key: _cell(value, currency) for column, value in zip(table.columns, row, strict=True)}


def _cell(value: Cell, currency: str) -> Any:
    if isinstance(value, Decimal):
        return str(in_coins(value, currency))
    return str(value) if isinstance(value, str) else value
