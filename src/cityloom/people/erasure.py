"""One person's data: what is held, a copy of it, and its erasure from state, history, archive and backups.

What is personal is sealed on every disk with a key of its Entity. Erasing writes down what is to go, takes it
out of the living city, and destroys the keys: then every copy, wherever it lies, cannot be read any more. An
erasure that was cut off is finished at the next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from cityloom.access.accounts import Accounts, fold_name
from cityloom.access.audit import AuditLog
from cityloom.access.authority import may_write, require
from cityloom.access.credentials import new_id
from cityloom.access.model import Account
from cityloom.access.ports import AccountStore
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing
from cityloom.context.reading import word
from cityloom.history.ports import HistoryStore
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.errors import Conflict, NotFound
from cityloom.kernel.time import Clock, WallClock, format_instant
from cityloom.ngsild.model import Document, Instance, entity, prop
from cityloom.ngsild.names import NULL
from cityloom.people.past import past_of
from cityloom.people.personal import ERASED_AT, PersonalType, PersonalTypes, coarse
from cityloom.people.ports import ErasureOrder, PersonalKeys, PhotoStore, Reporter, ReporterStore
from cityloom.people.report import REPORTER, check_email, check_phone, code_digest
from cityloom.people.telephone import same_number

_log = logging.getLogger(__name__)

PERMISSION = "people:erase"
#: Who does it, once it was decided: it reaches every class, since a person's right does.
ERASER = Actor(
    id="erasure",
    name="Erasure",
    permissions=frozenset({"accounts:manage"}),
    clearance=frozenset(InformationClass),
)


class Who(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Whose data: said in one or several ways, each of which adds to what is found."""

    #: An Entity's id: of a report, or of somebody that city.toml declares personal.
    entity: str = ""
    #: The code on the receipt of a report.
    code: str = ""
    #: The user name of an account: with it go the reports sent from it.
    account: str = ""
    #: How somebody wished to be reached.
    email: str = ""
    phone: str = ""


class HeldEntity(msgspec.Struct, frozen=True):
    """An Entity that is somebody's, or about them; `attributes` are those that are personal and there."""

    id: str
    type: str
    attributes: tuple[str, ...]
    readings: int


class Held(msgspec.Struct, frozen=True):
    """What the city holds of a person. Says where and how much, never what."""

    entities: tuple[HeldEntity, ...]
    contacts: int
    photos: int
    account: bool
    #: Copies of the keys, which are put in order too.
    key_copies: tuple[str, ...]


class Erased(msgspec.Struct, frozen=True):
    """What an erasure did. `stale`: copies of the keys that could not be reached, and must be destroyed."""

    id: str
    at: str
    entities: int
    keys: int
    stale: tuple[str, ...]


class _Found(msgspec.Struct, frozen=True):
    entities: tuple[str, ...]
    reporters: tuple[Reporter, ...]
    account: Account | None


class Erasure:
    """Looks for a person's data, gives them out, erases them. `wall` is the real world's clock."""

    def __init__(
        self,
        broker: Broker,
        keys: PersonalKeys,
        personal: PersonalTypes,
        reporters: ReporterStore,
        photos: PhotoStore,
        history: HistoryStore,
        accounts: Accounts,
        account_store: AccountStore,
        audit: AuditLog,
        *,
        remembered: Callable[[], Awaitable[None]],
        wall: Clock | None = None,
    ) -> None:
        self._broker = broker
        self._keys = keys
        self._personal = personal
        self._reporters = reporters
        self._photos = photos
        self._history = history
        self._accounts = accounts
        self._account_store = account_store
        self._audit = audit
        self._remembered = remembered
        self._wall = wall or WallClock()
        self._editing = Editing(broker)
        self._at_work = asyncio.Lock()

    # -- looking -------------------------------------------------------------------------------------------

    async def look(self, actor: Actor, who: Who) -> Held:
        """What is held, and would go. Needs people:erase; raises NotFound when it is nothing."""
        require(actor, PERMISSION)
        return await self._held(await self._find(who))

    async def copy(self, actor: Actor, who: Who) -> tuple[dict[str, Any], dict[str, bytes]]:
        """All that is held, to be handed to the person: a plain document, and files by name.

        Needs people:erase; that somebody looked is written down, not at whom.
        """
        require(actor, PERMISSION)
        found = await self._find(who)
        await self._audit.record(actor, "person.copy", "", {"entities": len(found.entities)})
        return await self._copied(found)

    async def copy_by_code(self, code: str) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The same for whoever has the code of a report. Raises NotFound."""
        found = await self._find(Who(code=code))
        await self._audit.record(REPORTER, "person.copy", "", {"entities": len(found.entities)})
        return await self._copied(found)

    # -- erasing -------------------------------------------------------------------------------------------

    async def erase(self, actor: Actor, who: Who) -> Erased:
        """Erase all that is held. It cannot be undone. Needs people:erase; raises NotFound, and as
        `Accounts.check_may_go` does for an account."""
        require(actor, PERMISSION)
        return await self._erase(actor, await self._find(who))

    async def erase_by_code(self, code: str) -> Erased:
        """The same for whoever has the code of a report: that report alone. Raises NotFound."""
        return await self._erase(REPORTER, await self._find(Who(code=code)))

    async def resume(self) -> int:
        """Finish what was cut off, when the city starts; returns how many."""
        orders = await asyncio.to_thread(self._keys.orders)
        for order in orders:
            _log.warning("An erasure was cut off and is finished now: %s", order.id)
            try:
                async with self._at_work:
                    await self._carry_out(order)
            except Conflict as error:
                # The city starts all the same; it is tried again at the next start.
                _log.error("%s cannot be finished: %s", order.id, error)
        return len(orders)

    async def _erase(self, actor: Actor, found: _Found) -> Erased:
        if found.account is not None:
            # Before anything is promised: what is ordered is carried out, at the next start at the latest.
            self._accounts.check_may_go(actor, found.account.id)
        order = ErasureOrder(
            id=new_id("erasure:"),
            at=format_instant(self._wall.now()),
            by=actor.id,
            tenant=DEFAULT_TENANT,
            entities=found.entities,
            account=found.account.id if found.account else "",
        )
        # It names nobody: the ids of what is erased would lead back to who asked.
        await self._audit.record(actor, "person.erase", order.id, {"entities": len(order.entities)})
        async with self._at_work:
            await asyncio.to_thread(self._keys.order, order)
            return await self._carry_out(order)

    async def _carry_out(self, order: ErasureOrder) -> Erased:
        """Everything that an order says; done again from its beginning it does the same."""
        for one in order.entities:
            await self._empty(one, order)
        await self._remembered()
        for one in order.entities:
            await asyncio.to_thread(self._forget_past, one)
            await asyncio.to_thread(self._reporters.delete, one)
        if order.account and self._account_store.account(order.account) is not None:
            await self._accounts.erase(ERASER, order.account)
        keys = await asyncio.to_thread(self._keys.destroy, order)
        stale = await asyncio.to_thread(self._renew_copies)
        return Erased(order.id, order.at, len(order.entities), keys, stale)

    async def _empty(self, entity_id: str, order: ErasureOrder) -> None:
        """Take out of the living Entity what is personal, and its photo from the disk."""
        async with self._editing.turn(entity_id):
            document = self._broker.find(ERASER, entity_id)
            rule = self._rule(document)
            if document is None or rule is None:
                return
            if name := word(document, "photo"):
                await asyncio.to_thread(self._photos.delete, name)
            instances = emptied(rule, document)
            if not instances and ERASED_AT in document["attrs"]:
                return
            instances[ERASED_AT] = [prop(order.at)]
            fragment = entity(document["type"][0], entity_id, instances)
            await self._broker.update(may_write(ERASER), entity_id, fragment, trace="people:erase")

    def _forget_past(self, entity_id: str) -> None:
        series = self._history.series(DEFAULT_TENANT, entity_ids=[entity_id])
        gone = []
        for one in series:
            rule = self._personal.of(one.types)
            if rule is not None and rule.covers(one.key.attribute):
                gone.append(one.id)
        if gone:
            self._history.forget(np.array(gone, np.int64))

    def _renew_copies(self) -> tuple[str, ...]:
        """Copies of the keys as the keys are now; those that cannot be reached."""
        stale = []
        for path in self._keys.copies():
            try:
                self._keys.copy_to(path)
            except OSError as error:
                _log.warning("A copy of the keys still has keys that were destroyed: %s: %s", path, error)
                stale.append(str(path))
        return tuple(stale)

    # -- inside --------------------------------------------------------------------------------------------

    async def _find(self, who: Who) -> _Found:
        reporters = await asyncio.to_thread(self._reporters_of, who)
        account = self._account_store.account_named(fold_name(who.account)) if who.account else None
        if account is not None:
            reporters += await asyncio.to_thread(self._reporters.of_account, account.id)
        named = [who.entity] if who.entity else []
        subjects = list(dict.fromkeys([*named, *(one.report_id for one in reporters)]))
        entities = await asyncio.to_thread(self._about, subjects)
        if not entities and account is None:
            raise NotFound(
                "Nothing personal is held under this",
                hint="Look again at how it is written. What was erased is not found a second time.",
                where="who",
            )
        unique = {one.report_id: one for one in reporters}
        return _Found(tuple(entities), tuple(unique.values()), account)

    def _about(self, subjects: Sequence[str]) -> list[str]:
        """What is of these and about them, and what is about that: a conflict about a reply to a report."""
        found: set[str] = set()
        waiting = set(subjects)
        while waiting:
            more = set(self._keys.about(DEFAULT_TENANT, sorted(waiting)))
            for subject in waiting:
                near = [subject, *self._broker.referrers(ERASER, subject)]
                more.update(one for one in near if self._is_about(one, subject))
            waiting = more - found - waiting
            found |= more
        return sorted(found)

    def _is_about(self, entity_id: str, subject: str) -> bool:
        document = self._broker.find(ERASER, entity_id)
        rule = self._rule(document)
        if document is None or rule is None:
            return False
        if entity_id == subject:
            return True
        pointing = document["attrs"].get(rule.subject, ()) if rule.subject else ()
        return any(one.get("object") == subject for one in pointing)

    def _reporters_of(self, who: Who) -> list[Reporter]:
        found = []
        if who.code:
            found.append(self._reporters.of_code(code_digest(who.code[:100])))
        email, phone = check_email(who.email).casefold(), check_phone(who.phone)
        if email or phone:
            for report_id in self._reporters.with_contact():
                one = self._reporters.of_report(report_id)
                if one is not None and (
                    (email and one.email.casefold() == email) or (phone and same_number(one.phone, phone))
                ):
                    found.append(one)
        return [one for one in found if one is not None]

    def _rule(self, document: Document | None) -> PersonalType | None:
        return None if document is None else self._personal.of(tuple(document["type"]))

    async def _held(self, found: _Found) -> Held:
        entities = [await asyncio.to_thread(self._held_entity, one) for one in found.entities]
        return Held(
            entities=tuple(entities),
            contacts=sum(1 for one in found.reporters if one.email or one.phone),
            photos=sum("photo" in one.attributes for one in entities),
            account=found.account is not None,
            key_copies=tuple(str(path) for path in await asyncio.to_thread(self._keys.copies)),
        )

    def _held_entity(self, entity_id: str) -> HeldEntity:
        document = self._broker.find(ERASER, entity_id)
        rule = self._rule(document)
        names = (
            []
            if document is None or rule is None
            else [name for name in document["attrs"] if rule.covers(name)]
        )
        series = np.array(
            [one.id for one in self._history.series(DEFAULT_TENANT, entity_ids=[entity_id])], np.int64
        )
        readings = sum(one.count for one in self._history.statistics(series)) if len(series) else 0
        kind = document["type"][0] if document else ""
        return HeldEntity(entity_id, kind, tuple(names), readings)

    async def _copied(self, found: _Found) -> tuple[dict[str, Any], dict[str, bytes]]:
        documents = [one for name in found.entities if (one := self._broker.find(ERASER, name)) is not None]
        files: dict[str, bytes] = {}
        for document in documents:
            if name := word(document, "photo"):
                photo = await asyncio.to_thread(self._photos.get, name)
                if photo is not None:
                    files[f"photos/{name}"] = photo
        await self._remembered()
        past = [
            one for name in found.entities for one in await asyncio.to_thread(past_of, self._history, name)
        ]
        said: dict[str, Any] = {
            "made": format_instant(self._wall.now()),
            "entities": [_plain(one) for one in documents],
            "past": past,
            "contacts": [_shown(one) for one in found.reporters],
        }
        if found.account is not None:
            said["account"] = _of_account(found.account, self._account_store)
        return said, files


def emptied(rule: PersonalType, document: Document) -> dict[str, list[Instance]]:
    """What takes out of an Entity what is personal; places that stay are made coarse."""
    edits: dict[str, list[Instance]] = {}
    for name, instances in document["attrs"].items():
        if not rule.covers(name):
            continue
        if name not in rule.coarse:
            edits[name] = [_nothing(one) for one in instances]
            continue
        rounded = [coarse(one) for one in instances]
        if rounded != instances:
            edits[name] = [_without_times(one) for one in rounded]
    return edits


def _nothing(instance: Instance) -> Instance:
    dataset = instance.get("datasetId")
    return prop(NULL) if dataset is None else {**prop(NULL), "datasetId": dataset}


def _without_times(instance: Instance) -> Instance:
    return {name: said for name, said in instance.items() if name not in ("createdAt", "modifiedAt")}


def _plain(document: Document) -> dict[str, Any]:
    """An Entity as anybody can read it: each attribute beside id and type."""
    head = {name: said for name, said in document.items() if name != "attrs"}
    return head | {
        name: instances[0] if len(instances) == 1 else instances
        for name, instances in document["attrs"].items()
    }


def _shown(reporter: Reporter) -> dict[str, Any]:
    return {
        "report": reporter.report_id,
        "submittedAt": _at(reporter.submitted_at),
        "language": reporter.language,
        "email": reporter.email,
        "phone": reporter.phone,
    }


def _of_account(account: Account, store: AccountStore) -> dict[str, Any]:
    sessions: Iterable[Any] = store.sessions_of(account.id)
    return {
        "name": account.name,
        "displayName": account.display_name,
        "roles": sorted(account.roles),
        "createdAt": _at(account.created_at),
        "sessions": [
            {"createdAt": _at(one.created_at), "address": one.address, "browser": one.browser}
            for one in sessions
        ],
    }


def _at(instant: datetime) -> str:
    return format_instant(instant)
