"""What an amount of a later year is worth today: rates, how they change with the years, and when a year's
flows count. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from enum import StrEnum
from functools import cache
from pathlib import Path

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.sums import PRECISION

_DATA = Path(__file__).parent / "data" / "conventions.toml"


class Timing(StrEnum):
    """Where in a year its flows are thought to lie."""

    #: The base year counts in full; the year after it is discounted by one year.
    YEAR_ZERO = "year-zero"
    #: In the middle of each year, seen from the beginning of the base year.
    MID_YEAR = "mid-year"
    #: At the end of each year, seen from the beginning of the base year.
    YEAR_END = "year-end"


class Basis(StrEnum):
    """Whether amounts or rates follow the prices."""

    #: In the prices of the base year.
    REAL = "real"
    #: In the prices of each year.
    NOMINAL = "nominal"


_BEHIND = {Timing.YEAR_ZERO: Decimal(0), Timing.MID_YEAR: Decimal("0.5"), Timing.YEAR_END: Decimal(1)}


class Rate(msgspec.Struct, frozen=True, rename={"since": "from"}):
    """A rate a year (0.035 is 3.5 %) from a year after the base year on."""

    since: int
    rate: Decimal


class Convention(msgspec.Struct, frozen=True):
    """A way of discounting, and who prescribes it."""

    id: str
    rates: tuple[Rate, ...]
    timing: Timing = Timing.YEAR_ZERO
    basis: Basis = Basis.REAL
    source: str = ""

    @property
    def title(self) -> str:
        return TITLES.get(self.id, _OWN_TITLE)

    def rate_of(self, year: int) -> Decimal:
        """The rate in the year that ends so many years after the base year."""
        return [one.rate for one in self.rates if one.since <= year][-1]


#: What a city sets itself.
OWN = "own"
_OWN_TITLE = Worded("The city's own rate")
#: What those that come along are called.
TITLES: dict[str, str] = {
    "eu_2014_cohesion": Worded(
        "EU Guide to Cost-Benefit Analysis 2014, Cohesion countries: social rate 5 %%"
    ),
    "eu_2014_other": Worded("EU Guide to Cost-Benefit Analysis 2014, other Member States: social rate 3 %%"),
    "eu_2014_financial": Worded("EU Guide to Cost-Benefit Analysis 2014: financial rate 4 %%"),
    "eu_2021": Worded("EU Economic Appraisal Vademecum 2021-2027: social rate 3 %%"),
    "green_book": Worded("HM Treasury Green Book: 3.5 %%, declining after 30 years"),
    "dk_2021": Worded("Danish Ministry of Finance 2021: 3.5 %%, declining after 35 years"),
    "us_a94_1992": Worded("OMB Circular A-94 of 1992: 7 %%, mid-year"),
}


@cache
def conventions() -> Mapping[str, Convention]:
    """Those that come along, by id."""
    said = tomllib.loads(_DATA.read_text(encoding="utf-8"))
    return {one.id: one for one in msgspec.convert(said["conventions"], tuple[Convention, ...])}


def own_rate(rate: Decimal, *, timing: Timing = Timing.YEAR_ZERO, basis: Basis = Basis.REAL) -> Convention:
    """A constant rate that the city sets. Raises BadInput for a rate of -100 % or less."""
    return Convention(OWN, (Rate(0, _checked(rate)),), timing, basis)


def named(convention: str, *, timing: Timing | None = None) -> Convention:
    """One of those that come along, with another timing where one is said. Raises BadInput."""
    found = conventions().get(convention)
    if found is None:
        raise BadInput(
            Worded("There is no convention %(name)s", name=repr(convention[:40])),
            hint=Worded("There are: %(names)s.", names=", ".join(conventions())),
            where="convention",
        )
    return found if timing is None else msgspec.structs.replace(found, timing=timing)


def in_prices(convention: Convention, prices: Basis, inflation: Decimal | None) -> Convention:
    """The convention for flows in these prices: a real rate becomes a nominal one and back (Fisher).

    Raises BadInput where that needs an inflation and none is said.
    """
    if convention.basis is prices:
        return convention
    if inflation is None:
        raise BadInput(
            Worded(
                "The amounts are %(prices)s and the rates are %(rates)s",
                prices=prices.value,
                rates=convention.basis.value,
            ),
            hint=Worded("Say by how much prices rise a year (inflation), or write the amounts accordingly."),
            where="inflation",
        )
    rise = 1 + _checked(inflation, "inflation")
    with localcontext() as context:
        context.prec = PRECISION
        turned = tuple(
            Rate(
                one.since, (1 + one.rate) * rise - 1 if prices is Basis.NOMINAL else (1 + one.rate) / rise - 1
            )
            for one in convention.rates
        )
    return msgspec.structs.replace(convention, rates=turned, basis=prices)


def shifted(convention: Convention, points: Decimal) -> Convention:
    """With each rate higher by so much (0.01: one percentage point)."""
    rates = tuple(Rate(one.since, _checked(one.rate + points)) for one in convention.rates)
    return msgspec.structs.replace(convention, rates=rates)


def scaled(convention: Convention, factor: Decimal) -> Convention:
    """With each rate so many times as high."""
    rates = tuple(Rate(one.since, _checked(one.rate * factor)) for one in convention.rates)
    return msgspec.structs.replace(convention, rates=rates)


def factors(convention: Convention, years: int) -> tuple[Decimal, ...]:
    """What 1 of each year is worth, for the base year and those after it: `years` numbers.

    A declining rate is chained: the first thirty years at their rate, the years after at theirs.
    """
    with localcontext() as context:
        context.prec = PRECISION
        behind = _BEHIND[convention.timing]
        found = []
        whole = Decimal(1)
        for year in range(years):
            ahead = 1 + convention.rate_of(year + 1)
            found.append(whole / _power(ahead, behind))
            whole /= ahead
        return tuple(found)


def discounted(flows: Sequence[Decimal], by: Sequence[Decimal]) -> Decimal:
    """The sum of flows, each times its factor; unrounded."""
    with localcontext() as context:
        context.prec = PRECISION
        return sum((one * factor for one, factor in zip(flows, by, strict=True)), Decimal())


def _power(base: Decimal, exponent: Decimal) -> Decimal:
    if exponent == 0:
        return Decimal(1)
    return base if exponent == 1 else base.sqrt()


def _checked(rate: Decimal, where: str = "rate") -> Decimal:
    if not rate.is_finite() or not Decimal("-0.99") <= rate <= 10:
        raise BadInput(
            Worded("This is no rate a year"),
            hint=Worded("Write 4 percent as 0.04, or as 4 where percent are asked for."),
            where=where,
        )
    return rate
