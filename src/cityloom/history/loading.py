"""Whole tables brought into the past of the city: begun, brought portion by portion, and taken out again.

Entities are written through the broker as anybody writes them. Their readings go into history by themselves;
afterwards the newest of each series becomes what the Entity says now, unless it says something newer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from cityloom.access.audit import AuditLog
from cityloom.access.authority import TERMINAL, may_write, require
from cityloom.access.ownership import ORIGIN, check_write
from cityloom.context.broker import Broker
from cityloom.history.instances import instances_of
from cityloom.history.loads import Bringing, LoadRecord, LoadStore, Portion
from cityloom.history.model import Integers, Series, SeriesKey, Window
from cityloom.history.ports import HistoryStore
from cityloom.history.queries import History
from cityloom.history.stage import HistoryStage
from cityloom.history.temporal_lines import temporal_lines
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.errors import BadInput, CityError, Conflict, NotAllowed, NotFound, NotReady
from cityloom.kernel.time import now_millis
from cityloom.ngsild.model import Document, Instance, content

PERMISSION = "history:load"
#: Entities written in one batch, and series looked at together.
AT_ONCE = 500
#: Refused Entities that are told of.
_TOLD = 20
#: Letters of the id and the name of a load.
_LONGEST = 300
#: What a file of readings is called: nobody is to name one that is not theirs, nor several.
_PORTION = re.compile(r"portion-[0-9a-f]{32}\.parquet")
_SYSTEM = frozenset({"instanceId", "createdAt", "modifiedAt", "deletedAt"})


class Written(msgspec.Struct, rename="camel"):
    """What became of Entities."""

    created: int = 0
    changed: int = 0
    same: int = 0
    #: Id and reason of those that were refused, some of them.
    refused: list[tuple[str, str]] = []
    refused_count: int = 0
    #: Ids of those that a whole history brought.
    new: list[str] = []


class Undone(msgspec.Struct, frozen=True, rename="camel"):
    """What taking a load out did."""

    readings: int
    #: Attributes that say again what was known before, or nothing any more.
    attributes: int
    #: Entities that the load had created and that are gone again; those that stay, having more to them.
    entities: int
    staying: int


class Part(msgspec.Struct, frozen=True):
    """What an export has of one type: its first and last instant, in milliseconds."""

    type: str
    since: int
    until: int


class Loading:
    """Loads of one city, and whole histories that go out.

    All methods are called on the event loop and need the permission `history:load`.
    """

    def __init__(self, store: HistoryStore, broker: Broker, audit: AuditLog, stage: HistoryStage) -> None:
        self._any_store = store
        self._history = History(store, broker)
        self._broker = broker
        self._audit = audit
        self._stage = stage
        self._turn = asyncio.Lock()

    @property
    def _store(self) -> LoadStore:
        if not isinstance(self._any_store, LoadStore):
            raise NotReady(
                "The history of this city takes no whole tables",
                hint="It does where the history is a file in the city's folder.",
            )
        return self._any_store

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
                return there
            if there is not None:
                raise Conflict(
                    "This table was loaded and taken out again",
                    hint="Load it anew with --again.",
                    where=record.id,
                )
            await self._audit.record(actor, "history.load", record.id, {"table": record.name})
            # How far it has come, and what it has created, is not for whoever asks to say.
            fresh = LoadRecord(record.id, 0, record.name, actor.id, now_millis(), of_rows=record.of_rows)
            return await asyncio.to_thread(self._store.keep_load, fresh)

    async def look(self, actor: Actor, documents: Sequence[Document]) -> Written:
        """What `write` would do with these Entities."""
        require(actor, PERMISSION)
        written = Written()
        for document in documents:
            there = self._broker.find(actor, document["id"])
            if there is None:
                written.created += 1
            elif _fresh(document, there) is None:
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
        fresh = []
        written = Written()
        others: list[tuple[str, str]] = []
        for document in documents:
            there = self._broker.find(actor, document["id"])
            wanted = document if there is None else _fresh(document, there)
            if there is not None and not set(document["type"]) <= set(there["type"]):
                others.append((document["id"], f"it is a {' and '.join(there['type'])}"))
            elif wanted is None:
                written.same += 1
            else:
                fresh.append(wanted)
        outcome = await self._broker.upsert_many(
            _writer(actor), fresh, update=True, information_class=information_class, trace=f"load:{load}"
        )
        written.created, written.changed = len(outcome.created), len(outcome.updated)
        others += [(one, str(error)) for one, error in outcome.errors]
        written.refused, written.refused_count = others[:_TOLD], len(others)
        if outcome.created:
            async with self._turn:
                record = await self._known(load)
                await self._keep(record, created=(*record.created, *outcome.created))
        return written

    async def bring(self, actor: Actor, portion: Portion) -> LoadRecord:
        """Readings of a portion kept. Its series get the types and class that their Entities have now.

        Raises NotFound for an Entity that is not there, NotAllowed for one that the actor may not write.
        """
        require(actor, PERMISSION)
        if _PORTION.fullmatch(portion.file) is None or not 0 <= portion.first < portion.end:
            raise BadInput("This is no portion", hint="Send what `cityloom load` sends.", where="portion")
        series = list(self._as_they_stand(actor, portion.series, whole=portion.whole))
        async with self._turn:
            # What the feed has told comes before: the table says what was known before today.
            await self._stage.caught_up(self._broker.last_sequence)
            standing = msgspec.structs.replace(portion, series=series)
            await asyncio.to_thread(self._store.bring, standing)
            return await self._known(portion.load)

    async def settle(self, actor: Actor, load: str, *, rejected: int = 0) -> tuple[LoadRecord, Written]:
        """The newest readings become what the Entities say now, where that is older; the load is done."""
        require(actor, PERMISSION)
        record = await self._known(load)
        await self._stage.caught_up(self._broker.last_sequence)
        written = Written()
        # By the class of those that are created; None: they are there.
        waiting: dict[InformationClass | None, list[Document]] = {}
        async for document, information_class in self._newest(actor, record):
            there = self._broker.find(CITY, document["id"])
            fresh = document if there is None else _newer(document, there)
            if fresh is None:
                written.same += 1
                continue
            together = waiting.setdefault(information_class if there is None else None, [])
            together.append(_timed(fresh) if there is None else _without_times(fresh))
            if len(together) >= AT_ONCE:
                await self._say(actor, load, waiting, written)
        await self._say(actor, load, waiting, written)
        async with self._turn:
            record = await self._known(load)
            created = (*record.created, *written.new)
            kept = await self._keep(record, finished_at=now_millis(), rejected=rejected, created=created)
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
                    _writer(actor), documents, update=True, trace=f"load:{load}"
                )
            else:
                # As it was elsewhere, with its times: that it comes here is nothing that happened to it.
                outcome = await self._broker.take_over(
                    _writer(actor), [(one, chosen) for one in documents], trace=f"load:{load}"
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
            record = await self._known(load)
            if record.undone_at:
                raise Conflict("This load is taken out already", hint="Look at the others.", where=load)
            numbers = await asyncio.to_thread(self._store.brought, record.number)
            self._check_sees_all(actor, self._series(numbers))
            await self._audit.record(actor, "history.unload", load, {"table": record.name})
            await self._stage.caught_up(self._broker.last_sequence)
            before = dict(await asyncio.to_thread(self._last, self._series(numbers)))
            taken = await asyncio.to_thread(self._store.take_out, record.number)
            after = dict(await asyncio.to_thread(self._last, self._series(numbers)))
            attributes = await self._put_back(actor, load, before, after)
            gone = await self._remove(actor, record)
            kept = await self._keep(record, undone_at=now_millis())
        return kept, Undone(taken.gone, attributes, gone, len(record.created) - gone)

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

    # Whole histories going out

    async def parts(self, actor: Actor, classes: Sequence[InformationClass]) -> list[Part]:
        """What there is to export of these classes, as far as the actor sees them."""
        require(actor, PERMISSION)
        await self._stage.caught_up(self._broker.last_sequence)
        found = []
        for name, series in sorted(self._by_type(actor, classes).items()):
            window = Window(_numbers(series), corrected=True, marks="with")
            span = await asyncio.to_thread(self._any_store.extent, window)
            if span is not None:
                found.append(Part(name, *span))
        return found

    async def export(
        self, actor: Actor, part: Part, classes: Sequence[InformationClass], format_name: str
    ) -> tuple[str, int]:
        """A file in the folder of exports with what a part says, since <= observedAt < until; how many.

        Type "" means all. "ngsild" tells what is known now, in lines of EntityTemporal; the others tell what
        was corrected, too.
        """
        require(actor, PERMISSION)
        if format_name not in ("csv", "parquet", "ngsild"):
            raise BadInput(
                f"{format_name!r} is not a format of export",
                hint="Ask for parquet, csv or ngsild.",
                where="format",
            )
        found = self._by_type(actor, classes)
        series = found.get(part.type, []) if part.type else [one for some in found.values() for one in some]
        await self._audit.record(actor, "history.export", part.type, {"format": format_name})
        if format_name == "ngsild":
            return await asyncio.to_thread(self._export_temporal, series, part)
        store, numbers = self._store, _numbers(series)
        path, count = await asyncio.to_thread(
            store.export_whole, numbers, part.since, part.until, format_name
        )
        return path.name, count

    def _by_type(self, actor: Actor, classes: Sequence[InformationClass]) -> dict[str, list[Series]]:
        """The series that somebody sees, by the first type of their Entities."""
        found: dict[str, list[Series]] = {}
        for one in self._history.series(actor, None, whole=True):
            if one.information_class in classes:
                found.setdefault(one.types[0] if one.types else "Thing", []).append(one)
        return found

    def _export_temporal(self, series: list[Series], part: Part) -> tuple[str, int]:
        """Lines of a JSON array, a few thousand instances each; blocking."""
        path, count = self._store.new_export("json"), 0
        with path.open("w", encoding="utf-8") as file:
            file.write("[")
            for number, (line, instances) in enumerate(
                temporal_lines(self._any_store, series, part.since, part.until)
            ):
                file.write(",\n" if number else "\n")
                file.write(line)
                count += instances
            file.write("\n]\n")
        return path.name, count

    # Series and their newest readings

    def _as_they_stand(self, actor: Actor, series: Iterable[Bringing], *, whole: bool) -> Iterator[Bringing]:
        checked: set[tuple[str, ...]] = set()
        standing: dict[str, tuple[tuple[str, ...], InformationClass]] = {}
        for one in series:
            entity_id = one.key.entity_id
            if one.key.tenant != DEFAULT_TENANT:
                raise NotFound(
                    "Tables are for the default tenant", hint="Load it without.", where=one.key.tenant
                )
            if entity_id not in standing:
                standing[entity_id] = self._stands(actor, one, whole=whole)
            types, information_class = standing[entity_id]
            what = (*types, one.key.attribute, one.key.dataset)
            if what not in checked:
                checked.add(what)
                said: Instance = {"type": one.key.attribute_type, "value": None}
                if one.key.dataset:
                    said["datasetId"] = one.key.dataset
                check_write(_writer(actor), None, {"type": types, "attrs": {one.key.attribute: [said]}})
            yield msgspec.structs.replace(one, types=types, information_class=information_class)

    def _stands(
        self, actor: Actor, one: Bringing, *, whole: bool
    ) -> tuple[tuple[str, ...], InformationClass]:
        """Types and class of an Entity; of one that is not there those that a whole history tells."""
        entity_id = one.key.entity_id
        document = self._broker.find(actor, entity_id)
        if document is not None:
            return tuple(document["type"]), self._broker.class_of(actor, entity_id)
        hidden = self._broker.find(CITY, entity_id) is not None
        if hidden or not whole or not actor.sees(one.information_class):
            raise NotFound("There is no such Entity", hint="Write it before its readings.", where=entity_id)
        return one.types, one.information_class

    def _series(self, numbers: Integers) -> list[Series]:
        wanted = set(numbers.tolist())
        return [one for one in self._any_store.series(DEFAULT_TENANT) if one.id in wanted]

    def _last(self, series: list[Series]) -> Iterator[tuple[SeriesKey, tuple[Series, Instance]]]:
        """The newest reading of each series; blocking."""
        for begin in range(0, len(series), AT_ONCE):
            some = {one.id: one for one in series[begin : begin + AT_ONCE]}
            window = Window(np.array(list(some), np.int64), last_n=1, marks="with")
            for number, instance in instances_of(some, self._any_store.raw(window)):
                yield some[number].key, (some[number], instance)

    async def _newest(self, actor: Actor, record: LoadRecord) -> Any:
        """Each Entity of a load with its newest readings, as a document, and its class."""
        numbers = await asyncio.to_thread(self._store.brought, record.number)
        series = sorted(self._series(numbers), key=lambda one: one.key.entity_id)
        together: list[Series] = []
        for place, one in enumerate(series):
            if not one.retired and actor.sees(one.information_class):
                together.append(one)
            last = place + 1 == len(series) or series[place + 1].key.entity_id != one.key.entity_id
            if together and (place + 1 == len(series) or (last and len(together) >= AT_ONCE)):
                found = await asyncio.to_thread(lambda some: dict(self._last(some)), together)
                for document in _documents(found):
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
            now = _instance(document, key) if document is not None else None
            if document is None or now is None or not _same(now, was):
                continue
            known = after.get(key)
            if known is not None and _same(known[1], was):
                continue
            count += 1
            if known is not None and "deletedAt" not in known[1]:
                back = {
                    "id": key.entity_id,
                    "type": document["type"],
                    "attrs": {key.attribute: [_plain(known[1])]},
                }
                await self._broker.upsert_many(actor, [back], update=True, trace=f"unload:{load}")
            else:
                await self._broker.delete_attribute(
                    actor, key.entity_id, key.attribute, dataset=key.dataset or None, trace=f"unload:{load}"
                )
        return count

    async def _remove(self, actor: Actor, record: LoadRecord) -> int:
        """Delete Entities that the load created and that nobody has added to; returns how many."""
        count = 0
        for entity_id in record.created:
            document = self._broker.find(actor, entity_id)
            if document is None or any(
                "observedAt" in item for items in document["attrs"].values() for item in items
            ):
                continue
            try:
                await self._broker.delete(actor, entity_id, trace=f"unload:{record.id}")
            except CityError:
                continue
            count += 1
        return count

    # Records

    async def _find(self, load: str) -> LoadRecord | None:
        found = await asyncio.to_thread(self._store.loads)
        return next((one for one in found if one.id == load), None)

    async def _known(self, load: str) -> LoadRecord:
        found = await self._find(load)
        if found is None:
            raise NotFound("There is no such load", hint="`cityloom load --list` names them.", where=load)
        return found

    async def _keep(self, record: LoadRecord, **changes: Any) -> LoadRecord:
        kept = msgspec.structs.replace(record, **changes)
        return await asyncio.to_thread(self._store.keep_load, kept)


def _writer(actor: Actor) -> Actor:
    """Who writes: whoever owns the city's folder could put there what a room says, and brings it back so."""
    return may_write(actor, classify=True) if actor.id == TERMINAL.id else actor


def _fresh(document: Document, there: Document) -> Document | None:
    """The attributes that say something else than those that are there; None where none does."""
    attributes = {
        name: items
        for name, items in document["attrs"].items()
        if name != ORIGIN and not _says(items, there["attrs"].get(name, ()))
    }
    return {"id": document["id"], "type": document["type"], "attrs": attributes} if attributes else None


def _says(items: Sequence[Instance], there: Sequence[Instance]) -> bool:
    def said(item: Instance) -> tuple[Any, ...]:
        return item["type"], item.get("datasetId"), item.get("unitCode"), content(item)

    return all(said(item) in [said(one) for one in there] for item in items)


def _newer(document: Document, there: Document) -> Document | None:
    """The instances that were observed after those that are there; None where none was."""
    attributes: dict[str, list[Instance]] = {}
    for name, items in document["attrs"].items():
        standing = {one.get("datasetId"): one for one in there["attrs"].get(name, ())}
        fresh = [item for item in items if _is_newer(item, standing.get(item.get("datasetId")))]
        if fresh:
            attributes[name] = fresh
    return {"id": document["id"], "type": there["type"], "attrs": attributes} if attributes else None


def _is_newer(item: Instance, there: Instance | None) -> bool:
    if there is None:
        return True
    said, known = item.get("observedAt"), there.get("observedAt")
    if said is None or known is None:
        return False
    # Without the Z, a shorter fraction of a second comes first.
    return bool(said[:-1] > known[:-1]) or (said == known and content(item) != content(there))


def _documents(
    found: dict[SeriesKey, tuple[Series, Instance]],
) -> Iterator[tuple[Document, InformationClass]]:
    entities: dict[str, tuple[Document, InformationClass]] = {}
    for key, (series, instance) in found.items():
        if "deletedAt" in instance:
            continue
        document, _ = entities.setdefault(
            key.entity_id,
            ({"id": key.entity_id, "type": list(series.types), "attrs": {}}, series.information_class),
        )
        instances = document["attrs"].setdefault(key.attribute, [])
        rival = next((one for one in instances if one.get("datasetId") == instance.get("datasetId")), None)
        if rival is None:
            instances.append(instance)
        elif _is_newer(instance, rival):
            instances[instances.index(rival)] = instance
    yield from (one for one in entities.values() if one[0]["attrs"])


def _timed(document: Document) -> Document:
    """An Entity as it was elsewhere, with the system's times."""
    attributes = {
        name: [{key: said for key, said in item.items() if key != "instanceId"} for item in items]
        for name, items in document["attrs"].items()
    }
    every = [item for items in attributes.values() for item in items]
    times = {
        "createdAt": min(item["createdAt"] for item in every),
        "modifiedAt": max(item["modifiedAt"] for item in every),
    }
    return {**document, "attrs": attributes, **times}


def _without_times(document: Document) -> Document:
    attributes = {name: [_plain(item) for item in items] for name, items in document["attrs"].items()}
    return {**document, "attrs": attributes}


def _numbers(series: Sequence[Series]) -> Integers:
    return np.array([one.id for one in series], np.int64)


def _plain(instance: Instance) -> Instance:
    return {name: said for name, said in instance.items() if name not in _SYSTEM}


def _instance(document: Document, key: SeriesKey) -> Instance | None:
    for item in document["attrs"].get(key.attribute, ()):
        if item.get("datasetId", "") == key.dataset:
            return dict(item)
    return None


def _same(one: Instance, other: Instance) -> bool:
    return one.get("observedAt") == other.get("observedAt") and content(one) == content(other)
