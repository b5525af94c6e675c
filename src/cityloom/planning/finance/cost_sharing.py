"""Who pays what for a service that towns share: by keys, or by Shapley's value. Pure, exact to the coin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from math import factorial

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.outcome import Bars, Column, Figure, Outcome, Series, Table, Unit
from cityloom.planning.finance.sums import apportioned, rounded, rounded_together

#: All coalitions are looked at: 2 to the power of this.
MOST_TOWNS = 12


class Town(msgspec.Struct, frozen=True, kw_only=True):
    """A town: its size, its use of the service, what the service would cost it alone, and is worth to it."""

    name: str
    population: Decimal = Decimal()
    use: Decimal = Decimal()
    #: A year, in the currency; None where it could not have the service alone.
    alone: Decimal | None = None
    worth: Decimal | None = None


class Shares(msgspec.Struct, frozen=True):
    """What each town pays by one key. Together they are the cost, to the coin."""

    key: str
    name: str
    amounts: tuple[Decimal, ...]


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A service that towns share: a fixed cost a year, and one for each unit of use."""

    towns: tuple[Town, ...]
    currency: str
    fixed: Decimal
    per_use: Decimal = Decimal()
    #: Weights of the three keys in a mixed one.
    by_population: Decimal = Decimal(1)
    by_use: Decimal = Decimal(1)
    equally: Decimal = Decimal(1)

    @property
    def cost(self) -> Decimal:
        """Of all together, in coins."""
        return self.cost_of(range(len(self.towns)))

    def cost_of(self, members: Sequence[int] | range) -> Decimal:
        """What some of them together would pay, at most what they would pay each alone; nobody: nothing."""
        if not members:
            return Decimal(0)
        together = self.fixed + self.per_use * sum((self.towns[one].use for one in members), Decimal())
        alone = [self.towns[one].alone for one in members]
        known = [one for one in alone if one is not None]
        cheapest = min(together, sum(known, Decimal())) if len(known) == len(alone) else together
        return rounded(cheapest, self.currency)


def shapley(count: int, cost: Callable[[tuple[int, ...]], Decimal | Fraction]) -> tuple[Fraction, ...]:
    """Each player's mean extra cost over all orders in which they could join. They add up to the whole.

    `cost` is that of a coalition of places, ascending; of () it is 0.
    """
    known = {
        members: Fraction(cost(members))
        for size in range(count + 1)
        for members in combinations(range(count), size)
    }
    found = []
    for player in range(count):
        others = [one for one in range(count) if one != player]
        share = Fraction()
        for size in range(count):
            weight = Fraction(factorial(size) * factorial(count - size - 1), factorial(count))
            for members in combinations(others, size):
                joined = tuple(sorted((*members, player)))
                share += weight * (known[joined] - known[members])
        found.append(share)
    return tuple(found)


def all_shares(service: Service) -> tuple[Shares, ...]:
    """By each key for which there are figures, and by Shapley's value."""
    towns, cost = service.towns, service.cost
    keys = {
        "equal": (Worded("In equal parts"), [Fraction(1)] * len(towns)),
        "population": (Worded("By population"), [Fraction(one.population) for one in towns]),
        "use": (Worded("By use"), [Fraction(one.use) for one in towns]),
    }
    usable = {key: (name, weights) for key, (name, weights) in keys.items() if sum(weights) > 0}
    found = [
        Shares(key, name, apportioned(cost, weights, service.currency))
        for key, (name, weights) in usable.items()
    ]
    if mixed := _mixed(service, {key: weights for key, (_, weights) in usable.items()}):
        found.append(Shares("mixed", Worded("Mixed"), apportioned(cost, mixed, service.currency)))
    if len(towns) <= MOST_TOWNS:
        values = shapley(len(towns), service.cost_of)
        found.append(Shares("shapley", Worded("Shapley value"), rounded_together(values, service.currency)))
    return tuple(found)


def _mixed(service: Service, keys: Mapping[str, Sequence[Fraction]]) -> list[Fraction]:
    """The weighted mean of the keys' shares; empty where no weight is left."""
    wanted = {"equal": service.equally, "population": service.by_population, "use": service.by_use}
    weights = {key: Fraction(wanted[key]) for key in keys if wanted[key] > 0}
    whole = sum(weights.values(), Fraction())
    if not whole:
        return []
    return [
        sum(
            (weight / whole * keys[key][place] / sum(keys[key]) for key, weight in weights.items()),
            Fraction(),
        )
        for place in range(len(service.towns))
    ]


def objections(service: Service, amounts: Sequence[Decimal]) -> tuple[tuple[int, ...], ...]:
    """Coalitions that would pay less by themselves (what the core forbids), the smallest first."""
    towns = range(len(service.towns))
    return tuple(
        members
        for size in range(1, len(service.towns))
        for members in combinations(towns, size)
        if sum((amounts[one] for one in members), Decimal()) > service.cost_of(members)
    )


def cost_sharing(service: Service) -> Outcome:
    """The keys side by side, who would object to each, and whether the service is worth while at all."""
    _check(service)
    every = all_shares(service)
    names = [one.name for one in service.towns]
    against = {one.key: objections(service, one.amounts) for one in every}
    worth = [one.worth for one in service.towns if one.worth is not None]
    all_known = len(worth) == len(names)
    return Outcome(
        currency=service.currency,
        figures=(
            Figure("cost", Worded("Cost a year, together"), service.cost),
            Figure(
                "alone",
                Worded("Cost a year, each alone"),
                _sum_alone(service),
                note="" if _sum_alone(service) is not None else Worded("Not known for each town."),
            ),
            Figure("worth", Worded("Worth a year to all"), sum(worth, Decimal()) if all_known else None),
        ),
        tables=(_shares_table(service, every), _objections_table(service, every, against)),
        drawings=(
            Bars(
                title=Worded("What each town pays, by key"),
                table="shares",
                categories=tuple(names),
                series=tuple(Series(one.name, tuple(map(float, one.amounts))) for one in every),
            ),
        ),
        notes=_NOTES,
        warnings=tuple(_warnings(service, every, against)),
    )


_NOTES = (
    Worded("The shares by each key add up to the cost, to the coin."),
    Worded(
        "Shapley's value is a town's mean extra cost over all orders in which the towns could join. A group "
        "of towns costs the fixed part and its use, or what its members pay each alone if that is less."
    ),
    Worded("A group objects to a key by which it would pay more than by itself."),
)


def _shares_table(service: Service, every: Sequence[Shares]) -> Table:
    columns = (
        Column("town", Worded("Town")),
        Column("alone", Worded("Alone"), Unit.MONEY),
        Column("worth", Worded("Worth to it"), Unit.MONEY),
        *(Column(one.key, one.name, Unit.MONEY) for one in every),
    )
    rows = tuple(
        (town.name, town.alone, town.worth, *(one.amounts[place] for one in every))
        for place, town in enumerate(service.towns)
    )
    foot = (Worded("Sum"), _sum_alone(service), None, *(sum(one.amounts, Decimal()) for one in every))
    return Table("shares", Worded("What each town pays a year"), columns, rows, foot)


def _objections_table(
    service: Service, every: Sequence[Shares], against: Mapping[str, Sequence[tuple[int, ...]]]
) -> Table:
    columns = (
        Column("key", Worded("Key")),
        Column("groups", Worded("Groups that object"), Unit.NUMBER),
        Column("smallest", Worded("The smallest of them")),
    )
    rows = tuple(
        (
            one.name,
            len(against[one.key]),
            ", ".join(service.towns[place].name for place in next(iter(against[one.key]), ())),
        )
        for one in every
    )
    return Table("objections", Worded("Who would be better off alone"), columns, rows)


def _warnings(
    service: Service, every: Sequence[Shares], against: Mapping[str, Sequence[tuple[int, ...]]]
) -> list[str]:
    said: list[str] = []
    alone = _sum_alone(service)
    if alone is not None and service.cost >= alone:
        said.append(Worded("Together it costs no less than each alone: there is nothing to share."))
    worth = [one.worth for one in service.towns]
    if all(one is not None for one in worth):
        total = sum((one for one in worth if one is not None), Decimal())
        if total < service.cost:
            said.append(Worded("It costs more than it is worth to all of them together."))
        elif all(one.worth is not None and one.worth < service.cost for one in service.towns):
            said.append(Worded("No town would run it alone; together it is worth while."))
    if every and all(against[one.key] for one in every):
        said.append(Worded("Some group of towns objects to each of these keys."))
    if len(service.towns) > MOST_TOWNS:
        said.append(Worded("Shapley's value is told for %(most)s towns at most.", most=MOST_TOWNS))
    return said


def _sum_alone(service: Service) -> Decimal | None:
    known = [one.alone for one in service.towns if one.alone is not None]
    return sum(known, Decimal()) if len(known) == len(service.towns) else None


def _check(service: Service) -> None:
    if not 2 <= len(service.towns) <= 100:
        hint = Worded("Name 2 to 100 towns.")
        raise BadInput(Worded("So many towns share nothing"), hint=hint, where="towns")
    for place, town in enumerate(service.towns):
        figures = (town.population, town.use, town.alone or Decimal(), town.worth or Decimal())
        if any(one < 0 for one in figures):
            hint = Worded("Enter 0 or more.")
            raise BadInput(Worded("This is below 0"), hint=hint, where=f"towns.{place}")
    if min(service.fixed, service.per_use, service.by_population, service.by_use, service.equally) < 0:
        raise BadInput(Worded("This is below 0"), hint=Worded("Enter 0 or more."), where="fixed")
