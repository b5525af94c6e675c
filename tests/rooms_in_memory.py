"""The rooms behind the API, all in memory, under open access."""

from __future__ import annotations

from cityloom.access.audit import AuditLog
from cityloom.access.entrance import Access
from cityloom.access.quotas import Quotas
from cityloom.adapters.http.outbound import HttpOutbound
from cityloom.adapters.memory.accounts import MemoryAuditStore
from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.history import MemoryHistory
from cityloom.adapters.memory.outbox import MemoryOutbox
from cityloom.adapters.memory.register import MemoryRegister
from cityloom.adapters.memory.snapshot_stores import MemorySnapshotStores
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.adapters.mqtt.publisher import MqttPublisher
from cityloom.adapters.network.reach import Reach
from cityloom.context.broker import Broker
from cityloom.context.classes import ClassPolicy
from cityloom.federation.federation import Federation
from cityloom.federation.handing_on import HandedOn
from cityloom.history.queries import History
from cityloom.history.stage import STAGE, HistoryStage
from cityloom.kernel.time import WallClock
from cityloom.snapshots.snapshots import Snapshots
from cityloom.snapshots.telling import Telling
from cityloom.subscriptions.sending import Sender
from cityloom.subscriptions.subscriptions import Subscriptions


class RoomsInMemory:
    """What `cityloom.web.ngsild.routes.api` needs of a city. `reach` bounds whom it may ask and tell."""

    most_instances = 10_000

    def __init__(
        self, reach: Reach, classes: ClassPolicy | None = None, quotas: Quotas | None = None
    ) -> None:
        self.quotas = quotas or Quotas()
        self.clock = WallClock()
        self.audit = AuditLog(MemoryAuditStore(), self.clock)
        self.broker = Broker(MemoryFeed(), MemoryStateTable(), self.clock, classes)
        store = MemoryHistory()
        self._stage = HistoryStage(store, pause=0.0)
        self.broker.follow(STAGE, self._stage.handle, durable=True, past=True)
        self.history = History(store, self.broker)
        self._outbound = HttpOutbound(reach)
        publisher = MqttPublisher(reach)
        actors = Access(None, open_access=True).now
        self.federation = Federation(
            MemoryRegister(),
            self.broker,
            self._outbound,
            self.clock,
            alias="here",
            classes=classes,
            publisher=publisher,
            actors=actors,
            registrations=self.quotas.registrations,
            registration_subscriptions=self.quotas.registration_subscriptions,
        )
        self.subscriptions = Subscriptions(
            self.broker,
            MemoryRegister(),
            MemoryOutbox(),
            self._outbound,
            publisher,
            actors,
            self.clock,
            quota=self.quotas.subscriptions,
        )
        self.snapshots = Snapshots(
            MemoryRegister(),
            MemorySnapshotStores(),
            self.broker,
            self.clock,
            Telling(Sender(self._outbound, publisher), actors),
            self.subscriptions,
            classes=classes,
            quota=self.quotas.snapshots,
        )
        self.handed_on = HandedOn(MemoryRegister(), self.federation, self.subscriptions, self.clock)

    async def remembered(self) -> None:
        await self._stage.caught_up(self.broker.last_sequence)

    async def start(self) -> None:
        await self.broker.start()
        await self.federation.start()
        await self.snapshots.start()
        await self.subscriptions.start()
        await self.handed_on.start()

    async def stop(self) -> None:
        await self.snapshots.stop()
        await self.handed_on.stop()
        await self.broker.stop()
        await self.subscriptions.stop()
        await self.federation.stop()
        await self._outbound.close()
