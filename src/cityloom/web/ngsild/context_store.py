"""The @contexts that people have stored here, durable and by tenant (ETSI GS CIM 009, 5.13.1, 5.13.2)."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Literal
from uuid import uuid4

import msgspec
import orjson

from cityloom.access.ownership import check_tends
from cityloom.access.quotas import CONTEXTS, Quota
from cityloom.context.ports import Register
from cityloom.context.registered import Registered
from cityloom.kernel.actor import Actor
from cityloom.kernel.time import format_instant, from_millis, now_millis

Kind = Literal["Hosted", "ImplicitlyCreated"]


class StoredContext(msgspec.Struct, frozen=True):
    """`source` is the value of @context; addresses of others that are stored here are paths in it."""

    local_id: str
    kind: Kind
    created_at: str
    source: Any
    #: Whose it is: `Actor.id`; who else uses it may not end it.
    owner: str = ""


class ContextStore:
    """Lives on the event loop."""

    def __init__(self, register: Register, quota: Quota = CONTEXTS) -> None:
        self._kept = Registered(register, "@context", StoredContext, quota, lambda one: one.owner)

    async def start(self) -> None:
        """Load what there is."""
        await self._kept.start()

    def find(self, tenant: str, local_id: str) -> StoredContext | None:
        return self._kept.find(tenant, local_id)

    def all(self, tenant: str) -> list[StoredContext]:
        """Those of a tenant, oldest first."""
        return self._kept.all(tenant)

    async def host(self, actor: Actor, tenant: str, source: Any) -> StoredContext:
        """Keep an @context that somebody adds. Raises TooLargeToKeep, OverQuota, StorageFull."""
        return await self._add(tenant, stored(source, "Hosted", str(uuid4()), actor.id))

    async def keep(self, actor: Actor, tenant: str, source: Any) -> StoredContext:
        """Keep an @context that needs an address of its own; the same one twice is kept once, and is whose it
        was first."""
        made = stored(source, "ImplicitlyCreated", local_id_of(source), actor.id)
        return self.find(tenant, made.local_id) or await self._add(tenant, made)

    async def remove(self, actor: Actor, tenant: str, local_id: str) -> None:
        """Forget one. Raises NotAllowed for somebody else's."""
        found = self.find(tenant, local_id)
        if found is not None:
            check_tends(actor, "@context", found.owner)
            await self._kept.remove(tenant, [local_id])

    async def _add(self, tenant: str, made: StoredContext) -> StoredContext:
        await self._kept.add(tenant, made.local_id, made)
        return made


def stored(source: Any, kind: Kind, local_id: str, owner: str = "") -> StoredContext:
    """An @context with the time at which it came here."""
    return StoredContext(local_id, kind, format_instant(from_millis(now_millis())), source, owner)


def local_id_of(source: Any) -> str:
    """An id that is the same for the same content."""
    return sha256(orjson.dumps(source, option=orjson.OPT_SORT_KEYS)).hexdigest()[:24]
