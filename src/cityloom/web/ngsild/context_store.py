"""The @contexts that people have stored here, durable and by tenant (ETSI GS CIM 009, 5.13.1, 5.13.2)."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Literal
from uuid import uuid4

import msgspec
import orjson

from cityloom.context.ports import Register
from cityloom.context.registered import Registered
from cityloom.kernel.errors import Conflict
from cityloom.kernel.time import format_instant, from_millis, now_millis

#: @contexts that are kept, of all tenants, and the bytes of all of them.
MAX_STORED = 2_000
MAX_STORED_BYTES = 64_000_000

Kind = Literal["Hosted", "ImplicitlyCreated"]


class StoredContext(msgspec.Struct, frozen=True):
    """`source` is the value of @context; addresses of others that are stored here are paths in it."""

    local_id: str
    kind: Kind
    created_at: str
    source: Any


class ContextStore:
    """Lives on the event loop."""

    def __init__(self, register: Register) -> None:
        self._kept = Registered(register, "@context", StoredContext, most=MAX_STORED)
        self._bytes = 0

    async def start(self) -> None:
        """Load what there is."""
        await self._kept.start()
        self._bytes = sum(_size(one) for tenant in self._kept.tenants() for one in self._kept.all(tenant))

    def find(self, tenant: str, local_id: str) -> StoredContext | None:
        return self._kept.find(tenant, local_id)

    def all(self, tenant: str) -> list[StoredContext]:
        """Those of a tenant, oldest first."""
        return self._kept.all(tenant)

    async def host(self, tenant: str, source: Any) -> StoredContext:
        """Keep an @context that somebody adds. Raises Conflict when there is no room, StorageFull."""
        return await self._add(tenant, stored(source, "Hosted", str(uuid4())))

    async def keep(self, tenant: str, source: Any) -> StoredContext:
        """Keep an @context that needs an address of its own; the same one twice is kept once."""
        made = stored(source, "ImplicitlyCreated", local_id_of(source))
        return self.find(tenant, made.local_id) or await self._add(tenant, made)

    async def remove(self, tenant: str, local_id: str) -> None:
        """Forget one."""
        found = self.find(tenant, local_id)
        if found is not None:
            await self._kept.remove(tenant, [local_id])
            self._bytes -= _size(found)

    async def _add(self, tenant: str, made: StoredContext) -> StoredContext:
        size = _size(made)
        if self._bytes + size > MAX_STORED_BYTES:
            raise Conflict(
                f"The @contexts stored here take {MAX_STORED_BYTES // 1_000_000} MB already",
                hint="Delete those that nobody needs any more.",
            )
        self._bytes += size
        try:
            await self._kept.add(tenant, made.local_id, made)
        except BaseException:
            self._bytes -= size
            raise
        return made


def stored(source: Any, kind: Kind, local_id: str) -> StoredContext:
    """An @context with the time at which it came here."""
    return StoredContext(local_id, kind, format_instant(from_millis(now_millis())), source)


def local_id_of(source: Any) -> str:
    """An id that is the same for the same content."""
    return sha256(orjson.dumps(source, option=orjson.OPT_SORT_KEYS)).hexdigest()[:24]


def _size(one: StoredContext) -> int:
    return len(orjson.dumps(one.source))
