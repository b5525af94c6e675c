"""What everybody sees of a contract: its name, the provider, and of settled periods score and amounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from cityloom.context.broker import Broker
from cityloom.context.editing import Edits
from cityloom.context.publishing import Publishing, public_id
from cityloom.context.reading import ids, language_property, word
from cityloom.context.summaries import Derived, Summaries
from cityloom.kernel.actor import CITY, Actor
from cityloom.ngsild.model import Document, json_value, prop, rel, value_of
from cityloom.planning.contracts.model import (
    CONTRACT,
    SETTLEMENT,
    Contract,
    Party,
    Settlement,
    settlement_of,
)


class PublicContracts:
    """Writes the public Entity of each concluded contract."""

    def __init__(self, broker: Broker, publishing: Publishing) -> None:
        self._publishing = publishing
        self._settlements = Summaries(broker, SETTLEMENT, settlement_of)
        self._settled = Derived(broker, (SETTLEMENT,), lambda _: _by_contract(self.every_settlement()))
        self._copies = Summaries(broker, CONTRACT, _copy_of)
        self._serving = Derived(broker, (CONTRACT,), lambda actor: _by_initiative(self._copies.all(actor)))

    async def read(self) -> None:
        """Read settlements that were not read yet, in turns with others."""
        await self._settlements.read()
        await self._copies.read()

    def every_settlement(self) -> list[Settlement]:
        """The settlements of all contracts. For rooms: whoever asks has been checked."""
        return [one for one in self._settlements.all(CITY) if one is not None]

    def settled(self, contract: Contract) -> list[Settlement]:
        """A contract's settlements by period."""
        return self._settled.of(CITY).get(contract.id, [])

    def copies(self, actor: Actor) -> list[Document]:
        """What everybody sees of contracts, as Entities."""
        return [one for one in self._copies.all(actor) if one is not None]

    def serving(self, actor: Actor, initiative_id: str) -> Sequence[Document]:
        """The same of those that serve an initiative, by its public id."""
        return self._serving.of(actor).get(initiative_id, [])

    async def show(self, contract: Contract, party: Party) -> None:
        """Write what everybody sees of a concluded contract as it is to be now."""
        if contract.is_draft:
            return
        origin = word(contract.document, "dataOrigin")
        said = self._said(contract, party, self.settled(contract))
        await self._publishing.show(CITY, CONTRACT, public_id(contract.id), said, origin=origin)

    def _said(self, contract: Contract, party: Party, settlements: Sequence[Settlement]) -> Edits:
        terms = contract.standing
        rows = [_row(one) for one in settlements]
        initiative = public_id(terms.initiative)
        is_named = initiative and self._publishing.is_open(initiative)
        return {
            "name": language_property(terms.name),
            "providerName": prop(party.name),
            "currency": prop(terms.currency),
            "startsAt": prop(terms.starts.isoformat()),
            "endsAt": prop(terms.ends.isoformat()),
            "periods": json_value(rows),
            "amountPaid": prop(_money(sum((one.paid for one in settlements), Decimal(0)), terms.currency)),
            "initiative": rel(initiative) if is_named else None,
        }


def _by_contract(every: Iterable[Settlement]) -> Mapping[str, list[Settlement]]:
    found: dict[str, list[Settlement]] = {}
    for one in sorted(every, key=lambda one: one.statement.first):
        found.setdefault(one.contract, []).append(one)
    return found


def _copy_of(document: Document) -> Document | None:
    """What everybody sees of a contract; None for what is none of that."""
    return None if value_of(document, "periods") is None else document


def _by_initiative(copies: Iterable[Document | None]) -> Mapping[str, list[Document]]:
    found: dict[str, list[Document]] = {}
    for one in copies:
        if one is not None:
            for initiative in ids(one, "initiative"):
                found.setdefault(initiative, []).append(one)
    return found


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
