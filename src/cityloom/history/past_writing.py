"""Temporal provision (ETSI GS CIM 009, 5.6.11 to 5.6.16): the past is written, corrected and erased.

A write stands in the feed before it is acknowledged, as any other does; history keeps it when it comes to it.
So that every write finds those before it, each waits until history has come as far as the feed, and writes to
the past of one Entity go one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol
from weakref import WeakValueDictionary

import msgspec
import numpy as np

from cityloom.context.writes import PastWrite
from cityloom.history.evolution_parts import around, class_of, prepared, stand_in, types_of
from cityloom.history.instances import instance_id, instances_of, instant_in
from cityloom.history.model import SCOPE, Erasure, Integers, Readings, Series, Window
from cityloom.history.past import Past, encode_past
from cityloom.history.queries import History
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT, Change
from cityloom.kernel.time import format_instant, from_millis, now_millis
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document, Instance


class PastBroker(Protocol):
    """The broker, as far as it is needed here."""

    async def write_past(
        self, actor: Actor, entity_id: str, past: PastWrite, *, trace: str = ..., tenant: str = ...
    ) -> Change: ...


class Found(msgspec.Struct, frozen=True):
    """One remembered instance."""

    series: Series
    at: int
    sequence: int
    instance: Instance


class PastWriting:
    """Writes the past. `remembered` returns once history has come as far as the feed is."""

    def __init__(
        self, history: History, broker: PastBroker, remembered: Callable[[], Awaitable[None]]
    ) -> None:
        self._history = history
        self._broker = broker
        self._remembered = remembered
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def add(
        self,
        actor: Actor,
        document: Document,
        *,
        create: bool,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> bool:
        """Instances and types added to an evolution (5.6.11, 5.6.12); whether it was begun with them.

        Without `create` raises ResourceNotFound where there is none yet.
        """
        entity_id = document["id"]
        async with self._turn(tenant, entity_id):
            series = await self._series(actor, entity_id, tenant)
            if not series and not create:
                raise _unknown(entity_id)
            present = types_of(series)
            types = tuple(dict.fromkeys((*present, *document.get("type", ()))))
            now = now_millis()
            attributes = {name: prepared(items, name, now) for name, items in document["attrs"].items()}
            new = {"id": entity_id, "type": list(types), "attrs": attributes}
            past = PastWrite(
                types=types,
                told=encode_past(Past(attributes)),
                attributes=tuple(attributes),
                before={"id": entity_id, "type": list(present), "attrs": {}} if series else None,
                after=new,
                information_class=class_of(series),
            )
            await self._broker.write_past(actor, entity_id, past, trace=trace, tenant=tenant)
        return not series

    async def delete(
        self, actor: Actor, entity_id: str, *, trace: str = "", tenant: str = DEFAULT_TENANT
    ) -> None:
        """The whole evolution erased (5.6.16). Raises ResourceNotFound."""
        async with self._turn(tenant, entity_id):
            series = await self._evolution(actor, entity_id, tenant)
            before = {"id": entity_id, "type": list(types_of(series)), "attrs": {}}
            await self._erase(actor, entity_id, series, Erasure(_classes(actor)), before, None, trace, tenant)

    async def delete_attribute(
        self,
        actor: Actor,
        entity_id: str,
        name: str,
        *,
        dataset: str | None = None,
        every: bool = False,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> None:
        """The instances of an attribute erased: of one dataset (None: the default one) or of all (5.6.13)."""
        async with self._turn(tenant, entity_id):
            series = await self._evolution(actor, entity_id, tenant)
            wanted = None if every else dataset or ""
            meant = [
                one
                for one in series
                if one.key.attribute == name and (wanted is None or one.key.dataset == wanted)
            ]
            if not meant:
                raise _without(entity_id, name)
            before, after = around(entity_id, series, name, [stand_in(one) for one in meant], [])
            erasure = Erasure(_classes(actor), name, wanted)
            await self._erase(actor, entity_id, series, erasure, before, after, trace, tenant)

    async def end_attribute(
        self,
        actor: Actor,
        entity_id: str,
        name: str,
        *,
        dataset: str | None = None,
        every: bool = False,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> bool:
        """Told that an attribute was deleted now, of an Entity that the past alone has (5.6.5, 4.5.7).

        False where there was none: nothing is remembered of it, or its end is told already.
        """
        async with self._turn(tenant, entity_id):
            series = await self._series(actor, entity_id, tenant)
            meant = {
                one.id: one
                for one in series
                if one.key.attribute == name and (every or one.key.dataset == (dataset or ""))
            }
            ends = await asyncio.to_thread(self._ends, meant)
            if not ends:
                return False
            told = {name: prepared(ends, name, now_millis())}
            before, after = around(entity_id, series, name, [], told[name])
            past = PastWrite(
                types=types_of(series),
                told=encode_past(Past(told)),
                attributes=(name,),
                before=before,
                after=after,
                information_class=class_of(series),
            )
            await self._broker.write_past(actor, entity_id, past, trace=trace, tenant=tenant)
        return True

    def _ends(self, series: dict[int, Series]) -> list[Instance]:
        """Instances that tell of a deletion, one for each dataset that is there still."""
        if not series:
            return []
        numbers = np.array(list(series), np.int64)
        found = self._history.read(Window(numbers, last_n=1, marks="with"))
        newest: dict[str, tuple[int, int, Instance]] = {}
        for row, (number, instance) in enumerate(instances_of(series, found)):
            dataset = series[number].key.dataset
            place = (int(found.at[row]), int(found.sequence[row]), instance)
            newest[dataset] = max(newest.get(dataset, place), place, key=lambda one: one[:2])
        return [
            {key: item[key] for key in ("type", "datasetId", "unitCode") if key in item} | {"deletedAt": ""}
            for _, _, item in newest.values()
            if "deletedAt" not in item
        ]

    async def delete_instance(
        self,
        actor: Actor,
        entity_id: str,
        name: str,
        identifier: str,
        *,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> None:
        """One instance erased, with what it corrected (5.6.15). Raises ResourceNotFound."""
        async with self._turn(tenant, entity_id):
            series = await self._evolution(actor, entity_id, tenant)
            found = await self._instance(series, entity_id, name, identifier)
            before, after = around(entity_id, series, name, [found.instance], [])
            erasure = _erasure_of(actor, found)
            await self._erase(actor, entity_id, series, erasure, before, after, trace, tenant)

    async def replace_instance(
        self,
        actor: Actor,
        entity_id: str,
        name: str,
        identifier: str,
        instance: Instance,
        *,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> None:
        """One instance replaced; it keeps its identifier and createdAt (5.6.14). Raises ResourceNotFound."""
        async with self._turn(tenant, entity_id):
            series = await self._evolution(actor, entity_id, tenant)
            found = await self._instance(series, entity_id, name, identifier)
            now = now_millis()
            (new,) = prepared([instance], name, now)
            if "observedAt" not in new:
                new["modifiedAt"] = format_instant(from_millis(found.at))
            new = {**new, "createdAt": found.instance.get("createdAt", new.get("modifiedAt"))}
            if name != SCOPE:
                new["instanceId"] = identifier
            before, after = around(entity_id, series, name, [found.instance], [new])
            past = PastWrite(
                types=types_of(series),
                told=encode_past(Past({name: [new]}, (_erasure_of(actor, found),))),
                attributes=(name,),
                before=before,
                after=after,
                information_class=class_of(series),
            )
            await self._broker.write_past(actor, entity_id, past, trace=trace, tenant=tenant)

    def _turn(self, tenant: str, entity_id: str) -> asyncio.Lock:
        """Writes to the past of one Entity go one by one: each must find what the one before has left."""
        key = (tenant, entity_id)
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = asyncio.Lock()
        return turn

    def secrecy(self, actor: Actor, entity_id: str, *, tenant: str = DEFAULT_TENANT) -> InformationClass:
        """The class of what is remembered of an Entity, of a deleted one too; open where nothing is."""
        series = self._history.series(actor, entity_id, whole=True, tenant=tenant)
        return max((one.information_class for one in series), default=InformationClass.OPEN)

    async def _series(self, actor: Actor, entity_id: str, tenant: str) -> list[Series]:
        await self._remembered()
        return self._history.series(actor, entity_id, whole=True, tenant=tenant)

    async def _evolution(self, actor: Actor, entity_id: str, tenant: str) -> list[Series]:
        series = await self._series(actor, entity_id, tenant)
        if not series:
            raise _unknown(entity_id)
        return series

    async def _instance(self, series: list[Series], entity_id: str, name: str, identifier: str) -> Found:
        of_attribute = {one.id: one for one in series if one.key.attribute == name}
        if not of_attribute:
            raise _without(entity_id, name)
        found = await asyncio.to_thread(self._find, of_attribute, identifier)
        if found is None:
            raise ResourceNotFound(
                f"{name} has no instance {identifier}",
                hint="Retrieve the attribute over time for the instanceIds that there are.",
                where="instanceId",
            )
        return found

    def _find(self, series: dict[int, Series], identifier: str) -> Found | None:
        """The instance with this identifier: its own, or the one made of its key and instant."""
        numbers = np.array(list(series), np.int64)
        named = self._history.read(Window(numbers, marks="with", instance=identifier))
        at = instant_in(identifier)
        made = None
        if at is not None:
            made = self._history.read(Window(_made_of(series, identifier, at), at, at + 1, marks="with"))
        for found in (named, made):
            if found is not None and len(found.at):
                return _found(series, found)
        return None

    async def _erase(
        self,
        actor: Actor,
        entity_id: str,
        series: list[Series],
        erasure: Erasure,
        before: Document,
        after: Document | None,
        trace: str,
        tenant: str,
    ) -> None:
        past = PastWrite(
            types=types_of(series),
            told=encode_past(Past(erase=(erasure,))),
            attributes=() if erasure.attribute is None else (erasure.attribute,),
            before=before,
            after=after,
            information_class=class_of(series),
        )
        await self._broker.write_past(actor, entity_id, past, trace=trace, tenant=tenant)


def _made_of(series: dict[int, Series], identifier: str, at: int) -> Integers:
    numbers = [number for number, one in series.items() if instance_id(one.key, at) == identifier]
    return np.array(numbers, np.int64)


def _found(series: dict[int, Series], found: Readings) -> Found:
    ((number, instance), *_) = reversed(instances_of(series, found))
    return Found(series[number], int(found.at[-1]), int(found.sequence[-1]), instance)


def _erasure_of(actor: Actor, found: Found) -> Erasure:
    key = found.series.key
    return Erasure(
        _classes(actor),
        key.attribute,
        key.dataset,
        key.attribute_type,
        key.unit_code,
        found.at,
        found.sequence,
    )


def _classes(actor: Actor) -> tuple[int, ...]:
    return tuple(sorted(int(one) for one in actor.clearance))


def _unknown(entity_id: str) -> ResourceNotFound:
    return ResourceNotFound(
        f"Nothing is remembered of {entity_id}",
        hint="Check its id; POST /temporal/entities begins an evolution.",
        where="entityId",
    )


def _without(entity_id: str, name: str) -> ResourceNotFound:
    return ResourceNotFound(
        f"{entity_id} has no {name[:60]} over time",
        hint="Retrieve it over time for the attributes and datasets that it has.",
        where="attrId",
    )
