"""Contracts: written by one person of the city, concluded by a second, seen by the provider they are with.

The file of a contract is for who manages or examines contracts, and for its provider (see `keeping`). Of a
concluded one everybody sees its name, the provider, and for each settled period the score and what was paid.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo
from typing import Any

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.access.authority import require
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, Edits, check_version
from cityloom.context.publishing import Publishing, new_working_id, public_id, working_id
from cityloom.context.reading import language_property
from cityloom.context.summaries import Derived, Summaries
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.canonical import digest_of
from cityloom.kernel.errors import BadInput, CityError, Conflict, NotAllowed
from cityloom.kernel.texts import check_line
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document, Instance, entity, json_value, prop, rel
from cityloom.planning.contracts.checking import check_amendment, check_exclusion, check_terms
from cityloom.planning.contracts.excluding import (
    check_open,
    waiting_at,
    with_confirmed,
    with_proposed,
    without,
)
from cityloom.planning.contracts.gathering import Exclusion
from cityloom.planning.contracts.keeping import SECRECY, as_the_room
from cityloom.planning.contracts.listing import by_subject, in_order
from cityloom.planning.contracts.model import (
    CONTRACT,
    DECIDED_ON,
    Concluded,
    Contract,
    ContractStatus,
    Step,
    contract_of,
)
from cityloom.planning.contracts.parties import MANAGE, Parties
from cityloom.planning.contracts.publishing import PublicContracts
from cityloom.planning.contracts.terms import Terms

_log = logging.getLogger(__name__)

EXAMINE = "contracts:examine"
#: Steps of its history that a contract keeps.
MOST_STEPS = 500


class Contracts:
    """Writes, concludes and shows contracts. `clock` is the city's, days are those of `zone`."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        parties: Parties,
        actor_now: Callable[[str], Actor | None],
        *,
        zone: tzinfo,
        audit: AuditLog | None = None,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._actor_now = actor_now
        self._audit = audit
        self._editing = Editing(broker)
        self._contracts = Summaries(broker, CONTRACT, contract_of)
        self._lists = Derived(broker, (CONTRACT,), lambda _: in_order(self._contracts.all(CITY)))
        self._about = Derived(broker, (CONTRACT,), lambda _: by_subject(self._lists.of(CITY)))
        self.parties = parties
        #: What everybody sees.
        self._publishing = Publishing(broker, self._editing, "contracts")
        self.public = PublicContracts(broker, self._publishing)
        self.zone = zone

    # -- writing: each raises Conflict when `version` is not what is there -------------------------

    async def draft(self, actor: Actor, terms: Terms, *, origin: str = "entered") -> Contract:
        """A new contract, not in force yet. Needs contracts:manage. Raises BadInput naming the field."""
        require(actor, MANAGE)
        checked = self._check(actor, terms)
        attributes: dict[str, Instance] = {
            **_said(checked),
            "status": prop(ContractStatus.DRAFT.value),
            "authors": json_value([actor.id]),
            "everyAuthor": json_value([actor.id]),
            "dataOrigin": prop(origin),
            "history": self._stepped((), actor, "drafted"),
        }
        document = entity(CONTRACT, new_working_id(CONTRACT), attributes)
        await self._publishing.draft(as_the_room(actor), document, secrecy=SECRECY)
        return self.get(actor, document["id"])

    async def edit(self, actor: Actor, contract_id: str, terms: Terms, *, version: str = "") -> Contract:
        """Write the terms anew. What was concluded stays in force until a second person concludes these."""
        require(actor, MANAGE)
        checked = self._check(actor, terms)

        def edits(contract: Contract) -> Edits:
            if contract.versions:
                check_amendment(contract.standing, checked)
            return {
                **_said(checked),
                **_none_for_missing(checked),
                "authors": json_value(_with(contract.authors, actor.id)),
                "everyAuthor": json_value(_with(contract.every_author, actor.id)),
                "history": self._stepped(contract.history, actor, "edited"),
            }

        return await self._change(actor, contract_id, version, "edit", edits)

    async def conclude(self, actor: Actor, contract_id: str, *, version: str = "") -> Contract:
        """Put the terms in force: by somebody who did not write them, for periods that are still to begin.

        Needs contracts:manage or contracts:examine. The first terms hold from the contract's first day.
        """
        self._require_staff(actor)
        now = self._clock.now()
        before = self.get(actor, contract_id)
        await self._record(actor, "contract.conclude", before.id, terms=digest_of(before.terms))

        def edits(contract: Contract) -> Edits:
            self._check_second(actor, contract)
            if not contract.is_changed:
                raise Conflict(
                    Worded("These terms are in force already"),
                    hint=Worded("Change them first."),
                    where="version",
                )
            self._check(actor, contract.terms)
            concluded = Concluded(
                since=self._in_force_from(contract),
                terms=contract.terms,
                digest=digest_of(contract.terms),
                by=actor.id,
                at=format_instant(now),
            )
            return {
                "status": prop(ContractStatus.CONCLUDED.value),
                "versions": json_value(msgspec.to_builtins([*contract.versions, concluded])),
                "authors": json_value([]),
                "history": self._stepped(contract.history, actor, "concluded"),
            }

        concluded = await self._change(actor, contract_id, version, "conclude", edits)
        await self.show(concluded)
        return concluded

    async def show(self, contract: Contract) -> None:
        """Write what everybody sees of a contract as it is to be now. Raises NotFound for a lost provider."""
        await self.public.show(contract, self.parties.get(contract.standing.provider))

    async def resume(self) -> None:
        """Show everybody what was decided before a process ended that had not shown it yet."""
        await self.read()
        for contract in self._lists.of(CITY):
            try:
                await self.show(contract)
            except CityError as error:
                _log.warning("%s is not shown as it stands: %s", contract.id, error)

    async def exclude(
        self,
        actor: Actor,
        contract_id: str,
        exclusion: Exclusion,
        settled: Iterable[tuple[str, str]] = (),
        *,
        version: str = "",
    ) -> Contract:
        """Propose that some time does not count, by a decision. It counts until a second person confirms it.

        `settled` are the periods that are closed to that, from an instant until before another.
        """
        self._require_staff(actor)
        now = format_instant(self._clock.now())
        checked = check_exclusion(exclusion)
        proposed = Exclusion(
            checked.since, checked.until, checked.reason, checked.decision, by=actor.id, at=now
        )
        check_open(proposed, settled)

        def edits(contract: Contract) -> Edits:
            self._check_not_the_provider(actor, contract.terms.provider)
            return {
                "exclusions": json_value(msgspec.to_builtins(with_proposed(contract, proposed))),
                "history": self._stepped(contract.history, actor, "exclusionProposed", proposed.decision),
            }

        return await self._change(actor, contract_id, version, "exclude", edits)

    async def confirm_exclusion(
        self,
        actor: Actor,
        contract_id: str,
        place: int,
        settled: Iterable[tuple[str, str]] = (),
        *,
        version: str = "",
    ) -> Contract:
        """Agree that the time of the contract's exclusion at `place` does not count: it is money.

        By somebody who did not propose it. Needs contracts:examine. Raises NotAllowed, Conflict.
        """
        require(actor, EXAMINE)
        now = format_instant(self._clock.now())
        closed = tuple(settled)

        def edits(contract: Contract) -> Edits:
            self._check_not_the_provider(actor, contract.terms.provider)
            confirmed = with_confirmed(contract, place, actor, now)
            check_open(confirmed[place], closed)
            return {
                "exclusions": json_value(msgspec.to_builtins(confirmed)),
                "history": self._stepped(contract.history, actor, "excluded", confirmed[place].decision),
            }

        contract = self.get(actor, contract_id)
        found = waiting_at(contract, place)
        await self._record(actor, "contract.exclude", contract.id, since=found.since, until=found.until)
        return await self._change(actor, contract.id, version, "exclude", edits)

    async def drop_exclusion(
        self, actor: Actor, contract_id: str, place: int, *, version: str = ""
    ) -> Contract:
        """Throw away an exclusion that nobody has confirmed. Raises Conflict."""
        self._require_staff(actor)

        def edits(contract: Contract) -> Edits:
            self._check_not_the_provider(actor, contract.terms.provider)
            left = without(contract, place)
            decision = contract.exclusions[place].decision
            return {
                "exclusions": json_value(msgspec.to_builtins(left)),
                "history": self._stepped(contract.history, actor, "exclusionDropped", decision),
            }

        return await self._change(actor, contract_id, version, "exclude", edits)

    async def discard(self, actor: Actor, contract_id: str) -> None:
        """Throw away a contract that was never concluded. Needs contracts:manage."""
        require(actor, MANAGE)
        contract = self.get(actor, contract_id)
        if not contract.is_draft:
            raise Conflict(
                Worded("A contract that was concluded stays"), hint=Worded("Let it end."), where="status"
            )
        await self._broker.delete(as_the_room(actor), contract.id, trace="contracts:discard")

    # -- asking ------------------------------------------------------------------------------------

    def get(self, actor: Actor, contract_id: str) -> Contract:
        """A contract's file: for the staff, and, once it is concluded, for the provider's own accounts.

        The public id leads to the file too. Raises ResourceNotFound, for others as if there were none.
        """
        contract = self._contracts.find(CITY, working_id(check_line(contract_id, where="id", longest=300)))
        if contract is None or not self.may_see(actor, contract):
            raise ResourceNotFound(
                Worded("There is no contract %(id)s", id=contract_id),
                hint=Worded("List the contracts."),
                where="id",
            )
        return contract

    def list(self, actor: Actor) -> Sequence[Contract]:
        """The contracts whose file the actor may see, by name."""
        return [one for one in self._lists.of(CITY) if self.may_see(actor, one)]

    async def read(self) -> None:
        """Read what lists need and was not read yet, in turns with others."""
        await self._contracts.read()
        await self.parties.read()
        await self.public.read()

    def about(self, actor: Actor, entity_id: str) -> Sequence[Contract]:
        """The contracts that pay by an Entity's values, or serve it."""
        return [one for one in self._about.of(CITY).get(public_id(entity_id), ()) if self.may_see(actor, one)]

    def may_see(self, actor: Actor, contract: Contract) -> bool:
        """Whether somebody may read a contract's file."""
        if actor.may(MANAGE) or actor.may(EXAMINE):
            return actor.sees(InformationClass.INTERNAL)
        if contract.is_draft:
            return False
        return self.parties.speaks_for(actor, contract.standing.provider)

    def is_provider(self, actor: Actor, contract: Contract) -> bool:
        """Whether somebody belongs to the party that delivers."""
        return self.parties.is_tied(actor.id, contract.standing.provider)

    # -- inside ------------------------------------------------------------------------------------

    def _require_staff(self, actor: Actor) -> None:
        if not actor.may(EXAMINE):
            require(actor, MANAGE)

    async def _record(self, actor: Actor, did: str, subject: str, **detail: str) -> None:
        if self._audit is not None:
            await self._audit.record(actor, did, subject, detail)

    async def _change(
        self, actor: Actor, contract_id: str, version: str, did: str, decide: Callable[[Contract], Edits]
    ) -> Contract:
        found = self.get(actor, contract_id)

        def edits(document: Document) -> Edits:
            check_version(version, document, DECIDED_ON)
            contract = contract_of(document)
            return decide(contract) if contract else {}

        await self._editing.edit(as_the_room(actor), found.id, edits, trace=f"contracts:{did}")
        return self.get(actor, found.id)

    def _check(self, actor: Actor, terms: Terms) -> Terms:
        """The terms, when they can be settled by somebody who is not the provider."""
        checked = check_terms(terms)
        party = self.parties.get(checked.provider)
        self._check_not_the_provider(actor, party.id)
        examiner = self._actor_now(checked.examiner)
        if examiner is None or not examiner.may(EXAMINE):
            hint = Worded("Choose an account that may examine contracts.")
            raise BadInput(Worded("This is no examiner"), hint=hint, where="examiner")
        if checked.examiner in party.accounts:
            hint = Worded("Whoever delivers does not judge what was delivered.")
            raise BadInput(Worded("The examiner belongs to the provider"), hint=hint, where="examiner")
        for place, line in enumerate(checked.lines):
            if not self._may_be_measured(actor, line.about):
                hint = Worded("Choose an indicator, or an entity that has a history.")
                raise BadInput(
                    Worded("There is no entity %(id)s", id=line.about),
                    hint=hint,
                    where=f"lines.{place}.about",
                )
        if checked.initiative and self._broker.find(actor, checked.initiative) is None:
            raise BadInput(
                Worded("There is no such initiative"),
                hint=Worded("Choose one of the list."),
                where="initiative",
            )
        return checked

    def _may_be_measured(self, actor: Actor, entity_id: str) -> bool:
        """Whether somebody sees an Entity, and the provider may be told of its values."""
        if self._broker.find(actor, entity_id) is None:
            return False
        return self._broker.class_of(actor, entity_id) is not InformationClass.SECURITY

    def _check_second(self, actor: Actor, contract: Contract) -> None:
        if actor.id in contract.authors:
            raise NotAllowed(
                Worded("Who wrote a contract does not conclude it"),
                hint=Worded("Ask a second person who may manage or examine contracts."),
            )
        self._check_not_the_provider(actor, contract.terms.provider)

    def _check_not_the_provider(self, actor: Actor, party_id: str) -> None:
        if self.parties.is_tied(actor.id, party_id):
            raise NotAllowed(
                Worded("Whoever delivers does not write the contract"),
                hint=Worded("Ask somebody who does not belong to the provider."),
            )

    def _in_force_from(self, contract: Contract) -> Any:
        if not contract.versions:
            return contract.terms.starts
        today = self._clock.now().astimezone(self.zone).date()
        coming = [one.first for one in contract.periods() if one.first > today]
        if not coming:
            hint = Worded("Write a new contract.")
            raise Conflict(Worded("No period of the contract is still to begin"), hint=hint, where="terms")
        return coming[0]

    def _stepped(self, steps: Sequence[Step], actor: Actor, did: str, note: str = "") -> Instance:
        step = Step(format_instant(self._clock.now()), actor.id, did, note)
        return json_value(msgspec.to_builtins([*steps, step][-MOST_STEPS:]))


def _said(terms: Terms) -> dict[str, Instance]:
    """The attributes that follow from the terms: they link the contract to what it is about."""
    said = {
        "name": language_property(terms.name),
        "terms": json_value(msgspec.to_builtins(terms)),
        "provider": rel(terms.provider),
        "measures": rel(list(dict.fromkeys(line.about for line in terms.lines))),
    }
    if terms.initiative:
        said["initiative"] = rel(terms.initiative)
    return said


def _none_for_missing(terms: Terms) -> Edits:
    return {} if terms.initiative else {"initiative": None}


def _with(authors: Sequence[str], one: str) -> Sequence[str]:
    return list(dict.fromkeys([*authors, one]))
