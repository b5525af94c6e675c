"""How a temporal evolution is shown (ETSI GS CIM 009, 4.5.7 to 4.5.9, 4.5.19). Pure."""

from __future__ import annotations

from typing import Any, Literal

from cityloom.history.temporal import AttributeAggregates, TemporalEntity
from cityloom.kernel.time import format_instant
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.model import Instance, content
from cityloom.ngsild.representation import represent
from cityloom.ngsild.temporal_query import TimeProperty

TemporalFormat = Literal["normalized", "concise", "temporalValues", "aggregatedValues"]

#: The member that holds the pairs of a simplified attribute, where it is not "values" (4.5.9).
_PAIRS_MEMBER = {"Relationship": "objects"}


def represent_temporal(
    entity: TemporalEntity,
    context: Context = CORE,
    *,
    format: TemporalFormat = "normalized",
    sys_attrs: bool = False,
    time_property: TimeProperty = "observedAt",
) -> dict[str, Any]:
    """One Entity over time for a reader. `time_property` is the time that pairs of temporalValues carry."""
    if format == "aggregatedValues":
        return _with(entity, context, _aggregated(entity, context))
    if format == "temporalValues":
        return _with(entity, context, _simplified(entity, context, time_property))
    shown = represent(entity.document, context, format=format, sys_attrs=sys_attrs)
    for name in entity.document["attrs"]:
        term = context.compact(name)
        if not isinstance(shown[term], list):
            shown[term] = [shown[term]]
    return shown


def _with(entity: TemporalEntity, context: Context, attributes: dict[str, Any]) -> dict[str, Any]:
    return represent({**entity.document, "attrs": {}}, context) | attributes


def _simplified(entity: TemporalEntity, context: Context, time_property: TimeProperty) -> dict[str, Any]:
    """Each attribute, or each of its datasets, as [value, instant] pairs."""
    return {
        context.compact(name): _one_or_many(
            [_pairs(group, time_property) for group in _by_dataset(instances)]
        )
        for name, instances in entity.document["attrs"].items()
    }


def _by_dataset(instances: list[Instance]) -> list[list[Instance]]:
    groups: dict[tuple[str, str], list[Instance]] = {}
    for item in instances:
        groups.setdefault((item.get("datasetId", ""), item["type"]), []).append(item)
    return list(groups.values())


def _pairs(group: list[Instance], time_property: TimeProperty) -> dict[str, Any]:
    kind = group[0]["type"]
    shown: dict[str, Any] = {"type": kind}
    if "datasetId" in group[0]:
        shown["datasetId"] = group[0]["datasetId"]
    member = _PAIRS_MEMBER.get(kind, "values")
    shown[member] = [[content(item), item.get(time_property, item["modifiedAt"])] for item in group]
    return shown


def _aggregated(entity: TemporalEntity, context: Context) -> dict[str, Any]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in entity.aggregates:
        groups.setdefault(context.compact(one.name), []).append(_periods(one))
    return {name: _one_or_many(group) for name, group in groups.items()}


def _periods(one: AttributeAggregates) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": one.attribute_type}
    if one.dataset:
        shown["datasetId"] = one.dataset
    for name, periods in one.methods.items():
        shown[name] = [
            [value, format_instant(since), format_instant(until)] for value, since, until in periods
        ]
    return shown


def _one_or_many(items: list[dict[str, Any]]) -> Any:
    return items[0] if len(items) == 1 else items
