"""The whole plan as one table: a row a record or an initiative, told apart by the column `list`.

What is exported so can be changed in a spreadsheet and brought back; an existing plan comes in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import msgspec

from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import BadInput, CityError
from cityloom.kernel.worded import Worded
from cityloom.planning.initiatives import Initiatives
from cityloom.planning.masterplan import initiative_rows
from cityloom.planning.model import Initiative
from cityloom.planning.records.fields import Link, Links
from cityloom.planning.records.importing import Does, Import, Outcome
from cityloom.planning.records.kinds import RecordKind
from cityloom.planning.records.model import Record
from cityloom.planning.records.records import Records
from cityloom.planning.records.tables import ID, MOST_ROWS, STATE, TableRow, cells, header, read_rows

LIST = "list"


class SheetRow(msgspec.Struct, frozen=True):
    """What a row of the table does, or would do. `kind` is what stands in its first column."""

    kind: str
    outcome: Outcome


def sheet(
    kinds: Iterable[RecordKind],
    records: Mapping[str, Sequence[Record]],
    initiatives: Sequence[Initiative],
    languages: Sequence[str],
) -> list[list[str]]:
    """A plan as the lines of a table: records by type, and initiatives. Links are ids."""
    kinds = tuple(kinds)
    heads = {kind.type: header(kind, languages) for kind in kinds}
    own = initiative_rows.header(languages)
    names = list(dict.fromkeys([ID, STATE, *(name for head in (*heads.values(), own) for name in head)]))
    lines = [[LIST, *names]]
    for kind in kinds:
        for one in records.get(kind.type, ()):
            said = dict(zip(heads[kind.type], cells(one, languages), strict=True))
            lines.append([kind.path, *(said.get(name, "") for name in names)])
    for each in initiatives:
        said = dict(zip(own, initiative_rows.cells(each, languages), strict=True))
        lines.append([initiative_rows.KIND, *(said.get(name, "") for name in names)])
    return _without_empty_columns(lines)


class SheetImport:
    """Brings one table in. Names stand for what is called so, here or in the city."""

    def __init__(
        self, records: Records, initiatives: Initiatives, actor: Actor, lines: Sequence[Sequence[str]]
    ) -> None:
        """Raises BadInput when it is no such table, NotAllowed for a kind that the actor may not write."""
        self._records = records
        self._initiatives = initiatives
        self._actor = actor
        self._wrong: list[SheetRow] = []
        self._rows: dict[str, list[TableRow]] = {}
        self._plans: list[tuple[int, Mapping[str, str]]] = []
        self._by_path = {kind.path: kind for kind in records.kinds.values()}
        self._read(lines)
        self._coming = [
            (self._by_path[path].type, name)
            for path, rows in self._rows.items()
            for row in rows
            for name in row.values.get("name", {}).values()
        ]

    def look(self) -> list[SheetRow]:
        """What each row would do, in the order of the table. Nothing is written."""
        found = list(self._wrong)
        for path, rows in self._rows.items():
            coming = Import(self._records, self._actor, self._by_path[path], self._coming)
            found += [SheetRow(path, one) for one in coming.look(rows)]
        goals = self._goals()
        for number, said in self._plans:
            found.append(SheetRow(initiative_rows.KIND, self._looked(number, said, goals)))
        return sorted(found, key=lambda one: one.outcome.number)

    async def bring(self, *, note: str = "") -> list[SheetRow]:
        """Write each row that can be written: what is pointed at comes first."""
        found = list(self._wrong)
        for path in self._in_order():
            coming = Import(self._records, self._actor, self._by_path[path])
            rows = _pointed_at_first(self._by_path[path], self._rows[path])
            found += [SheetRow(path, one) for one in await coming.bring(rows, note=note)]
        goals = self._goals()
        for number, said in self._plans:
            found.append(SheetRow(initiative_rows.KIND, await self._brought(number, said, goals)))
        return sorted(found, key=lambda one: one.outcome.number)

    def _read(self, lines: Sequence[Sequence[str]]) -> None:
        names = [name.strip() for name in lines[0]] if lines else []
        if LIST not in names or len(lines) - 1 > MOST_ROWS:
            known = ", ".join([*self._by_path, initiative_rows.KIND])
            raise BadInput(
                Worded("This is no table of a plan"),
                hint=Worded("It has a column “list” with one of: %(lists)s.", lists=known),
                where="file",
            )
        place = names.index(LIST)
        for number, line in enumerate(lines[1:], 1):
            said = {
                name: cell.strip()
                for name, cell in zip(names, line, strict=False)
                if name != LIST and cell.strip()
            }
            path = line[place].strip() if len(line) > place else ""
            if path or said:
                self._take(number, path, said)

    def _take(self, number: int, path: str, said: Mapping[str, str]) -> None:
        if path == initiative_rows.KIND:
            self._plans.append((number, said))
            return
        try:
            kind = self._by_path.get(path)
            if kind is None:
                known = ", ".join([*self._by_path, initiative_rows.KIND])
                hint = Worded("Lists are: %(lists)s.", lists=known)
                raise BadInput(
                    Worded("There is no list %(list)s", list=repr(path[:40])), hint=hint, where=LIST
                )
            (row,) = read_rows(kind, [list(said), list(said.values())])
        except (BadInput, ValueError) as error:
            self._wrong.append(SheetRow(path, Outcome(number, Does.WRONG, {}, None, _as_bad_input(error))))
            return
        self._rows.setdefault(path, []).append(msgspec.structs.replace(row, number=number))

    def _in_order(self) -> list[str]:
        """Kinds, each after those that it points at."""
        types = {self._by_path[path].type: path for path in self._rows}
        needs: dict[str, set[str]] = {}
        for path in self._rows:
            kind = self._by_path[path]
            needs[path] = {types[one] for one in _pointed_at(kind) if one in types and types[one] != path}
        try:
            return list(TopologicalSorter(needs).static_order())
        except CycleError:
            return list(self._rows)

    def _looked(self, number: int, said: Mapping[str, str], goals: Mapping[str, str]) -> Outcome:
        try:
            coming = {name.casefold(): "" for kind, name in self._coming if kind == "Goal"}
            plan = initiative_rows.plan_of(said, {**coming, **goals})
        except CityError as error:
            return Outcome(number, Does.WRONG, initiative_rows.name_of(said), None, error)
        return Outcome(number, Does.SAME if said.get(ID) else Does.NEW, plan.name)

    async def _brought(self, number: int, said: Mapping[str, str], goals: Mapping[str, str]) -> Outcome:
        if said.get(ID):  # one that is there has a page of its own, with rules that a table does not know
            return self._looked(number, said, goals)
        try:
            plan = initiative_rows.plan_of(said, goals)
            await self._initiatives.draft(self._actor, plan)
        except CityError as error:
            return Outcome(number, Does.WRONG, initiative_rows.name_of(said), None, error)
        return Outcome(number, Does.NEW, plan.name)

    def _goals(self) -> dict[str, str]:
        if "Goal" not in self._records.kinds:
            return {}
        found = self._records.list(self._actor, "Goal")
        return {name.casefold(): one.id for one in found for name in one.name.values()}


def _without_empty_columns(lines: list[list[str]]) -> list[list[str]]:
    """Only the columns in which something stands, and those that every table has."""
    kept = [
        place
        for place, name in enumerate(lines[0])
        if place <= len((LIST, ID, STATE)) or any(line[place] for line in lines[1:])
    ]
    return [[line[place] for place in kept] for line in lines]


def _pointed_at(kind: RecordKind) -> set[str]:
    return {one for field in kind.fields if isinstance(field, Link | Links) for one in field.to}


def _pointed_at_first(kind: RecordKind, rows: Sequence[TableRow]) -> list[TableRow]:
    """Rows after those of the same table that they point at by name, otherwise in their order."""
    names = {name.casefold(): row.number for row in rows for name in row.values.get("name", {}).values()}
    fields = [one.name for one in kind.fields if isinstance(one, Link | Links)]
    needs = {row.number: _numbers(row, fields, names) - {row.number} for row in rows}
    by_number = {row.number: row for row in rows}
    try:
        return [by_number[number] for number in TopologicalSorter(needs).static_order()]
    except CycleError:
        return list(rows)


def _numbers(row: TableRow, fields: Iterable[str], names: Mapping[str, int]) -> set[int]:
    said: list[Any] = [row.values.get(name, ()) for name in fields]
    several = [one for value in said for one in ([value] if isinstance(value, str) else value)]
    return {names[one.casefold()] for one in several if one.casefold() in names}


def _as_bad_input(error: Exception) -> CityError:
    if isinstance(error, CityError):
        return error
    return BadInput(Worded("The row says nothing"), hint=Worded("Fill in its name."), where="name")
