"""What the context broker needs of the outside: a durable feed, and a table of folded state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from cityloom.context.keeping import Kept
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change

#: West, south, east, north in degrees (WGS 84).
Bounds = tuple[float, float, float, float]


class Folded(msgspec.Struct, frozen=True, gc=False):
    """An Entity's current state as the table keeps it."""

    #: The sequence number of the change that created the Entity: its key, and its place in every list.
    created: int
    tenant: str
    entity_id: str
    types: tuple[str, ...]
    information_class: InformationClass
    #: The document as it is kept in memory. A row of an older CityLoom has it whole.
    document: Kept
    #: The sequence number of the change that led to this state.
    sequence: int
    #: The box around its `location`, so that a restart need not read documents.
    bounds: Bounds | None
    #: What its Relationships and its `because` point at.
    references: tuple[str, ...]


class FollowedFeed(Protocol):
    """What may be read of a feed, also by a process that does not write it."""

    @property
    def where(self) -> str:
        """Where it lies, in words for whoever must restore it: the name of a file, or of a database."""
        ...

    def read(self, after: int, limit: int) -> list[Change]:
        """Up to `limit` changes with a sequence greater than `after`, in order. From any thread."""
        ...

    def last_sequence(self) -> int:
        """The sequence of the newest change, 0 in an empty feed (trimmed changes count)."""
        ...


class Feed(FollowedFeed, Protocol):
    """The append-only, ordered, durable record of every Change. Writing here is the commit."""

    def append(self, changes: Sequence[Change]) -> None:
        """Store the changes, whole or not at all; return once they survive a power cut.

        Their sequences follow on from `last_sequence` without a hole. Called from one writer thread at a
        time. Raises StorageFull when the disk is full, NotReady for other failures that may pass; then
        nothing was stored. Any other exception means that nobody knows what was stored.
        """
        ...

    def trim(self, through: int) -> int:
        """Forget changes up to `through`; returns how many went. Called when every stage has passed."""
        ...

    def cursor(self, stage: str) -> int:
        """The sequence a named stage has handled, 0 when it has not begun."""
        ...

    def set_cursor(self, stage: str, sequence: int) -> None:
        """Remember durably that a stage has handled everything up to `sequence`."""
        ...

    def close(self) -> None: ...


class StateTable(Protocol):
    """The fold of the feed on disk: what a restart begins from."""

    def load(self) -> Iterator[Folded]:
        """Every Entity's folded state, oldest Entity first."""
        ...

    def folded_through(self) -> int:
        """The sequence up to which the feed is folded in here."""
        ...

    def fold(self, upserts: Sequence[Folded], deletes: Sequence[int], through: int) -> None:
        """Write states, remove Entities by their `created`, and set folded_through, in one transaction.
        Raises StorageFull or NotReady when nothing was written and it may be tried again.
        """
        ...

    def close(self) -> None: ...


class Entry(msgspec.Struct, frozen=True):
    """One document of a register."""

    tenant: str
    id: str
    document: bytes


class Register(Protocol):
    """Documents that are kept beside the city's Entities, by kind, tenant and id: what others have asked
    the broker to do, such as subscriptions and registrations. Blocking; from any thread."""

    def load(self, kind: str) -> list[Entry]:
        """All documents of a kind, oldest first."""
        ...

    def put(self, kind: str, entry: Entry) -> None:
        """Store a document in place of an earlier one; return once it survives a power cut.

        Raises StorageFull.
        """
        ...

    def remove(self, kind: str, tenant: str, ids: Sequence[str]) -> None:
        """Remove documents; return once that survives a power cut. What is not there is no error."""
        ...
