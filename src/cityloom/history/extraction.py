"""From a change of the feed to the readings in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from cityloom.history.model import EntityNews, NewReading, ValueKind
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import parse_instant, to_millis
from cityloom.ngsild.model import Instance, content

#: A value longer than this as text is a document, not a reading; it stays in the feed's state alone.
LONGEST_TEXT = 4096
#: Whole numbers up to here are exact as floating point numbers.
_EXACT = 2**53

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def news_of(change: Change) -> EntityNews:
    """What a change means to history. Only attributes that the change names become readings."""
    readings: tuple[NewReading, ...] = ()
    if change.kind is not ChangeKind.DELETED and change.attributes:
        attributes = _decode(change.document).get("attrs", {})
        readings = tuple(
            reading
            for name in change.attributes
            for instance in attributes.get(name, ())
            for reading in _readings_of(name, instance, change.at_millis)
        )
    return EntityNews(
        sequence=change.sequence,
        tenant=change.tenant,
        entity_id=change.entity_id,
        types=change.types,
        kind=change.kind,
        information_class=change.information_class,
        recorded_at=change.at_millis,
        readings=readings,
    )


def _readings_of(name: str, instance: Instance, at_millis: int) -> Iterator[NewReading]:
    kept = _kept(instance)
    if kept is None:
        return
    kind, number, text = kept
    yield NewReading(
        attribute=name,
        dataset=instance.get("datasetId", ""),
        attribute_type=instance["type"],
        unit_code=instance.get("unitCode", ""),
        at=_instant_of(instance, at_millis),
        observed="observedAt" in instance,
        kind=kind,
        number=number,
        text=text,
    )


def _kept(instance: Instance) -> tuple[ValueKind, float | None, str | None] | None:
    """The value in its stored form; None for what is not kept."""
    kind = instance["type"]
    if kind not in ("Property", "Relationship", "GeoProperty"):
        return None
    value = content(instance)
    if kind == "GeoProperty" and (not isinstance(value, dict) or value.get("type") != "Point"):
        return None
    return stored_form(value)


def stored_form(value: Any) -> tuple[ValueKind, float | None, str | None] | None:
    """Kind, number and text of a JSON value; None for null and for what is too long."""
    if isinstance(value, bool):
        return ValueKind.BOOLEAN, float(value), None
    if isinstance(value, int) and -_EXACT <= value <= _EXACT:
        return ValueKind.INTEGER, float(value), None
    if isinstance(value, float):
        return ValueKind.NUMBER, value, None
    if isinstance(value, str):
        return (ValueKind.TEXT, None, value) if len(value) <= LONGEST_TEXT else None
    if value is None:
        return None
    text = msgspec.json.encode(value).decode()
    return (ValueKind.JSON, None, text) if len(text) <= LONGEST_TEXT else None


def _instant_of(instance: Instance, at_millis: int) -> int:
    """observedAt; else when the instance was written, which an instance left as it was keeps."""
    for member in ("observedAt", "modifiedAt"):
        if member in instance:
            try:
                return to_millis(parse_instant(instance[member], where=member))
            except BadInput:  # an instant of the calendar's edge; the change's own is as good
                break
    return at_millis
