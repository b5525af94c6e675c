"""From what happens in the live city to the services that rest on it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from cityloom.planning.masterplan import processes
from cityloom.planning.masterplan.requirements.facts import dependencies
from cityloom.planning.records.model import Record

#: What can be made of parts of the live city.
TYPES = ("ServiceProcess", "InfrastructureItem")
#: The table in which they say so.
PARTS = "madeOf"


class Touched(msgspec.Struct, frozen=True):
    """A service, or a piece of infrastructure, that something in the city touches."""

    record: Record
    #: Over how many others: 0 is made of it itself.
    steps: int
    #: The records between, from the one that is made of it; itself last.
    way: tuple[Record, ...]

    @property
    def is_critical(self) -> bool:
        """Whether people come to harm when it stops."""
        return bool(self.record.get("critical"))


def made_of(record: Record) -> frozenset[str]:
    """Ids of Entities, and names of their types, that a record is made of."""
    return frozenset(row["part"] for row in record.get(PARTS, ()) if "part" in row)


def touched_by(records: Sequence[Record], entity_id: str, types: Iterable[str]) -> list[Touched]:
    """What may stop when an Entity fails: what harms people first, then the nearest."""
    names = {entity_id, *types}
    by_id = {one.id: one for one in records}
    depends = {
        one: [other for other in needs if other in by_id] for one, needs in dependencies(records).items()
    }
    first = [one.id for one in records if names & made_of(one)]
    found = [Touched(by_id[one], 0, (by_id[one],)) for one in first]
    found += [
        Touched(by_id[one.id], one.steps, tuple(by_id[step] for step in one.way))
        for one in processes.cascade(depends, *first)
    ]
    return sorted(found, key=lambda one: (not one.is_critical, one.steps))
