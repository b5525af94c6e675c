"""The one noun of the feed: something about an Entity changed."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from cityloom.kernel.actor import InformationClass

#: The tenant of a request that names none (ETSI GS CIM 009, 4.14).
DEFAULT_TENANT = ""


class ChangeKind(IntEnum):
    """What happened to the Entity."""

    CREATED = 0
    UPDATED = 1
    DELETED = 2
    #: What is remembered of the Entity was written or erased; how it is now stays as it is.
    PAST = 3


class Change(msgspec.Struct, frozen=True, gc=False):
    """One change of one Entity, as it stands in the feed.

    The feed is ordered by `sequence` (from 1, without holes in one tenant's order); a stage that sees a
    Change twice must give the same result as if it had seen it once.
    """

    sequence: int
    tenant: str
    entity_id: str
    #: Names of the Entity's types, in the internal form of `cityloom.ngsild.model`.
    types: tuple[str, ...]
    kind: ChangeKind
    information_class: InformationClass
    #: The Entity after the change as JSON in the internal form; for DELETED, the last state; for PAST, what
    #: history is to do (`cityloom.history.past`), which means nothing to anybody else.
    document: bytes
    #: Names of the attributes that were written or removed by this change.
    attributes: tuple[str, ...]
    #: When it was accepted, milliseconds since 1970 by the machine's clock.
    at_millis: int
    #: Who wrote: `Actor.id`.
    by: str
    #: What set it off: a message, a request, a decision. Free text with a kind before the first colon.
    trace: str
    #: For UPDATED, the instances of `attributes` as they were: JSON {name: [instance, …]}, without those
    #: that were not there; b"" where none was.
    before: bytes = b""


class Because(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One piece of evidence for a decision or a number: what was looked at.

    `about` is an Entity's id, or "type:Name" when all Entities of a type were looked at. `since` and
    `until` are RFC 3339 instants of the half-open interval looked at. Kept on Entities as the value of the
    Property `because`, so that "how do we know?" can be answered from the Entity alone.
    """

    about: str
    attribute: str = ""
    since: str = ""
    until: str = ""
    value: float | str | None = None
    unit_code: str = ""
    #: Readings in the interval.
    count: int = 0
    #: Readings that were to be expected and are missing, where that is known.
    missing: int = 0
    note: str = ""
