"""What an edge and its centre say to each other, and what each keeps of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from cityloom.access.ownership import OWNED_TYPES
from cityloom.kernel.actor import InformationClass
from cityloom.ngsild.model import Document, Instance

#: What brings changes of an edge takes.
PERMISSION = "edge:bring"
#: Types of the centre's own: how its edges stand, what two sides said differently, what an edge has deleted.
NODE, CONFLICT, GRAVE = "EdgeNode", "EdgeConflict", "EdgeDeletion"
OWN_TYPES = frozenset({NODE, CONFLICT, GRAVE})
#: Changes in one request, bytes of it unpacked, and bytes of one change.
MOST_CHANGES = 200
MOST_BYTES = 8_000_000
MOST_BYTES_OF_ONE = 4_000_000
#: Parked changes that one answer tells of, and characters of a reason.
MOST_TOLD, LONGEST_REASON = 20, 300


#: A part of a change that is not told.
UNTOLD = msgspec.Raw(b"null")


class Brought(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One Change as it stood in the edge's feed (`kernel.change.Change`)."""

    sequence: int
    id: str
    types: tuple[str, ...]
    #: `ChangeKind` by its number.
    kind: int
    information_class: InformationClass
    #: When the edge accepted it, milliseconds since 1970 by the edge's clock.
    at: int
    #: Who wrote it there.
    by: str
    attributes: tuple[str, ...] = ()
    #: Nothing: the Entity has become too secret to be told; its class alone is.
    document: msgspec.Raw = UNTOLD
    before: msgspec.Raw = UNTOLD


class Batch(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What an edge sends in one request. Sequences are those of its feed."""

    #: Of one feed; another one when it begins anew, or was restored from a backup.
    life: str
    #: The changes are all of those after this one …
    after: int
    #: … up to this one that go up at all.
    through: int
    #: The edge's clock, milliseconds since 1970.
    at: int
    changes: tuple[Brought, ...] = ()
    #: Changes that still wait at the edge, and when the oldest of all was accepted there (0: none waits).
    waiting: int = 0
    oldest: int = 0
    #: What lies before `after` cannot be sent any more; Entities as they are now were sent instead.
    lost: bool = False
    #: Changes that the edge gave up in all, since they took too much room.
    given_up: int = 0
    #: These are Entities as they are now, not changes of the feed: `after` and `through` are the same.
    whole: bool = False
    #: When the change `through` was accepted at the edge: by this a feed that was restored is told.
    through_at: int = 0


class NotTaken(msgspec.Struct, frozen=True, rename="camel"):
    """A change that was parked at the centre. The reason says nothing of what the edge may not know."""

    sequence: int
    id: str
    why: str


class Received(msgspec.Struct, frozen=True, rename="camel"):
    """How the centre answers: everything of this life through `received` is durable there."""

    life: str
    received: int
    #: When the edge accepted that change.
    received_at: int = 0
    parked: int = 0
    conflicts: int = 0
    #: Of this batch: what was parked, the first of it.
    not_taken: tuple[NotTaken, ...] = ()
    #: When the token ends that the edge has shown, milliseconds since 1970; 0: the centre does not know.
    token_ends: int = 0


class Grant(msgspec.Struct, frozen=True):
    """What an edge may bring."""

    #: Types; empty: all but those that belong to a room of the city.
    types: frozenset[str] = frozenset()
    #: What ids begin with; empty: any.
    ids: tuple[str, ...] = ()
    classes: frozenset[InformationClass] = frozenset({InformationClass.OPEN, InformationClass.INTERNAL})

    def covers(self, entity_id: str, types: Iterable[str]) -> bool:
        """Whether an Entity of these types is among what may be brought."""
        return goes_up(types, self.types) and (not self.ids or entity_id.startswith(self.ids))


def goes_up(types: Iterable[str], wanted: frozenset[str]) -> bool:
    """Whether Entities of these types go up: those `wanted`, or where none is named all but the rooms'.

    How edges stand is the centre's alone to say.
    """
    found = set(types)
    if not found or found & OWN_TYPES:
        return False
    if wanted:
        return found <= wanted
    return not any(name in OWNED_TYPES for name in found)


class Standing(msgspec.Struct, frozen=True):
    """How an edge stands, as its centre tells it: the Entity EdgeNode, read."""

    name: str
    life: str = ""
    received: int = 0
    received_at: int = 0
    #: Milliseconds since 1970.
    last_contact: int = 0
    waiting: int = 0
    oldest: int = 0
    parked: int = 0
    conflicts: int = 0
    given_up: int = 0
    #: Milliseconds by which the edge's clock is ahead of the centre's.
    clock_ahead: int = 0
    #: When the token ends that it showed last, milliseconds since 1970; 0: that is not known.
    token_ends: int = 0


class Line(msgspec.Struct, frozen=True):
    """How an edge stands, as it tells itself."""

    address: str
    #: The sequence through which the centre has everything; None before the first answer.
    received: int | None
    waiting: int
    #: Seconds since the oldest change that waits was accepted; 0.0 where none waits.
    oldest_s: float
    #: Milliseconds since 1970 of the centre's last answer; 0 where there was none since the start.
    last_contact: int
    #: Why the last attempt failed; "" where it did not.
    trouble: str
    #: Whether the centre refused the token.
    refused: bool
    #: Changes that were given up since there was no room for more.
    given_up: int
    #: Changes that the centre has parked in all, and the newest of those since the start.
    parked: int = 0
    not_taken: tuple[NotTaken, ...] = ()
    #: When the token ends, milliseconds since 1970; 0: the centre did not say.
    token_ends: int = 0


def node_id(name: str) -> str:
    """The id of the Entity that tells how an edge stands. `name` is that of its account."""
    return f"urn:ngsi-ld:EdgeNode:{name}"


def standing_of(document: Mapping[str, Any] | None, name: str) -> Standing:
    """How an edge stands; one that was never heard of has received nothing."""
    if document is None:
        return Standing(name)
    attributes = document["attrs"]
    said = {field: attributes[field][0]["value"] for field in _FIGURES if field in attributes}
    return Standing(name, **{_FIGURES[field]: value for field, value in said.items()})


def node_of(standing: Standing, now: str) -> Document:
    """The Entity of how an edge stands, in the internal form. `now` is the instant of writing."""

    def figure(value: Any) -> list[Instance]:
        return [{"type": "Property", "value": value, "createdAt": now, "modifiedAt": now}]

    attributes = {field: figure(getattr(standing, own)) for field, own in _FIGURES.items()}
    return {
        "id": node_id(standing.name),
        "type": [NODE],
        "createdAt": now,
        "modifiedAt": now,
        "attrs": attributes | {"name": figure(standing.name)},
    }


_FIGURES = {
    "life": "life",
    "received": "received",
    "receivedAt": "received_at",
    "lastContact": "last_contact",
    "waiting": "waiting",
    "oldestWaiting": "oldest",
    "parked": "parked",
    "conflicts": "conflicts",
    "givenUp": "given_up",
    "clockAhead": "clock_ahead",
    "tokenEnds": "token_ends",
}
