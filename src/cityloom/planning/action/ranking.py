"""Which initiatives are worth doing first: by value, cost, time and effort, weighed as the city weighs them.

    score = 100 × (wv·V + wc·C + wt·T + we·E) / (wv + wc + wt + we)

    V = (value − 1) / 4                    what it is worth to people, 1 to 5
    C = 1 − cost / greatest cost           among those in the same currency
    T = 1 − days / longest time            among all that are ranked
    E = (5 − effort) / 4                   the work it is for the city, 1 to 5; 1/2 where nobody said

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from statistics import median

import msgspec

from cityloom.planning.money import Money

#: A quick win is worth at least this,
WORTH = 4
#: takes at most so many days,
QUICK_DAYS = 180


class Weights(msgspec.Struct, frozen=True):
    """How much each counts, 0 and up; not all of them 0."""

    value: float = 2.0
    cost: float = 1.0
    time: float = 1.0
    effort: float = 0.0

    @property
    def total(self) -> float:
        return self.value + self.cost + self.time + self.effort


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An initiative to be ranked; None is what nobody has said."""

    id: str
    value: int | None
    cost: Money | None
    days: int | None
    effort: int | None = None


class Ranked(msgspec.Struct, frozen=True):
    """An initiative with its score, 0 to 100, the best first; equal scores share a place."""

    candidate: Candidate
    place: int
    score: float
    #: V, C, T and E.
    parts: tuple[float, float, float, float]
    #: and costs no more than half of those in its currency.
    is_quick_win: bool


class Ranking(msgspec.Struct, frozen=True):
    """What is ranked, and what lacks a value, a cost or a time."""

    ranked: tuple[Ranked, ...]
    left_out: tuple[Candidate, ...]


def rank(
    candidates: Sequence[Candidate], weights: Weights | None = None, *, quick_days: int = QUICK_DAYS
) -> Ranking:
    """The candidates by their score; equal ones by id."""
    weights = weights or Weights()
    whole = [one for one in candidates if _is_whole(one)]
    greatest, middle = _costs(whole)
    longest = max((one.days or 0 for one in whole), default=0)
    scored = []
    for one in whole:
        parts = _parts(one, greatest, longest)
        score = 100 * _weighed(parts, weights) / weights.total if weights.total > 0 else 0.0
        scored.append((round(score, 6), one, parts))
    scored.sort(key=lambda found: (-found[0], found[1].id))
    ranked: list[Ranked] = []
    for number, (score, one, parts) in enumerate(scored, start=1):
        place = ranked[-1].place if ranked and ranked[-1].score == score else number
        ranked.append(Ranked(one, place, score, parts, _is_quick_win(one, middle, quick_days)))
    return Ranking(tuple(ranked), tuple(one for one in candidates if not _is_whole(one)))


def _is_whole(one: Candidate) -> bool:
    return one.value is not None and one.cost is not None and one.days is not None


def _costs(whole: Sequence[Candidate]) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """The greatest and the middle cost by currency."""
    by_currency: dict[str, list[Decimal]] = {}
    for one in whole:
        if one.cost is not None:
            by_currency.setdefault(one.cost.currency, []).append(one.cost.amount)
    greatest = {currency: max(amounts) for currency, amounts in by_currency.items()}
    return greatest, {currency: median(amounts) for currency, amounts in by_currency.items()}


def _parts(one: Candidate, greatest: dict[str, Decimal], longest: int) -> tuple[float, float, float, float]:
    assert one.value is not None and one.cost is not None and one.days is not None, (
        "only whole ones are ranked"
    )
    most = greatest[one.cost.currency]
    return (
        (one.value - 1) / 4,
        1.0 - float(one.cost.amount / most) if most else 1.0,
        1.0 - one.days / longest if longest else 1.0,
        0.5 if one.effort is None else (5 - one.effort) / 4,
    )


def _weighed(parts: tuple[float, float, float, float], weights: Weights) -> float:
    value, cost, time, effort = parts
    return value * weights.value + cost * weights.cost + time * weights.time + effort * weights.effort


def _is_quick_win(one: Candidate, middle: dict[str, Decimal], quick_days: int) -> bool:
    assert one.value is not None and one.cost is not None and one.days is not None, (
        "only whole ones are ranked"
    )
    return one.value >= WORTH and one.days <= quick_days and one.cost.amount <= middle[one.cost.currency]
