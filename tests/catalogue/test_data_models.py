"""Every data model in the catalogue is whole."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

import cityloom_catalogue
from cityloom.kernel.errors import BadInput
from cityloom.kernel.units import UNITS
from cityloom.ngsild.model import entity, point, prop, rel, text
from cityloom.sensing.models import read_models

FOLDER = Path(cityloom_catalogue.__path__[0]) / "models"
FILES = sorted(FOLDER.glob("*/*.schema.json"))
MODELS = read_models([FOLDER])
NOON = datetime(2014, 8, 1, 12, 0, tzinfo=UTC)
NUMBERS = [
    (model.type, attribute)
    for model in map(MODELS.find, MODELS.types())
    for attribute in model.attributes.values()
    if attribute.unit
]
TYPES = {
    "AirQualityObserved",
    "Alert",
    "Device",
    "Event",
    "KeyPerformanceIndicator",
    "OffStreetParking",
    "Streetlight",
    "TrafficFlowObserved",
    "WasteContainer",
    "WeatherObserved",
}


def test_catalogue_has_the_types_that_the_city_uses():
    assert set(MODELS.types()) >= TYPES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_model_says_who_it_is(path):
    schema = orjson.loads(path.read_bytes())
    assert path.name == f"{schema['title']}.schema.json"
    assert schema["$id"] == f"urn:cityloom:model:{schema['title']}"
    assert schema["x-domain"] == path.parent.name
    assert schema["properties"]["type"]["const"] == schema["title"]
    assert schema["x-source"].startswith("https://")
    for name, attribute in schema["properties"].items():
        assert name == "type" or attribute["description"], name


@pytest.mark.parametrize(("kind", "attribute"), NUMBERS, ids=lambda item: getattr(item, "name", item))
def test_number_has_a_known_unit_and_plausible_bounds(kind, attribute):
    assert attribute.unit in UNITS
    if attribute.name == "batteryLevel":  # two ranges: see the schema
        return
    assert attribute.minimum < attribute.maximum
    name, low, high = attribute.name, attribute.minimum, attribute.maximum
    for value, good in ((low, True), (high, True), (low - 1, False), (high + 1, False)):
        reading = entity(kind, f"urn:ngsi-ld:{kind}:1", {name: prop(value, at=NOON, unit=attribute.unit)})
        if good:
            MODELS.fit(reading, NOON)
        else:
            with pytest.raises(BadInput, match=r"minimum|maximum"):
                MODELS.fit(reading, NOON)


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_model_takes_what_every_entity_may_carry(kind):
    whole = {
        "name": text(en="Roof", da="Tag"),
        "description": prop("On the roof"),
        "location": point(10.2, 56.1),
        "refDevice": rel("urn:ngsi-ld:Device:1"),
        "dataOrigin": prop("measured"),
    }
    MODELS.fit(entity(kind, f"urn:ngsi-ld:{kind}:1", whole), NOON)
    for wrong in ({"dataOrigin": prop("guessed")}, {"location": prop("here")}, {"name": prop(7)}):
        with pytest.raises(BadInput):
            MODELS.fit(entity(kind, f"urn:ngsi-ld:{kind}:1", {**whole, **wrong}), NOON)


@pytest.mark.parametrize("value", [0, 0.5, 1, -1])
def test_device_has_a_charge_or_none_that_can_be_told(value):
    MODELS.fit(entity("Device", "urn:ngsi-ld:Device:1", {"batteryLevel": prop(value)}), NOON)


@pytest.mark.parametrize("value", [-0.5, 1.5, -2])
def test_device_has_no_other_charge(value):
    with pytest.raises(BadInput):
        MODELS.fit(entity("Device", "urn:ngsi-ld:Device:1", {"batteryLevel": prop(value)}), NOON)
