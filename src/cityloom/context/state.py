"""The current state in memory: how every Entity is now, by tenant and information class.

Documents are kept as bytes: a million parsed ones would stop the process for seconds whenever Python
collects garbage. Each information class of a tenant is a `Partition` of its own with its own indices, so
that a query by somebody who may not see a class never touches anything that belongs to it: neither its
counts nor its time depend on what is secret.

Everything here belongs to the event loop's thread.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator
from operator import attrgetter

import msgspec

from cityloom.context.keeping import Kept, pack, packed, unpack
from cityloom.context.ports import Bounds, Folded
from cityloom.context.revision import INDEXED_GEOMETRY, Revision
from cityloom.context.rows import Rows
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import ChangeKind

_by_creation = attrgetter("created")


class Held(msgspec.Struct, gc=False):
    """One Entity as it is held."""

    entity_id: str
    types: tuple[str, ...]
    information_class: InformationClass
    #: The document.
    kept: Kept
    #: The sequence of the change that created it; lists are in this order.
    created: int
    #: The sequence of the change that led to this state.
    sequence: int
    references: tuple[str, ...]
    #: Its row in its partition.
    place: int = -1

    @property
    def document(self) -> bytes:
        """JSON in the internal form."""
        return unpack(self.kept)


class Shelf:
    """Entities in the order of their creation."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._newest = 0
        self._ordered = True

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Held]:
        if not self._ordered:
            # An older Entity came in later: it got a new type or another class.
            self._held = {held.entity_id: held for held in sorted(self._held.values(), key=_by_creation)}
            self._ordered = True
        return iter(self._held.values())

    def get(self, entity_id: str) -> Held | None:
        return self._held.get(entity_id)

    def add(self, held: Held) -> None:
        if held.created < self._newest:
            self._ordered = False
        else:
            self._newest = held.created
        self._held[held.entity_id] = held

    def remove(self, entity_id: str) -> None:
        self._held.pop(entity_id, None)


class Partition:
    """The Entities of one tenant and one information class, with their indices."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.by_type: dict[str, Shelf] = {}
        self.rows = Rows()
        self.referrers: dict[str, dict[str, Held]] = {}
        #: How often something was different in the Entities of a type. No number comes twice.
        self.stamps: dict[str, int] = {}

    def put(self, held: Held, bounds: Bounds | None) -> None:
        self.shelf.add(held)
        for name in held.types:
            self._shelf_of(name).add(held)
        self._stamp(held)
        self._refer(held, held.references)
        self.rows.put(held, bounds)

    def update(self, held: Held, revision: Revision) -> None:
        """Bring an Entity that is here up to date."""
        change = revision.change
        held.kept = pack(change.document)
        held.sequence = change.sequence
        self.rows.change(held)
        self._stamp(held)
        if held.types != change.types:
            self._retype(held, change.types)
            self._stamp(held)
        if held.references != revision.references:
            self._unrefer(held)
            held.references = revision.references
            self._refer(held, held.references)
        if INDEXED_GEOMETRY in change.attributes:
            self.rows.places.move(held.place, revision.bounds)

    def remove(self, held: Held) -> None:
        self.shelf.remove(held.entity_id)
        for name in held.types:
            self._unshelve(name, held.entity_id)
        self._stamp(held)
        self._unrefer(held)
        self.rows.remove(held)

    def _stamp(self, held: Held) -> None:
        for name in held.types:
            self.stamps[name] = self.stamps.get(name, 0) + 1

    def _retype(self, held: Held, types: tuple[str, ...]) -> None:
        for name in set(held.types) - set(types):
            self._unshelve(name, held.entity_id)
        for name in set(types) - set(held.types):
            self._shelf_of(name).add(held)
        held.types = types
        self.rows.retype(held)

    def _shelf_of(self, name: str) -> Shelf:
        shelf = self.by_type.get(name)
        if shelf is None:
            shelf = self.by_type[name] = Shelf()
        return shelf

    def _unshelve(self, name: str, entity_id: str) -> None:
        shelf = self.by_type[name]
        shelf.remove(entity_id)
        if not shelf:
            del self.by_type[name]

    def _refer(self, held: Held, targets: Iterable[str]) -> None:
        for target in targets:
            self.referrers.setdefault(target, {})[held.entity_id] = held

    def _unrefer(self, held: Held) -> None:
        for target in held.references:
            sources = self.referrers[target]
            del sources[held.entity_id]
            if not sources:
                del self.referrers[target]


#: The classes somebody may see.
Clearance = Collection[InformationClass]

_EVERY_CLASS = tuple(InformationClass)


class CurrentState:
    """How the city is now: what is committed, and nothing else."""

    def __init__(self) -> None:
        #: By tenant, one partition for each class, at the class' number.
        self._tenants: dict[str, tuple[Partition, ...]] = {}
        #: One tuple for all Entities of the same types.
        self._types: dict[tuple[str, ...], tuple[str, ...]] = {}

    def load(self, state: Folded) -> Kept:
        """Take in one row of the state table, and give the document as it is kept."""
        held = self._hold(state)
        self._partition(state.tenant, state.information_class).put(held, state.bounds)
        return held.kept

    def apply(self, revision: Revision) -> Kept | None:
        """Take in one committed change, and give the document as it is kept after it; None where none is.

        The same change twice leaves the same state.
        """
        change = revision.change
        if change.kind is ChangeKind.PAST:
            return None
        held = self.find(change.tenant, change.entity_id, _EVERY_CLASS)
        if held is not None and held.sequence >= change.sequence:
            return held.kept
        if change.kind is ChangeKind.DELETED:
            if held is not None:
                self._partition(change.tenant, held.information_class).remove(held)
            return None
        if held is not None and held.information_class is change.information_class:
            self._partition(change.tenant, held.information_class).update(held, revision)
            return held.kept
        if held is not None:
            self._partition(change.tenant, held.information_class).remove(held)
        return self.load(revision.folded(pack(change.document)))

    def find(self, tenant: str, entity_id: str, clearance: Iterable[InformationClass]) -> Held | None:
        """The Entity, when it is there in one of these classes."""
        partitions = self._tenants.get(tenant)
        if partitions is not None:
            for information_class in clearance:
                held = partitions[information_class].shelf.get(entity_id)
                if held is not None:
                    return held
        return None

    def all(self, tenant: str, clearance: Clearance) -> Iterator[Held]:
        """Every Entity, oldest first."""
        return _merged([partition.shelf for partition in self._seen(tenant, clearance)])

    def of_type(self, tenant: str, name: str, clearance: Clearance) -> Iterator[Held]:
        """The Entities of a type, oldest first."""
        return _merged(self._shelves(tenant, name, clearance))

    def of_types(self, tenant: str, names: Iterable[str], clearance: Clearance) -> Iterator[Held]:
        """The Entities that have one of the types, oldest first, each once."""
        shelves = [shelf for name in names for shelf in self._shelves(tenant, name, clearance)]
        return _once(_merged(shelves))

    def count(self, tenant: str, clearance: Clearance, name: str | None = None) -> int:
        """How many Entities there are, of one type or of any."""
        if name is None:
            return sum(len(partition.shelf) for partition in self._seen(tenant, clearance))
        return sum(map(len, self._shelves(tenant, name, clearance)))

    def within(self, tenant: str, bounds: Bounds, clearance: Clearance) -> list[Held]:
        """The Entities whose location's box touches `bounds`, oldest first."""
        found = [
            held
            for part in self._seen(tenant, clearance)
            for row in part.rows.places.within(bounds).tolist()
            if (held := part.rows.held[row]) is not None
        ]
        return sorted(found, key=_by_creation)

    def extent(self, tenant: str, name: str, clearance: Clearance) -> Bounds | None:
        """The box around the locations of a type; None when none has one."""
        found = [
            box
            for part in self._seen(tenant, clearance)
            if (box := part.rows.places.extent(held.place for held in part.by_type.get(name, ()))) is not None
        ]
        if not found:
            return None
        west, south, east, north = zip(*found, strict=True)
        return (min(west), min(south), max(east), max(north))

    def rows(self, tenant: str, clearance: Clearance) -> list[Rows]:
        """The rows of the partitions that hold anything."""
        return [part.rows for part in self._seen(tenant, clearance) if len(part.shelf)]

    def shelves(self) -> Iterator[tuple[str, InformationClass, Rows]]:
        """The rows of every class of every tenant."""
        for tenant, partitions in self._tenants.items():
            for information_class in _EVERY_CLASS:
                yield tenant, information_class, partitions[information_class].rows

    def referrers(self, tenant: str, target: str, clearance: Clearance) -> list[Held]:
        """The Entities that point at `target`, oldest first."""
        found = [
            held for part in self._seen(tenant, clearance) for held in part.referrers.get(target, {}).values()
        ]
        return sorted(found, key=_by_creation)

    def types(self, tenant: str, clearance: Clearance) -> dict[str, int]:
        """How many Entities there are of each type, by name in alphabetical order."""
        counts: dict[str, int] = {}
        for partition in self._seen(tenant, clearance):
            for name, shelf in partition.by_type.items():
                counts[name] = counts.get(name, 0) + len(shelf)
        return dict(sorted(counts.items()))

    def stamp(self, tenant: str, name: str, clearance: Clearance) -> tuple[int, ...]:
        """Another one once an Entity of a type was created, changed or deleted."""
        partitions = self._tenants.get(tenant)
        if partitions is None:
            return ()
        return tuple(partitions[one].stamps.get(name, 0) for one in _EVERY_CLASS if one in clearance)

    def tenants(self, clearance: Clearance) -> list[str]:
        """The tenants that have an Entity of one of these classes, in alphabetical order."""
        return sorted(tenant for tenant in self._tenants if self.count(tenant, clearance))

    def _hold(self, state: Folded) -> Held:
        return Held(
            entity_id=state.entity_id,
            types=self._types.setdefault(state.types, state.types),
            information_class=state.information_class,
            kept=packed(state.document),
            created=state.created,
            sequence=state.sequence,
            references=state.references,
        )

    def _partition(self, tenant: str, information_class: InformationClass) -> Partition:
        partitions = self._tenants.get(tenant)
        if partitions is None:
            partitions = self._tenants[tenant] = tuple(Partition() for _ in _EVERY_CLASS)
        return partitions[information_class]

    def _seen(self, tenant: str, clearance: Clearance) -> list[Partition]:
        partitions = self._tenants.get(tenant)
        return [] if partitions is None else [partitions[one] for one in clearance]

    def _shelves(self, tenant: str, name: str, clearance: Clearance) -> list[Shelf]:
        found = (partition.by_type.get(name) for partition in self._seen(tenant, clearance))
        return [shelf for shelf in found if shelf is not None]


def _once(ordered: Iterator[Held]) -> Iterator[Held]:
    last = None
    for held in ordered:
        if held is not last:
            yield held
        last = held


def _merged(shelves: list[Shelf]) -> Iterator[Held]:
    if len(shelves) == 1:
        return iter(shelves[0])
    return heapq.merge(*shelves, key=_by_creation)
