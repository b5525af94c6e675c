"""Amounts of money: exact, in a currency, never a floating point number."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded

#: More than this is a slip of the finger.
MOST = Decimal(10) ** 15

_CODES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF
CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD
HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD
MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN
PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY
TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
#: The currencies of ISO 4217 that cities pay in.
CURRENCIES = frozenset(_CODES.split())

#: Digits after the point where they are not two (ISO 4217).
_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_DIGITS = dict.fromkeys(_NONE.split(), 0) | dict.fromkeys(_THREE.split(), 3)


class Money(msgspec.Struct, frozen=True, gc=False):
    """An amount and its currency. In documents the amount is a text: {"amount": "1200000.00", …}."""

    amount: Decimal
    currency: str


def check_money(money: Money, *, where: str) -> Money:
    """The amount with the currency's digits. Raises BadInput naming `where`.amount or .currency."""
    if money.currency not in CURRENCIES:
        hint = Worded("Use the three letters of ISO 4217, such as EUR or DKK.")
        raise BadInput(
            Worded("%(currency)s is no currency", currency=repr(money.currency[:10])),
            hint=hint,
            where=f"{where}.currency",
        )
    digits = digits_of(money.currency)
    place = f"{where}.amount"
    if not money.amount.is_finite() or not 0 <= money.amount <= MOST:
        raise BadInput(
            Worded("This is no amount of money"),
            hint=Worded("Enter 0 to %(most)s.", most=format(MOST, ",")),
            where=place,
        )
    exact = money.amount.quantize(Decimal(1).scaleb(-digits))
    if exact != money.amount:
        hint = Worded(
            "%(currency)s has %(digits)s digits after the point.", currency=money.currency, digits=digits
        )
        raise BadInput(Worded("The amount is finer than the currency"), hint=hint, where=place)
    return Money(exact, money.currency)


def digits_of(currency: str) -> int:
    """Digits after the point of a currency's amounts."""
    return _DIGITS.get(currency, 2)


def written(money: Money) -> dict[str, str]:
    """As it stands in a document."""
    return {"amount": str(money.amount), "currency": money.currency}


def read(said: Any) -> Money | None:
    """From a document; None for what is no money."""
    if not isinstance(said, dict):
        return None
    try:
        money = Money(Decimal(str(said["amount"])), str(said["currency"]))
        return check_money(money, where="money")
    except (KeyError, InvalidOperation, BadInput):
        return None
