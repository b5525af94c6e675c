"""How much a present value hangs on each input: the tornado, and where each input would turn it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.planning.finance.appraisal import discount_factors, present_values
from cityloom.planning.finance.cash_flows import Analysis
from cityloom.planning.finance.discounting import discounted, scaled
from cityloom.planning.finance.sums import PRECISION, rounded

#: The input that is no item.
DISCOUNT_RATE = "discount rate"
#: A rate is looked for up to so many times the one that is used.
_MOST_TIMES = Decimal(100)


class Swing(msgspec.Struct, frozen=True):
    """The present value of the plan when one input is lower or higher by the analysis' swing."""

    code: str
    name: str
    #: With the input low, and with it high.
    low: Decimal
    high: Decimal
    #: By what the input must be multiplied for the plan to be worth 0; None where nothing does.
    switching: Decimal | None

    @property
    def reach(self) -> Decimal:
        return abs(self.high - self.low)


def tornado(analysis: Analysis) -> tuple[Swing, ...]:
    """Each item and the discount rate, moved alone; what moves the result most comes first."""
    values = present_values(analysis)
    signed = [one.sign * value for one, value in zip(analysis.items, values, strict=True)]
    npv = sum(signed, Decimal())
    found = [
        Swing(
            item.code,
            item.name,
            rounded(npv - value * analysis.swing, analysis.currency),
            rounded(npv + value * analysis.swing, analysis.currency),
            _switching(npv, value),
        )
        for item, value in zip(analysis.items, signed, strict=True)
    ]
    found.append(
        Swing(
            DISCOUNT_RATE,
            DISCOUNT_RATE,
            rounded(_at_rate(analysis, 1 - analysis.swing), analysis.currency),
            rounded(_at_rate(analysis, 1 + analysis.swing), analysis.currency),
            _switching_rate(analysis),
        )
    )
    return tuple(sorted(found, key=lambda one: -one.reach))


def _switching(npv: Decimal, value: Decimal) -> Decimal | None:
    """npv + (factor - 1) value = 0, for a factor of 0 or more."""
    if not value:
        return None
    with localcontext() as context:
        context.prec = PRECISION
        factor = 1 - npv / value
    return factor if factor >= 0 else None


def _at_rate(analysis: Analysis, factor: Decimal) -> Decimal:
    """The present value, unrounded, with the rates so many times as high."""
    moved = msgspec.structs.replace(analysis, convention=scaled(analysis.convention, factor))
    return discounted(moved.net(), discount_factors(moved))


def _switching_rate(analysis: Analysis) -> Decimal | None:
    """The least factor above 0 on the rates at which the plan is worth 0, where the value changes sign."""
    if all(one.rate == 0 for one in analysis.convention.rates):
        return None
    steps = [Decimal(step) / 4 for step in range(17)] + [Decimal(step) for step in (6, 8, 12, 20, 40)]
    before = _worth(analysis, steps[0])
    for low, high in zip(steps, [*steps[1:], _MOST_TIMES], strict=True):
        after = _worth(analysis, high)
        if before is None or after is None:
            return None
        if (before > 0) != (after > 0):
            return _halved(analysis, low, high, rising=after > 0)
        before = after
    return None


def _worth(analysis: Analysis, factor: Decimal) -> Decimal | None:
    try:
        return _at_rate(analysis, factor)
    except BadInput:
        # So high a rate is none.
        return None


def _halved(analysis: Analysis, low: Decimal, high: Decimal, *, rising: bool) -> Decimal:
    for _ in range(50):
        middle = (low + high) / 2
        if (_at_rate(analysis, middle) > 0) == rising:
            high = middle
        else:
            low = middle
    return (low + high) / 2


def npv_of(analysis: Analysis, multiples: Sequence[Decimal]) -> Decimal:
    """The present value, unrounded, with each item so many times as high."""
    return sum(
        (
            one.sign * value * times
            for one, value, times in zip(analysis.items, present_values(analysis), multiples, strict=True)
        ),
        Decimal(),
    )
