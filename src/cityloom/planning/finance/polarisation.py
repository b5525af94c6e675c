"""Whether investment widens the gaps between districts: what each gets, held against what it needs. Pure.

Gini's and Theil's indices of investment per unit of need, and the concentration index over districts from the
neediest to the least needy, all weighted by people.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate, pairwise
from math import log

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.outcome import Bars, Column, Curves, Figure, Outcome, Series, Table, Unit

MOST_DISTRICTS = 500
#: CityLoom's proposal; nobody has set one.
USUAL_THRESHOLD = 0.3


class District(msgspec.Struct, frozen=True, kw_only=True):
    """A district: what is invested, who lives there, and how much each needs (1 is the usual)."""

    name: str
    invested: Decimal
    people: float
    need: float = 1.0

    @property
    def weight(self) -> float:
        """Need in all."""
        return self.people * self.need


class Indices(msgspec.Struct, frozen=True):
    """Of investment per unit of need. 0 is even."""

    #: 0 to 1.
    gini: float
    #: 0 to log of the number of districts.
    theil: float
    #: -1 to 1: above 0 the less needy get more for a person, below 0 the needier do.
    concentration: float
    #: Of the Lorenz curve: shares of need and of investment so far, from the worst served.
    curve: tuple[tuple[float, float], ...]


def indices(districts: Sequence[District]) -> Indices:
    """Raises BadInput where nobody needs or gets anything."""
    _check(districts)
    by_service = sorted(districts, key=lambda one: float(one.invested) / one.weight)
    curve = _lorenz([one.weight for one in by_service], [float(one.invested) for one in by_service])
    by_need = sorted(districts, key=lambda one: -one.need)
    ranked = _lorenz_tied(by_need)
    return Indices(
        gini=1 - 2 * _area(curve),
        theil=_theil(districts),
        concentration=1 - 2 * _area(ranked),
        curve=curve,
    )


def _lorenz(across: Sequence[float], up: Sequence[float]) -> tuple[tuple[float, float], ...]:
    whole_across, whole_up = sum(across), sum(up)
    return (
        (0.0, 0.0),
        *(
            (here / whole_across, there / whole_up)
            for here, there in zip(accumulate(across), accumulate(up), strict=True)
        ),
    )


def _lorenz_tied(by_need: Sequence[District]) -> tuple[tuple[float, float], ...]:
    """Of people and investment; districts of the same need as one, so that their order does not matter."""
    people: dict[float, float] = {}
    invested: dict[float, float] = {}
    for one in by_need:
        people[one.need] = people.get(one.need, 0.0) + one.people
        invested[one.need] = invested.get(one.need, 0.0) + float(one.invested)
    return _lorenz(list(people.values()), list(invested.values()))


def _area(curve: Sequence[tuple[float, float]]) -> float:
    return sum((there[0] - here[0]) * (here[1] + there[1]) / 2 for here, there in pairwise(curve))


def _theil(districts: Sequence[District]) -> float:
    invested = sum(float(one.invested) for one in districts)
    needed = sum(one.weight for one in districts)
    return sum(
        share * log(share / (one.weight / needed))
        for one in districts
        if (share := float(one.invested) / invested) > 0
    )


def polarisation(districts: Sequence[District], currency: str, threshold: float = USUAL_THRESHOLD) -> Outcome:
    """The indices, each district's part against its need, and a warning above the threshold."""
    found = indices(districts)
    return Outcome(
        currency=currency,
        figures=(
            Figure(
                "gini", Worded("Gini index of investment against need"), round(found.gini, 4), Unit.NUMBER
            ),
            Figure("theil", Worded("Theil index"), round(found.theil, 4), Unit.NUMBER),
            Figure(
                "concentration",
                Worded("Concentration index"),
                round(found.concentration, 4),
                Unit.NUMBER,
                Worded("Above 0 the less needy get more for a person, below 0 the needier do."),
            ),
            Figure("invested", Worded("Invested"), sum((one.invested for one in districts), Decimal())),
        ),
        tables=(_table(districts), _curve_table(found)),
        drawings=(
            Bars(
                title=Worded("Share of the need and share of the investment"),
                table="districts",
                categories=tuple(one.name for one in districts),
                series=(
                    Series(Worded("Need"), tuple(row[4] * 100 for row in _shares(districts))),
                    Series(Worded("Investment"), tuple(row[5] * 100 for row in _shares(districts))),
                ),
            ),
            Curves(
                title=Worded("Lorenz curve: investment over need, from the worst served"),
                table="curve",
                across=tuple(one[0] * 100 for one in found.curve),
                series=(
                    Series(Worded("Investment"), tuple(one[1] * 100 for one in found.curve)),
                    Series(Worded("Even"), tuple(one[0] * 100 for one in found.curve)),
                ),
                across_label=Worded("Share of the need, %%"),
                up_label=Worded("Share of the investment, %%"),
            ),
        ),
        notes=(
            Worded(
                "Need is people times need per person. Gini: 1 less twice the area under the Lorenz curve."
            ),
            Worded(
                "Theil: the sum of share of investment times the logarithm of that share over the share of "
                "need."
            ),
            Worded(
                "Concentration: as Gini, with districts from the neediest on and people in place of need; "
                "districts of the same need count as one."
            ),
            Worded(
                "The threshold of %(threshold)s is set by the city; there is no standard.",
                threshold=threshold,
            ),
        ),
        warnings=tuple(_warnings(districts, found, threshold)),
    )


def _warnings(districts: Sequence[District], found: Indices, threshold: float) -> list[str]:
    said: list[str] = []
    if found.gini > threshold:
        worst = [row[0] for row in sorted(_shares(districts), key=lambda row: row[6] or 0.0)[:3]]
        said.append(
            Worded(
                "Investment is polarised: Gini %(gini)s is above %(threshold)s. Least for their need get: "
                "%(names)s.",
                gini=round(found.gini, 3),
                threshold=threshold,
                names=", ".join(worst),
            )
        )
    if found.concentration > threshold / 2:
        said.append(Worded("The districts that need least get most for a person."))
    return said


def _shares(districts: Sequence[District]) -> list[tuple[str, Decimal, float, float, float, float, float]]:
    invested = sum(float(one.invested) for one in districts)
    needed = sum(one.weight for one in districts)
    return [
        (
            one.name,
            one.invested,
            one.people,
            one.need,
            one.weight / needed,
            float(one.invested) / invested,
            float(one.invested) / invested / (one.weight / needed),
        )
        for one in districts
    ]


def _table(districts: Sequence[District]) -> Table:
    columns = (
        Column("district", Worded("District")),
        Column("invested", Worded("Invested"), Unit.MONEY),
        Column("people", Worded("People"), Unit.NUMBER),
        Column("need", Worded("Need a person"), Unit.NUMBER),
        Column("share_need", Worded("Share of the need"), Unit.SHARE),
        Column("share_invested", Worded("Share of the investment"), Unit.SHARE),
        Column("ratio", Worded("Investment over need, 1 is even"), Unit.NUMBER),
    )
    rows = tuple(
        (*row[:4], round(row[4], 6), round(row[5], 6), round(row[6], 4)) for row in _shares(districts)
    )
    total = sum((one.invested for one in districts), Decimal())
    foot = (Worded("Sum"), total, sum(one.people for one in districts), None, 1.0, 1.0, None)
    return Table("districts", Worded("Investment against need by district"), columns, rows, foot)


def _curve_table(found: Indices) -> Table:
    columns = (
        Column("need", Worded("Share of the need so far"), Unit.SHARE),
        Column("invested", Worded("Share of the investment so far"), Unit.SHARE),
    )
    rows = tuple((round(here, 6), round(there, 6)) for here, there in found.curve)
    return Table("curve", Worded("Lorenz curve"), columns, rows)


def _check(districts: Sequence[District]) -> None:
    if not 2 <= len(districts) <= MOST_DISTRICTS:
        hint = Worded("Name 2 to %(most)s districts.", most=MOST_DISTRICTS)
        raise BadInput(Worded("So many districts cannot be compared"), hint=hint, where="districts")
    if any(one.people <= 0 or one.need <= 0 or one.invested < 0 for one in districts):
        hint = Worded("People and need are more than 0, investment is 0 or more.")
        raise BadInput(Worded("This is no district"), hint=hint, where="districts")
    if not any(one.invested for one in districts):
        hint = Worded("Enter what is invested in at least one district.")
        raise BadInput(Worded("Nothing is invested anywhere"), hint=hint, where="districts")
