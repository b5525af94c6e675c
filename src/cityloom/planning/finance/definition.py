"""A cost-benefit analysis as it is written down: in a TOML file, or in a record. Read, checked, made whole.

name = "Bus lanes"          [[items]]
currency = "DKK"            code = "building"
base_year = 2026            kind = "capital"
until = 2045                group = "City"
convention = "dk_2021"      amounts = { 2026 = 12000000 }
"""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path

import msgspec

from cityloom.kernel.errors import BadInput, fault_of
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.cash_flows import (
    Analysis,
    Item,
    Kind,
    Spread,
    check_analysis,
    yearly,
)
from cityloom.planning.finance.discounting import Basis, Convention, Timing, named, own_rate
from cityloom.planning.finance.sums import check_currency, in_coins, rounded

#: A definition may come from anybody.
LARGEST = 1024 * 1024
GUIDE = "docs/guides/weigh_costs_and_benefits.md"


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """One cost or gain: `amounts` by year, or an `amount` a year `from` … `until`, growing; or, of a benefit,
    what a unit of an indicator is worth and by how much it is to change."""

    code: str
    kind: Kind
    group: str
    name: str = ""
    amounts: dict[int, Decimal] = {}
    amount: Decimal | None = None
    since: int | None = None
    until: int | None = None
    growth: Decimal = Decimal()
    spread: Spread | None = None
    indicator: str = ""
    unit_value: Decimal | None = None
    change: Decimal | None = None
    baseline: Decimal | None = None


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole analysis. Either a `convention` by its name, or a `rate` of one's own."""

    name: str
    currency: str
    base_year: int
    until: int
    items: tuple[Line, ...]
    convention: str = ""
    rate: Decimal | None = None
    #: In place of the convention's.
    timing: Timing | None = None
    prices: Basis = Basis.REAL
    inflation: Decimal | None = None
    runs: int = 10_000
    seed: int = 0
    rate_spread: Spread | None = None
    swing: Decimal = Decimal("0.1")


def read_definition(path: Path) -> Analysis:
    """The analysis in a file. Raises BadInput with the line at fault."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"The analysis cannot be read: {error.strerror}", hint="Check its path.", where=str(path)
        ) from None
    if len(raw) > LARGEST:
        raise BadInput("The analysis is too long", hint="1 MB is the most.", where=str(path))
    return parse_definition(raw, path.name)


def parse_definition(raw: bytes, name: str = "analysis") -> Analysis:
    """The analysis in a text. Raises BadInput with the line at fault."""
    try:
        text = raw.decode("utf-8-sig")
        said = tomllib.loads(text, parse_float=Decimal)
        definition = msgspec.convert(said, Definition, strict=False)
    except UnicodeDecodeError as error:
        raise BadInput(f"The analysis is not UTF-8: {error}", hint="Save it as UTF-8.", where=name) from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"This is no TOML: {error}", hint="Correct it there.", where=name) from None
    except msgspec.ValidationError as error:
        fault, path = fault_of(error)
        raise BadInput(fault, hint=f"Look at {GUIDE}.", where=_place(text, path, name)) from None
    try:
        return analysis_of(definition)
    except BadInput as error:
        where = _place(text, error.where or "", name)
        raise BadInput(error.message, hint=error.hint, where=where) from None


def analysis_of(definition: Definition) -> Analysis:
    """The analysis that is meant. Raises BadInput naming what is wrong: "items[2].from"."""
    currency = check_currency(definition.currency)
    return check_analysis(
        Analysis(
            name=definition.name,
            currency=currency,
            base_year=definition.base_year,
            until=definition.until,
            items=tuple(
                _item(definition, line, f"items[{place}]") for place, line in enumerate(definition.items)
            ),
            convention=_convention(definition),
            prices=definition.prices,
            inflation=definition.inflation,
            runs=definition.runs,
            seed=definition.seed,
            rate_spread=definition.rate_spread,
            swing=definition.swing,
        )
    )


def _convention(definition: Definition) -> Convention:
    if bool(definition.convention) == (definition.rate is not None):
        raise BadInput(
            Worded("One of convention and rate is needed, and not both"),
            hint=Worded("Name a convention, or give a rate of your own such as 0.04."),
            where="convention",
        )
    if definition.rate is not None:
        return own_rate(
            definition.rate, timing=definition.timing or Timing.YEAR_ZERO, basis=definition.prices
        )
    return named(definition.convention, timing=definition.timing)


def _item(definition: Definition, line: Line, where: str) -> Item:
    return Item(
        code=line.code,
        name=line.name or line.code,
        kind=line.kind,
        group=line.group,
        amounts=amounts_of(line, definition.base_year, definition.until, definition.currency, where),
        spread=line.spread,
        indicator=line.indicator,
        unit_value=line.unit_value,
        change=None if line.change is None else float(line.change),
        baseline=None if line.baseline is None else float(line.baseline),
    )


def amounts_of(line: Line, base_year: int, until: int, currency: str, where: str) -> dict[int, Decimal]:
    """What a line says, by year of the analysis. Raises BadInput naming the field below `where`."""
    said = [bool(line.amounts), line.amount is not None, line.unit_value is not None]
    if sum(said) != 1:
        raise BadInput(
            Worded("It must be said in one way what is paid or gained"),
            hint=Worded("Give amounts by year, or an amount a year, or a unit value and a change."),
            where=f"{where}.amounts",
        )
    if line.amounts:
        return {year: in_coins(amount, currency) for year, amount in line.amounts.items()}
    first = base_year if line.since is None else line.since
    last = until if line.until is None else line.until
    if not base_year <= first <= last <= until:
        raise BadInput(
            Worded("These years cannot be looked at"),
            hint=Worded("Stay within %(since)s to %(until)s.", since=base_year, until=until),
            where=f"{where}.from",
        )
    if not Decimal("-0.99") <= line.growth <= 10:
        hint = Worded("Write 2 percent a year as 0.02.")
        raise BadInput(Worded("Nothing grows like that"), hint=hint, where=f"{where}.growth")
    return yearly(rounded(_a_year(line, where), currency), first, last, currency, growth=line.growth)


def _a_year(line: Line, where: str) -> Decimal:
    """An amount a year: said, or of the indicator."""
    if line.amount is not None:
        if not 0 <= line.amount <= Decimal(10) ** 15:
            hint = Worded("Write 0 or more: whether it is a cost or a gain is said by its kind.")
            raise BadInput(Worded("This is no amount"), hint=hint, where=f"{where}.amount")
        return line.amount
    if line.change is None or line.unit_value is None or line.unit_value < 0 or line.kind.is_cost:
        raise BadInput(
            Worded("A unit value needs a change, and belongs to a gain"),
            hint=Worded("Say by how much the indicator is to change."),
            where=f"{where}.change",
        )
    return line.unit_value * abs(line.change)


def _place(text: str, path: str, name: str) -> str:
    """Where something stands in the file: "items[2].from" as a line."""
    found = re.match(r"items\[(\d+)\](?:\.(\w+))?|(\w+)", path)
    if found is None:
        return name
    lines = text.splitlines()
    if found[3] is not None:
        return _line(lines, 0, found[3], name)
    heads = [at for at, line in enumerate(lines) if re.match(r"\s*\[\[\s*items\s*\]\]", line)]
    number = int(found[1])
    if number >= len(heads):
        return f"{name}: {path}"
    return _line(lines, heads[number], found[2] or "", name)


def _line(lines: list[str], start: int, key: str, name: str) -> str:
    for at in range(start, len(lines)):
        if at > start and lines[at].lstrip().startswith("["):
            break
        if key and re.match(rf"\s*\[?{key}\s*[\]=]", lines[at]):
            return f"{name} line {at + 1}"
    return f"{name} line {start + 1}"
