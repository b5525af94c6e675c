"""Where the money comes from: ten mechanisms, their mix, and how good a mix it is by four criteria. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from importlib.resources import files

import msgspec

from cityloom.kernel.findings import noted as n
from cityloom.planning.action.model import Share
from cityloom.planning.money import Money, digits_of

PAYERS = {
    "taxpayers": n("taxpayers"),
    "users": n("those who use it"),
    "partners": n("partners"),
}
CRITERIA = {
    "stability": n("Stability"),
    "diversification": n("Diversification"),
    "balance": n("Balance"),
    "adaptability": n("Adaptability"),
}


class Mechanism(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A way to fund, with texts by language. The two grades go from 1 to 5."""

    id: str
    #: A key of PAYERS.
    payer: str
    stability: int
    adaptability: int
    name: Mapping[str, str]
    what: Mapping[str, str]
    good: Mapping[str, str]
    bad: Mapping[str, str]
    legal: Mapping[str, str]


class Shipped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file of mechanisms."""

    source: str
    mechanism: tuple[Mechanism, ...]


class Criteria(msgspec.Struct, frozen=True):
    """How a mix does by the four criteria, each from 0 (bad) to 1 (good).

    With s the share of each mechanism, of 1 in all:

        stability       Σ s · (grade − 1) / 4
        adaptability    Σ s · (grade − 1) / 4
        diversification (1 − Σ s²) / (1 − 1/10)         0 for one mechanism, 1 for all ten alike
        balance         (1 − p) / (1 − 1/3)             p: the greatest share that one kind of payer bears
    """

    stability: float
    diversification: float
    balance: float
    adaptability: float


def _shipped() -> Shipped:
    text = files("cityloom.planning.action").joinpath("data/funding_mechanisms.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Shipped)


_SHIPPED = _shipped()
SOURCE = _SHIPPED.source
#: By id, in the order of the table.
MECHANISMS: Mapping[str, Mechanism] = {one.id: one for one in _SHIPPED.mechanism}


def criteria_of(mix: Sequence[Share]) -> Criteria | None:
    """The four criteria of a mix that comes to 100 percent; None for any other."""
    shares = {one.mechanism: one.percent / 100 for one in mix if one.mechanism in MECHANISMS}
    if sum(shares.values()) != 1:
        return None
    payers: dict[str, Decimal] = {}
    for name, share in shares.items():
        payer = MECHANISMS[name].payer
        payers[payer] = payers.get(payer, Decimal(0)) + share
    alike = sum(share * share for share in shares.values())
    return Criteria(
        stability=_graded({name: MECHANISMS[name].stability for name in shares}, shares),
        diversification=float((1 - alike) / (1 - Decimal(1) / len(MECHANISMS))),
        balance=float((1 - max(payers.values())) / (1 - Decimal(1) / len(PAYERS))),
        adaptability=_graded({name: MECHANISMS[name].adaptability for name in shares}, shares),
    )


def _graded(grades: Mapping[str, int], shares: Mapping[str, Decimal]) -> float:
    return float(sum((share * (grades[name] - 1) / 4 for name, share in shares.items()), Decimal(0)))


def parted(amount: Money, mix: Sequence[Share]) -> dict[str, Money]:
    """An amount by mechanism, to the smallest coin: together exactly the amount."""
    coin = Decimal(1).scaleb(-digits_of(amount.currency))
    parts = _parted(amount.amount, {one.mechanism: one.percent for one in mix}, coin)
    return {name: Money(part, amount.currency) for name, part in parts.items()}


def _parted(whole: Decimal, weights: Mapping[str, Decimal], coin: Decimal) -> dict[str, Decimal]:
    """A sum by weights in multiples of `coin`: what rounding leaves goes to the largest remainders."""
    heavy = sum(weights.values(), Decimal(0))
    if not heavy:
        return {}
    exact = {name: whole * weight / heavy for name, weight in weights.items()}
    cut = {name: value.quantize(coin, ROUND_DOWN) for name, value in exact.items()}
    left = int((whole - sum(cut.values(), Decimal(0))) / coin)
    by_rest = sorted(exact, key=lambda name: (cut[name] - exact[name], name))
    for name in by_rest[:left]:
        cut[name] += coin
    return cut


def joined(parts: Iterable[tuple[Money, Sequence[Share]]]) -> dict[str, tuple[Share, ...]]:
    """The mix of many by currency, each weighed with its money."""
    amounts: dict[str, dict[str, Decimal]] = {}
    for amount, mix in parts:
        for name, part in parted(amount, mix).items():
            by_name = amounts.setdefault(amount.currency, {})
            by_name[name] = by_name.get(name, Decimal(0)) + part.amount
    return {currency: _mix(by_name) for currency, by_name in sorted(amounts.items())}


def _mix(amounts: Mapping[str, Decimal]) -> tuple[Share, ...]:
    """Amounts as percent with four digits, together exactly 100."""
    parts = _parted(Decimal(100), amounts, Decimal("0.0001"))
    return tuple(Share(name, parts[name]) for name in MECHANISMS if parts.get(name))
