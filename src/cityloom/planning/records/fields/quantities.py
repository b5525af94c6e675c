"""Fields that are numbers, money, days, yes or no."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Instance, prop
from cityloom.planning import money
from cityloom.planning.money import Money, check_money, written
from cityloom.planning.records.fields.field import Field, not_one


class Number(Field, frozen=True, kw_only=True):
    """A number: float, in a unit (UN/CEFACT Recommendation 20; "" where there is none)."""

    unit: str = ""
    least: float | None = None
    most: float | None = None
    whole: bool = False

    def check(self, value: Any, where: str) -> float:
        number = _a_number(value, where)
        if self.whole and number != int(number):
            raise BadInput(
                Worded("This is no whole number"), hint=Worded("Enter a whole number."), where=where
            )
        if self.least is not None and number < self.least:
            hint = Worded("Enter %(least)s or more.", least=self.least)
            raise BadInput(Worded("The number is too small"), hint=hint, where=where)
        if self.most is not None and number > self.most:
            hint = Worded("Enter %(most)s or less.", most=self.most)
            raise BadInput(Worded("The number is too large"), hint=hint, where=where)
        return number

    def typed(self, plain: Any) -> float | None:
        if isinstance(plain, bool) or not isinstance(plain, int | float) or not isfinite(plain):
            return None
        return float(plain)

    def text(self, value: Any) -> str:
        return str(int(value)) if value == int(value) else str(value)

    def parsed(self, text: str, where: str) -> float:
        return self.check(text, where)

    def instance(self, value: Any) -> Instance:
        return prop(value, unit=self.unit or None)


class Year(Number, frozen=True, kw_only=True):
    """A year: float, a whole number, which is told without anything between its digits."""

    least: float | None = 1900
    most: float | None = 3000
    whole: bool = True


class Amount(Field, frozen=True, kw_only=True):
    """An amount of money: Money."""

    def check(self, value: Any, where: str) -> Money:
        if not isinstance(value, Money):
            raise not_one(Worded("amount of money"), where)
        return check_money(value, where=where)

    def plain(self, value: Any) -> Any:
        return written(value)

    def typed(self, plain: Any) -> Money | None:
        return money.read(plain)

    def text(self, value: Any) -> str:
        return f"{value.amount} {value.currency}"

    def parsed(self, text: str, where: str) -> Money:
        amount, _, currency = text.strip().partition(" ")
        try:
            return self.check(Money(Decimal(amount), currency.strip()), where)
        except InvalidOperation:
            hint = Worded("Write it as 1200.50 EUR.")
            raise BadInput(Worded("This is no amount of money"), hint=hint, where=where) from None


class Day(Field, frozen=True, kw_only=True):
    """A day: datetime.date."""

    def check(self, value: Any, where: str) -> date:
        found = self.typed(value) if isinstance(value, str) else value
        if not isinstance(found, date):
            hint = Worded("Enter a date as year-month-day, such as 2026-04-12.")
            raise BadInput(Worded("This is no day"), hint=hint, where=where)
        return found

    def plain(self, value: Any) -> str:
        return str(value.isoformat())

    def typed(self, plain: Any) -> date | None:
        try:
            return date.fromisoformat(plain)
        except (TypeError, ValueError):
            return None


class Flag(Field, frozen=True, kw_only=True):
    """Yes or no: bool."""

    def check(self, value: Any, where: str) -> bool:
        if not isinstance(value, bool):
            raise BadInput(
                Worded("This is neither yes nor no"), hint=Worded("Write true or false."), where=where
            )
        return value

    def typed(self, plain: Any) -> bool | None:
        return plain if isinstance(plain, bool) else None

    def text(self, value: Any) -> str:
        return "true" if value else "false"

    def parsed(self, text: str, where: str) -> bool:
        return self.check({"true": True, "false": False}.get(text.strip().casefold()), where)


def _a_number(value: Any, where: str) -> float:
    try:
        number = float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if isinstance(value, bool) or not isfinite(number):
        hint = Worded("Enter a number, such as 12 or 12.5.")
        raise BadInput(Worded("This is no number"), hint=hint, where=where)
    return number
