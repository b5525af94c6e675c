"""What clients send, read into what is created (OGC 18-088, 10.2). Pure; errors name the member.

A Thing becomes an Entity: of the type that `properties.type` names, else Thing. Its further properties become
Properties. A Datastream becomes an attribute named after its ObservedProperty; what an attribute cannot say
of it is declared in the Thing's `dataStreams`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.media_types import HTML
from cityloom.kernel.time import format_instant, parse_instant
from cityloom.kernel.units import code_of
from cityloom.ngsild.errors import BadRequestData, OperationNotSupported
from cityloom.ngsild.geometry import check_geometry
from cityloom.ngsild.model import Document, entity, geo, prop
from cityloom.ngsild.names import is_name
from cityloom.ngsild.parse import parse_entity
from cityloom.web.sensorthings.model import DECLARED, PROPERTY_TYPE, SENSOR_TYPE

#: Rows within one Thing or Datastream, and Observations in one request.
MAX_INNER = 1_000
MAX_OBSERVATIONS = 10_000
_NO_ATTRIBUTES = frozenset(
    {
        "id",
        "type",
        "scope",
        "name",
        "description",
        "location",
        DECLARED,
        "createdAt",
        "modifiedAt",
        "observedAt",
    }
)
_TYPE = "Thing"

Json = dict[str, Any]


class NewObservation(msgspec.Struct, frozen=True):
    """A result, and when it was observed; None is now."""

    result: float | bool
    at: datetime | None


class NewStream(msgspec.Struct, frozen=True):
    """A Datastream that is to be; sensor and observed property are ids, or what they are created of."""

    name: str
    description: str
    unit: Json
    unit_code: str | None
    observation_type: str | None
    properties: Json
    sensor: str | Document
    observed: str | Document
    observations: tuple[NewObservation, ...] = ()


class NewThing(msgspec.Struct, frozen=True):
    """A Thing that is to be."""

    document: Document
    streams: tuple[NewStream, ...]


def object_of(payload: object, where: str = "") -> Json:
    """A JSON object. Raises BadRequestData."""
    if not isinstance(payload, dict):
        raise _bad(f"{where or 'The body'} is not a JSON object", "Write { … }.", where or "body")
    return payload


def thing_of(payload: Json, new_id: str) -> NewThing:
    """The Thing that a body describes; `new_id` ends its id where it names none."""
    said = object_of(payload.get("properties") or {}, "properties")
    kind = said.get("type", _TYPE)
    if not isinstance(kind, str) or not is_name(kind):
        raise _bad(
            "properties.type is not the name of a type", "Leave it out, or write Thing.", "properties.type"
        )
    given = payload.get("@iot.id", payload.get("id"))
    identifier = f"urn:ngsi-ld:{kind.rsplit('/', 1)[-1]}:{new_id}" if given is None else given
    written: Json = {"id": identifier, "type": kind, "name": _text(payload, "name")}
    if payload.get("description"):
        written["description"] = _text(payload, "description")
    for name, value in said.items():
        if name not in _NO_ATTRIBUTES and value is not None:
            written[name] = {"type": "Property", "value": value}
    document = parse_entity(written)
    places = _listed(payload, "Locations")
    if places and "@iot.id" not in places[0]:
        document["attrs"]["location"] = [place_of(places[0])]
    streams = tuple(
        stream_of(one, f"Datastreams[{n}]") for n, one in enumerate(_listed(payload, "Datastreams"))
    )
    return NewThing(document, streams)


def place_of(payload: Json) -> dict[str, Any]:
    """The GeoProperty that a Location describes."""
    said = payload.get("location")
    if isinstance(said, dict) and said.get("type") == "Feature":
        said = said.get("geometry")
    try:
        return geo(check_geometry(said))
    except BadRequestData as error:
        error.where = "location"
        raise


def stream_of(payload: Json, where: str) -> NewStream:
    """The Datastream that a body describes."""
    unit = object_of(payload.get("unitOfMeasurement") or {}, f"{where}.unitOfMeasurement")
    unit = {name: _optional(unit, name) for name in ("name", "symbol", "definition")}
    observations = _listed(payload, "Observations")
    kind = _optional(payload, "observationType")
    return NewStream(
        name=_text(payload, "name", where),
        description=_optional(payload, "description") or "",
        unit=unit,
        unit_code=_unit_code(unit),
        observation_type=kind,
        properties=object_of(payload.get("properties") or {}, f"{where}.properties"),
        sensor=_linked(payload, "Sensor", where, sensor_of),
        observed=_linked(payload, "ObservedProperty", where, observed_property_of),
        observations=tuple(observation_of(one) for one in observations),
    )


def sensor_of(payload: Json, new_id: str = "") -> Document:
    """The Entity that is made for a Sensor."""
    attributes = {
        "name": prop(_text(payload, "name", "Sensor")),
        "encodingType": prop(_optional(payload, "encodingType") or HTML),
    }
    for name in ("description", "metadata"):
        if payload.get(name):
            attributes[name] = prop(_plain(payload[name], f"Sensor.{name}"))
    return entity(SENSOR_TYPE, f"urn:ngsi-ld:{SENSOR_TYPE}:{new_id}", attributes)


def observed_property_of(payload: Json, _new_id: str = "") -> Document:
    """The Entity that is made for an ObservedProperty; its id ends in the attribute's name."""
    name = _text(payload, "name", "ObservedProperty")
    attributes = {"name": prop(name)}
    for member in ("definition", "description"):
        if payload.get(member):
            attributes[member] = prop(_plain(payload[member], f"ObservedProperty.{member}"))
    return entity(PROPERTY_TYPE, f"urn:ngsi-ld:{PROPERTY_TYPE}:{attribute_named(name)}", attributes)


def observation_of(payload: Json) -> NewObservation:
    """The reading that a body describes."""
    result = payload.get("result")
    if not isinstance(result, int | float):
        raise _bad("result is not a number or a truth", "Other results are written over NGSI-LD.", "result")
    feature = payload.get("FeatureOfInterest")
    if isinstance(feature, dict) and "@iot.id" not in feature:
        raise OperationNotSupported(
            "What is observed is the place of the Thing",
            hint="Leave FeatureOfInterest out; give the Thing a Location.",
            where="FeatureOfInterest",
        )
    said = payload.get("phenomenonTime")
    return NewObservation(result, None if said is None else _instant(said))


def _instant(said: object) -> datetime:
    try:
        return parse_instant(said, where="phenomenonTime")
    except BadInput as error:
        raise BadRequestData(error.message, hint=error.hint, where="phenomenonTime") from None


def data_arrays(payload: object) -> list[tuple[str, list[Json]]]:
    """Datastreams' ids with the Observations that a data array brings them (OGC 18-088, 11.2)."""
    if not isinstance(payload, list):
        raise _bad("The body is not a JSON array", "Send one object for each Datastream.", "body")
    found: list[tuple[str, list[Json]]] = []
    total = 0
    for number, item in enumerate(payload):
        where = f"[{number}]"
        one = object_of(item, where)
        components = one.get("components")
        rows = one.get("dataArray")
        if not isinstance(components, list) or not isinstance(rows, list):
            raise _bad(f"{where} lacks components or dataArray", "See OGC 18-088, 11.2.", where)
        total += len(rows)
        if total > MAX_OBSERVATIONS:
            raise _bad(
                f"There are more than {MAX_OBSERVATIONS} observations", "Send several requests.", where
            )
        found.append((reference(one, "Datastream", where), [_row(components, row, where) for row in rows]))
    return found


def _row(components: list[Any], row: object, where: str) -> Json:
    if not isinstance(row, list) or len(row) != len(components):
        raise _bad(f"A row of {where}.dataArray is not as long as components", "Correct it.", where)
    return {str(name): value for name, value in zip(components, row, strict=True) if "/" not in str(name)}


def reference(payload: Json, name: str, where: str = "") -> str:
    """The id in {"Thing": {"@iot.id": …}}."""
    said = payload.get(name)
    found = said.get("@iot.id") if isinstance(said, dict) else None
    if not isinstance(found, str | int) or isinstance(found, bool):
        place = f"{where}.{name}" if where else name
        raise _bad(f"{place} is not named", f'Write "{name}": {{"@iot.id": "…"}}.', place)
    return str(found)


def attribute_named(name: str) -> str:
    """The attribute for an observed property: Air temperature becomes airTemperature."""
    words = re.findall(r"[^\W_]+", name)
    camel = "".join(word[:1].upper() + word[1:] for word in words)
    # One word in capitals, such as CO2, stays as it is.
    shouted = len(words) == 1 and words[0].isupper()
    found = camel if shouted else camel[:1].lower() + camel[1:]
    found = found if found[:1].isalpha() else f"observed{found}"
    if not words or not is_name(found) or found in _NO_ATTRIBUTES:
        raise _bad(
            f"{name[:40]!a} cannot name an attribute",
            "Write words, such as Air temperature.",
            "ObservedProperty.name",
        )
    return found


def dataset_named(name: str) -> str:
    """The dataset that tells a second Datastream of one property from the first."""
    return "urn:ngsi-ld:Dataset:" + (re.sub(r"[^\w]+", "-", name, flags=re.ASCII).strip("-") or "other")


def written(value: float | bool, at: datetime, unit: str | None, dataset: str) -> dict[str, Any]:
    """The instance of an attribute that an Observation becomes."""
    found = {"type": "Property", "value": value, "observedAt": format_instant(at)}
    if unit is not None:
        found["unitCode"] = unit
    if dataset:
        found["datasetId"] = dataset
    return found


def _unit_code(unit: Json) -> str | None:
    """The unit's code, where the definition, the symbol or the name tells it."""
    definition = unit["definition"] or ""
    words = [definition, *re.split(r"[:#]|/(?=[^/]*$)", definition)[-1:]]
    if definition.startswith("ucum:"):
        words.insert(0, definition.removeprefix("ucum:"))
    return code_of(*words, unit["symbol"] or "", unit["name"] or "")


def _linked(payload: Json, name: str, where: str, make: Any) -> str | Document:
    said = object_of(payload.get(name), f"{where}.{name}")
    if "@iot.id" in said:
        return reference(payload, name, where)
    found: Document = make(said)
    return found


def _listed(payload: Json, name: str) -> list[Json]:
    said = payload.get(name) or []
    if not isinstance(said, list) or len(said) > MAX_INNER:
        raise _bad(f"{name} is no array of at most {MAX_INNER}", "Send several requests.", name)
    return [object_of(one, name) for one in said]


def _text(payload: Json, name: str, where: str = "") -> str:
    said = payload.get(name)
    place = f"{where}.{name}" if where else name
    if not isinstance(said, str) or not said.strip():
        raise _bad(f"{place} is missing", "Write a text.", place)
    return said


def _optional(payload: Json, name: str) -> str | None:
    said = payload.get(name)
    if said is not None and not isinstance(said, str):
        raise _bad(f"{name} is not a text", "Write a text.", name)
    return said


def _plain(value: Any, where: str) -> Any:
    """A value that a Property may have."""
    probe = parse_entity({"id": "urn:x", "type": "x", "said": {"type": "Property", "value": value}})
    if not probe["attrs"]:
        raise _bad(f"{where} is empty", "Leave it out.", where)
    return probe["attrs"]["said"][0]["value"]


def _bad(message: str, hint: str, where: str) -> BadRequestData:
    return BadRequestData(message, hint=hint, where=where)
