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
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Document, Instance, entity, prop
from cityloom.ngsild.names import NULL
from cityloom.people.asking import Asked, Asking
from cityloom.people.held import Erased, Held, HeldEntity, Who
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
        alone: str = "",
        wall: Clock | None = None,
    ) -> None:
        """`alone`: why one person erases without a second one here; "" where two are needed."""
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
        self.alone = alone
        self._asking = Asking(keys, audit)

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

    async def erase(self, actor: Actor, who: Who) -> Erased | Asked:
        """Erase all that is held, or ask a second person for it: it cannot be undone. Needs people:erase.

        Raises NotFound, and as `Accounts.check_may_go` does for an account.
        """
        require(actor, PERMISSION)
        order = self._order(actor, await self._find(who))
        if not self.alone:
            return await self._asking.ask(order, actor)
        return await self._erase(actor, order, alone=self.alone)

    async def waiting(self, actor: Actor) -> Sequence[Asked]:
        """What was asked for and waits for a second person. Needs people:erase."""
        require(actor, PERMISSION)
        return await self._asking.waiting()

    async def confirm(self, actor: Actor, order_id: str) -> Erased:
        """Erase what somebody else asked for. Needs people:erase; raises NotAllowed for who asked for it,
        NotFound, and as `erase` does."""
        require(actor, PERMISSION)
        order = await self._asking.to_confirm(actor, order_id)
        if order.account and self._account_store.account(order.account) is not None:
            self._accounts.check_may_go(actor, order.account)
        return await self._erase(actor, order, asked_by=order.by)

    async def refuse(self, actor: Actor, order_id: str) -> None:
        """Throw away what was asked for: nothing is erased. Needs people:erase; raises NotFound."""
        require(actor, PERMISSION)
        await self._asking.refuse(actor, order_id)

    async def erase_by_code(self, code: str) -> Erased:
        """What whoever has the code of a report wishes: that report alone, at once. Raises NotFound."""
        return await self._erase(REPORTER, self._order(REPORTER, await self._find(Who(code=code))))

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

    def _order(self, actor: Actor, found: _Found) -> ErasureOrder:
        if found.account is not None:
            # Before anything is promised: what is ordered is carried out, at the next start at the latest.
            self._accounts.check_may_go(actor, found.account.id)
        return ErasureOrder(
            id=new_id("erasure:"),
            at=format_instant(self._wall.now()),
            by=actor.id,
            tenant=DEFAULT_TENANT,
            entities=found.entities,
            account=found.account.id if found.account else "",
        )

    async def _erase(self, actor: Actor, order: ErasureOrder, **why: str) -> Erased:
        # It names nobody: the ids of what is erased would lead back to who asked.
        await self._audit.record(actor, "person.erase", order.id, {"entities": len(order.entities), **why})
        async with self._at_work:
            await asyncio.to_thread(self._keys.order, order)
            await self._asking.settled(order.id)
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
                Worded("Nothing personal is held under this"),
                hint=Worded("Look again at how it is written. What was erased is not found a second time."),
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
