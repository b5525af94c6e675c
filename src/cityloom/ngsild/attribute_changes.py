"""What happened to an Entity's attributes in a change (ETSI GS CIM 009, 5.2.12, 5.8.6). Pure.

An attribute changes when a member of it, or of an attribute of it, gets another value than it had; the
system's own times do not count. Its instances are told apart by their datasetId (4.5.5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import IntFlag
from typing import Any

from cityloom.ngsild.model import Instance
from cityloom.ngsild.subscription import USUAL_TRIGGERS, Trigger

_SYSTEM_TIMES = frozenset({"createdAt", "modifiedAt", "deletedAt"})

Attributes = Mapping[str, list[Instance]]


class Happening(IntFlag):
    """What can happen to an Entity and to its attributes."""

    ATTRIBUTE_CREATED = 1
    ATTRIBUTE_UPDATED = 2
    ATTRIBUTE_DELETED = 4
    ENTITY_CREATED = 8
    ENTITY_DELETED = 16


_CREATED, _UPDATED, _DELETED = 1, 2, 4
#: What happens to the whole Entity, as a number.
OF_ENTITY = int(Happening.ENTITY_CREATED | Happening.ENTITY_DELETED)

_WAITED_FOR: dict[Trigger, int] = {
    "attributeCreated": _CREATED,
    "attributeUpdated": _UPDATED,
    "attributeDeleted": _DELETED,
    "entityCreated": int(Happening.ENTITY_CREATED),
    "entityUpdated": _CREATED | _UPDATED | _DELETED,
    "entityDeleted": int(Happening.ENTITY_DELETED),
}


def waited_for(triggers: Iterable[Trigger] | None) -> int:
    """The happenings that triggers stand for, as a number; the usual ones for None."""
    mask = 0
    for one in USUAL_TRIGGERS if triggers is None else triggers:
        mask |= _WAITED_FOR[one]
    return mask


def attribute_happenings(before: Attributes, after: Attributes, names: Iterable[str]) -> dict[str, int]:
    """What happened to each of the attributes named, as numbers of `Happening`; none where it stays."""
    found: dict[str, int] = {}
    for name in names:
        happened = _happened(before.get(name, ()), after.get(name, ()))
        if happened:
            found[name] = happened
    return found


def is_changed(old: Instance, new: Instance) -> bool:
    """Whether an instance says something else than it did."""
    return old != new and _without_times(old) != _without_times(new)


def paired(
    old: Iterable[Instance], new: Iterable[Instance]
) -> Iterator[tuple[Instance | None, Instance | None]]:
    """The instances before and after by datasetId, those of after first."""
    were = {item.get("datasetId"): item for item in old}
    for item in new:
        yield were.pop(item.get("datasetId"), None), item
    for item in were.values():
        yield item, None


def _happened(old: Iterable[Instance], new: Iterable[Instance]) -> int:
    happened = 0
    for was, now in paired(old, new):
        if was is None:
            happened |= _CREATED
        elif now is None:
            happened |= _DELETED
        elif is_changed(was, now):
            happened |= _UPDATED
    return happened


def _without_times(item: Instance) -> dict[str, Any]:
    plain = {key: value for key, value in item.items() if key not in _SYSTEM_TIMES}
    nested = item.get("attrs")
    if nested:
        plain["attrs"] = {name: [_without_times(one) for one in items] for name, items in nested.items()}
    return plain
