"""Records that are more than internal: whom their pages show them, and from which day on.

A bid that a colleague reads before the last day for bids is over could be told to whoever bids after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import tzinfo
from typing import Any

import msgspec

from cityloom.context.broker import Broker
from cityloom.context.editing import Edits
from cityloom.context.publishing import public_id, working_id
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import Clock
from cityloom.kernel.worded import Worded
from cityloom.planning.records.fields import is_empty
from cityloom.planning.records.kinds import RecordKind
from cityloom.planning.records.model import Record


def eyes(actor: Actor, kind: RecordKind) -> Actor:
    """Somebody with the clearance that their permission gives them for one kind, on its pages alone."""
    if kind.secrecy <= InformationClass.INTERNAL or not kind.is_read_by(actor):
        return actor
    return msgspec.structs.replace(actor, clearance=actor.clearance | {kind.secrecy})


class Sealing:
    """Says what is sealed. `find` finds what a link leads to; days are those of `zone`."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        zone: tzinfo,
        kinds: Iterable[RecordKind],
        find: Callable[[str], Record | None],
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._zone = zone
        self._sealed = tuple(one for one in kinds if one.sealed_through is not None)
        self._find = find

    def hides(self, actor: Actor, record: Record) -> bool:
        """Whether somebody, cleared or not, does not read a record yet."""
        if record.kind.sealed_through is None or not record.is_working:
            return False
        if record.history and record.history[0].by == actor.id:
            return False
        return self._is_sealed(record)

    def check(self, record: Record, edits: Edits) -> None:
        """Raise BadInput where edits open before its day what is sealed by a record, or change what was
        handed in once it is open."""
        self._check_fixed(record, edits)
        for kind in self._sealed:
            link, day = kind.sealed_through or ("", "")
            if day not in edits or record.kind.type not in getattr(kind.field(link), "to", ()):
                continue
            then, now = _read(record, edits, day), record.get(day)
            if now is not None and (then is None or then < now) and self._lies_there(kind, record):
                raise BadInput(
                    Worded("What was handed in would be opened before the day that was said"),
                    hint=Worded("Leave the day as it is, or choose a later one."),
                    where=day,
                )

    async def keep_close(self) -> int:
        """Bring what was internal, as all of it once was, into its class; returns how many Entities."""
        moved = 0
        for kind in self._sealed:
            for kept in self._broker.of_type(CITY, kind.type):
                name = kept["id"]
                is_known = name == working_id(name)
                if is_known and self._broker.class_of(CITY, name) is InformationClass.INTERNAL:
                    await self._broker.classify(CITY, name, kind.secrecy, trace="planning:keep")
                    moved += 1
        return moved

    def _is_sealed(self, record: Record) -> bool:
        link, day = record.kind.sealed_through or ("", "")
        other = self._find(record.get(link, ""))
        last = None if other is None else other.get(day)
        return last is None or self._clock.now().astimezone(self._zone).date() <= last

    def _check_fixed(self, record: Record, edits: Edits) -> None:
        changed = [
            one for one in record.kind.fixed if one in edits and _read(record, edits, one) != record.get(one)
        ]
        if "status" in edits and record.kind.fixed:
            changed.append("status")
        if changed and not self._is_sealed(record):
            raise BadInput(
                Worded("It is open: what was handed in stays as it is"),
                hint=Worded("Say in the record why it is left out."),
                where=changed[0],
            )

    def _lies_there(self, kind: RecordKind, record: Record) -> bool:
        names = self._broker.referrers(CITY, public_id(record.id))
        return any(kind.type in (self._broker.find(CITY, one) or {"type": ()})["type"] for one in names)


def _read(record: Record, edits: Edits, name: str) -> Any:
    """What a field says once it is edited."""
    said = edits[name]
    attributes = {} if said is None else {name: [said]}
    found = record.kind.field(name).read({"id": record.id, "type": [], "attrs": attributes})
    return None if is_empty(found) else found
