"""How bids stand: points by the criteria that were announced, and whose bid does not count. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

import msgspec

from cityloom.kernel.worded import Worded
from cityloom.planning.money import Money
from cityloom.planning.procurement.kinds import PRICE, WHOLE
from cityloom.planning.records.model import Record

_FINEST = Decimal("0.01")


class Standing(msgspec.Struct, frozen=True):
    """A bid and how it stands."""

    bid: Record
    #: 0 to 100; None while points lack, or where it does not count.
    points: Decimal | None
    #: Why it does not count; "" where it does.
    left_out: str = ""
    #: Criteria for which no points were given.
    lacking: tuple[str, ...] = ()

    @property
    def price(self) -> Money:
        price: Money = self.bid.values["price"]
        return price


def ranking(tender: Record, bids: Sequence[Record]) -> list[Standing]:
    """The bids, those that count first, the best of them before the others; of equals the cheaper one."""
    priced = [one for one in bids if "price" in one.values]
    counting = [one for one in priced if not _left_out(tender, one, priced)]
    lowest = min((one.values["price"].amount for one in counting), default=Decimal())
    found = [_standing(tender, one, priced, lowest) for one in priced]
    return sorted(found, key=lambda one: (bool(one.left_out), -(one.points or 0), one.price.amount))


def _standing(tender: Record, bid: Record, bids: Sequence[Record], lowest: Decimal) -> Standing:
    out = _left_out(tender, bid, bids)
    if out:
        return Standing(bid, None, out)
    given = {row["criterion"]: row["points"] for row in bid.get("points", ())}
    criteria = tender.get("criteria", ())
    lacking = tuple(
        one["criterion"] for one in criteria if one["measure"] != PRICE and one["criterion"] not in given
    )
    if lacking or not criteria:
        return Standing(bid, None, lacking=lacking)
    whole = Decimal()
    for one in criteria:
        points = _of_price(bid, lowest) if one["measure"] == PRICE else _exact(given[one["criterion"]])
        whole += points * _exact(one["weight"]) / WHOLE
    return Standing(bid, whole.quantize(_FINEST, ROUND_HALF_UP))


def _of_price(bid: Record, lowest: Decimal) -> Decimal:
    price = bid.values["price"].amount
    return Decimal(WHOLE) if price == lowest else lowest * WHOLE / price


def _left_out(tender: Record, bid: Record, bids: Sequence[Record]) -> str:
    """Why a bid does not count."""
    said: str = bid.get("leftOut", "")
    if said:
        return said
    closes, came = tender.get("closes"), bid.get("receivedOn")
    if closes is not None and came is not None and came > closes:
        return Worded("it came too late")
    if bid.values["price"].currency != bids[0].values["price"].currency:
        return Worded("it is in another currency than the first one")
    return ""


def _exact(number: float) -> Decimal:
    return Decimal(repr(float(number)))
