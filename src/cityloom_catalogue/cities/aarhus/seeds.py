"""The Entities with which Aarhus begins: what stands in the lists, and the last reading of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from cityloom.sdk import (
    Document,
    Instance,
    entity,
    format_instant,
    geo,
    json_value,
    point,
    prop,
    rel,
    text,
)
from cityloom_catalogue.cities.aarhus import layout
from cityloom_catalogue.cities.aarhus.pack import Garage, Happening, Link, Pack
from cityloom_catalogue.cities.aarhus.readings import (
    WEATHER_ID,
    exceeds,
    garage_id,
    last_readings,
    link_id,
    parking_series,
    traffic_series,
    weather_series,
)
from cityloom_catalogue.cities.example_records import MONEY, read_records
from cityloom_catalogue.cities.examples import read_examples

SCOPE = "/Aarhus"

_TRAFFIC_SOURCE = {
    "source": prop("https://github.com/CityPulse/Resource-Manager"),
    "dataProvider": prop("ODAA, the open data portal of Aarhus, by way of the CityPulse consortium"),
    "license": prop("MIT (the copy, © CityPulse consortium); the terms of ODAA apply to the measurements"),
}
_COLLECTION_SOURCE = {
    "source": prop("https://github.com/mhg-local/Smart-City-datasets"),
    "dataProvider": prop("CityPulse data collection"),
    "license": prop("not stated by the copy that is used"),
}
_REPLAYED = {"dataOrigin": prop("replayed")}

_EXCEEDS = text(
    en="The count of vehicles exceeds the listed spaces in more than half of the records: free spaces "
    "cannot be told. The count is shown as it came.",
    da="Antallet af biler overstiger de opgivne pladser i mere end halvdelen af målingerne: ledige pladser "
    "kan ikke beregnes. Antallet vises, som det kom.",
)
#: What a reader of a garage's numbers must know.
_GARAGE_NOTES = {
    "SKOLEBAKKEN": text(
        en="Reads its full 512 spaces without a change from 2 September 2014 on; its counter may be stuck.",
        da="Viser uændret alle 512 pladser fra 2. september 2014; tælleren kan være gået i stå.",
    ),
}
_WEATHER_NOTE = text(
    en="The source gives neither coordinates nor the time zone; the times are read as local time. Two kinds "
    "of report alternate: those on the hour are 7.5 points drier and 0.4 hPa higher than those at 20 and 50.",
    da="Kilden angiver hverken koordinater eller tidszone; tiderne læses som lokal tid. To slags målinger "
    "skifter: de på hele timer er 7,5 point tørrere og 0,4 hPa højere end dem på minut 20 og 50.",
)


#: What the examples of money speak of.
_MEANT = {
    "initiative": "urn:ngsi-ld:Initiative:aarhus-count-every-main-road",
    "indicator": "urn:ngsi-ld:KeyPerformanceIndicator:city:P1",
    "baseline": 87.0,
    "change": 12.0,
    "worth": "9500.00",
}


def seeds(pack: Pack, at: datetime) -> list[Document]:
    """Everything that is known at an instant, each measured thing with its last reading before it."""
    documents = [_traffic(pack, column, at) for column in range(len(pack.links))]
    documents += [_parking(pack, garage, at) for garage in pack.garages]
    documents.append(_weather(pack, at))
    documents += [_event(event) for event in pack.events if event.starts >= layout.START]
    documents += _measuring_points(pack.links)
    documents += read_examples(Path(__file__).with_name("examples.toml"), "aarhus", at)
    documents += read_records(MONEY, "aarhus", at, _MEANT)
    return documents


def _traffic(pack: Pack, column: int, at: datetime) -> Document:
    link = pack.links[column]
    line = [[link.point_1_lng, link.point_1_lat], [link.point_2_lng, link.point_2_lat]]
    attributes: dict[str, Instance] = {
        "name": prop(_link_name(link)),
        "location": geo({"type": "LineString", "coordinates": line}),
        "length": prop(link.distance_in_meters, unit="MTR"),
        "freeFlowSpeed": prop(link.ndt_in_kmh, unit="KMH"),
        "observationPeriod": prop(layout.STEP.total_seconds() / 60, unit="MIN"),
        "alternateName": prop(link.report_name),
        "refDevice": rel([_point_id(link.point_1_name), _point_id(link.point_2_name)]),
        **_TRAFFIC_SOURCE,
        **_REPLAYED,
        **last_readings(traffic_series(pack, column), at),
    }
    return entity("TrafficFlowObserved", link_id(link), attributes, scope=[f"{SCOPE}/Traffic"])


def _link_name(link: Link) -> str:
    first = link.point_1_street or f"point {link.point_1_name}"
    second = link.point_2_street or f"point {link.point_2_name}"
    return first if first == second else f"{first} – {second}"


def _point_id(name: str) -> str:
    return f"urn:ngsi-ld:Device:aarhus:point-{name}"


def _measuring_points(links: list[Link]) -> list[Document]:
    """The points between which vehicles are recognised; each is the end of several links."""
    places: dict[str, tuple[float, float]] = {}
    for link in links:
        places.setdefault(link.point_1_name, (link.point_1_lng, link.point_1_lat))
        places.setdefault(link.point_2_name, (link.point_2_lng, link.point_2_lat))
    return [
        entity(
            "Device",
            _point_id(name),
            {
                "name": text(en=f"Measuring point {name}", da=f"Målepunkt {name}"),
                "location": point(longitude, latitude),
                "category": prop(["sensor"]),
                "controlledProperty": prop(["intensity", "averageVehicleSpeed"]),
                "owner": prop("COWI"),
                **_TRAFFIC_SOURCE,
                **_REPLAYED,
            },
            scope=[f"{SCOPE}/Traffic"],
        )
        for name, (longitude, latitude) in sorted(places.items())
    ]


def _parking(pack: Pack, garage: Garage, at: datetime) -> Document:
    attributes: dict[str, Instance] = {
        "name": prop(garage.code.capitalize()),
        "location": point(garage.longitude, garage.latitude),
        "address": json_value(
            {
                "streetAddress": garage.street,
                "postalCode": garage.postal_code,
                "addressLocality": garage.city,
                "addressCountry": "DK",
            }
        ),
        "totalSpotNumber": prop(garage.spaces, unit="C62"),
        **_COLLECTION_SOURCE,
        **_REPLAYED,
        **last_readings(parking_series(pack, garage), at),
    }
    if note := _EXCEEDS if exceeds(pack, garage) else _GARAGE_NOTES.get(garage.code):
        attributes["quality"] = note
    return entity("OffStreetParking", garage_id(garage), attributes, scope=[f"{SCOPE}/Parking"])


def _weather(pack: Pack, at: datetime) -> Document:
    attributes: dict[str, Instance] = {
        "name": text(en="Weather station of Aarhus", da="Vejrstation i Aarhus"),
        "quality": _WEATHER_NOTE,
        **_COLLECTION_SOURCE,
        **_REPLAYED,
        **last_readings(weather_series(pack), at),
    }
    return entity("WeatherObserved", WEATHER_ID, attributes, scope=[f"{SCOPE}/Weather"])


def _event(event: Happening) -> Document:
    number = event.url.rstrip("/").rsplit("/", 1)[-1]
    starts = event.starts.astimezone(UTC)
    attributes: Mapping[str, Instance] = {
        "name": prop(event.title),
        "startDate": prop(format_instant(starts)),
        "location": point(event.longitude, event.latitude),
        "address": json_value({"streetAddress": f"{event.place}, {event.room}", "addressLocality": "Aarhus"}),
        "category": prop([event.category]),
        "price": prop(event.price),
        "url": prop(event.url),
        "isAccessibleForFree": prop(event.price == "Gratis"),
        **_COLLECTION_SOURCE,
        **_REPLAYED,
    }
    event_id = f"urn:ngsi-ld:Event:aarhus:{number}-{starts:%Y%m%dT%H%M}"
    return entity("Event", event_id, attributes, scope=[f"{SCOPE}/Culture"])
