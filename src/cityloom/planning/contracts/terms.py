"""What is agreed: who delivers what, how it is measured, what it is paid, who examines it.

Money is in the contract's currency, scores are percentages from 0 to 100, days are days of the city.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum

import msgspec

#: The attribute of a KeyPerformanceIndicator that is its value.
INDICATOR_VALUE = "kpiValue"


class Every(StrEnum):
    """How often a contract is settled."""

    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    ONCE = "once"


class Method(StrEnum):
    """Which one number stands for all readings of a period."""

    MEAN = "mean"
    LEAST = "least"
    MOST = "most"
    TOTAL = "total"
    LAST = "last"


class Direction(StrEnum):
    """Which way is better."""

    HIGHER = "higher"
    LOWER = "lower"


class Rule(StrEnum):
    """How a value becomes a score."""

    #: All or nothing at the target.
    THRESHOLD = "threshold"
    #: In proportion between the worst value (0) and the target (100).
    LINEAR = "linear"
    #: The score of the best band that the value reaches.
    BANDS = "bands"


class WithoutData(StrEnum):
    """What is paid of a line for which too little is known."""

    #: Nothing yet: the price is held back.
    HOLD = "hold"
    #: The price, without bonus or malus.
    PRICE = "price"
    #: As if nothing had been achieved.
    WORST = "worst"


class Band(msgspec.Struct, frozen=True, gc=False):
    """A value that reaches `bound` has at least this score."""

    bound: float
    score: Decimal


class Line(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One promise: what is measured, what is to be reached, what it is worth in each period."""

    name: Mapping[str, str]
    #: The Entity whose readings count: an indicator, a device, whatever has a history.
    about: str
    attribute: str = INDICATOR_VALUE
    method: Method = Method.MEAN
    #: UN/CEFACT; "" for a plain number.
    unit_code: str = ""
    #: How often a reading is to be expected, ISO 8601: PT15M, PT1H, P1D, P1M.
    every: str = "P1D"
    #: Share of the expected readings that must be there, percent.
    least_coverage: Decimal = Decimal(80)
    direction: Direction = Direction.HIGHER
    rule: Rule = Rule.LINEAR
    target: float = 0.0
    #: For LINEAR: the value that scores 0.
    worst: float = 0.0
    bands: tuple[Band, ...] = ()
    #: The score at which the price is paid as it is: a bonus above, a malus below.
    expected: Decimal = Decimal(100)
    price: Decimal = Decimal(0)
    #: At a score of 100 and of 0.
    bonus: Decimal = Decimal(0)
    malus: Decimal = Decimal(0)
    without_data: WithoutData = WithoutData.HOLD

    @property
    def stamped_at_its_end(self) -> bool:
        """Whether a value bears the end of the time it is about, as indicators do."""
        return self.attribute == INDICATOR_VALUE


class Terms(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A contract's terms. Texts are by language."""

    name: Mapping[str, str]
    conditions: Mapping[str, str] = {}
    #: The party that delivers: the id of a ContractParty.
    provider: str
    #: The initiative it serves; "" for none.
    initiative: str = ""
    #: The account that examines, another one than any of the provider's.
    examiner: str
    currency: str
    starts: date
    #: The first day after it.
    ends: date
    every: Every = Every.MONTH
    lines: tuple[Line, ...]
    #: The most that all lines together gain or lose in one period; None without a cap.
    bonus_cap: Decimal | None = None
    malus_cap: Decimal | None = None
    #: For so many days after a settlement the provider may dispute it, and is paid after so many days.
    dispute_days: int = 30
    payment_days: int = 30
