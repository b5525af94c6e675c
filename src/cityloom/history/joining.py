"""The past of an Entity out of what several remember of it (ETSI GS CIM 009, 5.7.3.4). Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from cityloom.ngsild.model import Document, Instance
from cityloom.ngsild.temporal_query import TimeProperty


def joined_evolutions(
    evolutions: Iterable[Document], time_property: TimeProperty, last_n: int | None = None
) -> list[Document]:
    """Entities over time in the internal form, each once, with the types that anybody tells.

    The most trusted evolution comes first: of one instant of a dataset its instance counts. With `last_n` the
    newest so many of each dataset are left.
    """
    heads: dict[str, Document] = {}
    found: dict[str, dict[str, dict[tuple[str, str], Instance]]] = defaultdict(lambda: defaultdict(dict))
    for document in evolutions:
        entity_id = document["id"]
        head = heads.setdefault(entity_id, {"id": entity_id, "type": [], "attrs": {}})
        head["type"] = list(dict.fromkeys([*head["type"], *document["type"]]))
        for name, instances in document["attrs"].items():
            for instance in instances:
                mark = (instance.get("datasetId", ""), _time_of(instance, time_property))
                found[entity_id][name].setdefault(mark, instance)
    return [
        {**head, "attrs": {name: _newest(told, last_n) for name, told in found[one].items()}}
        for one, head in heads.items()
    ]


def _time_of(instance: Instance, time_property: TimeProperty) -> str:
    return str(instance.get(time_property) or instance.get("modifiedAt") or instance.get("deletedAt", ""))


def _newest(told: dict[tuple[str, str], Instance], last_n: int | None) -> list[Instance]:
    """In the order of time."""
    datasets: dict[str, list[Instance]] = defaultdict(list)
    for (dataset, _), instance in sorted(told.items(), key=lambda one: one[0][1]):
        datasets[dataset].append(instance)
    return [one for instances in datasets.values() for one in (instances[-last_n:] if last_n else instances)]
