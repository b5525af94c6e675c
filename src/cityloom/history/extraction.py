"""From a change of the feed to the readings in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from cityloom.history.model import EntityNews, NewReading, ValueKind
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import parse_instant, to_millis

#: A value longer than this as text is a document, not a reading; it stays in the feed's state alone.
LONGEST_TEXT = 4096
#: Whole numbers up to here are exact as floating point numbers.
_EXACT = 2**53

_NUMBER, _INTEGER, _BOOLEAN, _TEXT, _JSON = ValueKind


class _Instance(msgspec.Struct, rename="camel", gc=False):
    """What history reads of an attribute instance; the other members are not even taken apart."""

    type: str
    value: Any = None
    object: Any = None
    observed_at: Any = None
    modified_at: Any = None
    unit_code: Any = None
    dataset_id: Any = None


class _Document(msgspec.Struct, gc=False):
    attrs: dict[str, list[_Instance]]


class _Attributes(msgspec.Struct, gc=False):
    """Attributes that are not taken apart."""

    attrs: dict[str, msgspec.Raw]


_decode = msgspec.json.Decoder(_Document).decode
_decode_attributes = msgspec.json.Decoder(_Attributes).decode
_decode_instances = msgspec.json.Decoder(list[_Instance]).decode
#: Attributes that are taken out one by one; of more, all are read at once.
_FEW = 2


def news_of(change: Change) -> EntityNews:
    """What a change means to history. Only attributes that the change names become readings."""
    readings: list[NewReading] = []
    if change.kind is not ChangeKind.DELETED and change.attributes:
        attributes = _instances(change)
        for name in change.attributes:
            for instance in attributes.get(name, ()):
                reading = _reading_of(name, instance, change.at_millis)
                if reading is not None:
                    readings.append(reading)
    return EntityNews(
        change.sequence,
        change.tenant,
        change.entity_id,
        change.types,
        change.kind,
        change.information_class,
        change.at_millis,
        tuple(readings),
    )


def _instances(change: Change) -> Mapping[str, Sequence[_Instance]]:
    """The instances of the attributes that a change names, by name."""
    if len(change.attributes) > _FEW:
        return _decode(change.document).attrs
    attributes = _decode_attributes(change.document).attrs
    return {name: _decode_instances(attributes[name]) for name in change.attributes if name in attributes}


def _reading_of(name: str, instance: _Instance, at_millis: int) -> NewReading | None:
    """The instance as a reading; None for what is not kept."""
    kind = instance.type
    value = instance.object if kind == "Relationship" else instance.value
    if kind not in ("Property", "Relationship") and not _is_point(kind, value):
        return None
    kept = stored_form(value)
    if kept is None:
        return None
    # observedAt; else when the instance was written, which an instance left as it was keeps.
    observed = instance.observed_at is not None
    said = instance.observed_at if observed else instance.modified_at
    at = _millis_of(said) if isinstance(said, str) else None
    return NewReading(
        name,
        instance.dataset_id or "",
        kind,
        instance.unit_code or "",
        at_millis if at is None else at,
        *kept,
        observed,
    )


def _is_point(kind: str, value: Any) -> bool:
    return kind == "GeoProperty" and isinstance(value, dict) and value.get("type") == "Point"


def stored_form(value: Any) -> tuple[ValueKind, float | None, str | None] | None:
    """Kind, number and text of a JSON value; None for null and for what is too long."""
    if isinstance(value, float):
        return _NUMBER, value, None
    if isinstance(value, bool):
        return _BOOLEAN, float(value), None
    if isinstance(value, int) and -_EXACT <= value <= _EXACT:
        return _INTEGER, float(value), None
    if isinstance(value, str):
        return (_TEXT, None, value) if len(value) <= LONGEST_TEXT else None
    if value is None:
        return None
    text = msgspec.json.encode(value).decode()
    return (_JSON, None, text) if len(text) <= LONGEST_TEXT else None


@lru_cache(maxsize=4096)
def _millis_of(instant: str) -> int | None:
    """An instant in milliseconds; readings that come together often share theirs."""
    try:
        return to_millis(parse_instant(instant, where="observedAt"))
    except BadInput:  # an instant of the calendar's edge; the change's own is as good
        return None
