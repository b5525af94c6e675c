"""Settling: a period is worked out, sealed, paid; disputed by the provider, decided by a reviewer.

Nothing that is sealed is written again: a decision stands beside it, and later readings are shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.access.authority import require
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, Edits, check_version
from cityloom.context.publishing import public_id
from cityloom.context.reading import word
from cityloom.indicators.ports import EvidenceStore
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.canonical import digest_of
from cityloom.kernel.change import Because
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed, NotFound
from cityloom.kernel.texts import check_line, check_text
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.errors import AlreadyExists
from cityloom.ngsild.model import Document, Instance, entity, json_value, prop, rel
from cityloom.planning.contracts.checking import LONGEST_TEXT, check_exclusion
from cityloom.planning.contracts.contracts import EXAMINE, MOST_STEPS, Contracts
from cityloom.planning.contracts.excluding import check_none_waits
from cityloom.planning.contracts.gathering import Exclusion
from cityloom.planning.contracts.keeping import SECRECY, as_the_room
from cityloom.planning.contracts.kept_readings import Proof, kept_of
from cityloom.planning.contracts.model import (
    SETTLED_ON,
    SETTLEMENT,
    Contract,
    Decision,
    Dispute,
    Payment,
    Settlement,
    Step,
    settlement_of,
)
from cityloom.planning.contracts.parties import MANAGE, PROVIDE
from cityloom.planning.contracts.periods import Period
from cityloom.planning.contracts.separation import check_examiner, check_payer, check_reviewer
from cityloom.planning.contracts.statement import Later, Statement, later_than
from cityloom.planning.contracts.terms import Terms
from cityloom.planning.contracts.working_out import Ledger, Past, WorkingOut
from cityloom.planning.money import Money, check_money

OUTCOMES = ("stands", "recalculated")
_ID = f"urn:ngsi-ld:{SETTLEMENT}:"


class Settlements:
    """Works periods out and settles them. `remembered` waits until history tells what the state tells."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        history: Past,
        contracts: Contracts,
        evidence: EvidenceStore,
        *,
        remembered: Callable[[], Awaitable[None]],
        audit: AuditLog | None = None,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._contracts = contracts
        self._working_out = WorkingOut(history, evidence, contracts.zone)
        self._remembered = remembered
        self._audit = audit
        self._editing = Editing(broker)

    # -- asking: of contracts whose file the actor may see -----------------------------------------

    def of(self, actor: Actor, contract_id: str) -> dict[str, Settlement]:
        """The settlements of a contract by their period's key. Raises ResourceNotFound."""
        contract = self._contracts.get(actor, contract_id)
        return {one.statement.first: one for one in self._contracts.public.settled(contract)}

    def get(self, actor: Actor, contract_id: str, key: str) -> Settlement:
        """The settlement of a period. Raises NotFound."""
        contract = self._contracts.get(actor, contract_id)
        document = self._broker.find(CITY, _settlement_id(contract, key))
        # An id of this form may be another's: only what this room alone writes is a settlement.
        is_one = document is not None and SETTLEMENT in document["type"]
        found = settlement_of(document) if document and is_one else None
        if found is None:
            raise NotFound(
                Worded("This period has not been settled"),
                hint=Worded("Look at the contract."),
                where="period",
            )
        return found

    def period(self, contract: Contract, key: str) -> Period:
        """A period by its key. Raises NotFound."""
        for one in contract.periods():
            if one.key == key:
                return one
        raise NotFound(
            Worded("The contract has no such period"), hint=Worded("Look at the contract."), where="period"
        )

    def is_over(self, period: Period) -> bool:
        """Whether a period is past, by the city's clock."""
        return period.finishes(self._contracts.zone) <= self._clock.now()

    async def compute(
        self, actor: Actor, contract_id: str, key: str, *, more: Sequence[Exclusion] = ()
    ) -> Statement:
        """What a period comes to by what is known now; of one that is not over, by what is known so far."""
        contract = self._contracts.get(actor, contract_id)
        ledger = self._ledger(contract, key, [*contract.excluded, *more])
        return await asyncio.to_thread(self._working_out.statement, ledger, self._now())

    async def later(self, actor: Actor, settlement: Settlement) -> tuple[Later, ...]:
        """What has come since a period was settled. It changes nothing."""
        final = settlement.final
        ledger = self._ledger_of(actor, settlement)
        now = await asyncio.to_thread(self._working_out.statement, ledger, self._now(), final)
        return later_than(final, now)

    async def is_rolled_up(self, actor: Actor, contract_id: str, key: str) -> bool:
        """Whether history tells of some of a period by roll-ups alone."""
        contract = self._contracts.get(actor, contract_id)
        return await asyncio.to_thread(self._working_out.is_rolled_up, self._ledger(contract, key, ()))

    async def proof(self, actor: Actor, settlement: Settlement) -> Proof:
        """Whether what counts can be worked out again from the readings that were kept with it."""
        ledger = self._ledger_of(actor, settlement)
        return await asyncio.to_thread(self._working_out.proof, ledger, settlement.final)

    async def kept(self, actor: Actor, settlement: Settlement, place: int) -> bytes:
        """The table of readings that was kept with a line of what counts. Raises NotFound, Conflict."""
        self._contracts.get(actor, settlement.contract)
        final = settlement.final
        if place not in kept_of(final) or not self._may_see(actor, final.lines[place].evidence.about):
            raise NotFound(
                Worded("No readings were kept"), hint=Worded("Look at the statement."), where="line"
            )
        table = await asyncio.to_thread(self._working_out.table, final, place)
        if table is None:
            hint = Worded("Bring it back from a backup.")
            raise Conflict(Worded("What was kept is gone, or is not what it was"), hint=hint, where="line")
        return table

    def payments(self, actor: Actor) -> list[Settlement]:
        """Settlements of all contracts the actor may see, the oldest first."""
        seen = {one.id for one in self._contracts.list(actor)}
        every = self._contracts.public.every_settlement()
        return sorted((one for one in every if one.contract in seen), key=lambda one: one.settled_at)

    # -- acting ------------------------------------------------------------------------------------

    async def settle(self, actor: Actor, contract_id: str, key: str) -> Settlement:
        """Seal a period that is over, once. By the contract's examiner, who had no hand in the contract.

        Raises NotAllowed, Conflict.
        """
        require(actor, EXAMINE)
        contract = self._contracts.get(actor, contract_id)
        period = self.period(contract, key)
        delivers = self._contracts.is_provider(actor, contract)
        check_examiner(actor, contract, contract.terms_of(period), delivers=delivers)
        if not contract.versions:
            raise Conflict(
                Worded("The contract is not concluded"), hint=Worded("Let a second person conclude it.")
            )
        if not self.is_over(period):
            raise Conflict(
                Worded("The period is not over"), hint=Worded("Settle it once it is."), where="period"
            )
        zone = self._contracts.zone
        check_none_waits(contract, format_instant(period.begins(zone)), format_instant(period.finishes(zone)))
        await self._remembered()
        ledger = self._ledger(contract, key, contract.excluded)
        statement = await asyncio.to_thread(self._working_out.sealed, ledger, self._now())
        document = self._sealed(actor, contract, contract.terms_of(period), statement)
        await self._record(actor, "contract.settle", document["id"], hash=digest_of(statement))
        try:
            await self._broker.create(
                as_the_room(actor), document, information_class=SECRECY, trace="contracts:settle"
            )
        except AlreadyExists:
            hint = Worded("Look at the settlement; the provider may dispute it.")
            raise Conflict(Worded("This period has been settled"), hint=hint, where="period") from None
        return await self._shown(actor, contract, key)

    async def dispute(self, actor: Actor, contract_id: str, key: str, reason: str) -> Settlement:
        """Object to a settlement, as the provider, while it may be. Raises NotAllowed, Conflict."""
        contract = self._contracts.get(actor, contract_id)
        require(actor, PROVIDE)
        if not self._contracts.is_provider(actor, contract):
            hint = Worded("Only an account of the provider may.")
            raise NotAllowed(Worded("You do not speak for the provider"), hint=hint)
        said = check_text(reason, where="reason", longest=LONGEST_TEXT)
        now = self._now()

        def edits(found: Settlement) -> Edits:
            if found.status != "settled":
                hint = Worded("Each settlement is decided on once.")
                raise Conflict(Worded("This settlement has been disputed"), hint=hint, where="status")
            if now > found.dispute_until:
                raise Conflict(
                    Worded("The time for a dispute is over"), hint=found.dispute_until, where="status"
                )
            return {
                "status": prop("disputed"),
                "dispute": json_value(msgspec.to_builtins(Dispute(actor.id, now, said))),
                "history": self._stepped(found, actor, "disputed", now),
            }

        # The provider's words are written by the room: the account itself may write nothing.
        return await self._change(actor, contract, key, "dispute", edits)

    async def decide(
        self,
        actor: Actor,
        contract_id: str,
        key: str,
        outcome: str,
        reasons: str,
        exclusions: Sequence[Exclusion] = (),
    ) -> Settlement:
        """Decide a dispute: by somebody who neither wrote, examined nor settled it, nor delivers.

        "recalculated" works the period out again from what is known now, with these exclusions as well.
        """
        require(actor, EXAMINE)
        contract = self._contracts.get(actor, contract_id)
        before = self.get(actor, contract_id, key)
        delivers = self._contracts.is_provider(actor, contract)
        check_reviewer(actor, contract, before, delivers=delivers)
        if outcome not in OUTCOMES:
            raise BadInput(
                Worded("This is no outcome"),
                hint=Worded("Choose %(names)s.", names=" or ".join(OUTCOMES)),
                where="outcome",
            )
        said = check_text(reasons, where="reasons", longest=LONGEST_TEXT)
        statement = before.statement
        now = self._now()
        if outcome == "recalculated":
            statement = await self._again(contract, before, self._more(actor, exclusions, now))
        decision = Decision(actor.id, now, outcome, said, statement, digest_of(statement))

        def edits(found: Settlement) -> Edits:
            if found.status != "disputed":
                hint = Worded("Only what the provider disputes is decided.")
                raise Conflict(Worded("There is nothing to decide"), hint=hint, where="status")
            return {
                "status": prop("decided"),
                "decision": json_value(msgspec.to_builtins(decision)),
                "because": _because(statement),
                "history": self._stepped(found, actor, "decided", now, outcome),
            }

        await self._record(actor, "contract.decide", before.id, hash=decision.hash, outcome=outcome)
        return await self._change(actor, contract, key, "decide", edits)

    async def pay(
        self,
        actor: Actor,
        contract_id: str,
        key: str,
        amount: Decimal,
        on: date,
        reference: str,
        *,
        version: str = "",
    ) -> Settlement:
        """Write down that money was paid. By somebody who did not settle; never more than is owed."""
        require(actor, MANAGE)
        contract = self._contracts.get(actor, contract_id)
        currency = self.get(actor, contract_id, key).statement.currency
        exact = check_money(Money(amount, currency), where="amount").amount
        said = check_line(reference, where="reference", longest=200)
        delivers = self._contracts.is_provider(actor, contract)
        now = self._now()

        def edits(found: Settlement) -> Edits:
            check_version(version, found.document, SETTLED_ON)
            check_payer(actor, found, delivers=delivers)
            if not 0 < exact <= found.outstanding:
                hint = Worded(
                    "%(outstanding)s %(currency)s is owed.", outstanding=found.outstanding, currency=currency
                )
                raise BadInput(Worded("This is not what is owed"), hint=hint, where="amount")
            payments = [*found.payments, Payment(exact, on, said, actor.id, now)]
            return {
                "payments": json_value(msgspec.to_builtins(payments)),
                "history": self._stepped(found, actor, "paid", now, said),
            }

        await self._record(actor, "contract.pay", _settlement_id(contract, key), amount=str(exact))
        return await self._change(actor, contract, key, "pay", edits)

    # -- inside ------------------------------------------------------------------------------------

    def _ledger(self, contract: Contract, key: str, exclusions: Sequence[Exclusion]) -> Ledger:
        period = self.period(contract, key)
        return Ledger(contract.id, contract.terms_of(period), period, exclusions)

    def _ledger_of(self, actor: Actor, settlement: Settlement) -> Ledger:
        contract = self._contracts.get(actor, settlement.contract)
        return self._ledger(contract, settlement.statement.first, settlement.final.exclusions)

    async def _again(self, contract: Contract, before: Settlement, more: Sequence[Exclusion]) -> Statement:
        await self._remembered()
        ledger = self._ledger(contract, before.statement.first, [*before.statement.exclusions, *more])
        return await asyncio.to_thread(self._working_out.sealed, ledger, self._now(), before.statement)

    def _may_see(self, actor: Actor, about: str) -> bool:
        """What is measured may have become secret since it was agreed on."""
        if self._broker.find(CITY, about) is None:
            return True
        return actor.sees(InformationClass.SECURITY) or (
            self._broker.class_of(CITY, about) is not InformationClass.SECURITY
        )

    def _now(self) -> str:
        return format_instant(self._clock.now())

    def _more(self, actor: Actor, exclusions: Sequence[Exclusion], now: str) -> list[Exclusion]:
        return [msgspec.structs.replace(check_exclusion(one), by=actor.id, at=now) for one in exclusions]

    def _sealed(self, actor: Actor, contract: Contract, terms: Terms, statement: Statement) -> Document:
        now = self._clock.now()
        step = Step(format_instant(now), actor.id, "settled")
        attributes: dict[str, Instance] = {
            "name": prop(f"{next(iter(terms.name.values()))} {statement.first}"),
            "contract": rel(contract.id),
            "status": prop("settled"),
            "statement": json_value(msgspec.to_builtins(statement)),
            "hash": prop(digest_of(statement)),
            "settledBy": prop(actor.id),
            "settledAt": prop(format_instant(now)),
            "disputeUntil": prop(format_instant(now + timedelta(days=terms.dispute_days))),
            "payBy": prop(format_instant(now + timedelta(days=terms.payment_days))),
            "because": _because(statement),
            "dataOrigin": prop(word(contract.document, "dataOrigin") or "entered"),
            "history": json_value(msgspec.to_builtins([step])),
        }
        return entity(SETTLEMENT, _settlement_id(contract, statement.first), attributes)

    async def _change(
        self, actor: Actor, contract: Contract, key: str, did: str, decide: Callable[[Settlement], Edits]
    ) -> Settlement:
        found = self.get(actor, contract.id, key)

        def edits(document: Document) -> Edits:
            settlement = settlement_of(document)
            return decide(settlement) if settlement else {}

        await self._editing.edit(as_the_room(actor), found.id, edits, trace=f"contracts:{did}")
        return await self._shown(actor, contract, key)

    async def _shown(self, actor: Actor, contract: Contract, key: str) -> Settlement:
        await self._contracts.show(contract)
        return self.get(actor, contract.id, key)

    async def _record(self, actor: Actor, did: str, subject: str, **detail: str) -> None:
        if self._audit is not None:
            await self._audit.record(actor, did, subject, detail)

    def _stepped(self, found: Settlement, actor: Actor, did: str, at: str, note: str = "") -> Instance:
        return json_value(msgspec.to_builtins([*found.history, Step(at, actor.id, did, note)][-MOST_STEPS:]))


def _because(statement: Statement) -> Instance:
    pieces: list[Because] = [one for line in statement.lines for one in line.evidence.because]
    return json_value(msgspec.to_builtins(pieces))


def _settlement_id(contract: Contract, key: str) -> str:
    return f"{_ID}{public_id(contract.id).rpartition(':')[2]}:{key[:10]}"
