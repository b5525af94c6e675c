"""What a write to the past of an Entity is made of (ETSI GS CIM 009, 5.6.11 to 5.6.16). Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cityloom.history.extraction import LONGEST_TEXT
from cityloom.history.model import SCOPE, Series
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.time import format_instant, from_millis, parse_instant, to_millis
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.model import Document, Instance


def prepared(items: list[Instance], name: str, now: int) -> list[Instance]:
    """Instances as history takes them: of one dataset and one instant the last alone.

    An instance without an instant of its own stands at the moment of writing; of several each gets a
    millisecond of its own, so that each can be told from the others.
    """
    found: dict[tuple[object, ...], Instance] = {}
    for item in items:
        new = {key: value for key, value in item.items() if key not in ("createdAt", "instanceId")}
        if "deletedAt" in new and not new["deletedAt"]:
            new["deletedAt"] = format_instant(from_millis(now))
        if "observedAt" in new:
            at = to_millis(parse_instant(new["observedAt"], where=f"{name}.observedAt"))
        else:
            at = now + len(found)
            new["modifiedAt"] = format_instant(from_millis(at))
            if name == SCOPE:
                new["observedAt"] = new["modifiedAt"]
        _check_length(new, name)
        found[new["type"], new.get("datasetId"), new.get("unitCode"), at] = new
    return list(found.values())


def _check_length(item: Instance, name: str) -> None:
    if len(msgspec.json.encode(item)) > LONGEST_TEXT:
        raise BadRequestData(
            f"An instance of {name[:60]} is longer than {LONGEST_TEXT} bytes",
            hint="History keeps values, not documents: make it shorter.",
            where=name,
        )


def class_of(series: list[Series]) -> InformationClass | None:
    """The class of an evolution; None where there is none."""
    return max((one.information_class for one in series), default=None)


def types_of(series: Iterable[Series]) -> tuple[str, ...]:
    """The types of an evolution: of those series that follow the Entity, where there are any."""
    found = list(series)
    live = [one for one in found if not one.retired] or found
    return tuple(dict.fromkeys(name for one in live for name in one.types))


def around(
    entity_id: str, series: list[Series], name: str, old: list[Instance], new: list[Instance]
) -> tuple[Document, Document]:
    """What is written as it was and as it will be, for whoever checks what belongs to whom."""
    head = {"id": entity_id, "type": list(types_of(series))}
    return {**head, "attrs": {name: old}}, {**head, "attrs": {name: new}}


def stand_in(one: Series) -> Instance:
    """For an instance of a series of which it does not matter what it says."""
    item: Instance = {"type": one.key.attribute_type, "value": ""}
    if one.key.dataset:
        item["datasetId"] = one.key.dataset
    return item
