"""Amounts that add up: rounded to the currency's smallest coin so that the parts are the whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.money import CURRENCIES, Money, digits_of

#: Digits that intermediate results keep.
PRECISION = 40


def coin_of(currency: str) -> Decimal:
    """The smallest amount of a currency: 0.01 for EUR, 1 for JPY."""
    return Decimal(1).scaleb(-digits_of(currency))


def rounded(amount: Decimal | Fraction, currency: str) -> Decimal:
    """To the smallest coin, halves away from zero."""
    with localcontext() as context:
        context.prec = PRECISION
        exact = amount if isinstance(amount, Decimal) else _decimal(amount)
        return exact.quantize(coin_of(currency), ROUND_HALF_UP)


def in_coins(amount: Decimal, currency: str) -> Decimal:
    """The same amount with the currency's digits; one that is finer stays as it is."""
    exact = rounded(amount, currency) if amount.is_finite() else amount
    return exact if exact == amount else amount


def rounded_together(amounts: Sequence[Decimal | Fraction], currency: str) -> tuple[Decimal, ...]:
    """Each to the smallest coin, up or down, so that they add up to the rounded sum (largest remainder).

    Where remainders are the same the earlier ones get the coin.
    """
    coin = Fraction(coin_of(currency))
    counts = [Fraction(one) / coin for one in amounts]
    whole = [_floor(one) for one in counts]
    missing = _half_up(sum(counts, Fraction())) - sum(whole)
    order = sorted(range(len(whole)), key=lambda place: (whole[place] - counts[place], place))
    for place in order[:missing]:
        whole[place] += 1
    return tuple(_of_coins(one, currency) for one in whole)


def apportioned(
    total: Decimal, weights: Sequence[Decimal | Fraction | int], currency: str
) -> tuple[Decimal, ...]:
    """A total by weights of 0 or more: the parts are coins and their sum is the total to the coin.

    Raises BadInput where no weight is above 0.
    """
    exact = [Fraction(one) for one in weights]
    whole = sum(exact, Fraction())
    if whole <= 0 or any(one < 0 for one in exact):
        raise BadInput(
            Worded("There is nothing to share by"),
            hint=Worded("Give each party a weight of 0 or more, and one of them more than 0."),
        )
    return rounded_together([Fraction(total) * one / whole for one in exact], currency)


def one_currency(amounts: Iterable[Money], where: str = "") -> str:
    """The currency of all of them; "" for none. Raises BadInput where there are several: they do not add."""
    found = sorted({one.currency for one in amounts})
    if len(found) > 1:
        raise BadInput(
            Worded("These amounts are in %(currencies)s", currencies=", ".join(found)),
            hint=Worded("Write all of them in one currency: nothing here converts."),
            where=where or None,
        )
    return found[0] if found else ""


def check_currency(currency: str, where: str = "currency") -> str:
    """Raises BadInput for what is no currency."""
    if currency not in CURRENCIES:
        raise BadInput(
            Worded("%(said)s is no currency", said=repr(currency[:10])),
            hint=Worded("Use the three letters of ISO 4217, such as EUR or DKK."),
            where=where,
        )
    return currency


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)


def _floor(number: Fraction) -> int:
    return number.numerator // number.denominator


def _half_up(number: Fraction) -> int:
    """Halves away from zero, as `rounded` has them."""
    return _floor(number + Fraction(1, 2)) if number >= 0 else -_floor(-number + Fraction(1, 2))


def _of_coins(count: int, currency: str) -> Decimal:
    return (Decimal(count) * coin_of(currency)).quantize(coin_of(currency), ROUND_FLOOR)
