"""The guide for SensorThings, as it stands, and the FROST client against the running city.

The client is in the dependency group `clients`; without it its test is skipped.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from running_city import RunningCity

GUIDE = (Path(__file__).parents[2] / "docs/guides/read_sensors_with_sensorthings.md").read_text(
    encoding="utf-8"
)
ROOT = "/sta/v1.1"
MAST = "urn:ngsi-ld:WeatherObserved:mast"
AIR = f"{MAST};temperature"


def eventually(look):
    until = time.monotonic() + 30
    while not (found := look()):
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    made = RunningCity(tmp_path_factory.mktemp("sta") / "trial", "up", "--open-access")
    for hour in range(3):
        said = {"value": 1.0 + hour, "unitCode": "CEL", "observedAt": f"2026-04-12T0{hour}:00:00Z"}
        one = {"id": MAST, "type": "WeatherObserved", "name": "Mast", "temperature": said}
        one["location"] = {"type": "Point", "coordinates": [10.2, 56.2]}
        assert made.web.post("/ngsi-ld/v1/entityOperations/upsert?options=update", json=[one]).is_success
    series = f"{ROOT}/Datastreams('{AIR}')/Observations"
    eventually(lambda: len(made.web.get(series).json()["value"]) == 3)
    yield made
    made.stop()


def test_each_address_of_the_guide_finds_something(city):
    targets = re.findall(r"^\| `(/sta[^`]+)` \|", GUIDE, re.M)
    assert len(targets) == 5
    for target in targets:
        answer = city.web.get(target)
        assert answer.status_code == 200, (target, answer.text)
        assert answer.json()["value"], target


def test_the_units_and_ids_are_as_the_guide_says(city):
    found = city.web.get(f"{ROOT}/Datastreams('{AIR}')").json()
    assert f"`{found['@iot.id']}`" in GUIDE
    (unit,) = re.findall(r'`(\{"name": "degree[^`]+\})`', GUIDE)
    assert found["unitOfMeasurement"] == json.loads(unit)


def test_what_the_guide_creates_is_there(city):
    thing, reading = re.findall(r"```http\nPOST (\S+)\n[^\n]+\n\n(.*?)```", GUIDE, re.S)
    made = city.web.post(thing[0], json=json.loads(thing[1]))
    assert made.status_code == 201, made.text
    streams = city.web.get(made.headers["location"] + "/Datastreams").json()["value"]
    assert [one["name"] for one in streams] == ["Air at 2 m"]
    body = reading[1].replace("DATASTREAM", streams[0]["@iot.id"])
    assert city.web.post(reading[0], json=json.loads(body)).status_code == 201
    stored = city.web.get(f"/ngsi-ld/v1/entities/{made.json()['@iot.id']}").json()
    assert stored["temperature"]["value"] == 1.5
    assert stored["owner"]["value"] == "Water works"


def test_the_frost_client_creates_and_reads(city):
    sta = pytest.importorskip("frost_sta_client", reason="amber: frost-sta-client is not installed")
    geojson = pytest.importorskip("geojson")
    service = sta.SensorThingsService(city.address + ROOT)
    thing = sta.Thing(name="Pump", description="p", properties={"depth": 4})
    thing.locations = [
        sta.Location(
            name="h",
            description="h",
            location=geojson.Point((10.1, 56.1)),
            encoding_type="application/geo+json",
        )
    ]
    kind = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
    stream = sta.Datastream(
        name="Level",
        description="l",
        observation_type=kind,
        unit_of_measurement=sta.UnitOfMeasurement(name="metre", symbol="m", definition="ucum:m"),
    )
    stream.sensor = sta.Sensor(name="Radar", description="r", encoding_type="text/html", metadata="m")
    stream.observed_property = sta.ObservedProperty(name="Water level", definition="d", description="w")
    thing.datastreams = [stream]
    service.create(thing)

    found = service.things().find(thing.id)
    assert (found.name, found.properties["depth"]) == ("Pump", 4)
    (level,) = found.get_datastreams().query().list().entities
    assert (level.name, level.unit_of_measurement.symbol) == ("Level", "m")
    for hour in range(5):
        at = f"2026-04-12T0{hour}:00:00Z"
        service.create(sta.Observation(result=hour / 2, phenomenon_time=at, datastream=level))
    observations = level.get_observations().query()
    eventually(lambda: len(list(observations.list())) == 5)
    newest = level.get_observations().query().orderby("phenomenonTime", "desc").top(2).list()
    assert [one.result for one in newest.entities] == [2.0, 1.5]
    # The client follows the links to further pages by itself.
    assert [one.result for one in newest] == [2.0, 1.5, 1.0, 0.5, 0.0]
    warm = level.get_observations().query().filter("result gt 1").list()
    assert [one.result for one in warm] == [1.5, 2.0]
    (again,) = service.things().query().filter("name eq 'Pump'").expand("Datastreams/Sensor,Locations").list()
    assert again.datastreams.entities[0].sensor.name == "Radar"
    assert again.locations.entities[0].location["coordinates"] == [10.1, 56.1]
