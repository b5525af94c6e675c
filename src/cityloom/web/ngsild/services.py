"""What the operations work with: the rooms behind the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from cityloom.context.broker import Broker
from cityloom.context.entity_maps import EntityMaps
from cityloom.context.snapshots import Snapshots
from cityloom.federation.federation import Federation
from cityloom.history.past_writing import PastWriting
from cityloom.history.temporal import MOST_INSTANCES, TemporalHistory
from cityloom.kernel.actor import Actor
from cityloom.kernel.time import Clock
from cityloom.sensing.models import DataModels
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
    started: datetime
    #: What is written is checked against them; None: anything is taken.
    models: DataModels | None = None
    contexts: ContextsInUse = field(default_factory=ContextsInUse)
    entity_maps: EntityMaps = field(default_factory=EntityMaps)
    #: Attribute instances in one answer of the temporal API (6.3.10).
    most_instances: int = MOST_INSTANCES
    snapshots: Snapshots = field(default_factory=Snapshots)

    def has_tenant(self, actor: Actor, tenant: str) -> bool:
        """Whether it has Entities that the actor may see, a past, or sources that may have some (5.5.10)."""
        return (
            tenant in self.broker.tenants(actor)
            or tenant in self.federation.sources.tenants()
            or self.temporal.knows_tenant(actor, tenant)
        )
