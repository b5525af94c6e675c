"""Internal rates of return: every rate at which flows are worth nothing, found for certain. Pure.

With x = 1 / (1 + rate) the present value is a polynomial in x. Its positive roots are isolated by Descartes'
rule of signs on exact whole numbers (Vincent, Collins and Akritas), so none is missed and none is made up.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from math import gcd

import msgspec

#: How exactly rates are found, and to how many digits they are told.
_EXACT = Fraction(1, 10**12)
_DIGITS = Decimal("1e-10")
#: More years than this are none of a plan.
MOST_YEARS = 400
#: Halvings until roots count as one: they then differ by less than anybody could tell.
_DEEPEST = 60

Coefficients = list[int]


class InternalRates(msgspec.Struct, frozen=True):
    """The rates a year (0.08 is 8 %), ascending, and how often the flows change sign."""

    rates: tuple[Decimal, ...]
    sign_changes: int

    @property
    def one(self) -> Decimal | None:
        """The rate, where there is exactly one; several say nothing about whether a plan is worth while."""
        return self.rates[0] if len(self.rates) == 1 else None


def internal_rates(flows: Sequence[Decimal]) -> InternalRates:
    """All rates above -100 % at which the flows (a year each, the first not discounted) are worth nothing."""
    polynomial = _whole_numbers(flows[:MOST_YEARS])
    changes = sign_changes(polynomial)
    if not changes:
        return InternalRates((), 0)
    found = {_rate(root) for root in positive_roots(polynomial)}
    return InternalRates(tuple(sorted(found)), changes)


def sign_changes(numbers: Sequence[int | Decimal]) -> int:
    """How often the sign changes from one number to the next; 0 has none."""
    signs = [one > 0 for one in numbers if one]
    return sum(here != there for here, there in pairwise(signs))


def positive_roots(polynomial: Coefficients) -> list[Fraction]:
    """The different positive roots of coefficients (of 1, x, x² …), each to 12 digits."""
    plain = _trimmed(polynomial)
    if sign_changes(plain) != 1:
        plain = _without_repeats(plain)
    if len(plain) < 2:
        return []
    bound = _bound(plain)
    # Stretched so that all positive roots lie between 0 and 1.
    stretched = _primitive([one * bound**place for place, one in enumerate(plain)])
    return sorted(_narrowed(plain, low * bound, high * bound) for low, high in _isolated(stretched))


def _isolated(polynomial: Coefficients) -> list[tuple[Fraction, Fraction]]:
    """Intervals in (0, 1) that hold one root each; of no length for a root that is known."""
    found: list[tuple[Fraction, Fraction]] = []
    waiting = [(polynomial, Fraction(0), Fraction(1), 0)]
    while waiting:
        here, low, width, depth = waiting.pop()
        if here and here[0] == 0:
            found.append((low, low))
            while here and here[0] == 0:
                here = here[1:]
        if len(here) < 2:
            continue
        changes = sign_changes(_shifted(here[::-1]))
        if changes == 0:
            continue
        if changes == 1 or depth >= _DEEPEST:
            found.append((low, low + width))
            continue
        half = width / 2
        degree = len(here) - 1
        left = _primitive([one << (degree - place) for place, one in enumerate(here)])
        waiting.append((left, low, half, depth + 1))
        waiting.append((_shifted(left), low + half, half, depth + 1))
    # 0 is no positive root.
    return [one for one in found if one[1] > 0]


def _narrowed(polynomial: Coefficients, low: Fraction, high: Fraction) -> Fraction:
    """The root between them, by halving. There may be others at the ends."""
    if low == high:
        return high
    below = _value(polynomial, low)
    if below == 0:
        # Just above a root the sign is that of the slope.
        below = _value(_derivative(polynomial), low)
    while low == 0 or high - low > _EXACT * low * low:
        middle = (low + high) / 2
        value = _value(polynomial, middle)
        if value == 0:
            return middle
        if (value > 0) == (below > 0):
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _rate(root: Fraction) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        rate = Decimal(root.denominator) / Decimal(root.numerator) - 1
        return rate.quantize(_DIGITS)


def _whole_numbers(flows: Sequence[Decimal]) -> Coefficients:
    exact = [Fraction(one) for one in flows]
    shared = 1
    for one in exact:
        shared = shared * one.denominator // gcd(shared, one.denominator)
    return [int(one * shared) for one in exact]


def _trimmed(polynomial: Coefficients) -> Coefficients:
    """Without powers of x that divide it all (they have the root 0), and without leading zeros."""
    numbers = list(polynomial)
    while numbers and numbers[-1] == 0:
        numbers.pop()
    while numbers and numbers[0] == 0:
        numbers.pop(0)
    return _primitive(numbers)


def _primitive(polynomial: Coefficients) -> Coefficients:
    shared = gcd(*polynomial) if polynomial else 1
    return [one // shared for one in polynomial] if shared > 1 else polynomial


def _shifted(polynomial: Coefficients) -> Coefficients:
    """Of p(x) the coefficients of p(x + 1)."""
    numbers = list(polynomial)
    for done in range(len(numbers) - 1):
        for place in range(len(numbers) - 2, done - 1, -1):
            numbers[place] += numbers[place + 1]
    return numbers


def _bound(polynomial: Coefficients) -> int:
    """A power of two above every root (Cauchy's)."""
    most = max(abs(one) for one in polynomial[:-1])
    bound = 1 + Fraction(most, abs(polynomial[-1]))
    return 1 << int(bound).bit_length()


def _value(polynomial: Coefficients, at: Fraction) -> int:
    """The polynomial there, times the denominator to the degree: what has its sign."""
    total = 0
    power = 1
    for one in reversed(polynomial):
        total = total * at.numerator + one * power
        power *= at.denominator
    return total


def _derivative(polynomial: Coefficients) -> Coefficients:
    return [place * one for place, one in enumerate(polynomial)][1:]


def _without_repeats(polynomial: Coefficients) -> Coefficients:
    """The same roots, each once: divided by what it shares with its derivative."""
    shared = _shared(polynomial, _derivative(polynomial))
    return polynomial if len(shared) < 2 else _quotient(polynomial, shared)


def _shared(one: Coefficients, other: Coefficients) -> Coefficients:
    """The greatest common divisor of two polynomials, by remainders without fractions."""
    one, other = _primitive(one), _primitive(other)
    while other:
        one, other = other, _primitive(_remainder(one, other))
    return one


def _remainder(dividend: Coefficients, divisor: Coefficients) -> Coefficients:
    rest, lead = list(dividend), divisor[-1]
    while len(rest) >= len(divisor):
        top, gap = rest[-1], len(rest) - len(divisor)
        rest = [one * lead for one in rest]
        for place, one in enumerate(divisor):
            rest[gap + place] -= top * one
        while rest and rest[-1] == 0:
            rest.pop()
    return rest


def _quotient(dividend: Coefficients, divisor: Coefficients) -> Coefficients:
    """Of a division that leaves nothing; up to a constant."""
    rest = [Fraction(one) for one in dividend]
    found = [Fraction()] * (len(dividend) - len(divisor) + 1)
    for gap in range(len(found) - 1, -1, -1):
        found[gap] = rest[gap + len(divisor) - 1] / divisor[-1]
        for place, one in enumerate(divisor):
            rest[gap + place] -= found[gap] * one
    shared = 1
    for part in found:
        shared = shared * part.denominator // gcd(shared, part.denominator)
    return _primitive([int(part * shared) for part in found])
