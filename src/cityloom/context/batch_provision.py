"""Batches of Entities (ETSI GS CIM 009, 5.6.7 to 5.6.10, 5.6.20, 5.6.21): each on its own, in their order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import partial

from cityloom.context.batch import BatchOutcome, Step
from cityloom.context.provision import Provision
from cityloom.context.writes import Request
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.ngsild.model import Document


class BatchProvision(ABC):
    """Commands on many Entities. Each needs the permission `entities:write`."""

    @abstractmethod
    def _ready(self) -> Provision:
        """Where commands are made. Raises NotReady while the city does not run."""

    @abstractmethod
    async def _batch(self, steps: Iterable[Step]) -> BatchOutcome:
        """Run the steps, and return when what they made is durable."""

    async def create_many(
        self,
        actor: Actor,
        documents: Iterable[Document],
        *,
        information_class: InformationClass | None = None,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> BatchOutcome:
        """Batch creation (5.6.7)."""
        create, request = self._ready().create, Request(actor, tenant, trace)
        return await self._batch(
            (one["id"], partial(create, request, one, information_class)) for one in documents
        )

    async def take_over(
        self,
        actor: Actor,
        documents: Iterable[tuple[Document, InformationClass]],
        *,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> BatchOutcome:
        """Create Entities as another city tells of them, system's times and classes included."""
        take_over, request = self._ready().take_over, Request(actor, tenant, trace)
        return await self._batch(
            (one["id"], partial(take_over, request, one, kept)) for one, kept in documents
        )

    async def upsert_many(
        self,
        actor: Actor,
        documents: Iterable[Document],
        *,
        update: bool,
        information_class: InformationClass | None = None,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> BatchOutcome:
        """Batch upsert (5.6.8): creates, and what exists appends to (`update`) or replaces."""
        upsert, request = self._ready().upsert, Request(actor, tenant, trace)
        return await self._batch(
            (one["id"], partial(upsert, request, one, update, information_class)) for one in documents
        )

    async def update_many(
        self,
        actor: Actor,
        documents: Iterable[Document],
        *,
        overwrite: bool = True,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> BatchOutcome:
        """Batch update (5.6.9): appends to Entities that exist."""
        append, request = self._ready().append, Request(actor, tenant, trace)
        return await self._batch(
            (one["id"], partial(append, request, one["id"], one, overwrite)) for one in documents
        )

    async def merge_many(
        self, actor: Actor, documents: Iterable[Document], *, trace: str = "", tenant: str = DEFAULT_TENANT
    ) -> BatchOutcome:
        """Batch merge (5.6.20)."""
        merge, request = self._ready().merge, Request(actor, tenant, trace)
        return await self._batch((one["id"], partial(merge, request, one["id"], one)) for one in documents)

    async def delete_many(
        self, actor: Actor, entity_ids: Iterable[str], *, trace: str = "", tenant: str = DEFAULT_TENANT
    ) -> BatchOutcome:
        """Batch deletion (5.6.10)."""
        delete, request = self._ready().delete, Request(actor, tenant, trace)
        return await self._batch((one, partial(delete, request, one)) for one in entity_ids)

    async def keep_attributes_of_many(
        self,
        actor: Actor,
        entity_ids: Iterable[str],
        is_kept: Callable[[str], bool],
        *,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> BatchOutcome:
        """Delete the attributes whose names are not kept, of many Entities (5.6.21)."""
        keep, request = self._ready().keep_attributes, Request(actor, tenant, trace)
        return await self._batch((one, partial(keep, request, one, is_kept)) for one in entity_ids)
