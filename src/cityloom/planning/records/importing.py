"""A table of records: what each row would do, then that it does it. A wrong row stops no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from cityloom.access.authority import require
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import BadInput, CityError
from cityloom.kernel.worded import Worded
from cityloom.planning.records.fields import Field, Link, Links
from cityloom.planning.records.kinds import RecordKind
from cityloom.planning.records.model import Record
from cityloom.planning.records.records import Records
from cityloom.planning.records.tables import TableRow


class Does(StrEnum):
    """What a row does."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    WRONG = "wrong"


class Outcome(msgspec.Struct, frozen=True):
    """What a row does, or would do."""

    number: int
    does: Does
    name: Mapping[str, str]
    record: Record | None = None
    error: CityError | None = None


class Import:
    """Brings the rows of one table. Names stand for what is called so, in the table too."""

    def __init__(
        self,
        records: Records,
        actor: Actor,
        kind: RecordKind,
        coming: Iterable[tuple[str, str]] = (),
    ) -> None:
        """`coming`: types and names of what other tables bring at the same time, to be pointed at."""
        require(actor, kind.permission)
        self._records = records
        self._actor = actor
        self._kind = kind
        self._named = self._names()
        for type_name, name in coming:
            self._named.setdefault((type_name, name.casefold()), "")

    def look(self, rows: Sequence[TableRow]) -> list[Outcome]:
        """What each row would do. Nothing is written."""
        outcomes = []
        for row in rows:
            outcomes.append(self._look(row))
            # A row further down may point at it, once it is there.
            for name in row.values.get("name", {}).values():
                self._named.setdefault((self._kind.type, name.casefold()), "")
        return outcomes

    async def bring(self, rows: Sequence[TableRow], *, note: str = "") -> list[Outcome]:
        """Write each row that can be written."""
        return [await self._bring(row, note) for row in rows]

    def _look(self, row: TableRow) -> Outcome:
        try:
            before, values = self._read(row)
            self._records.check(self._actor, self._kind.type, values, but=before.values if before else {})
        except CityError as error:
            return Outcome(row.number, Does.WRONG, row.values.get("name", {}), None, error)
        return Outcome(row.number, _does(before, values), values["name"], before)

    async def _bring(self, row: TableRow, note: str) -> Outcome:
        try:
            before, values = self._read(row)
            does = _does(before, values)
            record = before
            if before is None:
                record = await self._records.draft(self._actor, self._kind.type, values, note=note)
            elif does is Does.CHANGED:
                record = await self._records.edit(self._actor, before.id, values, note=note)
        except CityError as error:
            return Outcome(row.number, Does.WRONG, row.values.get("name", {}), None, error)
        for name in values["name"].values():
            self._named[(self._kind.type, name.casefold())] = record.id if record else ""
        return Outcome(row.number, does, values["name"], record)

    def _read(self, row: TableRow) -> tuple[Record | None, dict[str, Any]]:
        """The record that is there already, and the values with links for names. Raises BadInput."""
        if row.error is not None:
            raise row.error
        values = {name: self._linked(self._kind.field(name), value) for name, value in row.values.items()}
        if "name" not in values:
            raise BadInput(Worded("It has no name"), hint=Worded("Fill it in."), where="name")
        if not row.id:
            return None, values
        record = self._records.get(self._actor, row.id)
        if record.kind is not self._kind:
            hint = Worded("Leave the column id empty for what is new.")
            raise BadInput(Worded("The id is of another kind"), hint=hint, where="id")
        return record, values

    def _linked(self, field: Field, value: Any) -> Any:
        if isinstance(field, Link):
            return self._id_of(field, value)
        if isinstance(field, Links):
            return tuple(one for name in value if (one := self._id_of(field, name)))
        return value

    def _id_of(self, field: Link | Links, said: str) -> str:
        """The id of what is called so; "" for a row of this table that is still to come into being."""
        found = (self._named.get((kind, said.casefold())) for kind in field.to)
        return next((one for one in found if one is not None), said)

    def _names(self) -> dict[tuple[str, str], str]:
        pointed = {
            kind for field in self._kind.fields if isinstance(field, Link | Links) for kind in field.to
        }
        return {
            (kind, name.casefold()): record.id
            for kind in pointed
            if kind in self._records.kinds
            for record in self._records.list(self._actor, kind)
            for name in record.name.values()
        }


def _does(before: Record | None, values: Mapping[str, Any]) -> Does:
    if before is None:
        return Does.NEW
    return Does.SAME if dict(before.values) == dict(values) else Does.CHANGED
