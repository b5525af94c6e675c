"""How a sum is paid back: who is paid how much in which year, to the cent; and what can go wrong. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from cityloom.kernel.findings import noted as n
from cityloom.planning.action.model import Financing, Risk
from cityloom.planning.money import Money, digits_of

#: What each arrangement means, and how its payments are reckoned.
MEANINGS = {
    "none": n("The city pays what arises, when it arises."),
    "deferred": n(
        "The supplier waits: nothing is paid in the first years, while interest is added; then equal yearly "
        "payments."
    ),
    "exportCredit": n(
        "A bank lends under the guarantee of the supplier's country: interest in the first years, then equal "
        "parts of the debt each year with the interest on the rest."
    ),
    "vehicle": n(
        "A company founded for this alone builds, owns and runs it; the city pays it the same sum each year."
    ),
}
#: Risks to begin with, by arrangement.
USUAL_RISKS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "none": (
        (n("The budget is cut before the work is done."), "city"),
        (n("It costs more than planned."), "city"),
    ),
    "deferred": (
        (n("What is put off falls on later budgets."), "city"),
        (n("The supplier fails before the debt is paid."), "partner"),
    ),
    "exportCredit": (
        (n("The currency of the loan rises."), "city"),
        (n("The guarantee binds to suppliers of one country."), "city"),
        (n("The city cannot pay in time."), "insurer"),
    ),
    "vehicle": (
        (n("It is used less than was reckoned."), "shared"),
        (n("The work is late or costs more."), "partner"),
        (n("The company fails and the service stops."), "lender"),
        (n("The contract is too stiff for what is needed later."), "city"),
    ),
}


class Payment(msgspec.Struct, frozen=True):
    """What is paid in a year: interest, and what of the debt is paid off; and the debt that is left."""

    year: int
    interest: Decimal
    paid_off: Decimal
    left: Decimal

    @property
    def paid(self) -> Decimal:
        return self.interest + self.paid_off


class Profile(msgspec.Struct, frozen=True):
    """All payments for a sum. Interest that was added to the debt is paid off with it."""

    principal: Money
    payments: tuple[Payment, ...]

    @property
    def paid(self) -> Decimal:
        return sum((one.paid for one in self.payments), Decimal(0))

    @property
    def price(self) -> Decimal:
        """What the waiting costs."""
        return self.paid - self.principal.amount


def profile_of(principal: Money, financing: Financing) -> Profile | None:
    """The payments of a sum that is paid out at the beginning of the first year; each falls at a year's end.

    None for what is paid as it arises, or while the years are not said.
    """
    if financing.arrangement == "none" or not financing.years or not financing.first_year:
        return None
    coin = Decimal(1).scaleb(-digits_of(principal.currency))
    rate = financing.rate / 100
    if financing.arrangement == "exportCredit":
        payments = _equal_parts(principal.amount, rate, financing, coin)
    else:
        grace = financing.grace_years if financing.arrangement == "deferred" else 0
        payments = _equal_payments(principal.amount, rate, financing, coin, grace)
    return Profile(principal, tuple(payments))


def _equal_parts(debt: Decimal, rate: Decimal, financing: Financing, coin: Decimal) -> list[Payment]:
    part = (debt / financing.years).quantize(coin, ROUND_HALF_EVEN)
    payments = []
    for place in range(financing.grace_years + financing.years):
        interest = (debt * rate).quantize(coin, ROUND_HALF_EVEN)
        is_last = place == financing.grace_years + financing.years - 1
        paid_off = Decimal(0) if place < financing.grace_years else (debt if is_last else min(part, debt))
        debt -= paid_off
        payments.append(Payment(financing.first_year + place, interest, paid_off, debt))
    return payments


def _equal_payments(
    debt: Decimal, rate: Decimal, financing: Financing, coin: Decimal, grace: int
) -> list[Payment]:
    payments = []
    for place in range(grace):
        # Nothing is paid: the interest joins the debt.
        debt += (debt * rate).quantize(coin, ROUND_HALF_EVEN)
        payments.append(Payment(financing.first_year + place, Decimal(0), Decimal(0), debt))
    level = _level(debt, rate, financing.years).quantize(coin, ROUND_HALF_EVEN)
    for place in range(financing.years):
        interest = (debt * rate).quantize(coin, ROUND_HALF_EVEN)
        is_last = place == financing.years - 1
        paid_off = debt if is_last else min(max(level - interest, Decimal(0)), debt)
        debt -= paid_off
        payments.append(Payment(financing.first_year + grace + place, interest, paid_off, debt))
    return payments


def _level(debt: Decimal, rate: Decimal, years: int) -> Decimal:
    """The same payment each year that pays a debt off with its interest."""
    if not rate:
        return debt / years
    return debt * rate / (1 - (1 + rate) ** -years)


def heaviest_first(risks: tuple[Risk, ...]) -> list[Risk]:
    """Risks by likelihood times effect."""
    return sorted(risks, key=lambda one: (-one.weight, one.name))
