"""Whole tables brought into the past of the city: begun, brought portion by portion, and taken out again.

Entities are written through the broker as anybody writes them. Their readings go into history by themselves;
afterwards the newest of each series becomes what the Entity says now, unless it says something newer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from cityloom.access.audit import AuditLog
from cityloom.access.authority import require
from cityloom.context.broker import Broker
from cityloom.context.consumption import in_turns
from cityloom.context.querying import TURN_SECONDS
from cityloom.history.instances import instances_of
from cityloom.history.load_documents import (
    as_it_was,
    documents_of,
    instance_of,
    said_anew,
    said_later,
    same_reading,
    without_system,
    without_times,
)
from cityloom.history.load_placing import Placing, writer_of
from cityloom.history.loads import (
    PERMISSION,
    LoadRecord,
    LoadStore,
    Portion,
    Undone,
    Written,
    load_store_of,
)
from cityloom.history.model import Series, SeriesKey, Window
from cityloom.history.ports import HistoryStore
from cityloom.history.stage import HistoryStage
from cityloom.history.whole_exports import WholeExports
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.errors import BadInput, CityError, Conflict, NotAllowed, NotFound
from cityloom.kernel.time import now_millis
from cityloom.ngsild.model import Document, Instance

#: Entities written in one batch, and series looked at together.
AT_ONCE = 500
#: Refused Entities that are told of.
_TOLD = 20
#: Letters of the id and the name of a load.
_LONGEST = 300
#: The right to somebody else's loads: the administrator's.
_ANY_LOAD = "accounts:manage"
#: What a file of readings is called: nobody is to name one that is not theirs, nor several.
_PORTION = re.compile(r"portion-[0-9a-f]{32}\.parquet")


class Loading:
    """Loads of one city. All methods are called on the event loop and need the permission `history:load`."""

    def __init__(self, store: HistoryStore, broker: Broker, audit: AuditLog, stage: HistoryStage) -> None:
        self._any_store = store
        #: Whole histories that go out, as a load brings them in.
        self.exports = WholeExports(store, broker, audit, stage)
        self._broker = broker
        self._placing = Placing(broker)
        self._audit = audit
        self._stage = stage
        self._turn = asyncio.Lock()

    @property
    def _store(self) -> LoadStore:
        return load_store_of(self._any_store)

    async def records(self, actor: Actor) -> list[LoadRecord]:
        """All loads, the oldest first."""
        require(actor, PERMISSION)
        if not isinstance(self._any_store, LoadStore):
            return []
        return await asyncio.to_thread(self._any_store.loads)

    async def begin(self, actor: Actor, record: LoadRecord) -> LoadRecord:
        """The record of a load: a new one, or how far one has come that was begun before."""
        require(actor, PERMISSION)
        if max(len(record.id), len(record.name)) > _LONGEST:
            raise BadInput("The load's name is too long", hint=f"Up to {_LONGEST} letters.", where="record")
        async with self._turn:
            there = await self._find(record.id)
            if there is not None and not there.undone_at:
                if not there.finished_at:
                    _check_owner(actor, there)
                return there
            if there is not None:
                raise Conflict(
                    "This table was loaded and taken out again",
                    hint="Load it anew with --again.",
                    where=record.id,
                )
            await self._audit.record(actor, "history.load", record.id, {"table": record.name})
            # How far it has come, and what it has created, is not for whoever asks to say.
            fresh = LoadRecord(record.id, 0, record.name, actor.id, of_rows=record.of_rows)
            return await asyncio.to_thread(self._store.keep_load, fresh)

    async def look(self, actor: Actor, documents: Sequence[Document]) -> Written:
        """What `write` would do with these Entities."""
        require(actor, PERMISSION)
        written = Written()
        for document in documents:
            there = self._broker.find(actor, document["id"])
            if there is None:
                written.created += 1
            elif said_anew(document, there) is None:
                written.same += 1
            else:
                written.changed += 1
        return written

    async def write(
        self,
        actor: Actor,
        load: str,
        documents: Sequence[Document],
        information_class: InformationClass | None = None,
    ) -> Written:
        """Entities as the table says that they are; what they say already is not written again."""
        require(actor, PERMISSION)
        record = await self._own(actor, load)
        fresh = []
        written = Written()
        others: list[tuple[str, str]] = []
        for document in documents:
            there = self._broker.find(actor, document["id"])
            wanted = document if there is None else said_anew(document, there)
            if there is not None and not set(document["type"]) <= set(there["type"]):
                others.append((document["id"], f"it is a {' and '.join(there['type'])}"))
            elif wanted is None:
                written.same += 1
            else:
                fresh.append(wanted)
        outcome = await self._broker.upsert_many(
            writer_of(actor), fresh, update=True, information_class=information_class, trace=f"load:{load}"
        )
        written.created, written.changed = len(outcome.created), len(outcome.updated)
        others += [(one, str(error)) for one, error in outcome.errors]
        written.refused, written.refused_count = others[:_TOLD], len(others)
        if outcome.created:
            await asyncio.to_thread(self._store.add_created, record.number, outcome.created)
        return written

    async def bring(self, actor: Actor, portion: Portion) -> LoadRecord:
        """Readings of a portion kept. Its series get the types and class that their Entities have now.

        Raises NotFound for an Entity that is not there, NotAllowed for one that the actor may not write and
        for somebody else's load.
        """
        require(actor, PERMISSION)
        if _PORTION.fullmatch(portion.file) is None or not 0 <= portion.first < portion.end:
            raise BadInput("This is no portion", hint="Send what `cityloom load` sends.", where="portion")
        await self._own(actor, portion.load)
        steps = self._placing.placed(actor, portion.series, whole=portion.whole)
        # A portion may be of as many Entities as it has readings, and others wait meanwhile.
        series = await in_turns(steps, TURN_SECONDS)
        async with self._turn:
            # What the feed has told comes before: the table says what was known before today.
            await self._stage.caught_up(self._broker.last_sequence)
            standing = msgspec.structs.replace(portion, series=series)
            await asyncio.to_thread(self._store.bring, standing)
            return await self._known(portion.load)

    async def settle(self, actor: Actor, load: str, *, rejected: int = 0) -> tuple[LoadRecord, Written]:
        """The newest readings become what the Entities say now, where that is older; the load is done."""
        require(actor, PERMISSION)
        record = await self._own(actor, load)
        await self._stage.caught_up(self._broker.last_sequence)
        written = Written()
        # By the class of those that are created; None: they are there.
        waiting: dict[InformationClass | None, list[Document]] = {}
        async for document, information_class in self._newest(actor, record):
            there = self._broker.find(CITY, document["id"])
            fresh = document if there is None else said_later(document, there)
            if fresh is None:
                written.same += 1
                continue
            together = waiting.setdefault(information_class if there is None else None, [])
            together.append(as_it_was(fresh) if there is None else without_times(fresh))
            if len(together) >= AT_ONCE:
                await self._say(actor, load, waiting, written)
        await self._say(actor, load, waiting, written)
        async with self._turn:
            if written.new:
                await asyncio.to_thread(self._store.add_created, record.number, written.new)
            record = await self._known(load)
            kept = await self._keep(record, finished_at=now_millis(), rejected=rejected)
        return kept, written

    async def _say(
        self,
        actor: Actor,
        load: str,
        waiting: dict[InformationClass | None, list[Document]],
        written: Written,
    ) -> None:
        for chosen, documents in waiting.items():
            if chosen is None:
                outcome = await self._broker.upsert_many(
                    writer_of(actor), documents, update=True, trace=f"load:{load}"
                )
            else:
                # As it was elsewhere, with its times: that it comes here is nothing that happened to it.
                outcome = await self._broker.take_over(
                    writer_of(actor), [(one, chosen) for one in documents], trace=f"load:{load}"
                )
                written.new += outcome.created
            written.created += len(outcome.created)
            written.changed += len(outcome.updated)
            written.refused_count += len(outcome.errors)
            told = [(one, str(error)) for one, error in outcome.errors]
            written.refused += told[: _TOLD - len(written.refused)]
        waiting.clear()

    async def undo(self, actor: Actor, load: str) -> tuple[LoadRecord, Undone]:
        """Take out what a load brought and nothing else.

        Raises NotFound, Conflict where it is out, NotAllowed where the actor may not see all of it.
        """
        require(actor, PERMISSION)
        async with self._turn:
            record = await self._own(actor, load)
            if record.undone_at:
                raise Conflict("This load is taken out already", hint="Look at the others.", where=load)
            numbers = await asyncio.to_thread(self._store.brought, record.number)
            await asyncio.to_thread(lambda: self._check_sees_all(actor, self._store.known(numbers)))
            await self._audit.record(actor, "history.unload", load, {"table": record.name})
            await self._stage.caught_up(self._broker.last_sequence)
            before = await asyncio.to_thread(lambda: dict(self._last(self._store.known(numbers))))
            taken = await asyncio.to_thread(self._store.take_out, record.number)
            after = await asyncio.to_thread(lambda: dict(self._last(self._store.known(numbers))))
            attributes = await self._put_back(actor, load, before, after)
            created = await asyncio.to_thread(self._store.created, record.number)
            gone = await self._remove(actor, load, created)
            kept = await self._keep(record, undone_at=now_millis())
        return kept, Undone(taken, attributes, gone, len(created) - gone)

    def _check_sees_all(self, actor: Actor, series: Sequence[Series]) -> None:
        secrecy = {one.information_class for one in series}
        secrecy |= {self._class_now(one.key.entity_id) for one in series}
        if not all(map(actor.sees, secrecy)):
            raise NotAllowed(
                "This load brought readings that you may not see",
                hint="Ask somebody who is cleared for them to take it out.",
            )

    def _class_now(self, entity_id: str) -> InformationClass:
        try:
            return self._broker.class_of(CITY, entity_id)
        except NotFound:
            return InformationClass.OPEN

    def _last(self, series: list[Series]) -> Iterator[tuple[SeriesKey, tuple[Series, Instance]]]:
        """The newest reading of each series; blocking."""
        for begin in range(0, len(series), AT_ONCE):
            some = {one.id: one for one in series[begin : begin + AT_ONCE]}
            window = Window(np.array(list(some), np.int64), last_n=1, marks="with")
            for number, instance in instances_of(some, self._any_store.raw(window)):
                yield some[number].key, (some[number], instance)

    async def _newest(
        self, actor: Actor, record: LoadRecord
    ) -> AsyncIterator[tuple[Document, InformationClass]]:
        """Each Entity of a load with its newest readings, as a document, and its class."""
        numbers = await asyncio.to_thread(self._store.brought, record.number)
        known = await asyncio.to_thread(self._store.known, numbers)
        series = sorted(known, key=lambda one: one.key.entity_id)
        together: list[Series] = []
        for place, one in enumerate(series):
            if not one.retired and actor.sees(one.information_class):
                together.append(one)
            last = place + 1 == len(series) or series[place + 1].key.entity_id != one.key.entity_id
            if together and (place + 1 == len(series) or (last and len(together) >= AT_ONCE)):
                found = await asyncio.to_thread(lambda some: dict(self._last(some)), together)
                for document in documents_of(found):
                    yield document
                together = []

    # Taking out

    async def _put_back(
        self,
        actor: Actor,
        load: str,
        before: dict[SeriesKey, tuple[Series, Instance]],
        after: dict[SeriesKey, tuple[Series, Instance]],
    ) -> int:
        """Have attributes that say what was taken out say what is known now; returns how many."""
        count = 0
        for key, (_, was) in before.items():
            document = self._broker.find(actor, key.entity_id)
            now = instance_of(document, key) if document is not None else None
            if document is None or now is None or not same_reading(now, was):
                continue
            known = after.get(key)
            if known is not None and same_reading(known[1], was):
                continue
            count += 1
            if known is not None and "deletedAt" not in known[1]:
                back = {
                    "id": key.entity_id,
                    "type": document["type"],
                    "attrs": {key.attribute: [without_system(known[1])]},
                }
                await self._broker.upsert_many(actor, [back], update=True, trace=f"unload:{load}")
            else:
                await self._broker.delete_attribute(
                    actor, key.entity_id, key.attribute, dataset=key.dataset or None, trace=f"unload:{load}"
                )
        return count

    async def _remove(self, actor: Actor, load: str, created: Sequence[str]) -> int:
        """Delete Entities that the load created and that nobody has added to; returns how many."""
        count = 0
        for entity_id in created:
            document = self._broker.find(actor, entity_id)
            if document is None or any(
                "observedAt" in item for items in document["attrs"].values() for item in items
            ):
                continue
            try:
                await self._broker.delete(actor, entity_id, trace=f"unload:{load}")
            except CityError:
                continue
            count += 1
        return count

    # Records

    async def _find(self, load: str) -> LoadRecord | None:
        return await asyncio.to_thread(self._store.find_load, load)

    async def _known(self, load: str) -> LoadRecord:
        found = await self._find(load)
        if found is None:
            raise NotFound("There is no such load", hint="`cityloom load --list` names them.", where=load)
        return found

    async def _own(self, actor: Actor, load: str) -> LoadRecord:
        """A load that the actor may add to. Raises NotFound, NotAllowed."""
        found = await self._known(load)
        _check_owner(actor, found)
        return found

    async def _keep(self, record: LoadRecord, **changes: Any) -> LoadRecord:
        kept = msgspec.structs.replace(record, **changes)
        return await asyncio.to_thread(self._store.keep_load, kept)


def _check_owner(actor: Actor, record: LoadRecord) -> None:
    """A load is whose who began it; it is settled and taken out by them, or by an administrator."""
    if actor.id != record.by and not actor.may(_ANY_LOAD):
        raise NotAllowed(
            "This load was begun by somebody else",
            hint="Ask them, or an administrator.",
            where=record.id,
        )
