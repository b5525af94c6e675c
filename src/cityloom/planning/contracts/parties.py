"""Who delivers under contracts, and which accounts act for them. Always internal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from cityloom.access.authority import require
from cityloom.access.credentials import new_id
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, Edits, check_version
from cityloom.context.summaries import Summaries
from cityloom.kernel.actor import CITY, Actor
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.kernel.texts import check_line, check_text
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Document, Instance, entity, json_value, prop
from cityloom.planning.contracts.keeping import SECRECY, as_the_room
from cityloom.planning.contracts.model import PARTY, Party, PartyBefore, Step, party_of

MANAGE = "contracts:manage"
#: Of an account that acts for a party.
PROVIDE = "contracts:provide"
MOST_ACCOUNTS = 50
MOST_STEPS = 500
MOST_REVISIONS = 10
LONGEST_NOTE = 2000
_ID = f"urn:ngsi-ld:{PARTY}:"
_DECIDED_ON = ("name", "registrationNumber", "accounts")


class Parties:
    """The register of parties. `actor_now` tells what an account may do, None for one that is not there.

    Its accounts see a party's contracts, so each change is kept: who, when, why, and what stood there before.
    """

    def __init__(self, broker: Broker, clock: Clock, actor_now: Callable[[str], Actor | None]) -> None:
        self._broker = broker
        self._clock = clock
        self._actor_now = actor_now
        self._editing = Editing(broker)
        self._parties = Summaries(broker, PARTY, party_of)

    async def add(
        self, actor: Actor, name: str, *, number: str = "", accounts: Sequence[str] = (), note: str = ""
    ) -> Party:
        """A new party. Needs contracts:manage. Raises BadInput naming the field."""
        require(actor, MANAGE)
        attributes = {key: item for key, item in self._attributes(name, number, accounts).items() if item}
        attributes |= {"dataOrigin": prop("entered"), "history": self._stepped((), actor, "drafted", note)}
        document = entity(PARTY, new_id(_ID), attributes)
        await self._broker.create(
            as_the_room(actor), document, information_class=SECRECY, trace="contracts:party"
        )
        return self.get(document["id"])

    async def change(
        self,
        actor: Actor,
        party_id: str,
        name: str,
        *,
        number: str = "",
        accounts: Sequence[str] = (),
        note: str = "",
        version: str = "",
    ) -> Party:
        """Write a party anew; what stood there can be brought back. Needs contracts:manage.

        Raises BadInput, Conflict, NotFound.
        """
        require(actor, MANAGE)
        attributes = self._attributes(name, number, accounts)

        def edits(party: Party) -> Edits:
            was = PartyBefore(party.name, party.number, party.accounts)
            return {
                **attributes,
                "revisions": json_value(msgspec.to_builtins([*party.before, was][-MOST_REVISIONS:])),
                "history": self._stepped(party.history, actor, "edited", note),
            }

        return await self._change(actor, party_id, version, edits)

    async def undo(self, actor: Actor, party_id: str, *, note: str = "", version: str = "") -> Party:
        """Bring back what stood there before the last change; again, what stood before that.

        Needs contracts:manage. Raises BadInput for an account that has gone since, Conflict.
        """
        require(actor, MANAGE)

        def edits(party: Party) -> Edits:
            if not party.before:
                hint = Worded("Change it instead.")
                raise Conflict(Worded("There is no version before this one"), hint=hint, where="revisions")
            *left, was = party.before
            return {
                **self._attributes(was.name, was.number, was.accounts),
                "revisions": json_value(msgspec.to_builtins(left)) if left else None,
                "history": self._stepped(party.history, actor, "undone", note),
            }

        return await self._change(actor, party_id, version, edits)

    async def read(self) -> None:
        """Read what lists need and was not read yet, in turns with others."""
        await self._parties.read()

    def all(self) -> list[Party]:
        """All parties by name. For rooms: whoever asks has been checked."""
        return sorted(self._parties.all(CITY), key=lambda one: one.name.casefold())

    def get(self, party_id: str) -> Party:
        """One party. Raises NotFound."""
        found = self._parties.find(CITY, party_id)
        if found is None:
            raise NotFound(
                Worded("There is no such party"), hint=Worded("Choose one of the list."), where="provider"
            )
        return found

    def speaks_for(self, actor: Actor, party_id: str) -> bool:
        """Whether an account acts for a party."""
        return actor.may(PROVIDE) and self.is_tied(actor.id, party_id)

    def is_tied(self, account_id: str, party_id: str) -> bool:
        """Whether an account belongs to a party, whatever it may do."""
        found = self._parties.find(CITY, party_id)
        return found is not None and account_id in found.accounts

    async def _change(
        self, actor: Actor, party_id: str, version: str, decide: Callable[[Party], Edits]
    ) -> Party:
        self.get(party_id)

        def edits(document: Document) -> Edits:
            check_version(version, document, _DECIDED_ON)
            return decide(party_of(document))

        await self._editing.edit(as_the_room(actor), party_id, edits, trace="contracts:party")
        return self.get(party_id)

    def _stepped(self, steps: Sequence[Step], actor: Actor, did: str, note: str) -> Instance:
        why = check_text(note, where="note", longest=LONGEST_NOTE, optional=True)
        step = Step(format_instant(self._clock.now()), actor.id, did, why)
        return json_value(msgspec.to_builtins([*steps, step][-MOST_STEPS:]))

    def _attributes(self, name: str, number: str, accounts: Sequence[str]) -> Edits:
        if len(accounts) > MOST_ACCOUNTS:
            raise BadInput(
                Worded("There are too many accounts"),
                hint=Worded("Keep to %(most)s.", most=MOST_ACCOUNTS),
                where="accounts",
            )
        for one in accounts:
            holder = self._actor_now(one)
            if holder is None or not holder.may(PROVIDE):
                hint = Worded("Ask an administrator for an account with the role Provider.")
                raise BadInput(
                    Worded("%(name)s is no account of a provider", name=one[:80]), hint=hint, where="accounts"
                )
        number = check_line(number, where="number", longest=60, optional=True)
        return {
            "name": prop(check_line(name, where="name", longest=200)),
            "registrationNumber": prop(number) if number else None,
            "accounts": json_value(msgspec.to_builtins(sorted(set(accounts)))),
        }
