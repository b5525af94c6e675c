"""From JSON to Entities: what each field of a message means.

Shared by the connectors that carry JSON. Compiled once from settings or from a device's profile; then each
message costs a few look-ups.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from cityloom.access.ownership import PROVENANCE
from cityloom.kernel.errors import BadConfig, BadInput, words_of
from cityloom.kernel.numbers import is_number
from cityloom.kernel.time import format_instant, from_millis, parse_instant
from cityloom.ngsild.model import Document, Instance
from cityloom.sensing.model import Measure, Message, Profile

#: Readings in one message: what a device that was cut off sends afterwards.
MOST_READINGS = 1_000
#: Fields of one reading.
MOST_FIELDS = 200
_LONGEST_TEXT = 2_000
#: Numbers from here on are milliseconds, smaller ones seconds: 1e11 s is the year 5138.
_MILLISECONDS_FROM = 1e11
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_ALWAYS_LEFT_OUT = frozenset({"id", "type", "refDevice"}) | PROVENANCE

#: A path into nested JSON; most have one step.
Path = tuple[str, ...]


class FieldMap(msgspec.Struct, frozen=True):
    """What the fields of one reading mean.

    `fields` pairs paths with measures; empty, every field is taken under its own name. `time` is the path of
    the instant, empty for the time of receipt; `position` the paths of longitude and latitude.
    """

    fields: tuple[tuple[Path, Measure], ...] = ()
    time: Path = ()
    position: tuple[Path, Path] | None = None


def map_of_profile(profile: Profile) -> FieldMap:
    """The field map that a device's profile amounts to."""
    return FieldMap(
        tuple((_path(field), measure) for field, measure in profile.measures.items()),
        _path(profile.time_field) if profile.time_field else (),
    )


def read_field_map(said: Mapping[str, Any], where: str) -> FieldMap:
    """A field map from settings: `fields`, `time`, `longitude` and `latitude`. Raises BadConfig."""
    fields = said.get("fields", {})
    if not isinstance(fields, Mapping):
        raise BadConfig(
            "`fields` is no table", hint='Write fields = { t = "temperature" }.', where=f"{where}.fields"
        )
    longitude, latitude = (setting_text(said, name, where) for name in ("longitude", "latitude"))
    if bool(longitude) != bool(latitude):
        raise BadConfig("A position needs longitude and latitude", hint="Name both fields.", where=where)
    time = setting_text(said, "time", where)
    return FieldMap(
        tuple(
            (_path(field), read_measure(meaning, f"{where}.fields.{field}"))
            for field, meaning in fields.items()
        ),
        _path(time) if time else (),
        (_path(longitude), _path(latitude)) if longitude else None,
    )


def setting_text(said: Mapping[str, Any], name: str, where: str, default: str = "") -> str:
    """A setting that must be a text. Raises BadConfig naming it."""
    value = said.get(name, default)
    if not isinstance(value, str):
        raise BadConfig(f"{name!r} is not a text", hint="Put it in quotes.", where=f"{where}.{name}")
    return value


def read_measure(meaning: object, where: str) -> Measure:
    """A measure: the attribute's name, or a table with `attribute` and `unit`."""
    said = {"attribute": meaning} if isinstance(meaning, str) else meaning
    hint = 'Write t = "temperature" or t = { attribute = "temperature", unit = "CEL" }.'
    try:
        measure = msgspec.convert(said, Measure)
    except msgspec.ValidationError as error:
        raise BadConfig(words_of(error), hint=hint, where=where) from None
    if not _NAME.fullmatch(measure.attribute) or measure.attribute in _ALWAYS_LEFT_OUT:
        raise BadConfig(f"{measure.attribute!r} cannot be an attribute", hint=hint, where=where)
    return measure


def _path(field: str) -> Path:
    return tuple(field.split("."))


def parse_json(body: bytes) -> Any:
    """The JSON in a message. Raises BadInput."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(
            f"The message is not JSON: {error}", hint='Send JSON such as {"t": 1.5}.', where="body"
        ) from None


def readings_of(
    data: Any, message: Message, fields: FieldMap, entity_type: str, entity_id: str
) -> list[Document]:
    """The Entities of a parsed message: one reading, or a list of readings of the same Entity."""
    if not isinstance(data, list):
        return [_reading(data, message, fields, entity_type, entity_id, "")]
    if not 0 < len(data) <= MOST_READINGS:
        raise BadInput(
            f"A message with {len(data)} readings",
            hint=f"Send between 1 and {MOST_READINGS} readings in a message.",
            where="body",
        )
    return [
        _reading(item, message, fields, entity_type, entity_id, f"[{index}].")
        for index, item in enumerate(data)
    ]


def _reading(
    data: Any, message: Message, fields: FieldMap, entity_type: str, entity_id: str, place: str
) -> Document:
    if not isinstance(data, dict):
        data = {"": data}
    at = _instant(data, fields.time, place) if fields.time else message.received_at
    observed = _formatted(at)
    attributes: dict[str, list[Instance]] = {}
    for path, measure in fields.fields or _own_names(data, fields, place):
        value = data.get(path[0]) if len(path) == 1 else dig(data, path)
        if value is None:
            continue
        kind = type(value)
        if kind is not float and kind is not int:
            _check_value(value, place + ".".join(path))
        instance: Instance = {"type": "Property", "value": value, "observedAt": observed}
        if measure.unit is not None:
            instance["unitCode"] = measure.unit
        attributes[measure.attribute] = [instance]
    if fields.position is not None and (where := _position(data, fields.position, place)):
        attributes["location"] = [{"type": "GeoProperty", "value": where, "observedAt": observed}]
    if not attributes:
        raise _nothing_known(data, fields, place)
    if message.device is not None:
        attributes["refDevice"] = [{"type": "Relationship", "object": message.device.entity_id}]
    return {"id": entity_id, "type": [entity_type], "attrs": attributes}


@lru_cache(maxsize=1024)
def _formatted(at: datetime) -> str:
    return format_instant(at)


def _own_names(data: dict[str, Any], fields: FieldMap, place: str) -> tuple[tuple[Path, Measure], ...]:
    """Every field under its own name; those for time and position have their own place."""
    if len(data) > MOST_FIELDS:
        raise BadInput(
            f"A reading with {len(data)} fields",
            hint=f"Send at most {MOST_FIELDS}, or map those that count.",
            where=place.rstrip(".") or "body",
        )
    try:
        return _measures_named(tuple(data), fields.time, fields.position)
    except BadInput as error:
        error.where = f"{place}{error.where}"
        raise


@lru_cache(maxsize=4096)
def _measures_named(
    names: tuple[str, ...], time: Path, position: tuple[Path, Path] | None
) -> tuple[tuple[Path, Measure], ...]:
    """Measures of fields under their own names. A device sends the same fields again and again."""
    taken = {time, *(position or ())}
    found: list[tuple[Path, Measure]] = []
    for name in names:
        if (name,) in taken or name in _ALWAYS_LEFT_OUT:
            continue
        if not _NAME.fullmatch(name):
            raise BadInput(
                f"{name[:70]!r} cannot be an attribute",
                hint="Map the field to an attribute, or name it with letters, digits and underscores.",
                where=name[:70],
            )
        found.append(((name,), Measure(name)))
    return tuple(found)


def dig(data: Any, path: Path) -> Any:
    """What lies at a path in nested tables; None when nothing does."""
    for step in path:
        if not isinstance(data, dict):
            return None
        data = data.get(step)
    return data


def _check_value(value: Any, where: str) -> None:
    if isinstance(value, bool) or (isinstance(value, str) and len(value) <= _LONGEST_TEXT):
        return
    found = "a long text" if isinstance(value, str) else f"a {'list' if isinstance(value, list) else 'table'}"
    raise BadInput(
        f"A reading cannot be {found}",
        hint="Send a number, a short text, true or false; reach into tables with a path such as data.t.",
        where=where,
    )


def _instant(data: dict[str, Any], path: Path, place: str) -> datetime:
    value = dig(data, path)
    where = place + ".".join(path)
    if value is None:
        raise BadInput(
            "The reading does not say when it was taken",
            hint="Send the field with the time, or name none: then the time of receipt counts.",
            where=where,
        )
    if not is_number(value):
        return parse_instant(value, where=where)
    return epoch_instant(value, where=where)


def epoch_instant(value: float, *, where: str) -> datetime:
    """The instant of seconds or milliseconds since 1970. Raises BadInput."""
    try:
        return from_millis(int(value if value >= _MILLISECONDS_FROM else value * 1000))
    except (OverflowError, ValueError):
        raise BadInput(
            f"{value} is not an instant", hint="Send seconds or milliseconds since 1970.", where=where
        ) from None


def _position(data: dict[str, Any], paths: tuple[Path, Path], place: str) -> dict[str, Any] | None:
    longitude, latitude = (dig(data, path) for path in paths)
    if longitude is None and latitude is None:
        return None
    for value, bound, path in ((longitude, 180, paths[0]), (latitude, 90, paths[1])):
        number = is_number(value)
        if not number or not -bound <= value <= bound:
            raise BadInput(
                f"{value!r} is not a position",
                hint="Send decimal degrees in WGS 84; perhaps longitude and latitude are swapped.",
                where=place + ".".join(path),
            )
    return {"type": "Point", "coordinates": [longitude, latitude]}


def _nothing_known(data: dict[str, Any], fields: FieldMap, place: str) -> BadInput:
    wanted = ", ".join(".".join(path) for path, _ in fields.fields[:10]) or "any"
    found = ", ".join(map(repr, list(data)[:10])) or "none"
    return BadInput(
        f"None of the fields that count has a value; found: {found[:300]}",
        hint=f"Send one of: {wanted}." if fields.fields else "Send at least one field with a value.",
        where=place.rstrip(".") or "body",
    )
