"""Keeps a late reading from becoming the present.

A station that was cut off sends afterwards what it measured. Such a reading belongs in history and must not
take the place of a newer one. So it is written, and what stands is written again behind it, in the same
commit: nobody sees the old value as the present, and history has both.
"""

from __future__ import annotations

from collections.abc import Callable

from cityloom.ngsild.model import Document, Instance, content

#: Entities whose newest readings are remembered; the others are looked up when they speak again.
MOST = 50_000

#: What is said with each reading and hardly ever changes.
_SPARED = ("refDevice", "dataOrigin")
#: The newest instance of each attribute that has an observedAt, and of those that are spared.
_Standing = dict[str, Instance]


class Newest:
    """The newest readings of the Entities that connectors write."""

    def __init__(self, find: Callable[[str], Document | None], most: int = MOST) -> None:
        """`find` gives an Entity as it stands, or None."""
        self._find = find
        self._most = most
        self._known: dict[str, _Standing] = {}

    def arrange(self, document: Document) -> Document | None:
        """What to write behind this document so that the present stays; None for a reading on time.

        A `refDevice` or `dataOrigin` that stands already is taken out: history need not keep it with
        each reading.
        """
        entity_id = document["id"]
        standing = self._known.get(entity_id)
        if standing is None:
            standing = self._look_up(entity_id)
        attributes = document["attrs"]
        newer: dict[str, list[Instance]] | None = None
        for name, instances in attributes.items():
            item = instances[0]
            at = item.get("observedAt")
            if at is None or len(instances) > 1 or "datasetId" in item:
                continue
            there = standing.get(name)
            if there is None or not _later(there["observedAt"], at):
                standing[name] = item
            else:
                newer = newer or {}
                newer[name] = [there]
        if "refDevice" in attributes or "dataOrigin" in attributes:
            _spare(attributes, standing)
        if newer is None:
            return None
        return {"id": entity_id, "type": document["type"], "attrs": newer}

    def forget(self, entity_id: str) -> None:
        """The Entity is gone, or nobody knows what was written."""
        self._known.pop(entity_id, None)

    def _look_up(self, entity_id: str) -> _Standing:
        if len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        found = self._find(entity_id)
        standing: _Standing = {}
        for name, instances in found["attrs"].items() if found else ():
            for item in instances:
                if "datasetId" not in item and ("observedAt" in item or name in _SPARED):
                    standing[name] = item
        self._known[entity_id] = standing
        return standing


def _later(instant: str, other: str) -> bool:
    if len(instant) == len(other):
        return instant > other
    # Without its Z, a shorter fraction of a second sorts before a longer one.
    return instant[:-1] > other[:-1]


def _spare(attributes: dict[str, list[Instance]], standing: _Standing) -> None:
    for name in _SPARED:
        said = attributes.get(name)
        if said is None or len(attributes) == 1:
            continue
        there = standing.get(name)
        if there is not None and content(there) == content(said[0]):
            del attributes[name]
        else:
            standing[name] = said[0]
