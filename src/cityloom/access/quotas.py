"""How much is kept for one owner and for all: subscriptions, registrations, @contexts, snapshots.

Whoever may have something kept may fill the city's memory and disk with it. So each document has an owner,
counts against that owner's quota and against the whole, and nobody's makes room for another's.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, ClassVar, NamedTuple

import msgspec

from cityloom.access.errors import OverQuota, TooLargeToKeep

#: So many, or so many bytes.
Most = Annotated[int, msgspec.Meta(ge=0)]


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """How much of one kind is kept. What is kept already stays where a quota is lowered."""

    #: Where it is set in city.toml; "" for what is not set there.
    table: ClassVar[str] = ""
    #: Documents of one owner.
    each: Most
    #: Documents of all owners.
    all: Most
    #: Bytes of one document, as it is kept.
    largest: Most
    #: Bytes of all documents of one owner.
    each_bytes: Most
    #: Bytes of all documents of all owners.
    all_bytes: Most


def counted(most: int) -> Quota:
    """A quota of documents of the house itself, which have no owner."""
    unbounded = 1 << 62
    return Quota(most, most, unbounded, unbounded, unbounded)


_KB, _MB = 1_000, 1_000_000


class OfSubscriptions(Quota, frozen=True):
    """Subscriptions to Entities (5.8)."""

    table: ClassVar[str] = "quotas.subscriptions"
    each: Most = 2_000
    all: Most = 10_000
    largest: Most = 256 * _KB
    each_bytes: Most = 32 * _MB
    all_bytes: Most = 128 * _MB


class OfRegistrations(Quota, frozen=True):
    """Registered context sources (5.9). An IoT agent registers each device that it sends commands to."""

    table: ClassVar[str] = "quotas.registrations"
    each: Most = 10_000
    all: Most = 20_000
    largest: Most = 256 * _KB
    each_bytes: Most = 32 * _MB
    all_bytes: Most = 64 * _MB


class OfRegistrationSubscriptions(Quota, frozen=True):
    """Subscriptions to registered sources (5.11)."""

    table: ClassVar[str] = "quotas.registration-subscriptions"
    each: Most = 200
    all: Most = 1_000
    largest: Most = 256 * _KB
    each_bytes: Most = 8 * _MB
    all_bytes: Most = 32 * _MB


class OfContexts(Quota, frozen=True):
    """@contexts that are stored (5.13)."""

    table: ClassVar[str] = "quotas.contexts"
    each: Most = 500
    all: Most = 2_000
    largest: Most = _MB
    each_bytes: Most = 16 * _MB
    all_bytes: Most = 64 * _MB


class OfSnapshots(Quota, frozen=True):
    """Snapshots (5.16), by the bytes of all that was written into them; after a restart, of their files."""

    table: ClassVar[str] = "quotas.snapshots"
    each: Most = 10
    all: Most = 20
    largest: Most = 64 * _MB
    each_bytes: Most = 64 * _MB
    all_bytes: Most = 256 * _MB


class OfEntityMaps(Quota, frozen=True):
    """Entity maps (5.14), in memory. All visitors are one owner."""

    table: ClassVar[str] = "quotas.entity-maps"
    each: Most = 200
    all: Most = 1_000
    largest: Most = 32 * _MB
    each_bytes: Most = 32 * _MB
    all_bytes: Most = 128 * _MB


class Quotas(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """How much is kept for one owner and for all: `[quotas.subscriptions]` with `each = 100`. An owner is
    whoever made a document; nobody's makes room for another's. What goes beyond is refused with 403."""

    #: Subscriptions to Entities.
    subscriptions: OfSubscriptions = OfSubscriptions()
    #: Registered context sources.
    registrations: OfRegistrations = OfRegistrations()
    #: Subscriptions to registered sources.
    registration_subscriptions: OfRegistrationSubscriptions = OfRegistrationSubscriptions()
    #: @contexts that are stored.
    contexts: OfContexts = OfContexts()
    #: Snapshots; whoever has as many gives up their least important one.
    snapshots: OfSnapshots = OfSnapshots()
    #: Entity maps, in memory; whoever has as many gives up their oldest. All visitors are one owner.
    entity_maps: OfEntityMaps = OfEntityMaps()


SUBSCRIPTIONS: Quota = OfSubscriptions()
REGISTRATIONS: Quota = OfRegistrations()
REGISTRATION_SUBSCRIPTIONS: Quota = OfRegistrationSubscriptions()
CONTEXTS: Quota = OfContexts()
SNAPSHOTS: Quota = OfSnapshots()
ENTITY_MAPS: Quota = OfEntityMaps()


class Lack(NamedTuple):
    """Why there is no room, and which member of the quota says so."""

    reason: str
    member: str


class Holdings:
    """Who keeps how much of one kind. Lives on the event loop."""

    def __init__(self, kind: str, quota: Quota) -> None:
        """`kind` names a document in what is told of it ("subscription")."""
        self.kind = kind
        self.quota = quota
        self._counts: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._all_bytes = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def of(self, owner: str) -> tuple[int, int]:
        """How many documents an owner has, and their bytes."""
        return self._counts[owner], self._bytes[owner]

    def check(self, owner: str, size: int, *, before: int | None = None) -> None:
        """Whether a document of so many bytes may be kept, in place of one of `before` bytes where there is
        one. Raises TooLargeToKeep, OverQuota; nothing has changed then."""
        if size > self.quota.largest:
            raise TooLargeToKeep(
                f"A {self.kind} of {_told(size)} is not kept: {_told(self.quota.largest)} are the most",
                hint=f"Make it smaller, or several of it{self._setting('largest')}.",
            )
        lack = self.excess(owner, size, before=before)
        if lack is not None:
            raise OverQuota(
                lack.reason, hint=f"Delete what nobody needs any more{self._setting(lack.member)}."
            )

    def _setting(self, member: str) -> str:
        """What whoever runs the city would have to change."""
        table = self.quota.table
        return (
            f", or ask whoever runs the city to raise `{member}` in [{table}] of city.toml" if table else ""
        )

    def excess(self, owner: str, size: int, *, before: int | None = None) -> Lack | None:
        """Why there is no room for it; None where there is. A document that does not grow has its room."""
        quota = self.quota
        if before is None:
            if self._counts[owner] >= quota.each:
                reason = (
                    f"You have {quota.each} of the kind {self.kind} already, and no more are kept for one"
                )
                return Lack(reason, "each")
            if self._count >= quota.all:
                return Lack(
                    f"There are {quota.all} of the kind {self.kind} already, and no more are kept", "all"
                )
        growth = size - (before or 0)
        if growth > 0 and self._bytes[owner] + growth > quota.each_bytes:
            reason = f"What you have of the kind {self.kind} would take more than {_told(quota.each_bytes)}"
            return Lack(reason, "each-bytes")
        if growth > 0 and self._all_bytes + growth > quota.all_bytes:
            reason = f"All of the kind {self.kind} would take more than {_told(quota.all_bytes)}"
            return Lack(reason, "all-bytes")
        return None

    def add(self, owner: str, size: int) -> None:
        """Count a document that is kept now."""
        self._count += 1
        self._counts[owner] += 1
        self.grow(owner, size)

    def grow(self, owner: str, size: int) -> None:
        """Count more bytes of a document that is kept, or fewer."""
        self._bytes[owner] += size
        self._all_bytes += size

    def release(self, owner: str, size: int) -> None:
        """Count a document no more."""
        self._count -= 1
        self._counts[owner] -= 1
        self.grow(owner, -size)
        if not self._counts[owner]:
            # Whoever keeps nothing any more is not remembered either.
            del self._counts[owner], self._bytes[owner]


def _told(size: int) -> str:
    return f"{size / _MB:.3g} MB" if size >= _MB else f"{size} bytes"
