"""What a batch of readings means to the series that are there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cityloom.history.model import EntityNews, Erasure, NewReading, Origin, Series, SeriesKey, ValueKind
from cityloom.history.newest import NEVER, Newest, is_deletion, said
from cityloom.history.shapes import Run, What
from cityloom.kernel.change import ChangeKind

if TYPE_CHECKING:
    from cityloom.history.directory import SeriesDirectory

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


#: Later than any reading: what comes after it is taken for late, and looked at closely.
_UNKNOWN: Newest = (2**62, ValueKind.NOTHING, 0.0)
#: The datasets of an attribute that has its default instance alone.
_DEFAULT_ALONE = ("",)
#: The parts of a SeriesKey, which it costs a third to put together plain.
_Key = tuple[str, str, str, str, str, str]

#: What it says where an attribute instance was deleted.
_NOTHING = said(ValueKind.NOTHING, None, None, None)
#: Tenant and id.
_Entity = tuple[str, str]


class Plan(msgspec.Struct):
    """What a batch adds."""

    #: All series of Entities that are new, and series that were created one by one.
    begun: dict[_Entity, Run] = msgspec.field(default_factory=dict)
    added: dict[int, Series] = msgspec.field(default_factory=dict)
    changed: dict[int, Series] = msgspec.field(default_factory=dict)
    numbers: list[NumberRow] = msgspec.field(default_factory=list)
    rows: list[Row] = msgspec.field(default_factory=list)
    #: (series, at, sequence): readings with these series and at and a lower sequence are superseded.
    late: list[tuple[int, int, int]] = msgspec.field(default_factory=list)
    newest: dict[int, Newest] = msgspec.field(default_factory=dict)
    #: What Entities are told they are: codes of the directory.
    standing: dict[tuple[str, str], int] = msgspec.field(default_factory=dict)
    #: Taken out after the rows were put in: single readings, and whole series.
    erased: list[Erased] = msgspec.field(default_factory=list)
    forgotten: set[int] = msgspec.field(default_factory=set)

    @property
    def created(self) -> dict[int, Series]:
        """All series that are new, by their ids."""
        begun = {one.id: one for run in self.begun.values() for one in run.series()}
        return begun | self.added


class Planner:
    """Reads a batch in order over the directory and its own additions."""

    def __init__(self, directory: SeriesDirectory) -> None:
        self.plan = Plan()
        self._directory = directory
        # What is asked for each reading is asked without a call between.
        self._newest_at = directory.newest_at
        self._known_siblings = directory.siblings
        #: Whether any series is of a dataset beside the default one.
        self._has_datasets = directory.has_datasets
        self._next_id = directory.next_id
        #: Ids from here on are of this batch.
        self._begun = directory.next_id
        #: By Entity, the series that this batch has begun, brought back (or, None, retired).
        self._live: dict[_Entity, dict[What, int | None]] = {}
        #: Series that share their attribute instance with one of this batch.
        self._siblings: set[int] = set()
        self._added: dict[tuple[str, str], list[int]] = {}
        self._instances: dict[tuple[str, ...], list[int]] = {}
        #: Series of this batch by attribute.
        self._attributes: dict[tuple[str, ...], list[int]] = {}

    def take(self, news: EntityNews) -> None:
        entity = (news.tenant, news.entity_id)
        run = self.plan.begun.pop(entity, None)
        if run is not None:
            # It comes again in the same batch: from here on its series are looked at one by one.
            self._take_apart(entity, run)
        if run is not None or not self._begin(news, entity):
            self._follow(news, entity)

    def _follow(self, news: EntityNews, entity: _Entity) -> None:
        for erasure in news.erasures:
            self._erase(news, erasure)
        if news.kind is ChangeKind.CREATED or news.kind is ChangeKind.PAST:
            self._retire_secrets(news)
            self._revive(news)
        self._follow_entity(news)
        if news.readings:
            places, first = self._directory.places(*entity)
            for reading in news.readings:
                self._place(news, entity, reading, places, first)
        for name, datasets in news.standing.items():
            if datasets != _DEFAULT_ALONE or self._has_datasets:
                self._mark_deleted(news, name, datasets)
        if news.kind is ChangeKind.DELETED:
            for one in self._series_of(news):
                if not one.retired:
                    self._mark(news, one.id)
                    self._change(msgspec.structs.replace(one, retired=True))

    def _begin(self, news: EntityNews, entity: _Entity) -> bool:
        """Begin all series of an Entity that is new, at once; False where it is none or not a plain one."""
        if (
            not news.readings
            or self._directory.knows(*entity)
            or entity in self._live
            or entity in self.plan.standing
        ):
            return False
        whats = tuple([_what_of(reading) for reading in news.readings])
        shape = self._directory.shape(news.tenant, whats)
        if shape is None or not shape.is_plain:
            return False
        first = self._next_id
        self._next_id += len(whats)
        self.plan.begun[entity] = Run(first, news.entity_id, shape, (news.types, news.information_class))
        for number, reading in enumerate(news.readings, first):
            self.plan.newest[number] = _newest_of(reading)
            self._keep(news, reading, number)
        return True

    def _take_apart(self, entity: _Entity, run: Run) -> None:
        self.plan.standing[entity] = self._directory.code_of(run.standing)
        for one in run.series():
            self._add(entity, one)

    def _mark_deleted(self, news: EntityNews, name: str, standing: tuple[str, ...]) -> None:
        """Instances of an attribute that are there no longer were deleted (4.5.7)."""
        attribute = (news.tenant, news.entity_id, name)
        for number, dataset, retired in self._directory.of_attribute(attribute):
            changed = self.plan.changed.get(number)
            if dataset not in standing and not (retired if changed is None else changed.retired):
                self._mark(news, number)
        for number in self._attributes.get(attribute, ()):
            one = self._current(number)
            if not one.retired and one.key.dataset not in standing:
                self._mark(news, number)

    def _mark(self, news: EntityNews, number: int) -> None:
        if number in self.plan.forgotten:
            return
        newest = self.plan.newest.get(number) or self._newest(number)
        if newest is _UNKNOWN or not is_deletion(newest):
            # Beside the last value, so that it is the newest of the series whatever clock its readings have.
            known = newest[0] != NEVER[0] and newest is not _UNKNOWN
            at = newest[0] if known else news.recorded_at
            row = Row(
                number, at, ValueKind.NOTHING, None, None, news.sequence, news.recorded_at, observed=False
            )
            self.plan.rows.append(row)
            if known:
                self.plan.newest[number] = (at, *_NOTHING)

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
        self._live.setdefault(one.key[:2], {})[one.key[2:]] = None

    def _series_of(self, news: EntityNews) -> list[Series]:
        entity = (news.tenant, news.entity_id)
        numbers = [*self._directory.of_entity(*entity), *self._added.get(entity, ())]
        return [self._current(number) for number in numbers if number not in self.plan.forgotten]

    def _current(self, number: int) -> Series:
        plan = self.plan
        return plan.added.get(number) or plan.changed.get(number) or self._directory.get(number)

    def _retire_secrets(self, news: EntityNews) -> None:
        """What the past alone has keeps its class, whoever comes with its id and a lower one.

        It takes no more readings: theirs begin anew. An Entity that stands is moved by a change of itself.
        """
        for one in self._series_of(news):
            if not one.retired and one.information_class > news.information_class:
                self._change(msgspec.structs.replace(one, retired=True))

    def _revive(self, news: EntityNews) -> None:
        """An Entity of the same class that comes back goes on with its series.

        One that comes back with another class begins anew, so that a free id opens no secret history.
        """
        for one in self._series_of(news):
            same = one.information_class == news.information_class
            if one.retired and same and self._live_id(one.key) is None:
                self._change(msgspec.structs.replace(one, types=news.types, retired=False))

    def _follow_entity(self, news: EntityNews) -> None:
        """The class and types of an Entity are those of its series."""
        entity, now = (news.tenant, news.entity_id), (news.types, news.information_class)
        code = self._directory.code_of(now)
        known = self.plan.standing.get(entity)
        if code == (self._directory.standing(*entity) if known is None else known):
            return
        self.plan.standing[entity] = code
        for one in self._series_of(news):
            if not one.retired and (one.types, one.information_class) != now:
                self._change(
                    msgspec.structs.replace(one, types=news.types, information_class=news.information_class)
                )

    def _change(self, one: Series) -> None:
        target = self.plan.added if one.id in self.plan.added else self.plan.changed
        target[one.id] = one
        self._live.setdefault(one.key[:2], {})[one.key[2:]] = None if one.retired else one.id

    def _live_id(self, key: _Key) -> int | None:
        live = self._live.get(key[:2])
        if live is not None and key[2:] in live:
            return live[key[2:]]
        return self._directory.live(key)

    def _place(
        self, news: EntityNews, entity: _Entity, reading: NewReading, places: dict[What, int], first: int
    ) -> None:
        what = _what_of(reading)
        place = places.get(what)
        number = None if place is None else first + place
        if self._live and (live := self._live.get(entity)) is not None:
            number = live.get(what, number)
        if number is None:
            number = self._create(news, entity, what)
        plan, at = self.plan, reading.at
        now = _newest_of(reading)
        newest = plan.newest.get(number)
        if newest is None:
            before = self._newest_at[number] if number < self._begun else NEVER[0]
        else:
            before = newest[0]
        if at > before:
            plan.newest[number] = now
        elif now == (newest or self._directory.newest(number)):
            return  # told again, unchanged
        else:
            plan.late.append((number, at, news.sequence))
            if at == before:
                plan.newest[number] = now
        self._keep(news, reading, number)
        if number in self._siblings or number in self._known_siblings:
            self._supersede_other_units(news, what, number, at)

    def _keep(self, news: EntityNews, reading: NewReading, number: int) -> None:
        value = reading.number
        if value is not None and reading.text is reading.details is reading.instance is None:
            self.plan.numbers.append(
                (
                    number,
                    reading.at,
                    reading.kind,
                    value,
                    news.sequence,
                    news.recorded_at,
                    reading.observed,
                    reading.origin,
                )
            )
        else:
            self.plan.rows.append(_row_of(news, reading, number))

    def _supersede_other_units(self, news: EntityNews, what: What, number: int, at: int) -> None:
        """A reading sent again in another unit replaces the one in the wrong unit."""
        instance = (news.tenant, news.entity_id, what[0], what[1])
        for other in (*self._directory.of_instance(instance), *self._instances.get(instance, ())):
            newest = self.plan.newest.get(other) or self._newest(other)
            if other != number and at <= newest[0]:
                self.plan.late.append((other, at, news.sequence))

    def _newest(self, number: int) -> Newest:
        """The newest reading of a series as it was before the batch."""
        return self._directory.newest(number) if number < self._begun else NEVER

    def _create(self, news: EntityNews, entity: _Entity, what: What) -> int:
        number = self._next_id
        self._next_id += 1
        self._add(entity, Series(number, SeriesKey(*entity, *what), news.types, news.information_class))
        return number

    def _add(self, entity: _Entity, one: Series) -> None:
        key, number = one.key, one.id
        self.plan.added[number] = one
        live = self._live.get(entity)
        if live is None:
            live = self._live[entity] = {}
        live[key[2:]] = number
        self._added.setdefault(entity, []).append(number)
        self._attributes.setdefault(key[:3], []).append(number)
        instance = key[:4]
        together = self._instances.setdefault(instance, [])
        together.append(number)
        if key.dataset:
            self._has_datasets = True
        before = self._directory.of_instance(instance) if self._directory.knows(*entity) else []
        if before or len(together) > 1:
            self._siblings.update(before, together)


def _what_of(reading: NewReading) -> What:
    return reading.attribute, reading.dataset, reading.attribute_type, reading.unit_code


def _newest_of(reading: NewReading) -> Newest:
    """A reading as the newest of its series."""
    value, text, details = reading.number, reading.text, reading.details
    if value is not None and text is details is None:
        return reading.at, reading.kind, value
    return (reading.at, *said(reading.kind, value, text, details))


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
