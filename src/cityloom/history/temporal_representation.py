"""How a temporal evolution is shown (ETSI GS CIM 009, 4.5.6 to 4.5.9, 4.5.19). Pure."""

from __future__ import annotations

from typing import Any, Literal

from cityloom.history.temporal import TemporalEntity
from cityloom.history.temporal_aggregates import AttributeAggregates
from cityloom.kernel.time import format_instant
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.languages import choose_language
from cityloom.ngsild.model import Instance, content
from cityloom.ngsild.representation import represent
from cityloom.ngsild.temporal_query import TimeProperty

TemporalFormat = Literal["normalized", "concise", "temporalValues", "aggregatedValues"]

#: The member that holds the pairs of a simplified attribute, where it is not "values" (4.5.9).
_PAIRS_MEMBER = {
    "Relationship": "objects",
    "LanguageProperty": "languageMaps",
    "VocabProperty": "vocabs",
    "JsonProperty": "jsons",
    "ListProperty": "valueLists",
    "ListRelationship": "objectLists",
}
#: Types whose content stands in a pair as an object with this member.
_WRAPPED = {"LanguageProperty": "languageMap", "VocabProperty": "vocab", "JsonProperty": "json"}


def represent_temporal(
    entity: TemporalEntity,
    context: Context = CORE,
    *,
    format: TemporalFormat = "normalized",
    sys_attrs: bool = False,
    time_property: TimeProperty = "observedAt",
    lang: str | None = None,
) -> dict[str, Any]:
    """One Entity over time for a reader. `time_property` is the time that pairs of temporalValues carry."""
    if format == "aggregatedValues":
        return _with(entity, context, _aggregated(entity, context))
    if format == "temporalValues":
        return _with(entity, context, _simplified(entity, context, time_property, lang))
    shown = represent(entity.document, context, format=format, sys_attrs=sys_attrs, lang=lang)
    for name, instances in entity.document["attrs"].items():
        term = context.compact(name)
        if not isinstance(shown[term], list) or len(instances) == 1:
            shown[term] = [shown[term]]
        if not sys_attrs:
            _tell_deletions(shown[term], instances)
    for name, plain in entity.plain.items():
        shown[context.compact(name)] = plain.json(concise=format == "concise")
    shown |= {context.compact(name): [] for name in entity.beyond}
    return shown


def _tell_deletions(shown: list[Any], instances: list[Instance]) -> None:
    """That an instance tells of a deletion is no matter of the system's times alone (4.5.7)."""
    for item, instance in zip(shown, instances, strict=True):
        if "deletedAt" in instance:
            item["deletedAt"] = instance["deletedAt"]


def _with(entity: TemporalEntity, context: Context, attributes: dict[str, Any]) -> dict[str, Any]:
    return represent({**entity.document, "attrs": {}}, context) | attributes


def _simplified(
    entity: TemporalEntity, context: Context, time_property: TimeProperty, lang: str | None
) -> dict[str, Any]:
    """Each attribute, or each of its datasets, as [value, instant] pairs."""
    shown: dict[str, Any] = {
        context.compact(name): _one_or_many(
            [_pairs(group, context, time_property, lang) for group in _by_dataset(instances)]
        )
        for name, instances in entity.document["attrs"].items()
    }
    for name, plain in entity.plain.items():
        dataset = {"datasetId": plain.key.dataset} if plain.key.dataset else {}
        shown[context.compact(name)] = {"type": "Property", **dataset, "values": plain.pairs()}
    for name, kind in entity.beyond.items():
        shown[context.compact(name)] = {"type": kind, _PAIRS_MEMBER.get(kind, "values"): []}
    return shown


def _by_dataset(instances: list[Instance]) -> list[list[Instance]]:
    groups: dict[tuple[str, str], list[Instance]] = {}
    for item in instances:
        groups.setdefault((item.get("datasetId", ""), item["type"]), []).append(item)
    return list(groups.values())


def _pairs(
    group: list[Instance], context: Context, time_property: TimeProperty, lang: str | None
) -> dict[str, Any]:
    kind = group[0]["type"]
    in_one_language = lang is not None and kind == "LanguageProperty"
    shown: dict[str, Any] = {"type": "Property" if in_one_language else kind}
    if "datasetId" in group[0]:
        shown["datasetId"] = group[0]["datasetId"]
    member = "values" if in_one_language else _PAIRS_MEMBER.get(kind, "values")
    shown[member] = [
        [_said(item, kind, context, lang), item.get(time_property, item["modifiedAt"])] for item in group
    ]
    return shown


def _said(item: Instance, kind: str, context: Context, lang: str | None) -> Any:
    said = content(item)
    if kind == "LanguageProperty" and lang is not None:
        return choose_language(said, lang)[1]
    if kind == "VocabProperty":
        said = [context.compact(name) for name in said] if isinstance(said, list) else context.compact(said)
    wrapper = _WRAPPED.get(kind)
    return said if wrapper is None else {wrapper: said}


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
