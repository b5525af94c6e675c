"""Awarding a tender: once, after its last day, with what all bids came to; seen by everybody from then on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, tzinfo
from typing import Any

from cityloom.access.authority import require
from cityloom.context.publishing import public_id
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.texts import check_text
from cityloom.kernel.time import Clock
from cityloom.kernel.worded import Worded
from cityloom.planning.procurement.kinds import BID, MANAGE, TENDER
from cityloom.planning.procurement.ranking import Standing, ranking
from cityloom.planning.records.model import Record
from cityloom.planning.records.records import Records

LONGEST_REASON = 4000


class Awarding:
    """Ranks bids and awards tenders. Days are those of `zone`."""

    def __init__(self, records: Records, clock: Clock, zone: tzinfo) -> None:
        self._records = records
        self._clock = clock
        self._zone = zone

    def standings(self, actor: Actor, tender: Record) -> list[Standing]:
        """How the bids stand that the actor may see."""
        wanted = public_id(tender.id)
        bids = [
            one for one in self._records.list(actor, BID.type) if public_id(one.get("tender", "")) == wanted
        ]
        return ranking(tender, bids)

    async def award(
        self, actor: Actor, tender_id: str, bid_id: str, reason: str, *, version: str = ""
    ) -> Record:
        """Write down who got it and what everybody offered, and publish the tender.

        Needs contracts:manage. Raises BadInput, Conflict.
        """
        require(actor, MANAGE)
        tender = self._records.get(actor, tender_id)
        why = check_text(reason, where="reason", longest=LONGEST_REASON)
        standings = self.standings(actor, tender)
        self._check(tender, standings, bid_id)
        values = {
            "result": tuple(_row(one, won=one.bid.id == public_id(bid_id)) for one in standings),
            "awardedOn": self.today(),
            "reason": why,
        }
        awarded = await self._records.change(
            actor, tender.id, values, version=version, note="awarded", by_room=True
        )
        return await self._records.publish(actor, awarded.id, version=awarded.version)

    def today(self) -> date:
        """The day in the city."""
        return self._clock.now().astimezone(self._zone).date()

    def _check(self, tender: Record, standings: Sequence[Standing], bid_id: str) -> None:
        if tender.kind.type != TENDER.type or tender.get("awardedOn") is not None:
            raise Conflict(
                Worded("It has been awarded already"), hint=Worded("Look at its result."), where="bid"
            )
        closes = tender.get("closes")
        if closes is None or self.today() <= closes:
            raise Conflict(
                Worded("Bids may still come"),
                hint=Worded("Award it after the last day for bids."),
                where="closes",
            )
        if any(one.points is None and not one.left_out for one in standings):
            raise Conflict(
                Worded("Points are missing"),
                hint=Worded("Give every bid that counts its points first."),
                where="bid",
            )
        if not any(one.bid.id == public_id(bid_id) and not one.left_out for one in standings):
            raise BadInput(
                Worded("This bid does not count"), hint=Worded("Choose one that does."), where="bid"
            )


def _row(one: Standing, *, won: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"bidder": next(iter(one.bid.name.values()), ""), "price": one.price, "won": won}
    if one.points is not None:
        row["points"] = float(one.points)
    if one.left_out:
        row["leftOut"] = str(one.left_out)
    return row
