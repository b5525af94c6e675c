"""Who delivers under contracts, and which accounts act for them. Always internal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from cityloom.access.authority import may_write, require
from cityloom.access.credentials import new_id
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, Edits, check_version
from cityloom.context.summaries import Summaries
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.errors import BadInput, NotFound
from cityloom.kernel.texts import check_line
from cityloom.ngsild.model import Document, entity, json_value, prop
from cityloom.planning.contracts.model import PARTY, Party, party_of

MANAGE = "contracts:manage"
#: Of an account that acts for a party.
PROVIDE = "contracts:provide"
MOST_ACCOUNTS = 50
_ID = f"urn:ngsi-ld:{PARTY}:"
_DECIDED_ON = ("name", "registrationNumber", "accounts")


class Parties:
    """The register of parties. `actor_now` tells what an account may do, None for one that is not there."""

    def __init__(self, broker: Broker, actor_now: Callable[[str], Actor | None]) -> None:
        self._broker = broker
        self._actor_now = actor_now
        self._editing = Editing(broker)
        self._parties = Summaries(broker, PARTY, party_of)

    async def add(self, actor: Actor, name: str, *, number: str = "", accounts: Sequence[str] = ()) -> Party:
        """A new party. Needs contracts:manage. Raises BadInput naming the field."""
        require(actor, MANAGE)
        attributes = {key: item for key, item in self._attributes(name, number, accounts).items() if item}
        document = entity(PARTY, new_id(_ID), {**attributes, "dataOrigin": prop("entered")})
        writer = may_write(actor, classify=True)
        internal = InformationClass.INTERNAL
        await self._broker.create(writer, document, information_class=internal, trace="contracts:party")
        return self.get(document["id"])

    async def change(
        self,
        actor: Actor,
        party_id: str,
        name: str,
        *,
        number: str = "",
        accounts: Sequence[str] = (),
        version: str = "",
    ) -> Party:
        """Write a party anew. Needs contracts:manage. Raises BadInput, Conflict, NotFound."""
        require(actor, MANAGE)
        self.get(party_id)
        attributes = self._attributes(name, number, accounts)

        def edits(document: Document) -> Edits:
            check_version(version, document, _DECIDED_ON)
            return attributes

        await self._editing.edit(may_write(actor), party_id, edits, trace="contracts:party")
        return self.get(party_id)

    def all(self) -> list[Party]:
        """All parties by name. For rooms: whoever asks has been checked."""
        return sorted(self._parties.all(CITY), key=lambda one: one.name.casefold())

    def get(self, party_id: str) -> Party:
        """One party. Raises NotFound."""
        document = self._broker.find(CITY, party_id)
        if document is None or PARTY not in document["type"]:
            raise NotFound("There is no such party", hint="Choose one of the list.", where="provider")
        return party_of(document)

    def speaks_for(self, actor: Actor, party_id: str) -> bool:
        """Whether an account acts for a party."""
        return actor.may(PROVIDE) and self.is_tied(actor.id, party_id)

    def is_tied(self, account_id: str, party_id: str) -> bool:
        """Whether an account belongs to a party, whatever it may do."""
        document = self._broker.find(CITY, party_id)
        return document is not None and account_id in party_of(document).accounts

    def _attributes(self, name: str, number: str, accounts: Sequence[str]) -> Edits:
        if len(accounts) > MOST_ACCOUNTS:
            raise BadInput("There are too many accounts", hint=f"Keep to {MOST_ACCOUNTS}.", where="accounts")
        for one in accounts:
            holder = self._actor_now(one)
            if holder is None or not holder.may(PROVIDE):
                hint = "Ask an administrator for an account with the role Provider."
                raise BadInput(f"{one[:80]!r} is no account of a provider", hint=hint, where="accounts")
        number = check_line(number, where="number", longest=60, optional=True)
        return {
            "name": prop(check_line(name, where="name", longest=200)),
            "registrationNumber": prop(number) if number else None,
            "accounts": json_value(msgspec.to_builtins(sorted(set(accounts)))),
        }
