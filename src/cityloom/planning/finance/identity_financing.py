"""A digital identity and who pays for it: the public sector, both, or the private sector. Pure.

The three ways are those that the ITU's study of smart societies names; the costs are the city's own.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from enum import StrEnum

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.discounting import Convention, discounted, factors
from cityloom.planning.finance.outcome import Bars, Column, Figure, Outcome, Series, Table, Unit
from cityloom.planning.finance.sums import PRECISION, apportioned, rounded, rounded_together


class Payer(StrEnum):
    """Who pays."""

    PUBLIC = "public"
    BOTH = "both"
    PRIVATE = "private"


NAMES = {
    Payer.PUBLIC: Worded("The public sector pays"),
    Payer.BOTH: Worded("Public and private sector pay"),
    Payer.PRIVATE: Worded("The private sector pays"),
}
JUDGEMENTS = {
    Payer.PUBLIC: Worded("Free for whoever relies on it, so it spreads soonest; it hangs on one budget."),
    Payer.BOTH: Worded("Whoever gains pays a part; it must be settled who that is, and what a check costs."),
    Payer.PRIVATE: Worded("No public money; a fee that covers all may keep small firms and the poor out."),
}


class Scheme(msgspec.Struct, frozen=True, kw_only=True):
    """An identity scheme: costs in money, people and checks as numbers, over years from the base year on."""

    payer: Payer
    currency: str
    years: int
    convention: Convention
    set_up: Decimal
    a_year: Decimal
    people: int
    #: For each person who is enrolled, once, spread evenly over `enrolment_years`.
    per_person: Decimal = Decimal()
    enrolment_years: int = 1
    #: Checks of an identity a year for each person enrolled, by public bodies and by private firms.
    public_checks: Decimal = Decimal()
    private_checks: Decimal = Decimal()
    per_check: Decimal = Decimal()
    #: What the private sector bears where both pay: 0.4 is 40 %.
    private_share: Decimal = Decimal("0.5")


class SchemeYear(msgspec.Struct, frozen=True):
    """A year of the scheme: 0 is the base year."""

    year: int
    enrolled: int
    cost: Decimal
    private_checks: Decimal


def years_of(scheme: Scheme) -> tuple[SchemeYear, ...]:
    """Cost and checks by year. Who is enrolled in a year is checked for the whole of it."""
    found = []
    before = 0
    for year in range(scheme.years):
        enrolled = scheme.people * min(year + 1, scheme.enrolment_years) // scheme.enrolment_years
        checks = enrolled * (scheme.public_checks + scheme.private_checks)
        cost = scheme.a_year + (enrolled - before) * scheme.per_person + checks * scheme.per_check
        if year == 0:
            cost += scheme.set_up
        found.append(
            SchemeYear(year, enrolled, rounded(cost, scheme.currency), enrolled * scheme.private_checks)
        )
        before = enrolled
    return tuple(found)


def split(scheme: Scheme, payer: Payer) -> tuple[tuple[Decimal, Decimal], ...]:
    """By year what the public and what the private sector bears; together the cost, to the coin."""
    share = {Payer.PUBLIC: Decimal(0), Payer.BOTH: scheme.private_share, Payer.PRIVATE: Decimal(1)}[payer]
    return tuple(
        (parts[0], parts[1])
        for parts in (apportioned(one.cost, (1 - share, share), scheme.currency) for one in years_of(scheme))
    )


def fee(scheme: Scheme, payer: Payer) -> Decimal | None:
    """What a private check must cost for the private part to be met over all years; None without checks."""
    by = factors(scheme.convention, scheme.years)
    checks = discounted([one.private_checks for one in years_of(scheme)], by)
    if not checks:
        return None
    with localcontext() as context:
        context.prec = PRECISION
        return discounted([private for _, private in split(scheme, payer)], by) / checks


def identity_financing(scheme: Scheme) -> Outcome:
    """The chosen way in full, and all three side by side."""
    _check(scheme)
    by = factors(scheme.convention, scheme.years)
    public, private, whole = _worth(scheme, scheme.payer, by)
    asked = fee(scheme, scheme.payer)
    return Outcome(
        currency=scheme.currency,
        figures=(
            Figure("cost", Worded("Present value of all costs"), whole),
            Figure("public", Worded("Borne by the public sector"), public),
            Figure("private", Worded("Borne by the private sector"), private),
            Figure(
                "fee",
                Worded("Fee for a private check that covers the private part"),
                None if asked is None else round(float(asked), 4),
                Unit.NUMBER,
                Worded("There are no private checks.") if asked is None else "",
            ),
        ),
        tables=(_ways_table(scheme, by), _years_table(scheme)),
        drawings=(_drawn(scheme, by),),
        notes=(
            JUDGEMENTS[scheme.payer],
            Worded("Each year's cost is split to the coin; present values at %(name)s.", name=_name(scheme)),
            Worded("The fee is the same in all years: private part over private checks, both discounted."),
        ),
        warnings=()
        if asked is not None or scheme.payer is Payer.PUBLIC
        else (Worded("There are no private checks, so nothing pays for the private part."),),
    )


def _worth(scheme: Scheme, payer: Payer, by: tuple[Decimal, ...]) -> tuple[Decimal, Decimal, Decimal]:
    """Present values: public, private, all."""
    parts = split(scheme, payer)
    public, private = rounded_together(
        [discounted([one[0] for one in parts], by), discounted([one[1] for one in parts], by)],
        scheme.currency,
    )
    return public, private, public + private


def _ways_table(scheme: Scheme, by: tuple[Decimal, ...]) -> Table:
    columns = (
        Column("way", Worded("Who pays")),
        Column("public", Worded("Public sector"), Unit.MONEY),
        Column("private", Worded("Private sector"), Unit.MONEY),
        Column("all", Worded("All"), Unit.MONEY),
        Column("person", Worded("Public cost a person"), Unit.NUMBER),
        Column("fee", Worded("Fee a private check"), Unit.NUMBER),
        Column("judgement", Worded("What it means")),
    )
    rows = []
    for payer in Payer:
        public, private, whole = _worth(scheme, payer, by)
        asked = fee(scheme, payer)
        rows.append(
            (
                NAMES[payer],
                public,
                private,
                whole,
                round(float(public) / scheme.people, 4) if scheme.people else None,
                None if asked is None else round(float(asked), 4),
                JUDGEMENTS[payer],
            )
        )
    return Table("ways", Worded("The three ways side by side, as present values"), columns, tuple(rows))


def _years_table(scheme: Scheme) -> Table:
    columns = (
        Column("year", Worded("Year of the scheme"), Unit.NUMBER),
        Column("enrolled", Worded("People enrolled"), Unit.NUMBER),
        Column("cost", Worded("Cost"), Unit.MONEY),
        Column("public", Worded("Public sector"), Unit.MONEY),
        Column("private", Worded("Private sector"), Unit.MONEY),
    )
    parts = split(scheme, scheme.payer)
    years = years_of(scheme)
    rows = tuple(
        (one.year + 1, one.enrolled, one.cost, public, private)
        for one, (public, private) in zip(years, parts, strict=True)
    )
    foot = (
        Worded("Sum"),
        None,
        sum((one.cost for one in years), Decimal()),
        sum((one[0] for one in parts), Decimal()),
        sum((one[1] for one in parts), Decimal()),
    )
    return Table("years", Worded("Costs by year"), columns, rows, foot)


def _drawn(scheme: Scheme, by: tuple[Decimal, ...]) -> Bars:
    worths = [_worth(scheme, payer, by) for payer in Payer]
    return Bars(
        title=Worded("Who bears the cost, by way of financing"),
        table="ways",
        categories=tuple(NAMES[payer] for payer in Payer),
        series=(
            Series(Worded("Public sector"), tuple(float(one[0]) for one in worths)),
            Series(Worded("Private sector"), tuple(float(one[1]) for one in worths)),
        ),
        stacked=True,
    )


def _name(scheme: Scheme) -> str:
    return f"{float(scheme.convention.rate_of(0)) * 100:g} %"


def _check(scheme: Scheme) -> None:
    if not 1 <= scheme.years <= 60 or not 1 <= scheme.enrolment_years <= scheme.years:
        hint = Worded("Look at 1 to 60 years, and enrol people within them.")
        raise BadInput(Worded("These years cannot be looked at"), hint=hint, where="years")
    amounts = (scheme.set_up, scheme.a_year, scheme.per_person, scheme.per_check)
    if min(*amounts, scheme.public_checks, scheme.private_checks) < 0 or scheme.people < 0:
        raise BadInput(Worded("This is below 0"), hint=Worded("Enter 0 or more."), where="people")
    if not 0 <= scheme.private_share <= 1:
        hint = Worded("Write a share between 0 and 1.")
        raise BadInput(Worded("This is no share"), hint=hint, where="privateShare")
