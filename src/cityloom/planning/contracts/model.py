"""Contracts, parties and settlements as they are read from their Entities."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
import orjson

from cityloom.context.editing import version_of
from cityloom.context.reading import ids, instant, items, word
from cityloom.kernel.canonical import is_digest_of
from cityloom.ngsild.model import Document, value_of
from cityloom.planning.contracts.gathering import Exclusion
from cityloom.planning.contracts.periods import Period, periods_of
from cityloom.planning.contracts.statement import Statement
from cityloom.planning.contracts.terms import Terms

PARTY = "ContractParty"
CONTRACT = "ServiceContract"
SETTLEMENT = "ContractSettlement"

#: What a decision about a contract is made on.
DECIDED_ON = ("terms", "versions", "exclusions", "status")
#: What one about a settlement is made on.
SETTLED_ON = ("status", "statement", "dispute", "decision", "payments")

_Kind = TypeVar("_Kind", bound=msgspec.Struct)


class Step(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One thing that was done; `by` is an actor's id, `at` RFC 3339."""

    at: str
    by: str
    did: str
    note: str = ""


class PartyBefore(msgspec.Struct, frozen=True, gc=False):
    """What was written of a party before a change."""

    name: str
    number: str
    accounts: tuple[str, ...]


class Party(msgspec.Struct, frozen=True, gc=False):
    """Who delivers: a company, a utility, a department. Its accounts see its contracts."""

    id: str
    name: str
    #: In a public register of companies; "" for none.
    number: str
    #: Ids of accounts.
    accounts: tuple[str, ...]
    history: tuple[Step, ...]
    #: What can be brought back, the newest last.
    before: tuple[PartyBefore, ...]
    version: str


class Concluded(msgspec.Struct, frozen=True, gc=False):
    """Terms that two people of the city have signed, in force from the period that begins on `since`."""

    since: date
    terms: Terms
    digest: str
    by: str
    at: str


class ContractStatus(StrEnum):
    """Whether a contract was ever in force."""

    DRAFT = "draft"
    CONCLUDED = "concluded"


class Contract(msgspec.Struct, frozen=True, gc=False):
    """A contract. `terms` is what is being written; what counts stands in `versions`."""

    id: str
    status: str
    terms: Terms
    versions: tuple[Concluded, ...]
    #: Who had a hand in `terms` since they were last concluded, and ever.
    authors: tuple[str, ...]
    every_author: tuple[str, ...]
    #: Those that wait for a second person among them: see `excluded`.
    exclusions: tuple[Exclusion, ...]
    history: tuple[Step, ...]
    version: str
    #: Its Entity, as JSON: thousands are held, of which one at a time is read whole.
    text: bytes

    @property
    def document(self) -> Document:
        """Its Entity."""
        document: Document = orjson.loads(self.text)
        return document

    @property
    def is_draft(self) -> bool:
        return not self.versions

    @property
    def is_changed(self) -> bool:
        """Whether terms wait for a second person."""
        return not self.versions or not is_digest_of(self.versions[-1].digest, self.terms)

    @property
    def standing(self) -> Terms:
        """The terms that were concluded last, else those that are being written."""
        return self.versions[-1].terms if self.versions else self.terms

    @property
    def excluded(self) -> tuple[Exclusion, ...]:
        """Time that does not count: a second person has said so too."""
        return tuple(one for one in self.exclusions if one.is_confirmed)

    def periods(self) -> tuple[Period, ...]:
        """All periods under the terms that stand."""
        return periods_of(self.standing)

    def terms_of(self, period: Period) -> Terms:
        """The terms that are in force in a period."""
        in_force = [one for one in self.versions if one.since <= period.first]
        return in_force[-1].terms if in_force else self.standing


class Dispute(msgspec.Struct, frozen=True, gc=False):
    """What the provider objects to."""

    by: str
    at: str
    reason: str


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What the independent reviewer decided. The settlement that was disputed stays as it was."""

    by: str
    at: str
    #: "stands" or "recalculated".
    outcome: str
    reasons: str
    statement: Statement
    hash: str


class Payment(msgspec.Struct, frozen=True, gc=False):
    """Money that was paid."""

    amount: Decimal
    on: date
    reference: str
    by: str
    at: str


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """A period that was settled: sealed, perhaps disputed and decided on, perhaps paid."""

    id: str
    contract: str
    status: str
    statement: Statement
    hash: str
    settled_by: str
    settled_at: str
    dispute_until: str
    #: The instant by which it is to be paid.
    pay_by: datetime
    dispute: Dispute | None
    decision: Decision | None
    payments: tuple[Payment, ...]
    history: tuple[Step, ...]
    version: str
    #: Its Entity, as JSON: thousands are held, of which one at a time is read whole.
    text: bytes

    @property
    def document(self) -> Document:
        """Its Entity."""
        document: Document = orjson.loads(self.text)
        return document

    @property
    def final(self) -> Statement:
        """What counts: what was decided, else what was settled."""
        return self.decision.statement if self.decision else self.statement

    @property
    def paid(self) -> Decimal:
        return sum((one.amount for one in self.payments), Decimal(0))

    @property
    def outstanding(self) -> Decimal:
        """To be paid; negative: to be paid back."""
        return self.final.payable - self.paid

    @property
    def is_untouched(self) -> bool:
        """Whether what was sealed still bears its hash."""
        seals = [(self.statement, self.hash)]
        if self.decision:
            seals.append((self.decision.statement, self.decision.hash))
        return all(is_digest_of(seal, statement) for statement, seal in seals)


def party_of(document: Document) -> Party:
    """The Party that an Entity of the type ContractParty is."""
    return Party(
        id=document["id"],
        name=word(document, "name"),
        number=word(document, "registrationNumber"),
        accounts=_words(document, "accounts"),
        history=items(document, "history", Step),
        before=items(document, "revisions", PartyBefore),
        version=version_of(document, ("name", "registrationNumber", "accounts")),
    )


def contract_of(document: Document) -> Contract | None:
    """The Contract that an internal Entity of the type ServiceContract is; None for one without terms."""
    terms = _one(document, "terms", Terms)
    if terms is None:
        return None
    return Contract(
        id=document["id"],
        status=word(document, "status"),
        terms=terms,
        versions=items(document, "versions", Concluded),
        authors=_words(document, "authors"),
        every_author=_words(document, "everyAuthor"),
        exclusions=items(document, "exclusions", Exclusion),
        history=items(document, "history", Step),
        version=version_of(document, DECIDED_ON),
        text=orjson.dumps(document),
    )


def settlement_of(document: Document) -> Settlement | None:
    """The Settlement that an Entity of the type ContractSettlement is; None for one without a statement."""
    statement, pay_by = _one(document, "statement", Statement), instant(document, "payBy")
    if statement is None or pay_by is None:
        return None
    return Settlement(
        id=document["id"],
        contract=next(iter(ids(document, "contract")), ""),
        status=word(document, "status"),
        statement=statement,
        hash=word(document, "hash"),
        settled_by=word(document, "settledBy"),
        settled_at=word(document, "settledAt"),
        dispute_until=word(document, "disputeUntil"),
        pay_by=pay_by,
        dispute=_one(document, "dispute", Dispute),
        decision=_one(document, "decision", Decision),
        payments=items(document, "payments", Payment),
        history=items(document, "history", Step),
        version=version_of(document, SETTLED_ON),
        text=orjson.dumps(document),
    )


def _one(document: Document, name: str, kind: type[_Kind]) -> _Kind | None:
    said: Any = value_of(document, name)
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError:
        return None


def _words(document: Document, name: str) -> tuple[str, ...]:
    said = value_of(document, name)
    return tuple(map(str, said)) if isinstance(said, list) else ()
