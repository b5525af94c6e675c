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
from cityloom.planning.contracts.terms import INDICATOR_VALUE, Terms

#: What an example's Entities say of where they come from.
ORIGIN = "simulated"


def _person(name: str, role: str) -> Actor:
    """Somebody invented: no account, nobody signs in as them."""
    return Actor(f"example:{name}", name, frozenset({role}), permissions_of([role]), clearance_of([role]))


WRITER, SECOND = _person("planner", "planner"), _person("second planner", "planner")
EXAMINER, COUNCIL = _person("examiner", "auditor"), _person("council", "committee")
_PEOPLE = {one.id: one for one in (WRITER, SECOND, EXAMINER, COUNCIL)}


class DemoAgreements:
    """Makes the examples of a city. Each is made once: what stands there already is left as it is."""

    def __init__(self, house: House, agreements: Mapping[str, Any]) -> None:
        """`agreements` are those of `DemoCity.agreements`."""
        self._house = house
        self._said = agreements
        parties = Parties(house.broker, house.clock, _PEOPLE.get)
        self._contracts = Contracts(house.broker, house.clock, parties, _PEOPLE.get, zone=house.zone)
        self._settlements = Settlements(
            house.broker,
            house.clock,
            house.history,
            self._contracts,
            house.evidence,
            remembered=house.all_is_remembered,
        )

    async def begin(self) -> None:
        """Conclude the contracts, settle what is paid on readings, answer the questionnaires.

        Raises BadInput for what the rooms refuse.
        """
        for one in self._said.get("contracts", ()):
            contract = await self._contract(one)
            if not _is_paid_on_indicators(contract):
                await self._settle(contract, one)
        for one in self._said.get("answers", ()):
            await self._answers(one)

    async def go_on(self) -> None:
        """Settle what is paid on indicators, once their past is known."""
        for one in self._said.get("contracts", ()):
            await self._settle(await self._contract(one), one)

    async def _contract(self, said: Mapping[str, Any]) -> Contract:
        for known in self._contracts.list(WRITER):
            if known.terms.name == said["terms"]["name"]:
                return known if known.versions else await self._contracts.conclude(SECOND, known.id)
        party = next((one for one in self._contracts.parties.all() if one.name == said["provider"]), None)
        party = party or await self._contracts.parties.add(WRITER, said["provider"])
        terms = msgspec.convert(
            {**said["terms"], "provider": party.id, "examiner": EXAMINER.id}, Terms, strict=False
        )
        drafted = await self._contracts.draft(WRITER, terms, origin=ORIGIN)
        return await self._contracts.conclude(SECOND, drafted.id)

    async def _settle(self, contract: Contract, said: Mapping[str, Any]) -> None:
        settled = self._settlements.of(EXAMINER, contract.id)
        over = [one for one in contract.periods() if self._settlements.is_over(one)]
        for number, period in enumerate(over[: said["settled"]]):
            if period.key not in settled:
                await self._settlements.settle(EXAMINER, contract.id, period.key)
            if number < said["paid"]:
                await self._pay(contract, period.key)

    async def _pay(self, contract: Contract, key: str) -> None:
        settled = self._settlements.get(SECOND, contract.id, key)
        if settled.outstanding > 0:
            today = self._house.clock.now().astimezone(self._house.zone).date()
            await self._settlements.pay(
                SECOND, contract.id, key, settled.outstanding, today, "Example payment"
            )

    async def _answers(self, said: Mapping[str, Any]) -> None:
        assessments, name = self._house.assessments, said["questionnaire"]
        if name not in assessments.library.questionnaires or assessments.list(WRITER, questionnaire=name):
            return  # another catalogue, or answered already
        answers = {question: Answer(value) for question, value in said["answers"].items()}
        made = await assessments.answer(WRITER, name, answers, origin=ORIGIN)
        if said["published"]:
            await assessments.publish(WRITER, made.id)


def _is_paid_on_indicators(contract: Contract) -> bool:
    return any(line.attribute == INDICATOR_VALUE for line in contract.standing.lines)
