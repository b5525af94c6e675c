"""The operations beside those on entities, as data: types and attributes, maps, snapshots, @contexts."""

from __future__ import annotations

from cityloom.web.ngsild.consumption import create_map, create_map_by_post
from cityloom.web.ngsild.context_documents import add_context, delete_context, list_contexts, serve_context
from cityloom.web.ngsild.discovery import list_attributes, list_types, retrieve_attribute, retrieve_type
from cityloom.web.ngsild.distributed_consumption import create_map_everywhere, create_map_everywhere_by_post
from cityloom.web.ngsild.distributed_discovery import (
    list_attributes_everywhere,
    list_types_everywhere,
    retrieve_attribute_everywhere,
    retrieve_type_everywhere,
)
from cityloom.web.ngsild.distributed_temporal import (
    create_map_over_time_everywhere,
    create_map_over_time_everywhere_by_post,
)
from cityloom.web.ngsild.entity_maps import delete_entity_map, retrieve_entity_map, update_entity_map
from cityloom.web.ngsild.operations import Operation
from cityloom.web.ngsild.snapshots import (
    clone_snapshot,
    create_snapshot,
    delete_snapshot,
    purge_snapshots,
    retrieve_snapshot,
    update_snapshot,
)
from cityloom.web.ngsild.source_identity import identify
from cityloom.web.ngsild.temporal import create_map_over_time, create_map_over_time_by_post

SHOWN = frozenset({"format", "options", "attrs", "pick", "omit", "lang", "datasetId", "local"})
JOINED = frozenset({"join", "joinLevel", "containedBy"})
MAPPED = frozenset({"entityMap", "entityMapLifetime"})
PAGED = frozenset({"limit", "offset", "count"})
SELECTED = frozenset(
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
ORDERED = frozenset({"orderBy", "orderFrom", "orderGeometry", "collation"})
TIMED = frozenset(
    {"timerel", "timeAt", "endTimeAt", "timeproperty", "lastN", "aggrMethods", "aggrPeriodDuration"}
)
LOCAL = frozenset({"local"})

BESIDE_ENTITIES: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/entityMaps",
        clause="6.34.3.1",
        summary="Make an entity map of a query",
        handler=create_map,
        spread=create_map_everywhere,
        parameters=SHOWN | JOINED | PAGED | SELECTED | ORDERED | MAPPED | {"geometryProperty"},
        answers="EntityMap",
        statuses=(201,),
    ),
    Operation(
        method="POST",
        path="/entityMaps",
        clause="6.34.3.2",
        summary="Make an entity map of a query by POST",
        handler=create_map_by_post,
        spread=create_map_everywhere_by_post,
        parameters=PAGED | {"format", "options", "join", "joinLevel", "geometryProperty", "local"},
        body="Query",
        answers="EntityMap",
        statuses=(201,),
    ),
    Operation(
        method="GET",
        path="/entityMaps/{entityMapId}",
        clause="6.32.3.1",
        summary="Retrieve an entity map",
        handler=retrieve_entity_map,
        answers="EntityMap",
    ),
    Operation(
        method="PATCH",
        path="/entityMaps/{entityMapId}",
        clause="6.32.3.2",
        summary="Change when an entity map expires",
        handler=update_entity_map,
        body="EntityMap",
        statuses=(204,),
    ),
    Operation(
        method="DELETE",
        path="/entityMaps/{entityMapId}",
        clause="6.32.3.3",
        summary="Delete an entity map",
        handler=delete_entity_map,
        statuses=(204,),
    ),
    Operation(
        method="GET",
        path="/temporal/entityMaps",
        clause="6.35.3.1",
        summary="Make an entity map of a query over time",
        handler=create_map_over_time,
        spread=create_map_over_time_everywhere,
        parameters=SHOWN | PAGED | SELECTED | TIMED | MAPPED,
        answers="EntityMap",
        statuses=(201,),
    ),
    Operation(
        method="POST",
        path="/temporal/entityMaps",
        clause="6.35.3.2",
        summary="Make an entity map of a query over time by POST",
        handler=create_map_over_time_by_post,
        spread=create_map_over_time_everywhere_by_post,
        parameters=PAGED | {"format", "options", "lang", "local"},
        body="Query",
        answers="EntityMap",
        statuses=(201,),
    ),
    Operation(
        method="POST",
        path="/snapshots",
        clause="6.36.3.1",
        summary="Create a snapshot",
        handler=create_snapshot,
        body="Snapshot",
        statuses=(201,),
        writes=True,
    ),
    Operation(
        method="DELETE",
        path="/snapshots",
        clause="6.36.3.2",
        summary="Delete the snapshots that match",
        handler=purge_snapshots,
        parameters=frozenset({"q"}),
        statuses=(204,),
        writes=True,
    ),
    Operation(
        method="GET",
        path="/snapshots/{snapshotId}",
        clause="6.37.3.1",
        summary="Retrieve how a snapshot is",
        handler=retrieve_snapshot,
        answers="Snapshot",
    ),
    Operation(
        method="PATCH",
        path="/snapshots/{snapshotId}",
        clause="6.37.3.2",
        summary="Change a snapshot's priority or lifetime",
        handler=update_snapshot,
        body="SnapshotFragment",
        answers="Snapshot",
        writes=True,
    ),
    Operation(
        method="DELETE",
        path="/snapshots/{snapshotId}",
        clause="6.37.3.3",
        summary="Delete a snapshot",
        handler=delete_snapshot,
        statuses=(204,),
        writes=True,
    ),
    Operation(
        method="POST",
        path="/snapshots/{snapshotId}/clone",
        clause="6.38.3.1",
        summary="Clone a snapshot",
        handler=clone_snapshot,
        body="SnapshotFragment",
        statuses=(201,),
        writes=True,
    ),
    Operation(
        method="GET",
        path="/types",
        clause="6.25.3.1",
        summary="List the types of entities",
        handler=list_types,
        in_snapshots=True,
        spread=list_types_everywhere,
        parameters=LOCAL | {"details"},
        answers="EntityTypes",
    ),
    Operation(
        method="GET",
        path="/types/{type}",
        clause="6.26.3.1",
        summary="Retrieve a type of entities",
        handler=retrieve_type,
        in_snapshots=True,
        spread=retrieve_type_everywhere,
        parameters=LOCAL,
        answers="EntityTypeInfo",
    ),
    Operation(
        method="GET",
        path="/attributes",
        clause="6.27.3.1",
        summary="List the attributes",
        handler=list_attributes,
        in_snapshots=True,
        spread=list_attributes_everywhere,
        parameters=LOCAL | {"details"},
        answers="Attributes",
    ),
    Operation(
        method="GET",
        path="/attributes/{attrId}",
        clause="6.28.3.1",
        summary="Retrieve an attribute",
        handler=retrieve_attribute,
        in_snapshots=True,
        spread=retrieve_attribute_everywhere,
        parameters=LOCAL,
        answers="Attribute",
    ),
    Operation(
        method="POST",
        path="/jsonldContexts",
        clause="6.29.3.1",
        summary="Add an @context",
        handler=add_context,
        body="Context",
        statuses=(201,),
        writes=True,
        makes_tenants=True,
    ),
    Operation(
        method="GET",
        path="/jsonldContexts",
        clause="6.29.3.2",
        summary="List the @contexts",
        handler=list_contexts,
        parameters=frozenset({"details", "kind"}),
        answers="Contexts",
        makes_tenants=True,
    ),
    Operation(
        method="GET",
        path="/jsonldContexts/{contextId}",
        clause="6.30.3.1",
        summary="Retrieve an @context",
        handler=serve_context,
        parameters=frozenset({"details"}),
        answers="Context",
        makes_tenants=True,
    ),
    Operation(
        method="DELETE",
        path="/jsonldContexts/{contextId}",
        clause="6.30.3.2",
        summary="Delete an @context, or fetch a copy again",
        handler=delete_context,
        parameters=frozenset({"reload"}),
        statuses=(204,),
        writes=True,
        makes_tenants=True,
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
