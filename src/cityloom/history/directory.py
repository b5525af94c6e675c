"""The directory of series, held in memory by every store: which reading belongs to which series. Pure.

`plan` works out what a batch means without touching the directory; `apply` makes it so once the store has
committed. So a failed commit leaves nothing behind.

A city of a million Entities has five million series, so none of them is an object. Most Entities of a type
have the same attributes, whose series were begun together: a run of ids whose keys are those of a `Shape`,
which all of them share. An Entity is its id and its newest run; a series is a row of plain columns.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cityloom.history.model import (
    Integers,
    PastColumn,
    ReadingBatch,
    Readings,
    Series,
    SeriesKey,
    no_readings,
)
from cityloom.history.newest import Newest, NewestReadings
from cityloom.history.planning import Plan, Planner
from cityloom.history.shapes import GroupedSeries, Run, SeriesColumns, Shape, Standing, What

_NO_PLACES: dict[What, int] = {}
#: A run that is none, a series that is gone, a standing that nobody knows.
_NONE = -1
#: Series that are met with those of a batch that must be: the store reads as much for a thousand as for
#: these, and in a city that starts it would read so for every batch until all of them had spoken.
_AHEAD = 100_000


class SeriesDirectory:
    """All series of a store.

    `newest_of` asks the store for the newest readings of series not yet met: of the first all that it has, of
    the second, which may be met as well, what it comes upon. Both in the order of their ids; so are the
    readings, and of several of one series the last one counts.
    """

    def __init__(self, newest_of: Callable[[list[int], Integers], Readings]) -> None:
        self._lock = threading.RLock()
        self._newest_of = newest_of
        self._newest = NewestReadings()
        #: The newest reading of a series.
        self.newest = self._newest.get
        #: Its instant alone, by the id.
        self.newest_at = self._newest.at
        # Shapes, each once, and by their place in `_shapes` what runs are of.
        self._shapes: list[Shape] = []
        self._shape_codes: dict[tuple[str, tuple[What, ...]], int] = {}
        self._keys = 0
        self._standings: list[Standing] = []
        self._standing_codes: dict[Standing, int] = {}
        #: By tenant and Entity, its newest run.
        self._heads: dict[str, dict[str, int]] = {}
        # Runs: the first id, the shape, the Entity's run before, its id, what it was last told it is, and
        # whether it is the Entity's only one and all its series are there and take readings.
        self._first = array("i")
        self._shape = array("i")
        self._older = array("i")
        self._entity: list[str] = []
        self._told = array("i")
        self._whole = bytearray()
        # Series, by id: the run, and twice the standing, one more where it is retired.
        self._run = array("i")
        self._state = array("i")
        #: Series that share their attribute instance with another: its unit or its type changed.
        self.siblings: set[int] = set()
        #: Whether any series is of a dataset beside the default one.
        self.has_datasets = False
        self._next_id = 1
        #: Series before this one were met ahead, or looked for in vain.
        self._ahead = 1
        self._reach(0)

    def ask(self, newest_of: Callable[[list[int], Integers], Readings]) -> None:
        """Ask this one for newest readings from now on."""
        self._newest_of = newest_of

    def load(self, columns: SeriesColumns) -> None:
        """Take in series with greater ids than all that are here."""
        if not len(columns.id):
            return
        with self._lock:
            self._load(columns)

    def learn(self, series: Iterable[Series]) -> None:
        """Take in what another process has stored: series that are new here, and others as they are now."""
        with self._lock:
            fresh = []
            for one in series:
                if one.id < len(self._run) and self._run[one.id] != _NONE:
                    self._change(one)
                    self._told[self._head(one.key.tenant, one.key.entity_id)] = _NONE
                    self._newest.unmeet(one.id)
                else:
                    fresh.append(one)
            for together in _runs(fresh):
                self._create(together)

    def known_as(self, one: Series) -> bool:
        """Whether a series is here just so."""
        there = 0 < one.id < len(self._run) and self._run[one.id] != _NONE
        return there and self.get(one.id) == one

    def number_from(self, number: int) -> None:
        """Give series that are created from now on ids from here, which must be greater than all."""
        if number < self._next_id:
            raise ValueError(f"{number} is not greater than every id")
        self._next_id = number

    def plan(self, batch: ReadingBatch) -> Plan:
        """What must be stored for a batch."""
        with self._lock:
            self._meet(batch)
            planner = Planner(self)
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
                self._create([one])
                newest = (int(column.at[-1]), int(column.kind), float(column.number[-1]))
                self._newest.update({one.id: newest})

    def apply_brought(self, created: Iterable[Series], newest: Mapping[int, Newest | None]) -> None:
        """Take over series that were brought, and the newest reading of each; None: look it up."""
        with self._lock:
            for together in _runs(created):
                self._create(together)
                self._newest.meet(np.array([one.id for one in together], np.int64), no_readings())
            for number, reading in newest.items():
                if reading is not None and self.all_before(number, reading[0]):
                    self._newest.update({number: reading})
                else:
                    self._newest.unmeet(number)

    def all_before(self, number: int, at: int) -> bool:
        """Whether all that is kept of a series is known to be before an instant."""
        return self._newest.is_met(number) and self._newest.at[number] < at

    def unmeet(self, series: Iterable[int]) -> None:
        """Have the store asked again what the newest readings are."""
        with self._lock:
            for number in series:
                if 0 < number < len(self._run) and self._run[number] != _NONE:
                    self._newest.unmeet(number)
                    self._ahead = min(self._ahead, number)

    def apply(self, plan: Plan) -> None:
        """Take over what was stored."""
        with self._lock:
            if plan.begun:
                self._begin(plan.begun.values())
            for together in _runs(plan.added.values()):
                self._create(together)
            for one in plan.changed.values():
                self._change(one)
            self._newest.update(plan.newest)
            for (tenant, entity_id), standing in plan.standing.items():
                head = self._head(tenant, entity_id)
                if head != _NONE:
                    self._told[head] = standing
            for gone in plan.erased:
                # Asked of the store again when it is next met.
                self._newest.unmeet(gone.series)
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
            if entity_ids is None:
                found = self._everywhere(tenant, types, attributes, datasets)
                return [self.get(number) for number in found.tolist()]
            named = {one for name in entity_ids for one in self.of_entity(tenant, name)}
            return [
                one
                for one in map(self.get, sorted(named))
                if (types is None or not set(types).isdisjoint(one.types))
                and (attributes is None or one.key.attribute in attributes)
                and (datasets is None or one.key.dataset in datasets)
            ]

    def grouped(
        self,
        tenant: str,
        *,
        entity_ids: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        attributes: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
    ) -> GroupedSeries:
        """The same as columns: of a million Entities, objects would take half a gigabyte."""
        with self._lock:
            if entity_ids is None:
                return self._grouped(self._everywhere(tenant, types, attributes, datasets))
            found = self.select(
                tenant, entity_ids=entity_ids, types=types, attributes=attributes, datasets=datasets
            )
            return self._grouped(np.array([one.id for one in found], np.int64))

    def entities(self, tenant: str) -> list[str]:
        """The ids of the Entities of a tenant that have any series."""
        with self._lock:
            return list(self._heads.get(tenant, ()))

    def forget(self, series: Iterable[int]) -> None:
        """Drop series from the directory."""
        with self._lock:
            for number in series:
                if not 0 < number < len(self._run) or self._run[number] == _NONE:
                    continue
                run = self._run[number]
                self._run[number] = _NONE
                self._whole[run] = False
                self._newest.unmeet(number)
                self.siblings.discard(number)
                tenant, entity_id = self._shapes[self._shape[run]].tenant, self._entity[run]
                if self.of_entity(tenant, entity_id):
                    self._told[self._head(tenant, entity_id)] = _NONE
                else:
                    del self._heads[tenant][entity_id]

    def get(self, number: int) -> Series:
        """The series of an id."""
        run, state = self._run[number], self._state[number]
        if run == _NONE:
            raise KeyError(number)
        shape = self._shapes[self._shape[run]]
        key = SeriesKey(shape.tenant, self._entity[run], *shape.whats[number - self._first[run]])
        types, information_class = self._standings[state >> 1]
        return Series(number, key, types, information_class, bool(state & 1))

    def known(self, numbers: Integers) -> list[Series]:
        """The series of these ids that are there."""
        with self._lock:
            there = (number for number in numbers.tolist() if 0 < number < len(self._run))
            return [self.get(number) for number in there if self._run[number] != _NONE]

    def places(self, tenant: str, entity_id: str) -> tuple[dict[What, int], int]:
        """The series of an Entity that take readings now, as numbers that count from the second value."""
        head = self._head(tenant, entity_id)
        if head == _NONE:
            return _NO_PLACES, 0
        if self._whole[head]:
            return self._shapes[self._shape[head]].places, self._first[head]
        places: dict[What, int] = {}
        for run in self._runs_of(head):
            first = self._first[run]
            for what, place in self._shapes[self._shape[run]].places.items():
                number = first + place
                if self._run[number] == run and not self._state[number] & 1:
                    places.setdefault(what, number)
        return places, 0

    def live(self, key: tuple[str, str, str, str, str, str]) -> int | None:
        """The id of the series that takes readings of a key now."""
        places, first = self.places(key[0], key[1])
        place = places.get(key[2:])
        return None if place is None else first + place

    def knows(self, tenant: str, entity_id: str) -> bool:
        """Whether there is any series of an Entity."""
        return self._head(tenant, entity_id) != _NONE

    def of_entity(self, tenant: str, entity_id: str) -> list[int]:
        """Ids of the series of an Entity, retired ones too."""
        found: list[int] = []
        for run in self._runs_of(self._head(tenant, entity_id)):
            first = self._first[run]
            end = first + len(self._shapes[self._shape[run]].whats)
            found += (number for number in range(first, end) if self._run[number] == run)
        found.sort()
        return found

    def of_instance(self, key: Sequence[str]) -> list[int]:
        """Ids of the series of the same attribute instance in any unit."""
        tenant, entity_id, attribute, dataset = key[:4]
        return [one for one, of, _ in self.of_attribute((tenant, entity_id, attribute)) if of == dataset]

    def of_attribute(self, attribute: tuple[str, str, str]) -> list[tuple[int, str, bool]]:
        """Id, dataset, and whether it is retired, of all series of an attribute (tenant, Entity, name)."""
        tenant, entity_id, name = attribute
        head = self._head(tenant, entity_id)
        if head == _NONE:
            return []
        return [
            (number, dataset, bool(self._state[number] & 1))
            for run in self._runs_of(head)
            for place, dataset in self._shapes[self._shape[run]].attributes.get(name, ())
            if self._run[number := self._first[run] + place] == run
        ]

    def standing(self, tenant: str, entity_id: str) -> int | None:
        """The code of what an Entity's series were last told of its types and class."""
        head = self._head(tenant, entity_id)
        return None if head == _NONE or self._told[head] == _NONE else self._told[head]

    def code_of(self, standing: Standing) -> int:
        """A number for types and a class."""
        code = self._standing_codes.get(standing)
        if code is None:
            code = self._standing_codes[standing] = len(self._standings)
            self._standings.append(standing)
        return code

    def shape(self, tenant: str, whats: tuple[What, ...]) -> Shape | None:
        """What series are that were begun together; None where one stands twice among them."""
        code = self._shape_codes.get((tenant, whats))
        if code is None:
            if len(set(whats)) < len(whats):
                return None
            code = self._shape_of(tenant, whats)
        return self._shapes[code]

    @property
    def tenants(self) -> list[str]:
        """Of whom there are series."""
        return [tenant for tenant, entities in self._heads.items() if entities]

    @property
    def next_id(self) -> int:
        """An id that is free."""
        return self._next_id

    def _head(self, tenant: str, entity_id: str) -> int:
        entities = self._heads.get(tenant)
        return _NONE if entities is None else entities.get(entity_id, _NONE)

    def _runs_of(self, run: int) -> Iterator[int]:
        """A run and those before it."""
        while run != _NONE:
            yield run
            run = self._older[run]

    def _grouped(self, numbers: Integers) -> GroupedSeries:
        run = np.frombuffer(self._run, np.intc)[numbers]
        start = np.array([shape.start for shape in self._shapes], np.int64)
        shape = np.frombuffer(self._shape, np.intc)[run]
        begins, first, group = np.unique(self._oldest(run), return_index=True, return_inverse=True)
        order = np.argsort(first)
        turn = np.empty_like(order)
        turn[order] = np.arange(len(order))
        return GroupedSeries(
            numbers,
            turn[group],
            start[shape] + numbers - np.frombuffer(self._first, np.intc)[run],
            (np.frombuffer(self._state, np.intc)[numbers] >> 1).astype(np.int64),
            [self._entity[one] for one in begins[order].tolist()],
            [what for shape in self._shapes for what in shape.whats],
            list(self._standings),
        )

    def _oldest(self, runs: NDArray[np.intc]) -> NDArray[np.intc]:
        """The first run of the Entity of each of these runs."""
        older = np.frombuffer(self._older, np.intc)
        oldest = runs.copy()
        while (has := older[oldest] != _NONE).any():
            oldest[has] = older[oldest[has]]
        return oldest

    def _everywhere(
        self,
        tenant: str,
        types: Sequence[str] | None,
        attributes: Sequence[str] | None,
        datasets: Sequence[str] | None,
    ) -> Integers:
        runs = np.frombuffer(self._run, np.intc)
        fits = runs != _NONE
        if types is not None:
            right = [not set(types).isdisjoint(names) for names, _ in self._standings]
            fits[fits] = np.array(right, bool)[np.frombuffer(self._state, np.intc)[fits] >> 1]
        found = np.flatnonzero(fits)
        wanted = [
            shape.tenant == tenant
            and (attributes is None or what[0] in attributes)
            and (datasets is None or what[1] in datasets)
            for shape in self._shapes
            for what in shape.whats
        ]
        if all(wanted):
            return found
        run = runs[found]
        start = np.array([shape.start for shape in self._shapes], np.int64)
        shape = np.frombuffer(self._shape, np.intc)[run]
        fitting: Integers = found[
            np.array(wanted, bool)[start[shape] + found - np.frombuffer(self._first, np.intc)[run]]
        ]
        return fitting

    def _meet(self, batch: ReadingBatch) -> None:
        """Ask the store once for the newest values of all known series that a batch touches first."""
        if self._newest.are_all_met:
            return
        unknown: set[int] = set()
        for news in batch:
            for run in self._runs_of(self._head(news.tenant, news.entity_id)):
                first = self._first[run]
                length = len(self._shapes[self._shape[run]].whats)
                unknown.update(self._newest.unmet(first, first + length))
        unknown = {number for number in unknown if self._run[number] != _NONE}
        if unknown:
            wanted = sorted(unknown)
            ahead = np.setdiff1d(self._next_unmet(), wanted, assume_unique=True)
            found = self._newest_of(wanted, ahead)
            self._newest.meet(np.array(wanted, np.int64), found)

    def _next_unmet(self) -> Integers:
        """Some series that were not met yet, each of them once."""
        runs, found, count = np.frombuffer(self._run, np.intc), [np.empty(0, np.int64)], 0
        for numbers in self._newest.next_unmet(self._ahead):
            found.append(numbers[runs[numbers] != _NONE])
            count += len(found[-1])
            if count > _AHEAD:
                break
        unmet = np.concatenate(found)
        self._ahead = int(unmet[_AHEAD]) if count > _AHEAD else len(self._run)
        return unmet[:_AHEAD]

    def _load(self, columns: SeriesColumns) -> None:
        ids, kinds = columns.id, columns.kind
        states = np.array([self.code_of(one) for one in columns.standings], np.intc)[columns.standing] * 2
        states += columns.retired
        self._reach(int(ids[-1]))
        np.frombuffer(self._state, np.intc)[ids] = states
        begins = columns.entity_id[1:] != columns.entity_id[:-1]
        begins |= np.diff(ids) != 1
        tenants = {tenant: number for number, tenant in enumerate(sorted({one[0] for one in columns.kinds}))}
        tenant = np.array([tenants[one[0]] for one in columns.kinds])[kinds]
        begins |= tenant[1:] != tenant[:-1]
        starts = np.flatnonzero(np.concatenate([[True], begins]))
        # All of a run of one standing, and none retired: as most are.
        same = np.maximum.reduceat(states, starts) == np.minimum.reduceat(states, starts)
        same &= states[starts] & 1 == 0
        ends = [*starts[1:].tolist(), len(ids)]
        written = np.ascontiguousarray(kinds, np.int64).tobytes()
        shapes: dict[bytes, list[tuple[int, int, int]]] = {}
        rows = zip(
            starts.tolist(),
            ends,
            same.tolist(),
            ids[starts].tolist(),
            columns.entity_id[starts].tolist(),
            states[starts].tolist(),
            strict=True,
        )
        for start, end, is_same, first, entity_id, state in rows:
            code = written[8 * start : 8 * end]
            parts = shapes.get(code)
            if parts is None:
                keys = [columns.kinds[one] for one in kinds[start:end].tolist()]
                parts = shapes[code] = self._parts(keys[0][0], tuple([one[1:] for one in keys]))
            for begin, length, shape in parts:
                self._add_run(entity_id, first + begin, length, shape, state >> 1 if is_same else _NONE)

    def _parts(self, tenant: str, whats: tuple[What, ...]) -> list[tuple[int, int, int]]:
        """Series of one Entity in runs that have none twice: where each begins, its length and its shape."""
        known = self._shape_codes.get((tenant, whats))
        if known is not None:
            return [(0, len(whats), known)]
        parts: list[tuple[int, int, int]] = []
        begin = 0
        seen: list[What] = []
        for place, what in enumerate(whats):
            if what in seen:
                parts.append((begin, len(seen), self._shape_of(tenant, seen)))
                begin, seen = place, []
            seen.append(what)
        return [*parts, (begin, len(seen), self._shape_of(tenant, seen))]

    def _begin(self, runs: Collection[Run]) -> None:
        """All series of Entities that are new."""
        self._reach(max(run.first + len(run.shape.whats) - 1 for run in runs))
        for run in runs:
            first, length, standing = run.first, len(run.shape.whats), self.code_of(run.standing)
            self._state[first : first + length] = array("i", [2 * standing]) * length
            self._add_run(run.entity_id, first, length, run.shape.number, standing)

    def _create(self, together: Sequence[Series]) -> None:
        """Series of one Entity with ids that follow each other."""
        self._reach(together[-1].id)
        for one in together:
            self._change(one)
        key, first = together[0].key, together[0].id
        states = self._state[first : together[-1].id + 1]
        state = states[0]
        standing = state >> 1 if not state & 1 and states.count(state) == len(states) else _NONE
        for begin, length, shape in self._parts(key.tenant, tuple([one.key[2:] for one in together])):
            self._add_run(key.entity_id, first + begin, length, shape, standing)

    def _change(self, one: Series) -> None:
        """What a series has beside its key."""
        self._state[one.id] = 2 * self.code_of((one.types, one.information_class)) + one.retired
        run = self._run[one.id]
        if run != _NONE and self._whole[run] and one.retired:
            self._whole[run] = False

    def _add_run(self, entity_id: str, first: int, length: int, shape: int, standing: int) -> None:
        """A run whose states are there. `standing` is what all its series have that take readings."""
        tenant = self._shapes[shape].tenant
        entities = self._heads.get(tenant)
        if entities is None:
            entities = self._heads[tenant] = {}
        run, older = len(self._first), entities.get(entity_id, _NONE)
        if older != _NONE:
            # One text for all runs of an Entity.
            entity_id = self._entity[older]
            if standing != self._told[older]:
                standing = _NONE
        self._first.append(first)
        self._shape.append(shape)
        self._older.append(older)
        self._entity.append(entity_id)
        self._told.append(standing)
        self._whole.append(older == _NONE and standing != _NONE)
        self._run[first : first + length] = array("i", [run]) * length
        entities[entity_id] = run
        self._mark_siblings(tenant, entity_id, shape, older)

    def _mark_siblings(self, tenant: str, entity_id: str, shape: int, older: int) -> None:
        attributes = self._shapes[shape].attributes
        if older == _NONE and len(attributes) == len(self._shapes[shape].whats):
            return
        for name in attributes:
            several = self.of_attribute((tenant, entity_id, name))
            by_dataset: dict[str, list[int]] = {}
            for number, dataset, _ in several:
                by_dataset.setdefault(dataset, []).append(number)
            for numbers in by_dataset.values():
                if len(numbers) > 1:
                    self.siblings.update(numbers)

    def _shape_of(self, tenant: str, whats: Collection[What]) -> int:
        key = (tenant, tuple(whats))
        code = self._shape_codes.get(key)
        if code is None:
            code = self._shape_codes[key] = len(self._shapes)
            self._shapes.append(Shape(code, tenant, key[1], self._keys))
            self._keys += len(whats)
            self.has_datasets |= any(what[1] for what in whats)
        return code

    def _reach(self, number: int) -> None:
        """Have rows for series as far as an id."""
        more = number + 1 - len(self._run)
        if more > 0:
            self._run.frombytes(np.full(more, _NONE, np.intc).tobytes())
            self._state.frombytes(bytes(4 * more))
            self._newest.reach(number)
        self._next_id = max(self._next_id, number + 1)


def _runs(series: Iterable[Series]) -> Iterator[list[Series]]:
    """Series in the order of their ids, together where they are of one Entity and follow each other."""
    together: list[Series] = []
    for one in series:
        if together:
            last = together[-1]
            key, before = one.key, last.key
            if last.id + 1 != one.id or key.entity_id != before.entity_id or key.tenant != before.tenant:
                yield together
                together = []
        together.append(one)
    if together:
        yield together
