"""The names of operations that a Context Source may offer, alone and in groups (ETSI GS CIM 009, 4.20)."""

from __future__ import annotations

from collections.abc import Iterable

_PROVISION = frozenset(
    {
        "createEntity",
        "updateEntity",
        "appendAttrs",
        "updateAttrs",
        "deleteAttrs",
        "deleteEntity",
        "createBatch",
        "upsertBatch",
        "updateBatch",
        "deleteBatch",
        "upsertTemporal",
        "appendAttrsTemporal",
        "deleteAttrsTemporal",
        "updateAttrInstanceTemporal",
        "deleteAttrInstanceTemporal",
        "deleteTemporal",
        "mergeEntity",
        "replaceEntity",
        "replaceAttrs",
        "mergeBatch",
        "purgeEntity",
    }
)
_DISCOVERY = frozenset(
    {
        "retrieveEntityTypes",
        "retrieveEntityTypeDetails",
        "retrieveEntityTypeInfo",
        "retrieveAttrTypes",
        "retrieveAttrTypeDetails",
        "retrieveAttrTypeInfo",
    }
)
_CONSUMPTION = _DISCOVERY | {
    "retrieveEntity",
    "queryEntity",
    "queryBatch",
    "retrieveTemporal",
    "queryTemporal",
}
_SUBSCRIPTION = frozenset(
    {
        "createSubscription",
        "updateSubscription",
        "retrieveSubscription",
        "querySubscription",
        "deleteSubscription",
    }
)
_ENTITY_MAPS = frozenset(
    {
        "retrieveEntityMap",
        "updateEntityMap",
        "deleteEntityMap",
        "createEntityMapQueryEntity",
    }
)
_IDENTITY = frozenset({"retrieveContextSourceIdentity"})

#: Every operation that has a name (table 4.20-1).
OPERATION_NAMES: frozenset[str] = (
    _PROVISION | _CONSUMPTION | _SUBSCRIPTION | _ENTITY_MAPS | {"createEntityMapQueryTemporal"} | _IDENTITY
)

#: Those on the temporal evolution of Entities; no group has them.
TEMPORAL_NAMES = frozenset(name for name in OPERATION_NAMES if "Temporal" in name)

_ASSOCIATION = (
    frozenset({"retrieveEntity", "queryEntity", "queryBatch"}) | _DISCOVERY | _SUBSCRIPTION | _IDENTITY
)
_REDIRECTED = frozenset(
    {
        "createEntity",
        "updateEntity",
        "appendAttrs",
        "updateAttrs",
        "deleteAttrs",
        "deleteEntity",
        "mergeEntity",
        "replaceEntity",
        "replaceAttrs",
        "retrieveEntity",
        "queryEntity",
        "purgeEntity",
    }
)

#: The groups that have a name (table 4.20-2).
OPERATION_GROUPS: dict[str, frozenset[str]] = {
    "federationOps": _ASSOCIATION | _ENTITY_MAPS,
    "associationOps": _ASSOCIATION,
    "updateOps": frozenset({"updateEntity", "updateAttrs", "replaceEntity", "replaceAttrs"}),
    "retrieveOps": frozenset({"retrieveEntity", "queryEntity"}),
    "redirectionOps": _REDIRECTED | _DISCOVERY | _ENTITY_MAPS | _IDENTITY,
}

#: What is offered by a source that names nothing.
DEFAULT_GROUP = "federationOps"
#: What an auxiliary source may offer (5.9.2.4).
AUXILIARY_NAMES: frozenset[str] = frozenset({"retrieveOps", "retrieveEntity", "queryEntity"})


def operations_of(names: Iterable[str]) -> frozenset[str]:
    """The operations behind names of operations and groups; the default group where there are none."""
    found: set[str] = set()
    for name in list(names) or [DEFAULT_GROUP]:
        found |= OPERATION_GROUPS.get(name, frozenset({name}))
    return frozenset(found)
