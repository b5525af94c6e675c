"""From a change of the feed to the readings in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from cityloom.history.model import ORIGINS, SCOPE, EntityNews, NewReading, Origin, ValueKind
from cityloom.history.past import erasures_of
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import parse_instant, to_millis

#: A value longer than this as text is a document, not a reading; it stays in the feed's state alone.
LONGEST_TEXT = 65_536
#: Whole numbers up to here are exact as floating point numbers.
_EXACT = 2**53

_NUMBER, _INTEGER, _BOOLEAN, _TEXT, _JSON, _NOTHING = ValueKind
_ORIGIN = "dataOrigin"
#: Members of an instance, beside its attributes, that are kept as they are.
_KEPT_MEMBERS = ("objectType", "valueType", "expiresAt", "entityIdSealed", "entityTypeSealed")


class _Instance(msgspec.Struct, rename="camel", gc=False):
    """What history reads of an attribute instance; the other members are not even taken apart."""

    type: str
    value: Any = None
    object: Any = None
    observed_at: Any = None
    modified_at: Any = None
    unit_code: Any = None
    dataset_id: Any = None
    attrs: msgspec.Raw = msgspec.Raw()
    object_type: Any = None
    value_type: Any = None
    expires_at: Any = None
    entity_id_sealed: Any = None
    entity_type_sealed: Any = None
    language_map: Any = None
    vocab: Any = None
    json: Any = None
    value_list: Any = None
    object_list: Any = None
    # What only a write to the past says.
    instance_id: str | None = None
    created_at: str | None = None
    deleted_at: str | None = None


class _Document(msgspec.Struct, gc=False):
    attrs: dict[str, list[_Instance]] = {}
    scope: list[str] | None = None


class _Attributes(msgspec.Struct, gc=False):
    """Attributes that are not taken apart."""

    attrs: dict[str, msgspec.Raw] = {}
    scope: list[str] | None = None


_decode = msgspec.json.Decoder(_Document).decode
_decode_attributes = msgspec.json.Decoder(_Attributes).decode
_decode_instances = msgspec.json.Decoder(list[_Instance]).decode
#: Attributes that are taken out one by one; of more, all are read at once.
_FEW = 2


def news_of(change: Change) -> EntityNews:
    """What a change means to history. Only attributes that the change names become readings."""
    readings: list[NewReading] = []
    standing: dict[str, tuple[str, ...]] = {}
    past, updated = change.kind is ChangeKind.PAST, change.kind is ChangeKind.UPDATED
    at_millis = change.at_millis
    if change.kind is not ChangeKind.DELETED and (change.attributes or change.kind is ChangeKind.CREATED):
        attributes, scope = _read(change)
        origin = _origin_of(attributes)
        for name in change.attributes:
            instances = attributes.get(name, ())
            for instance in instances:
                reading = _reading_of(name, instance, at_millis, origin, past)
                if reading is not None:
                    readings.append(reading)
            if updated and name not in _NO_ATTRIBUTES:
                standing[name] = _datasets_of(instances)
        if not past:
            _follow_scope(change, scope, readings, standing)
    return EntityNews(
        change.sequence,
        change.tenant,
        change.entity_id,
        change.types,
        change.kind,
        change.information_class,
        change.at_millis,
        tuple(readings),
        standing,
        erasures_of(change.document) if past else (),
    )


def _read(change: Change) -> tuple[Mapping[str, Sequence[_Instance]], list[str] | None]:
    """The instances of the attributes that a change names, with the Entity's origin; and its scopes."""
    if len(change.attributes) > _FEW:
        document = _decode(change.document)
        return document.attrs, document.scope
    raw = _decode_attributes(change.document)
    names = (*change.attributes, _ORIGIN)
    return {name: _decode_instances(raw.attrs[name]) for name in names if name in raw.attrs}, raw.scope


def _datasets_of(instances: Sequence[_Instance]) -> tuple[str, ...]:
    if len(instances) == 1 and instances[0].dataset_id is None:
        return _DEFAULT_ALONE
    return tuple([one.dataset_id or "" for one in instances])


_DEFAULT_ALONE = ("",)
#: What a change may name beside attributes.
_NO_ATTRIBUTES = frozenset({"type", SCOPE, "expiresAt"})


def _follow_scope(
    change: Change,
    scope: list[str] | None,
    readings: list[NewReading],
    standing: dict[str, tuple[str, ...]],
) -> None:
    """The scopes as a Property, observed when they were written (4.5.6)."""
    written = SCOPE in change.attributes or change.kind is ChangeKind.CREATED
    if not written:
        return
    if scope:
        said = scope[0] if len(scope) == 1 else scope
        kept = stored_form(said)
        if kept is not None:
            readings.append(NewReading(SCOPE, "", "Property", "", change.at_millis, *kept))
    elif change.kind is ChangeKind.UPDATED:
        standing[SCOPE] = ()


def _reading_of(
    name: str, instance: _Instance, at_millis: int, origin: Origin, past: bool
) -> NewReading | None:
    """The instance as a reading; None for what is not kept."""
    kind = instance.type
    value = instance.value if kind == "Property" else getattr(instance, _CONTENT.get(kind, "value"))
    if past and instance.deleted_at is not None:
        kept: tuple[ValueKind, float | None, str | None] | None = (_NOTHING, None, None)
    else:
        kept = (_NUMBER, value, None) if type(value) is float else stored_form(value)
    if kept is None:
        return None
    value_kind, number, text = kept
    # observedAt; else when the instance was written, which an instance left as it was keeps.
    said = instance.observed_at
    observed = said is not None
    if not observed:
        said = instance.modified_at
    at = _millis_of(said) if type(said) is str else None
    if at is None:
        at = at_millis
    dataset, unit = instance.dataset_id or "", instance.unit_code or ""
    if not instance.attrs and not past and not _has_more(instance):
        return NewReading(name, dataset, kind, unit, at, value_kind, number, text, observed, origin)
    details, own_origin = _details_of(instance)
    created = instance.deleted_at or instance.created_at if past else None
    return NewReading(
        name,
        dataset,
        kind,
        unit,
        at,
        value_kind,
        number,
        text,
        observed,
        origin if own_origin is None else own_origin,
        details,
        instance.instance_id if past else None,
        _millis_of(created) if created else None,
    )


_CONTENT = {
    "GeoProperty": "value",
    "Relationship": "object",
    "LanguageProperty": "language_map",
    "VocabProperty": "vocab",
    "JsonProperty": "json",
    "ListProperty": "value_list",
    "ListRelationship": "object_list",
}
_MORE = tuple(
    "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name) for name in _KEPT_MEMBERS
)


def _has_more(instance: _Instance) -> bool:
    return (
        instance.object_type is not None
        or instance.value_type is not None
        or instance.expires_at is not None
        or instance.entity_id_sealed is not None
        or instance.entity_type_sealed is not None
    )


def _details_of(instance: _Instance) -> tuple[str | None, Origin | None]:
    """What an instance has beside the columns, as JSON, and the origin that it says of itself."""
    more: dict[str, Any] = {
        member: said
        for member, field in zip(_KEPT_MEMBERS, _MORE, strict=True)
        if (said := getattr(instance, field)) is not None
    }
    origin = None
    if instance.attrs:
        attributes = orjson.loads(bytes(instance.attrs))
        more["attrs"] = attributes
        if said := attributes.get(_ORIGIN):
            origin = _origin_named(said[0].get("value"))
    text = orjson.dumps(more).decode() if more else None
    return (text if text is None or len(text) <= LONGEST_TEXT else None), origin


def _origin_of(attributes: Mapping[str, Sequence[_Instance]]) -> Origin:
    said: Sequence[_Instance] = attributes.get(_ORIGIN, ())
    return (_origin_named(said[0].value) if said else None) or Origin.MEASURED


def _origin_named(said: Any) -> Origin | None:
    return ORIGINS.get(said) if isinstance(said, str) else None


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
