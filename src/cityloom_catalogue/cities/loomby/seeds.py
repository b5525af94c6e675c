"""The Entities with which Loomby begins: what stands where, and the last reading of each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cityloom.sdk import (
    SIMULATED_ACCOUNT,
    Document,
    Instance,
    entity,
    geo,
    json_value,
    point,
    prop,
    rel,
    text,
)
from cityloom_catalogue.cities.example_records import MONEY, read_records
from cityloom_catalogue.cities.examples import read_examples
from cityloom_catalogue.cities.loomby import town, traffic
from cityloom_catalogue.cities.loomby.feeds import entity_id, last_readings

SCOPE = "/Loomby"
_SIMULATED = {
    "dataOrigin": prop("simulated"),
    "source": prop("Simulated by CityLoom; town and place are invented"),
}


#: What the examples of money speak of.
_MEANT = {
    "initiative": "urn:ngsi-ld:Initiative:loomby-light-when-it-is-needed",
    "indicator": "urn:ngsi-ld:KeyPerformanceIndicator:city:S2",
    "baseline": 96.0,
    "change": 3.0,
    "worth": "38000.00",
}


def seeds(at: datetime) -> list[Document]:
    """Everything that is known at an instant, each sensor with its last reading before it."""
    readings = last_readings(at)
    documents = [*_sections(), *_garages(), *_farms(), *_air(), *_lights(), *_bins()]
    for document in documents:
        latest = readings.get(document["id"], {})
        document["attrs"].update({name: [reading] for name, reading in latest.items()})
    devices = [_device(document) for document in documents]
    examples = read_examples(Path(__file__).with_name("examples.toml"), "loomby", at)
    examples += read_records(MONEY, "loomby", at, _MEANT)
    return [*documents, *devices, *_streets(), *_districts(), *_growers(), *examples]


def _thing(
    entity_type: str, key: str, name: Instance, place: Instance, theme: str, **more: Instance
) -> Document:
    device = entity_id("Device", f"{entity_type.lower()}-{key}")
    attributes = {"name": name, "location": place, "refDevice": rel(device), **more, **_SIMULATED}
    return entity(entity_type, entity_id(entity_type, key), attributes, scope=[f"{SCOPE}/{theme}"])


def _sections() -> Iterator[Document]:
    for section in town.sections():
        yield _thing(
            "TrafficFlowObserved",
            section.key,
            prop(section.name),
            geo({"type": "LineString", "coordinates": [list(place) for place in section.line]}),
            "Traffic",
            length=prop(section.length, unit="MTR"),
            freeFlowSpeed=prop(section.free_flow, unit="KMH"),
            observationPeriod=prop(float(traffic.PERIOD), unit="MIN"),
        )


def _garages() -> Iterator[Document]:
    for spot, _, spaces in town.garages():
        total = prop(spaces, unit="C62")
        yield _thing(
            "OffStreetParking",
            spot.key,
            prop(spot.name),
            point(*spot.place),
            "Parking",
            totalSpotNumber=total,
        )


def _farms() -> Iterator[Document]:
    for farm in town.farms():
        name = text(en=f"{farm.name} farm", da=f"{farm.name} gård")
        yield _thing("WeatherObserved", farm.key, name, point(*farm.place), "Farms")


def _growers() -> Iterator[Document]:
    """Who is warned of frost: the people of each farm, on their page."""
    for farm in town.farms():
        yield entity(
            "WarningRecipient",
            entity_id("WarningRecipient", farm.key),
            {
                "name": prop(f"{farm.name} farm"),
                "audience": prop(["growers"]),
                "account": prop(SIMULATED_ACCOUNT + farm.key),
                "channels": json_value([{"kind": "page"}]),
                "watches": rel(entity_id("WeatherObserved", farm.key)),
                **_SIMULATED,
            },
            scope=[f"{SCOPE}/Farms"],
        )


def _air() -> Iterator[Document]:
    for place in town.air_places():
        number = place.spot.name.rsplit(" ", 1)[-1]
        name = text(en=f"Air sensor {number}", da=f"Luftsensor {number}")
        yield _thing("AirQualityObserved", place.spot.key, name, point(*place.spot.place), "Air")


def _lights() -> Iterator[Document]:
    for light in town.lights():
        name = text(en=f"Street light {light.name}", da=f"Gadelampe {light.name}")
        yield _thing("Streetlight", light.key, name, point(*light.place), "Lighting")


def _bins() -> Iterator[Document]:
    for spot in town.bins():
        name = text(en=f"Bin {spot.name}", da=f"Affaldsbeholder {spot.name}")
        yield _thing("WasteContainer", spot.key, name, point(*spot.place), "Waste")


def _device(thing: Document) -> Document:
    """The sensor that reports on a thing: the same name and place."""
    attributes = thing["attrs"]
    measured = sorted(name for name, (item, *_) in attributes.items() if "observedAt" in item)
    place = attributes["location"][0]
    if place["value"]["type"] == "LineString":
        line = place["value"]["coordinates"]
        place = point(*line[len(line) // 2])
    return entity(
        "Device",
        attributes["refDevice"][0]["object"],
        {
            "name": attributes["name"][0],
            "location": place,
            "category": prop(["sensor"]),
            "controlledProperty": prop(measured),
            **_SIMULATED,
        },
        scope=thing["scope"],
    )


def _districts() -> Iterator[Document]:
    """Of which indicators are told by themselves."""
    for quarter in town.quarters():
        yield entity(
            "District",
            f"urn:ngsi-ld:District:loomby-{quarter.key}",
            {
                "name": text(**quarter.names),
                "location": geo(
                    {"type": "Polygon", "coordinates": [[list(place) for place in quarter.border]]}
                ),
                "example": prop(True),
                **_SIMULATED,
            },
            scope=[f"{SCOPE}/Districts"],
        )


def _streets() -> Iterator[Document]:
    """Streets without counters: the map's background where no tiles are configured."""
    for key, line in (*town.streets(), *town.lanes()):
        yield entity(
            "RoadSegment",
            entity_id("RoadSegment", key),
            {
                "location": geo({"type": "LineString", "coordinates": [list(place) for place in line]}),
                **_SIMULATED,
            },
            scope=[f"{SCOPE}/Roads"],
        )
