"""How an Alert is handled: what each decision changes, and which are refused. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cityloom.context.reading import language_property
from cityloom.kernel.errors import Conflict
from cityloom.kernel.time import parse_instant
from cityloom.ngsild.model import Instance, json_value, prop
from cityloom.operations.model import Alert, Comment, Handling, Status

#: Attributes to write; None removes one.
Edits = dict[str, Instance | None]

#: Beyond these an Alert is no longer handled but talked about.
MOST_COMMENTS = 200
MOST_HANDLINGS = 500

_UNDOABLE = ("acknowledged", "assigned", "cleared")


def acknowledge(alert: Alert, by: str, at: str) -> Edits:
    """Somebody has seen it and takes it on."""
    if alert.status != Status.OPEN:
        raise _not_so(alert, "Only an open alert can be acknowledged")
    return _handled(alert, Handling(at, by, "acknowledged"), Status.ACKNOWLEDGED)


def assign(alert: Alert, by: str, at: str, to: str, note: str) -> Edits:
    """Somebody is to see to it; also somebody else than before."""
    if alert.is_cleared:
        raise _not_so(alert, "A cleared alert is assigned to nobody")
    edits = _handled(alert, Handling(at, by, "assigned", note=note, to=to), Status.ASSIGNED)
    return edits | {"assignedTo": prop(to)}


def clear(alert: Alert, by: str, at: str, why: str, language: str) -> Edits:
    """It is over, and this is why."""
    if alert.is_cleared:
        raise _not_so(alert, "It has been cleared already")
    edits = _handled(alert, Handling(at, by, "cleared", note=why), Status.CLEARED)
    return edits | {"endedAt": prop(at), "outcome": language_property({language: why})}


def reopen(alert: Alert, by: str, at: str, why: str) -> Edits:
    """It was not over."""
    if not alert.is_cleared:
        raise _not_so(alert, "Only a cleared alert can be opened again")
    status = Status.ASSIGNED if alert.assigned_to else Status.OPEN
    edits = _handled(alert, Handling(at, by, "reopened", note=why), status)
    return edits | {"endedAt": None, "outcome": None}


def undo(alert: Alert, by: str, at: str) -> Edits:
    """Take back the last decision that was not taken back yet."""
    index = last_undoable(alert.history)
    if index is None:
        raise Conflict("There is no decision to take back", hint="Look at the history.", where="history")
    taken_back = alert.history[index]
    if taken_back.did != alert.status:
        raise Conflict(
            f"The alert has gone on since it was {taken_back.did}",
            hint="Look at it as it is now, then decide again.",
            where="history",
        )
    undone = Handling(at, by, "undone", undoes=index)
    edits = _handled(alert, undone, Status(taken_back.was))
    before = taken_back.was_assigned_to
    edits["assignedTo"] = prop(before) if before else None
    if taken_back.did == "cleared":
        edits |= {"endedAt": None, "outcome": None}
    return edits


def comment(alert: Alert, by: str, at: str, text: str) -> Edits:
    """A remark; it changes nothing else."""
    if len(alert.comments) >= MOST_COMMENTS:
        raise _full(f"There are {MOST_COMMENTS} comments already")
    return {"comments": json_value(msgspec.to_builtins([*alert.comments, Comment(at, by, text)]))}


def last_undoable(history: Sequence[Handling]) -> int | None:
    """The place of the decision that `undo` would take back."""
    undone = {item.undoes for item in history if item.did == "undone"}
    for index in range(len(history) - 1, -1, -1):
        if history[index].did == "reopened":
            return None
        if history[index].did in _UNDOABLE and index not in undone:
            return index
    return None


def _handled(alert: Alert, handling: Handling, status: Status) -> Edits:
    if len(alert.history) >= MOST_HANDLINGS:
        raise _full(f"It has been handled {MOST_HANDLINGS} times already")
    kept = msgspec.structs.replace(handling, was=alert.status, was_assigned_to=alert.assigned_to)
    return {
        "status": prop(status.value, at=parse_instant(handling.at, where="at")),
        "history": json_value(msgspec.to_builtins([*alert.history, kept])),
    }


def _not_so(alert: Alert, message: str) -> Conflict:
    return Conflict(message, hint=f"It is {alert.status} now; look at it again.", where="status")


def _full(message: str) -> Conflict:
    return Conflict(message, hint="Clear it and raise a new one that says where things stand.")
