"""A demo city's example contracts and answers: written, settled and paid by invented people, and marked so.

They go the way of real ones, through the rooms, so that scores and seals are those of the city's own data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cityloom.access.roles import clearance_of, permissions_of
from cityloom.app.house import House
from cityloom.kernel.actor import Actor
from cityloom.planning.assessments.evaluating import Answer
from cityloom.planning.contracts.contracts import Contracts
from cityloom.planning.contracts.model import Contract
from cityloom.planning.contracts.parties import Parties
from cityloom.planning.contracts.settlements import Settlements
from cityloom.planning.contracts.terms import Terms

#: What an example's Entities say of where they come from.
_ORIGIN = "simulated"


def _person(name: str, role: str) -> Actor:
    """Somebody invented: no account, nobody signs in as them."""
    return Actor(f"example:{name}", name, frozenset({role}), permissions_of([role]), clearance_of([role]))


_WRITER, _SECOND = _person("writer", "planner"), _person("second", "planner")
_EXAMINER = _person("examiner", "auditor")
_PEOPLE = {one.id: one for one in (_WRITER, _SECOND, _EXAMINER)}


class DemoAgreements:
    """Makes the examples of a city that is filled for the first time."""

    def __init__(self, house: House) -> None:
        self._house = house
        parties = Parties(house.broker, _PEOPLE.get)
        self._contracts = Contracts(house.broker, house.clock, parties, _PEOPLE.get, zone=house.zone)
        self._settlements = Settlements(
            house.broker, house.clock, house.history, self._contracts, remembered=house.all_is_remembered
        )

    async def make(self, agreements: Mapping[str, Any]) -> None:
        """Write what `DemoCity.agreements` holds. Raises BadInput for what the rooms refuse."""
        for one in agreements.get("contracts", ()):
            await self._contract(one)
        for one in agreements.get("answers", ()):
            await self._answers(one)

    async def _contract(self, said: Mapping[str, Any]) -> None:
        party = await self._contracts.parties.add(_WRITER, said["provider"])
        terms = msgspec.convert(
            {**said["terms"], "provider": party.id, "examiner": _EXAMINER.id}, Terms, strict=False
        )
        drafted = await self._contracts.draft(_WRITER, terms, origin=_ORIGIN)
        contract = await self._contracts.conclude(_SECOND, drafted.id)
        over = [one for one in contract.periods() if self._settlements.is_over(one)]
        for number, period in enumerate(over[: said["settled"]]):
            await self._settlements.settle(_EXAMINER, contract.id, period.key)
            if number < said["paid"]:
                await self._pay(contract, period.key)

    async def _pay(self, contract: Contract, key: str) -> None:
        settled = self._settlements.get(_SECOND, contract.id, key)
        if settled.outstanding > 0:
            today = self._house.clock.now().astimezone(self._house.zone).date()
            await self._settlements.pay(
                _SECOND, contract.id, key, settled.outstanding, today, "Example payment"
            )

    async def _answers(self, said: Mapping[str, Any]) -> None:
        assessments = self._house.assessments
        if said["questionnaire"] not in assessments.library.questionnaires:
            return  # another catalogue
        answers = {name: Answer(value) for name, value in said["answers"].items()}
        made = await assessments.answer(_WRITER, said["questionnaire"], answers, origin=_ORIGIN)
        if said["published"]:
            await assessments.publish(_WRITER, made.id)
