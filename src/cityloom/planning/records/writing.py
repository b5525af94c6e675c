"""From a record's values to the attributes of its Entities. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cityloom.context.editing import Edits
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Instance, json_value
from cityloom.planning.records.fields import checked_values, plain_values, typed_values
from cityloom.planning.records.kinds import RecordKind
from cityloom.planning.records.model import Record, Revision, Step

#: Versions that can be gone back to, the bytes they may fill together, and the steps that are kept.
MOST_REVISIONS = 10
MOST_REVISION_BYTES = 100_000
MOST_STEPS = 500


def checked(kind: RecordKind, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values in their normal form. Raises BadInput naming the field."""
    normal = checked_values(kind.fields, values)
    if kind.check is not None:
        kind.check(normal)
    return normal


def with_acts(kind: RecordKind, values: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The values with what an act of the room wrote; others say it as it stands or leave it out.

    Raises BadInput naming the field.
    """
    acts = {name: before[name] for name in kind.by_room if name in before}
    found = {**acts, **values}
    normal = checked_values(kind.fields, found)
    for name in kind.by_room:
        if normal.get(name) != acts.get(name):
            raise BadInput(
                Worded("This is written by an act of its own"),
                hint=Worded("Leave it as it is; see the page of the record."),
                where=name,
            )
    return found


def instances(kind: RecordKind, values: Mapping[str, Any]) -> dict[str, Instance | None]:
    """The attributes of checked values; None for what they leave out."""
    return {
        field.name: field.instance(values[field.name]) if field.name in values else None
        for field in kind.fields
    }


def public_values(kind: RecordKind, values: Mapping[str, Any]) -> dict[str, Any]:
    """What of the values everybody may see."""
    return {
        field.name: values[field.name] for field in kind.fields if field.name in values and not field.internal
    }


def edited(record: Record, values: Mapping[str, Any], step: Step) -> Edits:
    """What an edit writes: checked values, and what stood before to be brought back."""
    return instances(record.kind, values) | {
        "revisions": _revised(record, step),
        "history": stepped(record, step),
    }


def undone(record: Record, step: Step) -> Edits:
    """What brings the version before back. Raises Conflict when there is none."""
    if not record.revisions:
        raise Conflict(
            Worded("There is no version before this one"), hint=Worded("Edit it instead."), where="revisions"
        )
    *before, last = record.revisions
    values = typed_values(record.kind.fields, last.was)
    if any(values.get(name) != record.values.get(name) for name in record.kind.by_room):
        raise Conflict(
            Worded("This is written by an act of its own"),
            hint=Worded("Leave it as it is; see the page of the record."),
            where="revisions",
        )
    return instances(record.kind, values) | {
        "revisions": json_value(msgspec.to_builtins(before)) if before else None,
        "history": stepped(record, step),
    }


def stepped(record: Record, step: Step) -> Instance:
    """The history with one step more, the oldest left out."""
    return json_value(msgspec.to_builtins([*record.history, step][-MOST_STEPS:]))


def _revised(record: Record, step: Step) -> Instance:
    was = plain_values(record.kind.fields, record.values)
    kept = [*record.revisions, Revision(step.at, step.by, was)][-MOST_REVISIONS:]
    while len(kept) > 1 and len(msgspec.json.encode(kept)) > MOST_REVISION_BYTES:
        del kept[0]
    return json_value(msgspec.to_builtins(kept))
