"""Partitions of the history, written by a process that follows some of them beside others.

A transaction moves the cursors of its partitions from where this process knows them to stand, so whoever else
has moved one makes it fail whole: exactly once, whoever is handed what. Of series only those are held in
memory whose Entities came by; where somebody else has moved a partition meanwhile, its Entities are asked for
anew.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cityloom.adapters.postgres import history_shared as shared
from cityloom.adapters.postgres.connection import Connection
from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.history_months import Months
from cityloom.adapters.postgres.history_reading import newest_of
from cityloom.adapters.postgres.history_writing import instants_of, write_plan
from cityloom.history.directory import SeriesDirectory
from cityloom.history.model import EntityNews, Integers, Readings
from cityloom.history.parts import Portion
from cityloom.history.planning import Plan
from cityloom.kernel.errors import NotReady

#: Tenant and id.
_Entity = tuple[str, str]


class PostgresParts:
    """A `PartsStore` in one schema. `record` from one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._line = database.line("history, partitions")
        self._writing = threading.RLock()
        self._months: Months | None = None
        self._era = -1
        self._free = range(0)
        self._forget_all()

    def cursors(self) -> dict[int, int]:
        return shared.cursors_of(self._line)

    def record(self, portions: Sequence[Portion]) -> None:
        with self._writing:
            try:
                self._record(portions)
            except BaseException:
                # Whether it is stored or not: what is there is asked for before the next.
                self._forget_all()
                self._free = range(0)
                raise

    def _record(self, portions: Sequence[Portion]) -> None:
        self._believe(portions)
        news = [one for portion in portions for one in portion.news]
        plan = self._plan(news)
        if self._months is None:
            self._months = Months(self._line)
        self._months.make(instants_of(plan))
        with self._advanced(portions) as connection:
            write_plan(connection, plan)
            told = [*plan.created, *plan.changed, *plan.forgotten]
            if told:
                connection.execute(shared.TELL_NEWS, (told,))
        self._directory.apply(plan)
        self._free = range(max(self._free.start, self._directory.next_id), self._free.stop)
        self._standing |= {one.partition: one.through for one in portions}

    @contextmanager
    def _advanced(self, portions: Sequence[Portion]) -> Iterator[Connection]:
        """A transaction that moves the cursors. Raises NotReady where what this process knows is not so."""
        with self._line.transaction() as connection:
            found = connection.execute(shared.SHARE).fetchone()
            if found is None or not found[0]:
                raise shared.not_shared()
            if found[1] != self._era:
                raise _overtaken()
            moved = connection.execute(shared.ADVANCE_PARTS, _apart(portions)).rowcount
            if moved != len(portions):
                raise _overtaken()
            yield connection

    def _believe(self, portions: Sequence[Portion]) -> None:
        """Know the series of all Entities in these portions as they are now."""
        found = self._line.row(shared.SHARED)
        if found is None or found[1] != self._era:
            self._forget_all()
            self._era = int((found or (0, -1))[1])
        wanted: set[_Entity] = set()
        for portion in portions:
            if self._standing.get(portion.partition) != portion.before:
                self._met[portion.partition] = set()
                self._standing[portion.partition] = portion.before
            fresh = {(one.tenant, one.entity_id) for one in portion.news} - self._met[portion.partition]
            wanted |= fresh
            self._met[portion.partition] |= fresh
        if wanted:
            self._meet(wanted)

    def _meet(self, entities: set[_Entity]) -> None:
        for tenant, entity_id in entities:
            self._directory.forget(self._directory.of_entity(tenant, entity_id))
        found = shared.series_of_entities(self._line, {entity_id for _, entity_id in entities})
        self._directory.learn(one for one in found if (one.key.tenant, one.key.entity_id) in entities)

    def _plan(self, news: list[EntityNews]) -> Plan:
        """What is to be stored, with ids for new series that are this process' own."""
        while True:
            if self._directory.next_id > self._free.start:
                # Others have given ids beyond these.
                self._free = shared.reserve(self._line, 0)
            self._directory.number_from(self._free.start)
            plan = self._directory.plan(news)
            if len(plan.created) <= len(self._free):
                return plan
            self._free = shared.reserve(self._line, len(plan.created))

    def _newest_of(self, series: list[int], _ahead: Integers) -> Readings:
        with self._line.held() as connection:
            return newest_of(connection, series)

    def _forget_all(self) -> None:
        self._directory = SeriesDirectory(self._newest_of)
        self._met: dict[int, set[_Entity]] = {}
        self._standing: dict[int, int] = {}
        self._months = None


def _apart(portions: Sequence[Portion]) -> tuple[list[int], list[int], list[int]]:
    return (
        [one.partition for one in portions],
        [one.before for one in portions],
        [one.through for one in portions],
    )


def _overtaken() -> NotReady:
    return NotReady("Another process has moved this part of history", hint="It is tried again by itself.")
