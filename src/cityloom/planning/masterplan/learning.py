"""Learning: what an evaluation proposes to change in the plan is accepted and applied, or refused."""

from __future__ import annotations

from typing import Any

from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.texts import check_text
from cityloom.kernel.worded import Worded
from cityloom.planning.records.model import Record
from cityloom.planning.records.records import Records

TYPE = "PlanChange"
LONGEST_ANSWER = 4000


class Learning:
    """Answers proposed changes. An accepted one becomes an edit of the record, which can be taken back."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def accept(self, actor: Actor, change_id: str, *, answer: str, version: str = "") -> Record:
        """Apply a change. Needs what editing the record needs. Raises BadInput, Conflict, NotAllowed."""
        change = self._open(actor, change_id)
        record = self._record(actor, change)
        name, value = wanted(record, change)
        why = _answer(answer)
        note = f"{next(iter(change.name.values()), change.id)}: {why}"[:2000]
        await self._records.change(actor, record.id, {name: value}, note=note)
        said = {"state": "accepted", "answer": why}
        return await self._records.change(actor, change.id, said, version=version)

    async def refuse(self, actor: Actor, change_id: str, *, answer: str, version: str = "") -> Record:
        """Refuse a change with a reason."""
        change = self._open(actor, change_id)
        said = {"state": "refused", "answer": _answer(answer)}
        return await self._records.change(actor, change.id, said, version=version)

    def waiting(self, actor: Actor) -> list[Record]:
        """Proposed changes that nobody has answered."""
        found = self._records.list(actor, TYPE) if TYPE in self._records.kinds else []
        return [one for one in found if one.get("state", "proposed") == "proposed"]

    def _open(self, actor: Actor, change_id: str) -> Record:
        change = self._records.get(actor, change_id)
        if change.kind.type != TYPE or change.get("state", "proposed") != "proposed":
            raise Conflict(
                Worded("This change has been answered already"),
                hint=Worded("Propose another one."),
                where="state",
            )
        return change

    def _record(self, actor: Actor, change: Record) -> Record:
        record = self._records.find(actor, change.get("record", ""))
        if record is None:
            raise Conflict(
                Worded("What is to change is not there any more"),
                hint=Worded("Refuse the change."),
                where="record",
            )
        return record


def wanted(record: Record, change: Record) -> tuple[str, Any]:
    """The field that a change is about, and its new value; None takes it out. Raises BadInput."""
    name = change.get("field", "")
    field = next((one for one in record.kind.fields if one.name == name), None)
    if field is None:
        names = ", ".join(one.name for one in record.kind.fields)
        raise BadInput(
            Worded("There is no field %(name)s", name=repr(name[:40])),
            hint=Worded("Fields are: %(names)s.", names=names),
            where="field",
        )
    said = str(change.get("value", ""))
    return name, field.parsed(said, "value") if said else None


def _answer(answer: str) -> str:
    return check_text(answer, where="answer", longest=LONGEST_ANSWER)
