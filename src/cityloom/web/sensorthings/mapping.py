"""What SensorThings says of Entities, attributes and readings (OGC 18-088, 8.2). Pure."""

from __future__ import annotations

from typing import Any

from cityloom.access.ownership import ORIGIN
from cityloom.kernel.media_types import GEO_JSON, HTML
from cityloom.kernel.time import format_instant, from_millis
from cityloom.kernel.units import UCUM, UNITS
from cityloom.ngsild.contexts import iri_of
from cityloom.ngsild.model import Document, content, text_of
from cityloom.sensing.models import DataModels
from cityloom.web.ogc.features import geometry_of, properties
from cityloom.web.sensorthings.model import (
    DATASTREAMS,
    DECLARED,
    FEATURES,
    HISTORICAL,
    LOCATIONS,
    OBSERVATIONS,
    PROPERTIES,
    SENSORS,
    THINGS,
    Row,
    Stream,
    location_id,
    observation_id,
    streams_of,
)

_OBSERVATION_TYPES = "http://www.opengis.net/def/observationType/OGC-OM/2.0/"
MEASUREMENT, TRUTH, COUNT = (
    f"{_OBSERVATION_TYPES}{name}" for name in ("OM_Measurement", "OM_TruthObservation", "OM_CountObservation")
)


def thing(document: Document) -> Row:
    """An Entity as a Thing; what it does not observe are its properties."""
    observed = {stream.attribute for stream in streams_of(document)}
    left_out = observed | {f"{name}_unit" for name in observed} | {"name", "description", DECLARED}
    said = {name: value for name, value in properties(document) if name not in left_out}
    members = {
        "name": name_of(document),
        "description": text_of(document, "description", "en") or _types(document),
        "properties": {"type": _types(document), **said},
    }
    return Row(THINGS, document["id"], members, document)


def location(document: Document, geometry: dict[str, Any] | None = None, millis: int | None = None) -> Row:
    """Where a Thing is; with a geometry and an instant, where it was then."""
    members = {
        "name": f"Location of {name_of(document)}",
        "description": "",
        "encodingType": GEO_JSON,
        "location": geometry or geometry_of(document),
    }
    return Row(LOCATIONS, location_id(document["id"], millis), members, document)


def historical_location(document: Document, millis: int) -> Row:
    """That a Thing was somewhere at an instant."""
    members = {"time": format_instant(from_millis(millis))}
    return Row(HISTORICAL, location_id(document["id"], millis), members, document)


def feature_of_interest(document: Document) -> Row:
    """What is observed: the place of the Thing."""
    members = {
        "name": name_of(document),
        "description": "",
        "encodingType": GEO_JSON,
        "feature": geometry_of(document),
    }
    return Row(FEATURES, document["id"], members, document)


def datastream(stream: Stream, models: DataModels) -> Row:
    """An observed attribute as a Datastream."""
    said, item = stream.declared, stream.instance
    members: dict[str, Any] = {
        "name": said.get("name") or f"{name_of(stream.document)}: {words(stream.attribute)}",
        "description": said.get("description") or _meaning(stream, models),
        "observationType": said.get("observationType") or _observation_type(item),
        "unitOfMeasurement": unit_of(stream),
    }
    geometry = geometry_of(stream.document)
    if geometry is not None:
        members["observedArea"] = geometry
    about: dict[str, Any] = {**said["properties"]} if isinstance(said.get("properties"), dict) else {}
    origin = _origin(stream)
    if origin is not None:
        about["dataOrigin"] = origin
    if about:
        members["properties"] = about
    return Row(DATASTREAMS, stream.id, members, stream.document, stream)


def unit_of(stream: Stream) -> dict[str, str | None]:
    """unitOfMeasurement: that of the reading there is now, else what was said when it was created."""
    code = (stream.instance or {}).get("unitCode")
    declared = stream.declared.get("unitOfMeasurement")
    if code is None and isinstance(declared, dict):
        return {name: declared.get(name) for name in ("name", "symbol", "definition")}
    code = code or stream.declared.get("unitCode")
    if code is None:
        return {"name": None, "symbol": None, "definition": None}
    unit = UNITS.get(code)
    if unit is None:
        return {"name": code, "symbol": code, "definition": f"UN/CEFACT Recommendation 20: {code}"}
    ucum = UCUM.get(code)
    definition = f"ucum:{ucum}" if ucum else f"UN/CEFACT Recommendation 20: {code}"
    return {"name": unit.name, "symbol": unit.symbol, "definition": definition}


def sensor(document: Document, address: str) -> Row:
    """An Entity as a Sensor. `address` is where more is told of it."""
    attributes = {name: content(items[0]) for name, items in document["attrs"].items()}
    members = {
        "name": name_of(document),
        "description": text_of(document, "description", "en") or _types(document),
        "encodingType": attributes.get("encodingType") or HTML,
        "metadata": attributes.get("metadata") or address,
    }
    return Row(SENSORS, document["id"], members, document)


def observed_property(name: str, document: Document | None, models: DataModels, of: Document | None) -> Row:
    """An attribute as an ObservedProperty. `document` says more of it; `of` is an Entity that has it."""
    members = {
        "name": words(name),
        "definition": iri_of(name),
        "description": _described(name, of, models),
    }
    if document is not None:
        for member in members:
            members[member] = text_of(document, member, "en") or members[member]
    return Row(PROPERTIES, name, members, document)


def observation(stream: Stream, millis: int, value: Any) -> Row:
    """A reading as an Observation. The city keeps one time of it, when it was observed."""
    at = format_instant(from_millis(millis))
    members = {"phenomenonTime": at, "resultTime": at, "result": value}
    return Row(OBSERVATIONS, observation_id(stream, millis), members, stream.document, stream)


def name_of(document: Document) -> str:
    """The Entity's name, else the end of its id."""
    named = text_of(document, "name", "en")
    return named or str(document["id"]).rsplit(":", 1)[-1]


def words(name: str) -> str:
    """A name as words: airQualityIndex becomes "air quality index"."""
    end = name.rsplit("/", 1)[-1].rsplit("#", 1)[-1]
    return "".join(f" {mark.lower()}" if mark.isupper() else mark for mark in end).strip()


def _origin(stream: Stream) -> Any:
    """How the values came about, where the attribute or its Entity says so."""
    for attributes in ((stream.instance or {}).get("attrs", {}), stream.document["attrs"]):
        for item in attributes.get(ORIGIN, ()):
            return content(item)
    return None


def _types(document: Document) -> str:
    return ", ".join(document["type"])


def _observation_type(item: dict[str, Any] | None) -> str:
    value = item["value"] if item else 0.0
    return TRUTH if isinstance(value, bool) else MEASUREMENT


def _meaning(stream: Stream, models: DataModels) -> str:
    return _described(stream.attribute, stream.document, models) or words(stream.attribute)


def _described(name: str, document: Document | None, models: DataModels) -> str:
    """What the data models of an Entity's types say of an attribute, "" where they say nothing."""
    for kind in document["type"] if document else ():
        model = models.find(kind)
        if model is not None and name in model.attributes:
            return model.attributes[name].description
    return ""
