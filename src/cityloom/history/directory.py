"""The directory of series, held in memory by every store: which reading belongs to which series. Pure.

`plan` works out what a batch means without touching the directory; `apply` makes it so once the store has
committed. So a failed commit leaves nothing behind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec

from cityloom.history.model import (
    EntityNews,
    Erasure,
    NewReading,
    Origin,
    PastColumn,
    ReadingBatch,
    Series,
    SeriesKey,
    ValueKind,
)
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import ChangeKind

#: A reading that is a number and nothing else, as most are, and so put together plain: series, at, kind,
#: number, sequence, recorded_at, observed, origin.
NumberRow = tuple[int, int, ValueKind, float, int, int, bool, Origin]


class Row(msgspec.Struct, frozen=True, gc=False):
    """Any other reading as the store keeps it."""

    series: int
    at: int
    kind: ValueKind
    number: float | None
    text: str | None
    sequence: int
    recorded_at: int
    observed: bool
    origin: Origin = Origin.MEASURED
    details: str | None = None
    instance: str | None = None
    created_at: int | None = None


class Erased(NamedTuple):
    """Readings of a series that go: those of one instant that came before or with one change."""

    series: int
    at: int
    sequence: int


#: The newest value of a series: at, kind, number, text, details.
Newest = tuple[int, ValueKind, float | None, str | None, str | None]
#: Later than any reading: what comes after it is taken for late, and looked at closely.
_UNKNOWN: Newest = (2**62, ValueKind.NOTHING, None, None, None)
#: The datasets of an attribute that has its default instance alone.
_DEFAULT_ALONE = ("",)
#: The parts of a SeriesKey, which it costs a third to put together plain.
_Key = tuple[str, str, str, str, str, str]
#: What the series of an Entity follow: its types and its class.
Standing = tuple[tuple[str, ...], InformationClass]


class Plan(msgspec.Struct):
    """What a batch adds."""

    created: dict[int, Series] = msgspec.field(default_factory=dict)
    changed: dict[int, Series] = msgspec.field(default_factory=dict)
    numbers: list[NumberRow] = msgspec.field(default_factory=list)
    rows: list[Row] = msgspec.field(default_factory=list)
    #: (series, at, sequence): readings with these series and at and a lower sequence are superseded.
    late: list[tuple[int, int, int]] = msgspec.field(default_factory=list)
    newest: dict[int, Newest] = msgspec.field(default_factory=dict)
    standing: dict[tuple[str, str], Standing] = msgspec.field(default_factory=dict)
    #: Taken out after the rows were put in: single readings, and whole series.
    erased: list[Erased] = msgspec.field(default_factory=list)
    forgotten: set[int] = msgspec.field(default_factory=set)


class SeriesDirectory:
    """All series of a store. `newest_of` asks the store for the newest readings of series not yet met."""

    def __init__(
        self, series: Iterable[Series], newest_of: Callable[[list[int]], dict[int, Newest | None]]
    ) -> None:
        self._lock = threading.RLock()
        self._newest_of = newest_of
        self._newest: dict[int, Newest | None] = {}
        self._by_id: dict[int, Series] = {}
        self._live: dict[_Key, int] = {}
        self._by_entity: dict[tuple[str, str], list[int]] = {}
        #: Series of one attribute instance: more than one where its unit or its type changed.
        self._by_instance: dict[tuple[str, ...], list[int]] = {}
        #: Those of them that share their attribute instance with another.
        self._siblings: dict[int, list[int]] = {}
        #: Series of datasets beside the default one, by attribute.
        self._datasets: dict[tuple[str, ...], list[int]] = {}
        #: Types and class of Entities as their live series have them.
        self._standing: dict[tuple[str, str], Standing] = {}
        self._by_type: dict[tuple[str, str], set[int]] = {}
        self._next_id = 1
        # What is asked for each reading goes to the dictionaries without a call between.
        #: The id of the series that takes readings of a key now.
        self.live = self._live.get
        #: The newest value of a series.
        self.newest = self._newest.get
        #: Ids of all series of the same attribute instance; None for a series that is alone, as most are.
        self.siblings = self._siblings.get
        for one in series:
            self._put(one)

    def plan(self, batch: ReadingBatch) -> Plan:
        """What must be stored for a batch."""
        with self._lock:
            self._meet(batch)
            planner = _Planner(self)
            for news in batch:
                planner.take(news)
            return planner.plan

    def plan_past(self, columns: Iterable[PastColumn]) -> list[tuple[Series, PastColumn]]:
        """Series to create for the pasts of those that are not there yet."""
        with self._lock:
            fresh = [column for column in columns if not self.of_instance(column.key) and len(column.at)]
            return [
                (Series(number, column.key, column.types, column.information_class), column)
                for number, column in enumerate(fresh, self._next_id)
            ]

    def apply_past(self, planned: Iterable[tuple[Series, PastColumn]]) -> None:
        """Take over what was loaded."""
        with self._lock:
            for one, column in planned:
                self._put(one)
                self._newest[one.id] = (int(column.at[-1]), column.kind, float(column.number[-1]), None, None)

    def apply(self, plan: Plan) -> None:
        """Take over what was stored."""
        with self._lock:
            for one in (*plan.created.values(), *plan.changed.values()):
                self._put(one)
            self._newest.update(plan.newest)
            self._standing.update(plan.standing)
            for gone in plan.erased:
                # Asked of the store again when it is next met.
                self._newest.pop(gone.series, None)
            self.forget(plan.forgotten)

    def select(
        self,
        tenant: str,
        *,
        entity_ids: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        attributes: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
    ) -> list[Series]:
        """The series that fit every condition that is given, in the order of their id."""
        with self._lock:
            found = [self._by_id[one] for one in sorted(self._candidates(tenant, entity_ids, types))]
        wanted = None if attributes is None else frozenset(attributes)
        sets = None if datasets is None else frozenset(datasets)
        return [
            one
            for one in found
            if (wanted is None or one.key.attribute in wanted) and (sets is None or one.key.dataset in sets)
        ]

    def forget(self, series: Iterable[int]) -> None:
        """Drop series from the directory."""
        with self._lock:
            for number in series:
                gone = self._by_id.pop(number, None)
                if gone is None:
                    continue
                self._newest.pop(number, None)
                if self._live.get(gone.key) == number:
                    del self._live[gone.key]
                self._by_entity[gone.key.tenant, gone.key.entity_id].remove(number)
                self._by_instance[gone.key[:4]].remove(number)
                self._siblings.pop(number, None)
                if gone.key.dataset:
                    self._datasets[gone.key[:3]].remove(number)
                self._standing.pop((gone.key.tenant, gone.key.entity_id), None)
                for name in gone.types:
                    self._by_type[gone.key.tenant, name].discard(number)

    def get(self, number: int) -> Series:
        """The series of an id."""
        return self._by_id[number]

    def of_entity(self, tenant: str, entity_id: str) -> list[int]:
        """Ids of the series of an Entity, retired ones too."""
        return self._by_entity.get((tenant, entity_id), [])

    def of_instance(self, key: _Key) -> list[int]:
        """Ids of the series of the same attribute instance in any unit."""
        return self._by_instance.get(key[:4], [])

    def of_attribute(self, attribute: tuple[str, str, str]) -> list[int]:
        """Ids of all series of an attribute (tenant, Entity, name), of any dataset and unit."""
        return [*self._by_instance.get((*attribute, ""), ()), *self._datasets.get(attribute, ())]

    @property
    def has_datasets(self) -> bool:
        """Whether any series is of a dataset beside the default one."""
        return bool(self._datasets)

    def standing(self, tenant: str, entity_id: str) -> Standing | None:
        """What an Entity's series were last told of its types and class."""
        return self._standing.get((tenant, entity_id))

    @property
    def next_id(self) -> int:
        """An id that is free."""
        return self._next_id

    def _candidates(
        self, tenant: str, entity_ids: Sequence[str] | None, types: Sequence[str] | None
    ) -> set[int]:
        typed = None
        if types is not None:
            typed = set[int]().union(*(self._by_type.get((tenant, name), ()) for name in types))
        if entity_ids is not None:
            named = {one for name in entity_ids for one in self._by_entity.get((tenant, name), ())}
            return named if typed is None else named & typed
        if typed is not None:
            return typed
        return {number for number, one in self._by_id.items() if one.key.tenant == tenant}

    def _meet(self, batch: ReadingBatch) -> None:
        """Ask the store once for the newest values of all known series that a batch touches first."""
        touched = chain.from_iterable(self.of_entity(news.tenant, news.entity_id) for news in batch)
        unknown = set(touched).difference(self._newest)
        if unknown:
            found = self._newest_of(sorted(unknown))
            self._newest.update({number: found.get(number) for number in unknown})

    def _put(self, one: Series) -> None:
        known = self._by_id.get(one.id)
        tenant = one.key.tenant
        if known is None:
            self._by_entity.setdefault((tenant, one.key.entity_id), []).append(one.id)
            together = self._by_instance.setdefault(one.key[:4], [])
            together.append(one.id)
            if len(together) > 1:
                self._siblings.update(dict.fromkeys(together, together))
            if one.key.dataset:
                self._datasets.setdefault(one.key[:3], []).append(one.id)
        elif known.types != one.types:
            for name in known.types:
                self._by_type[tenant, name].discard(one.id)
        for name in one.types:
            self._by_type.setdefault((tenant, name), set()).add(one.id)
        self._by_id[one.id] = one
        if not one.retired:
            self._live[one.key] = one.id
        elif self._live.get(one.key) == one.id:
            del self._live[one.key]
        self._next_id = max(self._next_id, one.id + 1)


class _Planner:
    """Reads a batch in order over the directory and its own additions."""

    def __init__(self, directory: SeriesDirectory) -> None:
        self.plan = Plan()
        self._directory = directory
        self._next_id = directory.next_id
        self._live: dict[_Key, int | None] = {}
        self._added: dict[tuple[str, str], list[int]] = {}
        self._instances: dict[tuple[str, ...], list[int]] = {}
        #: Series of this batch by attribute.
        self._attributes: dict[tuple[str, ...], list[int]] = {}

    def take(self, news: EntityNews) -> None:
        for erasure in news.erasures:
            self._erase(news, erasure)
        if news.kind is ChangeKind.CREATED or news.kind is ChangeKind.PAST:
            self._revive(news)
        self._follow_entity(news)
        for reading in news.readings:
            self._place(news, reading)
        for name, datasets in news.standing.items():
            if datasets != _DEFAULT_ALONE or self._attributes or self._directory.has_datasets:
                self._mark_deleted(news, name, datasets)
        if news.kind is ChangeKind.DELETED:
            for one in self._series_of(news):
                if not one.retired:
                    self._mark(news, one.id)
                    self._change(msgspec.structs.replace(one, retired=True))

    def _mark_deleted(self, news: EntityNews, name: str, standing: tuple[str, ...]) -> None:
        """Instances of an attribute that are there no longer were deleted (4.5.7)."""
        attribute = (news.tenant, news.entity_id, name)
        for number in (*self._directory.of_attribute(attribute), *self._attributes.get(attribute, ())):
            one = self._current(number)
            if not one.retired and one.key.dataset not in standing:
                self._mark(news, number)

    def _mark(self, news: EntityNews, number: int) -> None:
        if number in self.plan.forgotten:
            return
        newest = self.plan.newest.get(number) or self._directory.newest(number)
        if newest is None or newest[1] is not ValueKind.NOTHING or newest is _UNKNOWN:
            # Beside the last value, so that it is the newest of the series whatever clock its readings have.
            known = newest is not None and newest is not _UNKNOWN
            at = newest[0] if newest is not None and known else news.recorded_at
            row = Row(
                number, at, ValueKind.NOTHING, None, None, news.sequence, news.recorded_at, observed=False
            )
            self.plan.rows.append(row)
            if known:
                self.plan.newest[number] = (at, ValueKind.NOTHING, None, None, None)

    def _erase(self, news: EntityNews, erasure: Erasure) -> None:
        for one in self._series_of(news):
            if _is_meant(one, erasure):
                if erasure.at is None:
                    self._forget(one)
                else:
                    self.plan.erased.append(Erased(one.id, erasure.at, erasure.sequence))
                    self.plan.newest[one.id] = _UNKNOWN

    def _forget(self, one: Series) -> None:
        self.plan.forgotten.add(one.id)
        self.plan.changed.pop(one.id, None)
        self._live[one.key] = None

    def _series_of(self, news: EntityNews) -> list[Series]:
        entity = (news.tenant, news.entity_id)
        numbers = [*self._directory.of_entity(*entity), *self._added.get(entity, ())]
        return [self._current(number) for number in numbers if number not in self.plan.forgotten]

    def _current(self, number: int) -> Series:
        plan = self.plan
        return plan.created.get(number) or plan.changed.get(number) or self._directory.get(number)

    def _revive(self, news: EntityNews) -> None:
        """An Entity of the same class that comes back goes on with its series.

        One that comes back with another class begins anew, so that a free id opens no secret history.
        """
        for one in self._series_of(news):
            same = one.information_class == news.information_class
            if one.retired and same and self._live_id(one.key) is None:
                self._change(msgspec.structs.replace(one, retired=False))

    def _follow_entity(self, news: EntityNews) -> None:
        """The class and types of an Entity are those of its series."""
        entity, now = (news.tenant, news.entity_id), (news.types, news.information_class)
        if now == (self.plan.standing.get(entity) or self._directory.standing(*entity)):
            return
        self.plan.standing[entity] = now
        for one in self._series_of(news):
            if not one.retired and (one.types, one.information_class) != now:
                self._change(
                    msgspec.structs.replace(one, types=news.types, information_class=news.information_class)
                )

    def _change(self, one: Series) -> None:
        target = self.plan.created if one.id in self.plan.created else self.plan.changed
        target[one.id] = one
        self._live[one.key] = None if one.retired else one.id

    def _live_id(self, key: _Key) -> int | None:
        if self._live and key in self._live:
            return self._live[key]
        return self._directory.live(key)

    def _place(self, news: EntityNews, reading: NewReading) -> None:
        key = (
            news.tenant,
            news.entity_id,
            reading.attribute,
            reading.dataset,
            reading.attribute_type,
            reading.unit_code,
        )
        plan, directory = self.plan, self._directory
        number = (self._live_id(key) if self._live else directory.live(key)) or self._create(news, key)
        newest = plan.newest.get(number) or directory.newest(number)
        at, kind, value = reading.at, reading.kind, reading.number
        text, details = reading.text, reading.details
        said: Newest = (at, kind, value, text, details)
        if newest == said:
            return  # told again, unchanged
        if value is not None and text is details is reading.instance is None:
            row = (number, at, kind, value, news.sequence, news.recorded_at, reading.observed, reading.origin)
            plan.numbers.append(row)
        else:
            plan.rows.append(_row_of(news, reading, number))
        if newest is None or at > newest[0]:
            plan.newest[number] = said
        else:
            plan.late.append((number, at, news.sequence))
            if at == newest[0]:
                plan.newest[number] = said
        if self._instances or directory.siblings(number):
            self._supersede_other_units(news, key, number, at)

    def _supersede_other_units(self, news: EntityNews, key: _Key, number: int, at: int) -> None:
        """A reading sent again in another unit replaces the one in the wrong unit."""
        siblings = (*self._directory.of_instance(key), *self._instances.get(key[:4], ()))
        for other in siblings:
            newest = self.plan.newest.get(other) or self._directory.newest(other)
            if other != number and newest is not None and at <= newest[0]:
                self.plan.late.append((other, at, news.sequence))

    def _create(self, news: EntityNews, parts: _Key) -> int:
        key = SeriesKey(*parts)
        number = self._next_id
        self._next_id += 1
        self.plan.created[number] = Series(number, key, news.types, news.information_class)
        self._live[key] = number
        self._added.setdefault((news.tenant, news.entity_id), []).append(number)
        self._instances.setdefault(key[:4], []).append(number)
        self._attributes.setdefault(key[:3], []).append(number)
        return number


def _row_of(news: EntityNews, reading: NewReading, number: int) -> Row:
    return Row(
        number,
        reading.at,
        reading.kind,
        reading.number,
        reading.text,
        news.sequence,
        news.recorded_at,
        reading.observed,
        reading.origin,
        reading.details,
        reading.instance,
        reading.created_at,
    )


def _is_meant(one: Series, erasure: Erasure) -> bool:
    key = one.key
    return (
        int(one.information_class) in erasure.classes
        and (erasure.attribute is None or key.attribute == erasure.attribute)
        and (erasure.dataset is None or key.dataset == erasure.dataset)
        and (
            erasure.at is None
            or (key.attribute_type, key.unit_code) == (erasure.attribute_type, erasure.unit_code)
        )
    )
