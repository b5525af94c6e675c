"""A fee that is to change what people do: what they then use and pay, and who bears it. Pure.

Each person answers to the average price they pay, along a straight line through what is used now, whose
slope there is the elasticity. How fair it is, is told by Kakwani's index: how much more unequal payments are
than incomes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.outcome import Bars, Column, Figure, Outcome, Series, Table, Unit
from cityloom.planning.finance.sums import rounded

#: Halvings of an interval until nothing is left of it.
_HALVINGS = 60
#: Elasticities are tried this many times as high: they are what is known least.
_TRIED = (0.5, 1.0, 1.5)
_UNITS = Decimal("0.000001")


class Band(msgspec.Struct, frozen=True):
    """The price of a unit up to so many units a person and year; None for all above."""

    up_to: Decimal | None
    price: Decimal


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """People who are alike. Income and use are a person's, a year."""

    name: str
    people: Decimal
    income: Decimal
    use: Decimal
    #: By how many percent use changes when the price rises by one; 0 or less.
    elasticity: float
    #: What the rule takes off the fee for them: 0.5 is half.
    reduction: Decimal = Decimal()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What is paid now for a unit, and what is to be paid instead."""

    currency: str
    unit: str
    price_now: Decimal
    bands: tuple[Band, ...]
    groups: tuple[Group, ...]
    #: By how much use is to fall: 0.1 is a tenth; None where nothing is aimed at.
    aim: Decimal | None = None
    #: Warn where a group pays more of its income than this: 0.03.
    bearable: Decimal | None = None


class Answer(msgspec.Struct, frozen=True):
    """What a group does, and what all of it pays, now and then."""

    group: Group
    #: Units a person.
    use: Decimal
    paid_now: Decimal
    paid_then: Decimal

    @property
    def income(self) -> Decimal:
        return self.group.income * self.group.people

    @property
    def used_now(self) -> Decimal:
        return self.group.use * self.group.people

    @property
    def used_then(self) -> Decimal:
        return self.use * self.group.people

    @property
    def burden_now(self) -> float:
        return float(self.paid_now / self.income)

    @property
    def burden_then(self) -> float:
        return float(self.paid_then / self.income)


def charge(rule: Rule, units: Decimal, reduction: Decimal) -> Decimal:
    """What a person pays for so many units a year under the new rule, unrounded."""
    paid, below = Decimal(), Decimal()
    for band in rule.bands:
        top = units if band.up_to is None else min(units, band.up_to)
        paid += max(top - below, Decimal()) * band.price
        below = max(below, top)
    return paid * (1 - reduction)


def answers(rule: Rule, times: float = 1.0) -> tuple[Answer, ...]:
    """What each group does and pays; `times` as elastic as is said. Raises BadInput."""
    _check(rule)
    found = []
    for one in rule.groups:
        use = _use(rule, one, times)
        found.append(
            Answer(
                one,
                use,
                rounded(one.people * one.use * rule.price_now, rule.currency),
                rounded(one.people * charge(rule, use, one.reduction), rule.currency),
            )
        )
    return tuple(found)


def kakwani(found: Sequence[Answer], paid: Callable[[Answer], Decimal]) -> float | None:
    """The concentration of payments, by income, less the Gini index of incomes; None where nothing is paid.

    Above 0 who has more pays a larger share of it; below 0 a smaller one.
    """
    incomes, payments = _concentration(found, lambda one: one.income), _concentration(found, paid)
    return None if incomes is None or payments is None else payments - incomes


def fee_simulation(rule: Rule) -> Outcome:
    """The effect of a rule, and its fairness."""
    found = answers(rule)
    return Outcome(
        currency=rule.currency,
        figures=_figures(rule, found),
        tables=(_groups_table(found), _tried_table(rule)),
        drawings=(
            Bars(
                title=Worded("Share of income that is paid"),
                table="groups",
                categories=tuple(one.group.name for one in found),
                series=(
                    Series(Worded("Now"), tuple(one.burden_now for one in found)),
                    Series(Worded("Under the rule"), tuple(one.burden_then for one in found)),
                ),
            ),
        ),
        notes=(
            Worded("A unit is: %(unit)s.", unit=rule.unit),
            Worded(
                "People answer to the average price they pay, along a straight line through what they use "
                "now; its slope there is the elasticity."
            ),
            Worded(
                "Kakwani's index is the concentration of payments over people by income, less the Gini "
                "index of incomes: above 0 who has more pays a larger share of it."
            ),
            Worded("Within a group all are taken to be alike: how unequal they are is not seen."),
        ),
        warnings=tuple(_warnings(rule, found)),
    )


def _use(rule: Rule, group: Group, times: float) -> Decimal:
    """Where what is wanted at the average price is what is used."""
    slope = Decimal(repr(group.elasticity * times))

    def lacks(units: Decimal) -> Decimal:
        average = charge(rule, units, group.reduction) / units
        wanted = group.use * (1 + slope * (average / rule.price_now - 1))
        return max(wanted, Decimal()) - units

    # At a price of 0 most is wanted; nobody uses more than that.
    low, high = _UNITS, max(group.use * (1 - slope), 2 * _UNITS)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if lacks(middle) > 0 else (low, middle)
    return ((low + high) / 2).quantize(_UNITS)


def _concentration(found: Sequence[Answer], what: Callable[[Answer], Decimal]) -> float | None:
    """1 less twice the area below the curve over people from the poorest; groups of one income as one."""
    people: dict[Decimal, Decimal] = {}
    amounts: dict[Decimal, Decimal] = {}
    for one in sorted(found, key=lambda one: one.group.income):
        people[one.group.income] = people.get(one.group.income, Decimal()) + one.group.people
        amounts[one.group.income] = amounts.get(one.group.income, Decimal()) + what(one)
    everybody, whole = sum(people.values(), Decimal()), sum(amounts.values(), Decimal())
    if whole <= 0:
        return None
    across, up = [Decimal()], [Decimal()]
    for income in people:
        across.append(across[-1] + people[income] / everybody)
        up.append(up[-1] + amounts[income] / whole)
    points = list(zip(across, up, strict=True))
    area = sum(((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points)), Decimal())
    return float(1 - 2 * area)


def _figures(rule: Rule, found: Sequence[Answer]) -> tuple[Figure, ...]:
    used_now, used_then = _all(found, lambda one: one.used_now), _all(found, lambda one: one.used_then)
    paid_now, paid_then = _all(found, lambda one: one.paid_now), _all(found, lambda one: one.paid_then)
    change = float(used_then / used_now - 1)
    figures = [
        Figure("use_change", Worded("Change of use"), round(change, 6), Unit.SHARE),
        Figure("used_now", Worded("Units used now"), float(used_now), Unit.NUMBER),
        Figure("used_then", Worded("Units used under the rule"), float(used_then), Unit.NUMBER),
        Figure("paid_now", Worded("Paid now a year"), paid_now),
        Figure("paid_then", Worded("Paid under the rule a year"), paid_then),
        _kakwani_figure(
            "kakwani_now", Worded("Kakwani's index now"), kakwani(found, lambda one: one.paid_now)
        ),
        _kakwani_figure(
            "kakwani_then",
            Worded("Kakwani's index under the rule"),
            kakwani(found, lambda one: one.paid_then),
        ),
    ]
    if rule.aim is not None:
        reached = round(-change / float(rule.aim), 6) if rule.aim else None
        figures.append(Figure("aim", Worded("Of the change that is aimed at"), reached, Unit.SHARE))
    return tuple(figures)


def _kakwani_figure(key: str, label: str, value: float | None) -> Figure:
    note = Worded("Nothing is paid.") if value is None else ""
    return Figure(key, label, None if value is None else round(value, 4), Unit.NUMBER, note)


def _groups_table(found: Sequence[Answer]) -> Table:
    columns = (
        Column("group", Worded("Group")),
        Column("people", Worded("People"), Unit.NUMBER),
        Column("use_now", Worded("Units a person now"), Unit.NUMBER),
        Column("use_then", Worded("Under the rule"), Unit.NUMBER),
        Column("paid_now", Worded("Paid now"), Unit.MONEY),
        Column("paid_then", Worded("Paid under the rule"), Unit.MONEY),
        Column("burden_now", Worded("Share of income now"), Unit.SHARE),
        Column("burden_then", Worded("Share of income under the rule"), Unit.SHARE),
    )
    rows = tuple(
        (
            one.group.name,
            float(one.group.people),
            float(one.group.use),
            round(float(one.use), 3),
            one.paid_now,
            one.paid_then,
            round(one.burden_now, 6),
            round(one.burden_then, 6),
        )
        for one in found
    )
    foot = (
        Worded("Sum"),
        float(_all(found, lambda one: one.group.people)),
        None,
        None,
        _all(found, lambda one: one.paid_now),
        _all(found, lambda one: one.paid_then),
        None,
        None,
    )
    return Table("groups", Worded("What each group does and pays"), columns, rows, foot)


def _tried_table(rule: Rule) -> Table:
    columns = (
        Column("times", Worded("Elasticities times"), Unit.NUMBER),
        Column("use_change", Worded("Change of use"), Unit.SHARE),
        Column("paid", Worded("Paid under the rule"), Unit.MONEY),
        Column("kakwani", Worded("Kakwani's index"), Unit.NUMBER),
    )
    rows = []
    for times in _TRIED:
        found = answers(rule, times)
        used = _all(found, lambda one: one.used_then) / _all(found, lambda one: one.used_now)
        index = kakwani(found, lambda one: one.paid_then)
        rows.append(
            (
                times,
                round(float(used - 1), 6),
                _all(found, lambda one: one.paid_then),
                None if index is None else round(index, 4),
            )
        )
    return Table("tried", Worded("If people answer less, or more"), columns, tuple(rows))


def _warnings(rule: Rule, found: Sequence[Answer]) -> list[str]:
    said: list[str] = []
    poorest = min(found, key=lambda one: one.group.income)
    if poorest.burden_then > poorest.burden_now:
        said.append(Worded("%(name)s have the least, and pay more of it than now.", name=poorest.group.name))
    before = kakwani(found, lambda one: one.paid_now)
    after = kakwani(found, lambda one: one.paid_then)
    if before is not None and after is not None and after < before:
        said.append(Worded("Payments weigh more on those who have less than they do now."))
    if rule.bearable is not None:
        said += [
            Worded("%(name)s would pay more of their income than is bearable.", name=one.group.name)
            for one in found
            if one.burden_then > float(rule.bearable)
        ]
    change = _all(found, lambda one: one.used_then) / _all(found, lambda one: one.used_now) - 1
    if rule.aim is not None and -change < rule.aim:
        said.append(Worded("The rule does not bring the change that is aimed at."))
    return said


def _all(found: Sequence[Answer], what: Callable[[Answer], Decimal]) -> Decimal:
    return sum((what(one) for one in found), Decimal())


def _check(rule: Rule) -> None:
    if rule.price_now <= 0:
        hint = Worded("What people do at another price is told from what they do at this one.")
        raise BadInput(Worded("There is no price now"), hint=hint, where="priceNow")
    _check_bands(rule.bands)
    for one in rule.groups:
        if min(one.people, one.income, one.use) <= 0 or not 0 <= one.reduction <= 1 or one.elasticity > 0:
            hint = Worded(
                "People, income and use are above 0, a reduction is 0 to 100 %%, an elasticity 0 or less."
            )
            raise BadInput(Worded("This group cannot be reckoned with"), hint=hint, where="groups")


def _check_bands(bands: Sequence[Band]) -> None:
    tops = [one.up_to for one in bands[:-1]]
    rising = all(top is not None for top in tops) and all(
        a is not None and b is not None and a < b for a, b in pairwise(tops)
    )
    if not bands or bands[-1].up_to is not None or not rising or any(one.price < 0 for one in bands):
        hint = Worded("Let each reach further than the one before; the last one has no end.")
        raise BadInput(Worded("The bands do not follow each other"), hint=hint, where="bands")
