"""What others have asked the broker to do and to remember: documents of one kind, in memory and durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

import msgspec

from cityloom.access.quotas import Holdings, Quota
from cityloom.context.ports import Entry, Register
from cityloom.ngsild.errors import AlreadyExists, ResourceNotFound

Kept = TypeVar("Kept", bound=msgspec.Struct)


class Registered(Generic[Kept]):
    """Lives on the event loop. What is read is durable; what is written is durable on return."""

    def __init__(
        self, register: Register, kind: str, model: type[Kept], quota: Quota, owner: Callable[[Kept], str]
    ) -> None:
        """`kind` names the documents, also in what is told of them ("subscription"). `owner` tells whose one
        is; it counts against their part of the quota, in bytes as they are stored."""
        self._register = register
        self._kind = kind
        self._owner = owner
        self._holdings = Holdings(kind, quota)
        self._decode = msgspec.json.Decoder(model).decode
        self._encode = msgspec.json.Encoder().encode
        self._kept: dict[str, dict[str, Kept]] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        self._writing = asyncio.Lock()

    async def start(self) -> None:
        """Load what there is."""
        for entry in await asyncio.to_thread(self._register.load, self._kind):
            self._hold(entry.tenant, entry.id, self._decode(entry.document), len(entry.document))

    def __len__(self) -> int:
        return len(self._sizes)

    def tenants(self) -> list[str]:
        """The tenants that have one."""
        return [tenant for tenant, kept in self._kept.items() if kept]

    def find(self, tenant: str, id: str) -> Kept | None:
        """The document, when it is there."""
        return self._kept.get(tenant, {}).get(id)

    def get(self, tenant: str, id: str) -> Kept:
        """The document. Raises ResourceNotFound."""
        found = self.find(tenant, id)
        if found is None:
            raise ResourceNotFound(
                f"There is no {self._kind} {id[:200]!a}", hint="Look at the list.", where="id"
            )
        return found

    def all(self, tenant: str) -> list[Kept]:
        """The documents of a tenant, oldest first."""
        return list(self._kept.get(tenant, {}).values())

    async def add(self, tenant: str, id: str, document: Kept) -> None:
        """Keep a new one. Raises AlreadyExists, TooLargeToKeep, OverQuota, StorageFull."""
        async with self._writing:
            if self.find(tenant, id) is not None:
                raise AlreadyExists(
                    f"There is a {self._kind} {id[:200]!a} already", hint="Choose another id.", where="id"
                )
            await self._store(tenant, id, document)

    async def replace(self, tenant: str, id: str, document: Kept) -> None:
        """Keep this in place of the one that is there; it stays its owner's. Raises ResourceNotFound,
        TooLargeToKeep, OverQuota, StorageFull."""
        async with self._writing:
            self.get(tenant, id)
            await self._store(tenant, id, document)

    async def remove(self, tenant: str, ids: Iterable[str]) -> None:
        """Remove those of the ids that are there. Raises StorageFull."""
        async with self._writing:
            there = [id for id in dict.fromkeys(ids) if self.find(tenant, id) is not None]
            if there:
                await _to_its_end(self._remove(tenant, there))

    async def _store(self, tenant: str, id: str, document: Kept) -> None:
        written = self._encode(document)
        before = self._sizes.get((tenant, id))
        self._holdings.check(self._owner(document), len(written), before=before)
        await _to_its_end(self._put(tenant, id, document, written))

    async def _put(self, tenant: str, id: str, document: Kept, written: bytes) -> None:
        await asyncio.to_thread(self._register.put, self._kind, Entry(tenant, id, written))
        self._hold(tenant, id, document, len(written))

    async def _remove(self, tenant: str, ids: list[str]) -> None:
        await asyncio.to_thread(self._register.remove, self._kind, tenant, ids)
        for id in ids:
            gone = self._kept[tenant].pop(id)
            self._holdings.release(self._owner(gone), self._sizes.pop((tenant, id)))

    def _hold(self, tenant: str, id: str, document: Kept, size: int) -> None:
        before = self._sizes.get((tenant, id))
        if before is None:
            self._holdings.add(self._owner(document), size)
        else:
            self._holdings.grow(self._owner(document), size - before)
        self._kept.setdefault(tenant, {})[id] = document
        self._sizes[tenant, id] = size


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for work that is never left half done: whoever gives up waiting leaves memory and disk alike."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
