"""The audit log: who did what, to what, when. Entries are chained, so that none can be altered unseen.

The chain shows that an entry was changed, removed or put in between. Entries cut off at the end leave a
shorter chain that is whole in itself; therefore `head` gives an anchor to keep elsewhere (printed, mailed,
in another system), and `verify` checks the log against it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from cityloom.access.authority import require
from cityloom.access.model import AuditEntry
from cityloom.access.ports import AuditStore
from cityloom.kernel.actor import Actor
from cityloom.kernel.canonical import canonical, is_digest_of
from cityloom.kernel.canonical import digest_of as canonical_digest_of
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import Clock, WallClock, format_instant, from_millis, to_millis

_BEFORE_THE_FIRST = "0" * 64
_PAGE = 1000
_LONGEST_DETAIL = 16_384


class Anchor(msgspec.Struct, frozen=True):
    """One entry's place in the chain, to be kept elsewhere."""

    sequence: int
    digest: str


class Verdict(msgspec.Struct, frozen=True):
    """What verification found. `broken_at` is the sequence of the first entry that does not fit."""

    entries: int
    head: Anchor | None
    broken_at: int | None = None
    finding: str = ""

    @property
    def sound(self) -> bool:
        return self.broken_at is None


class AuditLog:
    """Records, reads and verifies. `clock` is the wall clock also in a city that replays the past."""

    def __init__(self, store: AuditStore, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or WallClock()

    async def record(
        self, actor: Actor, action: str, subject: str = "", detail: dict[str, Any] | None = None
    ) -> AuditEntry:
        """Store an entry durably. Call it before the act: what cannot be recorded is not done.

        `action` is "thing.verb", `subject` an id, `detail` small plain JSON without secrets.
        """
        said = detail or {}
        try:
            encoded = msgspec.json.encode([action, subject, said])
        except (TypeError, UnicodeEncodeError) as error:
            raise BadInput(f"Not JSON: {error}", hint="Record plain values.", where="detail") from None
        if len(encoded) > _LONGEST_DETAIL:
            raise BadInput("Too much detail for the audit log", hint="Record ids.", where="detail")
        # Kept as it will be read back, or the digest would not fit.
        action, subject, plain = msgspec.json.decode(encoded)
        at = from_millis(to_millis(self._clock.now()))

        def make(newest: AuditEntry | None) -> AuditEntry:
            entry = AuditEntry(
                sequence=newest.sequence + 1 if newest else 1,
                at=at,
                actor_id=actor.id,
                actor_name=actor.name,
                action=action,
                subject=subject,
                detail=plain,
                previous=newest.digest if newest else _BEFORE_THE_FIRST,
                digest="",
            )
            return msgspec.structs.replace(entry, digest=digest_of(entry))

        return await asyncio.to_thread(self._store.append, make)

    async def read(self, actor: Actor, *, after: int = 0, limit: int = 100) -> list[AuditEntry]:
        """Entries in order, after a sequence. Needs audit:read."""
        require(actor, "audit:read")
        return await asyncio.to_thread(self._store.read, after, max(1, min(limit, _PAGE)))

    async def newest(self, actor: Actor, *, limit: int = 100) -> list[AuditEntry]:
        """The newest entries, the newest first. Needs audit:read."""
        require(actor, "audit:read")
        last = await asyncio.to_thread(self._store.last)
        after = max(0, (last.sequence if last else 0) - limit)
        return (await self.read(actor, after=after, limit=limit))[::-1]

    async def head(self, actor: Actor) -> Anchor | None:
        """The newest entry's place, to be kept elsewhere. Needs audit:read."""
        require(actor, "audit:read")
        last = await asyncio.to_thread(self._store.last)
        return Anchor(last.sequence, last.digest) if last else None

    async def verify(self, actor: Actor, *, anchor: Anchor | None = None) -> Verdict:
        """Follow the chain from the first entry. Needs audit:read."""
        require(actor, "audit:read")
        return await asyncio.to_thread(self._verify, anchor)

    async def export(self, actor: Actor) -> AsyncIterator[bytes]:
        """The whole log as lines of JSON with the digests, for others to verify. Needs audit:read."""
        require(actor, "audit:read")
        await self.record(actor, "audit.export")
        after = 0
        while entries := await asyncio.to_thread(self._store.read, after, _PAGE):
            yield b"".join(canonical(_plain(entry)) + b"\n" for entry in entries)
            after = entries[-1].sequence

    def _verify(self, anchor: Anchor | None) -> Verdict:
        count, previous = 0, _BEFORE_THE_FIRST
        anchored = anchor is None
        while entries := self._store.read(count, _PAGE):
            for entry in entries:
                if finding := _misfit(entry, count + 1, previous):
                    return Verdict(count, _anchor(count, previous), entry.sequence, finding)
                count, previous = entry.sequence, entry.digest
                anchored = anchored or Anchor(count, previous) == anchor
        if not anchored and anchor is not None:
            finding = "The entry kept as an anchor is not in the log: its end was cut off or written anew"
            return Verdict(count, _anchor(count, previous), anchor.sequence, finding)
        return Verdict(count, _anchor(count, previous))


def _anchor(count: int, digest: str) -> Anchor | None:
    return Anchor(count, digest) if count else None


def _misfit(entry: AuditEntry, expected: int, previous: str) -> str:
    if entry.sequence != expected:
        return f"Entry {expected} is missing"
    if entry.previous != previous:
        return "The entry does not follow the one before it"
    if not is_digest_of(entry.digest, _without_digest(entry)):
        return "The entry was altered"
    return ""


def digest_of(entry: AuditEntry) -> str:
    """SHA-256 over the canonical text of the entry without its own digest."""
    return canonical_digest_of(_without_digest(entry))


def _without_digest(entry: AuditEntry) -> dict[str, Any]:
    plain = _plain(entry)
    del plain["digest"]
    return plain


def _plain(entry: AuditEntry) -> dict[str, Any]:
    return {
        "sequence": entry.sequence,
        "at": format_instant(entry.at),
        "actorId": entry.actor_id,
        "actorName": entry.actor_name,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
        "previous": entry.previous,
        "digest": entry.digest,
    }
