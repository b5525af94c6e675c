"""What everybody sees of a contract: its name, the provider, and of settled periods score and amounts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from cityloom.access.authority import may_write
from cityloom.context.broker import Broker
from cityloom.context.reading import language_property, word
from cityloom.context.summaries import Summaries
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.ngsild.model import Document, Instance, entity, json_value, prop, rel
from cityloom.planning.contracts.model import (
    CONTRACT,
    SETTLEMENT,
    Contract,
    Party,
    Settlement,
    open_id,
    settlement_of,
)
from cityloom.planning.records.model import public_id


class Publishing:
    """Writes the public Entity of each concluded contract."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._settlements = Summaries(broker, SETTLEMENT, settlement_of)

    def every_settlement(self) -> list[Settlement]:
        """The settlements of all contracts. For rooms: whoever asks has been checked."""
        return [one for one in self._settlements.all(CITY) if one is not None]

    def settled(self, contract: Contract) -> list[Settlement]:
        """A contract's settlements by period."""
        found = [one for one in self.every_settlement() if one.contract == contract.id]
        return sorted(found, key=lambda one: one.statement.first)

    async def show(self, contract: Contract, party: Party) -> None:
        """Write what everybody sees of a concluded contract as it is to be now."""
        if contract.is_draft:
            return
        shown = _document(self._broker, contract, party, self.settled(contract))
        writer = may_write(CITY, classify=True)
        trace = "contracts:publish"
        if self._broker.find(CITY, shown["id"]) is None:
            public = InformationClass.OPEN
            await self._broker.create(writer, shown, information_class=public, trace=trace)
        else:
            await self._broker.replace(writer, shown["id"], shown, trace=trace)


def _document(
    broker: Broker, contract: Contract, party: Party, settlements: Sequence[Settlement]
) -> Document:
    terms = contract.standing
    rows = [_row(one) for one in settlements]
    attributes: dict[str, Instance] = {
        "name": language_property(terms.name),
        "providerName": prop(party.name),
        "currency": prop(terms.currency),
        "startsAt": prop(terms.starts.isoformat()),
        "endsAt": prop(terms.ends.isoformat()),
        "periods": json_value(rows),
        "amountPaid": prop(_money(sum((one.paid for one in settlements), Decimal(0)), terms.currency)),
        "dataOrigin": prop(word(contract.document, "dataOrigin") or "entered"),
    }
    # What is not open itself is not named in the open.
    initiative = public_id(terms.initiative)
    if initiative and broker.find(ANONYMOUS, initiative) is not None:
        attributes["initiative"] = rel(initiative)
    return entity(CONTRACT, open_id(contract.id), attributes)


def _row(settlement: Settlement) -> dict[str, Any]:
    final = settlement.final
    return {
        "first": final.first,
        "end": final.end,
        "status": settlement.status,
        "score": None if final.score is None else str(final.score),
        "payable": str(final.payable),
        "paid": str(settlement.paid),
    }


def _money(amount: Decimal, currency: str) -> dict[str, str]:
    return {"amount": str(amount), "currency": currency}
