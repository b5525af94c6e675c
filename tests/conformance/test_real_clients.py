"""Clients that others have written, at their ordinary work with a running city."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from cityloom.app.configuration import write_first
from running_city import RunningCity

ngsildclient = pytest.importorskip("ngsildclient", reason="amber: ngsildclient is not installed")


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCity]:
    home = tmp_path_factory.mktemp("clients") / "city"
    write_first(
        home / "city.toml", name="Clientby", time_zone="UTC", longitude=10.0, latitude=56.0, language="en"
    )
    running = RunningCity(home, "up", "--open-access")
    yield running
    running.stop()


@pytest.fixture
def client(city: RunningCity) -> Iterator[Any]:
    address = urlsplit(city.address)
    with ngsildclient.Client(address.hostname, address.port) as client:
        yield client
        client.drop("AirQualityObserved", "Sensor")


def observed(number: int, no2: float = 22) -> Any:
    one = ngsildclient.Entity("AirQualityObserved", f"Square{number}")
    one.prop("NO2", no2, unitcode="GP")
    one.rel("refDevice", f"Sensor:{number}")
    one.gprop("location", (56.1, 10.2))
    return one


def test_ngsildclient_creates_reads_changes_and_deletes(client: Any):
    one = observed(1)
    assert client.create(one)
    assert client.exists(one)
    read = client.get(one.id)
    assert (read.type, read["NO2"]["value"], read["refDevice"]["object"]) == (
        "AirQualityObserved",
        22,
        "urn:ngsi-ld:Sensor:1",
    )
    read["NO2"]["value"] = 30
    assert client.upsert(read)
    assert client.get(one.id)["NO2"]["value"] == 30
    assert client.delete(one)
    assert not client.exists(one)


def test_ngsildclient_works_in_batches(client: Any):
    several = [observed(number, 10.0 * number) for number in range(1, 8)]
    assert client.create(*several)
    assert client.upsert(*[observed(number, 1.0) for number in range(7, 10)])
    assert client.count(type="AirQualityObserved") == 9
    assert len(client.query(type="AirQualityObserved", q="NO2>35")) == 3
    assert {one.id for one in client.query_head(type="AirQualityObserved", n=3)} <= {
        observed(number).id for number in range(1, 10)
    }
    client.delete_where(type="AirQualityObserved", q="NO2>35")
    assert client.count(type="AirQualityObserved") == 6


def test_ngsildclient_finds_types_and_contexts(client: Any):
    client.create(observed(1))
    assert "AirQualityObserved" in client.types.list()
    assert any("ngsi-ld-core-context" in one for one in client.contexts.list())
