"""The entity sets of SensorThings, the links between them (OGC 18-088, 8.2), and their ids. Pure.

| set | an Entity's | id |
| --- | --- | --- |
| Things | self | the Entity's |
| Locations | location; at an instant of the past | Entity;location; with ;milliseconds |
| HistoricalLocations | location at an instant | Entity;location;milliseconds |
| Datastreams | Property that is observed | Entity;attribute, Entity;attribute;datasetId |
| Sensors | the device that it points at, or itself | that Entity's |
| ObservedProperties | attribute | its name |
| Observations | reading | Datastream's, with milliseconds behind the last bar |
| FeaturesOfInterest | place | the Entity's |

A semicolon within a part is written %3B and a percent sign %25, so an id is taken apart in one way alone.
Both are rare: the usual id needs no escape in an address.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cityloom.access.ownership import PLATFORM_DATASETS
from cityloom.ngsild.model import Document

THINGS, LOCATIONS, HISTORICAL = "Things", "Locations", "HistoricalLocations"
DATASTREAMS, SENSORS, PROPERTIES = "Datastreams", "Sensors", "ObservedProperties"
OBSERVATIONS, FEATURES = "Observations", "FeaturesOfInterest"

#: The links of each set: their names, with the set that they lead to and whether to several.
LINKS: dict[str, dict[str, tuple[str, bool]]] = {
    THINGS: {
        "Locations": (LOCATIONS, True),
        "HistoricalLocations": (HISTORICAL, True),
        "Datastreams": (DATASTREAMS, True),
    },
    LOCATIONS: {"Things": (THINGS, True), "HistoricalLocations": (HISTORICAL, True)},
    HISTORICAL: {"Thing": (THINGS, False), "Locations": (LOCATIONS, True)},
    DATASTREAMS: {
        "Thing": (THINGS, False),
        "Sensor": (SENSORS, False),
        "ObservedProperty": (PROPERTIES, False),
        "Observations": (OBSERVATIONS, True),
    },
    SENSORS: {"Datastreams": (DATASTREAMS, True)},
    PROPERTIES: {"Datastreams": (DATASTREAMS, True)},
    OBSERVATIONS: {"Datastream": (DATASTREAMS, False), "FeatureOfInterest": (FEATURES, False)},
    FEATURES: {"Observations": (OBSERVATIONS, True)},
}
SETS = tuple(LINKS)

#: The JsonProperty of a Thing that says of its Datastreams what its attributes cannot: one instance for each,
#: in a dataset of its own.
DECLARED = "dataStreams"
DECLARED_DATASET = "urn:ngsi-ld:Dataset:datastream:"
#: The Relationships that point at what observes.
OBSERVERS = ("refDevice", "refSensor", "observedBy")
#: Types of Entities that are made for Sensors and ObservedProperties.
SENSOR_TYPE, PROPERTY_TYPE = "Sensor", "ObservedProperty"

_MARK = ";"
#: What services estimate is no observation.
_ESTIMATED = PLATFORM_DATASETS


class Stream(msgspec.Struct, frozen=True):
    """A Datastream: one observed Property of an Entity, in one dataset ("" is the default instance)."""

    document: Document
    attribute: str
    dataset: str = ""

    @property
    def thing(self) -> str:
        """The Entity's id."""
        found: str = self.document["id"]
        return found

    @property
    def key(self) -> str:
        """What tells it from the Entity's other ones."""
        return _joined(self.attribute, self.dataset) if self.dataset else _joined(self.attribute)

    @property
    def id(self) -> str:
        return f"{_joined(self.thing)}{_MARK}{self.key}"

    @property
    def instance(self) -> dict[str, Any] | None:
        """The instance of the attribute that is there now; None where nothing has been observed."""
        for item in self.document["attrs"].get(self.attribute, ()):
            if item.get("datasetId", "") == self.dataset:
                found: dict[str, Any] = item
                return found
        return None

    @property
    def declared(self) -> dict[str, Any]:
        """What was said of it when it was created here; empty for others."""
        return declared_in(self.document).get(self.key, {})


class Row(msgspec.Struct, frozen=True):
    """One of a set. `document` is the Entity behind it, `stream` the Datastream of an Observation."""

    kind: str
    id: str
    members: dict[str, Any]
    document: Document | None = None
    stream: Stream | None = None


def declared_in(document: Document) -> dict[str, dict[str, Any]]:
    """What an Entity says of Datastreams, by their keys; what cannot be read is passed over."""
    found: dict[str, dict[str, Any]] = {}
    for item in document["attrs"].get(DECLARED, ()):
        dataset, said = item.get("datasetId", ""), item.get("json")
        if dataset.startswith(DECLARED_DATASET) and isinstance(said, dict):
            found[dataset.removeprefix(DECLARED_DATASET)] = said
    return found


def streams_of(document: Document) -> list[Stream]:
    """The Datastreams of an Entity: numbers and truths with an observedAt, and what is declared."""
    found: dict[str, Stream] = {}
    for name, items in document["attrs"].items():
        for item in items:
            observed = item["type"] == "Property" and "observedAt" in item
            dataset = item.get("datasetId", "")
            if observed and isinstance(item["value"], int | float) and not dataset.startswith(_ESTIMATED):
                one = Stream(document, name, dataset)
                found[one.key] = one
    for key in declared_in(document):
        attribute, dataset = key_parts(key)
        found.setdefault(key, Stream(document, attribute, dataset))
    return list(found.values())


def stream_of(document: Document, key: str) -> Stream | None:
    """The Datastream of an Entity by its key."""
    return next((one for one in streams_of(document) if one.key == key), None)


def split_stream_id(identifier: str) -> tuple[str, str]:
    """The Entity's id, and the key of the Datastream."""
    thing, _, key = identifier.partition(_MARK)
    return _part(thing), key


def split_observation_id(identifier: str) -> tuple[str, str, int | None]:
    """The Entity's id, the key of the Datastream, and milliseconds; None where there are none."""
    stream, _, millis = identifier.rpartition(_MARK)
    thing, key = split_stream_id(stream)
    return thing, key, int(millis) if millis.isascii() and millis.isdigit() and len(millis) < 16 else None


def location_id(thing: str, millis: int | None = None) -> str:
    """The id of where a Thing is, or was at an instant."""
    return _joined(thing, "location", *([] if millis is None else [str(millis)]))


def observation_id(stream: Stream, millis: int) -> str:
    """The id of what was observed at an instant."""
    return f"{stream.id}{_MARK}{millis}"


def key_parts(key: str) -> tuple[str, str]:
    """The attribute and the dataset of a Datastream's key."""
    attribute, _, dataset = key.partition(_MARK)
    return _part(attribute), _part(dataset)


def _joined(*parts: str) -> str:
    return _MARK.join(part.replace("%", "%25").replace(_MARK, "%3B") for part in parts)


def _part(text: str) -> str:
    return text.replace("%3B", _MARK).replace("%25", "%")


def sensor_of(stream: Stream) -> str:
    """The id of the Entity that observes: what Datastream or Thing points at, else the Thing itself."""
    said = stream.declared.get("sensor")
    if isinstance(said, str):
        return said
    instance = stream.instance or {}
    for attributes in (instance.get("attrs", {}), stream.document["attrs"]):
        for name in OBSERVERS:
            for item in attributes.get(name, ()):
                target = item.get("object")
                if isinstance(target, str):
                    return target
    return stream.thing
