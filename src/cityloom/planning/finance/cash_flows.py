"""What is paid and gained in which year, by whom: the flows of a cost-benefit analysis. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from enum import StrEnum

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.discounting import Basis, Convention
from cityloom.planning.finance.sums import PRECISION, check_currency, rounded

MOST_ITEMS = 200
MOST_YEARS = 200
MOST_RUNS = 100_000
#: Amounts beyond this are a slip of the finger.
_MOST = Decimal(10) ** 15


class Kind(StrEnum):
    """What an item is. The first two are costs, the others gains."""

    CAPITAL = "capital"
    OPERATING = "operating"
    BENEFIT = "benefit"
    REVENUE = "revenue"
    #: What is still there, and worth something, at the end.
    RESIDUAL = "residual"

    @property
    def is_cost(self) -> bool:
        return self in (Kind.CAPITAL, Kind.OPERATING)


class Shape(StrEnum):
    """How an uncertain input is spread. Numbers are parts of what was written down: 1 is just that."""

    UNIFORM = "uniform"
    TRIANGULAR = "triangular"
    #: The smooth form of a triangle (beta), as project managers use it.
    PERT = "pert"
    #: Of a mean and a standard deviation.
    NORMAL = "normal"
    LOGNORMAL = "lognormal"


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How uncertain an item is: between `low` and `high`, most likely `likely`; or a `deviation` around
    `likely`. All as parts of its amount."""

    shape: Shape
    low: float | None = None
    likely: float = 1.0
    high: float | None = None
    deviation: float | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of costs or gains: an amount in each year, of 0 or more, borne or gained by a group."""

    code: str
    name: str
    kind: Kind
    #: Who bears or gains it.
    group: str
    amounts: Mapping[int, Decimal]
    spread: Spread | None = None
    #: Of a benefit that an indicator measures: its id, and how the amounts come of it.
    indicator: str = ""
    #: Money for one unit of change of the indicator, in one year.
    unit_value: Decimal | None = None
    #: By how much the indicator was promised to change, in its unit; the sign says which way.
    change: float | None = None
    #: The indicator before, in its unit.
    baseline: float | None = None

    @property
    def sign(self) -> int:
        return -1 if self.kind.is_cost else 1


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """A whole cost-benefit analysis as it is written down."""

    name: str
    currency: str
    base_year: int
    #: The last year that is looked at.
    until: int
    items: tuple[Item, ...]
    convention: Convention
    prices: Basis = Basis.REAL
    #: By how much prices rise a year, 0.02 is 2 %.
    inflation: Decimal | None = None
    runs: int = 10_000
    seed: int = 0
    #: How uncertain the discount rate is.
    rate_spread: Spread | None = None
    #: By how much each input is moved in the tornado: 0.1 is 10 %.
    swing: Decimal = Decimal("0.1")

    @property
    def years(self) -> range:
        """The years, the base year first."""
        return range(self.base_year, self.until + 1)

    @property
    def groups(self) -> tuple[str, ...]:
        """Who bears or gains anything, as they come."""
        return tuple(dict.fromkeys(one.group for one in self.items))

    def flow(self, item: Item) -> tuple[Decimal, ...]:
        """An item's amounts by year, all of 0 or more."""
        return tuple(item.amounts.get(year, Decimal()) for year in self.years)

    def net(self) -> tuple[Decimal, ...]:
        """Gains less costs by year, undiscounted."""
        return tuple(
            sum((one.sign * one.amounts.get(year, Decimal()) for one in self.items), Decimal())
            for year in self.years
        )


def yearly(
    amount: Decimal, since: int, until: int, currency: str, *, growth: Decimal = Decimal()
) -> dict[int, Decimal]:
    """The same amount each year, growing by a share; each year in whole coins."""
    with localcontext() as context:
        context.prec = PRECISION
        return {
            year: rounded(amount * (1 + growth) ** (year - since), currency)
            for year in range(since, until + 1)
        }


def check_analysis(analysis: Analysis) -> Analysis:
    """Raises BadInput naming what is wrong: "items[2].amounts"."""
    check_currency(analysis.currency)
    if not 1900 <= analysis.base_year <= 3000 or not 0 <= analysis.until - analysis.base_year < MOST_YEARS:
        raise BadInput(
            Worded("These years cannot be looked at"),
            hint=Worded("The last year is the base year or later, by less than %(most)s.", most=MOST_YEARS),
            where="until",
        )
    if not analysis.items or len(analysis.items) > MOST_ITEMS:
        raise BadInput(
            Worded("There are %(count)s items", count=len(analysis.items)),
            hint=Worded("Write down 1 to %(most)s costs and gains.", most=MOST_ITEMS),
            where="items",
        )
    if not 0 <= analysis.runs <= MOST_RUNS or not 0 <= analysis.seed < 2**63:
        hint = Worded("Ask for %(most)s runs at most, with a seed of 0 or more.", most=f"{MOST_RUNS:,}")
        raise BadInput(Worded("So many runs cannot be made"), hint=hint, where="runs")
    if not 0 < analysis.swing < 1:
        hint = Worded("Write a share between 0 and 1.")
        raise BadInput(Worded("Inputs cannot be moved by that"), hint=hint, where="swing")
    if analysis.rate_spread is not None:
        check_spread(analysis.rate_spread, "rate_spread")
    codes: set[str] = set()
    for place, item in enumerate(analysis.items):
        _check_item(analysis, item, f"items[{place}]")
        if item.code in codes:
            raise BadInput(
                Worded("The code %(code)s stands twice", code=repr(item.code)),
                hint=Worded("Give each item a code of its own."),
                where=f"items[{place}].code",
            )
        codes.add(item.code)
    return analysis


def _check_item(analysis: Analysis, item: Item, where: str) -> None:
    if not item.group:
        hint = Worded("Say who bears or gains it.")
        raise BadInput(Worded("No group is named"), hint=hint, where=f"{where}.group")
    for year, amount in item.amounts.items():
        if year not in analysis.years:
            raise BadInput(
                Worded("%(year)s is none of the years looked at", year=year),
                hint=Worded(
                    "They are %(since)s to %(until)s.", since=analysis.base_year, until=analysis.until
                ),
                where=f"{where}.amounts",
            )
        if not amount.is_finite() or not 0 <= amount <= _MOST:
            raise BadInput(
                Worded("This is no amount"),
                hint=Worded("Write 0 or more: whether it is a cost or a gain is said by its kind."),
                where=f"{where}.amounts",
            )
        if rounded(amount, analysis.currency) != amount:
            hint = Worded("Round it to the currency's smallest coin.")
            raise BadInput(
                Worded("The amount is finer than the currency"), hint=hint, where=f"{where}.amounts"
            )
    if item.spread is not None:
        check_spread(item.spread, f"{where}.spread")


def check_spread(spread: Spread, where: str) -> None:
    """Raises BadInput for a spread that is none."""
    bounded = spread.shape in (Shape.UNIFORM, Shape.TRIANGULAR, Shape.PERT)
    if bounded:
        low, high = spread.low, spread.high
        if low is None or high is None or not 0 <= low <= high <= 100:
            hint = Worded("Give low and high as parts of the amount, such as 0.8 and 1.3.")
            raise BadInput(Worded("This spread has no ends"), hint=hint, where=where)
        if spread.shape is not Shape.UNIFORM and not low <= spread.likely <= high:
            hint = Worded("Put `likely` between low and high.")
            raise BadInput(Worded("What is likely lies outside"), hint=hint, where=f"{where}.likely")
    elif spread.deviation is None or not 0 <= spread.deviation <= 10 or not 0 < spread.likely <= 100:
        hint = Worded("Give a deviation as a part of the amount, such as 0.2.")
        raise BadInput(Worded("This spread has no deviation"), hint=hint, where=f"{where}.deviation")
