"""Real tables: half a year of parking in Aarhus, with the night in which clocks were set back."""

import gzip
import os
from pathlib import Path

import pytest

from loading_city import LoadedCity

SHARED = (
    Path(os.environ.get("CITYLOOM_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "aarhus"
)
PARKING = SHARED / "parking_2014-05_11.csv.gz"
MAPPING = """
type = "OffStreetParking"
id = "urn:ngsi-ld:OffStreetParking:{garage}"
origin = "replayed"
[time]
column = "observed_utc"
[readings.occupiedSpotNumber]
column = "vehicle_count"
kind = "integer"
"""
BRUUNS = "urn:ngsi-ld:OffStreetParking:BRUUNS"

pytestmark = pytest.mark.skipif(not PARKING.exists(), reason="the data of Aarhus are not here")


@pytest.fixture
def city(tmp_path):
    opened = LoadedCity(tmp_path)
    yield opened
    opened.close()


def test_every_row_becomes_a_reading(city):
    rows = gzip.decompress(PARKING.read_bytes()).decode().splitlines()[1:]
    instants = {tuple(row.split(",")[:3:2]) for row in rows}
    result = city.load(PARKING.read_bytes(), MAPPING, PARKING.name)
    assert (result.rows, result.rejected) == (len(rows), 0)
    assert result.record["kept"] == len(instants)
    assert result.entities["created"] == len({garage for garage, _ in instants}) == 8
    bruuns = city.readings(BRUUNS, "occupiedSpotNumber")
    assert len(bruuns) == len([1 for garage, _ in instants if garage == "BRUUNS"])


def test_local_times_are_the_same_instants_but_for_the_hour_that_came_twice(city):
    city.load(PARKING.read_bytes(), MAPPING, PARKING.name)
    by_utc = {at for _, at, _ in city.readings(BRUUNS, "occupiedSpotNumber")}
    local = MAPPING.replace("observed_utc", "observed_local").replace("OffStreetParking:", "Parking:")
    local = local.replace("[readings", 'zone = "Europe/Copenhagen"\n[readings')
    result = city.load(PARKING.read_bytes(), local, PARKING.name)
    by_local = {at for _, at, _ in city.readings("urn:ngsi-ld:Parking:BRUUNS", "occupiedSpotNumber")}
    assert by_local <= by_utc
    assert all(reason.startswith("it was twice in Europe/Copenhagen") for _, reason, _ in result.reasons)
    assert 0 < len(by_utc - by_local) <= 8
