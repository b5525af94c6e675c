"""The operations that are offered, as data (ETSI GS CIM 009, table 6.2-1)."""

from __future__ import annotations

from datetime import UTC, datetime

from cityloom.history.temporal import TemporalHistory
from cityloom.sensing.models import DataModels
from cityloom.web.ngsild.application import NgsiLd
from cityloom.web.ngsild.batches import (
    create_entities,
    delete_entities,
    merge_entities,
    update_entities,
    upsert_entities,
)
from cityloom.web.ngsild.consumption import query_by_post, query_entities, retrieve_entity
from cityloom.web.ngsild.context_documents import list_contexts, serve_context
from cityloom.web.ngsild.contexts_in_use import ContextsInUse
from cityloom.web.ngsild.discovery import list_attributes, list_types, retrieve_attribute, retrieve_type
from cityloom.web.ngsild.distributed_consumption import (
    query_everywhere,
    query_everywhere_by_post,
    retrieve_everywhere,
)
from cityloom.web.ngsild.operations import Operation
from cityloom.web.ngsild.provision import (
    append_attributes,
    create_entity,
    delete_attribute,
    delete_entity,
    merge_entity,
    replace_attribute,
    replace_entity,
    update_attribute,
    update_attributes,
)
from cityloom.web.ngsild.purge import purge_entities
from cityloom.web.ngsild.registrations import (
    delete_registration,
    query_registrations,
    register_source,
    retrieve_registration,
    update_registration,
)
from cityloom.web.ngsild.services import Services
from cityloom.web.ngsild.source_identity import identify
from cityloom.web.ngsild.temporal import query_evolutions, retrieve_evolution
from cityloom.web.rooms import Rooms

_SHOWN = frozenset({"format", "options", "attrs", "pick", "omit", "lang", "datasetId", "local"})
_JOINED = frozenset({"join", "joinLevel", "containedBy"})
_PAGED = frozenset({"limit", "offset", "count"})
_SELECTED = frozenset(
    {
        "id",
        "idPattern",
        "type",
        "q",
        "scopeQ",
        "csf",
        "georel",
        "geometry",
        "coordinates",
        "geoproperty",
        "expandValues",
        "jsonKeys",
        "splitEntities",
    }
)
_ORDERED = frozenset({"orderBy", "orderFrom", "orderGeometry", "collation"})
_TIMED = frozenset(
    {"timerel", "timeAt", "endTimeAt", "timeproperty", "lastN", "aggrMethods", "aggrPeriodDuration"}
)
_TYPE = frozenset({"type", "local"})
_LOCAL = frozenset({"local"})
_OPTIONS = frozenset({"options"})

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path="/entities",
        clause="6.4.3.1",
        summary="Create an entity",
        handler=create_entity,
        parameters=_LOCAL,
        body="Entity",
        statuses=(201,),
        writes=True,
        makes_tenants=True,
    ),
    Operation(
        method="GET",
        path="/entities",
        clause="6.4.3.2",
        summary="Query entities",
        handler=query_entities,
        spread=query_everywhere,
        parameters=_SHOWN | _JOINED | _PAGED | _SELECTED | _ORDERED | {"geometryProperty"},
        answers="Entities",
        geojson=True,
    ),
    Operation(
        method="DELETE",
        path="/entities",
        clause="6.4.3.3",
        summary="Delete all entities that match, or attributes of them",
        handler=purge_entities,
        parameters=(_SELECTED - {"splitEntities"}) | {"attrs", "keep", "drop", "geometryProperty", "local"},
        statuses=(204, 207),
        writes=True,
    ),
    Operation(
        method="GET",
        path="/entities/{entityId}",
        clause="6.5.3.1",
        summary="Retrieve an entity",
        handler=retrieve_entity,
        spread=retrieve_everywhere,
        parameters=_SHOWN | _JOINED | {"type", "geometryProperty"},
        answers="Entity",
        geojson=True,
    ),
    Operation(
        method="PUT",
        path="/entities/{entityId}",
        clause="6.5.3.3",
        summary="Replace an entity",
        handler=replace_entity,
        parameters=_TYPE,
        body="Entity",
        statuses=(204,),
        writes=True,
    ),
    Operation(
        method="PATCH",
        path="/entities/{entityId}",
        clause="6.5.3.4",
        summary="Merge a fragment into an entity",
        handler=merge_entity,
        parameters=_TYPE | {"format", "options", "lang", "observedAt"},
        body="EntityFragment",
        statuses=(204,),
        writes=True,
    ),
    Operation(
        method="DELETE",
        path="/entities/{entityId}",
        clause="6.5.3.2",
        summary="Delete an entity",
        handler=delete_entity,
        parameters=_TYPE,
        statuses=(204,),
        writes=True,
    ),
    Operation(
        method="POST",
        path="/entities/{entityId}/attrs",
        clause="6.6.3.1",
        summary="Append attributes",
        handler=append_attributes,
        parameters=_TYPE | {"options"},
        body="EntityFragment",
        statuses=(204, 207),
        writes=True,
    ),
    Operation(
        method="PATCH",
        path="/entities/{entityId}/attrs",
        clause="6.6.3.2",
        summary="Update attributes",
        handler=update_attributes,
        parameters=_TYPE,
        body="EntityFragment",
        statuses=(204, 207),
        writes=True,
    ),
    Operation(
        method="PATCH",
        path="/entities/{entityId}/attrs/{attrId}",
        clause="6.7.3.1",
        summary="Update part of an attribute",
        handler=update_attribute,
        parameters=_TYPE,
        body="Attribute",
        statuses=(204,),
        writes=True,
    ),
    Operation(
        method="PUT",
        path="/entities/{entityId}/attrs/{attrId}",
        clause="6.7.3.3",
        summary="Replace an attribute",
        handler=replace_attribute,
        parameters=_TYPE,
        body="Attribute",
        statuses=(204,),
        writes=True,
    ),
    Operation(
        method="DELETE",
        path="/entities/{entityId}/attrs/{attrId}",
        clause="6.7.3.2",
        summary="Delete an attribute",
        handler=delete_attribute,
        parameters=_TYPE | {"datasetId", "deleteAll"},
        statuses=(204,),
        writes=True,
    ),
    Operation(
        method="POST",
        path="/entityOperations/create",
        clause="6.14.3.1",
        summary="Create entities",
        handler=create_entities,
        parameters=_LOCAL,
        body="Entities",
        answers="EntityIds",
        statuses=(201, 207),
        writes=True,
        makes_tenants=True,
    ),
    Operation(
        method="POST",
        path="/entityOperations/upsert",
        clause="6.15.3.1",
        summary="Create or update entities",
        handler=upsert_entities,
        parameters=_LOCAL | {"options"},
        body="Entities",
        answers="EntityIds",
        statuses=(201, 204, 207),
        writes=True,
        makes_tenants=True,
    ),
    Operation(
        method="POST",
        path="/entityOperations/update",
        clause="6.16.3.1",
        summary="Update entities",
        handler=update_entities,
        parameters=_LOCAL | {"options"},
        body="Entities",
        statuses=(204, 207),
        writes=True,
    ),
    Operation(
        method="POST",
        path="/entityOperations/merge",
        clause="6.31.3.1",
        summary="Merge fragments into entities",
        handler=merge_entities,
        parameters=_LOCAL,
        body="Entities",
        statuses=(204, 207),
        writes=True,
    ),
    Operation(
        method="POST",
        path="/entityOperations/delete",
        clause="6.17.3.1",
        summary="Delete entities",
        handler=delete_entities,
        parameters=_LOCAL,
        body="EntityIds",
        statuses=(204, 207),
        writes=True,
    ),
    Operation(
        method="POST",
        path="/entityOperations/query",
        clause="6.23.3.1",
        summary="Query entities by POST",
        handler=query_by_post,
        spread=query_everywhere_by_post,
        parameters=_PAGED | {"format", "options", "join", "joinLevel", "geometryProperty", "local"},
        body="Query",
        answers="Entities",
        geojson=True,
    ),
    Operation(
        method="GET",
        path="/temporal/entities",
        clause="6.18.3.2",
        summary="Query entities over time",
        handler=query_evolutions,
        parameters=_SHOWN | _PAGED | _SELECTED | _TIMED,
        answers="EntitiesTemporal",
        statuses=(200, 206),
    ),
    Operation(
        method="GET",
        path="/temporal/entities/{entityId}",
        clause="6.19.3.1",
        summary="Retrieve an entity over time",
        handler=retrieve_evolution,
        parameters=_SHOWN | _TIMED,
        answers="EntityTemporal",
        statuses=(200, 206),
    ),
    Operation(
        method="GET",
        path="/types",
        clause="6.25.3.1",
        summary="List the types of entities",
        handler=list_types,
        parameters=_LOCAL | {"details"},
        answers="EntityTypes",
    ),
    Operation(
        method="GET",
        path="/types/{type}",
        clause="6.26.3.1",
        summary="Retrieve a type of entities",
        handler=retrieve_type,
        parameters=_LOCAL,
        answers="EntityTypeInfo",
    ),
    Operation(
        method="GET",
        path="/attributes",
        clause="6.27.3.1",
        summary="List the attributes",
        handler=list_attributes,
        parameters=_LOCAL | {"details"},
        answers="Attributes",
    ),
    Operation(
        method="GET",
        path="/attributes/{attrId}",
        clause="6.28.3.1",
        summary="Retrieve an attribute",
        handler=retrieve_attribute,
        parameters=_LOCAL,
        answers="Attribute",
    ),
    Operation(
        method="POST",
        path="/csourceRegistrations",
        clause="6.8.3.1",
        summary="Register a context source",
        handler=register_source,
        makes_tenants=True,
        body="CSourceRegistration",
        statuses=(201,),
    ),
    Operation(
        method="GET",
        path="/csourceRegistrations",
        clause="6.8.3.2",
        summary="Discover context source registrations",
        handler=query_registrations,
        parameters=_SELECTED | _PAGED | _SHOWN | _TIMED | {"geometryProperty"},
        answers="CSourceRegistrations",
    ),
    Operation(
        method="GET",
        path="/csourceRegistrations/{registrationId}",
        clause="6.9.3.1",
        summary="Retrieve a context source registration",
        handler=retrieve_registration,
        parameters=_OPTIONS,
        answers="CSourceRegistration",
    ),
    Operation(
        method="PATCH",
        path="/csourceRegistrations/{registrationId}",
        clause="6.9.3.2",
        summary="Update a context source registration",
        handler=update_registration,
        body="CSourceRegistrationFragment",
        statuses=(204,),
    ),
    Operation(
        method="DELETE",
        path="/csourceRegistrations/{registrationId}",
        clause="6.9.3.3",
        summary="Delete a context source registration",
        handler=delete_registration,
        statuses=(204,),
    ),
    Operation(
        method="GET",
        path="/jsonldContexts",
        clause="6.29.3.2",
        summary="List the @contexts",
        handler=list_contexts,
        parameters=frozenset({"details", "kind"}),
        answers="Contexts",
    ),
    Operation(
        method="GET",
        path="/jsonldContexts/{contextId}",
        clause="6.30.3.1",
        summary="Retrieve an @context",
        handler=serve_context,
        parameters=frozenset({"details"}),
        answers="Context",
    ),
    Operation(
        method="GET",
        path="/info/sourceIdentity",
        clause="6.33.3.1",
        summary="Tell who this context source is",
        handler=identify,
        makes_tenants=True,
        answers="ContextSourceIdentity",
    ),
)


def api(rooms: Rooms, contexts: ContextsInUse | None = None, models: DataModels | None = None) -> NgsiLd:
    """The API of a city. `contexts` loads @contexts through an allow-list; `models` bind what is written."""
    services = Services(
        broker=rooms.broker,
        temporal=TemporalHistory(rooms.history, rooms.broker),
        clock=rooms.clock,
        federation=rooms.federation,
        started=datetime.now(UTC),
        models=models,
        contexts=contexts or ContextsInUse(),
    )
    return NgsiLd(OPERATIONS, services)
