"""What the operations work with: the rooms behind the API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from cityloom.access.audit import AuditLog
from cityloom.context.broker import Broker
from cityloom.context.entity_maps import EntityMaps
from cityloom.federation.federation import Federation
from cityloom.federation.handing_on import HandedOn
from cityloom.history.past_writing import PastWriting
from cityloom.history.temporal import MOST_INSTANCES, TemporalHistory
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import CityError
from cityloom.kernel.outbound import plain_address
from cityloom.kernel.time import Clock
from cityloom.sensing.models import DataModels
from cityloom.snapshots.snapshots import Snapshots
from cityloom.snapshots.world import World
from cityloom.subscriptions.subscriptions import Subscriptions
from cityloom.web.ngsild.contexts_in_use import ContextsInUse


@dataclass(frozen=True, kw_only=True)
class Services:
    """The rooms behind the API."""

    broker: Broker
    temporal: TemporalHistory
    past: PastWriting
    #: Returns once history tells what the state tells now. Raises NotReady when that takes too long.
    remembered: Callable[[], Awaitable[None]]
    clock: Clock
    federation: Federation
    subscriptions: Subscriptions
    handed_on: HandedOn
    snapshots: Snapshots
    started: datetime
    #: Who made the city send something to others is written down; None: nowhere.
    audit: AuditLog | None = None
    #: What is written is checked against them; None: anything is taken.
    models: DataModels | None = None
    contexts: ContextsInUse = field(default_factory=ContextsInUse)
    entity_maps: EntityMaps = field(default_factory=EntityMaps)
    #: Attribute instances in one answer of the temporal API (6.3.10).
    most_instances: int = MOST_INSTANCES

    @asynccontextmanager
    async def recorded(
        self, actor: Actor, action: str, subject: str, *, tenant: str, endpoint: str = ""
    ) -> AsyncIterator[None]:
        """Write down, before it is done, who changes what the city sends to others, without their secrets;
        and that it was refused, where it then is: nobody shall read of what has not happened."""
        if self.audit is None:
            yield
            return
        said = {"tenant": tenant, "endpoint": plain_address(endpoint) if endpoint else ""}
        detail = {name: value for name, value in said.items() if value}
        await self.audit.record(actor, action, subject, detail)
        try:
            yield
        except CityError as refusal:
            thing, _, act = action.partition(".")
            why = {"act": act, "why": type(refusal).__name__}
            await self.audit.record(actor, f"{thing}.refused", subject, why)
            raise

    def within(self, world: World) -> Services:
        """The same over a snapshot: its Entities and their past, in place of the city's (5.5.15)."""
        return replace(
            self, broker=world.broker, temporal=world.temporal, past=world.past, remembered=world.remembered
        )

    def has_tenant(self, actor: Actor, tenant: str) -> bool:
        """Whether it has Entities that the actor may see, a past, or sources that may have some (5.5.10)."""
        return (
            tenant in self.broker.tenants(actor)
            or tenant in self.federation.sources.tenants()
            or self.temporal.knows_tenant(actor, tenant)
        )
