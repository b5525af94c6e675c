"""The operations that are offered, as data (ETSI GS CIM 009, table 6.2-1)."""

from __future__ import annotations

from datetime import UTC, datetime

from cityloom.context.entity_maps import EntityMaps
from cityloom.history.past_writing import PastWriting
from cityloom.history.temporal import TemporalHistory
from cityloom.sensing.models import DataModels
from cityloom.web.ngsild.application import NgsiLd
from cityloom.web.ngsild.contexts_in_use import ContextsInUse
from cityloom.web.ngsild.operations import Operation
from cityloom.web.ngsild.routes_beside import BESIDE_ENTITIES
from cityloom.web.ngsild.routes_between_systems import BETWEEN_SYSTEMS
from cityloom.web.ngsild.routes_of_entities import ENTITIES
from cityloom.web.ngsild.routes_over_time import OVER_TIME
from cityloom.web.ngsild.services import Services
from cityloom.web.rooms import Rooms

OPERATIONS: tuple[Operation, ...] = (*ENTITIES, *OVER_TIME, *BETWEEN_SYSTEMS, *BESIDE_ENTITIES)


def api(rooms: Rooms, contexts: ContextsInUse | None = None, models: DataModels | None = None) -> NgsiLd:
    """The API of a city. `contexts` loads @contexts through an allow-list; `models` bind what is written."""
    entity_maps = EntityMaps(rooms.quotas.entity_maps)
    rooms.snapshots.tell(entity_maps.forget)
    services = Services(
        broker=rooms.broker,
        temporal=TemporalHistory(rooms.history),
        past=PastWriting(rooms.history, rooms.broker, rooms.remembered),
        remembered=rooms.remembered,
        most_instances=rooms.most_instances,
        clock=rooms.clock,
        federation=rooms.federation,
        subscriptions=rooms.subscriptions,
        handed_on=rooms.handed_on,
        started=datetime.now(UTC),
        audit=rooms.audit,
        models=models,
        contexts=contexts or ContextsInUse(),
        entity_maps=entity_maps,
        snapshots=rooms.snapshots,
    )
    return NgsiLd(OPERATIONS, services)
