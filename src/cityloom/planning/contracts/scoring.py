"""From a value to a score, from a score to money. Pure, exact, and never better for a worse value."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

import msgspec

from cityloom.planning.contracts.terms import Direction, Line, Rule, WithoutData
from cityloom.planning.money import digits_of

FULL = Decimal(100)
NONE = Decimal(0)
#: Scores are kept to a ten-thousandth of a percent.
_FINEST = Decimal("0.0001")


class Due(msgspec.Struct, frozen=True):
    """What is owed for one line in one period, to the cent."""

    price: Decimal
    bonus: Decimal = NONE
    malus: Decimal = NONE
    #: Of the price, kept back until there are data.
    held: Decimal = NONE

    @property
    def payable(self) -> Decimal:
        return self.price + self.bonus - self.malus - self.held


def score_of(line: Line, value: float) -> Decimal:
    """The score of a value in the line's unit, 0 to 100."""
    if line.rule is Rule.THRESHOLD:
        return FULL if _reaches(line, value, line.target) else NONE
    if line.rule is Rule.BANDS:
        reached = [band.score for band in line.bands if _reaches(line, value, band.bound)]
        return max(reached, default=NONE)
    way = _exact(line.target) - _exact(line.worst)
    share = (_exact(value) - _exact(line.worst)) / way * FULL
    return min(max(share, NONE), FULL).quantize(_FINEST, ROUND_HALF_EVEN)


def due_of(line: Line, score: Decimal | None, currency: str) -> Due:
    """What is owed for a score; None: too little is known."""
    cent = _cent(currency)
    zero = NONE.quantize(cent)
    plain = Due(line.price, zero, zero, zero)
    if score is None:
        if line.without_data is WithoutData.HOLD:
            return msgspec.structs.replace(plain, held=line.price)
        if line.without_data is WithoutData.PRICE:
            return plain
        score = NONE
    if score > line.expected:
        share = (score - line.expected) / (FULL - line.expected)
        return msgspec.structs.replace(plain, bonus=(line.bonus * share).quantize(cent, ROUND_HALF_EVEN))
    if score < line.expected:
        share = (line.expected - score) / line.expected
        return msgspec.structs.replace(plain, malus=(line.malus * share).quantize(cent, ROUND_HALF_EVEN))
    return plain


def capped(
    dues: Sequence[Due], currency: str, *, bonus_cap: Decimal | None, malus_cap: Decimal | None
) -> list[Due]:
    """The same with bonuses and maluses cut down in proportion, so that each sum keeps to its cap."""
    bonuses = _within([one.bonus for one in dues], bonus_cap, currency)
    maluses = _within([one.malus for one in dues], malus_cap, currency)
    return [
        msgspec.structs.replace(one, bonus=bonus, malus=malus)
        for one, bonus, malus in zip(dues, bonuses, maluses, strict=True)
    ]


def total_score(lines: Sequence[Line], scores: Sequence[Decimal | None]) -> Decimal | None:
    """The mean of the lines that have a score, weighed by price, or evenly where nothing has one."""
    known = [(line.price, score) for line, score in zip(lines, scores, strict=True) if score is not None]
    if not known:
        return None
    weights = [price for price, _ in known] if any(price for price, _ in known) else [Decimal(1)] * len(known)
    weighed = sum((weight * score for weight, (_, score) in zip(weights, known, strict=True)), NONE)
    return (weighed / sum(weights)).quantize(_FINEST, ROUND_HALF_EVEN)


def _reaches(line: Line, value: float, bound: float) -> bool:
    return value >= bound if line.direction is Direction.HIGHER else value <= bound


def _exact(value: float) -> Decimal:
    # By its shortest text: 0.1 is a tenth, as whoever agreed on it meant.
    return Decimal(repr(float(value)))


def _cent(currency: str) -> Decimal:
    return Decimal(1).scaleb(-digits_of(currency))


def _within(amounts: Sequence[Decimal], cap: Decimal | None, currency: str) -> list[Decimal]:
    """Amounts cut down in proportion to a sum of `cap`; what rounding leaves goes where it cut most."""
    total = sum(amounts, NONE)
    if cap is None or total <= cap:
        return list(amounts)
    cent = _cent(currency)
    shares = [amount * cap / total for amount in amounts]
    cut = [share.quantize(cent, ROUND_DOWN) for share in shares]
    left = int((cap - sum(cut, NONE)) / cent)
    lost = sorted(range(len(cut)), key=lambda place: (cut[place] - shares[place], place))
    for place in lost[:left]:
        cut[place] += cent
    return cut
